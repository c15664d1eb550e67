"""Small helpers that SAME_STEP vector environments and wrappers share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError


def reset_rows(options: Mapping[str, Any] | None, num_envs: int) -> NDArray[np.intp]:
    """Rows named by `options["reset_mask"]`; all without it.

    Raises:
        NeuroctlError: an unknown option, or a mask that is not bool `[num_envs]`.
    """
    unknown = set(options or {}) - {"reset_mask"}
    if unknown:
        raise NeuroctlError(f"unknown reset option {sorted(unknown)[0]!r}; allowed: 'reset_mask'")
    mask = np.asarray((options or {}).get("reset_mask", np.ones(num_envs, np.bool_)))
    if mask.dtype != np.bool_ or mask.shape != (num_envs,):
        raise NeuroctlError(f"reset_mask has type {mask.dtype} and shape {mask.shape}; expected bool ({num_envs},)")
    return np.flatnonzero(mask)


def replaced(values: NDArray[Any], rows: NDArray[np.intp], new: NDArray[Any]) -> NDArray[Any]:
    """A copy of `values` `[B, ...]` with `rows` replaced by `new` `[len(rows), ...]`."""
    result = values.copy()
    result[rows] = new
    return result


def checked_actions(actions: Any, space: Any, num_envs: int) -> NDArray[Any]:
    """Actions `[B, ...]` of a Box, clipped to its bounds, or of a discrete space.

    Raises:
        NeuroctlError: wrong shape or type, NaN, infinity, or not in the discrete space.
    """
    given: NDArray[Any] = np.asarray(actions)
    if given.shape != (num_envs, *space.shape):
        raise NeuroctlError(f"actions have shape {given.shape}; expected {(num_envs, *space.shape)}")
    if hasattr(space, "low"):
        if given.dtype.kind not in "fiu" or not np.isfinite(given).all():
            raise NeuroctlError(f"actions must be finite numbers; got {given.dtype} {given.tolist()}"[:300])
        clipped: NDArray[Any] = np.minimum(np.maximum(given, space.low), space.high)
        return clipped
    if given.dtype.kind not in "iu" or not all(space.contains(action) for action in given):
        raise NeuroctlError(f"actions {given.tolist()} are not in {space}"[:300])
    return given
