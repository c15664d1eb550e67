"""Compiled loops of the ball's task: its commands, its trials, and what is said of them.

They are scalar, so that a row's bits do not depend on the number of rows; each does at once what would else be a chain
of NumPy calls on a few numbers.
"""

import numpy as np
from numba import njit

from .ball import GOAL_RADIUS_M, MAX_SPEED_M_S

CONTROL_DT_S = 0.02
TIMEOUT_S = 60.0
"""A trial ends here; it then counts with this time."""
TIMEOUT_STEPS = round(TIMEOUT_S / CONTROL_DT_S)


@njit(cache=True, nogil=True)
def limited(velocities):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Velocities `[n, 2]`, shortened to `MAX_SPEED_M_S` where they are longer."""
    out = np.empty(velocities.shape)
    for b in range(len(velocities)):
        x, y = velocities[b, 0], velocities[b, 1]
        factor = MAX_SPEED_M_S / max(np.sqrt(x * x + y * y), MAX_SPEED_M_S)
        out[b, 0], out[b, 1] = x * factor, y * factor
    return out


@njit(cache=True, nogil=True)
def count_step(positions, goal_m, steps, reached):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Count a control step of every trial; whether any is over.

    Args:
        positions: of the balls, m, `[n, 2]`.
        goal_m: the goal's centre `[2]`.
        steps: of the running trials, int64 `[n]`, brought up to date.
        reached: bool `[n]`, overwritten: the ball's centre is in the goal.
    """
    any_over = False
    for b in range(len(positions)):
        x, y = positions[b, 0] - goal_m[0], positions[b, 1] - goal_m[1]
        steps[b] += 1
        reached[b] = np.sqrt(x * x + y * y) <= GOAL_RADIUS_M
        any_over |= reached[b] | (steps[b] >= TIMEOUT_STEPS)
    return any_over


@njit(cache=True, nogil=True)
def trial_figures(positions, goal_m, trials, steps, last_steps, ended_steps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Time to the goal of the last trial, mean over those that ended (s), and distance from the goal (m), `[3, n]`.

    As long as no trial has ended, the times are those of the running one.

    Args:
        positions: of the balls, m, `[n, 2]`.
        goal_m: the goal's centre `[2]`.
        trials: that ended `[n]`.
        steps: of the running trial `[n]`.
        last_steps: of the last that ended `[n]`.
        ended_steps: of all that ended together `[n]`.
    """
    out = np.empty((3, len(positions)))
    for b in range(len(positions)):
        x, y = positions[b, 0] - goal_m[0], positions[b, 1] - goal_m[1]
        running = trials[b] == 0
        out[0, b] = (steps[b] if running else last_steps[b]) * CONTROL_DT_S
        out[1, b] = (steps[b] if running else ended_steps[b]) / max(trials[b], 1) * CONTROL_DT_S
        out[2, b] = np.sqrt(x * x + y * y)
    return out
