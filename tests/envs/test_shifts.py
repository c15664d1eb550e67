from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import vector
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.mujoco_task import MujocoTask
from neuroctl.envs.retina import LEVELS
from neuroctl.envs.shifts import (
    ActionNoise,
    Brightness,
    Contrast,
    GaussianNoise,
    ObservationDelay,
    PixelDropout,
)
from neuroctl.envs.vehicle import VEHICLE_XML
from neuroctl.errors import NeuroctlError
from neuroctl.registry import shifts

# Any: Gymnasium's `VectorEnv` knows neither lists of seeds nor the methods of ours
make_env: Callable[..., Any] = vector.make_env

ID = "neuroctl/LaneFollow-v0"
RETINA = {"observation": "retina", "retina_size": (8, 32)}
# not those of plugins that happen to be installed
OURS = [name for name in shifts.names() if shifts.entries[name].target.startswith("neuroctl.envs")]
WRAPPERS = [name for name in OURS if shifts.load(name).kind == "wrapper"]
DYNAMICS = [name for name in OURS if shifts.load(name).kind == "dynamics"]


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


@pytest.mark.parametrize("name", OURS)
def test_severity_zero_changes_no_bit(name):
    plain = drive(make_env(ID, 2, {**RETINA, "max_steps": 30}), 60)
    shifted = drive(make_env(ID, 2, {**RETINA, "max_steps": 30}, [f"{name}:0"]), 60)
    assert plain[0].tobytes() == shifted[0].tobytes()
    assert plain[1].tobytes() == shifted[1].tobytes()


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "action-noise"])
def test_observations_are_disturbed_more_at_higher_severity(name):
    clean = drive(retina(), 40)[0]
    size = [np.abs(drive(shifts.load(name)(retina(), k), 40)[0] - clean).mean() for k in range(6)]
    assert size[0] == 0
    assert size[1] > 0
    assert all(a < b for a, b in zip(size, size[1:], strict=False)), size
    assert 3 * size[1] < size[5]


@pytest.mark.parametrize("name", ["action-noise", *DYNAMICS])
def test_trajectories_change_more_at_higher_severity(name):
    def lateral(severity):
        env = make_env(ID, 8, {"max_steps": 10_000}, [f"{name}:{severity}"])
        env.reset(seed=0)
        return np.array([env.step(env.unwrapped.expert_action())[4]["lateral_error_m"] for _ in range(100)])

    clean = lateral(0)
    size = [np.abs(lateral(k) - clean).mean() for k in range(6)]
    assert size[0] == 0
    assert size[1] > 1e-4
    assert size[1] < size[3] < size[5], size


def test_gaussian_noise_has_its_standard_deviation_and_stays_in_the_space():
    clean = drive(LaneFollowVector(4), 200)[0]
    noisy = drive(GaussianNoise(LaneFollowVector(4), 3), 200)[0]
    assert (noisy - clean).std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(noisy).max() <= 5
    image = drive(GaussianNoise(retina(), 4), 20)[0]
    assert np.isin(image, LEVELS).all()
    assert image.dtype == np.float32


def test_image_shifts_do_what_they_say():
    clean = drive(retina(), 20)[0]
    step = 0.5 / 255 + 1e-6
    bright = drive(Brightness(retina(), 2), 20)[0]
    assert np.abs(bright - np.clip(clean + 0.16, 0, 1)).max() <= step
    flat = drive(Contrast(retina(), 4), 20)[0]
    assert np.abs(flat - (0.5 + 0.3 * (clean - 0.5))).max() <= step
    dropped = drive(PixelDropout(retina(), 3), 20)[0]
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert np.array_equal(dropped[dropped > 0], clean[dropped > 0])
    for images in (bright, flat, dropped):
        assert np.isin(images, LEVELS).all()


def test_delayed_observations_are_the_earlier_ones():
    clean = drive(retina(), 40)[0]
    late = drive(ObservationDelay(retina(), 3), 40)[0]
    assert np.array_equal(late[4:], clean[:-4])
    assert all(np.array_equal(late[k], clean[0]) for k in range(4))


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


@pytest.mark.parametrize("name", ["gaussian-noise", "pixel-dropout", "action-noise"])
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


@pytest.mark.parametrize("shift", [Brightness, Contrast, PixelDropout])
def test_image_shifts_on_a_state_say_what_fits(shift):
    with pytest.raises(
        NeuroctlError, match="it needs an image observation .*; fitting: action-noise, friction"
    ) as caught:
        shift(LaneFollowVector(1), 2)
    assert "\n" not in str(caught.value)
    assert "brightness" not in str(caught.value).split("fitting:")[1]


def test_action_noise_needs_a_box():
    with pytest.raises(NeuroctlError, match="it needs actions in a bounded Box"):
        ActionNoise(LaneFollowVector(1, discrete_steering=True), 1)
    assert ActionNoise.fits(gym.spaces.Box(0, 1, (8, 8)), gym.spaces.Box(-1, 1, (2,))) is None
    reason = GaussianNoise.fits(gym.spaces.MultiBinary(3), gym.spaces.Discrete(2))
    assert reason is not None and "not MultiBinary" in reason


def test_bad_actions_are_named_under_action_noise():
    env = ActionNoise(LaneFollowVector(2), 2)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"actions have shape \(3, 1\); expected \(2, 1\)"):
        env.step(np.zeros((3, 1)))


def see_both(batch):
    position = batch.qpos.astype(np.float32)
    return {"image": np.tile(LEVELS[100 + batch.steps % 50][:, None, None], (1, 4, 4)), "state": position}


def start(row):
    row.qvel[0] = row.rng.uniform(0.5, 1)


def nothing(batch, action=None):
    return np.zeros(len(batch))


def never(batch):
    return np.zeros(len(batch), bool)


def dict_env():
    spaces: dict[str, gym.spaces.Space[Any]] = {
        "image": gym.spaces.Box(0, 1, (4, 4), np.float32),
        "state": gym.spaces.Box(-50, 50, (4,), np.float32),
    }
    return MujocoTask(
        VEHICLE_XML,
        num_envs=2,
        reset=start,
        observe=see_both,
        reward=nothing,
        terminated=never,
        observation_space=gym.spaces.Dict(spaces),
        action_space=gym.spaces.Box(-1, 1, (4,), np.float32),
        control_dt_s=0.02,
        max_steps=12,
    )


@pytest.mark.parametrize("name", WRAPPERS)
def test_dict_observations_are_shifted_and_restored(name):
    env, twin = (shifts.load(name)(dict_env(), 3) for _ in range(2))
    rng = np.random.default_rng(0)
    clean, _ = dict_env().reset(seed=1)
    obs, _ = env.reset(seed=1)
    changed = {key for key in obs if not np.array_equal(obs[key], clean[key])}
    if name == "gaussian-noise":
        assert changed == {"image", "state"}
    elif name in ("brightness", "contrast", "pixel-dropout"):
        assert changed == {"image"}
    for _ in range(30):
        action = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
        twin.set_state(None, env.get_state())
        obs, _, _, truncated, info = env.step(action)
        again = twin.step(action)
        for key in obs:
            assert env.single_observation_space[key].contains(obs[key][0])
            assert obs[key].tobytes() == again[0][key].tobytes() == twin.current_obs()[key].tobytes()
            if truncated.any():
                assert info["final_obs"][key].tobytes() == again[4]["final_obs"][key].tobytes()
