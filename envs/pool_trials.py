"""Compiled loops of the water maze: its trials, what the swimmer feels, what is said of it, and its experts.

They are scalar, so that a row's bits do not depend on the number of rows; each does at once what would else be a chain
of NumPy calls on a few numbers.
"""

import numpy as np
from numba import njit

from .pool import CONTROL_DT_S, MAX_SPEED_M_S, MAX_TURN_RAD_S, PLATFORM_M

PASSED_M = 0.08
"""A point of the search path that was this near has been passed."""
STEER_HZ = 5.0
"""Turn rate per angle between heading and aim, of the experts."""
_SWIMS, RESTS, MOVES = 0, 1, 2


@njit(cache=True, nogil=True)
def count_step(qpos, platforms, path, rest_steps, counts, rest, waypoint, arrived):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Count a control step of every trial.

    Args:
        qpos: x, y, heading `[n, 3]`.
        platforms: their centres, m, `[n, 2]`.
        path: the search path `[k, 2]`, m.
        rest_steps: control steps on the platform after each arrival.
        counts: int64 `[n]` each, brought up to date like what follows: steps in the water in the running trial, in the
            first one that ended, in all later ones that ended together, and platforms reached.
        rest: steps left on the platform, `[n]`.
        waypoint: index of the point of the search path that comes next, `[n]`.
        arrived: whether the platform was reached in this step, bool `[n]`.

    Returns:
        What is to be done in each row, int64 `[n]`: nothing, `RESTS` (it stops on the platform), `MOVES` (to a start).
    """
    trial_steps, first_steps, later_steps, goals = counts
    todo = np.zeros(len(qpos), np.int64)
    for b in range(len(qpos)):
        arrived[b] = False
        if rest[b] > 0:
            rest[b] -= 1
            todo[b] = MOVES if rest[b] == 0 else _SWIMS
            continue
        trial_steps[b] += 1
        x, y = qpos[b, 0] - platforms[b, 0], qpos[b, 1] - platforms[b, 1]
        if np.sqrt(x * x + y * y) <= PLATFORM_M:
            arrived[b] = True
            goals[b] += 1
            if goals[b] == 1:
                first_steps[b] = trial_steps[b]
            else:
                later_steps[b] += trial_steps[b]
            rest[b] = rest_steps
            todo[b] = RESTS if rest_steps > 0 else MOVES
            continue
        ahead = waypoint[b] % len(path)
        x, y = qpos[b, 0] - path[ahead, 0], qpos[b, 1] - path[ahead, 1]
        if np.sqrt(x * x + y * y) < PASSED_M:
            waypoint[b] = (ahead + 1) % len(path)
    return todo


@njit(cache=True, nogil=True)
def nearest_point(path, x, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Index of the point of `path` `[k, 2]` nearest to x, y."""
    best, least = 0, np.inf
    for k in range(len(path)):
        dx, dy = path[k, 0] - x, path[k, 1] - y
        if dx * dx + dy * dy < least:
            best, least = k, dx * dx + dy * dy
    return best


@njit(cache=True, nogil=True)
def felt_state(qpos, qvel, rest, radius_m, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """What the swimmer feels, into `out` float32 `[n, 8+]`.

    Position over the pool's radius, cos and sin of the heading, velocity ahead and to the left over the greatest speed,
    turn rate over the greatest, and whether it rests on the platform; each within [-2, 2].
    """
    for b in range(len(qpos)):
        cos, sin = np.cos(qpos[b, 2]), np.sin(qpos[b, 2])
        ahead = qvel[b, 0] * cos + qvel[b, 1] * sin
        left = qvel[b, 1] * cos - qvel[b, 0] * sin
        values = (
            qpos[b, 0] / radius_m, qpos[b, 1] / radius_m, cos, sin,
            ahead / MAX_SPEED_M_S, left / MAX_SPEED_M_S, qvel[b, 2] / MAX_TURN_RAD_S, 1.0 if rest[b] > 0 else 0.0,
        )  # fmt: skip
        for k in range(8):
            out[b, k] = min(max(values[k], -2.0), 2.0)


@njit(cache=True, nogil=True)
def trial_figures(trial_steps, first_steps, later_steps, goals):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Time to the platform in the first trial, and mean over the later ones that ended (s), `[2, n]`.

    Where no such trial has ended, it is the time of the running one until now.
    """
    out = np.empty((2, len(goals)))
    for b in range(len(goals)):
        out[0, b] = (first_steps[b] if goals[b] > 0 else trial_steps[b]) * CONTROL_DT_S
        out[1, b] = (later_steps[b] / (goals[b] - 1) if goals[b] > 1 else trial_steps[b]) * CONTROL_DT_S
    return out


@njit(cache=True, nogil=True)
def aims(platforms, path, waypoint, known):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Where the experts swim to, `[n, 2]`: the platform where it is `known` `[n]`, else along the search path."""
    out = np.empty(platforms.shape)
    for b in range(len(platforms)):
        ahead = waypoint[b] % len(path)
        for k in range(2):
            out[b, k] = platforms[b, k] if known[b] else path[ahead, k]
    return out


@njit(cache=True, nogil=True)
def steering(qpos, aim):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Speed (m/s) and turn rate (rad/s) towards `aim` `[n, 2]`, float32 `[n, 2]`.

    The speed is the greatest times cos(angle)^3, 0 from 90 degrees on; with a higher one it would circle about the aim.
    """
    out = np.empty((len(qpos), 2), np.float32)
    for b in range(len(qpos)):
        cos, sin = np.cos(qpos[b, 2]), np.sin(qpos[b, 2])
        x, y = aim[b, 0] - qpos[b, 0], aim[b, 1] - qpos[b, 1]
        angle = np.arctan2(y * cos - x * sin, x * cos + y * sin)
        out[b, 0] = MAX_SPEED_M_S * max(np.cos(angle), 0.0) ** 3
        out[b, 1] = min(max(STEER_HZ * angle, -MAX_TURN_RAD_S), MAX_TURN_RAD_S)
    return out


@njit(cache=True, nogil=True)
def discrete_steering(commands):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The discrete command (0 forward, 1 left, 2 right) for turn rates in `commands` `[n, 2]`, int64 `[n]`."""
    out = np.zeros(len(commands), np.int64)
    for b in range(len(commands)):
        if abs(commands[b, 1]) > MAX_TURN_RAD_S / 2:
            out[b] = 1 if commands[b, 1] > 0 else 2
    return out
