"""A platform that stays for an episode, unseen; trials; rewards; experts with and without memory."""

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import make_env
from neuroctl.envs.config import WaterMazeConfig
from neuroctl.envs.pool import BODY_M, CONTROL_DT_S, PLATFORM_M
from neuroctl.envs.water_maze import WaterMaze, WaterMazeVector
from neuroctl.errors import NeuroctlError
from neuroctl.loop import ClosedLoop
from neuroctl.scripted import ScriptedAgent

SMALL: dict[str, Any] = {"radius_m": 0.5, "rest_s": 0.2}
"""A pool in which trials are short, and rests of four steps."""


def poses(env):
    return np.array([data.qpos for data in env.datas])


def place(env, poses):
    """Put the swimmers at rest."""
    for data, pose in zip(env.datas, poses, strict=True):
        data.qpos[:], data.qvel[:] = pose, 0
    env._batch.invalidate()


# Trials and episodes


def test_the_platform_stays_over_trials_and_moves_between_episodes():
    env = WaterMazeVector(4, max_steps=400, **SMALL)
    env.reset(seed=0)
    seen = []
    for _ in range(3):
        platform = env.variable("platform_m").copy()
        seen.append(platform)
        for _ in range(399):
            _, _, terminated, truncated, info = env.step(env.expert_action())
            assert not (terminated | truncated).any()
            assert np.array_equal(env.variable("platform_m"), platform)
        assert info["goals"].min() > 3
        _, _, terminated, truncated, info = env.step(env.expert_action())
        assert truncated.all() and not terminated.any()
        assert info["goals"].tolist() == [0] * 4
    places = np.concatenate(seen)
    assert len(np.unique(places, axis=0)) == len(places)


class Watcher(ScriptedAgent):
    """The expert, that notes when it is told that an episode begins."""

    def begin(self, num_envs: int, seed: int) -> None:
        super().begin(num_envs, seed)
        self.firsts: list[Any] = []

    def act(self, obs: Any, first: Any) -> Any:
        self.firsts.append(np.array(first))
        return super().act(obs, first)


def test_the_end_of_a_trial_does_not_begin_an_episode():
    env: Any = make_env("neuroctl/WaterMaze-v0", 2, {"max_steps": 200, **SMALL})
    agent = Watcher("expert", env)
    loop = ClosedLoop(env, agent)
    loop.begin(seed=0)
    for _ in range(401):
        loop.step()
    firsts = np.array(agent.firsts)
    assert np.flatnonzero(firsts[:, 0]).tolist() == [0, 200, 400]
    assert env.unwrapped.streams.episodes.tolist() == [2, 2]
    env.close()


def test_a_trial_is_swimming_arrival_rest_and_a_new_start():
    env: Any = WaterMazeVector(1, last_reward=True, **SMALL)
    obs, info = env.reset(seed=3)
    assert (info["trials"][0], info["goals"][0], info["success"][0]) == (1, 0, False)
    platform = env.variable("platform_m")[0].copy()
    swum = 0
    while not info["goals"][0]:
        assert (obs[0, 7], obs[0, 8]) == (0, 0)
        obs, reward, _, _, info = env.step(env.expert_action())
        swum += 1
    assert reward[0] == 1
    assert np.hypot(*(poses(env)[0, :2] - platform)) <= PLATFORM_M
    assert obs[0, 4:].tolist() == [0, 0, 0, 1, 1]  # at rest, on the platform, rewarded
    assert (info["trials"][0], info["first_trial_s"][0]) == (1, pytest.approx(swum * CONTROL_DT_S))
    assert info["later_trials_s"] == info["first_trial_s"]
    arrived = poses(env)[0]
    for _ in range(3):
        obs, reward, _, _, info = env.step(env.single_action_space.high[None])
        assert np.array_equal(poses(env)[0], arrived)
        assert (reward[0], obs[0, 7], obs[0, 8]) == (0, 1, 0)
    obs, reward, _, _, info = env.step(env.single_action_space.high[None])
    assert (reward[0], obs[0, 7], info["trials"][0]) == (0, 0, 2)
    gap = np.hypot(*(poses(env)[0, :2] - platform)) - PLATFORM_M
    assert gap > 0.25 * 0.5
    assert np.hypot(*poses(env)[0, :2]) <= 0.5 - BODY_M
    assert not env.datas[0].qvel.any()


def test_without_a_rest_the_next_trial_starts_in_the_step_of_the_arrival():
    env = WaterMazeVector(1, radius_m=0.5, rest_s=0)
    _, info = env.reset(seed=0)
    platform = env.variable("platform_m")[0]
    reward = np.zeros(1)
    while not reward[0]:
        obs, reward, _, _, info = env.step(env.expert_action())
    assert (info["trials"][0], obs[0, 7]) == (2, 0)
    assert np.hypot(*(poses(env)[0, :2] - platform)) > PLATFORM_M + 0.25 * 0.5


def test_rewards_and_figures_are_those_of_an_independent_count():
    """From the poses alone: a platform is reached where a swimmer that was not resting is within its radius."""
    env = WaterMazeVector(6, max_steps=10_000, expert="search", **SMALL)
    env.reset(seed=1)
    platforms = env.variable("platform_m").copy()
    times: list[list[int]] = [[] for _ in range(6)]
    swum, resting, total = np.zeros(6, int), np.zeros(6, int), np.zeros(6)
    for _ in range(900):
        before = poses(env)
        _, reward, _, _, info = env.step(env.expert_action())
        total += reward
        for b in range(6):
            if resting[b]:
                resting[b] -= 1
                assert reward[b] == 0
                assert np.array_equal(poses(env)[b], before[b]) == (resting[b] > 0)
                continue
            swum[b] += 1
            there = np.hypot(*(poses(env)[b, :2] - platforms[b])) <= PLATFORM_M
            assert reward[b] == there
            if there:
                times[b].append(swum[b])
                swum[b], resting[b] = 0, 4
    goals = [len(t) for t in times]
    assert total.tolist() == goals == info["goals"].tolist()
    assert min(goals) >= 2
    assert info["trials"].tolist() == [g + (r == 0) for g, r in zip(goals, resting, strict=True)]
    assert info["first_trial_s"] == pytest.approx([0.05 * t[0] for t in times])
    assert info["later_trials_s"] == pytest.approx([0.05 * np.mean(t[1:]) for t in times])


def test_starts_depend_on_the_trials_not_on_their_length_or_on_neighbours():
    def starts(num_envs, speed):
        env = WaterMazeVector(num_envs, max_steps=100_000, **SMALL)
        found = [env.reset(seed=5) and poses(env)[0]]
        while len(found) < 5:
            info = env.step(env.expert_action() * np.array([speed, 1], np.float32))[4]
            if info["trials"][0] > len(found):
                found.append(poses(env)[0])
        return np.array(found)

    assert np.array_equal(starts(3, 1.0), starts(1, 0.5))


@pytest.mark.parametrize("observation", ["state", "retina"])
def test_a_state_restored_in_mid_trial_and_in_a_rest_goes_on_exactly(observation):
    env, fresh = (WaterMazeVector(n, observation=observation, max_steps=300, **SMALL) for n in (3, 1))
    env.reset(seed=2)
    for resting in (False, True):
        while not (env.current_info()["goals"][1] and (env.variable("rest")[1] > 1) == resting):
            env.step(env.expert_action())
        fresh.set_state(None, env.get_state([1]))
        assert fresh.current_obs()[0].tobytes() == env.current_obs()[1].tobytes()
        for _ in range(150):
            a, b = env.step(env.expert_action()), fresh.step(fresh.expert_action())
            assert a[0][1].tobytes() == b[0][0].tobytes()
            assert a[1][1] == b[1][0]
        assert all(a[4][key][1].tobytes() == b[4][key][0].tobytes() for key in ("goals", "later_trials_s"))


# What is seen


def test_the_retina_does_not_show_the_platform():
    """Views from the same poses in episodes with other platforms, also on one of them, are the same."""
    env = WaterMazeVector(8, observation="retina")
    env.reset(seed=0)
    platforms = env.variable("platform_m").copy()
    assert len(np.unique(platforms, axis=0)) == 8
    for pose in ([0.1, 0.2, 1.0], [*platforms[3], -2.0], [-0.7, 0.4, 0.0]):
        place(env, [pose] * 8)
        views = env.current_obs()
        assert (views == views[0]).all()
    assert len({view.tobytes() for view in env.reset(seed=0)[0]}) == 8


def test_the_state_tells_nothing_of_a_platform_that_was_not_reached():
    env = WaterMazeVector(8)
    env.reset(seed=0)
    place(env, [[-0.7, 0.4, 0.3]] * 8)
    state = env.current_obs()
    assert (state == state[0]).all()
    assert state[0] == pytest.approx([-0.7, 0.4, np.cos(0.3), np.sin(0.3), 0, 0, 0, 0], abs=1e-6)


def test_frames_show_the_pool_from_above():
    env = WaterMazeVector(2, render_mode="rgb_array")
    env.reset(seed=0)
    frames = env.render()
    assert frames.shape == (2, 240, 320, 3) and frames.dtype == np.uint8
    for frame, platform in zip(frames.astype(int), env.variable("platform_m"), strict=True):
        row, column = np.argwhere(frame[..., 1] - frame[..., 0] > 100).mean(axis=0) + 0.5
        assert [(column - 160) * 2.3 / 240, (120 - row) * 2.3 / 240] == pytest.approx(platform, abs=0.06)
    with pytest.raises(NeuroctlError, match="render_mode='rgb_array'"):
        WaterMazeVector().render()


# Experts


def played(expert, **options):
    """What is said of 32 episodes of an expert."""
    env = WaterMazeVector(32, expert=expert, **options)
    env.reset(seed=100)
    for _ in range(1000):
        info = env.step(env.expert_action())[4]
    return info["final_info"]


@pytest.mark.parametrize("discrete", [False, True])
def test_memory_pays_from_the_second_trial_on(discrete):
    memory, search = (played(expert, discrete_actions=discrete) for expert in ("memory", "search"))
    assert memory["success"].all() and search["success"].all()
    # The first trial is the same: nothing can be remembered.
    assert np.array_equal(memory["first_trial_s"], search["first_trial_s"])
    first, later, without = (
        np.mean(x) for x in (memory["first_trial_s"], memory["later_trials_s"], search["later_trials_s"])
    )
    assert later < 0.3 * first
    assert later < 0.3 * without
    assert later > 0.5 / 0.4  # no faster than anyone can swim: starts are 0.25 m from the platform's edge, or farther
    assert (memory["goals"] >= search["goals"]).all()
    assert memory["goals"].mean() > 2.5 * search["goals"].mean()


def test_the_expert_with_memory_does_not_know_the_platform_before_it_was_there():
    """Until then, its actions are the same wherever the platform is."""
    env = WaterMazeVector(2)
    env.reset(seed=0)
    env.set_state([1], env.get_state([0]))
    env.variable("platform_m")[:] = [[0.3, 0.3], [-0.4, -0.2]]
    start = [0.0, -0.6, 0.0]
    place(env, [start] * 2)
    for _ in range(60):
        actions = env.expert_action()
        assert np.array_equal(actions[0], actions[1])
        assert env.step(actions)[4]["goals"].max() == 0
    env.variable("goals")[:] = 1
    assert not np.array_equal(*env.expert_action())


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "events"}, "unknown observation 'events'; allowed: 'state', 'retina'"),
        ({"retina_size": (8, 200), "observation": "retina"}, "retina_size is (8, 200); allowed: (rows, columns) from"),
        ({"retina_size": (4, 16)}, "retina_size needs observation='retina'; found 'state'"),
        ({"cues": 5, "observation": "retina"}, "cues must be an integer from 0 to 4, got 5"),
        ({"cues": 2}, "cues needs observation='retina'; found 'state'"),
        ({"last_reward": "yes"}, "unknown last_reward 'yes'; allowed: True, False"),
        ({"last_reward": True, "observation": "retina"}, "last_reward needs observation='state'; found 'retina'"),
        ({"discrete_actions": 1}, "unknown discrete_actions 1; allowed: True, False"),
        ({"radius_m": 0.4}, "radius_m is 0.4; allowed: 0.5 to 5 m"),
        ({"radius_m": float("nan")}, "radius_m is nan; allowed"),
        ({"radius_m": np.ones(2)}, "radius_m is array"),
        ({"rest_s": -1}, "rest_s is -1; allowed: seconds from 0 to 60"),
        ({"rest_s": float("inf")}, "rest_s is inf; allowed"),
        ({"rest_s": 0.01}, "rest_s is 0.01; allowed: seconds from 0 to 60 in steps of 0.05"),
        ({"rest_s": "1"}, "rest_s is '1'; allowed"),
        ({"expert": "spiral"}, "unknown expert 'spiral'; allowed: 'memory', 'search'"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=f"^{re.escape(message)}") as caught:
        WaterMaze(**options)
    assert "\n" not in str(caught.value)


def test_the_configuration_says_what_the_environment_does_by_default():
    ours, theirs = make_env(WaterMazeConfig().id, 1, WaterMazeConfig().kwargs()), WaterMazeVector()
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.reset(seed=0)[0].tobytes() == theirs.reset(seed=0)[0].tobytes()


def test_one_environment():
    env: Any = gym.make("neuroctl/WaterMaze-v0", discrete_actions=True, observation="retina", retina_size=(4, 16))
    obs, _ = env.reset(seed=0)
    assert obs.shape == (4, 16)
    action = env.unwrapped.expert_action()
    assert env.action_space.contains(action)
    assert env.observation_space.contains(env.step(action)[0])
