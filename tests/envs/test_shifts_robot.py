from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import make_env
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.shifts_robot import ActionBias, ActionDelay, ActionNoise, Damping, Friction, Gain, Mass
from neuroctl.errors import NeuroctlError

ID = "neuroctl/LaneFollow-v0"


class Echo(gym.vector.VectorEnv):
    """Keeps what it was asked to do."""

    def __init__(self, space: gym.spaces.Box) -> None:
        self.num_envs = 4
        self.single_action_space, self.single_observation_space = space, gym.spaces.Box(-1, 1, (1,))
        self.acted: list[np.ndarray] = []

    def reset(self, *, seed=None, options=None):
        return np.zeros((4, 1), np.float32), {}

    def step(self, actions):
        self.acted.append(actions)
        flags = np.zeros(4, bool)
        return np.zeros((4, 1), np.float32), np.zeros(4), flags, flags, {}


def test_action_noise_is_in_units_of_half_the_range_and_stays_in_it():
    space = gym.spaces.Box(np.array([-1, 0], np.float32), np.array([1, 100], np.float32))
    env = ActionNoise(echo := Echo(space), 2)
    env.reset(seed=0)
    for _ in range(500):
        env.step(np.tile(np.array([0, 50], np.float32), (4, 1)))
    acted = np.stack(echo.acted)
    assert acted.std(axis=(0, 1)) == pytest.approx(0.1 * np.array([1, 50]), rel=0.05)
    assert acted.dtype == np.float32
    for _ in range(50):
        env.step(np.tile(np.array([1, 0], np.float32), (4, 1)))
    edge = np.stack(echo.acted[-50:])
    assert (edge[..., 0] <= 1).all() and (edge[..., 1] >= 0).all() and (edge[..., 0] == 1).any()


def test_an_action_bias_stays_for_the_episode_and_is_in_units_of_half_the_range():
    space = gym.spaces.Box(np.array([-1, 0], np.float32), np.array([1, 100], np.float32))
    env = ActionBias(echo := Echo(space), 2)
    seen = []
    for seed in range(50):
        env.reset(seed=seed)
        for _ in range(3):
            env.step(np.tile(np.array([0, 50], np.float32), (4, 1)))
        one, two, three = echo.acted[-3:]
        assert np.array_equal(one, two) and np.array_equal(two, three)
        seen.append(one)
    off = (np.stack(seen) - [0, 50]) / [1, 50]
    np.testing.assert_allclose(np.abs(off), 0.1, rtol=1e-5)
    assert 0.35 < (off > 0).mean() < 0.65
    assert (off[..., 0] * off[..., 1] < 0).any()  # each actuator has its own


def test_damping_is_that_of_the_joints_and_fits_where_there_is_some():
    env: Any = make_env("neuroctl/BallReach-v0", 1, {}, ["damping:3"])
    plain: Any = make_env("neuroctl/BallReach-v0", 1)
    factor = env.unwrapped.models[0].dof_damping / plain.unwrapped.models[0].dof_damping
    assert np.unique(factor[np.isfinite(factor)]).tolist() == [Damping.level(3)]
    with pytest.raises(NeuroctlError, match="a factor of damping changes nothing in this robot"):
        make_env(ID, 1, {}, ["damping:1"])


def test_action_noise_needs_a_box():
    with pytest.raises(NeuroctlError, match="it needs actions in a bounded Box"):
        ActionNoise(LaneFollowVector(1, discrete_steering=True), 1)
    assert ActionNoise.fits(gym.spaces.Box(0, 1, (8, 8)), gym.spaces.Box(-1, 1, (2,))) is None


def test_bad_actions_are_named_under_action_noise():
    env = ActionNoise(LaneFollowVector(2), 2)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"actions have shape \(3, 1\); expected \(2, 1\)"):
        env.step(np.zeros((3, 1)))


def test_delayed_actions_act_that_many_steps_later():
    """The road and the speed are the same as long as nothing acts; then the steering angle follows, late."""

    def steering(stack):
        env = make_env(ID, 1, {"start": "fixed"}, stack)
        env.reset(seed=0)
        return np.array([env.step(np.full((1, 1), 0.3))[0][0, 8] for _ in range(30)])  # the steering angle

    prompt, late = steering([]), steering(["action-delay:3", "action-delay:1"])
    delay = int(ActionDelay.level(3) + ActionDelay.level(1))
    assert delay == 7
    assert not late[:delay].any() and prompt[0] > 0
    assert late[delay:] == pytest.approx(prompt[:-delay], abs=1e-3)


@pytest.mark.parametrize(
    ("shift", "field"), [(Mass, "body_mass"), (Gain, "actuator_gainprm"), (Friction, "actuator_forcerange")]
)
def test_the_model_is_changed_by_the_factor(shift, field):
    def values(stack):
        return getattr(make_env(ID, 1, {}, stack).unwrapped.models[0], field)  # type: ignore[attr-defined]

    plain, changed = values([]), values([f"{shift.name}:3"])
    moved = changed != plain
    assert moved.any()
    assert changed[moved] == pytest.approx(shift.level(3) * plain[moved])
