"""Checks of values that a user gives."""

from __future__ import annotations

import math
import numbers
import os
from pathlib import Path
from typing import Any, TypeGuard

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .errors import NeuroctlError


def shown(value: Any, length: int = 80) -> str:
    """`repr` of a value as one line of at most `length` characters, for messages."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= length else f"{text[: length - 3]}..."


def shown_space(space: gym.Space[Any]) -> str:
    """A space as one line; of the bounds of a Box, which may be many, the least and the greatest."""
    if isinstance(space, gym.spaces.Dict):
        return f"Dict({', '.join(f'{name}: {shown_space(leaf)}' for name, leaf in space.spaces.items())})"
    if isinstance(space, gym.spaces.Box) and space.low.size:
        return f"{type(space).__name__}({space.low.min()}, {space.high.max()}, {space.shape}, {space.dtype})"
    return shown(space)


STEP_ROUNDING = 1e-9
"""Share of a step that a duration may be off by, since neither 0.3 nor 0.1 is what it is written as."""


def is_number(value: Any) -> TypeGuard[float]:
    """Whether `value` is a finite real number that a float can hold; bools are none."""
    if type(value) is not float and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether `value` is an integer of any size; bools are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def checked_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an integer from `least` to `most`.

    Raises:
        NeuroctlError: it is none, or out of range; names it, the value and what is allowed.
    """
    if is_integer(value) and least <= value and (most is None or value <= most):
        return int(value)
    allowed = f">= {least}" if most is None else f"from {least} to {most}"
    raise NeuroctlError(f"{name} must be an integer {allowed}, got {shown(value)}")


def whole_steps(duration: float, step: float) -> int | None:
    """How many steps a duration lasts, both of one unit; None where it ends within a step."""
    steps = round(duration / step)
    return steps if abs(duration / step - steps) <= STEP_ROUNDING else None


def checked_path(name: str, value: Any) -> Path:
    """`value` as a path.

    Raises:
        NeuroctlError: neither a string nor a path.
    """
    if not isinstance(value, (str, os.PathLike)):
        raise NeuroctlError(f"{name} must be a path, got {shown(value)}")
    return Path(value)


def checked_first(first: Any, width: int) -> NDArray[np.bool_]:
    """Which of `width` observations begin an episode, bool `[width]`, of one truth value or one for each.

    Raises:
        NeuroctlError: anything else.
    """
    try:
        mask = np.asarray(first)
    except ValueError:  # ragged
        mask = np.empty(0)
    if mask.dtype != np.bool_ or mask.shape not in ((), (width,)):
        raise NeuroctlError(f"first is {shown(first)}; allowed: True, False, or an array of them of shape ({width},)")
    return np.array(np.broadcast_to(mask, (width,)))
