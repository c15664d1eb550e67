from typing import Any

import numpy as np
import pytest

from neuroctl import registry
from neuroctl.agents.spiking import Population, Projection, SpikingNetwork, SynapticSampling
from neuroctl.agents.spiking.rules import node_perturbation, r_stdp, synaptic_sampling
from neuroctl.errors import NeuroctlError, UnknownNameError

NAMES = {"synaptic-sampling": synaptic_sampling, "r-stdp": r_stdp, "node-perturbation": node_perturbation}


def test_rules_are_registered_under_the_names_in_their_messages():
    for name, make in NAMES.items():
        assert registry.rules.load(name) is make
        with pytest.raises(UnknownNameError, match=f"unknown option of rule {name} 'speed'; known: .*episode_length"):
            make(speed=1)


@pytest.mark.parametrize("make", NAMES.values())
def test_a_rule_is_made_with_its_options(make):
    projection = Projection("input", "motor", rule=make(episode_length=200, initial=(2.0, 0.0)))
    network = SpikingNetwork(3, {"motor": Population(2)}, [projection], "motor")
    rule: Any = network.rules["input->motor"]
    assert rule.parameters.episode_length == 200
    start = np.exp(2.0 - 3.0) if isinstance(rule, SynapticSampling) else 2.0
    assert np.allclose(rule.weight, start)


def test_values_out_of_range_are_refused_by_the_rule():
    with pytest.raises(NeuroctlError, match="episode_length must be a number > 0, got -1"):
        synaptic_sampling(episode_length=-1)
    with pytest.raises(NeuroctlError, match="min_weight must be <= max_weight"):
        r_stdp(min_weight=9, max_weight=1)
