"""Where the recurrent dynamics of a policy would come to rest under a constant observation, and how it would leave."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .analysis import _flat, _slopes, _tensors
from .checks import checked_integer
from .contracts import map_observation
from .errors import NeuroctlError
from .policy import Policy, State, map_state

CLOSE = 1e-4
"""Two points are one when no entry differs by more."""


@dataclass(frozen=True)
class FixedPoints:
    """States that a step leaves as they are.

    Attributes:
        states: `[P, S]`, the one that most starts led to first.
        starts: how many led there, `[P]`.
        eigenvalues: of the Jacobian there, `[P, S]`, the greatest modulus first.
    """

    states: NDArray[np.float64]
    starts: NDArray[np.int64]
    eigenvalues: NDArray[np.complex128]

    @property
    def stable(self) -> NDArray[np.bool_]:
        """Whether small deviations die away, `[P]`."""
        found: NDArray[np.bool_] = np.abs(self.eigenvalues[:, 0]) < 1
        return found


def fixed_points(
    policy: Policy, obs: Any, starts: ArrayLike, iterations: int = 200, tolerance: float = 1e-9
) -> FixedPoints:
    """Fixed points of a policy's state under one observation (Sussillo and Barak 2013, Neural Computation 25, 626).

    From every start the squared distance between a state and the next is minimised, by Levenberg and Marquardt's
    steps in float64. Minima that are no fixed points are left out; so are fixed points that no start leads to.

    Args:
        policy: whose.
        obs: one observation `[...]`, or a dict of such.
        starts: states to start from `[K, S]`, such as those of `neuroctl.analysis.states_along`.
        iterations: at most.
        tolerance: largest change of an entry in a step, at a fixed point.

    Raises:
        NeuroctlError: starts of another size than the policy's state.
    """
    mind = copy.deepcopy(policy).double()
    points = torch.as_tensor(np.array(starts, np.float64))
    size = _flat(mind.initial_state(1)).shape[1]
    if not size:
        raise NeuroctlError("the policy has no state: it remembers nothing")
    if points.dim() != 2 or points.shape[1] != size or not len(points):
        raise NeuroctlError(f"starts must be [K, {size}], got {list(points.shape)}")
    seen = map_observation(lambda part: _repeated(part, len(points)), obs)
    damping = torch.ones(len(points), dtype=torch.float64)
    moved, slopes = _moved(mind, seen, points)
    for _ in range(checked_integer("iterations", iterations, 1)):
        tilted = slopes - torch.eye(size, dtype=torch.float64)
        gram = tilted.transpose(1, 2) @ tilted + damping[:, None, None] * torch.eye(size, dtype=torch.float64)
        step = torch.linalg.solve(gram, -(tilted.transpose(1, 2) @ moved[..., None]))[..., 0]
        next_moved, next_slopes = _moved(mind, seen, points + step)
        better = next_moved.square().sum(1) < moved.square().sum(1)
        points = torch.where(better[:, None], points + step, points)
        moved = torch.where(better[:, None], next_moved, moved)
        slopes = torch.where(better[:, None, None], next_slopes, slopes)
        damping = (damping * torch.where(better, 0.2, 5.0)).clamp(1e-15, 1e15)
        if (moved.abs().amax(1) < tolerance / 10).all():
            break
    return _distinct(points, slopes, moved.abs().amax(1) < tolerance)


def _repeated(part: Any, rows: int) -> Tensor:
    value = torch.as_tensor(np.asarray(part))
    return value.expand(rows, *value.shape)


def _moved(policy: Policy, obs: Any, points: Tensor) -> tuple[Tensor, Tensor]:
    """How far a step moves states `[K, S]`, and its Jacobian `[K, S, S]`."""
    state = map_state(lambda part: part.requires_grad_(), _nested(points, policy.initial_state(len(points))))
    with torch.enable_grad():
        _, after = policy.step(obs, state, torch.zeros(len(points), dtype=torch.bool))
        flat = _flat(after)
        slopes = _slopes(flat, _tensors(state))
    return flat.detach() - points, slopes.detach()


def _nested(points: Tensor, like: State) -> State:
    """Vectors `[K, S]` as a state of the structure of `like`."""
    parts = iter(torch.split(points, [part[0].numel() for part in _tensors(like)], dim=1))
    return map_state(lambda part: next(parts).reshape(part.shape).clone(), like)


def _distinct(points: Tensor, slopes: Tensor, found: Tensor) -> FixedPoints:
    """Each point once, with how often it was found."""
    chosen: list[int] = []
    counts: list[int] = []
    for k in torch.nonzero(found)[:, 0].tolist():
        same = [n for n, other in enumerate(chosen) if (points[other] - points[k]).abs().max() < CLOSE]
        if same:
            counts[same[0]] += 1
        else:
            chosen.append(k)
            counts.append(1)
    order = np.argsort(-np.array(counts, np.int64), kind="stable")
    kept = [chosen[n] for n in order]
    values = np.linalg.eigvals(slopes[kept].numpy()).astype(np.complex128)
    values = np.take_along_axis(values, np.argsort(-np.abs(values), axis=1, kind="stable"), axis=1)
    return FixedPoints(points[kept].numpy(), np.array(counts, np.int64)[order], values)
