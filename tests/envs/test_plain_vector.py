"""What tasks without a physics engine share: last reward and action as inputs, exact states, recordings."""

from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env
NON_MATCH, MAZE, PARITY = "neuroctl/NonMatch-v0", "neuroctl/TMaze-v0", "neuroctl/NParity-v0"
COPY, CART, PENDULUM = "neuroctl/Copy-v0", "neuroctl/CartPole-v1", "neuroctl/Pendulum-v1"
REWARDED = {NON_MATCH: {"trials": 2, "delay": 3}, MAZE: {"corridor": 3}, COPY: {"length": 3}, CART: {}, PENDULUM: {}}
TASKS = [*REWARDED, PARITY]
DISCRETE = {NON_MATCH: 2, MAZE: 3, PARITY: 2, COPY: 2, CART: 2}


@pytest.mark.parametrize("env_id", REWARDED)
def test_last_reward_and_action_follow_the_tasks_own_inputs(env_id: str) -> None:
    options = REWARDED[env_id]
    plain = make_env(env_id, 3, options)
    told = make_env(env_id, 3, {**options, "last_reward": True, "last_action": True})
    a, b = plain.reset(seed=5)[0], told.reset(seed=5)[0]
    width, rng = a.shape[1], np.random.default_rng(0)
    assert not b[:, width:].any()
    ended = 0
    for _ in range(250):
        count = DISCRETE.get(env_id)
        action = rng.integers(count, size=3) if count else rng.uniform(-3, 3, (3, 1)).astype(np.float32)
        a, reward, terminated, truncated, info = plain.step(action)
        b, *_, other = told.step(action)
        coded = np.eye(count)[action] if count else np.clip(action, -2, 2)
        last = np.concatenate([reward[:, None], coded], axis=1).astype(np.float32)
        done = terminated | truncated
        assert np.array_equal(a, b[:, :width])
        assert np.array_equal(b[~done, width:], last[~done]) and not b[done, width:].any()
        if done.any():
            ended += 1
            assert np.array_equal(other["final_obs"][done, width:], last[done])
            assert np.array_equal(other["final_obs"][done, :width], info["final_obs"][done])
        assert told.observation_space.contains(b)
    assert ended


def test_the_last_action_is_a_memory_outside_the_agent() -> None:
    """A fixed map from observation to action, without memory, keeps a running parity, and so solves the task."""
    env = make_env(PARITY, 16, {"bits": 9, "last_action": True})
    obs, info = env.reset(seed=0)
    while "final_info" not in info:
        obs, *_, info = env.step((obs[:, 3] != (obs[:, 0] > 0)).astype(np.int64))
    assert info["final_info"]["success"].all()


def test_the_last_action_carries_one_of_two_symbols_over_the_delay() -> None:
    env = make_env(NON_MATCH, 16, {"symbols": 2, "delay": 8, "random_delay": False, "last_action": True})
    obs, info = env.reset(seed=0)
    start = np.ones(16, np.bool_)
    while "final_info" not in info:
        second, mark, carried = obs[:, 1] == 1, obs[:, 2] == 1, obs[:, 4] == 1
        # at the start no action is marked as the last one
        start = mark & ~obs[:, 3:].any(axis=1)
        action = np.where(start, second, np.where(mark, second != carried, carried))
        obs, *_, info = env.step(action.astype(np.int64))
    assert info["final_info"]["success"].all()


@pytest.mark.parametrize("env_id", TASKS)
def test_episodes_are_recorded_and_replayed_bit_for_bit(env_id: str, tmp_path: Any) -> None:
    kwargs = dict(REWARDED.get(env_id, {})) | {"last_action": True}
    neuroctl.record("random", tmp_path / "data", env_id=env_id, env_kwargs=kwargs, episodes=3, seed=2)
    assert neuroctl.replay(tmp_path / "data").ok
    neuroctl.record("expert", tmp_path / "more", env_id=env_id, env_kwargs=kwargs, episodes=3, seed=2)
    assert all(entry["final/success"] == 1 for entry in neuroctl.Recording(tmp_path / "more").index.values())


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("variable/cell", 99, "environment state 'variable/cell' holds 99; allowed: 0 to 4"),
        ("variable/cell", -1, "environment state 'variable/cell' holds -1; allowed: 0 to 4"),
        ("variable/signs", 2, "environment state 'variable/signs' holds 2; allowed: -1 to 1"),
        ("steps", -1, "environment state 'steps' holds -1; allowed: integers from 0 to 2**63 - 1"),
        ("variable/bumps", None, "environment state 'variable/bumps': expected shape (2,), found nothing"),
    ],
)
def test_a_state_that_makes_no_sense_is_named_and_changes_nothing(key: str, value: Any, message: str) -> None:
    env = make_env(MAZE, 2, {"corridor": 3})
    env.reset(seed=0)
    state = env.get_state()
    wrong = {k: v for k, v in state.items() if k != key}
    if value is not None:
        wrong[key] = np.full_like(state[key], value)
    env.reset(seed=8)
    before = env.get_state()
    with pytest.raises(NeuroctlError) as error:
        env.set_state(None, wrong)
    assert str(error.value) == message
    assert all(np.array_equal(part, env.get_state()[name]) for name, part in before.items())
    with pytest.raises(NeuroctlError, match="^environment state is 3; expected what get_state"):
        env.set_state(None, 3)


@pytest.mark.parametrize("env_id", TASKS)
def test_wrong_calls_are_named(env_id: str) -> None:
    env = make_env(env_id, 2)
    good = np.zeros((2, 1), np.float32) if env_id == PENDULUM else np.zeros(2, np.int64)
    with pytest.raises(NeuroctlError, match=r"^step\(\) before reset\(\)"):
        env.step(good)
    env.reset(seed=0)
    for bad in (np.full((2, 1), np.nan), np.array([7, 0]), np.zeros(3, np.int64), [[1], [2, 3]]):
        with pytest.raises(NeuroctlError, match=r"^actions "):
            env.step(bad)
    with pytest.raises(NeuroctlError, match="^nothing is rendered"):
        env.render()
    env.close()
    with pytest.raises(NeuroctlError, match=r"^step\(\) after close\(\)"):
        env.step(good)


def test_a_robots_shift_does_not_fit_and_says_why() -> None:
    with pytest.raises(NeuroctlError, match="'action-delay' does not fit neuroctl/TMaze-v0: it changes the robot, and"):
        make_env(MAZE, 2, {}, ["action-delay:2"])


def test_pictures_follow_the_inputs() -> None:
    env = make_env(MAZE, 2, {"corridor": 2, "render_mode": "rgb_array"})
    obs, _ = env.reset(seed=0)
    frames = env.render()
    assert frames.shape == (2, 240, 320, 3)
    # the sign is the first of three bars: above the line for 1, below it for -1
    for b in range(2):
        lit = (frames[b, :, 50] != frames[b, 0, 0]).any(axis=1)
        assert lit[:100].any() == (obs[b, 0] > 0) and lit[140:].any() == (obs[b, 0] < 0)
