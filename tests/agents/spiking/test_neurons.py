from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.neurons import NeuronParameters, PoissonDoubleExpNeurons
from neuroctl.errors import NeuroctlError, NonFiniteError
from tests.agents.spiking.plain_neuron import plain_neurons

SILENT: dict[str, Any] = {"c1_hz_per_mv": 0.0, "c2_hz": 0.0}
FALSE_ALARM = 4.75
"""Standard deviations that a normal number exceeds with probability 2e-6, of either sign."""


def constant(steps, batch_size, size, value=0.0):
    return np.full((steps, batch_size, size), value)


def run(neurons, steps):
    """Spikes and traces without input."""
    nothing = constant(steps, neurons.batch_size, neurons.size)
    return neurons.advance(nothing, nothing)


def potentials(neurons, exc, inh=None, current=None):
    """V `[T]` of the first neuron."""
    trace = []
    for t in range(len(exc)):
        now = slice(t, t + 1)
        neurons.advance(exc[now], 0 * exc[now] if inh is None else inh[now], None if current is None else current[now])
        trace.append(neurons.v_mv[0, 0])
    return np.array(trace)


def noisy_input(steps, batch_size, size, seed=3):
    rng = np.random.default_rng(seed)
    shape = (steps, batch_size, size)
    exc = 4 * rng.random(shape) * (rng.random(shape) < 0.1)
    inh = -3 * rng.random(shape) * (rng.random(shape) < 0.1)
    return exc, inh, rng.normal(size=shape)


def test_membrane_follows_the_formula_of_the_spore_module():
    """Weight 3 at 10, 20 and 50 ms, -2 at 15 and 25 ms, delay 1 ms: step 10 t + 9 receives what was sent at t."""
    h = 0.1
    neurons = PoissonDoubleExpNeurons(1, NeuronParameters(i_e_mv=-3, **SILENT), dt_ms=h, dtype=np.float64)
    exc, inh = constant(900, 1, 1), constant(900, 1, 1)
    exc[[109, 209, 509]], inh[[159, 259]] = 3, -2
    v = potentials(neurons, exc, inh)
    expected = {
        109: -3.0,
        110: -2.854056,
        150: -0.713625,
        160: -0.866578,
        200: -2.358348,
        250: 0.036262,
        560: 0.098885,
        800: -1.956706,
    }
    assert v[list(expected)] == pytest.approx(list(expected.values()), abs=6e-7)


@pytest.mark.parametrize(("receptor", "rise", "fall", "peak_ms"), [("exc", 2, 20, 5.117), ("inh", 1, 10, 2.558)])
def test_potential_of_one_weight_is_a_difference_of_exponentials(receptor, rise, fall, peak_ms):
    h, neurons = 0.001, PoissonDoubleExpNeurons(1, NeuronParameters(**SILENT), dt_ms=0.001, dtype=np.float64)
    pulse = constant(12_000, 1, 1)
    pulse[0] = 1 if receptor == "exc" else -1
    v = potentials(neurons, *((pulse,) if receptor == "exc" else (0 * pulse, pulse))) * pulse[0, 0, 0]
    t = h * np.arange(len(v))
    assert v == pytest.approx(fall / (fall - rise) * (np.exp(-t / fall) - np.exp(-t / rise)), abs=1e-11)
    assert h * np.argmax(v) == pytest.approx(peak_ms, abs=h)
    assert v.max() == pytest.approx(0.774264, abs=1e-6)


def test_potential_has_the_printed_values_and_area():
    neurons = PoissonDoubleExpNeurons(1, NeuronParameters(**SILENT), dtype=np.float64)
    pulse = constant(400, 1, 1)
    pulse[0] = 1
    v = potentials(neurons, pulse)
    printed = [0.382999, 0.596620, 0.774129, 0.666436, 0.408704, 0.091206]
    assert v[[1, 2, 5, 10, 20, 50]] == pytest.approx(printed, abs=6e-7)
    assert v.sum() == pytest.approx(19.9585, abs=5e-5)


def test_currents_act_one_step_later_and_i_e_at_once():
    parameters = NeuronParameters(i_e_mv=-3, input_conductance=2, **SILENT)
    current = constant(4, 1, 1)
    current[1] = 5
    v = potentials(PoissonDoubleExpNeurons(1, parameters), constant(4, 1, 1), current=current)
    assert v.tolist() == [-6, -6, 4, -6]


@pytest.mark.parametrize(
    ("parameters", "dt_ms"),
    [
        (NeuronParameters(i_e_mv=12, dead_time_ms=3, target_adaptation_speed_mv=0.3), 1.0),
        (NeuronParameters(i_e_mv=12, c1_hz_per_mv=4, c2_hz=2, with_reset=False, target_adaptation_speed_mv=0.1), 0.25),
        (NeuronParameters(i_e_mv=16, dead_time_ms=0, target_adaptation_speed_mv=0.2), 5.0),
        (NeuronParameters(i_e_mv=-1, c1_hz_per_mv=40, c2_hz=0, dead_time_ms=0.3), 1.0),
    ],
)
def test_equals_the_plain_neuron_step_by_step(parameters, dt_ms):
    exc, inh, current = noisy_input(400, 2, 3)
    neurons = PoissonDoubleExpNeurons(3, parameters, batch_size=2, dt_ms=dt_ms, seed=5, dtype=np.float64, name="motor")
    spikes, bap = neurons.advance(exc, inh, current)
    assert spikes.sum() > 20
    for b in range(2):
        part = (exc[:, b], inh[:, b], current[:, b])
        expected_spikes, expected_bap, v = plain_neurons(parameters, dt_ms, *part, 5, "motor", b)
        np.testing.assert_array_equal(spikes[:, b], expected_spikes)
        np.testing.assert_allclose(bap[:, b], expected_bap, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(neurons.v_mv[b], v[-1], rtol=1e-11)


@pytest.mark.parametrize(("i_e_mv", "rate_hz"), [(20, 154.018), (10, 14.847), (3, 2.614), (-3, 0.584)])
def test_rate_is_that_of_a_process_with_dead_time(i_e_mv, rate_hz):
    """Steps of 0.1 ms; two-sided false-alarm rate 2e-6 for each rate."""
    size, steps, h = 200, 20_000, 0.1
    neurons = PoissonDoubleExpNeurons(size, NeuronParameters(i_e_mv=i_e_mv, with_reset=False), dt_ms=h, seed=1)
    assert_rate(neurons, steps, rate_hz, i_e_mv)


def test_rate_at_steps_of_one_millisecond():
    neurons = PoissonDoubleExpNeurons(200, NeuronParameters(i_e_mv=20, with_reset=False), seed=2)
    assert_rate(neurons, 5000, 143.721, 20)


def assert_rate(neurons, steps, rate_hz, i_e_mv):
    """A renewal process: counts in a long time have variance (sd of the interval / its mean)^2 times their mean."""
    h = neurons.dt_ms
    p = 1 - np.exp(-1.238 * np.exp(0.25 * i_e_mv) * h / 1000)
    mean_ms = h / p + neurons.parameters.dead_steps(h) * h
    assert 1000 / mean_ms == pytest.approx(rate_hz, abs=6e-4)
    count = sum(int(run(neurons, 1000)[0].sum()) for _ in range(steps // 1000))
    expected = neurons.size * steps * h / mean_ms
    sd = np.sqrt(expected * (1 - p)) * (h / p) / mean_ms
    # neurons start ready to fire: that adds up to mean_ms / 2 - E[residual time] spikes, less than one for each
    start = neurons.size * (1 - (h / p) / mean_ms)
    assert abs(count - expected) < FALSE_ALARM * sd + start


def test_spikes_without_dead_time_are_poisson_also_several_in_a_step():
    """Mean 1.6 a step; false-alarm rates: mean and variance 2e-6 each."""
    lam = 1.6
    parameters = NeuronParameters(dead_time_ms=0, c1_hz_per_mv=0, c2_hz=1000 * lam, c3_per_mv=0)
    spikes, bap = run(PoissonDoubleExpNeurons(100, parameters, seed=4), 2000)
    n = spikes.size
    assert abs(spikes.mean() - lam) < FALSE_ALARM * np.sqrt(lam / n)
    assert abs(spikes.astype(float).var() - lam) < FALSE_ALARM * np.sqrt((lam + 2 * lam**2) / n)
    np.testing.assert_allclose(bap, spikes - lam, atol=1e-6)


def test_homeostasis_brings_the_target_rate_about_for_any_input():
    """What E takes back equals the spikes: the rate differs from the target by (change of E) / (speed x time)."""
    for i_e_mv in (-4.0, 3.0):
        parameters = NeuronParameters(i_e_mv=i_e_mv, target_rate_hz=7, target_adaptation_speed_mv=0.5, dead_time_ms=5)
        neurons = PoissonDoubleExpNeurons(40, parameters, seed=6)
        run(neurons, 60_000)
        settled = neurons.threshold_mv
        spikes, _ = run(neurons, 60_000)
        moved = (neurons.threshold_mv - settled) / 0.5
        np.testing.assert_allclose(spikes.sum(axis=0), 60 * 7 + moved, rtol=1e-9)
        assert abs(spikes.mean() * 1000 - 7) < 0.2
        assert np.abs(moved).max() < 60


def test_float32_keeps_slow_adaptation():
    parameters = NeuronParameters(target_rate_hz=5, target_adaptation_speed_mv=0.002, **SILENT)
    neurons = PoissonDoubleExpNeurons(1, parameters, dt_ms=0.1)
    neurons.threshold_mv = [[5.0]]
    run(neurons, 10_000)
    assert neurons.threshold_mv[0, 0] == pytest.approx(5 - 0.002 * 5, abs=1e-9)


def test_trace_has_mean_zero_and_is_the_score():
    """d log P(spikes) / dI_e by differences of a log-probability written out here, with the same spikes."""
    exc, inh, _ = noisy_input(1000, 1, 1)
    exc *= 0.3
    parameters: dict[str, Any] = {"c2_hz": 1.0, "c3_per_mv": 1.0, "dead_time_ms": 2.0, "with_reset": False}
    neurons = PoissonDoubleExpNeurons(1, NeuronParameters(i_e_mv=2, **parameters), dtype=np.float64, seed=8)
    silent = PoissonDoubleExpNeurons(1, NeuronParameters(i_e_mv=2, **SILENT, with_reset=False), dtype=np.float64)
    spikes, bap = (array[:, 0, 0] for array in neurons.advance(exc, inh))
    assert spikes.sum() > 10
    v = potentials(silent, exc, inh)
    free = (np.r_[0, spikes[:-1]] + np.r_[0, 0, spikes[:-2]]) == 0

    def log_likelihood(shift):
        mean = np.exp(v + shift) / 1000
        return np.where(spikes, np.log(-np.expm1(-mean)), -mean)

    score = (log_likelihood(1e-5) - log_likelihood(-1e-5)) / 2e-5 * free
    assert (np.abs(bap - score) <= np.exp(v) / 1000 + 1e-9).all()
    assert np.abs(score).sum() > 10 * np.abs(bap - score).sum()
    assert (bap[~free] == 0).all()

    # The sum of a martingale with conditional variance p (1 - p): false-alarm rate 2e-6.
    many = PoissonDoubleExpNeurons(200, NeuronParameters(i_e_mv=12), seed=9, dtype=np.float64)
    spikes, bap = run(many, 3000)
    variance = np.where(bap == 0, 0, (spikes - bap) * (1 - (spikes - bap))).sum()
    assert abs(bap.sum()) < FALSE_ALARM * np.sqrt(variance)


def test_trace_without_dead_time_is_the_score_exactly():
    parameters = NeuronParameters(dead_time_ms=0, c2_hz=400, c3_per_mv=1, i_e_mv=0.5)
    spikes, bap = run(PoissonDoubleExpNeurons(5, parameters, dtype=np.float64), 200)
    assert spikes.max() > 1
    assert bap == pytest.approx(spikes - 0.4 * np.exp(0.5))


def test_silent_for_the_dead_time_rounded_up_to_steps():
    for dead_time_ms, dt_ms, silent in ((5, 1, 5), (0.3, 1, 1), (1, 0.1, 10), (1.1, 0.1, 11), (2.5, 1, 3), (0, 1, 0)):
        parameters = NeuronParameters(dead_time_ms=dead_time_ms, c2_hz=1e9, c3_per_mv=0, with_reset=False)
        spikes, _ = run(PoissonDoubleExpNeurons(1, parameters, dt_ms=dt_ms), 40)
        assert np.flatnonzero(spikes[:, 0, 0]).tolist() == list(range(0, 40, silent + 1))


def test_a_spike_resets_potentials_only_where_asked():
    exc = constant(3, 1, 1)
    exc[0] = 10
    for with_reset in (True, False):
        neurons = PoissonDoubleExpNeurons(
            1, NeuronParameters(c2_hz=1e9, c3_per_mv=0, with_reset=with_reset, dead_time_ms=9), dtype=np.float64
        )
        spikes, _ = neurons.advance(exc, 0 * exc)
        assert spikes[:, 0, 0].tolist() == [1, 0, 0]
        assert (neurons.psp_mv == 0).all() == with_reset
        assert neurons.v_mv[0, 0] == pytest.approx(0 if with_reset else 5.9662, abs=1e-4)


def test_extreme_potentials_stay_finite():
    for value in (1e30, -1e30):
        for c1, c2, dead in ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
            parameters = NeuronParameters(i_e_mv=value, c1_hz_per_mv=c1, c2_hz=c2, c3_per_mv=1, dead_time_ms=dead)
            spikes, bap = run(PoissonDoubleExpNeurons(2, parameters), 20)
            assert np.isfinite(bap).all()
            assert spikes.any() == (value > 0 and c1 + c2 > 0)


def test_a_negative_rate_is_none():
    parameters = NeuronParameters(i_e_mv=-5, c1_hz_per_mv=10, c2_hz=0)
    spikes, bap = run(PoissonDoubleExpNeurons(2, parameters), 50)
    assert not spikes.any()
    assert not bap.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_calls_or_neighbours(dtype):
    exc, inh, current = noisy_input(60, 3, 5)
    parameters = NeuronParameters(i_e_mv=14, target_adaptation_speed_mv=0.1)

    def fresh(batch_size):
        return PoissonDoubleExpNeurons(5, parameters, batch_size=batch_size, seed=11, dtype=dtype)

    whole = fresh(3)
    start = whole.state_dict()
    spikes, bap = whole.advance(exc, inh, current)
    assert spikes.sum() > 10
    cut = fresh(3)
    parts = [cut.advance(exc[a:b], inh[a:b], current[a:b]) for a, b in ((0, 1), (1, 8), (8, 8), (8, 60))]
    for k, expected in enumerate((spikes, bap)):
        assert np.concatenate([part[k] for part in parts]).tobytes() == expected.tobytes()
    for b in range(3):
        alone = fresh(1)
        alone.load_state_dict({name: array[b : b + 1] for name, array in start.items()})
        own = slice(b, b + 1)
        lone_spikes, lone_bap = alone.advance(exc[:, own], inh[:, own], current[:, own])
        assert lone_spikes.tobytes() == spikes[:, own].tobytes()
        assert lone_bap.tobytes() == bap[:, own].tobytes()
    first = fresh(1).advance(exc[:, :1], inh[:, :1], current[:, :1])[1]
    assert first.tobytes() == bap[:, :1].tobytes()
    other = PoissonDoubleExpNeurons(5, parameters, batch_size=3, seed=12, dtype=dtype).advance(exc, inh, current)[0]
    assert other.tobytes() != spikes.tobytes()


def test_state_goes_on_bit_for_bit_and_reading_changes_nothing():
    exc, inh, current = noisy_input(50, 2, 4)
    parameters = NeuronParameters(i_e_mv=16, dead_time_ms=6, target_adaptation_speed_mv=0.4)
    first = PoissonDoubleExpNeurons(4, parameters, batch_size=2, seed=1)
    first.advance(exc, inh, current)
    state = first.state_dict()
    second = PoissonDoubleExpNeurons(4, parameters, batch_size=2, seed=99)
    second.load_state_dict(state)
    for array in (first.v_mv, first.psp_mv, first.threshold_mv, first.refractory_steps, *state.values()):
        array[:] = 1
    expected = first.advance(exc, inh, current)
    for given, right in zip(second.advance(exc, inh, current), expected, strict=True):
        assert given.tobytes() == right.tobytes()


def test_state_can_be_set():
    neurons = PoissonDoubleExpNeurons(2, NeuronParameters(**SILENT), dtype=np.float64)
    neurons.psp_mv = [[[1, 1], [3, 1], [0, 0], [0, 0]]]
    neurons.threshold_mv = [[1, 2]]
    neurons.refractory_steps = [[3, 0]]
    run(neurons, 1)
    expected = 20 / 18 * (3 * np.exp(-1 / 20) - np.exp(-1 / 2))
    assert neurons.v_mv[0, 0] == pytest.approx(expected)
    assert neurons.threshold_mv.tolist() == [[1, 2]]
    assert neurons.refractory_steps.tolist() == [[2, 0]]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("tau_rise_exc_ms", 0, "> 0"),
        ("tau_fall_inh_ms", -1, "> 0"),
        ("tau_rise_exc_ms", 20, "must differ"),
        ("dead_time_ms", -1, ">= 0"),
        ("c3_per_mv", -0.1, ">= 0"),
        ("target_rate_hz", -1, ">= 0"),
        ("target_adaptation_speed_mv", float("nan"), ">= 0"),
        ("c2_hz", float("inf"), "finite"),
        ("i_e_mv", "3", "finite"),
        ("with_reset", 1, "True or False"),
    ],
)
def test_parameters_out_of_range_are_refused(name, value, allowed):
    with pytest.raises(NeuroctlError, match=f"{name}.*{allowed}") as error:
        NeuronParameters(**{name: value})
    assert "\n" not in str(error.value)


def test_bad_input_is_refused():
    wrong: list[dict[str, Any]] = [{"size": 0}, {"batch_size": 0}, {"dt_ms": 0}, {"dtype": "no"}, {"seed": -1}]
    for options in [*wrong, {"dtype": np.int32}]:
        with pytest.raises(NeuroctlError):
            PoissonDoubleExpNeurons(**({"size": 2} | options))
    neurons = PoissonDoubleExpNeurons(2)
    good = constant(3, 1, 2)
    for bad in (good[0], good[:2], good[:, :, :1], good.astype(str)):
        with pytest.raises(NeuroctlError, match=r"inh must be numbers of shape \(3, 1, 2\)"):
            neurons.advance(good, bad)
    with pytest.raises(NonFiniteError, match="current has a value that is not finite: nan"):
        neurons.advance(good, good, good * np.nan)
    with pytest.raises(NeuroctlError, match="refractory_steps must be whole numbers from 0 .* -1"):
        neurons.refractory_steps = [[-1, 0]]
    with pytest.raises(NeuroctlError, match="threshold_mv must be numbers of shape"):
        neurons.threshold_mv = [1.0]


def test_state_of_other_neurons_is_refused_and_changes_nothing():
    neurons = PoissonDoubleExpNeurons(2)
    before = neurons.state_dict()
    for other in (PoissonDoubleExpNeurons(3), PoissonDoubleExpNeurons(2, dtype=np.float64)):
        with pytest.raises(NeuroctlError, match="psp in the state of neurons 'neurons' is"):
            neurons.load_state_dict(other.state_dict())
    with pytest.raises(NeuroctlError, match="has no array 'streams'"):
        neurons.load_state_dict({name: before[name] + 1 for name in before if name != "streams"})
    for name, array in neurons.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
