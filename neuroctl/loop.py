"""The closed loop: the only place where an agent meets an environment."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Agent, Listener, Observation, Step
from .errors import NonFiniteError
from .finite import all_finite
from .storage import atomic_folder, save_tree
from .streams import episode_seed
from .vector import Vector, can_restore, get_state, set_state

DUMPED_STEPS = 100


class ClosedLoop:
    """Drives B environments with one agent and tells listeners.

    Training, evaluation, recording and distributed rollouts all run this loop. `num_envs` is B.

    Args:
        env: a vector environment from `make_env`.
        agent: who acts.
        listeners: who watches; called in this order.
        dump: where the last 100 steps are written when something stops being finite; nowhere when None.
    """

    def __init__(self, env: Vector, agent: Agent, listeners: Sequence[Listener] = (), dump: Path | None = None) -> None:
        self.env = env
        self.agent = agent
        self.listeners = listeners
        self.num_envs = env.num_envs
        self.step_index = 0
        self._dump = dump
        self._recent: deque[Step] = deque(maxlen=DUMPED_STEPS)

    def begin(self, seed: int, seeds: Sequence[int] | None = None) -> None:
        """Reset everything.

        Args:
            seed: root seed of the agent's streams and, unless `seeds` is given, of the rows' episodes.
            seeds: seed of each row, `[B]`.
        """
        rows = list(seeds) if seeds is not None else [episode_seed(seed, b) for b in range(self.num_envs)]
        self.agent.begin(self.num_envs, seed)
        self._obs, info = self.env.reset(seed=rows)  # type: ignore[arg-type]
        self._first = np.ones(self.num_envs, dtype=np.bool_)
        self.step_index = 0
        self._check("observation", self._obs)
        for listener in self.listeners:
            listener.on_agent(self.agent)
            listener.on_begin(self.env, self._obs, info)

    def step(self) -> Step:
        """One control step of all rows: act, step the environment, observe, tell the listeners."""
        action = self.agent.act(self._obs, self._first)
        self._check("action", action)
        try:
            next_obs, reward, terminated, truncated, info = self.env.step(action)
        except NonFiniteError as error:
            raise NonFiniteError(f"{error}{self.write_dump()}") from None
        ends = terminated, truncated
        step = Step(self.step_index, self._obs, self._first, action, reward, *ends, next_obs, info, self.agent)
        self._recent.append(step)
        self._check("reward", reward)
        self._check("observation", next_obs)
        self.agent.observe(next_obs, reward, terminated, truncated, info)
        self._obs, self._first = next_obs, step.done
        self.step_index += 1
        for listener in self.listeners:
            listener.on_step(step)
        return step

    def run_episodes(self, seeds: Sequence[int], seed: int, learning: Mapping[str, Any] | None = None) -> None:
        """Every row plays the one episode of its seed; rows that finish early go on unheeded until all have.

        Args:
            seeds: seed of each row's episode, `[B]`.
            seed: root seed of the agent's streams.
            learning: the agent's `state_dict` that it begins with, learning on from there; it does not learn when None.
        """
        with self.listening():
            self.agent.learning = learning is not None
            self.begin(seed, seeds)
            if learning is not None:
                self.agent.load_state_dict(learning)
            finished = np.zeros(self.num_envs, dtype=np.bool_)
            while not finished.all():
                finished |= self.step().done
                if learning is not None:
                    self.agent.update()

    @contextlib.contextmanager
    def listening(self) -> Any:
        """Tells the listeners when the block ends, also by an exception."""
        try:
            yield self
        finally:
            for listener in self.listeners:
                listener.on_end()

    def reseed(self, seed: int) -> None:
        """Reset the rows under new seeds: what an environment without `get_state` gets at every checkpoint."""
        self._obs, _ = self.env.reset(seed=[episode_seed(seed, b) for b in range(self.num_envs)])  # type: ignore[arg-type]
        self._first = np.ones(self.num_envs, dtype=np.bool_)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the agent: the environment's state, the waiting observation, the step count.

        An environment that cannot save its state is represented by the step count alone; see `reseed`.
        """
        state: dict[str, Any] = {"step_index": self.step_index}
        if can_restore(self.env):
            state |= {"env": get_state(self.env), "obs": self._obs, "first": self._first}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned; call `begin` first."""
        self.step_index = state["step_index"]
        if "env" in state:
            set_state(self.env, np.arange(self.num_envs), state["env"])
            self._obs, self._first = state["obs"], state["first"].astype(np.bool_)

    def _check(self, name: str, value: Observation) -> None:
        """Stop when a value is not finite.

        Raises:
            NonFiniteError: names the step, the row and the field, and where the last steps were written.
        """
        for key, array in _leaves(name, value):
            if not all_finite(array):
                row = np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1))
                raise NonFiniteError(f"{key} of row {row} is not finite at step {self.step_index}{self.write_dump()}")

    def write_dump(self) -> str:
        """Write the last steps to the dump folder; a phrase that says where, empty when there is none."""
        if self._dump is None or not self._recent:
            return ""
        fields = ("obs", "first", "action", "reward", "terminated", "truncated", "next_obs")
        steps = [{f: getattr(s, f) for f in fields} for s in self._recent]
        path = self._dump / f"nonfinite-step{self.step_index}"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_folder(path) as folder:
                save_tree(folder, "steps", steps)
        return f"; the last {len(steps)} steps are in {path}"


def _leaves(name: str, value: Any) -> list[tuple[str, NDArray[Any]]]:
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in _leaves(f"{name}[{key!r}]", part)]
    return [(name, np.asarray(value))]
