"""The compiled loops of the water maze that its own tests do not pin down."""

import numpy as np
import pytest

from neuroctl.envs.pool_trials import aims, discrete_steering, felt_state, nearest_point, steering, trial_figures


def test_figures_of_trials():
    """No trial ended, one, three."""
    first, later = trial_figures(*(np.array(x) for x in ([30, 7, 4], [0, 100, 50], [0, 0, 60], [0, 1, 3])))
    assert first == pytest.approx([1.5, 5.0, 2.5])
    assert later == pytest.approx([1.5, 0.35, 1.5])


def test_steering_turns_towards_the_aim():
    """Aims ahead, at the left, behind and at the right of swimmers that look north."""
    poses = np.tile([1.0, 2.0, np.pi / 2], (4, 1))
    aim = poses[:, :2] + np.array([[0, 1], [-1, 0.2], [0.1, -1], [1, 1]])
    commands = steering(poses, aim)
    assert commands[:, 1] == pytest.approx([0, np.pi, -np.pi, -np.pi])
    assert commands[:, 0] == pytest.approx([0.4, 0.4 * np.cos(np.arctan2(1, 0.2)) ** 3, 0, 0.4 / 8**0.5], abs=1e-6)
    assert discrete_steering(commands).tolist() == [0, 1, 2, 2]
    slight = steering(poses[:1], poses[:1, :2] + [-0.05, 1])
    assert slight[0, 1] == pytest.approx(5 * np.arctan(0.05))


def test_aims_are_platforms_that_are_known_or_points_of_the_path():
    platforms, path = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]), np.array([[5.0, 5.0], [6.0, 6.0]])
    found = aims(platforms, path, np.array([0, 1, 3]), np.array([True, False, False]))
    assert found.tolist() == [[1, 1], [6, 6], [6, 6]]
    assert nearest_point(path, 5.6, 5.6) == 1


def test_what_is_felt_is_in_the_swimmers_frame():
    out = np.zeros((2, 8), np.float32)
    qpos, qvel = np.array([[0.5, -1.0, np.pi / 2], [0, 0, 0]]), np.array([[0.1, 0.3, -np.pi / 2], [9, 0, 0]])
    felt_state(qpos, qvel, np.array([0, 3]), 2.0, out)
    assert out[0] == pytest.approx([0.25, -0.5, 0, 1, 0.75, -0.25, -0.5, 0], abs=1e-6)
    assert out[1] == pytest.approx([0, 0, 1, 0, 2, 0, 0, 1])
