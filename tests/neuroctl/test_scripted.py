"""Agents that need no training."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.scripted import NAMES, ScriptedAgent
from neuroctl.vector import make_env

LANE = ("neuroctl/LaneFollow-v0", 3, {"observation": "state", "max_steps": 20})
FIRST = np.ones(3, bool)


class SpacesOnly(gym.vector.VectorEnv):
    def __init__(self, action_space):
        self.num_envs = 3
        self.single_action_space = action_space
        self.single_observation_space = gym.spaces.Box(-1, 1, (2,))


@pytest.fixture
def lane():
    env: Any = make_env(*LANE)
    env.reset(seed=[1, 2, 3])
    yield env
    env.close()


def acting(name, env, seed=0):
    agent = ScriptedAgent(name, env)
    agent.begin(env.num_envs, seed)
    return agent


SPACES = [
    gym.spaces.Box(np.array([-1, 2], np.float32), np.array([1, 3], np.float32), dtype=np.float32),
    gym.spaces.Box(-np.inf, np.inf, (2,), np.float64),
    gym.spaces.Discrete(4, start=-2),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("name", ["random", "zero"])
def test_every_action_lies_in_the_space(name, space):
    agent = acting(name, SpacesOnly(space))
    for _ in range(50):
        actions = agent.act(None, FIRST)
        assert actions.shape == (3, *space.shape) and actions.dtype == space.dtype
        assert all(space.contains(action) for action in actions)


def test_zero_is_the_action_nearest_to_nothing():
    assert acting("zero", SpacesOnly(SPACES[0])).act(None, FIRST).tolist() == [[0, 2]] * 3
    assert acting("zero", SpacesOnly(SPACES[2])).act(None, FIRST).tolist() == [-2] * 3


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_random_actions_cover_the_space_and_depend_on_seed_and_row_alone(space):
    def actions(seed, rows):
        env = SpacesOnly(space)
        env.num_envs = rows
        agent = acting("random", env, seed)
        return np.stack([agent.act(None, None) for _ in range(100)], axis=1)

    whole = actions(5, 3)
    np.testing.assert_array_equal(whole[:2], actions(5, 2))
    assert not np.array_equal(whole, actions(6, 3))
    assert not np.array_equal(whole[0], whole[1])
    if isinstance(space, gym.spaces.Discrete):
        assert set(whole.ravel().tolist()) == {-2, -1, 0, 1}
    elif space.is_bounded():
        span = space.high - space.low
        assert (whole.min((0, 1)) < space.low + 0.05 * span).all()
        assert (whole.max((0, 1)) > space.high - 0.05 * span).all()


def test_the_expert_is_the_environments_own(lane):
    agent = acting("expert", lane)
    for _ in range(5):
        expected = np.array(lane.unwrapped.expert_action())
        action = agent.act(None, FIRST)
        np.testing.assert_array_equal(action, expected)
        lane.step(action)


def test_an_environment_without_expert_is_named():
    env = make_env("CartPole-v1", 1)
    with pytest.raises(NeuroctlError, match="CartPole-v1 has no scripted expert"):
        acting("expert", env).act(None, FIRST)
    env.close()


def test_an_unknown_agent_is_refused_with_those_that_exist(lane):
    with pytest.raises(UnknownNameError, match="unknown scripted agent 'exprt'; did you mean 'expert'"):
        ScriptedAgent("exprt", lane)
    assert NAMES == ("expert", "random", "zero")


@pytest.mark.parametrize("name", ["random", "zero"])
def test_spaces_it_does_not_know_are_refused(name):
    space = gym.spaces.MultiBinary(3)
    with pytest.raises(NeuroctlError, match="knows Box and Discrete actions, not MultiBinary"):
        ScriptedAgent(name, SpacesOnly(space))
