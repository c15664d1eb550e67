"""A label is the expert's action for the very observation it stands beside."""

from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.labels import ExpertLabels
from neuroctl.rollouts import Player, record_player
from neuroctl.vector import expert_action, get_state, make_env, set_state

ID = "neuroctl/LaneFollow-v0"
KWARGS = {"observation": "state", "max_steps": 30, "track": "random"}


@pytest.fixture
def env():
    env = ExpertLabels(make_env(ID, 3, KWARGS))
    yield env
    env.close()


def test_the_label_in_info_belongs_to_the_observation_returned_with_it(env):
    rng = np.random.default_rng(0)
    obs, info = env.reset(seed=[1, 2, 3])
    seen: list[Any] = [(obs.copy(), info["expert_action"].copy(), get_state(env))]
    ended = 0
    for _ in range(70):
        obs, _, terminated, truncated, info = env.step(rng.uniform(-0.5, 0.5, (3, 1)).astype(np.float32))
        seen.append((obs.copy(), info["expert_action"].copy(), get_state(env)))
        ended += int((terminated | truncated).sum())
    assert ended >= 3, "labels across an autoreset were not tested"
    other: Any = make_env(ID, 3, KWARGS)
    other.reset(seed=[7, 8, 9])
    for obs, label, state in seen:
        set_state(other, np.arange(3), state)
        np.testing.assert_array_equal(other.unwrapped.current_obs(), obs)
        np.testing.assert_array_equal(expert_action(other), label)
    assert any(not np.array_equal(a[1], b[1]) for a, b in zip(seen, seen[1:], strict=False))
    other.close()


def test_recorded_labels_are_the_experts_actions_for_the_recorded_observations(tmp_path):
    recording = record_player(Player("random"), tmp_path / "r", ID, KWARGS, (), episodes=3, seed=4, width=2, label=True)
    env: Any = make_env(ID, 1, KWARGS)
    for number in recording.numbers():
        episode = recording.episode(number)
        env.reset(seed=[episode.info["seed"]])
        set_state(env, np.arange(1), {key: value[:1] for key, value in episode.states.items()})
        assert len(episode.label) == len(episode)
        for t in range(len(episode)):
            np.testing.assert_array_equal(env.unwrapped.current_obs()[0], episode.obs[t])
            np.testing.assert_array_equal(expert_action(env)[0], episode.label[t])
            env.step(episode.action[t : t + 1])
        assert not np.array_equal(episode.label, episode.action)
    env.close()


def test_labelling_changes_nothing_else(tmp_path):
    plain, labelled = (
        record_player(Player("random"), tmp_path / str(label), ID, KWARGS, (), episodes=2, seed=4, label=label)
        for label in (False, True)
    )
    for n in plain.numbers():
        a, b = plain.arrays(n), labelled.arrays(n)
        assert set(b) - set(a) == {"label"}
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_without_labels_an_experts_actions_are_the_labels(tmp_path):
    recording = record_player(Player("expert"), tmp_path / "r", ID, KWARGS, (), episodes=1, seed=4)
    np.testing.assert_array_equal(recording.episode(0).label, recording.episode(0).action)


def test_an_environment_without_expert_cannot_be_labelled():
    env = ExpertLabels(make_env("CartPole-v1", 2))
    with pytest.raises(NeuroctlError, match="CartPole-v1 has no scripted expert"):
        env.reset(seed=[0, 1])
    env.close()
