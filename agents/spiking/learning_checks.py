"""What a network that learns refuses: rewards that do not fit its steps, and steps it cannot learn from at once."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.errors import NeuroctlError

from .neurons import checked_signal


def checked_reward(reward: ArrayLike | None, shape: tuple[int, int], plastic: Collection[str]) -> NDArray[np.floating]:
    """The reward signal as an array of this shape `[T, B]`; zeros where none is given and no projection is plastic.

    Raises:
        NeuroctlError: another shape, or none is given and projections of these names are plastic.
        NonFiniteError: a reward that is NaN or infinite.
    """
    if reward is not None:
        return checked_signal("reward", reward, shape, np.float64)
    if plastic:
        raise NeuroctlError(f"plastic projections need a reward of shape {shape}: {', '.join(plastic)}")
    return np.zeros(shape)


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
