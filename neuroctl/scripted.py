"""Agents that need no training: the environment's own expert, random actions, zero actions."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .checks import shown_space
from .contracts import Agent, Observation
from .errors import NeuroctlError, UnknownNameError
from .streams import stream
from .vector import Vector, expert_action, spaces_of

NAMES = ("expert", "random", "zero")


class ScriptedAgent(Agent):
    """`"expert"` asks the environment, `"random"` samples each row from a stream of its own, `"zero"` does nothing."""

    def __init__(self, name: str, env: Vector) -> None:
        if name not in NAMES:
            raise UnknownNameError("scripted agent", name, NAMES)
        self.name = name
        self._env = env
        self._space = spaces_of(env).action
        if name != "expert" and not isinstance(self._space, (spaces.Box, spaces.Discrete)):
            raise NeuroctlError(f"the {name} agent knows Box and Discrete actions, not {shown_space(self._space)}")

    def begin(self, num_envs: int, seed: int) -> None:
        """Key the rows' random streams by (`seed`, row)."""
        self._num_envs = num_envs
        self._streams = [stream(seed, "random-agent", row) for row in range(num_envs)]

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions `[B, ...]`."""
        if self.name == "expert":
            return expert_action(self._env)
        if self.name == "random":
            return np.stack([self._sample(generator) for generator in self._streams])
        if isinstance(self._space, spaces.Box):
            zero = np.clip(np.zeros(self._space.shape), self._space.low, self._space.high)
            return np.repeat(zero[None].astype(self._space.dtype), self._num_envs, axis=0)
        assert isinstance(self._space, spaces.Discrete)
        return np.full(self._num_envs, self._space.start, dtype=np.int64)

    def _sample(self, generator: np.random.Generator) -> NDArray[Any]:
        if isinstance(self._space, spaces.Box):
            low = np.where(np.isfinite(self._space.low), self._space.low, -1.0)
            high = np.where(np.isfinite(self._space.high), self._space.high, 1.0)
            return generator.uniform(low, high).astype(self._space.dtype)
        assert isinstance(self._space, spaces.Discrete)
        return np.asarray(self._space.start + generator.integers(self._space.n), dtype=np.int64)
