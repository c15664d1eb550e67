import math
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import registry
from neuroctl.config import to_json, train_config_from_json
from neuroctl.launch.centre_out import CENTRE_M, ID, PRESET, RADIUS_M, CentreOut, CentreOutVector, preset, register
from neuroctl.vector import get_state, make_env, set_state

SEEDS = list(range(12))
ROTATION: Any = {"perturbation": "rotation", "perturbation_strength": 30.0}


@pytest.fixture
def registered() -> Iterator[None]:
    """The names of the study, as long as a test runs."""
    register()
    register()
    yield
    del gym.registry[ID]
    del registry.presets.entries[PRESET]


def played(env: Any, steps: int, seeds: Any = SEEDS) -> Any:
    """Observations, rewards and infos of rows that follow the expert."""
    obs, _ = env.reset(seed=list(seeds))
    found = [(obs, None, None)]
    for _ in range(steps):
        obs, reward, _, _, info = env.step(env.expert_action())
        found.append((obs, reward, info))
    return found


def test_eight_targets_lie_around_the_start() -> None:
    env = CentreOutVector(64)
    obs, info = env.reset(seed=list(range(64)))
    targets = info["tip_m"] - obs - CENTRE_M  # observed is tip minus target
    np.testing.assert_allclose(np.linalg.norm(targets, axis=1), RADIUS_M, atol=1e-6)
    eighths = np.degrees(np.arctan2(targets[:, 1], targets[:, 0])) / 45
    np.testing.assert_allclose(eighths, np.round(eighths), atol=1e-4)
    assert set(np.round(eighths).astype(int) % 8) == set(range(8))
    scatter = np.linalg.norm(info["tip_m"] - CENTRE_M, axis=1)
    assert 0.001 < scatter.max() < 0.005  # 0.02 rad at 15 cm and 11 cm


def test_the_reward_is_distance_and_a_little_effort() -> None:
    env = CentreOutVector(2)
    env.reset(seed=[0, 1])
    action = np.array([[0.1, -0.2], [0.0, 0.0]], np.float32)
    obs, reward, _, _, info = env.step(action)
    distance = np.linalg.norm(obs, axis=1)
    np.testing.assert_allclose(info["distance_m"], distance, atol=1e-6)
    np.testing.assert_allclose(reward, -distance - 0.1 * np.array([0.05, 0.0]), atol=1e-6)


def test_a_rotation_turns_the_cursor_about_the_start() -> None:
    obs, _, info = played(CentreOutVector(12, **ROTATION), 30)[-1]
    plain, _, plain_info = played(CentreOutVector(12), 30)[-1]
    np.testing.assert_array_equal(info["tip_m"], plain_info["tip_m"])  # the expert does not see it
    turned = np.exp(1j * math.radians(30)) * ((info["tip_m"] - CENTRE_M) @ [1, 1j])
    np.testing.assert_allclose((obs - plain) @ [1, 1j], turned - (info["tip_m"] - CENTRE_M) @ [1, 1j], atol=1e-6)


def test_a_force_field_turns_the_velocities_of_the_joints() -> None:
    """Velocity servos of gain 100 against damping 1 and J^T F = b det(J) [[0, 1], [-1, 0]] times the velocity."""
    strength = 6000.0
    env = CentreOutVector(1, perturbation="force-field", perturbation_strength=strength)
    env.reset(seed=0)
    command = np.array([[0.01, 0.0]], np.float32)
    for _ in range(8):
        env.step(command)
    found = env.datas[0].qvel
    push = strength * 0.1 * 0.11 * math.sin(env.datas[0].qpos[1])
    expected = np.linalg.solve([[101, -push], [push, 101]], [100 * 20 * 0.01, 0])
    np.testing.assert_allclose(found, expected, rtol=0.05)
    assert 25 < abs(math.degrees(math.atan2(found[1], found[0]))) < 40


def test_the_expert_arrives_and_blocks_take_turns() -> None:
    env = CentreOutVector(3, block_episodes=1, **ROTATION)
    env.reset(seed=[0, 1, 2])
    finals = []
    for _ in range(4 * 50):
        _, _, _, truncated, info = env.step(env.expert_action())
        if truncated.all():
            finals.append(info["final_info"])
    assert [final["perturbed"].tolist() for final in finals] == [[False] * 3, [True] * 3] * 2
    for final in finals:  # a turned target is missed by the chord of 30 degrees
        missed = 2 * RADIUS_M * math.sin(math.radians(15)) * final["perturbed"]
        np.testing.assert_allclose(final["distance_m"], missed, atol=2e-3)


def test_a_row_does_not_know_its_neighbours_and_can_be_put_back() -> None:
    env = CentreOutVector(12, **ROTATION)
    alone = CentreOut(**ROTATION)
    obs = [row_obs[5] for row_obs, _, _ in played(env, 60)]
    first, _ = alone.reset(seed=5)
    np.testing.assert_array_equal(first, obs[0])
    for step in range(1, 50):
        row, *_ = alone.step(alone.expert_action())
        np.testing.assert_array_equal(row, obs[step])
    state: Any = get_state(env)
    after = [env.step(np.full((12, 2), 0.1, np.float32))[0] for _ in range(50)]
    set_state(env, np.arange(12), state)
    np.testing.assert_array_equal([env.step(np.full((12, 2), 0.1, np.float32))[0] for _ in range(50)], after)


def test_the_names_are_known_once_they_are_registered(registered: None) -> None:
    assert train_config_from_json(to_json(preset())) == preset()
    env = make_env(preset().env.id, 2, preset().env.kwargs())
    assert isinstance(env.unwrapped, CentreOutVector)
    assert gym.make(ID).observation_space == env.single_observation_space
