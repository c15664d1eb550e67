"""Quick checks of every number in an array."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import NonFiniteError


def all_finite(values: NDArray[Any]) -> bool:
    """Whether no number of `values` `[...]`, which are real, is NaN or infinite."""
    if values.dtype.kind != "f":
        return True
    # A sum of squares is finite only if every number is; where it overflows, look at each.
    return math.isfinite(np.vdot(values, values)) or bool(np.isfinite(values).all())


def all_bounded(values: NDArray[np.floating], most: float) -> bool:
    """Whether all numbers `[...]`, float64, are from `-most` to `most`; NaN is not."""
    return bool(np.vdot(values, values) < most * most) or bool((np.abs(values) <= most).all())


def check_finite(where: str, state: Mapping[str, Any]) -> None:
    """Refuse state, nested dicts with arrays, that has a number which is NaN or infinite.

    Raises:
        NonFiniteError: names it.
    """
    for name, value in state.items():
        if isinstance(value, Mapping):
            check_finite(f"{name} of {where}", value)
        elif isinstance(value, np.ndarray) and not all_finite(value):
            raise NonFiniteError(f"{name} of {where} has a value that is not finite")
