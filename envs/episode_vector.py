"""What our vector environments share, whoever simulates: episodes with streams of their own, autoreset, exact state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError
from neuroctl.streams import STATE_WORDS, EpisodeStreams

from .known_options import KnownOptions
from .vector_tools import checked_rows, replaced, require, require_kinds, require_state, reset_rows

Floats = NDArray[np.float64]
State = dict[str, NDArray[Any]]
StepResult = tuple[Any, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]

MOST_ROWS = 10**6
"""Rows of one environment."""


class EpisodeVector(KnownOptions, ABC):
    """B rows that step together, each in episodes of its own.

    Autoreset is SAME_STEP: where an episode ends, the returned observation is the first of the next one, the last one
    is in `info["final_obs"]` (dense, valid where `info["_final_obs"]`), its info in `info["final_info"]`.

    Subclasses simulate: they build what they need, start rows, observe them, and say what their state is.

    Args:
        num_envs: B.
        max_steps: control steps after which an episode is truncated.
        streams: names of further random streams beside `"reset"`.
        render_mode: None or `"rgb_array"`.

    Attributes:
        steps: control steps since the episode began, int64 `[B]`.
        streams: the rows' random streams.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 50,
    }
    rebuilt: ClassVar[tuple[str, ...]] = ()
    """What `_build` makes: no part of the state, and left out of a pickle."""

    def __init__(self, num_envs: int, max_steps: int, streams: Sequence[str], render_mode: str | None) -> None:
        self.num_envs = checked_integer("num_envs", num_envs, 1, MOST_ROWS)
        self.max_steps = checked_integer("max_steps", max_steps, 1)
        require("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode = render_mode
        self.streams = EpisodeStreams(self.num_envs, ("reset", *streams))
        self.steps = np.zeros(self.num_envs, np.int64)
        self._begun_all = False
        self._build()

    def _set_spaces(self, observation: gym.Space[Any], action: gym.Space[Any]) -> None:
        self.single_observation_space, self.single_action_space = observation, action
        self.observation_space = batch_space(observation, self.num_envs)
        self.action_space = batch_space(action, self.num_envs)

    # What subclasses say

    @abstractmethod
    def _build(self) -> None:
        """Make everything that is not part of the state."""

    @abstractmethod
    def _start_row(self, b: int) -> None:
        """Begin an episode in row b, with what waits at first."""

    @abstractmethod
    def current_obs(self) -> Any:
        """The observation `[B, ...]` of the current state, as `reset` or `step` last returned it."""

    @abstractmethod
    def _said(self) -> dict[str, NDArray[Any]]:
        """What is said of the current state, each array `[B, ...]`: the info without its masks."""

    @abstractmethod
    def _begun(self, rows: NDArray[np.intp]) -> tuple[Any, dict[str, NDArray[Any]]]:
        """Observations of episodes that begin in `rows`, and what is said of them, `[len(rows), ...]`."""

    @abstractmethod
    def _more_state(self, rows: NDArray[np.intp]) -> State:
        """What the next steps read beside the step count and the streams."""

    @abstractmethod
    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `_more_state` returned."""

    @abstractmethod
    def model_hash(self) -> str:
        """sha256 of what simulates, for recordings; empty where there is no model."""

    @abstractmethod
    def _frame(self, b: int) -> NDArray[np.uint8]:
        """The picture `[H, W, 3]` of row b."""

    def _changed(self) -> None:
        """The state is another one: forget what was computed from it."""

    def _unbounded(self) -> Sequence[str]:
        """Names of the arrays in the state that may hold infinity or NaN."""
        return ()

    # Episodes

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all rows, or in those of `options["reset_mask"]` (bool `[B]`).

        Args:
            seed: an integer seeds row b with `seed + b`, a list each row; None goes on with the next episode.
            options: `{"reset_mask": bool [B]}` or None.
        """
        self._require_open("reset")
        self.streams.reset(seed, rows := reset_rows(options, self.num_envs))
        self._start(rows)
        return self.current_obs(), self.current_info()

    def _start(self, rows: NDArray[np.intp]) -> None:
        for b in rows.tolist():
            self._start_row(b)
        self.steps[rows] = 0
        self._changed()

    def current_info(self) -> dict[str, Any]:
        """The info of the current state."""
        return with_masks(self._said(), self.num_envs)

    def _finish(
        self, obs: Any, reward: Floats, terminated: NDArray[np.bool_], said: dict[str, NDArray[Any]]
    ) -> StepResult:
        """What `step` returns; episodes that ended are followed by the next."""
        truncated = (self.steps >= self.max_steps) & ~terminated
        info = with_masks(said, self.num_envs)
        if np.count_nonzero(done := terminated | truncated):
            obs, info = self._autoreset(obs, info, done)
        return obs, reward, terminated, truncated, info

    def _autoreset(self, obs: Any, info: dict[str, Any], done: NDArray[np.bool_]) -> tuple[Any, dict[str, Any]]:
        rows = np.flatnonzero(done)
        self.streams.advance(rows)
        self._start(rows)
        return following(obs, info, done, *self._begun(rows))

    # State

    def get_state(self, rows: Sequence[int] | NDArray[np.intp] | None = None) -> State:
        """Everything the next steps depend on, each array `[len(rows), ...]`; all rows by default.

        Raises:
            NeuroctlError: no episode has begun, or a row does not exist.
        """
        self._require_begun("get_state")
        index = checked_rows(rows, self.num_envs)
        streams = self.streams.get_state(index)
        return self._state(index) | {f"stream/{name}": value for name, value in streams.items()}

    def _state(self, index: NDArray[np.intp]) -> State:
        """The state without random streams."""
        return {"steps": self.steps[index], **self._more_state(index)}

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned, into `rows` (all where None).

        Raises:
            NeuroctlError: a row does not exist or is named twice, or an array is missing, unknown, of another shape or
                type, or holds impossible values; nothing has changed.
        """
        self._require_open("set_state")
        index = checked_rows(rows, self.num_envs)
        if len(set(index.tolist())) < len(index):
            raise NeuroctlError(f"rows {shown(index.tolist())} name a row twice; each has one state")
        keys = {name: f"stream/{name}" for name in ("seeds", "episodes", *self.streams.names)}
        own = self._state(index)
        for name, key in keys.items():
            own[key] = np.zeros((len(index), STATE_WORDS), np.uint64) if name in self.streams.names else own["steps"]
        unbounded = self._unbounded()
        finite = [name for name in own if name not in unbounded]
        require_state(state, {name: value.shape for name, value in own.items()}, finite)
        require_kinds(state, own)
        given = {name: np.asarray(state[name]) for name in own}
        if (wrong := given["steps"][given["steps"].astype(np.int64) < 0]).size:
            raise NeuroctlError(f"environment state 'steps' holds {wrong[0]}; allowed: integers from 0 to 2**63 - 1")
        self.streams.set_state(index, {name: given[key] for name, key in keys.items()})
        self._put(index, given)

    def _put(self, index: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        self.steps[index] = state["steps"]
        self._put_more(index, state)
        self._changed()

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in self.rebuilt}
        return kept | {"_packed": self._state(np.arange(self.num_envs))}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        packed = attributes.pop("_packed")
        self.__dict__.update(attributes)
        self._build()
        self._put(np.arange(self.num_envs), packed)

    # Pictures

    def render(self) -> Any:
        """Frames `[B, 240, 320, 3]` uint8.

        Raises:
            NeuroctlError: made without `render_mode="rgb_array"`, or OpenGL is missing.
        """
        self._require_rendering()
        return np.stack([self._frame(b) for b in range(self.num_envs)])

    # What is refused

    def _require_open(self, call: str) -> None:
        if self.closed:
            raise NeuroctlError(f"{call}() after close(): make the environment again")

    def _require_begun(self, call: str) -> None:
        self._require_open(call)
        if not self._begun_all:
            if (self.streams.episodes < 0).any():
                raise NeuroctlError(f"{call}() before reset(): start the episodes with reset(seed=...)")
            self._begun_all = True

    def _require_rendering(self) -> None:
        self._require_open("render")
        if self.render_mode is None:
            raise NeuroctlError("nothing is rendered; make the environment with render_mode='rgb_array'")


def with_masks(said: Mapping[str, NDArray[Any]], rows: int) -> dict[str, Any]:
    """Gymnasium's vector info: `_name` tells in which of the rows `name` is said."""
    masks = np.empty((len(said), rows), np.bool_)
    masks.fill(True)
    return {**said, **{f"_{name}": mask for name, mask in zip(said, masks, strict=True)}}


def following(
    obs: Any, info: dict[str, Any], done: NDArray[np.bool_], first: Any, said: Mapping[str, NDArray[Any]]
) -> tuple[Any, dict[str, Any]]:
    """What a step returns where episodes ended: the next ones' first observation and info, and what they ended with.

    Args:
        obs: observations `[B, ...]` after the step, arrays or a dict of them.
        info: its info, with masks.
        done: where an episode ended, `[B]`.
        first: observations of those that begin, `[n, ...]`.
        said: what is said of those, each array `[n, ...]`.
    """
    rows = np.flatnonzero(done)
    # What is only said of steps is not said of an episode that begins.
    begun = {**said, **{f"_{name}": np.array(name in said) for name in info if not name.startswith("_")}}
    next_info = {name: replaced(value, rows, begun.get(name, np.array(0))) for name, value in info.items()}
    ended = {"final_obs": obs, "_final_obs": done.copy(), "final_info": info, "_final_info": done.copy()}
    if isinstance(obs, dict):
        return {key: replaced(value, rows, first[key]) for key, value in obs.items()}, next_info | ended
    return replaced(obs, rows, first), next_info | ended
