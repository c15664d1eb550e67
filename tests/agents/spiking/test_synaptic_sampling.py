"""Published and analytic values of the learning rule, its statistics, and the promises of its interface.

Statistical tests have fixed seeds and bounds of 4.5 standard errors: under the law that is tested, a fresh seed would
break one of them with probability 7e-6.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSampling, SynapticSamplingParameters
from neuroctl.agents.spiking.eligibility_parameters import NodePerturbationParameters
from neuroctl.errors import NeuroctlError, NonFiniteError
from tests.agents.spiking.plain_random import PlainStream
from tests.agents.spiking.plain_synapse import PlainSynapses

SIGMAS = 4.5
STDP = SynapticSamplingParameters(
    learning_rate=1e-4,
    temperature=0.0,
    episode_length=100.0,
    integration_time=10_000.0,
    max_param=100.0,
    min_param=-100.0,
    max_param_change=100.0,
)
"""Those of the reward test in the test suite of the NEST module."""
FIXED = SynapticSamplingParameters(learning_rate=0.0, temperature=0.0, parameter_mapping_offset=0.0)
"""Weights that stay; 1 at theta = 0."""


def at(times, steps, value=1, dtype=np.uint8):
    out = np.zeros((steps, 1, 1), dtype)
    out[times] = value
    return out


def single(parameters, theta, **options):
    return SynapticSampling(1, 1, parameters, dtype=np.float64, initial=(theta, 0.0), **options)


def state_after(synapses, times, spikes, bap, reward):
    """`{time: (theta, e, g)}` of a single synapse."""
    out, start = {}, 0
    for time in times:
        synapses.advance(spikes[start:time], bap[start:time], reward[start:time])
        start = time
        out[time] = tuple(float(a[0, 0, 0]) for a in (synapses.theta, synapses.eligibility, synapses.gradient))
    return out


def noise_only(steps, batch, num_pre, num_post):
    return np.zeros((steps, batch, num_pre), np.uint8), np.zeros((steps, batch, num_post)), np.zeros((steps, batch))


def random_steps(steps, batch, num_pre, num_post, seed=0):
    rng = np.random.default_rng(seed)
    spikes = (rng.random((steps, batch, num_pre)) < 0.05).astype(np.uint8)
    return spikes, rng.normal(0, 0.2, (steps, batch, num_post)), rng.normal(0, 1, (steps, batch))


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("compat", [True, False])
def test_reward_table_of_the_nest_module(compat):
    """Five spikes, bap = reward = -0.2, and 0 in the step before each spike, as the module's test delivers them."""
    signal = at([9, 14, 19, 24, 49], 9900, 0.0, np.float64)
    signal[:] = -0.2
    signal[[9, 14, 19, 24, 49]] = 0.0
    expected = {
        100: 1.1941197605580636,
        200: 1.5774259143750948,
        300: 2.0259103145644266,
        1000: 5.175749451568903,
        5000: 16.13521360603509,
        9900: 19.368875639676705,
    }
    found = state_after(
        single(STDP, 1.0, compat=compat), expected, at([10, 15, 20, 25, 50], 9900), signal, signal[:, :, 0]
    )
    assert {time: state[0] for time, state in found.items()} == pytest.approx(expected, rel=1e-13)
    assert found[100][1:] == pytest.approx((-1.4518726099, 20.4119760558), abs=5e-11)


@pytest.mark.parametrize("compat", [True, False])
def test_reward_table_with_constant_signals(compat):
    signal = np.full((1000, 1, 1), -0.2)
    found = state_after(
        single(STDP, 1.0, compat=compat), (100, 1000), at([10, 15, 20, 25, 50], 1000), signal, signal[:, :, 0]
    )
    assert found[100] == pytest.approx((1.2123838095, -1.5184044182, 22.2383809543), abs=5e-11)
    assert found[1000][0] == pytest.approx(5.4484495748, abs=5e-11)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("mean", [0.0, -0.4])
def test_without_spikes_theta_goes_to_the_prior(compat, mean):
    """theta_n = mu + (theta_0 - mu) (1 - beta U c_p)^n."""
    synapses = single(replace(STDP, prior_mean=mean), 1.0, compat=compat)
    for n in range(1, 100):
        synapses.advance(*noise_only(100, 1, 1, 1))
        assert synapses.theta[0, 0, 0] == pytest.approx(mean + (1 - mean) * 0.99**n, abs=1e-14)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize(
    ("mean", "survivors"),
    [(-1.0, {200: 98, 400: 96, 600: 94, 4800: 39, 5000: 36}), (-2.0, {200: 97, 400: 93, 4200: 0})],
)
def test_survivors_of_the_nest_module(compat, mean, survivors):
    """The module deletes what was retracted when it looks, every 200 ms: it sees the update 100 ms before.

    Here retracted synapses stay, so its survivors are those that were active at all updates up to then.
    """
    parameters = replace(STDP, prior_mean=mean, gradient_scale=0.0)
    synapses = SynapticSampling(1, 100, parameters, dtype=np.float64, compat=compat)
    synapses.theta = np.arange(100).reshape(1, 1, 100) / 100
    alive, found = np.ones(100, bool), {}
    for time in range(100, 5000, 100):
        synapses.advance(*noise_only(100, 1, 1, 100))
        alive &= synapses.weight[0, 0] > 0
        found[time + 100] = alive.sum()
    assert {time: found[time] for time in survivors} == survivors


def test_first_retraction_of_one_synapse():
    synapses = single(replace(STDP, prior_mean=-1.0), 0.5)
    for update in range(1, 42):
        assert synapses.weight[0, 0, 0] > 0, update
        synapses.advance(*noise_only(100, 1, 1, 1))
    assert synapses.weight[0, 0, 0] == 0
    assert synapses.theta[0, 0, 0] == pytest.approx(-0.0065769385, abs=5e-11)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize(
    ("age_ms", "height"),
    [(1, 0.382999), (2, 0.596620), (5, 0.774129), (10, 0.666436), (20, 0.408704), (50, 0.091206)],
)
def test_potential_of_one_spike(compat, age_ms, height):
    """bap = 1 in one step only: e is the kernel (exp(-t/20) - exp(-t/2)) / 0.9 at that step's end."""
    steps = 10 + age_ms
    bap = at([steps - 1], steps, 1.0, np.float64)
    found = state_after(single(FIXED, 0.0, compat=compat), (steps,), at([10], steps), bap, np.zeros((steps, 1)))
    assert found[steps][1] == pytest.approx(height, abs=5e-7)


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize(("step", "e_at_100"), [(10, 0.350385), (14, 0.711047), (20, 0.588165), (60, 0.083439)])
def test_eligibility_of_one_pair(compat, step, e_at_100):
    bap = at([step], 100, 1.0, np.float64)
    found = state_after(single(FIXED, 0.0, compat=compat), (100,), at([10], 100), bap, np.zeros((100, 1)))
    assert found[100][1] == pytest.approx(e_at_100, abs=5e-7)


@pytest.mark.parametrize("compat", [True, False])
def test_gradient_of_one_pair_and_one_reward(compat):
    bap, reward = at([20], 200, 1.0, np.float64), at([50], 200, 1.0, np.float64)[:, :, 0]
    found = state_after(single(FIXED, 0.0, compat=compat), (100, 200), at([10], 200), bap, reward)
    assert found[100][2] == pytest.approx(0.617098, abs=5e-7)
    assert found[200][2] == pytest.approx(0.615865, abs=5e-7)


@pytest.mark.parametrize(
    ("rate", "precision", "temperature", "mean", "updates"),
    [(0.05, 0.25, 0.1, 0.0, 900), (0.2, 1.0, 0.5, 0.5, 80)],
)
def test_stationary_law(rate, precision, temperature, mean, updates):
    """Without likelihood theta ~ N(mu, T / c_p / (1 - beta U c_p / 2)), with autocorrelation (1 - beta U c_p)^n."""
    parameters = SynapticSamplingParameters(
        learning_rate=rate / 100,
        temperature=temperature,
        prior_mean=mean,
        prior_precision=precision,
        min_param=-100.0,
        max_param=100.0,
    )
    n, lag = 20_000, 3
    synapses = SynapticSampling(100, 200, parameters, dt_ms=100.0, seed=3, initial=(0.2, 0.2))
    synapses.advance(*noise_only(updates, 1, 100, 200))
    before = synapses.theta - mean
    synapses.advance(*noise_only(lag, 1, 100, 200))
    theta = synapses.theta
    variance = temperature / precision / (1 - rate * precision / 2)
    assert theta.mean() == pytest.approx(mean, abs=SIGMAS * np.sqrt(variance / n))
    assert theta.var() == pytest.approx(variance, rel=SIGMAS * np.sqrt(2 / n))
    assert ((theta - mean) ** 4).mean() == pytest.approx(3 * variance**2, rel=SIGMAS * np.sqrt(96 / 9 / n))
    correlation = (before * (theta - mean)).mean() / variance
    assert correlation == pytest.approx((1 - rate * precision) ** lag, abs=SIGMAS * np.sqrt(2 / n))
    retracted = {0.0: 0.5, 0.5: 0.251149}[mean]  # Phi(-mu / sd)
    assert (theta < 0).mean() == pytest.approx(retracted, abs=SIGMAS * np.sqrt(retracted * (1 - retracted) / n))
    assert synapses.statistics()["active"][0] == (theta >= 0).mean()


def test_gradient_noise_has_its_variance():
    """One update of the traces adds N(0, 2 T_g beta U) to g of active synapses, and nothing to retracted ones."""
    parameters = replace(FIXED, learning_rate=1e-3, gradient_noise=0.5, gradient_scale=0.0, prior_precision=0.0)
    synapses = SynapticSampling(100, 100, parameters, initial=(0.0, 1.0), seed=2)
    active = synapses.weight != 0
    synapses.advance(*noise_only(100, 1, 100, 100))
    g = synapses.gradient
    assert (g[~active] == 0).all()
    assert g[active].var() == pytest.approx(2 * 0.5 * 0.1, rel=SIGMAS * np.sqrt(2 / active.sum()))


def test_constant_reward_has_no_gradient():
    """E[bap] = 0 given the past, so E[g] = 0; and theta does not drift on the mean."""
    num_post, p = 600, 0.05
    rng = np.random.default_rng(4)
    spikes = (rng.random((1000, 1, 4)) < 0.1).astype(np.uint8)
    bap = (rng.random((1000, 1, num_post)) < p) - p
    synapses = SynapticSampling(
        4, num_post, replace(FIXED, learning_rate=1e-6, prior_precision=0.0), initial=(1.0, 0.0)
    )
    synapses.advance(spikes, bap, np.ones((1000, 1)))
    for values in (synapses.gradient[0], synapses.theta[0] - 1.0):
        error = values.std(axis=1) / np.sqrt(num_post)
        assert (error > 0).all()
        assert (np.abs(values.mean(axis=1)) < SIGMAS * error).all()


def test_reward_for_a_spike_in_its_own_step():
    """Without memory E[reward bap] = p (1 - p), and g sums reward y bap."""
    steps, p = 100_000, 0.02
    parameters = replace(FIXED, episode_length=0.01, integration_time=1e12, psp_tau_fall=0.5, psp_tau_rise=0.1)
    fired = np.random.default_rng(6).random((steps, 1, 1)) < p
    synapses = single(parameters, 0.0)
    synapses.advance(np.ones((steps, 1, 1), np.uint8), fired - p, fired[:, :, 0])
    age = np.arange(1, 200)
    potential = ((np.exp(-age / 0.5) - np.exp(-age / 0.1)) / 0.8).sum()
    error = (1 - p) * np.sqrt(p * (1 - p) / steps)
    assert synapses.gradient[0, 0, 0] / potential / steps == pytest.approx(p * (1 - p), abs=SIGMAS * error)


def test_magnitudes_do_not_depend_on_the_step():
    """The same spikes in continuous time: e and g converge as the step gets shorter, at first order."""
    found = []
    for per_ms in (1, 2, 4, 8):
        steps, dt = 300 * per_ms, 1 / per_ms
        fired = at([40 * per_ms, 90 * per_ms, 200 * per_ms], steps)
        bap = fired - 0.005 * dt  # a rate of 5 Hz was expected
        reward = 1 + np.sin(np.arange(steps)[:, None] * dt / 50)
        synapses = single(FIXED, 0.0, dt_ms=dt)
        synapses.advance(at([20 * per_ms, 80 * per_ms, 150 * per_ms], steps), bap, reward)
        found.append((synapses.eligibility[0, 0, 0], synapses.gradient[0, 0, 0]))
    changes = np.abs(np.diff(np.array(found), axis=0))
    assert (changes[0] / np.abs(found[-1]) < 0.06).all()
    assert changes[:-1] / changes[1:] == pytest.approx(np.full((2, 2), 2.0), rel=0.15)


def test_a_synapse_that_forms_again_sees_no_old_spikes():
    """Unless it is to behave like the module, where potentials of retracted synapses collect spikes and stand still."""
    spikes, bap = at(slice(0, 100), 300), at([250], 300, 1.0, np.float64)
    found = {}
    for compat in (False, True):
        synapses = single(FIXED, -1.0, compat=compat)
        synapses.advance(spikes[:200], bap[:200], np.zeros((200, 1)))
        synapses.theta = [[[0.0]]]
        synapses.advance(spikes[200:], bap[200:], np.zeros((100, 1)))
        found[compat] = synapses.eligibility[0, 0, 0] * np.exp(49 / 1000)
    age = np.arange(152, 252)
    exact = ((np.exp(-age / 20) - np.exp(-age / 2)) / 0.9).sum()
    assert found[False] == pytest.approx(exact, rel=1e-9)
    jump = 100 * (np.exp(-51 / 20) - np.exp(-51 / 2)) / 0.9
    assert found[True] == pytest.approx(jump, rel=1e-9)


def test_negative_weights_transmit_except_in_compatible_mode():
    parameters = replace(FIXED, weight_scale=-2.0)
    assert single(parameters, 0.5).weight[0, 0, 0] == pytest.approx(-2 * np.exp(0.5))
    assert single(parameters, 0.5, compat=True).weight[0, 0, 0] == 0


def test_weights_change_only_where_a_step_ends_an_interval():
    synapses = SynapticSampling(4, 3, replace(STDP, temperature=0.1, weight_update_interval=20.0), initial=(1.0, 0.5))
    data = random_steps(60, 1, 4, 3)
    weight = synapses.weight
    for step in range(60):
        until = synapses.steps_until_update
        assert until == 20 - step % 20
        synapses.advance(*(array[step : step + 1] for array in data))
        assert np.array_equal(synapses.weight, weight) == (until > 1)
        weight = synapses.weight


def test_weight_is_the_sum_over_parallel_synapses():
    synapses = SynapticSampling(2, 3, synapses_per_pair=4, initial=(0.0, 1.0), dtype=np.float64)
    theta = synapses.theta
    assert theta.shape == (1, 2, 3, 4)
    assert synapses.weight == pytest.approx(np.where(theta >= 0, np.exp(theta - 3), 0).sum(axis=3), rel=1e-14)


@pytest.mark.parametrize("compat", [False, True])
def test_reading_changes_nothing(compat):
    data = random_steps(250, 2, 6, 3)
    quiet, read = (SynapticSampling(6, 3, batch_size=2, compat=compat, initial=(0.5, 0.5)) for _ in range(2))
    for start in range(0, 250, 10):
        for synapses in (quiet, read):
            synapses.advance(*(array[start : start + 10] for array in data))
        for name in ("theta", "weight", "eligibility", "gradient", "exists"):
            array = getattr(read, name)
            array[...] = 1
        read.state_dict()["synapses/theta"][...] = 1
        read.statistics()
        for array in (read.num_active, *read.counts().values()):
            array[...] = 1
    assert same(quiet.state_dict(), read.state_dict())


@pytest.mark.parametrize("compat", [False, True])
def test_an_agent_does_not_depend_on_the_agents_beside_it(compat):
    options = {"compat": compat, "seed": 9, "initial": (0.5, 0.5)}
    parameters = SynapticSamplingParameters(learning_rate=1e-5, gradient_noise=0.1, direct_gradient_rate=1.0)
    three = SynapticSampling(6, 5, parameters, batch_size=3, **options)
    data = random_steps(470, 3, 6, 5)
    three.advance(*(array[:130] for array in data))
    state = three.state_dict()
    three.advance(*(array[130:] for array in data))
    for b in range(3):
        alone = SynapticSampling(6, 5, parameters, **options)
        if b == 0:
            alone.advance(*(array[:130, :1] for array in data))
        else:
            row = {name: a[b : b + 1] for name, a in state.items() if name in ("turnover", "streams", "exists")}
            row |= {name: a[b : b + 1] for name, a in state.items() if name.startswith("synapses/")}
            row |= {name: a[:, b : b + 1] for name, a in state.items() if name.startswith("steps/")}
            alone.load_state_dict({**state, **row, "topology": alone.state_dict()["topology"]})
        alone.advance(*(array[130:, b : b + 1] for array in data))
        for name in ("theta", "weight", "eligibility", "gradient"):
            assert np.array_equal(getattr(alone, name)[0], getattr(three, name)[b])


def test_each_agent_has_a_stream_of_its_own():
    wide = SynapticSamplingParameters(min_param=-99.0, max_param=99.0)
    synapses = SynapticSampling(3, 4, wide, batch_size=2, seed=7, initial=(1.0, 2.0))
    for b in range(2):
        expected = 1 + 2 * PlainStream(7, "synapses", b).standard_normal((3, 4))
        assert np.array_equal(synapses.theta[b], expected)


@pytest.mark.parametrize("compat", [False, True])
@pytest.mark.parametrize("at_step", [100, 137])
def test_a_restored_rule_goes_on_bit_for_bit(compat, at_step):
    parameters = replace(STDP, temperature=0.3, gradient_noise=0.1, direct_gradient_rate=0.1)
    options = {"batch_size": 2, "compat": compat, "synapses_per_pair": 2, "initial": (0.5, 0.5)}
    data = random_steps(400, 2, 5, 3)
    first = SynapticSampling(5, 3, parameters, seed=1, **options)
    first.learning_rate, first.temperature = 2e-4, 0.2
    first.advance(*(array[:at_step] for array in data))
    second = SynapticSampling(5, 3, parameters, seed=2, **options)
    second.advance(*(array[:61] for array in data))
    second.load_state_dict(first.state_dict())
    for synapses in (first, second):
        synapses.advance(*(array[at_step:] for array in data))
    assert same(first.state_dict(), second.state_dict())


def test_a_state_that_does_not_fit_is_refused():
    synapses = SynapticSampling(4, 3)
    synapses.advance(*random_steps(130, 1, 4, 3))
    before = synapses.state_dict()
    others = [
        SynapticSampling(3, 4),
        SynapticSampling(4, 3, batch_size=2),
        SynapticSampling(4, 3, synapses_per_pair=2),
        SynapticSampling(4, 3, compat=True),
        SynapticSampling(4, 3, dtype=np.float64),
        SynapticSampling(4, 3, dt_ms=0.5),
    ]
    for other in others:
        with pytest.raises(NeuroctlError, match="of other synapses"):
            synapses.load_state_dict(other.state_dict())
    without = {name: value for name, value in before.items() if name != "streams"}
    with pytest.raises(NeuroctlError, match="lacks 'streams'"):
        synapses.load_state_dict(without)
    for damage in ({"synapses/e": before["synapses/e"][:, :2]}, {"synapses/theta": before["synapses/theta"] * np.nan}):
        with pytest.raises(NeuroctlError, match="is not float"):
            synapses.load_state_dict({**before, **damage})
    with pytest.raises(NeuroctlError, match="temperature of the state must be a number >= 0, got -1"):
        synapses.load_state_dict({**before, "learning_rate": np.array(1.0), "temperature": np.array(-1.0)})
    with pytest.raises(NeuroctlError, match="80 \\+ 30 steps of 100"):
        synapses.load_state_dict({**before, "settled": 80})
    for settled in (None, "x", -1, 0.5):
        with pytest.raises(NeuroctlError, match="settled in the state of the synapses must be an integer >= 0, got"):
            synapses.load_state_dict({**before, "settled": settled})
    with pytest.raises(NeuroctlError, match="steps/spikes of the state must be an array"):
        synapses.load_state_dict({**before, "steps/spikes": [[1], [1, 2]]})
    weight, theta = before["synapses/weight"], before["synapses/theta"]
    for damage in ({"synapses/weight": weight + 1}, {"synapses/weight": 0 * weight}, {"synapses/theta": -1 - theta}):
        with pytest.raises(NeuroctlError, match="weights in the state of the synapses are not those of its theta"):
            synapses.load_state_dict({**before, **damage})
    nothing: Any = None
    for take in (synapses.load_state_dict, lambda state: synapses.adopt(state, [0])):
        with pytest.raises(NeuroctlError, match="state of the synapses must be a mapping, got None"):
            take(nothing)
    with pytest.raises(NeuroctlError, match="members must be 1 integers"):
        synapses.adopt({**before, "topology": None}, [0])
    assert same(synapses.state_dict(), before)


def test_synapses_that_do_not_exist_never_move():
    exists = np.random.default_rng(0).random((2, 8, 5)) < 0.5
    parameters = replace(STDP, temperature=1.0, gradient_noise=1.0)
    for compat in (False, True):
        synapses = SynapticSampling(8, 5, parameters, batch_size=2, exists=exists, initial=(1.0, 0.5), compat=compat)
        theta = synapses.theta
        synapses.gradient = np.ones((2, 8, 5))
        synapses.advance(*random_steps(300, 2, 8, 5))
        assert np.array_equal(synapses.exists, exists)
        assert np.array_equal((synapses.theta != theta), exists)
        for array in (synapses.weight, synapses.eligibility, synapses.gradient):
            assert (array[~exists] == 0).all()
        assert synapses.statistics()["active"] == pytest.approx(
            [(synapses.weight[b] != 0).sum() / exists[b].sum() for b in range(2)]
        )


def test_traces_are_set_where_synapses_are_active():
    synapses = SynapticSampling(1, 2, FIXED)
    synapses.theta = [[[1.0, -1.0]]]
    synapses.eligibility, synapses.gradient = [[[3.0, 3.0]]], [[[4.0, 4.0]]]
    assert synapses.eligibility.tolist() == [[[3.0, 0.0]]]
    assert synapses.gradient.tolist() == [[[4.0, 0.0]]]
    synapses.theta = [[[-1.0, 1.0]]]
    assert not synapses.eligibility.any()
    assert not synapses.gradient.any()


def test_statistics():
    """Two active synapses of four with |c_g g| 10 and 50; then one update retracts one and forms two."""
    prior = np.array([[-900.0, 0.0, 900, 900]])
    parameters = replace(
        FIXED, learning_rate=1e-4, gradient_scale=-2.0, prior_mean=prior, min_param=-9.0, max_param=9.0
    )
    synapses = SynapticSampling(1, 4, parameters)
    synapses.theta = [[[1.0, 2.0, -1.0, -1.0]]]
    synapses.gradient = [[[5.0, -25.0, 0.0, 0.0]]]
    found: dict[str, Any] = {name: value.tolist() for name, value in synapses.statistics().items()}
    assert found == {"active": [0.5], "clipped": [0.5], "drive": [30.0]}
    assert counted(synapses) == [0, 0] and synapses.num_active.tolist() == [2]
    synapses.advance(*noise_only(100, 1, 1, 4))
    assert synapses.statistics()["active"][0] == 0.75
    assert counted(synapses) == [1, 2] and synapses.num_active.tolist() == [3]
    synapses.theta = -synapses.theta
    assert counted(synapses) == [1, 2] and synapses.num_active.tolist() == [1]


def counted(synapses: SynapticSampling) -> list[int]:
    counts = synapses.counts()
    return [int(counts[name][0]) for name in ("retractions", "formations")]


def test_counts_go_on_where_a_state_was_loaded_and_parallel_synapses_count_each():
    options: dict[str, Any] = {"batch_size": 2, "synapses_per_pair": 3, "initial": (0.0, 0.5)}
    parameters = SynapticSamplingParameters(learning_rate=1e-3, temperature=1.0)
    first, second = (SynapticSampling(4, 3, parameters, **options) for _ in range(2))
    data = random_steps(600, 2, 4, 3)
    total = {name: np.zeros(2, np.int64) for name in ("retractions", "formations")}
    active = first.theta >= 0
    for start in range(0, 600, 100):
        first.advance(*(array[start : start + 100] for array in data))
        before, active = active, first.theta >= 0
        total["retractions"] += (before & ~active).sum(axis=(1, 2, 3))
        total["formations"] += (~before & active).sum(axis=(1, 2, 3))
        assert first.num_active.tolist() == active.sum(axis=(1, 2, 3)).tolist()
        if start == 200:
            second.load_state_dict(first.state_dict())
    second.advance(*(array[300:] for array in data))
    assert min(count.min() for count in total.values()) > 3
    for name, count in total.items():
        assert first.counts()[name].tolist() == second.counts()[name].tolist() == count.tolist()


def test_without_noise_no_random_number_is_drawn():
    synapses = SynapticSampling(3, 2, replace(STDP, temperature=0.0))
    before = synapses.state_dict()["streams"]
    synapses.advance(*random_steps(200, 1, 3, 2))
    assert np.array_equal(synapses.state_dict()["streams"], before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_pre": 0}, "num_pre must be an integer >= 1, got 0"),
        ({"num_post": 2.5}, "num_post must be an integer >= 1, got 2.5"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"synapses_per_pair": 0}, "synapses_per_pair must be an integer >= 1"),
        ({"dt_ms": 0.0}, "dt_ms must be a number > 0, got 0.0"),
        ({"dt_ms": 3.0}, "weight_update_interval must be a multiple of dt_ms 3, got 100"),
        ({"dt_ms": 400.0}, "must be a multiple"),
        ({"dtype": np.int32}, "dtype must be float32 or float64"),
        ({"dtype": "big"}, "dtype must be float32 or float64, got 'big'"),
        ({"exists": np.ones((3, 3), bool)}, r"exists must be bool of shape \(4, 3\)"),
        ({"exists": np.ones((4, 3))}, "exists must be bool"),
        ({"compat": 1}, "compat must be True or False, got 1"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"initial": 0.5}, "initial must be a mean and a standard deviation, got 0.5"),
        ({"initial": (np.nan, 1.0)}, "mean of initial must be a finite number, got nan"),
        ({"initial": (0.0, -1.0)}, "sd of initial must be a number >= 0, got -1.0"),
        ({"initial": (50.0, 0.0)}, "mean of initial must be from -2 to 5, got 50"),
        ({"initial": (-2.5, 0.0), "compat": True}, "mean of initial must be from -2 to 5, got -2.5"),
        (
            {"parameters": {"temperature": 1}},
            r"parameters must be SynapticSamplingParameters, got \{'temperature': 1\}",
        ),
        ({"parameters": NodePerturbationParameters()}, "must be SynapticSamplingParameters, got NodePerturbationPara"),
        ({"exists": [[True], []]}, "exists must be an array of numbers; its rows have different lengths"),
        ({"parameters": SynapticSamplingParameters(weight_scale=0.0)}, r"least weight of exp\(-inf\), which"),
        ({"parameters": SynapticSamplingParameters(parameter_mapping_offset=90)}, "which float32 does not hold"),
        (
            {"parameters": SynapticSamplingParameters(parameter_mapping_offset=-90)},
            r"exp\(90\), which float32 does not",
        ),
        ({"parameters": SynapticSamplingParameters(prior_mean=np.zeros((3, 4)))}, r"prior_mean must be .* 4 x 3"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(NeuroctlError, match=message):
        SynapticSampling(**{"num_pre": 4, "num_post": 3, **options})


def test_state_that_is_no_state_is_refused():
    synapses = SynapticSampling(2, 3)
    with pytest.raises(NeuroctlError, match=r"theta must be numbers of shape \(1, 2, 3\)"):
        synapses.theta = np.zeros((2, 3))
    ragged: Any = [[[0.0, 0.0, 0.0], [0.0]]]
    with pytest.raises(NeuroctlError, match="theta must be an array of numbers; its rows have different lengths"):
        synapses.theta = ragged
    with pytest.raises(NonFiniteError, match="eligibility has a value that is not finite"):
        synapses.eligibility = np.full((1, 2, 3), np.inf)
    with pytest.raises(NeuroctlError, match="learning_rate must be a number >= 0, got -1"):
        synapses.learning_rate = -1
    with pytest.raises(NeuroctlError, match="temperature must be a number >= 0, got nan"):
        synapses.temperature = np.nan


@pytest.mark.parametrize("compat", [False, True])
def test_theta_begins_and_is_set_within_its_bounds(compat: bool) -> None:
    """Below a negative lower bound a draw stays as it is, retracted, until an update brings it to the bound."""
    drawn, held = (
        SynapticSampling(20, 20, replace(FIXED, min_param=-1.0, max_param=most), initial=(0.0, 1.0), compat=compat)
        for most in (99.0, 1.0)
    )
    assert drawn.theta.min() < -2 and drawn.theta.max() > 2
    assert np.array_equal(held.theta, np.minimum(drawn.theta, 1.0))
    assert held.weight.max() == np.float32(np.e)
    assert held.weight[drawn.theta < 0].max() == 0
    held.theta = held.theta
    held.advance(*noise_only(100, 1, 20, 20))
    assert np.array_equal(held.theta, np.clip(drawn.theta, -1.0, 1.0))
    before = held.state_dict()
    for wrong in (1.5, -1.5):
        with pytest.raises(NeuroctlError, match=f"theta must be from -1 to 1, got {wrong}"):
            held.theta = np.full((1, 20, 20), wrong)
    assert same(held.state_dict(), before)
    weak = SynapticSampling(20, 20, replace(FIXED, min_param=0.5, max_param=1.0), initial=(0.7, 1.0), compat=compat)
    assert (weak.theta.min(), weak.theta.max()) == (0.5, 1.0)


def test_a_state_between_updates_of_theta_by_the_direct_gradient_is_taken() -> None:
    """There theta has moved since the weights were set."""
    parameters = replace(STDP, direct_gradient_rate=1.0)
    first, second = (single(parameters, 1.0) for _ in range(2))
    first.advance(*random_steps(50, 1, 1, 1))
    moved = first.theta
    first.eligibility = first.eligibility  # settles
    assert moved != 1.0
    second.load_state_dict(first.state_dict())
    assert np.array_equal(second.theta, moved)


def test_no_weight_exceeds_the_greatest() -> None:
    options: Any
    for options in ({"weight_scale": 2.0}, {"weight_scale": -2.0}, {"max_param": -0.5}):
        parameters = SynapticSamplingParameters(**options)
        synapses = SynapticSampling(2, 3, parameters, initial=(parameters.max_param, 0.0), synapses_per_pair=4)
        assert synapses.weight.max() <= synapses.greatest_weight * (1 + 1e-6)
        expected = 4 * 2 * np.exp(2.0) if options == {"weight_scale": 2.0} else 0.0
        assert synapses.greatest_weight == pytest.approx(expected)
    assert SynapticSampling(2, 3, replace(STDP, max_param=1e4)).greatest_weight == np.inf


def test_the_direct_gradient_counts_a_reward_for_as_long_as_it_lasts() -> None:
    """With steps of half a millisecond, as in the plain implementation."""
    parameters = replace(STDP, direct_gradient_rate=3.0, temperature=0.0)
    spikes, bap, reward = random_steps(400, 1, 2, 2)
    options: Any = {"dt_ms": 0.5, "initial": (1.0, 0.5), "seed": 3, "dtype": np.float64}
    synapses = SynapticSampling(2, 2, parameters, **options)
    plain = PlainSynapses(synapses.theta[0][:, None], parameters, PlainStream(3, "unused", 0), dt_ms=0.5)
    still = SynapticSampling(2, 2, replace(parameters, direct_gradient_rate=0.0), **options)
    synapses.advance(spikes, bap, reward)
    still.advance(spikes, bap, reward)
    plain.advance(spikes[:, 0], bap[:, 0], reward[:, 0])
    assert np.abs(synapses.theta - still.theta).max() > 1e-3  # the direct part is what is seen
    assert synapses.theta[0] == pytest.approx(plain.read("theta")[:, 0], rel=1e-9)
