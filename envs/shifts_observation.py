"""Shifts of observations of any kind: noise, delay, lost frames. Severity 1 is mild, 5 severe; 0 changes no bit.

Ladders are meant for images in [0, 1] and states of order 1.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown_space

from .shift_wrapper import Leaves, ShiftWrapper, is_events, is_image, leaf_spaces, no_numbers
from .shifts_image import camera, light


class NumberShift(ShiftWrapper):
    """Perturbs every array of the observation."""

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """Boxes of floats, or images, are needed."""
        return no_numbers(observation_space)


class GaussianNoise(NumberShift):
    """White noise is added to every number of the observation; the level is its standard deviation.

    Event counts stay whole: they have a noise of their own, `event-noise`.
    """

    name = "gaussian-noise"
    levels = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
    redraws = True

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """Boxes of floats, or images, are needed, and not only event counts."""
        if all(is_events(leaf) for leaf in leaf_spaces(observation_space).values()):
            return "event counts are whole numbers; event-noise is their noise"
        return super().fits(observation_space, action_space)

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with noise, within their space."""
        return {
            name: value.copy() if is_events(self._spaces[name]) else self._noisy(value, rows, self._spaces[name])
            for name, value in obs.items()
        }

    def _noisy(self, value: NDArray[Any], rows: NDArray[np.intp], space: Any) -> NDArray[Any]:
        clean = light(value) if is_image(space) else value
        dtype = clean.dtype.type
        noise = [self.rng(b).standard_normal(clean.shape[1:], dtype) for b in rows.tolist()]
        noisy = clean + dtype(self.value) * np.stack(noise)
        return camera(noisy, value.dtype) if is_image(space) else np.clip(noisy, space.low, space.high)


class ObservationBias(ShiftWrapper):
    """Sensors are off their zero: each number that is no pixel and no event count has an offset for the whole episode.

    Offsets are drawn once per episode from the shift's stream; the level is their standard deviation. The same draws at
    a higher severity give larger ones.
    """

    name = "observation-bias"
    levels = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env, severity)
        self._offsets = {
            name: np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
            for name, space in self._spaces.items()
            if _is_state(space)
        }

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """A Box of floats that is neither an image nor event counts is needed."""
        if any(map(_is_state, leaf_spaces(observation_space).values())):
            return None
        return f"it needs observations that are a Box of floats and no image, not {shown_space(observation_space)}"

    def memory(self) -> Leaves:
        """The offsets `[B, ...]`."""
        return {f"offset/{name}": value for name, value in self._offsets.items()} if self.severity else {}

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """Draw new offsets for `rows`."""
        for offsets in self._offsets.values():
            for b in rows.tolist():
                offsets[b] = self.value * self.rng(b).standard_normal(offsets.shape[1:])

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with their offsets, within their space."""
        return {name: self._moved(name, value, rows) for name, value in obs.items()}

    def _moved(self, name: str, value: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
        if name not in self._offsets:
            return value.copy()
        space: Any = self._spaces[name]
        moved: NDArray[Any] = np.clip(value + self._offsets[name][rows], space.low, space.high)
        return moved


def _is_state(space: gym.Space[Any]) -> bool:
    """Whether a space holds floats that are neither pixels nor event counts."""
    floats = isinstance(space, gym.spaces.Box) and np.dtype(space.dtype).kind == "f"
    return floats and not is_image(space) and not is_events(space)


class ObservationDelay(NumberShift):
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


class FrameDrop(NumberShift):
    """With a probability equal to the level a step's observation is lost: the last that was shown is repeated."""

    name = "frame-drop"
    levels = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9)
    redraws = True

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env, severity)
        self._last = {
            name: np.zeros((self.num_envs, *(space.shape or ())), space.dtype) for name, space in self._spaces.items()
        }

    def memory(self) -> Leaves:
        """What was shown last, `[B, ...]`."""
        return {f"last/{name}": value for name, value in self._last.items()} if self.severity else {}

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """The first observation of an episode is always shown."""
        for name, value in obs.items():
            self._last[name][rows] = value

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]`, new or those shown before."""
        arrived = np.array([self.rng(b).random() >= self.value for b in rows.tolist()])
        for name, value in obs.items():
            self._last[name][rows[arrived]] = value[arrived]
        return {name: value[rows] for name, value in self._last.items()}
