"""Shifts of event counts: events that nobody caused, and events that are lost. Severity 1 is mild, 5 severe."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown_space

from .shift_wrapper import Leaves, ShiftWrapper, has_events, is_events


class EventShift(ShiftWrapper):
    """Perturbs the event counts of the observation and leaves the rest."""

    redraws = True

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """Event counts are needed."""
        if has_events(observation_space):
            return None
        return f"it needs the counts of an event camera (EventSpace), not {shown_space(observation_space)}"

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with other counts."""
        return {
            name: self._perturb_rows(value, rows, self._spaces[name]) if is_events(self._spaces[name]) else value.copy()
            for name, value in obs.items()
        }

    def _perturb_rows(self, counts: NDArray[np.float32], rows: NDArray[np.intp], space: Any) -> NDArray[np.float32]:
        whole = counts.astype(np.int64)
        changed = np.stack([self.perturb_counts(row, self.rng(b)) for row, b in zip(whole, rows.tolist(), strict=True)])
        bounded: NDArray[np.float32] = np.minimum(changed, int(space.high.flat[0])).astype(np.float32)
        return bounded

    def perturb_counts(self, counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Other counts instead of those of one row."""
        raise NotImplementedError


class EventNoise(EventShift):
    """Every count has a Poisson number of noise events added; the level is its mean per control step."""

    name = "event-noise"
    levels = (0.0, 0.005, 0.02, 0.05, 0.15, 0.5)

    def perturb_counts(self, counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """More events."""
        return counts + rng.poisson(self.value, counts.shape)


class EventLoss(EventShift):
    """Each event is lost with a probability equal to the level: counts are thinned binomially."""

    name = "event-loss"
    levels = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)

    def perturb_counts(self, counts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Fewer events."""
        return rng.binomial(counts, 1 - self.value)
