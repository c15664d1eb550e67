"""Checks of values that a user gives."""

from __future__ import annotations

import numbers
from typing import Any

from .errors import NeuroctlError


def shown(value: Any, length: int = 80) -> str:
    """`repr` of a value as one line of at most `length` characters, for messages."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python prints no integers of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= length else f"{text[: length - 3]}..."


def is_number(value: Any) -> bool:
    """Whether `value` is a real number that a float can hold; NaN and infinity are, bools are not."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def checked_integer(name: str, value: Any, least: int, most: int | None = None) -> int:
    """`value` as an integer from `least` to `most`.

    Raises:
        NeuroctlError: it is none, or out of range; names it, the value and what is allowed.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and least <= value and (most is None or value <= most):
        return int(value)
    allowed = f">= {least}" if most is None else f"from {least} to {most}"
    raise NeuroctlError(f"{name} must be an integer {allowed}, got {shown(value)}")
