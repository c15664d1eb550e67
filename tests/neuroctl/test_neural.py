"""Recording what goes on inside: units, spikes and synapses are those of the agent, step by step."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neuroctl
from neuroctl import distributed, registry
from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.page_replay import replay_page
from neuroctl.recording import Recording
from neuroctl.rollouts import Player, make_shards, record_player
from neuroctl.run import Run, environment_spaces, make_agent

BALL, STEPS = "neuroctl/BallReach-v0", 20
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "cfc": ("ball-cfc", {"cell": "cfc"}),
    "lstm": ("ball-cfc", {"cell": "lstm", "rank": None, "sparsity": None}),
    "mlp": ("ball-cfc", {"cell": "mlp", "rank": None, "sparsity": None}),
    "actor-critic": ("ppo-pendulum-hidden", {}),
}


def run_of(path: Path, name: str) -> Run:
    """A run that was begun: initial weights."""
    preset, changes = AGENTS[name]
    made: Any = registry.presets.load(preset)()
    env = replace(made.env, observation="state", max_steps=STEPS) if preset == "ball-cfc" else made.env
    config = replace(made, env=env, agent=replace(made.agent, hidden_size=9, features=5, **changes), seed=3)
    run = Run.create(config, path)
    run.checkpoints.save(0, {"agent": make_agent(config, environment_spaces(config)).state_dict()})
    return run


@pytest.mark.parametrize("name", AGENTS)
def test_units_are_those_of_the_cell_on_the_recorded_observations(name: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", name)
    recording = neuroctl.record(run.path, tmp_path / "d", episodes=3, neural=True)
    agent: Any = neuroctl.load(run.path).agent
    cell = agent.policy.cell
    for number in range(3):
        episode = recording.episode(number)
        first = torch.zeros(len(episode), 1, dtype=torch.bool)
        with torch.no_grad():
            features = agent.policy.encoder(torch.tensor(episode.obs[:-1])[:, None])
            units, _ = cell.unroll(features, cell.initial_state(1), first)
        assert list(episode.neural) == ["units"] and episode.synapses == {}
        np.testing.assert_allclose(episode.neural["units"], units[:, 0].numpy(), atol=1e-5)
        assert np.ptp(episode.neural["units"], axis=0).min() > 0
    page = replay_page(tmp_path / "d", 1, tmp_path / "page.html").read_text()
    assert 'aria-label="units against step"' in page


def test_what_else_is_recorded_is_the_same(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "cfc")
    with_it, without = (neuroctl.record(run.path, tmp_path / str(n), episodes=3, neural=bool(n)) for n in (1, 0))
    assert with_it.info.neural and not without.info.neural
    for number in range(3):
        there, here = with_it.arrays(number), without.arrays(number)
        assert set(there) - set(here) == {"neural/units"} and set(here) <= set(there)
        assert all(np.array_equal(there[name], values) for name, values in here.items())
    with pytest.raises(NeuroctlError, match="holds a recording with other settings .*neural"):
        neuroctl.record(run.path, tmp_path / "0", episodes=4, neural=True)


def test_a_worker_records_the_same(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", "lstm")
    recording = neuroctl.record(run.path, tmp_path / "d", episodes=2, neural=True)
    player = Player(str(run.path), run.config, run.checkpoints.load()[1]["agent"], 0)
    [shard] = make_shards(run.config.env.id, run.config.evaluation_kwargs(), (), 2, 0)
    wanted = [0, 1] + [None] * 14
    for number, data, _ in distributed._record(shard, player, wanted, False, True, lambda: None):
        assert (recording.path / "episodes" / f"{number:06d}.npz").read_bytes() == data.tobytes()


def record_spikes(folder: Path, steps: int) -> tuple[TrainConfig, Recording]:
    """An episode of a spiking agent that learns, and its run's configuration."""
    made: Any = registry.presets.load("spore-ball-sums")()
    config = replace(made, env=replace(made.env, max_steps=steps), evaluation_options=(), num_envs=1)
    run = Run.create(config, folder / "run")
    agent: Any = make_agent(config, environment_spaces(config))
    agent.learning = True
    agent.begin(1, 0)
    run.checkpoints.save(0, {"agent": agent.state_dict()})
    return config, neuroctl.record(run.path, folder / "d", episodes=1, learn=True, neural=True)


def test_spikes_and_synapses_of_an_agent_that_learns(tmp_path: Path) -> None:
    config, recording = record_spikes(tmp_path, 250)
    episode = recording.episode(0)
    spikes = sum(values.sum() for values in episode.neural.values())
    assert spikes > 50 and all(values.shape[0] == 250 for values in episode.neural.values())
    assert all(values.dtype == np.uint16 for values in episode.neural.values())
    [name] = episode.synapses
    weights = episode.synapses[name]
    assert weights.shape[0] == 3  # after 100 and 200 of 250 steps, and all
    assert np.abs(weights[1] - weights[0]).max() > 0
    # repeated by hand; a snapshot is taken before the update that follows its step
    again: Any = make_agent(config, environment_spaces(config))
    again.learning = True
    again.begin(1, 0)
    again.load_state_dict(recording.learning_state(0))
    snapshots = []
    for step in range(250):
        action = again.act(episode.obs[step : step + 1], np.array([step == 0]))
        assert np.array_equal(action[0], episode.action[step])
        inside = again.activity()
        assert all(np.array_equal(inside[key][0], episode.neural[key][step]) for key in inside)
        if step in (99, 199, 249):
            snapshots.append(again.synapses()[name][0])
        no = np.array([False])
        again.observe(episode.obs[step + 1 : step + 2], episode.reward[step : step + 1], no, no, {})
        again.update()
    np.testing.assert_array_equal(snapshots, weights)


def test_who_shows_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="'expert' shows nothing of what goes on inside: record without neural"):
        neuroctl.record("expert", tmp_path / "d", episodes=1, env_id=BALL, neural=True)
    assert not (tmp_path / "d").exists()


def test_recordings_that_know_nothing_of_it_are_read(tmp_path: Path) -> None:
    made = record_player(Player("expert"), tmp_path / "d", BALL, {"max_steps": 5}, (), episodes=1, seed=0)
    assert Recording(made.path).episode(0).neural == {} == made.episode(0).synapses
