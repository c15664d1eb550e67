from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from neuroctl.envs.lane_follow import (
    BLACKOUT_WAIT_S,
    CONTROL_DT_S,
    LOOP,
    STEERING_RAD,
    LaneFollow,
    LaneFollowVector,
    build_track,
)
from neuroctl.envs.track import loop_track
from neuroctl.envs.vehicle import CTRL_DRIVE, CTRL_STEER, MAX_STEER_RAD, STEER, VEHICLE_XML, WHEELBASE_M, YAW
from neuroctl.errors import NeuroctlError

LAP_STEPS = 1600


def drive(env, steps, policy=None, seed=0):
    """Rewards `[steps, B]`, whether any row terminated, and the last info."""
    env.reset(seed=seed)
    rewards, crashed = [], False
    for _ in range(steps):
        action = env.expert_action() if policy is None else policy(env)
        _, reward, terminated, _, info = env.step(action)
        rewards.append(reward)
        crashed |= bool(terminated.any())
    return np.array(rewards), crashed, info


def go_straight(env):
    return np.zeros((env.num_envs, 1), np.float32)


def trajectory(dynamics, steps=150):
    env = LaneFollowVector(1, start="fixed", dynamics=dynamics, max_steps=10_000)
    env.reset(seed=0)
    path = []
    for k in range(steps):
        env.step(np.full((1, 1), 0.15 * np.cos(k / 10), np.float32))
        path.append(env.datas[0].qpos.copy())
    return np.array(path)


def test_expert_keeps_the_lane_of_the_loop_for_ten_laps():
    env = LaneFollowVector(2, max_steps=20 * LAP_STEPS)
    rewards, crashed, info = drive(env, 10 * LAP_STEPS + 20)
    assert not crashed
    assert rewards.mean(axis=0).min() >= 0.9
    assert (info["laps"] >= 10).all()
    assert info["progress_m"] == pytest.approx(rewards.shape[0] * CONTROL_DT_S, rel=0.02)


def test_expert_keeps_the_lane_of_random_roads_for_five_laps():
    env = LaneFollowVector(8, track="random", track_seeds=(0, 1000), max_steps=100_000)
    rewards, crashed, info = drive(env, 5 * LAP_STEPS)
    assert not crashed
    assert rewards.mean(axis=0).min() >= 0.9
    lengths = [build_track(int(key)).lane_length() for key in env.variable("track")]
    assert len(set(lengths)) > 4
    assert info["laps"] == pytest.approx(np.floor(info["progress_m"] / lengths))
    assert (info["laps"] >= 4).all()


def test_expert_keeps_many_random_roads():
    env = LaneFollowVector(64, track="random", track_seeds=(1000, 100_000), max_steps=100_000)
    rewards, crashed, _ = drive(env, 600, seed=123)
    assert not crashed
    assert rewards.mean(axis=0).min() >= 0.9


def test_expert_steers_with_five_commands():
    env = LaneFollowVector(4, discrete_steering=True, max_steps=10_000)
    rewards, crashed, _ = drive(env, LAP_STEPS)
    assert not crashed
    assert rewards.mean() > 0.5
    assert env.expert_action().shape == (4,)


@pytest.mark.parametrize("steer", [0.1, 0.25, 0.5, -0.25])
def test_turn_radius_is_that_of_the_bicycle_model(steer):
    """At low slip the rear axle turns on R = L / tan(delta)."""
    model = mujoco.MjModel.from_xml_string(VEHICLE_XML)
    data = mujoco.MjData(model)
    data.qvel[0] = 1.0
    data.ctrl[[CTRL_STEER, CTRL_DRIVE]] = steer, 1.0
    mujoco.mj_step(model, data, 300)
    speed = np.hypot(data.qvel[0], data.qvel[1])
    assert data.qpos[STEER] == pytest.approx(steer, rel=0.01)
    assert speed / data.qvel[YAW] == pytest.approx(WHEELBASE_M / np.tan(steer), rel=0.02)
    assert speed == pytest.approx(1.0, abs=0.02)


def test_steering_follows_the_command_with_a_lag():
    env = LaneFollowVector(1, start="fixed")
    env.reset(seed=0)
    angles = []
    for _ in range(25):
        env.step(np.full((1, 1), 0.2, np.float32))
        angles.append(env.datas[0].qpos[STEER])
    assert angles[0] < 0.05
    assert np.argmax(np.array(angles) > 0.9 * 0.2) * CONTROL_DT_S == pytest.approx(0.13, abs=0.06)
    assert max(angles) < 0.2 * 1.05


def test_the_vehicle_moves_only_by_its_actuators():
    """Between resets positions follow from velocities: no jumps."""
    path = trajectory(None)
    steps = np.hypot(*np.diff(path[:, :2], axis=0).T)
    assert steps == pytest.approx(CONTROL_DT_S, rel=0.05)


@pytest.mark.parametrize("dynamics", [{"friction": 0.3}, {"gain": 0.7}, {"mass": 2.0}, {"action_delay": 4}])
def test_dynamics_change_the_trajectory(dynamics):
    plain = trajectory(None)
    assert np.array_equal(trajectory(dict.fromkeys(dynamics, 0 if "action_delay" in dynamics else 1)), plain)
    assert np.abs(trajectory(dynamics) - plain)[:, :2].max() > 0.002


def test_slippery_roads_and_weak_steering_are_harder():
    returns = {
        key: [drive(LaneFollowVector(4, dynamics={key: f}, max_steps=10_000), 800)[0].mean() for f in (1.0, 0.4, 0.15)]
        for key in ("friction", "gain")
    }
    for values in returns.values():
        assert values[0] > values[1] > values[2]


def test_reward_has_its_published_form():
    env = LaneFollowVector(1, start="fixed")
    env.reset(seed=0)
    for _ in range(40):
        _, reward, _, _, info = env.step(np.full((1, 1), 0.03, np.float32))
        b, d = np.rad2deg(info["heading_error_rad"]), info["lateral_error_m"]
        assert reward == pytest.approx(np.exp(-0.03 * b**2) * np.exp(-70 * d**2), rel=1e-9)
    assert 0 < reward[0] < 0.9


def test_fixed_start_is_the_beginning_of_the_bottom_straight():
    env = LaneFollowVector(2, start="fixed")
    _, info = env.reset(seed=0)
    assert env.datas[0].qpos[:3] == pytest.approx([2.5, 0.25, 0.0])
    assert info["lateral_error_m"] == pytest.approx([0, 0], abs=1e-9)


def test_leaving_the_lane_terminates():
    env = LaneFollowVector(1, start="fixed", max_steps=1000)
    env.reset(seed=0)
    steps = 0
    terminated: Any = False
    while not terminated:
        _, _, terminated, truncated, info = env.step(go_straight(env))
        steps += 1
    final = {key: value[0] for key, value in info["final_info"].items()}
    assert abs(final["lateral_error_m"]) > 0.25
    assert abs(final["lateral_error_m"]) < 0.28
    assert not truncated
    assert not final["success"]
    assert final["time_on_lane_s"] == pytest.approx((steps - 1) * CONTROL_DT_S)
    assert final["progress_m"] > 5


def test_success_is_reaching_the_last_step_in_the_lane():
    _, _, info = drive(LaneFollowVector(3, max_steps=50), 50)
    assert info["final_info"]["success"].all()
    assert info["final_info"]["time_on_lane_s"] == pytest.approx(1.0)
    assert not info["success"].any()


def test_crash_pause_holds_the_vehicle_without_reward():
    plain, pausing = (LaneFollowVector(1, start="fixed", crash_pause_s=p) for p in (0.0, 0.2))
    plain.reset(seed=0)
    pausing.reset(seed=0)
    while not plain.step(go_straight(plain))[2][0]:
        reward = pausing.step(go_straight(pausing))[1]
    pausing.step(go_straight(pausing))
    where = pausing.datas[0].qpos.copy()
    for k in range(1, 11):
        _, reward, terminated, _, info = pausing.step(np.full((1, 1), 0.3, np.float32))
        assert reward == 0
        assert terminated == (k == 10)
        if not terminated:
            assert np.array_equal(pausing.datas[0].qpos, where)
    assert info["final_info"]["time_on_lane_s"] == pytest.approx(plain_time(), abs=1e-9)


def plain_time():
    env = LaneFollowVector(1, start="fixed")
    env.reset(seed=0)
    while not (result := env.step(go_straight(env)))[2][0]:
        pass
    return result[4]["final_info"]["time_on_lane_s"][0]


def test_discrete_commands_are_the_five_angles():
    assert np.rad2deg(STEERING_RAD) == pytest.approx([-30, -15, 0, 15, 30])
    discrete, box = (LaneFollowVector(1, start="fixed", discrete_steering=k) for k in (True, False))
    assert discrete.single_action_space == gym.spaces.Discrete(5)
    assert isinstance(box.single_action_space, gym.spaces.Box)
    assert box.single_action_space.high == pytest.approx([np.pi / 6])
    discrete.reset(seed=0)
    box.reset(seed=0)
    for command in (3, 1, 2, 4, 0):
        a = discrete.step(np.array([command]))[0]
        b = box.step(np.array([[STEERING_RAD[command]]]))[0]
        assert a == pytest.approx(b, abs=1e-4)
    with pytest.raises(NeuroctlError, match="are not in Discrete"):
        discrete.step(np.array([5]))


def test_positive_steering_turns_left():
    env = LaneFollowVector(1, start="fixed")
    env.reset(seed=0)
    for _ in range(20):
        info = env.step(np.full((1, 1), 0.2, np.float32))[4]
    assert info["heading_error_rad"][0] > 0.05
    assert info["lateral_error_m"][0] > 0


def test_blackouts_hide_the_image_for_their_duration():
    options: dict[str, Any] = {"observation": "retina", "retina_size": (4, 8), "max_steps": 4000}
    env, clear = LaneFollowVector(4, blackout_s=0.5, **options), LaneFollowVector(4, **options)
    env.reset(seed=0)
    clear.reset(seed=0)
    blacks = []
    for _ in range(3000):
        action = env.expert_action()
        a, b = env.step(action)[0], clear.step(action)[0]
        black = (a == 0).all(axis=(1, 2))
        assert np.array_equal(a[~black], b[~black])
        blacks.append(black)
    dark = np.array(blacks).T
    starts = np.flatnonzero(dark[0, 1:] & ~dark[0, :-1])
    ends = np.flatnonzero(~dark[0, 1:] & dark[0, :-1])
    assert set(ends[: len(starts)] - starts[: len(ends)]) == {25}
    assert len(set(starts)) > 5
    assert not np.array_equal(dark[0], dark[1])
    assert dark.mean() == pytest.approx(0.5 / (0.5 + BLACKOUT_WAIT_S), abs=0.06)


def test_blackouts_do_not_change_what_else_is_drawn():
    options: dict[str, Any] = {"observation": "retina", "track": "random"}
    plain, dark = LaneFollowVector(3, **options), LaneFollowVector(3, blackout_s=0.5, **options)
    assert np.array_equal(plain.reset(seed=4)[0], dark.reset(seed=4)[0])


def test_random_tracks_come_from_the_given_seeds():
    env = LaneFollowVector(32, track="random", track_seeds=(5, 9), max_steps=2)
    seen = set()
    env.reset(seed=0)
    for _ in range(8):
        seen |= set(env.variable("track").tolist())
        env.step(np.zeros((32, 1), np.float32))
    assert seen == {5, 6, 7, 8}
    assert set(LaneFollowVector(2).variable("track")) == {LOOP}
    assert build_track(LOOP) is loop_track()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "camera"}, "unknown observation 'camera'; allowed: 'state', 'retina'"),
        ({"camera": "rear", "observation": "retina"}, "unknown camera 'rear'; allowed: 'near', 'far'"),
        ({"track": "oval"}, "unknown track 'oval'; allowed: 'loop', 'random'"),
        ({"start": "here"}, "unknown start 'here'"),
        ({"track": "random", "track_seeds": (3, 3)}, "track_seeds is"),
        ({"track": "random", "track_seeds": (0.5, 2.5)}, "track_seeds is .0.5, 2.5.; allowed: integers"),
        ({"track_seeds": (0, 1000)}, "track_seeds needs track='random'; the loop is one road"),
        ({"discrete_steering": "no"}, "unknown discrete_steering 'no'; allowed: True, False"),
        ({"crash_pause_s": 10**400}, "crash_pause_s is 10"),
        ({"crash_pause_s": 1e300}, r"crash_pause_s is 1e\+300; allowed: seconds >= 0, at most 1e\+06"),
        ({"blackout_s": [1, [2, 3]]}, r"blackout_s is \[1, \[2, 3\]\]; allowed: seconds >= 0"),
        ({"event_threshold": np.zeros(2)}, "need observation='events'"),
        ({"blackout_s": -1, "observation": "retina"}, "blackout_s is -1; allowed: seconds >= 0"),
        ({"crash_pause_s": float("nan")}, "crash_pause_s is nan"),
        ({"observation": "retina", "retina_size": (40, 64)}, "retina_size is"),
        ({"blackout_s": 1.0}, "need observation='retina'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=message):
        LaneFollow(**options)


def test_expert_action_of_one_environment():
    env: Any = gym.make("neuroctl/LaneFollow-v0")
    env.reset(seed=0)
    action = env.unwrapped.expert_action()
    assert action.shape == (1,)
    assert action.dtype == np.float32
    assert abs(action[0]) <= MAX_STEER_RAD
