"""A whole update interval at once equals the rule written down plainly, step by step, in float64."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSampling, SynapticSamplingParameters
from tests.agents.spiking.plain_random import PlainStream
from tests.agents.spiking.plain_synapse import PlainSynapses

PRE, POST, PARALLEL, STEPS, SEED = 3, 2, 2, 830, 5
READ = {"theta": "theta", "eligibility": "e", "gradient": "g"}
BASE = SynapticSamplingParameters(
    learning_rate=5e-4, temperature=0.4, episode_length=200.0, integration_time=2000.0, prior_mean=0.3, max_param=3.0
)
RNG = np.random.default_rng(8)
MASK = np.array([[True, False], [False, True], [True, True]])
CASES = {
    "base": BASE,
    "no noise": replace(BASE, temperature=0.0),
    "direct gradient": replace(BASE, direct_gradient_rate=20.0),
    "gradient noise": replace(BASE, gradient_noise=0.5),
    "prior per synapse": replace(
        BASE, prior_mean=RNG.normal(0, 1, (PRE, POST)), prior_precision=RNG.uniform(0, 2, (PRE, POST))
    ),
    "early cut-off": replace(BASE, psp_cutoff_amplitude=0.3),
    "cut-off at once": replace(BASE, psp_cutoff_amplitude=2.0),
    "no cut-off": replace(BASE, psp_cutoff_amplitude=0.0),
    "traces kept": replace(BASE, simulate_retracted_synapses=True, gradient_noise=0.5, direct_gradient_rate=20.0),
    "negative weights": replace(BASE, weight_scale=-2.0),
    "clipped": replace(BASE, max_param_change=0.02, gradient_scale=3.0),
}
OPTIONS: dict[str, Any] = {"half steps": {"dt_ms": 0.5}, "some pairs": {"exists": MASK}}


def history(seed=1, steps=STEPS, batch=1):
    """Bursts of spikes, a trace that follows no law, and a reward with jumps, within and across intervals."""
    rng = np.random.default_rng(seed)
    spikes = rng.poisson(0.04 * (rng.random((steps, batch, PRE)) < 0.8), (steps, batch, PRE)).astype(np.uint8)
    spikes[5, :, 0], spikes[300:500, :, 1] = 3, 0
    reward = np.repeat(rng.normal(0, 1, (-(-steps // 10), batch)), 10, axis=0)[:steps]
    return spikes, rng.normal(0, 0.3, (steps, batch, POST)), reward


def rule(parameters, compat, **options):
    return SynapticSampling(
        PRE,
        POST,
        parameters,
        seed=SEED,
        dtype=np.float64,
        synapses_per_pair=PARALLEL,
        compat=compat,
        initial=(0.6, 0.8),
        **options,
    )


def plain(parameters, compat, exists=None, dt_ms=1.0):
    stream = PlainStream(SEED, "synapses")
    theta = 0.6 + 0.8 * stream.standard_normal((PRE, PARALLEL, POST))
    exists = None if exists is None else np.repeat(exists[:, None], PARALLEL, axis=1)
    return PlainSynapses(theta, parameters, stream, dt_ms, compat, exists)


def advance(synapses, data, chunk):
    for start in range(0, len(data[0]), chunk):
        synapses.advance(*(array[start : start + chunk] for array in data))


def assert_equals_plain(synapses, oracle):
    mask = synapses.exists[0]
    for name, short in READ.items():
        mine, other = getattr(synapses, name)[0], np.moveaxis(oracle.read(short), 1, 2)
        scale = np.abs(other).max() + 1e-300
        assert np.abs(mine - other)[mask].max() <= 1e-10 * max(scale, 1e-3), name
    w = oracle.read("w").sum(axis=1) if not synapses.compat else np.maximum(oracle.read("w"), 0).sum(axis=1)
    assert synapses.weight[0] == pytest.approx(w, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("case", [*CASES, *OPTIONS])
def test_chunks_equal_single_steps(case, compat):
    """Two and a half intervals in, and at the end; all ways to cut the steps give the same bits."""
    parameters, options = CASES.get(case, BASE), OPTIONS.get(case, {})
    data = history()
    oracle = plain(parameters, compat, **options)
    for part in (slice(0, 250), slice(250, None)):
        oracle.advance(*(array[part, 0] for array in data))
        if part.stop:
            midway = rule(parameters, compat, **options)
            advance(midway, [array[part] for array in data], 20)
            assert_equals_plain(midway, oracle)
    states = []
    for chunk in (1, 7, 20, 100, 250):
        synapses = rule(parameters, compat, **options)
        advance(synapses, data, chunk)
        states.append(synapses.state_dict())
        assert_equals_plain(synapses, oracle)
    for other in states[1:]:
        assert all(np.array_equal(states[0][name], other[name]) for name in other)


@pytest.mark.parametrize("compat", [False, True])
def test_the_history_holds_what_the_comparison_is_for(compat):
    """Synapses retract and form again with traces; some are active, some not."""
    synapses = rule(BASE, compat)
    advance(synapses, history(), 20)
    counts = synapses.counts()
    assert counts["retractions"][0] >= 2
    assert counts["formations"][0] >= 2
    assert 0 < synapses.statistics()["active"][0] < 1
    assert (synapses.eligibility != 0).any()


def test_a_learning_rate_that_changes_within_an_interval_is_followed():
    parameters, data = replace(BASE, direct_gradient_rate=20.0), history()
    synapses, oracle = rule(parameters, False), plain(parameters, False)
    for n, start in enumerate(range(0, STEPS, 40)):
        part = slice(start, start + 40)
        synapses.learning_rate = 1e-4 * (1 + n % 4)
        synapses.temperature = 0.1 * (1 + n % 3)
        for cell in oracle.cells.values():
            cell.beta, cell.T = synapses.learning_rate, synapses.temperature
        synapses.advance(*(array[part] for array in data))
        oracle.advance(*(array[part, 0] for array in data))
        assert_equals_plain(synapses, oracle)


def test_parameters_set_within_an_interval_are_followed():
    """What happened before is learned with the old weights, what comes after with the new ones."""
    data, at = history(), 330
    synapses, oracle = rule(BASE, False), plain(BASE, False)
    synapses.advance(*(array[:at] for array in data))
    oracle.advance(*(array[:at, 0] for array in data))
    theta = np.linspace(-1, 2, PRE * PARALLEL * POST).reshape(1, PRE, POST, PARALLEL)
    synapses.theta = theta
    for (i, k, j), cell in oracle.cells.items():
        active = cell.w != 0
        cell.theta = theta[0, i, j, k]
        cell.w = cell.mapped()
        if active and cell.w == 0:
            cell.e = cell.g = 0.0
    assert_equals_plain(synapses, oracle)
    synapses.advance(*(array[at:] for array in data))
    oracle.advance(*(array[at:, 0] for array in data))
    assert_equals_plain(synapses, oracle)


def test_single_precision_is_close():
    data = history()
    double = rule(replace(BASE, temperature=0.0), False)
    single = SynapticSampling(PRE, POST, double.parameters, seed=SEED, synapses_per_pair=PARALLEL, initial=(0.6, 0.8))
    for synapses in (double, single):
        advance(synapses, data, 20)
    assert single.eligibility.dtype == single.weight.dtype == np.float32
    for name in READ:
        assert getattr(single, name) == pytest.approx(getattr(double, name), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("num_pre", [1, 7, 8, 9, 17])
def test_every_spike_counts_whatever_the_number_of_neurons(num_pre):
    """One spike of each neuron in a step of its own; e is the sum over later steps of the potential times bap."""
    steps = 40
    parameters = SynapticSamplingParameters(learning_rate=0.0, temperature=0.0, parameter_mapping_offset=0.0)
    synapses = SynapticSampling(num_pre, 1, parameters, dtype=np.float64, initial=(0.0, 0.0))
    spikes = np.zeros((steps, 1, num_pre), np.uint8)
    spikes[np.arange(num_pre), 0, np.arange(num_pre)] = 1 + np.arange(num_pre) * 15
    bap = np.random.default_rng(0).normal(size=(steps, 1, 1))
    synapses.advance(spikes, bap, np.zeros((steps, 1)))
    age = np.arange(1, steps + 1)
    kernel = (np.exp(-age / 20) - np.exp(-age / 2)) / 0.9
    late = np.exp(-(steps - age) / 1000)
    expected = [(1 + 15 * i) * (kernel[: steps - i] * (bap[:, 0, 0] * late)[i:]).sum() for i in range(num_pre)]
    assert synapses.eligibility[0, :, 0] == pytest.approx(expected, rel=1e-12)


def test_traces_of_silent_inputs_do_not_linger_among_the_smallest_numbers():
    parameters = SynapticSamplingParameters(episode_length=20, integration_time=50)
    synapses = SynapticSampling(3, 2, parameters, initial=(1.0, 0.0))
    synapses.eligibility, synapses.gradient = np.full((2, 1, 3, 2), 1e-3)
    silent = np.zeros((100, 1, 3)), np.full((100, 1, 2), 0.1), np.ones((100, 1))
    seen = []
    for _ in range(60):
        synapses.advance(*silent)
        seen.append([np.abs(synapses.eligibility).max(), np.abs(synapses.gradient).max()])
    tiny = np.finfo(np.float32).tiny
    values = np.array(seen)
    assert (values[:10, 0] > tiny).all() and values[-1].tolist() == [0, 0]
    assert not ((values > 0) & (values < tiny)).any()
