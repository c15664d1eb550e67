"""The distribution shifts that ship with neuroctl. Severity 1 is mild, 5 severe; 0 changes no bit.

Ladders are meant for images in [0, 1] and states of order 1. Shifted images are quantised to k/255 again, as by an
8-bit camera.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.shift import Shift

from .retina import LEVELS
from .shift_wrapper import Leaves, ShiftWrapper, is_image, no_image, not_float_boxes


class _FloatShift(ShiftWrapper):
    """Perturbs every float array of the observation."""

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        return not_float_boxes(observation_space)


class _ImageShift(ShiftWrapper):
    """Perturbs the images of the observation and leaves the rest."""

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        return no_image(observation_space)

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        return {
            name: quantised(self.perturb_image(value, rows)) if is_image(self._spaces[name]) else value.copy()
            for name, value in obs.items()
        }

    def perturb_image(self, image: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The perturbed images `[n, ...]`, to be clipped to [0, 1] and quantised."""
        raise NotImplementedError


class GaussianNoise(_FloatShift):
    """White noise is added to every number of the observation; the level is its standard deviation."""

    name = "gaussian-noise"
    levels = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
    redraws = True

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with noise, within their space."""
        return {name: self._noisy(value, rows, self._spaces[name]) for name, value in obs.items()}

    def _noisy(self, value: NDArray[Any], rows: NDArray[np.intp], space: Any) -> NDArray[Any]:
        dtype = value.dtype.type
        noise = [self.rng(b).standard_normal(value.shape[1:], dtype) for b in rows.tolist()]
        noisy = value + dtype(self.value) * np.stack(noise)
        return quantised(noisy) if is_image(space) else np.clip(noisy, space.low, space.high)


class Brightness(_ImageShift):
    """The level is added to images."""

    name = "brightness"
    levels = (0.0, 0.08, 0.16, 0.24, 0.32, 0.4)

    def perturb_image(self, image: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Images `[n, ...]` made brighter."""
        return image + np.float32(self.value)


class Contrast(_ImageShift):
    """Contrast about mid-grey is multiplied by the level."""

    name = "contrast"
    levels = (1.0, 0.8, 0.6, 0.45, 0.3, 0.15)

    def perturb_image(self, image: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Images `[n, ...]` made flatter."""
        return (image - np.float32(0.5)) * np.float32(self.value) + np.float32(0.5)


class PixelDropout(_ImageShift):
    """Each pixel is black with a probability equal to the level, drawn anew each step."""

    name = "pixel-dropout"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)
    redraws = True

    def perturb_image(self, image: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Images `[n, ...]` with black pixels."""
        draws = np.stack([self.rng(b).random(image.shape[1:], np.float32) for b in rows.tolist()])
        return np.where(draws < self.value, np.float32(0), image)


class ObservationDelay(_FloatShift):
    """Observations arrive as many control steps late as the level says; until then, the episode's first is shown."""

    name = "observation-delay"
    levels = (0, 1, 2, 4, 6, 9)
    redraws = True

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env, severity)
        steps = int(self.value)
        self._queue = {
            name: np.zeros((self.num_envs, steps, *(space.shape or ())), space.dtype)
            for name, space in self._spaces.items()
        }

    def memory(self) -> Leaves:
        """The waiting observations `[B, steps, ...]`, oldest first."""
        return {f"queue/{name}": value for name, value in self._queue.items()} if self.severity else {}

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """Fill the queues of `rows` with the first observation."""
        for name, value in obs.items():
            self._queue[name][rows] = value[:, None]

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """The oldest waiting observations."""
        shown = {}
        for name, value in obs.items():
            waiting = self._queue[name][rows]
            shown[name] = waiting[:, 0].copy()
            self._queue[name][rows] = np.concatenate([waiting[:, 1:], value[:, None]], axis=1)
        return shown


class ActionNoise(ShiftWrapper):
    """White noise is added to the action; the level is its standard deviation in units of half the action's range."""

    name = "action-noise"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """A bounded Box of floats is needed."""
        if (
            isinstance(action_space, gym.spaces.Box)
            and action_space.is_bounded()
            and np.dtype(action_space.dtype).kind == "f"
        ):
            return None
        return f"it needs actions in a bounded Box of floats, not {action_space}"

    def perturb_action(self, action: NDArray[Any]) -> NDArray[Any]:
        """Actions `[B, ...]` with noise, within their space."""
        space: Any = self.single_action_space
        if action.shape != (self.num_envs, *space.shape):
            return action  # the environment names the mistake
        noise = np.stack([self.rng(b).standard_normal(space.shape) for b in range(self.num_envs)])
        noisy = action + self.value * noise * (space.high - space.low) / 2
        clipped: NDArray[Any] = np.clip(noisy, space.low, space.high).astype(space.dtype)
        return clipped

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations, unchanged."""
        return {name: value.copy() for name, value in obs.items()}


class Friction(Shift):
    """Tyre or contact friction is multiplied by the level."""

    name = "friction"
    kind: ClassVar[Literal["wrapper", "dynamics"]] = "dynamics"
    levels = (1.0, 0.6, 0.35, 0.2, 0.13, 0.09)

    @classmethod
    def dynamics(cls, severity: int) -> dict[str, float]:
        """`{"friction": factor}`."""
        return {"friction": cls.level(severity)} if severity else {}


class Gain(Shift):
    """The response of actuators is multiplied by the level; in lane following, that of the steering."""

    name = "gain"
    kind: ClassVar[Literal["wrapper", "dynamics"]] = "dynamics"
    levels = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)

    @classmethod
    def dynamics(cls, severity: int) -> dict[str, float]:
        """`{"gain": factor}`."""
        return {"gain": cls.level(severity)} if severity else {}


def quantised(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images clipped to [0, 1] and rounded to k/255."""
    levels: NDArray[np.float32] = LEVELS[(np.clip(image, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)]
    return levels
