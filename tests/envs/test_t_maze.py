"""The T-maze against a plain walk through what its cells showed."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs.config import TMazeConfig
from neuroctl.envs.t_maze import FORWARD, LEFT, RIGHT
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env
ID = "neuroctl/TMaze-v0"
SIGMAS = 4.9
"""Statistical bounds: one false alarm in a million for a new seed (here seeds are fixed)."""


@pytest.mark.parametrize("corridor", [1, 2, 7])
def test_walls_signs_and_rewards_are_those_of_a_plain_maze(corridor: int) -> None:
    env: Any = gym.make(ID, corridor=corridor, max_steps=18)
    rng = np.random.default_rng(0)
    obs, info = env.reset(seed=0)
    turned = truncations = 0
    for _ in range(80):
        cell, bumps, steps, shown = 0, 0, 0, {0: float(obs[0])}
        assert info == {"success": False, "bumps": 0, "cell": 0}
        while True:
            sign = shown[cell] if cell < corridor else 0
            assert obs.tolist() == [sign, cell == 0, cell == corridor]
            action = int(rng.choice(3, p=(0.5, 0.25, 0.25)))
            obs, reward, terminated, truncated, info = env.step(action)
            steps += 1
            turns = cell == corridor and action != FORWARD
            if turns:
                right = (action == LEFT) == (shown[0] == 1)
                assert reward == (1 if right else -1) and terminated and not truncated and not obs.any()
                assert info == {"success": right, "bumps": bumps, "cell": corridor + 1}
                turned += 1
                break
            if cell < corridor and action == FORWARD:
                cell += 1
                assert reward == 0
                if cell < corridor:
                    assert abs(obs[0]) == 1
                    shown[cell] = float(obs[0])
            else:
                bumps += 1
                assert reward == -0.05
            assert not terminated and truncated == (steps == 18)
            assert info == {"success": False, "bumps": bumps, "cell": cell}
            if truncated:
                truncations += 1
                break
        obs, info = env.reset()
    assert turned > 40 and (truncations or corridor < 7)


def test_signs_are_fair_and_no_later_one_tells_the_cue() -> None:
    env = make_env(ID, 500, {"corridor": 10})
    env.reset(seed=0)
    signs = env.unwrapped.variables["signs"].astype(float)
    assert set(np.unique(signs)) == {-1, 1}
    assert (np.abs(signs.sum(axis=0)) <= SIGMAS * np.sqrt(500)).all()
    assert (np.abs((signs[:, :1] * signs[:, 1:]).sum(axis=0)) <= SIGMAS * np.sqrt(500)).all()


def test_the_expert_is_always_right_and_who_forgets_is_right_half_of_the_time() -> None:
    best = neuroctl.evaluate("expert", env_id=ID, episodes=64)
    assert best.returns.tolist() == [1.0] * 64 and best.lengths.tolist() == [51] * 64
    assert best.final["success"].all() and not best.final["bumps"].any()
    env = make_env(ID, 400, {"corridor": 5})
    obs, _ = env.reset(seed=0)
    for _ in range(6):
        # without memory: at the junction the cue is gone
        obs, reward, terminated, *_ = env.step(np.where(obs[:, 2] == 1, LEFT, FORWARD))
    assert terminated.all() and abs(reward.sum()) <= SIGMAS * np.sqrt(400)


def test_a_state_in_mid_corridor_keeps_the_cue() -> None:
    env, other = make_env(ID, 2, {"corridor": 6}), make_env(ID, 2, {"corridor": 6})
    env.reset(seed=0)
    other.reset(seed=50)
    for _ in range(3):
        env.step(np.array([FORWARD, FORWARD]))
    other.set_state([1], env.get_state([0]))
    cue = env.unwrapped.variables["signs"][0, 0]
    for _ in range(3):
        other.step(np.array([LEFT, FORWARD]))
    reward = other.step(np.array([LEFT, LEFT if cue > 0 else RIGHT]))[1]
    assert reward.tolist() == [-0.05, 1.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"corridor": 0}, "corridor must be an integer from 1 to 10000, got 0"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        ({"last_reward": 1}, "unknown last_reward 1; allowed: True, False"),
    ],
)
def test_bad_options_are_answered_with_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError) as error:
        make_env(ID, 2, options)
    assert str(error.value) == message


def test_the_configuration_names_the_options() -> None:
    config = TMazeConfig(corridor=4)
    assert make_env(config.id, 1, config.kwargs()).unwrapped.max_steps == 20
