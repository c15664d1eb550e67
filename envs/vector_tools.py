"""Small helpers that SAME_STEP vector environments and wrappers share."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown, shown_space
from neuroctl.errors import NeuroctlError
from neuroctl.finite import all_finite


def require(name: str, value: Any, allowed: Sequence[Any]) -> None:
    """Refuse an option that is not among the names, truth values or None that are allowed.

    Raises:
        NeuroctlError: it is not.
    """
    if not isinstance(value, (str, bool, type(None))) or value not in allowed:
        raise NeuroctlError(f"unknown {name} {shown(value)}; allowed: {', '.join(map(repr, allowed))}")


def is_default(value: Any, default: Any) -> bool:
    """Whether an option has its default value, which is no array."""
    return isinstance(value, (str, int, float, np.generic, type(None))) and bool(value == default)


def checked_rows(rows: Sequence[int] | NDArray[np.intp] | None, num_envs: int) -> NDArray[np.intp]:
    """Row numbers `[n]`; all where None.

    Raises:
        NeuroctlError: not a list of integers, or one beyond the rows there are.
    """
    if rows is None:
        return np.arange(num_envs)
    index = array_of(rows)
    if index is None or index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise NeuroctlError(f"rows is {shown(rows)}; allowed: a list of integers from 0 to {num_envs - 1}")
    if index.size and not (index.min() >= 0 and index.max() < num_envs):
        wrong = index[(index < 0) | (index >= num_envs)][0]
        raise NeuroctlError(f"row {wrong} does not exist; allowed: 0 to {num_envs - 1}")
    return index.astype(np.intp)


def array_of(values: Any) -> NDArray[Any] | None:
    """An array, or None where the parts do not fit together."""
    try:
        return np.asarray(values)
    except (ValueError, TypeError):
        return None


def require_options(options: Any) -> None:
    """Refuse reset options that are neither a mapping nor None.

    Raises:
        NeuroctlError: they are anything else.
    """
    if options is not None and not isinstance(options, Mapping):
        raise NeuroctlError(f"reset options are {shown(options)}; allowed: None or a mapping with 'reset_mask'")


def reset_rows(options: Mapping[str, Any] | None, num_envs: int) -> NDArray[np.intp]:
    """Rows named by `options["reset_mask"]`; all without it.

    Raises:
        NeuroctlError: not a mapping, an unknown option, or a mask that is not bool `[num_envs]`.
    """
    require_options(options)
    unknown = set(options or {}) - {"reset_mask"}
    if unknown:
        raise NeuroctlError(f"unknown reset option {min(map(shown, unknown))}; allowed: 'reset_mask'")
    mask = array_of((options or {}).get("reset_mask", np.ones(num_envs, np.bool_)))
    if mask is None:
        raise NeuroctlError(f"reset_mask is ragged; expected bool ({num_envs},)")
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
        NeuroctlError: ragged, wrong shape or type, NaN, infinity, or not in the discrete space.
    """
    given = array_of(actions)
    if given is None:
        raise NeuroctlError(f"actions are ragged: {shown(actions)}; expected shape {(num_envs, *space.shape)}")
    if given.shape != (num_envs, *space.shape):
        raise NeuroctlError(f"actions have shape {given.shape}; expected {(num_envs, *space.shape)}")
    if hasattr(space, "low"):
        if given.dtype.kind not in "fiu" or not all_finite(given):
            raise NeuroctlError(f"actions must be finite numbers; got {given.dtype} {shown(given.tolist())}")
        clipped: NDArray[Any] = np.minimum(np.maximum(given, space.low), space.high)
        return clipped
    if given.dtype.kind not in "iu" or not _all_in(space, given):
        raise NeuroctlError(f"actions {shown(given.tolist())} are not in {shown_space(space)}")
    return given


def _all_in(space: Any, actions: NDArray[Any]) -> bool:
    if isinstance(space, gym.spaces.Discrete):
        return bool(((actions >= space.start) & (actions < space.start + space.n)).all())
    return all(space.contains(action) for action in actions)


def require_state(state: Any, shapes: Mapping[str, tuple[int, ...]], finite: Sequence[str] = ()) -> None:
    """Refuse a saved state that does not fit.

    Args:
        state: arrays by name.
        shapes: of every array that must be there.
        finite: names of those that must hold finite numbers.

    Raises:
        NeuroctlError: no mapping, or an array is missing, has another shape, holds no numbers, or none that are finite.
    """
    if not isinstance(state, Mapping):
        raise NeuroctlError(f"environment state is {shown(state)}; expected what get_state() returned")
    for key, shape in shapes.items():
        found = array_of(state[key]) if key in state else None
        if found is None or found.shape != shape:
            what = "nothing" if key not in state else "a ragged list" if found is None else found.shape
            raise NeuroctlError(f"environment state {key!r}: expected shape {shape}, found {what}")
        if found.dtype.kind not in "biuf" or (key in finite and not np.isfinite(found).all()):
            raise NeuroctlError(f"environment state {key!r} holds values that are not finite numbers")


def require_kinds(state: Mapping[str, Any], own: Mapping[str, NDArray[Any]]) -> None:
    """Refuse a saved state, checked by `require_state`, with other arrays than an environment's own.

    Args:
        state: arrays by name.
        own: the environment's present state.

    Raises:
        NeuroctlError: an unknown name, or an array whose type is not converted without loss of its kind.
    """
    for key, value in state.items():
        if key not in own:
            raise NeuroctlError(f"unknown environment state {shown(key)}; expected what get_state() returned")
        found = np.asarray(value).dtype
        if not np.can_cast(found, own[key].dtype, "same_kind"):
            raise NeuroctlError(f"environment state {key!r} is of type {found}; expected {own[key].dtype}")
