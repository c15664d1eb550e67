from functools import partial
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSampling
from neuroctl.agents.spiking import SynapticSamplingParameters as Sampling
from neuroctl.agents.spiking.eligibility_parameters import NodePerturbationParameters, RewardModulatedSTDPParameters
from neuroctl.agents.spiking.node_perturbation import NodePerturbation
from neuroctl.agents.spiking.plasticity import PlasticityRule
from neuroctl.agents.spiking.projections import Population, Projection, draw_synapses, draw_weights, make_rule
from neuroctl.agents.spiking.r_stdp import RewardModulatedSTDP
from neuroctl.errors import NeuroctlError

EXACT_IN_BINARY = [(1, 1, 1), (3, 0.1, 30), (0.3, 0.1, 3), (15, 5, 3), (1000, 0.1, 10_000)]


MISTYPED: Any = {"initail": (1, 0.5)}


@pytest.mark.parametrize(("delay_ms", "dt_ms", "steps"), EXACT_IN_BINARY)
def test_delays_are_counted_in_steps(delay_ms, dt_ms, steps):
    assert Projection("x", "y", weight=1, delay_ms=delay_ms).delay_steps(dt_ms) == steps


@pytest.mark.parametrize(("delay_ms", "dt_ms"), [(0.4, 1), (1.2, 1), (0.25, 0.1), (1, 5)])
def test_delays_between_steps_are_refused(delay_ms, dt_ms):
    with pytest.raises(NeuroctlError, match=f"multiple of the step of {dt_ms:g} ms, got {delay_ms:g}"):
        Projection("x", "y", weight=1, delay_ms=delay_ms).delay_steps(dt_ms)


def test_parallel_synapses_are_drawn_one_by_one():
    projection = Projection("x", "x", rule=SynapticSampling, probability=0.5, synapses_per_pair=3)
    exists: Any = draw_synapses(projection, "key", (20, 20), 2, seed=1)
    assert exists.shape == (2, 20, 20, 3)
    assert not exists[:, np.arange(20), np.arange(20)].any()
    assert 0 < (exists.sum(axis=3) == 2).mean() < 1


def test_all_synapses_need_no_mask():
    assert draw_synapses(Projection("x", "y", weight=1), "key", (2, 3), 1, seed=0) is None
    assert draw_synapses(Projection("x", "x", weight=1, autapses=True), "key", (3, 3), 1, seed=0) is None


def test_what_an_agent_draws_does_not_depend_on_the_number_of_agents():
    projection = Projection("x", "y", weight=lambda rng, sizes: rng.normal(size=sizes), probability=0.5)
    for draw in (draw_synapses, draw_weights):
        many: Any = draw(projection, "key", (4, 5), 3, seed=3)
        few: Any = draw(projection, "key", (4, 5), 2, seed=3)
        assert many[:2].tobytes() == few.tobytes()
        assert (many[0] != many[1]).any()
        others: list[Any] = [draw(projection, "key", (4, 5), 3, seed=4), draw(projection, "other", (4, 5), 3, seed=3)]
        assert all((many != other).any() for other in others)


def test_weights_are_a_number_or_arrays():
    rng = np.random.default_rng(0)
    for given in (2, rng.random((2, 3)), rng.random((4, 2, 3)).astype(np.float32)):
        weights = draw_weights(Projection("x", "y", weight=given), "key", (2, 3), 4, seed=0)
        np.testing.assert_array_equal(weights, np.broadcast_to(given, (4, 2, 3)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "x->y: needs weight or rule, got neither"),
        ({"weight": 1, "rule": SynapticSampling}, "x->y: needs weight or rule, got both"),
        ({"rule": {"initial": 1}}, r"x->y: rule must be what makes its synapses, got \{'initial': 1\}"),
        ({"weight": 1, "receptor": "ampa"}, "receptor must be 'exc' or 'inh', got 'ampa'"),
        ({"weight": 1, "probability": 1.5}, "probability must be from 0 to 1, got 1.5"),
        ({"weight": 1, "probability": -1}, "probability must be a number >= 0"),
        ({"weight": 1, "synapses_per_pair": 2}, "synapses_per_pair is for plastic synapses"),
        ({"rule": SynapticSampling, "synapses_per_pair": 0}, "synapses_per_pair must be an integer >= 1"),
        ({"weight": 1, "delay_ms": 0}, "delay_ms must be a number > 0"),
        ({"weight": 1, "delay_ms": 1e9}, r"x->y: delay_ms must be at most 10000, got 1e\+09"),
    ],
)
def test_projections_that_cannot_be_are_refused(options, message):
    with pytest.raises(NeuroctlError, match=message):
        Projection("x", "y", **options)


def test_populations_that_cannot_be_are_refused():
    with pytest.raises(NeuroctlError, match="size of a population must be an integer >= 1"):
        Population(0)
    with pytest.raises(NeuroctlError, match="parameters of a population must be NeuronParameters"):
        wrong: Any = {"c2_hz": 1}
        Population(2, wrong)


def made(rule: Any, receptor: str = "exc") -> PlasticityRule:
    options: Any = {"batch_size": 2, "dt_ms": 1.0, "seed": 0, "dtype": np.float32}
    projection = Projection("x", "y", rule=rule, receptor=receptor)
    return make_rule(projection, (2, 3), **options, synapses_per_pair=1, exists=None)


def nothing(*sizes: int, **options: Any) -> None:
    """Makes no rule."""


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            partial(SynapticSampling, **MISTYPED),
            "x->y: its rule cannot be called: got an unexpected keyword argument 'initail'",
        ),
        (nothing, "x->y: its rule must make a PlasticityRule, got None"),
        (lambda *sizes, **options: Population(3), "must make a PlasticityRule, got Population"),
        (lambda size: None, "x->y: its rule cannot be called: too many positional arguments; it takes size"),
    ],
)
def test_rules_that_make_no_synapses_are_refused(rule: Any, message: str) -> None:
    with pytest.raises(NeuroctlError, match=message) as error:
        made(rule)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rule", "greatest"),
    [
        (SynapticSampling, "7.38906"),
        (partial(SynapticSampling, initial=(-1.0, 0.0)), "7.38906"),
        (RewardModulatedSTDP, "7.4"),
        (partial(NodePerturbation, parameters=NodePerturbationParameters(min_weight=-1.0, max_weight=0.1)), "0.1"),
    ],
)
def test_inhibition_that_might_excite_is_refused(rule: Any, greatest: str) -> None:
    message = f"x->y: weights of receptor 'inh' must be <= 0, greatest_weight of its rule is {greatest}$"
    with pytest.raises(NeuroctlError, match=message):
        made(rule, "inh")
    assert made(rule).greatest_weight == pytest.approx(float(greatest), rel=1e-5)


def test_plastic_inhibition_has_negative_weights() -> None:
    negative = RewardModulatedSTDPParameters(min_weight=-2.0, max_weight=-0.1)
    rules: list[Any] = [
        partial(SynapticSampling, parameters=Sampling(weight_scale=-1.0), initial=(1.0, 0.5)),
        partial(RewardModulatedSTDP, parameters=negative, initial=(-1.0, 0.1)),
    ]
    for rule in rules:
        inhibition = made(rule, "inh")
        assert inhibition.greatest_weight == 0
        assert inhibition.weight.max() <= 0 and inhibition.weight.min() < 0
