"""What a robot of one's own and a task of Gymnasium have in common, whoever simulates them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env
BALL, CHEETAH = "neuroctl/BallReach-v0", "neuroctl/HalfCheetah-v5"
both = pytest.mark.parametrize("env_id", [BALL, CHEETAH])


def push(env, size=1.0):
    return np.full(env.action_space.shape, size, np.float32)


@both
def test_a_closed_environment_says_so(env_id):
    env = make_env(env_id, 2, {"render_mode": "rgb_array"})
    env.reset(seed=0)
    state = env.get_state()
    env.close()
    for call, given in (
        (env.step, [push(env)]),
        (env.reset, []),
        (env.get_state, []),
        (env.set_state, [None, state]),
        (env.render, []),
    ):
        with pytest.raises(NeuroctlError, match=rf"^{call.__name__}\(\) after close\(\): make the environment again$"):
            call(*given)


@both
def test_what_waits_is_of_one_episode(env_id):
    """Actions that wait when an episode is reset, or ends by itself, never act."""
    options = {"dynamics": {"action_delay": 3}, "max_steps": 6}
    env, fresh = make_env(env_id, 1, options), make_env(env_id, 1, options)
    env.reset(seed=3)
    for _ in range(4):
        env.step(push(env))
    after = [env.reset(seed=7)[0], *(env.step(push(env, 0))[0] for _ in range(3))]
    expected = [fresh.reset(seed=7)[0], *(fresh.step(push(env, 0))[0] for _ in range(3))]
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, expected, strict=True))
    for _ in range(3):
        env.step(push(env))
    late = [env.step(push(env, 0))[0] for _ in range(3)]
    fresh.reset()
    assert late[-1].tobytes() == [fresh.step(push(env, 0))[0] for _ in range(3)][-1].tobytes()


@both
@pytest.mark.parametrize("actions", [[[1.0], [1.0, 2.0]], [1.0, [2.0]]])
def test_ragged_actions_are_named_also_under_shifts(env_id, actions):
    for stack in ([], ["gaussian-noise:1"], ["action-noise:2"]):
        env = make_env(env_id, 2, {}, stack)
        env.reset(seed=0)
        with pytest.raises(NeuroctlError, match="^actions are ragged: "):
            env.step(actions)
    single: Any = gym.make(env_id).unwrapped
    single.reset(seed=0)
    with pytest.raises(NeuroctlError, match="^actions are ragged: "):
        single.step(actions)


@both
def test_actions_that_are_no_numbers_are_named_under_action_noise(env_id):
    env = make_env(env_id, 1, {}, ["action-noise:2"])
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="actions must be finite numbers; got <U1"):
        env.step(np.full(env.action_space.shape, "x"))


@both
def test_an_empty_or_foreign_state_is_one_line(env_id):
    single: Any = gym.make(env_id).unwrapped
    single.reset(seed=0)
    before = single.get_state()
    shifted = make_env(env_id, 1, {}, ["observation-delay:1"])
    shifted.reset(seed=0)
    key = next(name for name in shifted.get_state() if "shift/" in name and "stream" not in name)
    for call, state, message in (
        (single.set_state, {}, "environment state 'single/pending': expected shape .*, found nothing"),
        (single.set_state, {"single/pending": np.array([True])}, "environment state 'mujoco': expected shape"),
        (single.set_state, 5, "environment state is 5; expected what get_state"),
        (lambda state: shifted.set_state(None, state), {}, "another shift stack"),
        (lambda state: shifted.set_state(None, state), 5, "environment state is 5"),
        (lambda s: shifted.set_state(None, s), {**shifted.get_state(), key: np.zeros((9, 9))}, "expected shape"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            call(state)
    assert all(np.array_equal(value, before[name]) for name, value in single.get_state().items())


def test_a_task_with_neither_opengl_nor_a_drawing_says_what_is_missing(monkeypatch):
    from neuroctl.envs import gymnasium_tasks
    from neuroctl.envs.opengl import NoOpenGLError

    def missing(*args):
        raise NoOpenGLError("no OpenGL")

    monkeypatch.setattr(gymnasium_tasks, "open_renderer", missing)
    env = make_env(CHEETAH, 1, {"render_mode": "rgb_array"})
    env.reset(seed=0)
    with pytest.raises(neuroctl.NeuroctlError, match="no OpenGL"):
        env.render()
