"""What a robot of one's own and a task of Gymnasium have in common, whoever simulates them."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.errors import NeuroctlError

from . import arm

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


def changed(state, name, value):
    """The state with the last number of one array replaced, in an array of a type that holds it."""
    array = state[name].astype(np.result_type(state[name], np.asarray(value)))
    array.flat[-1] = value
    return state | {name: array}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mujoco", np.nan, "holds values that are not finite"),
        ("steps", -1, "'steps' holds -1; allowed: integers from 0 to"),
        ("steps", 1.5, "'steps' is of type float64; expected int64"),
        ("steps", np.nan, "'steps' holds values that are not finite"),
        ("stream/reset", np.nan, "'stream/reset' holds values that are not finite"),
        ("stream/reset", -1.0, "'stream/reset' is of type float64; expected uint64"),
        ("stream/reset", 1e19, "'stream/reset' is of type float64; expected uint64"),
        ("stream/reset", np.uint64(2**32), r"random stream's state ends in \[.*4294967296\]"),
        ("stream/seeds", -3, r"seeds of random streams are \[.*-3\]; allowed: integers from 0"),
        ("stream/episodes", -1, r"episodes of random streams are \[.*-1\]"),
        ("stream/seeds", 0.5, "'stream/seeds' is of type float64"),
    ],
)
@both
def test_impossible_values_in_a_state_are_one_line_and_change_nothing(env_id, name, value, message):
    env = make_env(env_id, 2)
    env.reset(seed=0)
    state = env.get_state()
    env.step(push(env))
    before = env.get_state()
    with pytest.raises(NeuroctlError, match=message) as caught:
        env.set_state(None, changed(state, name, value))
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(part, before[key]) for key, part in env.get_state().items())


@both
def test_steps_and_seeds_beyond_64_bits_with_a_sign_are_refused(env_id):
    env = make_env(env_id, 2)
    env.reset(seed=0)
    state = env.get_state()
    for name in ("steps", "stream/seeds"):
        with pytest.raises(NeuroctlError, match="18446744073709551615.*; allowed: integers from 0"):
            env.set_state(None, state | {name: np.full(2, 2**64 - 1, np.uint64)})


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        (CHEETAH, {}),
        (BALL, {"observation": "events", "event_model": "noisy"}),
        ("neuroctl/LaneFollow-v0", {"observation": "events", "event_model": "noisy", "event_time_stamps": True}),
        ("neuroctl/ArmReach-v0", {"task": "delayed", "dynamics": {"action_delay": 2}}),
    ],
)
def test_every_float_of_a_state_is_finite_and_must_be(env_id, options):
    env = make_env(env_id, 2, options)
    env.reset(seed=0)
    for _ in range(3):
        env.step(push(env, 0.1))
    state = env.get_state()
    floats = [name for name, value in state.items() if value.dtype.kind == "f" and value.size]
    assert len(floats) > 1
    for name in floats:
        assert np.isfinite(state[name]).all()
        for value in (np.nan, -np.inf):
            with pytest.raises(NeuroctlError, match=f"{name}' holds values that are not finite numbers"):
                env.set_state(None, changed(state, name, value))


@both
def test_rows_are_named_once_and_may_be_none(env_id):
    env = make_env(env_id, 3)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"^rows \[1, 0, 1\] name a row twice"):
        env.set_state([1, 0, 1], env.get_state())
    before, none = env.get_state(), env.get_state([])
    assert {name: value.shape for name, value in none.items()} == {
        name: (0, *value.shape[1:]) for name, value in before.items()
    }
    env.set_state([], none)
    env.set_state([1, 2], env.get_state([0, 0]))
    state = env.get_state()
    assert all(np.array_equal(value[[1, 2]], before[name][[0, 0]]) for name, value in state.items())


@both
def test_arrays_that_are_not_of_this_environment_are_refused(env_id):
    env = make_env(env_id, 1)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="^unknown environment state 'variable/colour'; expected what get_state"):
        env.set_state(None, env.get_state() | {"variable/colour": np.zeros(1)})


@both
def test_what_is_shown_after_a_state_was_put_is_of_that_state(env_id):
    env = make_env(env_id, 2)
    first, _ = env.reset(seed=0)
    state = env.get_state()
    later = env.step(push(env))[0]
    assert not np.array_equal(first, later)
    env.set_state(None, state)
    assert np.array_equal(env.current_obs(), first)


def test_an_episode_that_ends_with_the_last_step_is_not_cut_off(monkeypatch):
    monkeypatch.setattr(arm, "terminated", lambda batch: (batch.steps == 3) & (batch.rows == 0))
    env = arm.make_arm(2, max_steps=3)
    env.reset(seed=0)
    results = [env.step(push(env))[2:4] for _ in range(3)]
    assert not any(np.any(flags) for flags in results[:2])
    assert results[2][0].tolist() == [True, False] and results[2][1].tolist() == [False, True]


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
