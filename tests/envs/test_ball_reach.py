import re
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from neuroctl.envs import mujoco_task
from neuroctl.envs.ball import BALL_XML, TAU_S
from neuroctl.envs.ball_reach import BallReach, BallReachVector, draw_start, heading_reward
from neuroctl.envs.ball_senses import camera_images
from neuroctl.envs.ball_trials import CONTROL_DT_S
from neuroctl.envs.event_camera import EventSpace
from neuroctl.envs.opengl import NoOpenGLError, open_renderer
from neuroctl.errors import NeuroctlError


def at(*places, **options):
    """An environment whose balls lie still at these places."""
    env = BallReachVector(len(places), **options)
    env.reset(seed=0)
    for data, place in zip(env.datas, places, strict=True):
        data.qpos[:] = place
    env._batch.invalidate()
    return env


def positions(env):
    return np.array([data.qpos for data in env.datas])


def follow(env, steps, policy):
    """Positions before each step, rewards and the infos."""
    before, rewards, infos = [], [], []
    for _ in range(steps):
        before.append(positions(env))
        _, reward, _, _, info = env.step(policy(env))
        rewards.append(reward)
        infos.append(info)
    return np.array(before), np.array(rewards), infos


# Motion


def test_the_servo_follows_the_exponential():
    """v = u (1 - exp(-t / tau)), to the accuracy of steps of 5 ms; and exactly that of implicit Euler steps."""
    env = at([-8.0, 5.0])
    speeds = []
    for _ in range(30):
        env.step(np.array([[3.0, -1.0]]))
        speeds.append(env.datas[0].qvel.copy())
    t = CONTROL_DT_S * np.arange(1, 31)
    exact = 1 - np.exp(-t / TAU_S)
    assert np.array(speeds) == pytest.approx(np.outer(exact, [3.0, -1.0]), abs=0.03)
    euler = 1 - (1 + 0.005 / TAU_S) ** -(t / 0.005)
    assert np.array(speeds) == pytest.approx(np.outer(euler, [3.0, -1.0]), rel=1e-9)


def test_long_commands_keep_their_direction_and_get_4_m_per_s():
    env = at(*[[-7.0, -7.0]] * 3)
    command = np.array([[4.0, 4.0], [4.0 / np.sqrt(2), 4.0 / np.sqrt(2)], [2.0, 2.0]])
    follow(env, 45, lambda env: command)
    speed = np.hypot(*np.array([data.qvel for data in env.datas]).T)
    assert speed == pytest.approx([4.0, 4.0, 2 * np.sqrt(2)], rel=2e-3)
    assert positions(env)[0] == pytest.approx(positions(env)[1], abs=1e-9)
    assert env.datas[0].qpos[0] == pytest.approx(env.datas[0].qpos[1], abs=1e-12)


def test_the_ball_moves_only_by_its_actuators():
    """Between trials displacements are at most 4 m/s times the control step."""
    env = BallReachVector(4)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    before, _, infos = follow(env, 400, lambda env: env.expert_action() + rng.uniform(-4, 4, (4, 2)))
    trials = np.array([info["trials"] for info in infos])
    steps = np.hypot(*np.moveaxis(np.diff(before, axis=0), -1, 0))
    running = np.diff(trials, axis=0, prepend=0)[:-1] == 0
    assert steps[running].max() <= 4 * CONTROL_DT_S + 1e-9
    assert steps[~running].min() > 1 - 4 * CONTROL_DT_S


@pytest.mark.parametrize("direction", [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_walls_keep_the_ball(direction):
    start = 5 * np.array(direction, float)
    env = at(start)
    command = 4.0 * np.array([direction])
    path, _, _ = follow(env, 100, lambda env: command)
    along = path[:, 0] @ direction
    assert 8 < along.max() < 8.04
    assert along[-1] == pytest.approx(8, abs=0.01)
    assert np.abs(env.datas[0].qvel).max() < 1e-3


def test_the_ball_slides_along_a_wall_and_stays_in_the_corner():
    env = at([8.0, -6.0])
    command = np.array([[2.0, 1.0]])
    path, _, _ = follow(env, 300, lambda env: command)
    assert (path[60, 0, 1] - path[30, 0, 1]) / 0.6 == pytest.approx(1.0, rel=0.01)
    assert positions(env)[0, 1] - path[0, 0, 1] == pytest.approx(6 - TAU_S, abs=0.01)
    env = at([6.0, 6.0])
    path, _, _ = follow(env, 100, lambda env: 2 * command)
    assert path.max() < 8.04
    assert positions(env)[0] == pytest.approx([8, 8], abs=0.01)


@pytest.mark.parametrize(
    ("dynamics", "speed", "time"),
    [
        ({}, 4.0, 1.0),
        ({"gain": 0.5}, 2.0, 1.0),
        ({"damping": 2.0}, 4.0 / 1.2, 1 / 1.2),
        ({"damping": 0.0}, 4.0 / 0.8, 1 / 0.8),
        ({"mass": 2.0}, 4.0, 2.0),
    ],
)
def test_dynamics_set_speed_and_time_constant(dynamics, speed, time):
    env = at([-8.0, 5.0], dynamics=dynamics)
    speeds = []
    for _ in range(100):
        env.step(np.array([[4.0, 0.0]]))
        speeds.append(env.datas[0].qvel[0])
    assert max(speeds) == pytest.approx(speed, rel=1e-3)
    assert speeds[4] == pytest.approx(speed * (1 - np.exp(-1 / time)), rel=0.03)


def test_friction_limits_the_acceleration():
    env = at([-8.0, 5.0], dynamics={"friction": 0.1})
    speeds = []
    for _ in range(10):
        env.step(np.array([[4.0, 0.0]]))
        speeds.append(env.datas[0].qvel[0])
    # 4 N on 1 kg against the resistance of 2 N s/m: v = 2 m/s (1 - exp(-2 t)).
    assert speeds == pytest.approx(2 * (1 - np.exp(-2 * CONTROL_DT_S * np.arange(1, 11))), rel=0.01)


# Rewards


@pytest.mark.parametrize("limit", [30.0, 90.0, 180.0])
@pytest.mark.parametrize("power", [0.0, 1.0, 5.0])
def test_heading_reward_has_its_form(limit, power):
    degrees = np.arange(0, 181, 7.5)
    for speed in (0.5, 2.0, 4.0, 4.5):
        for start in ([5.0, 0.0], [-3.0, 4.0]):
            toward = np.arctan2(-start[1], -start[0])
            for sign in (-1, 1):
                angle = toward + sign * np.deg2rad(degrees)
                end = start + speed * CONTROL_DT_S * np.stack([np.cos(angle), np.sin(angle)], axis=1)
                values = heading_reward(np.tile(start, (len(end), 1)), end, np.deg2rad(limit), power)
                rise = np.where(degrees < limit, np.maximum(1 - degrees / limit, 0) ** power, 0)
                expected = rise * np.sqrt(min(speed / 4, 1))
                clear = np.abs(degrees - limit) > 0.1
                assert values[clear] == pytest.approx(expected[clear], abs=1e-6)
                assert values.min() >= 0
                assert values.max() <= 1


def test_no_motion_earns_nothing():
    assert heading_reward(np.ones((2, 2)), np.ones((2, 2)), np.pi, 1.0).tolist() == [0, 0]
    env = at([8.0, 0.0])
    for _ in range(20):
        reward = env.step(np.array([[4.0, 0.0]]))[1]
    assert reward == pytest.approx(0, abs=0.05)


def test_reward_is_that_of_the_displacement_not_of_the_command():
    env = at([4.0, 0.0])
    rewards = [env.step(np.array([[4.0 if k < 10 else -4.0, 0.0]]))[1][0] for k in range(20)]
    assert rewards[:13] == [0] * 13  # it rolls on for some steps after the command has turned
    assert rewards[-1] > 0.5
    assert (np.diff(rewards[14:]) > 0).all()


@pytest.mark.parametrize("reward", ["heading", "distance"])
def test_rewards_follow_from_the_positions(reward):
    options: dict[str, Any] = {"heading_limit_deg": 60.0, "heading_power": 2} if reward == "heading" else {}
    env = BallReachVector(4, reward=reward, **options)
    env.reset(seed=3)
    rng = np.random.default_rng(1)
    command = np.repeat(rng.uniform(-4, 4, (60, 4, 2)), 10, axis=0)
    before, rewards, infos = follow(env, 600, lambda env: command[int(env.steps[0])])
    trials = np.array([info["trials"] for info in infos])
    running = np.diff(trials, axis=0, prepend=0)[:-1] == 0
    move, start = np.diff(before, axis=0), before[:-1]
    if reward == "distance":
        expected = -np.linalg.norm(before[1:], axis=-1) / np.hypot(8, 8)
    else:
        cosine = -(move * start).sum(-1) / np.linalg.norm(move, axis=-1) / np.linalg.norm(start, axis=-1)
        share = np.maximum(1 - np.arccos(np.clip(cosine, -1, 1)) / np.deg2rad(60), 0)
        expected = share**2 * np.sqrt(np.linalg.norm(move, axis=-1) / CONTROL_DT_S / 4)
        assert (expected > 0.1).mean() > 0.05
    assert rewards[:-1][running] == pytest.approx(expected[running], abs=1e-6)


def test_the_step_into_the_goal_earns_what_its_move_earns():
    heading, far = at([2.05, 0.0]), at([2.05, 0.0], reward="distance")
    x = [2.05]
    goals = 0
    while not goals:
        _, reward, _, _, info = heading.step(np.array([[-4.0, 0.0]]))
        _, cost, *_ = far.step(np.array([[-4.0, 0.0]]))
        goals = info["goals"][0]
        x.append(heading.variable("to_m")[0, 0])
    assert info["distance_m"][0] > 3
    assert 1.9 < x[-1] <= 2 < x[-2]
    assert reward[0] == pytest.approx(np.sqrt((x[-2] - x[-1]) / CONTROL_DT_S / 4))
    assert reward[0] > 0.3
    assert cost[0] == pytest.approx(-x[-1] / np.hypot(8, 8))


# Another goal


@pytest.mark.parametrize("reward", ["heading", "distance"])
def test_everything_is_about_the_goal_wherever_it_is(reward):
    goal = np.array([4.0, -5.0])
    env = BallReachVector(6, goal_m=(4.0, -5.0), reward=reward)
    _, info = env.reset(seed=2)
    starts, goals = [positions(env)], np.zeros(6, int)
    while info["trials"].min() < 2:
        before = positions(env)
        _, values, _, _, info = env.step(env.expert_action())
        away = np.linalg.norm(env.variable("to_m") - goal, axis=1)
        if reward == "distance":
            assert values == pytest.approx(-away / np.hypot(8 + 4, 8 + 5))
        else:
            speed = np.linalg.norm(env.variable("to_m") - before, axis=1) / CONTROL_DT_S
            assert np.linalg.norm(before - goal, axis=1) - away == pytest.approx(speed * CONTROL_DT_S)
            assert values == pytest.approx(np.sqrt(np.minimum(speed / 4, 1)), abs=0.02)
        ended = info["goals"] > goals
        assert np.array_equal(away <= 2, ended)
        starts.append(positions(env)[ended])
        goals = info["goals"]
    assert info["distance_m"] == pytest.approx(np.linalg.norm(positions(env) - goal, axis=1))
    every = np.concatenate(starts)
    assert np.linalg.norm(every - goal, axis=1).min() > 3
    assert len(every) >= 18
    assert np.array_equal(info["goals"], info["trials"])


def test_a_mirrored_goal_is_the_mirrored_task():
    """Physics, trials and reward of the mirror image are those of the original."""
    env, mirror = at([1.0, 6.0], goal_m=(-3.0, 2.0)), at([-1.0, -6.0], goal_m=[3, -2])
    for _ in range(60):
        action = env.expert_action()
        assert np.array_equal(mirror.expert_action(), -action)
        a, b = env.step(action), mirror.step(-action)
        assert a[1] == pytest.approx(b[1], abs=1e-9)
        if a[4]["trials"][0]:
            break
        assert positions(mirror) == pytest.approx(-positions(env), abs=1e-9)
    assert a[4]["goals"][0] == b[4]["goals"][0] == 1


# Trials


def test_starts_are_uniform_outside_three_metres():
    rng = np.random.default_rng(0)
    starts = np.array([draw_start(rng) for _ in range(20_000)])
    away = np.hypot(*starts.T)
    assert np.abs(starts).max() <= 8
    assert away.min() > 3
    fine = np.stack(np.meshgrid(*[np.linspace(-8, 8, 801)] * 2), axis=-1).reshape(-1, 2)
    allowed = fine[np.hypot(*fine.T) > 3]
    assert away.mean() == pytest.approx(np.hypot(*allowed.T).mean(), abs=0.04)
    edges = np.linspace(-8.0, 8.0, 5)
    counts = np.histogram2d(starts[:, 0], starts[:, 1], bins=edges)[0]
    expected = np.histogram2d(allowed[:, 0], allowed[:, 1], bins=edges)[0] * (len(starts) / len(allowed))
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert chi2 < 37.7  # 99.9 % of the distribution with 15 degrees of freedom


def test_the_ball_is_put_elsewhere_at_rest_on_success():
    env = BallReachVector(8, max_steps=100_000)
    env.reset(seed=0)
    places: list[list[Any]] = [[] for _ in range(8)]
    goals = np.zeros(8, int)
    while min(map(len, places)) < 40:
        info = env.step(env.expert_action())[4]
        for b in np.flatnonzero(info["goals"] > goals).tolist():
            places[b].append(env.datas[b].qpos.copy())
            assert not env.datas[b].qvel.any()
            assert not env.datas[b].qacc_warmstart.any()
        goals = info["goals"]
    every = np.concatenate([np.array(each[:40]) for each in places])
    away = np.hypot(*every.T)
    assert 3 < away.min() < away.max() < 8 * np.sqrt(2)
    assert away.mean() == pytest.approx(6.56, abs=0.35)
    assert np.abs(every.mean(axis=0)).max() < 1.2
    assert len(np.unique(every, axis=0)) == len(every)


def test_places_depend_on_the_trials_not_on_their_length_or_on_neighbours():
    def places(num_envs, speed):
        env = BallReachVector(num_envs, max_steps=100_000)
        env.reset(seed=5)
        found: list[Any] = []
        while len(found) < 6:
            info = env.step(env.expert_action() * np.float32(speed))[4]
            if info["goals"][0] > len(found):
                found.append(positions(env)[0])
        return np.array(found)

    fast = places(3, 1.0)
    assert np.array_equal(fast, places(1, 0.5))


def test_a_trial_without_success_ends_after_60_s():
    env = BallReachVector(2, max_steps=7000)
    _, info = env.reset(seed=0)
    assert info["time_to_goal_s"].tolist() == [0, 0]
    start = positions(env)
    still = np.zeros((2, 2), np.float32)
    for _ in range(2999):
        info = env.step(still)[4]
    assert np.array_equal(positions(env), start)
    assert info["trials"].tolist() == [0, 0]
    assert info["mean_time_to_goal_s"] == pytest.approx([59.98, 59.98])
    info = env.step(still)[4]
    assert (np.hypot(*(positions(env) - start).T) > 0.1).all()
    assert info["trials"].tolist() == [1, 1]
    assert info["goals"].tolist() == [0, 0]
    assert not info["success"].any()
    for key in ("time_to_goal_s", "mean_time_to_goal_s"):
        assert info[key].tolist() == [60, 60]
    while env.current_info()["goals"].min() < 1:
        info = env.step(env.expert_action())[4]
    assert info["success"].all()
    assert (info["mean_time_to_goal_s"] > 60 / 2 + 0.2).all()
    assert (info["mean_time_to_goal_s"] < 60 / 2 + 2).all()


def test_an_episode_is_truncated_and_never_terminates():
    env = BallReachVector(2)
    env.reset(seed=0)
    still = np.zeros((2, 2), np.float32)
    for step in range(1, 3001):
        _, _, terminated, truncated, info = env.step(still)
        assert not terminated.any()
        assert truncated.all() == (step == 3000)
    final = info["final_info"]
    assert final["mean_time_to_goal_s"].tolist() == [60, 60]
    assert final["trials"].tolist() == [1, 1]
    assert info["trials"].tolist() == [0, 0]


def best_time(distance_m):
    """Seconds until a ball that starts at full command has come within 2 m: 4 (t - tau (1 - exp(-t / tau))) = d - 2."""
    low, high = 0.0, 10.0
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if 4 * (t - TAU_S * (1 - np.exp(-t / TAU_S))) < distance_m - 2 else (low, t)
    return high


def test_the_expert_succeeds_always_and_in_the_best_possible_time():
    env = BallReachVector(16)
    _, info = env.reset(seed=0)
    distances, trials = info["distance_m"], info["trials"]
    for _ in range(2999):
        info = env.step(env.expert_action())[4]
        for b in np.flatnonzero(info["trials"] > trials):
            late = info["time_to_goal_s"][b] - best_time(distances[b])
            assert -1e-3 < late < 1.5 * CONTROL_DT_S
            distances[b] = info["distance_m"][b]
        trials = info["trials"]
    assert np.array_equal(info["goals"], info["trials"])
    assert info["goals"].min() > 30
    assert 1.1 < info["mean_time_to_goal_s"].mean() < 1.4
    assert info["mean_time_to_goal_s"] == pytest.approx(60 / info["goals"], rel=0.04)


@pytest.mark.parametrize("observation", ["state", "retina", "events"])
def test_restored_right_after_the_ball_was_put_elsewhere(observation):
    env, fresh = (BallReachVector(n, observation=observation) for n in (3, 1))
    env.reset(seed=1)
    while env.current_info()["trials"][2] < 2:
        env.step(env.expert_action())
    assert env.variable("trial_steps")[2] == 0
    fresh.set_state(None, env.get_state([2]))
    assert fresh.current_obs()[0].tobytes() == env.current_obs()[2].tobytes()
    for _ in range(200):
        a, b = env.step(env.expert_action()), fresh.step(fresh.expert_action())
        assert a[0][2].tobytes() == b[0][0].tobytes()
        assert a[1][2] == b[1][0]
    assert a[4]["trials"][2] == b[4]["trials"][0] > 3


# What is seen


def test_state_is_position_and_velocity():
    env = BallReachVector(2)
    env.reset(seed=0)
    for _ in range(10):
        obs = env.step(np.array([[4.0, 0.0], [0.0, -3.0]]))[0]
    expected = [[*(data.qpos / 8), *(data.qvel / 4)] for data in env.datas]
    assert obs == pytest.approx(np.array(expected), abs=1e-6)


def test_the_image_shows_where_the_ball_is():
    """Its darkness is the ball's area, and the centroid of the darkness the ball's place."""
    places = np.random.default_rng(0).uniform(-8, 8, (200, 2))
    dark = (1 - camera_images(places)) / (1 - 25 / 255)
    assert dark.sum(axis=(1, 2)) * 1.25**2 == pytest.approx(np.full(200, 4 * np.pi), abs=0.05)
    middle = (np.arange(16) - 7.5) * 1.25
    x = (dark.sum(axis=1) * middle).sum(axis=1) / dark.sum(axis=(1, 2))
    y = (dark.sum(axis=2) * -middle).sum(axis=1) / dark.sum(axis=(1, 2))
    assert np.stack([x, y], axis=1) == pytest.approx(places, abs=0.02)
    images = camera_images(places)
    assert images.max() / images.min() == pytest.approx(10, rel=0.05)


def test_sums_are_those_of_the_image():
    env, sums = (BallReachVector(3, observation="retina", image_code=code) for code in ("pixels", "sums"))
    image, summed = env.reset(seed=0)[0], sums.reset(seed=0)[0]
    assert image.shape == (3, 16, 16)
    assert summed.shape == (3, 32)
    dark = 1 - image
    assert summed[:, :16] == pytest.approx(dark.sum(axis=2) * 1.25 / 4, abs=1e-6)
    assert summed[:, 16:] == pytest.approx(dark.sum(axis=1) * 1.25 / 4, abs=1e-6)
    assert 0.8 < summed.max() < 1


def test_events_are_the_changes_of_the_image():
    """Linear pixels: one event where grey has changed by more than the threshold since the pixel's last event."""
    events, retina = (BallReachVector(3, observation=name, max_steps=400) for name in ("events", "retina"))
    assert not events.reset(seed=0)[0].any()
    reference = retina.reset(seed=0)[0]
    goals = np.zeros(3, int)
    flashes = []
    for _ in range(399):
        counts, _, _, _, info = events.step(events.expert_action())
        image = retina.step(retina.expert_action())[0]
        expected = np.abs(image - reference) > 10 / 255 + 1e-6
        assert np.array_equal(counts, expected)
        changed = (reference < 0.5) != (image < 0.5)
        flashes += [counts[b][changed[b]] for b in np.flatnonzero(info["goals"] > goals)]
        goals = info["goals"]
        reference = np.where(expected, image, reference)
    # A ball that is put elsewhere disappears here and appears there.
    assert len(flashes) > 8
    assert all(seen.all() for seen in flashes)
    assert np.mean([len(seen) for seen in flashes]) > 8


def test_a_ball_at_rest_makes_no_events():
    env = BallReachVector(2, observation="events", event_model="log")
    env.reset(seed=0)
    seen = [env.step(np.full((2, 2), 4.0 if k < 30 else 0.0))[0].sum() for k in range(150)]
    assert sum(seen[:30]) > 20
    assert sum(seen[80:]) == 0


@pytest.mark.parametrize("polarity", [False, True])
def test_sums_of_events_are_sums_of_their_counts(polarity):
    options: dict[str, Any] = {"observation": "events", "event_polarity": polarity, "event_threshold": 0.02}
    pixels, sums = (BallReachVector(2, image_code=code, **options) for code in ("pixels", "sums"))
    last = (2,) if polarity else ()
    assert pixels.single_observation_space == EventSpace((16, 16, *last))
    assert sums.single_observation_space == EventSpace((32, *last))
    pixels.reset(seed=0)
    sums.reset(seed=0)
    total = 0.0
    for _ in range(60):
        counts, summed = pixels.step(pixels.expert_action())[0], sums.step(sums.expert_action())[0]
        assert summed.dtype == np.float32
        assert np.array_equal(summed[:, :16], counts.sum(axis=2))
        assert np.array_equal(summed[:, 16:], counts.sum(axis=1))
        total += counts.sum()
    assert total > 100


def test_polarity_tells_brighter_from_darker():
    env = at([5.0, 0.0], observation="events", event_polarity=True)
    env.step(np.zeros((1, 2)))  # sees that the ball has been put there
    on, off = np.moveaxis(sum(env.step(np.array([[-4.0, 0.0]]))[0][0] for _ in range(15)), -1, 0)
    columns = np.arange(16)
    assert (on.sum(axis=0) @ columns) / on.sum() > (off.sum(axis=0) @ columns) / off.sum() + 2


FLAT = [int(getattr(mujoco.mjtRndFlag, f"mjRND_{name}")) for name in ("SHADOW", "REFLECTION", "HAZE")]


def test_the_image_is_what_the_renderer_sees():
    """Averaged over 16 x 16 pixels each, the difference is below 0.01 everywhere and below 0.0005 in the mean."""
    model = mujoco.MjModel.from_xml_string(BALL_XML)
    model.vis.global_.offheight = model.vis.global_.offwidth = 256
    try:
        renderer = open_renderer(model, 256, 256)
    except NoOpenGLError as error:
        pytest.skip(f"needs OpenGL: install Debian packages libegl1 or libosmesa6 ({error})")
    data, option = mujoco.MjData(model), mujoco.MjvOption()
    option.sitegroup[:] = 0  # the goal's mark is for videos
    places = np.concatenate([np.random.default_rng(0).uniform(-8, 8, (10, 2)), [[8, 8], [-8, -8], [0, 0]]])
    theirs = []
    for place in places:
        data.qpos[:] = place
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, camera="eye", scene_option=option)
        renderer.scene.flags[FLAT] = 0
        theirs.append(renderer.render()[..., 0].reshape(16, 16, 16, 16).mean(axis=(1, 3)) / 255)
    renderer.close()
    difference = np.abs(camera_images(places) - np.stack(theirs))
    assert difference.max() < 0.01
    assert difference.mean() < 0.0005


@pytest.mark.parametrize("opengl", [True, False])
def test_frames_from_above_with_and_without_opengl(opengl, monkeypatch):
    def missing(*args):
        raise NoOpenGLError("no OpenGL")

    if not opengl:
        monkeypatch.setattr(mujoco_task, "open_renderer", missing)
    env = at([6.0, -5.0], [-4.5, 1.0], render_mode="rgb_array")
    frames = env.render()
    assert frames.shape == (2, 240, 320, 3)
    assert frames.dtype == np.uint8
    for frame, (x, y) in zip(frames, positions(env), strict=True):
        dark = np.argwhere((frame == 25).all(axis=-1))
        row, column = dark.mean(axis=0) + 0.5
        assert [(column - 160) * 22 / 240, (120 - row) * 22 / 240] == pytest.approx([x, y], abs=0.05)
        green = (frame[..., 1].astype(int) - frame[..., 0] > 50).sum() * (22 / 240) ** 2
        assert green == pytest.approx(4 * np.pi, rel=0.1)
    env.close()
    env = at([6.0, -5.0], render_mode="rgb_array", goal_m=(-6.0, 4.0))
    frame = env.render()[0].astype(int)
    row, column = np.argwhere(frame[..., 1] - frame[..., 0] > 50).mean(axis=0) + 0.5
    assert [(column - 160) * 22 / 240, (120 - row) * 22 / 240] == pytest.approx([-6, 4], abs=0.1)
    env.close()
    with pytest.raises(NeuroctlError, match="render_mode='rgb_array'"):
        BallReachVector().render()


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "camera"}, "unknown observation 'camera'; allowed: 'state', 'retina', 'events'"),
        ({"image_code": "rows", "observation": "retina"}, "unknown image_code 'rows'; allowed: 'pixels', 'sums'"),
        (
            {"event_threshold": 0.1},
            "the options event_... need observation='events'; found 'state'",
        ),
        (
            {"event_polarity": True, "observation": "retina"},
            "the options event_... need observation='events'; found 'retina'",
        ),
        ({"event_polarity": "no", "observation": "events"}, "event_polarity is 'no'; allowed: True, False"),
        ({"event_model": "dvs", "observation": "events"}, "unknown event model 'dvs'"),
        ({"event_threshold": -0.1, "observation": "events"}, "threshold of "),
        ({"image_code": "sums"}, "image_code 'sums' needs observation='retina' or 'events'; found 'state'"),
        ({"reward": "sparse"}, "unknown reward 'sparse'; allowed: 'heading', 'distance'"),
        ({"heading_limit_deg": 0}, "heading_limit_deg is 0; allowed: above 0, up to 180"),
        ({"heading_limit_deg": 181.0}, "heading_limit_deg is 181.0; allowed"),
        ({"heading_limit_deg": float("nan")}, "heading_limit_deg is nan; allowed"),
        ({"heading_limit_deg": "90"}, "heading_limit_deg is '90'; allowed"),
        ({"heading_power": -1}, "heading_power is -1; allowed: a finite number >= 0"),
        ({"heading_power": float("inf")}, "heading_power is inf; allowed"),
        ({"heading_power": 10**400}, "heading_power is 10"),
        ({"heading_limit_deg": np.zeros(2)}, "heading_limit_deg is array"),
        ({"observation": np.zeros((2, 2))}, "unknown observation array"),
        (
            {"event_threshold": np.zeros(2)},
            "the options event_... need observation='events'; found 'state'",
        ),
        ({"heading_power": True}, "heading_power is True; allowed"),
        (
            {"reward": "distance", "heading_power": 2.0},
            "heading_limit_deg and heading_power need reward='heading'; found 'distance'",
        ),
        ({"goal_m": (9, 0)}, "goal_m is (9, 0); allowed: two numbers from -8 to 8"),
        ({"goal_m": (float("nan"), 0)}, "goal_m is (nan, 0); allowed: two numbers from -8 to 8"),
        ({"goal_m": 3.0}, "goal_m is 3.0; allowed: two numbers from -8 to 8"),
        ({"goal_m": ("1", "2")}, "goal_m is ('1', '2'); allowed: two numbers from -8 to 8"),
        ({"goal_m": ((1, 2), 3)}, "goal_m is ((1, 2), 3); allowed: two numbers from -8 to 8"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=f"^{re.escape(message)}") as caught:
        BallReach(**options)
    assert "\n" not in str(caught.value)


def test_one_environment():
    env: Any = gym.make("neuroctl/BallReach-v0")
    env.reset(seed=0)
    action = env.unwrapped.expert_action()
    assert action.dtype == np.float32
    assert env.action_space.contains(action)
    assert np.hypot(*action) == pytest.approx(4)
    assert env.observation_space.contains(env.step(action)[0])
