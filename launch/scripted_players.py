"""Players without a network, beside which trained agents are measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.contracts import Agent, Observation, Spaces
from neuroctl.streams import stream

STRAIGHT = 2
"""The middle one of five steering commands."""


class HeldRandom(Agent):
    """Random actions that are held for some steps, from a stream of each row.

    Args:
        spaces: of the environment; actions are numbers of commands, or vectors in the plane.
        held_steps: control steps between two draws.
    """

    def __init__(self, spaces: Spaces, held_steps: int) -> None:
        self._space, self._held = spaces.action, held_steps

    def begin(self, num_envs: int, seed: int) -> None:
        """New streams."""
        self._streams = [stream(seed, "held-random", row) for row in range(num_envs)]
        self._steps = 0

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """A direction at full speed, or a command."""
        if self._steps % self._held == 0:
            self._action = np.stack([self._draw(rng) for rng in self._streams])
        self._steps += 1
        return self._action

    def _draw(self, rng: np.random.Generator) -> NDArray[Any]:
        space: Any = self._space
        if hasattr(space, "n"):
            return np.asarray(rng.integers(space.n))
        angle = rng.uniform(0, 2 * np.pi)
        return np.array(space.high[0] * np.array([np.cos(angle), np.sin(angle)]), space.dtype)


class Straight(Agent):
    """Always the middle command."""

    def begin(self, num_envs: int, seed: int) -> None:
        """Nothing to prepare."""

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Straight ahead."""
        return np.full(len(obs), STRAIGHT)
