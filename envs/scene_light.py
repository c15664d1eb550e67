"""The light in which an event camera sees a scene: brighter or darker than its images, or with stray light on top."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

MOST_LIGHT = 100.0


@dataclass(frozen=True)
class SceneLight:
    """An intensity I in [0, 1] becomes min(factor I + glare, 1); it is not quantised.

    Attributes:
        factor: of the light that the scene sends, 0 to 100; below 1 it is darker.
        glare: stray light that reaches every pixel alike, 0 to 1.

    Raises:
        NeuroctlError: a value is out of range.
    """

    factor: float = 1.0
    glare: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, value, most in (("light", self.factor, MOST_LIGHT), ("glare", self.glare, 1.0)):
            if not (is_number(value) and 0 <= value <= most):
                raise NeuroctlError(f"{name} of an event camera is {shown(value)}; allowed: 0 to {most:g}")

    def on(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """The images `[...]` in this light; themselves where it is as they have it."""
        if self.factor == 1 and self.glare == 0:
            return images
        seen: NDArray[np.float32] = np.minimum(images * np.float32(self.factor) + np.float32(self.glare), np.float32(1))
        return seen
