"""What a network that learns refuses: rewards that do not fit its steps, and steps it cannot learn from at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import is_integer, shown
from neuroctl.errors import NeuroctlError
from neuroctl.finite import all_bounded

from .neurons import checked_signal
from .plasticity import PlasticityRule

MOST_REWARD = 1e12
"""Of either sign; synapses multiply it in single precision."""


def checked_reward(reward: ArrayLike | None, shape: tuple[int, int], plastic: Collection[str]) -> NDArray[np.floating]:
    """The reward signal as an array of this shape `[T, B]`; zeros where none is given and no projection is plastic.

    Raises:
        NeuroctlError: another shape, too large, or none is given and projections of these names are plastic.
        NonFiniteError: a reward that is NaN or infinite.
    """
    if reward is not None:
        given = checked_signal("reward", reward, shape, np.float64)
        if not all_bounded(given, MOST_REWARD):
            raise NeuroctlError(f"reward must be from {-MOST_REWARD:g} to {MOST_REWARD:g}, got {np.abs(given).max():g}")
        return given
    if plastic:
        raise NeuroctlError(f"plastic projections need a reward of shape {shape}: {', '.join(plastic)}")
    return np.zeros(shape)


def checked_until(name: str, rule: PlasticityRule) -> int:
    """`steps_until_update` of the rule of a projection.

    Raises:
        NeuroctlError: it is no integer >= 1.
    """
    steps: Any = rule.steps_until_update
    if not is_integer(steps) or steps < 1:
        raise NeuroctlError(f"steps_until_update of the rule of {name!r} must be an integer >= 1, got {shown(steps)}")
    return int(steps)


def check_counted_down(name: str, rule: PlasticityRule, before: int, steps: int) -> None:
    """Refuse a rule whose weights may change at another time than it said.

    Raises:
        NeuroctlError: so many steps have not brought it nearer to its update.
    """
    now = checked_until(name, rule)
    if now != before - steps:
        raise NeuroctlError(
            f"the rule of {name!r} said that weights change after {before} steps, and {steps} steps later that they do "
            f"after {now}; steps_until_update must count down, and weights change only where it comes to 0"
        )


def check_learnable(steps: int, steps_until_update: int) -> None:
    """Refuse to learn from so many steps at once: none were run, or weights change before their end.

    Raises:
        NeuroctlError: that is so.
    """
    if not steps:
        raise NeuroctlError("nothing to learn from: call run first, and learn once after it")
    if steps > steps_until_update:
        raise NeuroctlError(
            f"weights change after {steps_until_update} steps, {steps} were run: run fewer, or call step"
        )
