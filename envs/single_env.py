"""One environment from a vector environment: row 0 of a vector of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.streams import checked_seed
from neuroctl.vector import environment_options

from .vector_tools import array_of, require_options, require_state


class SingleEnv(gym.Env[Any, Any]):
    """Adapts a SAME_STEP vector environment of one row to `gymnasium.Env`.

    At the end of an episode `step` returns the true last observation. The vector has then already begun the next
    episode; a `reset()` without a seed hands out that episode's first observation. So the sequence of episodes is,
    bit for bit, that of a row of the vector.

    Attributes:
        vector: the vector environment of one row.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(self, vector_class: Callable[..., gym.vector.VectorEnv[Any, Any, Any]], **kwargs: Any) -> None:
        self.vector: Any = vector_class(num_envs=1, **environment_options(kwargs))
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self.render_mode = self.vector.render_mode
        self._pending = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; see the class about resets without a seed."""
        require_options(options)
        seed = None if seed is None else checked_seed(seed)
        super().reset(seed=seed)
        if self._pending and seed is None:
            obs, info = self.vector.current_obs(), self.vector.current_info()
        else:
            obs, info = self.vector.reset(seed=seed, options=options)
        self._pending = False
        return _row(obs), _info_row(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one control step."""
        given = array_of(action)
        # what is ragged, the vector names
        obs, reward, terminated, truncated, info = self.vector.step([action] if given is None else given[None])
        self._pending = bool(terminated[0] or truncated[0])
        if self._pending:
            obs, info = info["final_obs"], info["final_info"]
        return _row(obs), float(reward[0]), bool(terminated[0]), bool(truncated[0]), _info_row(info)

    def expert_action(self) -> Any:
        """The scripted controller's action for the current state."""
        return self.vector.expert_action()[0]

    def current_obs(self) -> Any:
        """The observation of the current state; after the end of an episode, that of the next one's start."""
        return _row(self.vector.current_obs())

    def get_state(self) -> dict[str, NDArray[Any]]:
        """The complete state, each array `[1, ...]`."""
        return {**self.vector.get_state(), "single/pending": np.array([self._pending])}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned.

        Raises:
            NeuroctlError: an array is missing, has another shape or is not finite.
        """
        require_state(state, {"single/pending": (1,)})
        self.vector.set_state(None, {name: value for name, value in state.items() if name != "single/pending"})
        self._pending = bool(state["single/pending"][0])

    def render(self) -> NDArray[np.uint8]:
        """The current frame `[H, W, 3]`."""
        frame: NDArray[np.uint8] = self.vector.render()[0]
        return frame

    def close(self) -> None:
        """Release the simulation."""
        self.vector.close()


def _row(obs: Any) -> Any:
    return {key: value[0] for key, value in obs.items()} if isinstance(obs, dict) else obs[0]


def _info_row(info: dict[str, Any]) -> dict[str, Any]:
    skipped = ("final_obs", "final_info")
    return {key: value[0] for key, value in info.items() if not key.startswith("_") and key not in skipped}
