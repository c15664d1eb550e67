import numpy as np
import pytest

from neuroctl.envs.event_pixels import DEFAULTS, PixelModel, brightness, curve, draw_shots, grey_curve, pixel_model
from neuroctl.envs.retina import LEVELS
from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream


def generators(count, seed=0):
    return [stream(seed + b, "events") for b in range(count)]


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


def test_shots_are_a_poisson_process():
    """Counts have mean and variance rate x time x pixels; places and times are uniform; half are ON."""
    rate, dt, pixels = 4.0, 0.02, 50
    frames = [draw_shots(generators(3, seed), rate, dt, pixels, 3) for seed in range(0, 3000, 3)]
    counts = np.concatenate([np.diff(shots.first) for shots in frames])
    mean = rate * dt * pixels
    assert counts.mean() == pytest.approx(mean, abs=5 * np.sqrt(mean / len(counts)))
    assert counts.var() == pytest.approx(mean, rel=0.15)
    place, time, sign = (np.concatenate([shots[k] for shots in frames]) for k in (1, 2, 3))
    assert len(place) == counts.sum()
    per_pixel = np.bincount(place, minlength=pixels)
    assert ((per_pixel - per_pixel.mean()) ** 2 / per_pixel.mean()).sum() == pytest.approx(pixels - 1, abs=50)
    assert time.min() > 0
    assert time.max() <= dt
    assert np.histogram(time, 4, (0, dt))[0] == pytest.approx(len(time) / 4, rel=0.06)
    assert set(sign) == {-1, 1}
    assert sign.mean() == pytest.approx(0, abs=5 / np.sqrt(len(sign)))


def test_shots_of_a_row_come_from_its_own_stream_and_are_in_order():
    together, alone = draw_shots(generators(4), 20.0, 0.1, 30, 4), draw_shots(generators(4)[2:3], 20.0, 0.1, 30, 1)
    row = slice(*together.first[2:4])
    assert all(np.array_equal(a[row], b) for a, b in zip(together[1:], alone[1:], strict=True))
    order = np.lexsort((alone.times_s, alone.pixels))
    assert np.array_equal(order, np.arange(len(order)))
    assert len(order) > 30


def test_no_rate_draws_nothing():
    (generator,) = generators(1)
    before = generator.bit_generator.state["state"]["counter"].copy()
    assert draw_shots([generator], 0.0, 0.02, 10, 1).first.tolist() == [0, 0]
    assert np.array_equal(generator.bit_generator.state["state"]["counter"], before)


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
