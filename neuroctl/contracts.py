"""What an agent, a policy and a listener are. The closed loop knows nothing else about them.

Everything is batched: B environments step together, sequences are time-major `[T, B, ...]`. `first[b]` is true on the
first observation of an episode.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .errors import NeuroctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .interventions import Intervention
    from .recording import Recording

Observation = Any
"""`NDArray [B, ...]` or a dict of such arrays."""

Info = dict[str, Any]
"""Gymnasium's vector info: arrays `[B, ...]` and, where an episode ended, `final_obs` and `final_info`."""


def map_observation(function: Callable[[Any], Any], obs: Observation) -> Observation:
    """`function` of an observation's array, or of each array of a dict; dicts may be nested."""
    if isinstance(obs, dict):
        return {key: map_observation(function, part) for key, part in obs.items()}
    return function(obs)


@dataclass(frozen=True)
class Spaces:
    """What an agent must know of an environment: the spaces of one row.

    Attributes:
        observation: space of one observation.
        action: space of one action.
        control_dt_s: length of a control step; None where the environment does not say.
    """

    observation: gym.Space[Any]
    action: gym.Space[Any]
    control_dt_s: float | None = None


class Agent(ABC):
    """Acts in B environments and may learn from what follows.

    The loop calls `begin` once, then repeats `act`, (environment step), `observe`, `update`. A rollout learner returns
    metrics from `update` when its rollout is full, an every-step learner each time; a learner from recorded data is
    given a recording when it is made and only `update` is called (`offline` is true).

    A learner may have a population: B agents with parameters of their own, one in each row, in one `state_dict`. They
    are evaluated and recorded one by one, from the state that `member_state` cuts out.

    Attributes:
        offline: learns from recorded data: training calls only `update`.
        continues_across_episodes: recurrent state is kept when an episode ends (plastic synapses).
        learning: `update` is called after every step; set before `begin` by whoever drives the loop. A learner that
            explores does so only then.
    """

    offline: bool = False
    learning: bool = False
    continues_across_episodes: bool = False

    @abstractmethod
    def begin(self, num_envs: int, seed: int) -> None:
        """Prepare for `num_envs` rows: initial recurrent state, random streams from `seed`."""

    @abstractmethod
    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions `[B, ...]` for observations `[B, ...]`; state of rows with `first` is reset before it is used."""

    def observe(  # noqa: B027 - ignoring it is a sound default
        self,
        next_obs: Observation,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: Info,
    ) -> None:
        """Take in what the last action led to, each `[B, ...]`; agents that only act ignore it.

        Where an episode ended, `next_obs` is the first observation of the next one and the last observation is in
        `info["final_obs"]`; truncation bootstraps from it, termination does not.
        """

    def activity(self) -> dict[str, NDArray[Any]]:
        """What went on inside while the last action was chosen, `[B, ...]` by name; empty where there is nothing."""
        return {}

    def intervene(self, intervention: Intervention) -> None:
        """Silence and drive units from the next `begin` on.

        Raises:
            NeuroctlError: the agent has no such units.
        """
        raise NeuroctlError(f"{type(self).__name__} has no units that could be silenced or driven")

    def synapses(self) -> dict[str, NDArray[Any]]:
        """Weights that change while the agent acts, `[B, ...]` by name; empty where there are none."""
        return {}

    def update(self) -> dict[str, float]:
        """Learn if it is time to; metrics, or an empty dict when nothing was learned."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """The complete learning state, nested dicts and lists of tensors, arrays and plain values.

        Parameters, optimiser, traces, recurrent state, normalisers, random streams: an agent that loads it goes on
        bit for bit.
        """
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - nothing to load for a stateless agent
        """Put back what `state_dict` returned."""

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Start from the policy in another agent's `state_dict`; optimiser and counters stay new.

        Raises:
            KeyError, RuntimeError: the policy in `state` is of another form.
        """
        raise RuntimeError(f"{type(self).__name__} has no policy to start from")

    def recurrent_weights(self) -> dict[str, NDArray[Any]]:
        """Recurrent weight matrices `[N, N]` by name, for figures; empty where there are none."""
        return {}

    @classmethod
    def members(cls, state: Mapping[str, Any]) -> int:
        """How many agents with parameters of their own a `state_dict` holds; 1 unless a learner has a population."""
        return 1

    @classmethod
    def member_state(cls, state: Mapping[str, Any], member: int) -> Mapping[str, Any]:
        """The state of one of them, from which any number of rows may begin; `member` is in 0 to `members` - 1."""
        return state

    def add_data(self, recording: Recording) -> None:
        """Learn from the episodes of `recording` too; offline learners only."""
        raise TypeError(f"{type(self).__name__} does not learn from recordings")


Rollout = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arrays by name: `"steps"` `[T, B, ...]`, and `"after"` the last of them `[B, ...]`."""


class RolloutAgent(Agent):
    """An agent that learns from rollouts, which others like it may collect with weights that are some updates old."""

    @property
    @abstractmethod
    def rollout_length(self) -> int:
        """T, steps of a rollout."""

    @abstractmethod
    def take_rollout(self) -> Rollout:
        """The T steps since the last rollout."""

    @abstractmethod
    def learn(self, rollout: Rollout) -> dict[str, float]:
        """Learn from a rollout of all rows that was collected elsewhere, with weights that may be older; metrics."""

    @abstractmethod
    def acting_weights(self) -> dict[str, Any]:
        """Of what was learned, what acting needs; `load_policy` takes it."""

    @abstractmethod
    def rows_state(self) -> dict[str, Any]:
        """What the rows that act go on from, between rollouts: recurrent states, random streams."""

    @abstractmethod
    def load_rows_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `rows_state` returned."""


@dataclass(frozen=True)
class Step:
    """One step of the closed loop, as listeners see it. Arrays are not written to afterwards.

    Attributes:
        index: steps since the loop began.
        obs: observation the action was chosen from, `[B, ...]`.
        first: the observation is the first of its episode, `[B]`.
        action: what the agent chose, `[B, ...]`.
        reward: `[B]`.
        terminated: `[B]`.
        truncated: `[B]`.
        next_obs: observation after the step; where `done`, the first of the next episode.
        info: Gymnasium's vector info.
        agent: who acted; None where that is not known.
    """

    index: int
    obs: Observation
    first: NDArray[np.bool_]
    action: NDArray[Any]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    next_obs: Observation
    info: Info
    agent: Agent | None = None

    @property
    def done(self) -> NDArray[np.bool_]:
        """The episode ended with this step, `[B]`."""
        return self.terminated | self.truncated


class Listener:
    """Watches a closed loop: recorders, statistics, videos. Listeners change neither environment nor agent."""

    def on_agent(self, agent: Agent) -> None:
        """Who acts in the loop; told once when it begins, after the agent's own `begin` and before `on_begin`."""

    def on_begin(self, env: gym.vector.VectorEnv[Any, Any, Any], obs: Observation, info: Info) -> None:
        """After the reset, before the first action; the environment's state is that of the first observations."""

    def on_step(self, step: Step) -> None:
        """After each step; the environment's state is that of `step.next_obs`."""

    def on_end(self) -> None:
        """When the loop stops, also after an exception."""
