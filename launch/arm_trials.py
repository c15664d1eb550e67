"""Trials of reaching arms: where the movement started to, how near it came, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.contracts import Info, Listener, Observation, Step
from neuroctl.envs.arm_reach import CONTROL_DT_S
from neuroctl.vector import Vector

FIELDS = ("direction_deg", "early_m", "final_m", "reach_s")
"""Of each trial: signed angle from the target's direction to that of the cursor's displacement, after `EARLY_STEPS`
from the start, -180 to 180, positive is counter-clockwise; distance to the target then and at the end; time until it
is within `NEAR_M`, that of the whole trial if it never is."""
EARLY_STEPS = 15
"""0.3 s."""
NEAR_M = 0.02

Floats = NDArray[np.float64]


def directions_deg(start: Floats, later: Floats) -> Floats:
    """Angle from the direction to the target to that of the displacement, degrees.

    Args:
        start: vectors from target to cursor at the start `[..., 2]`, m.
        later: the same a while later.
    """
    moved = later - start
    across = start[..., 1] * moved[..., 0] - start[..., 0] * moved[..., 1]
    along = -(start * moved).sum(axis=-1)
    angles: Floats = np.degrees(np.arctan2(across, along))
    return angles


class TrialLog(Listener):
    """Keeps `FIELDS` of every trial of all rows; these must end together, and observe the vector target to cursor last.

    Args:
        max_steps: control steps of a trial, more than `EARLY_STEPS`.
    """

    def __init__(self, max_steps: int) -> None:
        self._max_steps = max_steps

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Forget what was."""
        self._rows = env.num_envs
        self._trials: list[Floats] = []
        self._gaps: list[Floats] = []
        self._distances: list[Floats] = []

    def on_step(self, step: Step) -> None:
        """Keep where the cursor is; at the end of a trial, what came of it."""
        obs: Any = step.obs
        self._gaps.append(obs[:, -2:].astype(np.float64))
        if not step.done.any():
            self._distances.append(step.info["distance_m"])
            return
        self._distances.append(step.info["final_info"]["distance_m"])
        self._trials.append(self._measured())
        self._gaps, self._distances = [], []

    def _measured(self) -> Floats:
        """`FIELDS` of the trial that ended `[4, B]`."""
        distances = np.array(self._distances)
        near = distances < NEAR_M
        reached = np.where(near.any(axis=0), near.argmax(axis=0) + 1, self._max_steps) * CONTROL_DT_S
        direction = directions_deg(self._gaps[0], self._gaps[EARLY_STEPS])
        return np.stack([direction, distances[EARLY_STEPS - 1], distances[-1], reached])

    @property
    def trials(self) -> dict[str, Floats]:
        """`FIELDS`, each `[trials, B]`; without a trial that has not ended."""
        values = np.array(self._trials).reshape(-1, len(FIELDS), self._rows)
        return {name: values[:, n] for n, name in enumerate(FIELDS)}
