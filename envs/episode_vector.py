"""What our vector environments share, whoever simulates: episodes with streams of their own, autoreset, exact state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.finite import all_bounded
from neuroctl.streams import STATE_WORDS, EpisodeStreams

from .dynamics import LIMIT, Dynamics, dynamics_table, hash_models
from .known_options import KnownOptions
from .vector_tools import checked_rows, replaced, require, require_kinds, require_state, reset_rows

Floats = NDArray[np.float64]
State = dict[str, NDArray[Any]]
StepResult = tuple[Any, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]

INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
MOST_ROWS = 10**6
"""Rows of one environment."""


class EpisodeVector(KnownOptions, ABC):
    """B rows that step together, each in episodes of its own.

    Autoreset is SAME_STEP: where an episode ends, the returned observation is the first of the next one, the last one
    is in `info["final_obs"]` (dense, valid where `info["_final_obs"]`), its info in `info["final_info"]`.

    Subclasses simulate: they build their models, start rows, observe them, and say what their state is.

    Args:
        num_envs: B.
        max_steps: control steps after which an episode is truncated.
        streams: names of further random streams beside `"reset"`.
        dynamics: see `Dynamics`.
        render_mode: None or `"rgb_array"`.

    Attributes:
        models, datas: MuJoCo's model and data of each row.
        steps: control steps since the episode began, int64 `[B]`.
        streams: the rows' random streams.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 50,
    }
    rebuilt: ClassVar[tuple[str, ...]] = ("models", "datas")
    """What `_build` makes: no part of the state, and left out of a pickle."""
    waiting: ClassVar[str]
    """Name, in the state, of what waits because of action delays."""

    models: list[Any]
    datas: list[Any]

    def __init__(
        self, num_envs: int, max_steps: int, streams: Sequence[str], dynamics: Dynamics | None, render_mode: str | None
    ) -> None:
        self.num_envs = checked_integer("num_envs", num_envs, 1, MOST_ROWS)
        self.max_steps = checked_integer("max_steps", max_steps, 1)
        require("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode = render_mode
        self._dynamics = dynamics_table(dynamics, self.num_envs)
        self._delays = np.array([int(row["action_delay"]) for row in self._dynamics])
        self.streams = EpisodeStreams(self.num_envs, ("reset", *streams))
        self.steps = np.zeros(self.num_envs, np.int64)
        self._begun_all = False
        self._build()

    def _set_spaces(self, observation: gym.Space[Any], action: gym.Space[Any]) -> None:
        self.single_observation_space, self.single_action_space = observation, action
        self.observation_space = batch_space(observation, self.num_envs)
        self.action_space = batch_space(action, self.num_envs)

    def _make_room(self, shape: tuple[int, ...], dtype: Any) -> None:
        """For what waits because of action delays, of this shape in each step of a row."""
        self._waiting = np.zeros((self.num_envs, int(self._delays.max()), *shape), dtype)

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
        """What the next steps read beside MuJoCo's integration state, steps, delays and streams."""

    @abstractmethod
    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `_more_state` returned."""

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
        return _with_masks(self._said(), self.num_envs)

    def _delayed(self, values: NDArray[Any]) -> NDArray[Any]:
        """The controls or actions `[B, ...]` that act now; row b's are those of `delay[b]` steps ago."""
        if self._waiting.shape[1] == 0:
            return values
        queue = np.concatenate([self._waiting, values[:, None]], axis=1)
        self._waiting = queue[:, 1:].copy()
        now: NDArray[Any] = queue[np.arange(self.num_envs), queue.shape[1] - 1 - self._delays]
        return now

    def _finish(
        self, obs: Any, reward: Floats, terminated: NDArray[np.bool_], said: dict[str, NDArray[Any]]
    ) -> StepResult:
        """What `step` returns; episodes that ended are followed by the next."""
        truncated = (self.steps >= self.max_steps) & ~terminated
        info = _with_masks(said, self.num_envs)
        if np.count_nonzero(done := terminated | truncated):
            obs, info = self._autoreset(obs, info, done)
        return obs, reward, terminated, truncated, info

    def _autoreset(self, obs: Any, info: dict[str, Any], done: NDArray[np.bool_]) -> tuple[Any, dict[str, Any]]:
        rows = np.flatnonzero(done)
        self.streams.advance(rows)
        self._start(rows)
        first, said = self._begun(rows)
        # What is only said of steps is not said of an episode that begins.
        begun = said | {f"_{name}": np.array(name in said) for name in info if not name.startswith("_")}
        following = {name: replaced(value, rows, begun.get(name, np.array(0))) for name, value in info.items()}
        ended = {"final_obs": obs, "_final_obs": done.copy(), "final_info": info, "_final_info": done.copy()}
        if isinstance(obs, dict):
            return {key: replaced(value, rows, first[key]) for key, value in obs.items()}, following | ended
        return replaced(obs, rows, first), following | ended

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
        physics = np.zeros((len(index), mujoco.mj_stateSize(self.models[0], INTEGRATION)))
        for i, b in enumerate(index.tolist()):
            mujoco.mj_getState(self.models[b], self.datas[b], physics[i], INTEGRATION)
        state: State = {"mujoco": physics, "steps": self.steps[index], self.waiting: self._waiting[index]}
        return state | self._more_state(index)

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
        for i, b in enumerate(index.tolist()):
            mujoco.mj_setState(self.models[b], self.datas[b], state["mujoco"][i].astype(np.float64), INTEGRATION)
        self.steps[index], self._waiting[index] = state["steps"], state[self.waiting]
        self._put_more(index, state)
        self._changed()

    def model_hash(self) -> str:
        """sha256 of the compiled models and delays, for recordings."""
        return hash_models(self.models, self._delays)

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

    @staticmethod
    def _require_sane(what: str, values: NDArray[Any], steps: NDArray[np.int64]) -> None:
        """Refuse numbers `[B, n]` that MuJoCo would take for bad ones, in control steps `steps` `[B]`."""
        if not all_bounded(values, LIMIT):
            row = int(np.argmin((np.abs(values) <= LIMIT).all(axis=1)))
            raise NonFiniteError(
                f"{what} of row {row} diverged (NaN, infinity or beyond 1e10) at step {int(steps[row])} of its episode"
            )


def _with_masks(said: Mapping[str, NDArray[Any]], rows: int) -> dict[str, Any]:
    """Gymnasium's vector info: `_name` tells in which of the rows `name` is said."""
    masks = np.empty((len(said), rows), np.bool_)
    masks.fill(True)
    return {**said, **{f"_{name}": mask for name, mask in zip(said, masks, strict=True)}}
