"""What units of a network say about a variable: tuning curves, and how well a line reads it off.

data = Recording("datasets/inside")             # made with --neural
episodes = [data.episode(number) for number in data.numbers()]
units = np.concatenate([episode.neural["units"] for episode in episodes])        # [T, N]
heading = np.concatenate([episode.obs[:-1, 2] for episode in episodes])          # [T]
groups = np.repeat(np.arange(len(episodes)), [len(episode) for episode in episodes])
decode(units, heading, groups)                  # share of the variance that is read off in episodes never fitted to
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import checked_integer, is_number, shown
from .errors import NeuroctlError, NonFiniteError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TuningCurves:
    """Mean activity of units, by the value of a variable.

    Attributes:
        centres: of the K bins, `[K]`.
        mean: `[K, N]`; NaN where a bin is empty.
        error: standard error of the mean, as if steps were independent (neighbouring ones are not), `[K, N]`.
        counts: steps in each bin, `[K]`.
    """

    centres: Floats
    mean: Floats
    error: Floats
    counts: NDArray[np.int64]


def tuning_curves(units: ArrayLike, variable: ArrayLike, bins: int = 12) -> TuningCurves:
    """Mean activity in bins of equal width, from the least to the largest value of the variable.

    Args:
        units: `[T, N]`.
        variable: `[T]`.
        bins: K.

    Raises:
        NeuroctlError: shapes that do not fit, a variable that never varies, or fewer than 2 bins.
        NonFiniteError: NaN or infinity.
    """
    activity, values = _checked(units, variable, 1)
    count = checked_integer("bins", bins, 2)
    edges = np.linspace(values.min(), values.max(), count + 1)
    if edges[0] == edges[-1]:
        raise NeuroctlError(f"the variable is {edges[0]:g} in every step; there is no curve over it")
    place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, count - 1)
    counts = np.bincount(place, minlength=count)
    sums, squares = (np.zeros((count, activity.shape[1])) for _ in range(2))
    np.add.at(sums, place, activity)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / counts[:, None]
        np.add.at(squares, place, (activity - mean[place]) ** 2)
        error = np.sqrt(squares / (counts[:, None] - 1) / counts[:, None])
    return TuningCurves((edges[1:] + edges[:-1]) / 2, mean, error, counts)


def decode(units: ArrayLike, variable: ArrayLike, groups: ArrayLike, folds: int = 5, penalty: float = 1e-3) -> Floats:
    """Share of a variable's variance that a line reads off the units, in groups that it was not fitted to.

    Ridge regression on standardised units. Whole groups (episodes) are left out in turn: neighbouring steps are alike,
    so that leaving out single steps would find what is not there.

    Args:
        units: `[T, N]`.
        variable: `[T]`, or several `[T, V]`.
        groups: number of each step's group, `[T]`.
        folds: parts into which the groups are dealt out, at most as many as there are groups.
        penalty: of the squared weights, by the number of steps.

    Returns:
        `[V]`: 1 where all is read off; 0 or less where the mean is as good. NaN of a variable that never varies.

    Raises:
        NeuroctlError: shapes that do not fit, fewer than 2 groups or folds, or a negative penalty.
        NonFiniteError: NaN or infinity.
    """
    activity, values = _checked(units, variable, 2)
    which = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
    if which.shape != (len(activity),) or which.max(initial=0) < 1:
        raise NeuroctlError(f"groups must be {len(activity)} numbers of at least 2 groups, got {shown(groups)}")
    if not (is_number(penalty) and penalty >= 0):
        raise NeuroctlError(f"penalty must be >= 0, got {shown(penalty)}")
    parts = which % min(checked_integer("folds", folds, 2), int(which.max()) + 1)
    left = np.zeros_like(values)
    for part in range(int(parts.max()) + 1):
        out = parts == part
        left[out] = values[out] - _fitted(activity[~out], values[~out], activity[out], penalty)
    spread = ((values - values.mean(0)) ** 2).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = np.where(spread > 0, 1 - (left**2).sum(0) / spread, np.nan)
    return share


def _fitted(units: Floats, values: Floats, others: Floats, penalty: float) -> Floats:
    """What a ridge regression on `units` says of `others`."""
    mean, scale = units.mean(0), units.std(0)
    scale[scale == 0] = 1.0
    x, x_others, centre = (units - mean) / scale, (others - mean) / scale, values.mean(0)
    gram = x.T @ x + (penalty * len(x) + 1e-12) * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x.T @ (values - centre))
    said: Floats = x_others @ weights + centre
    return said


def _checked(units: ArrayLike, variable: ArrayLike, dims: int) -> tuple[Floats, Floats]:
    """Units `[T, N]` and a variable `[T]`, or `[T, V]` of two dimensions."""
    activity, values = np.asarray(units, np.float64), np.asarray(variable, np.float64)
    if dims == 2 and values.ndim == 1:
        values = values[:, None]
    if activity.ndim != 2 or values.ndim != dims or len(activity) != len(values) or not len(values):
        shapes = f"{activity.shape} and {values.shape}"
        raise NeuroctlError(f"units [T, N] and a variable of as many steps are needed, got {shapes}")
    if not (np.isfinite(activity).all() and np.isfinite(values).all()):
        raise NonFiniteError("units or variable are not finite")
    return activity, values
