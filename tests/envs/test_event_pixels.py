import numpy as np
import pytest

from neuroctl.envs.event_pixels import (
    DEFAULTS,
    STEPS,
    TOLERANCE,
    PixelModel,
    brightness,
    curve,
    event_levels,
    grey_curve,
    pixel_model,
)
from neuroctl.envs.retina import LEVELS
from neuroctl.errors import NeuroctlError


def lit(values, eps):
    out = np.empty(len(values))
    brightness(np.asarray(values, np.float32), eps, grey_curve(eps), out)
    return out


def test_log_curve_is_the_logarithm():
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    assert lit(values, 0.001) == pytest.approx(np.log(0.001 + values.astype(np.float64)), abs=1e-14)


def test_lin_log_curve_is_that_of_v2e():
    """y = x ln(20) / 20 up to grey 20 of 255, ln x above."""
    grey = np.arange(256)
    expected = np.where(grey <= 20, grey * np.log(20) / 20, np.log(np.maximum(grey, 1)))
    assert lit(LEVELS, 0.0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("eps", [0.0, 0.001])
def test_grey_levels_and_other_values_have_the_bits_of_the_curve(eps):
    values = np.concatenate(
        [LEVELS, np.random.default_rng(0).random(300, np.float32), np.array([0, 1, 1e-30], np.float32)]
    )
    mixed = np.random.default_rng(1).permutation(values)
    expected = np.array([curve(float(value), eps) for value in mixed])
    assert np.array_equal(lit(mixed, eps), expected)
    assert np.array_equal(np.concatenate([lit(mixed[k : k + 1], eps) for k in range(len(mixed))]), expected)


@pytest.mark.parametrize("eps", [0.0, 1e-6, 0.001, 1.0])
def test_event_levels_miss_no_pixel_and_flag_few(eps):
    """Whatever the goal, all intensities that reach it are flagged, and grey levels 2 steps away are not."""
    rng, table, levels = np.random.default_rng(0), grey_curve(eps), event_levels(eps)
    black, step = table[0], (table[-1] - table[0]) / STEPS
    goals = np.concatenate([rng.uniform(black - 3 * step, table[-1] + 3 * step, 300), rng.permutation(table)[:100]])
    column = np.clip((goals - black) / step + 2, 0, STEPS + 3).astype(int)
    for values, slack in ((rng.random(500, np.float32), None), (LEVELS, 2 * step)):
        light, x = lit(values, eps), np.minimum(values * np.float32(255), 254)
        on = np.ceil(x) >= levels[0, column][:, None]
        off = np.floor(x) < levels[1, column][:, None]
        assert on[light >= goals[:, None] - TOLERANCE].all()
        assert off[light <= goals[:, None] + TOLERANCE].all()
        if slack is not None:
            assert not on[:, :254][light[:254] < goals[:, None] - slack].any()
            assert not off[:, :254][light[:254] > goals[:, None] + slack].any()


@pytest.mark.parametrize("eps", [0.0, 0.001])
def test_event_levels_know_always_and_never(eps):
    levels = event_levels(eps)
    assert levels[:, 0].tolist() == [0, 0]
    assert levels[:, -1].tolist() == [255, 255]


def test_defaults_are_filled_in():
    assert pixel_model("linear") == PixelModel("linear", 10 / 255)
    assert pixel_model("log", threshold=0.5) == PixelModel("log", 0.5, log_eps=0.001)
    noisy = pixel_model("noisy", leak_hz=0.0)
    assert (noisy.leak_hz, noisy.shot_hz, noisy.log_eps) == (0.0, 0.001, 0.0)
    assert noisy.random
    assert not pixel_model("log").random
    assert all(pixel_model(name).model == name for name in DEFAULTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "dvs"}, "unknown event model 'dvs'; known: linear, log, noisy"),
        ({"model": None}, "unknown event model 'None'"),
        ({"model": "linear", "threshold": 0.0}, "threshold of event model 'linear' is 0.0; allowed: 0.001 to 1"),
        ({"model": "linear", "threshold": 10}, "threshold of event model 'linear' is 10; allowed: 0.001 to 1"),
        ({"model": "log", "threshold": -0.1}, "threshold of event model 'log' is -0.1; allowed: 0.001 to 6.909"),
        (
            {"model": "noisy", "threshold": float("nan")},
            "threshold of event model 'noisy' is nan; allowed: 0.001 to 5.5",
        ),
        ({"model": "noisy", "threshold": "much"}, "threshold of event model 'noisy' is 'much'; allowed"),
        ({"model": "noisy", "threshold": True}, "threshold of event model 'noisy' is True; allowed"),
        (
            {"model": "noisy", "threshold_spread": 0.3},
            "threshold_spread of event model 'noisy' is 0.3; allowed: 0 to 0.2",
        ),
        ({"model": "noisy", "leak_hz": -1.0}, "leak_hz of event model 'noisy' is -1.0; allowed: 0 to 1000"),
        ({"model": "noisy", "shot_hz": float("inf")}, "shot_hz of event model 'noisy' is inf; allowed: 0 to 1000"),
        ({"model": "log", "refractory_s": -1e-3}, "refractory_s of event model 'log' is -0.001; allowed: 0 to 10"),
        ({"model": "log", "log_eps": 0.0}, "log_eps of event model 'log' is 0.0; allowed: 1e-06 to 1"),
        ({"model": "linear", "refractory_s": 0.001}, "event model 'linear' has no refractory_s; it has: threshold"),
        (
            {"model": "log", "shot_hz": 1.0},
            "event model 'log' has no shot_hz; it has: threshold, log_eps, refractory_s",
        ),
        ({"model": "noisy", "log_eps": 0.1}, "event model 'noisy' has no log_eps"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        pixel_model(**options)
    assert "\n" not in str(caught.value)
