"""Experts of Gymnasium's MuJoCo tasks: small feed-forward networks that `launch/make_experts.py` trained.

They see the task's whole observation, velocities too. The networks lie beside this module, 100 kB each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import load_file

from neuroctl.errors import NeuroctlError

FOLDER = Path(__file__).parent / "experts"
CLIP = 10.0
"""Standardised observations are cut to +- this, as where the experts were trained."""


class TrainedExpert:
    """Three layers on a standardised observation: tanh, tanh, linear; the action is cut to its bounds.

    Rows are computed one by one, so that they do not depend on their neighbours.

    Args:
        mean: of observations, `[D]`.
        std: of observations, `[D]`.
        weights: `[H1, D]`, `[H2, H1]`, `[A, H2]`.
        biases: `[H1]`, `[H2]`, `[A]`.
        low: least action, `[A]`.
        high: largest action, `[A]`.
    """

    def __init__(
        self,
        mean: NDArray[np.float64],
        std: NDArray[np.float64],
        weights: Iterable[NDArray[np.float32]],
        biases: Iterable[NDArray[np.float32]],
        low: NDArray[np.float32],
        high: NDArray[np.float32],
    ) -> None:
        self.mean, self.std = np.float64(mean), np.float64(std)
        self.weights = tuple(np.ascontiguousarray(weight, np.float64) for weight in weights)
        self.biases = tuple(np.ascontiguousarray(bias, np.float64) for bias in biases)
        self.low, self.high = low, high

    def act(self, obs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Actions `[B, A]` for observations `[B, D]`.

        Raises:
            NeuroctlError: the observations have another size.
        """
        if obs.shape[1:] != self.mean.shape:
            raise NeuroctlError(
                f"the expert was trained on observations of {self.mean.size} numbers, the task's options give "
                f"{obs.shape[1]}"
            )
        y = np.clip((obs - self.mean) / self.std, -CLIP, CLIP)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = _layer(y, weight, bias)
            y = y if layer == len(self.weights) - 1 else np.tanh(y)
        action = self.low + (self.high - self.low) * 0.5 * (np.clip(y, -1, 1) + 1)
        return np.clip(action, self.low, self.high).astype(np.float32)


@njit(cache=True, nogil=True)
def _layer(x: NDArray[np.float64], weight: NDArray[np.float64], bias: NDArray[np.float64]) -> NDArray[np.float64]:
    """`x W^T + b` `[B, H]`, row by row in one order of summation."""
    y = np.empty((len(x), len(bias)))
    for b in range(len(x)):
        for h in range(len(bias)):
            total = bias[h]
            for d in range(x.shape[1]):
                total += weight[h, d] * x[b, d]
            y[b, h] = total
    return y


def trained() -> list[str]:
    """Tasks that have an expert."""
    return sorted(path.stem for path in FOLDER.glob("*.safetensors"))


@cache
def expert_of(task: str) -> TrainedExpert:
    """The expert of one of Gymnasium's tasks.

    Raises:
        NeuroctlError: nobody trained one.
    """
    path = FOLDER / f"{task}.safetensors"
    if not path.exists():
        raise NeuroctlError(f"neuroctl/{task} has no expert; of these tasks {', '.join(trained())} have one")
    tensors = load_file(path)
    layers = range(3)
    return TrainedExpert(
        tensors["mean"],
        tensors["std"],
        [tensors[f"weight{n}"] for n in layers],
        [tensors[f"bias{n}"] for n in layers],
        tensors["low"],
        tensors["high"],
    )


def made_by(task: str) -> dict[str, Any]:
    """How an expert was made: seed, steps, returns, versions."""
    with safe_open(FOLDER / f"{task}.safetensors", framework="np") as file:
        described: dict[str, Any] = json.loads(file.metadata()["made_by"])
    return described
