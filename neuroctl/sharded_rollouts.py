"""Rollouts of an agent's rows in shards, with weights that are a fixed number of updates old, wherever they run."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import registry
from .checks import checked_integer
from .config import TrainConfig
from .contracts import Listener, Rollout, RolloutAgent
from .crew import Crew, check_address, crew
from .episode_metrics import EpisodeMetrics
from .errors import NeuroctlError
from .loop import ClosedLoop
from .rollouts import WIDTH, one_thread, shard_seed
from .run import environment_spaces, make_agent
from .streams import episode_seed
from .vector import can_restore, make_env
from .workers import Beat

Ended = tuple[int, dict[str, float]]
"""The step of a rollout in which an episode ended, and its figures."""


def shard_width(num_envs: int) -> int:
    """Rows of a shard, of which there are whole ones.

    Raises:
        NeuroctlError: there are more rows than `WIDTH`, and no multiple of it.
    """
    if num_envs > WIDTH and num_envs % WIDTH:
        raise NeuroctlError(f"num_envs is {num_envs}; with weight_lag rows go in shards of {WIDTH}: take a multiple")
    return min(num_envs, WIDTH)


def check_shards(config: TrainConfig) -> None:
    """Refuse a `weight_lag` that cannot work.

    Raises:
        NeuroctlError: of the agent, the environment, the number of rows, or of steps that are no whole rollouts.
    """
    if not issubclass(registry.agents.load(config.agent.name), RolloutAgent):
        raise NeuroctlError(f"weight_lag has no effect: agent {config.agent.name!r} does not learn from rollouts")
    shard_width(config.num_envs or WIDTH)
    length = _rollout_agent(config).rollout_length
    for name in ("steps", "log_every", "checkpoint_every", "evaluate_every"):
        value = getattr(config, name)
        if value % length:
            raise NeuroctlError(
                f"{name} is {value}; with weight_lag it must be a multiple of the rollout, {length} steps"
            )
    env = make_env(config.env.id, 1, config.env.kwargs())
    try:
        if not can_restore(env):
            raise NeuroctlError(f"weight_lag needs an environment that saves its state; {config.env.id} cannot")
    finally:
        env.close()


def check_workers(config: TrainConfig, workers: int, ray_address: str | None, listeners: Sequence[Listener]) -> None:
    """Refuse workers without something to do, and listeners where no loop is.

    Raises:
        NeuroctlError: of the one that has no effect.
    """
    checked_integer("workers", workers, 0)
    check_address(workers, ray_address)
    if config.weight_lag is None:
        if workers:
            raise NeuroctlError("workers collect rollouts with weights that are some updates old: give weight_lag too")
    elif listeners:
        raise NeuroctlError("listeners have no effect with weight_lag: no one loop steps all rows")


@contextlib.contextmanager
def collecting(config: TrainConfig, workers: int, ray_address: str | None) -> Iterator[Crew | None]:
    """Who collects the rollouts of a run; None without `weight_lag`."""
    if config.weight_lag is None:
        yield None
        return
    rows = shard_width(num_envs := config.num_envs or WIDTH)
    collector = Collector(config, rows)
    try:
        with crew(min(workers, num_envs // rows), collector, ray_address) as collectors:
            yield collectors
    finally:
        collector.close()


class Collector:
    """Collects the rollouts of any shard, with one thread: a pure function, whose environment is built once.

    Args:
        config: environment and agent.
        rows: of a shard.
    """

    def __init__(self, config: TrainConfig, rows: int) -> None:
        self._config, self._rows = replace(config, device="cpu"), rows
        self._loop: ClosedLoop | None = None
        self._begun = False

    def __getstate__(self) -> dict[str, Any]:
        """Without environment and agent: a worker builds its own."""
        return {"_config": self._config, "_rows": self._rows, "_loop": None, "_begun": False}

    def __call__(
        self, shard: int, weights: Mapping[str, Any], state: Mapping[str, Any] | None, beat: Beat
    ) -> dict[str, Any]:
        """The rollout that a shard goes on with.

        Args:
            shard: its number.
            weights: `RolloutAgent.acting_weights`.
            state: where it goes on from, None at the beginning.
            beat: called in every step.

        Returns:
            `"rollout"` of `RolloutAgent.take_rollout`, the `"state"` at its end, and what `"ended"` in it.
        """
        with one_thread():
            loop = self._restored(shard, state)
            agent, episodes = self._agent, self._episodes
            agent.load_policy(weights)
            ended: list[Ended] = []
            for t in range(agent.rollout_length):
                loop.step()
                ended += [(t, figures) for figures in episodes.ended()]
                beat()
            end = {"loop": loop.state_dict(), "rows": agent.rows_state(), "episodes": episodes.state_dict()}
            return {"rollout": agent.take_rollout(), "state": end, "ended": ended}

    def close(self) -> None:
        """Close the environment, where one was built."""
        if self._loop is not None:
            self._loop.env.close()

    def _restored(self, shard: int, state: Mapping[str, Any] | None) -> ClosedLoop:
        """The loop as it was at the end of the shard's last rollout."""
        if self._loop is None:
            env = make_env(self._config.env.id, self._rows, self._config.env.kwargs())
            self._agent, self._episodes = _rollout_agent(self._config), EpisodeMetrics()
            self._agent.learning = True
            self._loop = ClosedLoop(env, self._agent, [self._episodes])
        if state is None or not self._begun:
            seeds = [episode_seed(self._config.seed, shard * self._rows + row) for row in range(self._rows)]
            self._loop.begin(shard_seed(self._config.seed, shard), seeds)
            self._begun = True
        if state is not None:
            self._loop.load_state_dict(state["loop"])
            self._agent.load_rows_state(state["rows"])
            self._episodes.load_state_dict(state["episodes"])
        return self._loop


def _rollout_agent(config: TrainConfig) -> RolloutAgent:
    agent = make_agent(config, environment_spaces(config))
    assert isinstance(agent, RolloutAgent)
    return agent


class ShardedRollouts:
    """The rollouts of all rows, one after the other; a learner asks for one, learns from it, and says so.

    Rollout j is collected with the weights of update j - 1 - lag (of the beginning, before there are as many), whoever
    collects it and however long that takes. With a lag of 1 or more it is on its way while the learner learns from the
    one before.

    Args:
        config: of the run, with its `weight_lag`.
        weights: of the beginning, of `RolloutAgent.acting_weights`.
        crew: who answers requests to a `Collector`.
    """

    def __init__(self, config: TrainConfig, weights: Mapping[str, Any], crew: Crew) -> None:
        num_envs, lag = config.num_envs or WIDTH, config.weight_lag or 0
        self._lag, self._crew = lag, crew
        self._shards = num_envs // shard_width(num_envs)
        self._states: list[Any] = [None] * self._shards
        self._weights: deque[Any] = deque([weights] * (lag + 1), maxlen=lag + 1)
        self._asked = False

    def take(self) -> tuple[Rollout, list[Ended]]:
        """The next rollout of all rows, and the episodes that ended in it, in their order."""
        if not self._asked:
            self._ask(self._weights[0])
        answers = [self._crew.take() for _ in range(self._shards)]
        self._states = [answer["state"] for answer in answers]
        self._asked = False
        if self._lag:
            self._ask(self._weights[1])
        ended = sorted((entry for answer in answers for entry in answer["ended"]), key=lambda entry: entry[0])
        return _joined([answer["rollout"] for answer in answers]), ended

    def learned(self, weights: Mapping[str, Any]) -> None:
        """An update was made, and these are the weights after it."""
        oldest = self._weights[0]
        self._weights.append(weights)
        if not any(kept is oldest for kept in self._weights):
            self._crew.forget(oldest)

    def _ask(self, weights: Mapping[str, Any]) -> None:
        for shard, state in enumerate(self._states):
            self._crew.ask(shard, self._crew.share(weights), state)
        self._asked = True

    def state_dict(self) -> dict[str, Any]:
        """The ends of the last rollout and the weights that are still to be used, after `learned`."""
        return {"states": list(self._states), "weights": list(self._weights)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned, before anything was taken."""
        self._states = list(state["states"])
        self._weights = deque(state["weights"], maxlen=self._lag + 1)


def _joined(rollouts: list[Rollout]) -> Rollout:
    """Rollouts of shards side by side."""
    return {
        part: {name: np.concatenate([r[part][name] for r in rollouts], axis) for name in rollouts[0][part]}
        for part, axis in (("steps", 1), ("after", 0))
    }
