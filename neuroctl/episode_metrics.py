"""Figures of the episodes that end while an agent learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .contracts import Info, Listener, Observation, Step
from .recorder import scalar_columns
from .vector import Vector


class EpisodeMetrics(Listener):
    """Return, length and the last info of every episode that ends, as `episode/...`."""

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Start counting."""
        self.restart(env.num_envs)

    def restart(self, rows: int) -> None:
        """Count from new episodes in all rows."""
        self._returns, self._lengths = np.zeros(rows), np.zeros(rows, np.int64)
        self._ended: list[dict[str, float]] = []

    def on_step(self, step: Step) -> None:
        """Count the step, and keep the figures of rows whose episode ended with it."""
        self._returns += step.reward
        self._lengths += 1
        self._ended = []
        if not step.done.any():
            return
        columns = scalar_columns(step.info.get("final_info", {}))
        for b in np.flatnonzero(step.done).tolist():
            said = {f"episode/{key}": float(values[b]) for key, values in columns.items() if np.isfinite(values[b])}
            own = {"episode/return": float(self._returns[b]), "episode/length": float(self._lengths[b])}
            self._ended.append(said | own)
        self._returns[step.done], self._lengths[step.done] = 0, 0

    def ended(self) -> list[dict[str, float]]:
        """The figures of each episode that ended with the last step."""
        return self._ended

    def state_dict(self) -> dict[str, Any]:
        """Returns and lengths so far of the episodes that go on."""
        return {"returns": self._returns.copy(), "lengths": self._lengths.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._returns, self._lengths = state["returns"].copy(), state["lengths"].copy()
