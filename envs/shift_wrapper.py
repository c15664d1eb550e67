"""The machinery of wrapper shifts: streams, autoreset and state, so that a shift itself is a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from neuroctl import registry
from neuroctl.checks import shown_space
from neuroctl.errors import NeuroctlError
from neuroctl.shift import Kind, Shift
from neuroctl.streams import STATE_WORDS, EpisodeStreams

from .event_camera import EventSpace
from .vector_tools import array_of, checked_rows, require_state, reset_rows

Leaves = dict[str, NDArray[Any]]
"""An observation as named arrays; a plain array has the name `""`."""


def is_image(space: gym.Space[Any]) -> bool:
    """Whether a space holds images `[H, W, ...]`: float32 with values in [0, 1], or uint8."""
    if not isinstance(space, gym.spaces.Box) or len(space.shape) < 2:
        return False
    white = {"float32": 1, "uint8": 255}.get(str(space.dtype))
    return white is not None and bool((space.low == 0).all() and (space.high == white).all())


def is_events(space: gym.Space[Any]) -> bool:
    """Whether a space holds the counts of an event camera."""
    return isinstance(space, EventSpace)


def leaf_spaces(space: gym.Space[Any]) -> dict[str, gym.Space[Any]]:
    """The spaces of an observation's named arrays."""
    return dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {"": space}


def has_events(space: gym.Space[Any]) -> bool:
    """Whether there are counts of an event camera in an observation."""
    return any(is_events(leaf) for leaf in leaf_spaces(space).values())


def no_numbers(space: gym.Space[Any]) -> str | None:
    """Why observations are not numbers or images or dicts of them, or None."""
    for name, leaf in leaf_spaces(space).items():
        floats = isinstance(leaf, gym.spaces.Box) and leaf.dtype is not None and leaf.dtype.kind == "f"
        if not (floats or is_image(leaf)):
            where = f" {name!r}" if name else ""
            what = f"{where} {shown_space(leaf)}"
            return f"it needs observations that are a Box of floats, an image or a Dict of them, not{what}"
    return None


def no_image(space: gym.Space[Any]) -> str | None:
    """Why an image shift cannot be applied, or None."""
    if any(is_image(leaf) for leaf in leaf_spaces(space).values()):
        return None
    return f"it needs an image (two axes or more, float32 in [0, 1] or uint8), not {shown_space(space)}"


class ShiftWrapper(VectorWrapper[Any, Any, Any, Any, Any], Shift):
    """Perturbs the observations or actions of a SAME_STEP vector environment.

    Subclasses override `perturb` and, where they remember past observations, `clear`. At the end of an episode the
    last observation passes through the buffers and the stream of that episode; then only that row starts afresh.

    Args:
        env: vector environment.
        severity: 0 (identity, bit for bit) to 5.
    """

    kind: ClassVar[Kind] = "wrapper"
    redraws: ClassVar[bool] = False
    """Whether what is shown cannot be computed again from the wrapped observation (noise, delay)."""

    def __init__(self, env: VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env)
        self.value = self.level(severity)
        self.severity = int(severity)
        reason = self.fits(env.single_observation_space, env.single_action_space)
        if reason is None and self.kind_for(env.single_observation_space) != "wrapper":
            reason = "it is an option of the environment here; name it in make_env(..., shifts=[...])"
        if reason:
            raise NeuroctlError(f"shift {self.name!r} does not fit: {reason}; fitting: {', '.join(_fitting(env))}")
        self.key = f"shift/{self.name}" + _ordinal(env, type(self))
        self.streams = EpisodeStreams(env.num_envs, (self.key,))
        self._spaces = leaf_spaces(env.single_observation_space)
        self._shown: Leaves = {}

    def rng(self, row: int) -> np.random.Generator:
        """This shift's random stream of a row's current episode."""
        return self.streams[self.key, row]

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """What is shown instead of observations `[n, ...]` of `rows`; new arrays."""
        return obs

    def perturb_action(self, action: NDArray[Any]) -> NDArray[Any]:
        """The action that is carried out."""
        return action

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """Begin episodes in `rows` with observations `obs` `[n, ...]`."""

    def memory(self) -> Leaves:
        """Arrays `[B, ...]` that `perturb` reads and writes, in place; part of the state."""
        return {}

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes; see the wrapped environment."""
        obs, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        rows = reset_rows(options, self.num_envs)
        self.streams.reset(seed, rows)
        if self.severity == 0:
            return obs, info
        leaves = _leaves(obs)
        if len(rows) < self.num_envs:
            shown = {name: value.copy() for name, value in self._shown.items()} or dict(leaves)
        else:
            shown = {name: np.empty_like(value) for name, value in leaves.items()}
        self._begin(rows, leaves, shown)
        return self._show(obs, shown), info

    def step(self, actions: Any) -> tuple[Any, NDArray[Any], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one control step."""
        if self.severity == 0:
            result = self.env.step(actions)
            self.streams.advance(np.flatnonzero(result[2] | result[3]))
            return result
        given = array_of(actions)
        # what is ragged, the environment names
        acting = actions if given is None else self.perturb_action(given)
        obs, reward, terminated, truncated, info = self.env.step(acting)
        done = np.asarray(terminated | truncated)
        rows = np.flatnonzero(done)
        leaves = _leaves(obs)
        # The running episodes' observations: the last one where an episode ended.
        running = leaves
        if len(rows):
            last = _leaves(info["final_obs"])
            running = {name: _where(done, last[name], value) for name, value in leaves.items()}
        shown = self.perturb(running, np.arange(self.num_envs))
        if len(rows):
            final = {name: value.copy() for name, value in shown.items()}
            info = {**info, "final_obs": _like(info["final_obs"], final)}
            self.streams.advance(rows)
            self._begin(rows, leaves, shown)
        return self._show(obs, shown), reward, terminated, truncated, info

    def _begin(self, rows: NDArray[np.intp], obs: Leaves, shown: Leaves) -> None:
        """Write what is shown at the start of episodes in `rows` into `shown` `[B, ...]`."""
        if not len(rows):
            return
        first = {name: value[rows] for name, value in obs.items()}
        self.clear(rows, first)
        for name, value in self.perturb(first, rows).items():
            shown[name][rows] = value

    def _show(self, like: Any, shown: Leaves) -> Any:
        if self.redraws:
            self._shown = {name: value.copy() for name, value in shown.items()}
        return _like(like, shown)

    def current_obs(self) -> Any:
        """What `reset` or `step` last returned, `[B, ...]`."""
        inner = self.env.current_obs()  # type: ignore[attr-defined]
        if self.severity == 0:
            return inner
        if self.redraws:
            return _like(inner, {name: value.copy() for name, value in self._shown.items()})
        return _like(inner, self.perturb(_leaves(inner), np.arange(self.num_envs)))

    def current_info(self) -> dict[str, Any]:
        """The wrapped environment's info of the current state."""
        info: dict[str, Any] = self.env.current_info()  # type: ignore[attr-defined]
        return info

    def expert_action(self) -> NDArray[Any]:
        """The scripted controller's actions `[B, ...]`; it sees the true state."""
        action: NDArray[Any] = self.env.expert_action()  # type: ignore[attr-defined]
        return action

    def get_state(self, rows: Sequence[int] | NDArray[np.intp] | None = None) -> dict[str, NDArray[Any]]:
        """State of the wrapped environment and, under keys that begin with `shift/`, of this shift."""
        index = checked_rows(rows, self.num_envs)
        state: dict[str, NDArray[Any]] = dict(self.env.get_state(index))  # type: ignore[attr-defined]
        for name, value in self.streams.get_state(index).items():
            state[f"{self.key}/{'stream' if name == self.key else name}"] = value
        for name, value in self._buffers().items():
            state[f"{self.key}/{name}"] = value[index]
        return state

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned, into `rows` (all where None)."""
        index = checked_rows(rows, self.num_envs)
        names = {"seeds": "seeds", "episodes": "episodes", self.key: "stream"}
        self._allocate()
        buffers = self._buffers()
        require_state(state, {})
        if missing := [k for k in (*names.values(), *buffers) if f"{self.key}/{k}" not in state]:
            raise NeuroctlError(f"environment state {self.key + '/' + missing[0]!r} is missing: another shift stack?")
        shapes = {f"{self.key}/{name}": (len(index), *value.shape[1:]) for name, value in buffers.items()}
        shapes |= {f"{self.key}/{name}": (len(index),) for name in ("seeds", "episodes")}
        require_state(state, shapes | {f"{self.key}/stream": (len(index), STATE_WORDS)})
        others = {name: value for name, value in state.items() if not str(name).startswith(f"{self.key}/")}
        self.env.set_state(rows, others)  # type: ignore[attr-defined]
        self.streams.set_state(index, {name: state[f"{self.key}/{k}"] for name, k in names.items()})
        for name, value in buffers.items():
            value[index] = state[f"{self.key}/{name}"]

    def _allocate(self) -> None:
        """Room for what is shown, where nothing has been shown yet."""
        if self.redraws and self.severity and not self._shown:
            self._shown = {
                name: np.zeros((self.num_envs, *(space.shape or ())), space.dtype)
                for name, space in self._spaces.items()
            }

    def _buffers(self) -> Leaves:
        return {**{f"shown/{name}": value for name, value in self._shown.items()}, **self.memory()}


def _leaves(obs: Any) -> Leaves:
    return dict(obs) if isinstance(obs, dict) else {"": obs}


def _like(obs: Any, leaves: Leaves) -> Any:
    return leaves if isinstance(obs, dict) else leaves[""]


def _where(mask: NDArray[np.bool_], values: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    return np.where(mask.reshape(-1, *[1] * (values.ndim - 1)), values, others)


def _ordinal(env: Any, shift: Any) -> str:
    """`"#2"` for the second wrapper of a kind in a stack, and so on: each has its own stream."""
    count = 1
    while isinstance(env, VectorWrapper):
        count += type(env) is shift
        env = env.env
    return f"#{count}" if count > 1 else ""


def _fitting(env: VectorEnv[Any, Any, Any]) -> list[str]:
    """The wrappers that could be put around `env`."""
    spaces = env.single_observation_space, env.single_action_space
    known = {name: registry.shifts.load(name) for name in registry.shifts.names()}
    wrappers = {name: shift for name, shift in known.items() if shift.kind_for(spaces[0]) == "wrapper"}
    return [name for name, shift in wrappers.items() if shift.fits(*spaces) is None]
