"""The last steps of a closed loop, as a learner needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

FIELDS = ("obs", "first", "drawn", "log_prob", "value", "reward", "next_value", "terminated", "truncated")


class Rollout:
    """Steps in the order in which they came, each an array `[B, ...]` by the names of `FIELDS`.

    `drawn` is what the action was made from, `value` the critic's, and `next_value` its word on the last observation of
    an episode that a time limit cut; 0 elsewhere.
    """

    def __init__(self) -> None:
        self._steps: dict[str, list[NDArray[Any]]] = {name: [] for name in FIELDS}

    def __len__(self) -> int:
        """Whole steps."""
        return len(self._steps["reward"])

    def add(self, **values: NDArray[Any]) -> None:
        """Part of a step; copied, since environments may write to their arrays again."""
        for name, value in values.items():
            self._steps[name].append(np.array(value))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All steps, `[T, B, ...]` by name."""
        return {name: np.stack(steps) for name, steps in self._steps.items()}

    def clear(self) -> None:
        """Forget them."""
        for steps in self._steps.values():
            steps.clear()

    def state_dict(self) -> dict[str, Any]:
        """Whole steps, by name; nothing when there are none."""
        return self.arrays() if len(self) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._steps = {name: [np.array(step) for step in state.get(name, ())] for name in FIELDS}
