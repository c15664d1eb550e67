"""The compiled loops of the ball's task compute what NumPy computes, bit for bit, and each row for itself."""

from typing import Any

import numpy as np
import pytest

from neuroctl.envs.ball_trials import TIMEOUT_STEPS, count_step, limited, trial_figures

GOAL_M = np.array([1.5, -0.7])


def lengths(vectors: Any) -> Any:
    x, y = vectors.T
    return np.sqrt(x * x + y * y)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_only_velocities_above_4_m_per_s_are_shortened(rng: np.random.Generator) -> None:
    velocities = rng.uniform(-6, 6, (500, 2))
    velocities[:3] = (0, 0), (4, 0), (0, -4)
    out, speeds = limited(velocities), lengths(velocities)
    assert (out == velocities * (4 / np.maximum(speeds, 4))[:, None]).all()
    assert (out[speeds <= 4] == velocities[speeds <= 4]).all()
    assert lengths(out) == pytest.approx(np.minimum(speeds, 4), rel=1e-15)
    assert (speeds > 4).any() and (speeds < 4).any()


def test_a_trial_is_over_at_the_goal_or_after_60_s(rng: np.random.Generator) -> None:
    positions = GOAL_M + rng.uniform(-3, 3, (300, 2))
    positions[:2] = GOAL_M + [2, 0], GOAL_M + [np.nextafter(2, 3), 0]
    positions[1, 0] += 1e-15
    steps = rng.integers(0, TIMEOUT_STEPS - 1, 300)
    steps[2:4] = TIMEOUT_STEPS - 2, TIMEOUT_STEPS - 1
    positions[2:4] = GOAL_M + 3
    before, reached = steps.copy(), np.empty(300, np.bool_)
    assert count_step(positions, GOAL_M, steps, reached)
    assert (steps == before + 1).all()
    assert (reached == (lengths(positions - GOAL_M) <= 2)).all()
    assert TIMEOUT_STEPS == 3000
    for row, over in ((0, True), (1, False), (2, False), (3, True)):
        one = slice(row, row + 1)
        assert count_step(positions[one], GOAL_M, before[one].copy(), reached[one]) == over


def test_figures_are_those_of_the_last_trial_or_of_the_running_one(rng: np.random.Generator) -> None:
    positions = rng.uniform(-8, 8, (200, 2))
    trials, steps, last, ended = rng.integers(0, [[3], [3000], [3000], [9000]], (4, 200))
    figures = trial_figures(positions, GOAL_M, trials, steps, last, ended)
    running = trials == 0
    assert (figures[0] == np.where(running, steps, last) * 0.02).all()
    assert (figures[1] == np.where(running, steps, ended) / np.maximum(trials, 1) * 0.02).all()
    assert (figures[2] == lengths(positions - GOAL_M)).all()
    assert running.any() and not running.all()
    alone = trial_figures(positions[7:8], GOAL_M, trials[7:8], steps[7:8], last[7:8], ended[7:8])
    assert (alone == figures[:, 7:8]).all()
