"""Rewards on a scale of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroctl.normaliser import Normaliser

STD_FLOOR = 1e-8


class ReturnScale:
    """Divides rewards by the standard deviation of the discounted returns of all rows so far, running backwards.

    As `NormalizeReward` of Gymnasium, with moments over all rows and steps since the beginning.
    """

    def __init__(self, discount: float) -> None:
        self._discount, self._moments = discount, Normaliser((1,))
        self._returns = np.zeros(0)

    def begin(self, num_envs: int) -> None:
        """New episodes; the moments stay."""
        self._returns = np.zeros(num_envs)

    def scaled(self, reward: NDArray[np.float64], done: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The rewards `[B]` of a step, scaled by the moments that include it."""
        self._returns = self._discount * self._returns + reward
        self._moments.update(torch.from_numpy(self._returns[:, None]))
        self._returns[done] = 0.0
        variance = self._moments.variance.item() if self._moments.count > 1 else 1.0
        scaled: NDArray[np.float64] = reward / np.sqrt(variance + STD_FLOOR)
        return scaled

    def state_dict(self) -> dict[str, Any]:
        """Moments and returns of the rows."""
        moments = {name: value.clone() for name, value in self._moments.state_dict().items()}
        return {"moments": moments, "returns": self._returns.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._moments.load_state_dict(state["moments"])
        self._returns = state["returns"].copy()
