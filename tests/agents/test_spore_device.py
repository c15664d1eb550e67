"""Spiking agents on a torch device: on the GPU where there is one, and in the same form on the CPU."""

import dataclasses
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import registry
from neuroctl.agents import spore
from neuroctl.agents.spiking.torch_encoder import TorchPoissonEncoder
from neuroctl.agents.spiking.torch_network import TorchSpikingNetwork
from neuroctl.agents.spore import SporeAgent
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import TrainConfig
from neuroctl.contracts import Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent, tree_hash
from neuroctl.training import train
from neuroctl.vector import make_env, spaces_of
from tests.agents.spiking.torch_peer import DEVICES

LEARNED = "senses->motor"
SPACES = Spaces(gym.spaces.Box(0, np.inf, (4, 4)), gym.spaces.Box(-4, 4, (2,)), 0.02)


AS_THEY_ARE = spore.forms_on
ON_TENSORS = partial(TorchSpikingNetwork, device="cpu"), partial(TorchPoissonEncoder, device="cpu")


@pytest.fixture(params=DEVICES)
def device(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """`"cpu"` stands for tensors on the CPU, which no option asks for."""
    if request.param == "cpu":
        monkeypatch.setattr(spore, "forms_on", lambda _: ON_TENSORS)
    result: str = request.param
    return result


def configured(device: str, **options: Any) -> TrainConfig:
    preset: Any = registry.presets.load("spore-ball-sums")()
    result: TrainConfig = dataclasses.replace(
        preset,
        agent=dataclasses.replace(
            preset.agent, learning_rate_per_s=0.1, learning_rate_half_life_s=2.0, exploration_hz=50.0
        ),
        env=dataclasses.replace(preset.env, max_steps=40),
        evaluation_options=(),
        device=device,
        **{"seed": 7, "steps": 60, "num_envs": 3, "log_every": 50, "checkpoint_every": 23, **options},
    )
    return result


def theta_of(agent: Any) -> Any:
    """Of the learned projection; Any: each rule has names of its own."""
    return agent.network.rules[LEARNED].theta


def loop_of(config: TrainConfig, rows: int) -> tuple[Any, Any]:
    env = make_env(config.env.id, rows, config.env.kwargs())
    agent: Any = make_agent(config, spaces_of(env))
    loop = ClosedLoop(env, agent)
    loop.begin(7)
    return loop, agent


def test_a_run_learns_resumes_and_acts_on_the_cpu(device: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(configured(device), out=tmp_path / "run")
    loop, agent = loop_of(configured(device), 3)
    assert isinstance(agent.network, TorchSpikingNetwork)
    begun = theta_of(agent)
    for k in range(60):
        loop.step()
        agent.update()
        if k == 45:
            saved = agent.state_dict(), loop.state_dict()
    whole = agent.state_dict()
    _, trees = run.checkpoints.load()
    assert tree_hash(trees["agent"]) == tree_hash(whole)
    assert np.abs(theta_of(agent) - begun).max() > 0.05
    assert run.metrics()[0]["motor_rate_hz"] > 0

    cut_loop, cut = loop_of(configured(device), 3)
    cut.load_state_dict(saved[0])
    cut_loop.load_state_dict(saved[1])
    for _ in range(14):
        cut_loop.step()
        cut.update()
    assert tree_hash(cut.state_dict()) == tree_hash(whole)

    monkeypatch.setattr(spore, "forms_on", AS_THEY_ARE)
    on_cpu: Any = make_agent(configured("cpu"), agent.spaces)
    on_cpu.load_state_dict(trees["agent"])
    on_cpu.begin(3, 1)
    assert not isinstance(on_cpu.network, TorchSpikingNetwork)
    assert np.array_equal(theta_of(on_cpu), theta_of(agent))
    assert neuroctl.evaluate(run.path, episodes=1, member=2).returns.shape == (1,)


def test_a_device_begins_with_what_was_learned_on_the_cpu(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = spore.forms_on
    monkeypatch.setattr(spore, "forms_on", AS_THEY_ARE)
    loop, agent = loop_of(configured("cpu"), 2)
    for _ in range(20):
        loop.step()
        agent.update()
    monkeypatch.setattr(spore, "forms_on", forms)
    warm: Any = make_agent(configured(device), agent.spaces)
    warm.load_policy(agent.state_dict())
    warm.begin(2, 3)
    assert isinstance(warm.network, TorchSpikingNetwork)
    assert np.array_equal(theta_of(warm), theta_of(agent))


def test_a_device_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(NeuroctlError, match=r"^unknown device 'cuda:99'; devices here: [^\n]*$"):
        SporeAgent(SporeConfig(), SPACES, seed=0, device="cuda:99")


@pytest.mark.parametrize("rule", ["r-stdp", "node-perturbation"])
def test_other_rules_are_refused(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spore, "check_device", lambda _: None)
    with pytest.raises(NeuroctlError, match=f"^rule '{rule}' learns on the cpu only, not on device 'cuda'$"):
        SporeAgent(SporeConfig(rule=rule), SPACES, seed=0, device="cuda")
