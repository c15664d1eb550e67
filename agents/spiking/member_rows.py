"""Rows of what one batch of agents remembers, taken over by another batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError


def member_rows(
    owner: str, state: Mapping[str, Any], like: Mapping[str, NDArray[Any]], members: ArrayLike
) -> dict[str, NDArray[Any]]:
    """What B agents begin with who take over from others.

    Args:
        owner: what has the state, for messages.
        state: arrays `[M, ...]` of M agents, by name.
        like: the arrays `[B, ...]` to be filled.
        members: which of the M agents each of the B takes over from, integers `[B]`.

    Returns:
        Copies of these rows, in the shapes of `like`.

    Raises:
        NeuroctlError: an array is missing or of another kind, or `members` are no B integers from 0 to M - 1.
    """
    check_mapping(owner, state)
    rows, count = {}, None
    for name, mine in like.items():
        given = state.get(name)
        if not isinstance(given, np.ndarray) or given.ndim == 0:
            raise NeuroctlError(f"state of {owner} has no array {name!r}")
        count = len(given) if count is None else count
        if given.shape != (count, *mine.shape[1:]) or given.dtype != mine.dtype:
            needed = f"{mine.dtype} {(count, *mine.shape[1:])}"
            raise NeuroctlError(f"{name} in the state of {owner} is {given.dtype} {given.shape}; needed: {needed}")
        rows[name] = given[checked_members(members, len(mine), count)]
    return rows


def check_mapping(owner: str, state: Any) -> None:
    """Refuse a state that is no mapping.

    Raises:
        NeuroctlError: that is so.
    """
    if not isinstance(state, Mapping):
        raise NeuroctlError(f"state of {owner} must be a mapping, got {shown(state)}")


def checked_members(members: ArrayLike, batch_size: int, count: int) -> NDArray[np.intp]:
    """`members` as indices `[batch_size]` of `count` agents.

    Raises:
        NeuroctlError: they are no such integers.
    """
    try:
        chosen = np.asarray(members)
    except ValueError:  # rows of different lengths
        chosen = np.empty(0)
    right = chosen.shape == (batch_size,) and chosen.dtype.kind in "iu"
    if not right or not ((chosen >= 0) & (chosen < count)).all():
        raise NeuroctlError(f"members must be {batch_size} integers from 0 to {count - 1}, got {shown(members)}")
    return chosen.astype(np.intp)
