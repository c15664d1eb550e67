"""Interquartile means and bootstrap intervals (Agarwal et al. 2021, arXiv 2108.13264).

The unit of a published number is the training seed; episodes are nested in it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import checked_integer
from .errors import NeuroctlError
from .streams import stream

Statistic = Callable[[NDArray[np.float64]], float]


def iqm(scores: ArrayLike) -> float:
    """Interquartile mean: the mean of what is left when a quarter of all scores is cut at each end.

    Args:
        scores: any shape; taken together.

    Raises:
        NeuroctlError: there are none, or some are NaN.
    """
    flat = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    if flat.size == 0:
        raise NeuroctlError("the interquartile mean of no scores is not defined")
    if np.isnan(flat[-1]):
        raise NeuroctlError(
            f"{np.isnan(flat).sum()} of {flat.size} scores are NaN; the interquartile mean needs numbers"
        )
    cut = int(0.25 * flat.size)
    return float(flat[cut : flat.size - cut].mean())


@dataclass(frozen=True)
class Interval:
    """A point estimate with a bootstrap percentile interval.

    Attributes:
        value: the statistic of the data.
        low: lower end.
        high: upper end.
        count: number of units resampled (training seeds, or episodes of one seed).
        level: nominal coverage. With 5 units a nominal 95 % interval covers 80 to 90 %: call it exploratory.
    """

    value: float
    low: float
    high: float
    count: int
    level: float = 0.95


def stratified_bootstrap(
    scores: ArrayLike,
    statistic: Statistic = iqm,
    *,
    repetitions: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of `statistic` when runs are resampled independently within each task.

    Args:
        scores: `[runs]` or `[runs, tasks]`.
        statistic: of an array of the same shape.
        repetitions: resamples.
        level: nominal coverage.
        seed: of the resampling.

    Raises:
        NeuroctlError: scores of another shape or none, no repetitions, or a level outside (0, 1).
    """
    data = np.asarray(scores, dtype=np.float64)
    if data.ndim not in (1, 2) or data.size == 0:
        raise NeuroctlError(f"scores have shape {data.shape}; expected [runs] or [runs, tasks], not empty")
    checked_integer("repetitions", repetitions, 1)
    if not 0 < level < 1:
        raise NeuroctlError(f"level must be between 0 and 1, got {level}")
    table = data.reshape(len(data), -1)
    runs, tasks = table.shape
    generator = stream(seed, "bootstrap")
    columns = np.arange(tasks)
    draws = [statistic(table[generator.integers(runs, size=(runs, tasks)), columns]) for _ in range(repetitions)]
    low, high = np.percentile(draws, [50 * (1 - level), 50 * (1 + level)])
    return Interval(statistic(table), float(low), float(high), runs, level)
