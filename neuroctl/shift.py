"""Distribution shifts: named perturbations of an environment with a severity from 0 (none) to 5 (severe)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np

from . import registry
from .checks import shown
from .errors import NeuroctlError, UnknownNameError

MAX_SEVERITY = 5

Kind = Literal["wrapper", "dynamics", "options"]


class Shift:
    """What a shift of any kind declares. Register it as `registry.shifts.register(name, "module:Class")`.

    A shift of kind `"wrapper"` is a `gymnasium.vector.VectorWrapper` constructed as `cls(envs, severity)`. The others
    make a different environment: `cls.options(env_id, options, severity)` returns its options. One of kind `"dynamics"`
    only gives `cls.dynamics(severity)`, which is merged into the option `dynamics`. Severity 0 changes no bit.

    Attributes:
        name: the registered name.
        kind: `"wrapper"`, `"dynamics"` or `"options"`.
        levels: value for each severity 0..5; the first is the identity.
        severity: the severity of this instance (wrappers).
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    levels: ClassVar[Sequence[float]]
    severity: int

    @classmethod
    def kind_for(cls, observation_space: gym.Space[Any]) -> Kind:
        """Of which kind it is for an environment where one row observes this; its `options` count in any case."""
        return cls.kind

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """Why the shift cannot be applied to an environment with these spaces (of one row); None when it can."""
        return None

    @classmethod
    def fits_options(cls, env_id: str, options: Mapping[str, Any]) -> str | None:
        """Why the shift cannot be applied to an environment made with these options; None when it can."""
        return None

    @classmethod
    def level(cls, severity: int) -> float:
        """The value at `severity`.

        Raises:
            NeuroctlError: not a whole number from 0 to 5.
        """
        return cls.levels[check_severity(f"shift {cls.name!r}", severity)]

    @classmethod
    def dynamics(cls, severity: int) -> dict[str, float]:
        """Values for the environment's `dynamics` option; empty for severity 0 and for other kinds."""
        return {}

    @classmethod
    def combined(cls, given: Any, value: float) -> Any:
        """What comes of a value of `dynamics` that is given already and this shift's: factors multiply."""
        values = np.asarray(given)
        if values.dtype == object:
            raise TypeError("not numbers, or too large")
        with np.errstate(over="ignore"):  # the environment names an infinite factor
            return values * value

    @classmethod
    def options(cls, env_id: str, options: Mapping[str, Any], severity: int) -> dict[str, Any]:
        """The environment's options under this shift, given those without it."""
        changes = cls.dynamics(severity)
        if not changes:
            return dict(options)
        merged = dict(options.get("dynamics") or {})
        for key, value in changes.items():
            try:
                merged[key] = cls.combined(merged[key], value) if key in merged else value
            except (TypeError, ValueError, OverflowError):  # no numbers, ragged, too large
                given = shown(merged[key])
                raise NeuroctlError(f"dynamics {key!r} is {given}; allowed: a number, or one per row") from None
        return {**options, "dynamics": merged}


def check_severity(whose: str, severity: Any) -> int:
    """`severity` as an integer; `whose` it is stands in the message.

    Raises:
        NeuroctlError: not a whole number from 0 to 5.
    """
    try:
        value = int(severity)
        valid = value == float(severity) and 0 <= value <= MAX_SEVERITY
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise NeuroctlError(f"severity {shown(severity)} of {whose}; allowed: 0 to {MAX_SEVERITY}")
    return value


def shift_stack(shifts: Sequence[str]) -> tuple[str, ...]:
    """A stack of shifts as a tuple.

    Raises:
        NeuroctlError: not a sequence of strings such as `"gain:3"`.
    """
    is_list = isinstance(shifts, Sequence) and not isinstance(shifts, str)
    if not is_list or not all(isinstance(shift, str) for shift in shifts):
        raise NeuroctlError(f"shifts must be a list of strings such as ['gain:3'], not {shown(shifts)}")
    return tuple(shifts)


def parse_shift(text: str) -> tuple[str, int]:
    """Name and severity of a shift written `"name:severity"`.

    Raises:
        UnknownNameError: no such shift.
        NeuroctlError: malformed, or a severity that is not 0..5.
    """
    name, colon, severity = text.partition(":")
    if name not in registry.shifts.entries:
        raise UnknownNameError("shift", name, registry.shifts.entries)
    if not colon:
        raise NeuroctlError(f"shift {text!r} has no severity; write {name}:0 to {name}:{MAX_SEVERITY}")
    return name, check_severity(f"shift {name!r}", severity)
