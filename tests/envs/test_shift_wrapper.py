"""The machinery of wrapper shifts: streams, autoreset, masked resets, state."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import vector
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.shift_wrapper import no_numbers
from neuroctl.envs.shifts_events import EventNoise
from neuroctl.envs.shifts_image import Brightness
from neuroctl.envs.shifts_observation import ObservationDelay
from neuroctl.envs.shifts_robot import ActionNoise
from neuroctl.errors import NeuroctlError

# Any: Gymnasium's `VectorEnv` knows neither lists of seeds nor the methods of ours
make_env: Callable[..., Any] = vector.make_env

ID = "neuroctl/LaneFollow-v0"
RETINA = {"observation": "retina", "retina_size": (8, 32)}


def retina(num_envs=2, **options):
    return LaneFollowVector(num_envs, **{**RETINA, **options})


def drive(env, steps, seed=0):
    """Observations and rewards under the expert, from a reset."""
    obs, _ = env.reset(seed=seed)
    seen, rewards = [obs], []
    for _ in range(steps):
        result = env.step(env.unwrapped.expert_action())
        seen.append(result[0])
        rewards.append(result[1])
    return np.stack(seen), np.stack(rewards)


def test_last_observation_passes_through_the_old_buffers():
    """With a delay of 4, the last observation is the one of 4 steps before; the next episode shows nothing older."""
    steps = 10
    clean = retina(2, max_steps=steps)
    late: Any = ObservationDelay(retina(2, max_steps=steps), 3)
    seen, _ = drive(clean, steps)
    clean.reset(seed=0)
    late.reset(seed=0)
    for _ in range(steps):
        fresh = clean.step(clean.expert_action())[0]
        obs, _, _, truncated, info = late.step(late.unwrapped.expert_action())
    assert truncated.all()
    assert np.array_equal(info["final_obs"], seen[steps - 4])
    assert np.array_equal(obs, fresh)
    assert not np.array_equal(obs, info["final_obs"])


def test_the_last_observation_is_of_the_episode_that_ended():
    clean, bright = retina(2, max_steps=5), Brightness(retina(2, max_steps=5), 3)
    for env in (clean, bright):
        env.reset(seed=0)
    for _ in range(5):
        action = clean.expert_action()
        obs, _, _, truncated, info = clean.step(action)
        shown, *_, shown_info = bright.step(action)
    assert truncated.all() and not np.array_equal(obs, info["final_obs"])
    for seen, true in ((shown, obs), (shown_info["final_obs"], info["final_obs"])):
        assert np.array_equal(seen, bright.perturb({"": true}, np.arange(2))[""])


def test_only_the_row_that_ended_is_cleared():
    env: Any = ObservationDelay(LaneFollowVector(2, start="fixed"), 3)
    obs, _ = env.reset(seed=0)
    shown = [obs]
    while True:
        action = env.unwrapped.expert_action()
        action[0] = 0.0
        obs, _, terminated, _, info = env.step(action)
        if terminated.any():
            break
        shown.append(obs)
    assert terminated.tolist() == [True, False]
    inner = env.env.current_obs()
    assert np.array_equal(obs[0], inner[0])
    assert not np.array_equal(obs[1], inner[1])
    assert np.array_equal(info["final_obs"][1], obs[1])


@pytest.mark.parametrize(
    "name", ["gaussian-noise", "pixel-dropout", "salt-pepper", "occlusion", "frame-drop", "action-noise"]
)
def test_noise_of_an_episode_is_the_same_whatever_the_neighbours(name):
    def run(seeds):
        env = make_env(ID, len(seeds), {**RETINA, "max_steps": 15}, [f"{name}:3"])
        out = [env.reset(seed=seeds)[0][0]]
        return np.stack(out + [env.step(env.unwrapped.expert_action())[0][0] for _ in range(40)])

    alone = run([5])
    assert alone.tobytes() == run([5, 9, 1]).tobytes()
    assert alone.tobytes() != run([6]).tobytes()
    fresh = run([5])
    assert not np.array_equal(fresh[1] - fresh[0], fresh[16] - fresh[15])


def test_the_first_observation_after_an_autoreset_is_drawn_from_the_new_episode():
    options = {**RETINA, "max_steps": 5}
    env, twin = (make_env(ID, 3, options, ["gaussian-noise:3"]) for _ in range(2))
    env.reset(seed=4)
    for _ in range(5):
        obs, _, _, truncated, _ = env.step(env.unwrapped.expert_action())
    assert truncated.all()
    twin.reset(seed=4)
    assert obs.tobytes() == twin.reset()[0].tobytes()


def test_a_masked_reset_leaves_the_other_rows_buffers_alone():
    env, twin = (make_env(ID, 3, RETINA, ["observation-delay:3"]) for _ in range(2))
    for each in (env, twin):
        each.reset(seed=0)
    for _ in range(10):
        action = twin.unwrapped.expert_action()
        before = twin.step(action)[0]
        env.step(action)
    obs, _ = env.reset(options={"reset_mask": np.array([False, True, False])})
    others = [0, 2]
    assert obs[others].tobytes() == before[others].tobytes()
    assert np.array_equal(obs[1], env.env.current_obs()[1])
    for _ in range(10):
        action = twin.unwrapped.expert_action()
        assert env.step(action)[0][others].tobytes() == twin.step(action)[0][others].tobytes()


def test_rows_that_do_not_exist_are_named_under_a_shift():
    env = make_env(ID, 2, {}, ["gaussian-noise:2"])
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="row 2 does not exist; allowed: 0 to 1"):
        env.get_state([0, 2])
    with pytest.raises(NeuroctlError, match="row -1 does not exist; allowed: 0 to 1"):
        env.set_state([0, -1], env.get_state())


def test_two_wrappers_of_a_kind_draw_apart():
    one = drive(make_env(ID, 1, {}, ["gaussian-noise:2"]), 5)[0]
    env = make_env(ID, 1, {}, ["gaussian-noise:2", "gaussian-noise:2"])
    two, clean = drive(env, 5)[0], drive(make_env(ID, 1), 5)[0]
    assert not np.allclose(two - clean, 2 * (one - clean), atol=1e-3)
    assert {key.split("/")[1] for key in env.get_state() if key.startswith("shift/")} == {
        "gaussian-noise",
        "gaussian-noise#2",
    }


def test_state_of_another_shift_stack_is_refused():
    plain, shifted = make_env(ID, 1), make_env(ID, 1, {}, ["gaussian-noise:2"])
    plain.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"'shift/gaussian-noise/.*' is missing"):
        shifted.set_state(None, plain.get_state())


@pytest.mark.parametrize("stack", [[], ["frame-drop:2"]])
def test_what_a_shift_keeps_is_refused_where_that_shift_is_not(stack):
    env, shifted = make_env(ID, 1, {}, stack), make_env(ID, 1, {}, [*stack, "gaussian-noise:2"])
    for each in (env, shifted):
        each.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"^unknown environment state 'shift/gaussian-noise/"):
        env.set_state(None, shifted.get_state())


def test_a_stack_of_shifts_of_one_kind_takes_its_own_state():
    env = make_env(ID, 2, {}, ["gaussian-noise:2", "frame-drop:3", "gaussian-noise:1"])
    env.reset(seed=0)
    state, actions = env.get_state(), env.unwrapped.expert_action()
    expected = env.step(actions)[0]
    env.set_state(None, state)
    assert env.step(actions)[0].tobytes() == expected.tobytes()


def test_why_a_shift_does_not_fit_is_one_line_with_the_shape_of_the_space():
    many = gym.spaces.Box(-np.arange(60), np.arange(60), dtype=np.int64)
    assert "\n" in str(many)
    reasons = [no_numbers(many), *(shift.fits(many, many) for shift in (Brightness, EventNoise, ActionNoise))]
    for reason in reasons:
        assert reason is not None and reason.endswith("Box(-59, 59, (60,), int64)") and "\n" not in reason


def test_an_empty_mask_resets_nothing():
    env = make_env(ID, 2, RETINA, ["gaussian-noise:3", "occlusion:3", "frame-drop:3"])
    obs, _ = env.reset(seed=0)
    state = env.get_state()
    again, _ = env.reset(options={"reset_mask": np.zeros(2, bool)})
    assert again.tobytes() == obs.tobytes()
    assert all(np.array_equal(value, env.get_state()[key]) for key, value in state.items())
