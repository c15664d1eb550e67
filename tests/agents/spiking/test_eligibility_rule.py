"""Promises of both rules of reward times eligibility, as those of the contract."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import (
    NeuronParameters,
    NodePerturbation,
    NodePerturbationParameters,
    Population,
    Projection,
    RewardModulatedSTDP,
    RewardModulatedSTDPParameters,
    SpikingNetwork,
    SynapticSamplingParameters,
)
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.storage import load_tree, save_tree
from tests.agents.spiking.plain_random import PlainStream

FAST = {"learning_rate": 1e-3, "weight_update_interval": 20.0}
RULES: dict[Any, Any] = {
    NodePerturbation: NodePerturbationParameters(**FAST),
    RewardModulatedSTDP: RewardModulatedSTDPParameters(**FAST),
}
NAMES = [kind.__name__ for kind in RULES]
both = pytest.mark.parametrize("kind", RULES, ids=NAMES)


def random_steps(steps=90, batch=2, num_pre=9, num_post=4, seed=0):
    rng = np.random.default_rng(seed)
    post = (rng.random((steps, batch, num_post)) < 0.05).astype(np.uint8)
    return (
        (rng.random((steps, batch, num_pre)) < 0.05).astype(np.uint8),
        post - 0.05,
        rng.normal(size=(steps, batch)),
        post,
    )


def advance(rule, data, part=slice(None)):
    pre, bap, reward, post = (array[part] for array in data)
    rule.advance(pre, bap, reward, spikes_post=post)


def made(kind, **options):
    return kind(9, 4, RULES[kind], **{"batch_size": 2, **options})


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@both
def test_weights_change_only_where_a_step_ends_an_interval(kind):
    rule, data = made(kind), random_steps(60)
    weight = rule.weight
    for step in range(60):
        until = rule.steps_until_update
        assert until == 20 - step % 20
        advance(rule, data, slice(step, step + 1))
        assert np.array_equal(rule.weight, weight) == (until > 1)
        weight = rule.weight


@both
def test_an_agent_does_not_depend_on_the_agents_beside_it(kind):
    exists = np.random.default_rng(2).random((3, 9, 4)) < 0.8
    three, data = made(kind, batch_size=3, seed=5, exists=exists), random_steps(batch=3)
    advance(three, data, slice(0, 50))
    state = three.state_dict()
    advance(three, data, slice(50, 90))
    for b in range(3):
        alone = made(kind, batch_size=1, seed=5, exists=exists[b])
        if b == 0:
            advance(alone, [array[:, :1] for array in data], slice(0, 50))
        else:
            alone.load_state_dict({name: array[b : b + 1] for name, array in state.items()})
        advance(alone, [array[:, b : b + 1] for array in data], slice(50, 90))
        assert same(alone.state_dict(), {name: array[b : b + 1] for name, array in three.state_dict().items()})


@both
def test_adopted_weights_are_those_that_were_learned(kind):
    """Traces, and what had not come to the end of an interval, are not taken over."""
    taught, data = (
        made(kind, batch_size=3, exists=np.random.default_rng(1).random((3, 9, 4)) < 0.8),
        random_steps(batch=3),
    )
    taught.learning_rate = 3e-3
    advance(taught, data, slice(0, 47))
    pupil, fresh = made(kind, seed=4), made(kind, seed=5)
    advance(pupil, random_steps(11))
    pupil.adopt(taught.state_dict(), [2, 0])
    assert np.array_equal(pupil.weight, taught.weight[[2, 0]])
    assert np.array_equal(pupil.exists, taught.exists[[2, 0]])
    assert (pupil.learning_rate, pupil.steps_until_update) == (3e-3, 20)
    taken = ("weight", "exists", "settings")
    begun = {name: array for name, array in fresh.state_dict().items() if name not in taken}
    assert same(begun, {name: array for name, array in pupil.state_dict().items() if name not in taken})


@both
@pytest.mark.parametrize("at", [40, 47])
def test_a_restored_rule_goes_on_bit_for_bit(kind, at, tmp_path):
    data = random_steps()
    first, second = made(kind, seed=1), made(kind, seed=2, exists=np.zeros((9, 4), bool))
    first.learning_rate = 2e-3
    advance(first, data, slice(0, at))
    advance(second, data, slice(0, 11))
    save_tree(tmp_path, "state", first.state_dict())
    second.load_state_dict(load_tree(tmp_path, "state"))
    for rule in (first, second):
        advance(rule, data, slice(at, 90))
    assert second.learning_rate == 2e-3
    assert same(first.state_dict(), second.state_dict())


@both
def test_reading_changes_nothing(kind):
    quiet, read = made(kind), made(kind)
    for start in range(0, 90, 10):
        for rule in (quiet, read):
            advance(rule, random_steps(), slice(start, start + 10))
        for array in (read.weight, read.eligibility, read.exists, *read.state_dict().values()):
            array[...] = 1
        read.statistics()
    assert same(quiet.state_dict(), read.state_dict())


@both
def test_weights_begin_as_drawn(kind):
    rule = made(kind, seed=7, initial=(0.5, 1.0), dtype=np.float64)
    for b in range(2):
        expected = 0.5 + PlainStream(7, "synapses", b).standard_normal((9, 4))
        assert np.array_equal(rule.weight[b], np.clip(expected, 0, 7.4))
    assert (rule.weight == 0).any()


@both
def test_synapses_that_do_not_exist_never_move(kind):
    exists = np.random.default_rng(0).random((2, 9, 4)) < 0.5
    rule = made(kind, exists=exists, initial=(1.0, 0.2))
    before = rule.weight
    advance(rule, random_steps())
    assert np.array_equal(rule.exists, exists)
    assert np.array_equal(rule.weight != before, exists)
    assert not rule.weight[~exists].any()
    assert not rule.eligibility[~exists].any()
    everywhere = made(kind, exists=np.ones((9, 4), bool), initial=(1.0, 0.2))
    advance(everywhere, random_steps())
    assert np.array_equal(everywhere.weight[exists], rule.weight[exists])


@both
def test_statistics_are_of_the_synapses_that_exist(kind):
    exists = np.zeros((2, 9, 4), bool)
    exists[0, :2, :2] = True
    rule = made(kind, exists=exists, dtype=np.float64)
    advance(rule, random_steps(19))
    weight = np.zeros((2, 9, 4))
    weight[0, :2, :2] = [[0.0, 7.4], [7.4, 1.2]]
    rule.weight = weight
    figures = rule.statistics()
    assert {name: figures[name].tolist() for name in ("weight", "at_min", "at_max")} == {
        "weight": [4.0, 0.0],
        "at_min": [0.25, 0.0],
        "at_max": [0.5, 0.0],
    }
    assert figures["eligibility"] == pytest.approx([np.abs(rule.eligibility[0, :2, :2]).mean(), 0.0], rel=1e-12)
    assert figures["eligibility"][0] > 0


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_that_are_read_can_be_set(kind, dtype):
    """Those at a bound as well, which rounding may have put beyond it; and a weight that is set transmits."""
    rule = made(kind, dtype=dtype, initial=(7.4, 1.0))
    assert (rule.weight == dtype(7.4)).any()
    weight = rule.weight
    rule.weight = weight
    assert np.array_equal(rule.weight, weight)
    assert rule.state_dict()["weight"].max() == 7.4
    rule.weight = np.full((2, 9, 4), 3)
    assert (rule.weight == 3).all()
    advance(rule, random_steps())
    assert not (rule.weight == 3).any()


@both
def test_weights_may_be_negative(kind):
    parameters = replace(RULES[kind], min_weight=-1.0, max_weight=-0.1)
    rule = kind(9, 4, parameters, batch_size=2, initial=(-0.5, 5.0), dtype=np.float64)
    advance(rule, random_steps())
    assert rule.weight.min() == -1.0
    assert rule.weight.max() == -0.1


@both
def test_temperature_is_zero_and_stays(kind):
    rule = made(kind)
    rule.temperature = 0
    assert rule.temperature == 0.0
    with pytest.raises(NeuroctlError, match=f"temperature of {kind.__name__} must be 0, it has no noise; got 0.1"):
        rule.temperature = 0.1
    with pytest.raises(NeuroctlError, match="temperature must be a number >= 0, got 'hot'"):
        rule.temperature = "hot"
    with pytest.raises(NeuroctlError, match="learning_rate must be a number >= 0, got -1"):
        rule.learning_rate = -1


@both
def test_a_network_learns_the_same_however_steps_are_cut(kind):
    """The bits of weights that change while spikes are on their way, in a recurrent network with drawn synapses."""
    lively = Population(5, NeuronParameters(i_e_mv=12, dead_time_ms=2))
    plastic = partial(kind, parameters=RULES[kind], initial=(1.0, 0.5))
    projections = [
        Projection("input", "a", rule=plastic, probability=0.7),
        Projection("a", "a", rule=plastic, delay_ms=3),
    ]
    networks = [SpikingNetwork(8, {"a": lively}, projections, "a", batch_size=2, seed=3) for _ in range(2)]
    rng = np.random.default_rng(0)
    spikes, reward = rng.random((130, 2, 8)) < 0.1, rng.normal(size=(130, 2))
    networks[0].step(spikes, reward)
    for start, stop in ((0, 3), (3, 45), (45, 60), (60, 130)):
        networks[1].step(spikes[start:stop], reward[start:stop])
    for key in ("input->a", "a->a"):
        first, second = (network.rules[key].state_dict() for network in networks)
        assert same(first, second)
        assert np.array_equal(networks[0].weight(key), networks[0].rules[key].weight)
        assert first["eligibility"].any()


@both
def test_a_network_learns_what_is_rewarded(kind):
    """Spikes of neuron 0 are rewarded, those of neuron 1 punished, in the agent itself or in the one beside it.

    After 12 s the weights of neuron 0 are well above those of neuron 1 in every agent with a reward of its own, and in
    none of the others.
    """
    neuron = NeuronParameters(c2_hz=10.0, c3_per_mv=0.5, dead_time_ms=2.0, with_reset=False)
    plastic = partial(kind, parameters=replace(RULES[kind], episode_length=50.0), initial=(0.5, 0.1))
    ratios = []
    for shift in (0, 1):
        network = SpikingNetwork(
            6, {"a": Population(2, neuron)}, [Projection("input", "a", rule=plastic)], "a", batch_size=4
        )
        rng, spikes = np.random.default_rng(1), np.zeros((10, 4, 2), np.uint8)
        for _ in range(1200):
            reward = np.roll(spikes[:, :, 0].mean(axis=0) - spikes[:, :, 1].mean(axis=0), shift)
            spikes = network.step(rng.random((10, 4, 6)) < 0.05, np.tile(reward, (10, 1)))
        mean = network.weight("input->a").mean(axis=1)
        ratios.append(mean[:, 0] / mean[:, 1])
    assert ratios[0].min() > 1.6
    assert ratios[1].max() < 1.4


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_pre": 0}, "num_pre must be an integer >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"dt_ms": 0.0}, "dt_ms must be a number > 0, got 0.0"),
        ({"dt_ms": 3.0}, "weight_update_interval must be a multiple of dt_ms 3, got 100"),
        ({"dtype": np.int32}, "dtype must be float32 or float64"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"synapses_per_pair": 2}, r"synapses_per_pair of \w+ must be 1, got 2"),
        ({"synapses_per_pair": 0}, "synapses_per_pair must be an integer >= 1, got 0"),
        ({"exists": np.ones((3, 3), bool)}, r"exists must be bool of shape \(4, 3\) or \(1, 4, 3\), got bool \(3, 3\)"),
        ({"exists": np.ones((4, 3))}, "exists must be bool"),
        ({"initial": 0.5}, "initial must be a mean and a standard deviation, got 0.5"),
        ({"initial": (8.0, 1.0)}, "mean of initial must be from 0 to 7.4, got 8"),
        ({"initial": (np.nan, 1.0)}, "mean of initial must be a finite number, got nan"),
        ({"initial": (0.0, -1.0)}, "sd of initial must be a number >= 0, got -1.0"),
        ({"parameters": SynapticSamplingParameters()}, r"parameters must be \w+Parameters, got Synaptic"),
    ],
)
def test_options_out_of_range_are_refused(kind, options, message):
    with pytest.raises(NeuroctlError, match=message):
        kind(**{"num_pre": 4, "num_post": 3, **options})


@both
def test_weights_that_the_precision_does_not_hold_are_refused(kind):
    parameters = replace(RULES[kind], max_weight=1e39)
    assert kind(2, 2, parameters, dtype=np.float64).weight.dtype == np.float64
    with pytest.raises(NeuroctlError, match=r"weights up to 1e\+39 are more than float32 holds"):
        kind(2, 2, parameters)


@both
def test_weights_that_are_none_are_refused(kind):
    rule = made(kind)
    with pytest.raises(NeuroctlError, match=r"weight must be numbers of shape \(2, 9, 4\), got float64 \(9, 4\)"):
        rule.weight = np.zeros((9, 4))
    with pytest.raises(NonFiniteError, match="weight has a value that is not finite"):
        rule.weight = np.full((2, 9, 4), np.nan)
    with pytest.raises(NeuroctlError, match="weight must be from 0 to 7.4, got -0.5"):
        rule.weight = np.full((2, 9, 4), -0.5)


@both
def test_a_state_that_does_not_fit_is_refused(kind):
    rule = made(kind)
    advance(rule, random_steps(), slice(0, 47))
    before = rule.state_dict()
    for other, message in (
        (kind(9, 4, RULES[kind], batch_size=3), "of 3 agents; needed: 2"),
        (kind(4, 9, RULES[kind], batch_size=2), "in the state of the synapses is"),
        (made(kind, dtype=np.float64), "needed: float32"),
        (made(kind, dt_ms=0.5), "has 40 steps of 0.5 ms for an update; needed: 20 of 1 ms"),
        (kind(9, 4, batch_size=2), "has 100 steps of 1 ms"),
        *((made(another), "has no array") for another in RULES if another is not kind),
    ):
        with pytest.raises(NeuroctlError, match=message):
            rule.load_state_dict(other.state_dict())
    settings = before["settings"]
    for damage, message in (
        ({"eligibility": before["eligibility"] * np.nan}, "'eligibility' of the state of the synapses is not finite"),
        ({"weight": before["weight"] - 1}, "weight of the state must be from 0 to 7.4, got -0.8"),
        ({"settings": settings + [0, 0, 0, 13]}, "has 20 steps of 20"),
        ({"settings": settings + [0, 0, -1, 0]}, "learning_rate of the state must be a number >= 0"),
        ({"settings": settings + np.array([[0, 0, 0, 0], [0, 0, 0, 1]])}, "rows of the settings differ"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            rule.load_state_dict({**before, **damage})
    with pytest.raises(NeuroctlError, match="members must be 2 integers from 0 to 1, got"):
        rule.adopt(before, [0, 2])
    assert same(rule.state_dict(), before)
