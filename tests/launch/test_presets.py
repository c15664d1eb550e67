"""Experiments by name: each can be built, trained on its own roads and evaluated on others."""

from importlib import import_module

import numpy as np
import pytest
import torch

from neuroctl import registry
from neuroctl.run import environment_spaces, make_agent

LANE = ("lane-cfc", "lane-cfc-dense", "lane-lstm", "lane-mlp")
MEMORY = (
    "rtrl-nonmatch",
    "rtrl-tmaze",
    "rtrl-nparity",
    "rtrl-watermaze",
    "rtrl-watermaze-impala",
    "ppo-cartpole",
    "ppo-pendulum",
    "ppo-pendulum-hidden",
    "ppo-reacher",
    "ppo-halfcheetah",
    "ppo-walker2d",
    "rtrl-coinrun",
)
IMITATION = ("arm-cfc", "ball-cfc", "halfcheetah-cfc", "atari-cfc", "atari-lstm")
NAMES = (*LANE, *IMITATION, "spore-ball", "spore-ball-sums", "spore-lane", *MEMORY)


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_knows_its_name_and_makes_an_agent_for_its_environment(name):
    config = registry.presets.load(name)()
    assert config.preset == name
    spaces = environment_spaces(config)
    agent = make_agent(config, spaces)
    agent.begin(2, 0)
    obs = np.stack([spaces.observation.sample()] * 2)
    assert all(spaces.action.contains(action) for action in agent.act(obs, np.ones(2, bool)))


@pytest.mark.parametrize("name", LANE)
def test_no_preset_is_evaluated_on_roads_it_trains_on(name):
    config = registry.presets.load(name)()
    train, held_out = config.env.track_seeds, config.evaluation_kwargs()["track_seeds"]
    assert train[1] <= held_out[0]


def test_the_presets_are_the_policies_that_are_compared():
    cells = {name: registry.presets.load(name)().agent for name in LANE}
    assert [agent.cell for agent in cells.values()] == ["cfc", "cfc", "lstm", "mlp"]
    assert cells["lane-cfc"].rank == 8 and cells["lane-cfc"].sparsity == 0.5
    assert cells["lane-cfc-dense"].rank is None and cells["lane-cfc-dense"].sparsity is None
    weights = {}
    for name in ("lane-cfc", "lane-cfc-dense"):
        config = registry.presets.load(name)()
        weights[name] = make_agent(config, environment_spaces(config)).recurrent_weights()["ff1"]
    assert 0.4 < (weights["lane-cfc"] == 0).mean() < 0.6 and (weights["lane-cfc-dense"] != 0).all()
    assert torch.linalg.matrix_rank(torch.tensor(weights["lane-cfc-dense"])) > 8


def test_every_preset_is_registered_under_its_functions_name():
    for name in NAMES:
        presets = import_module(f"neuroctl.launch.{'memory_presets' if name in MEMORY else 'presets'}")
        assert registry.presets.load(name) is getattr(presets, name.replace("-", "_"))
        assert registry.presets.entries[name].summary
