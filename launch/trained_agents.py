"""Populations that were trained: measured with frozen synapses, learning on, or with synapses taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neuroctl.agents.spiking.synaptic_parameters import SynapticSamplingParameters
from neuroctl.config import TrainConfig, parse_options
from neuroctl.contracts import Agent, Listener
from neuroctl.errors import NeuroctlError
from neuroctl.launch.curves import play_episodes
from neuroctl.loop import ClosedLoop
from neuroctl.progress import NoProgress, Progress
from neuroctl.run import Run, agent_with, make_agent, tree_hash
from neuroctl.streams import stream
from neuroctl.vector import Vector, spaces_of


@dataclass(frozen=True)
class TrainedAgents:
    """What a population of spiking agents has learned. Its methods leave it as it is and return what comes of it."""

    config: TrainConfig
    """Of its training; its agent's options hold for what it learns from here on."""
    state: Mapping[str, Any]
    """What `Agent.state_dict` returned; nobody writes to its arrays."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The population at the end of a run.

        Raises:
            NeuroctlError: there is no run, or it has not come to its end.
        """
        run = Run(path)
        found, trees = run.checkpoints.load()
        if found < run.config.steps:
            raise NeuroctlError(f"the run {path} has come to step {found} of {run.config.steps}; train it to its end")
        return cls(run.config, trees["agent"])

    @property
    def count(self) -> int:
        """Agents in the population."""
        return int(self.state["agents"])

    @property
    def digest(self) -> str:
        """SHA-256 of everything that was learned."""
        return tree_hash(self.state)

    def player(self, env: Vector) -> Agent:
        """The agents with frozen synapses, one in each row of `env`."""
        return agent_with(self.config, spaces_of(env), self.state)

    def measured(self, env: Vector, seed: int, episodes: int) -> dict[str, list[float]]:
        """What each does in its first `episodes` episodes with frozen synapses, see `play_episodes`; closes `env`."""
        try:
            return play_episodes(env, self.player(env), seed, episodes)
        finally:
            env.close()

    def learned_on(
        self,
        env: Vector,
        seed: int,
        steps: int,
        *,
        anew: bool,
        listeners: Sequence[Listener] = (),
        progress: Progress | None = None,
    ) -> Self:
        """The agents after `steps` more control steps of learning, one in each row of `env`, which is closed.

        They begin with their synapses, estimates of the gradient and running mean of the reward; noise and episodes
        are those of `seed`.

        Args:
            env: where they learn.
            seed: root of all random streams.
            steps: control steps.
            anew: whether learning rate and temperature begin anew, or go on from where training left them.
            listeners: watch the loop.
            progress: told of steps.
        """
        agent, progress = make_agent(self.config, spaces_of(env)), progress or NoProgress()
        begin_with = agent.load_policy if anew else agent.load_state_dict
        begin_with(self.state)
        loop = ClosedLoop(env, agent, listeners)
        try:
            with loop.listening():
                loop.begin(seed)
                for _ in range(steps):
                    loop.step()
                    agent.update()
                    progress.advance()
        finally:
            env.close()
        return replace(self, state=agent.state_dict())

    @property
    def theta(self) -> NDArray[np.float64]:
        """Parameters of all synapses `[B, synapses]`; a copy. A synapse with a negative one is retracted."""
        sets = self._synapses().values()
        return np.concatenate([synapses["synapses/theta"].reshape(self.count, -1) for synapses in sets], axis=1)

    def lesioned(self, seed: int) -> tuple[Self, NDArray[np.bool_]]:
        """The agents with half of the potential synapses of each, rounded down, at the lower bound of theta.

        These are retracted: they transmit nothing and have no traces, but may form again. Which they are is drawn for
        agent b from the stream (seed, "lesion", b).

        Returns:
            The agents, and which of their synapses were taken, bool `[B, synapses]`, in the order of `theta`.
        """
        sets, size = self._synapses(), self.theta[0].size
        taken = np.zeros((self.count, size), np.bool_)
        for b, row in enumerate(taken):
            row[stream(seed, "lesion", b).permutation(size)[: size // 2]] = True
        state, begin = self.state, 0
        for name, synapses in sets.items():
            end = begin + synapses["synapses/theta"][0].size
            state = _put(state, (*_PLACE, name), self._without(synapses, taken[:, begin:end]))
            begin = end
        return replace(self, state=state), taken

    def _without(self, synapses: Mapping[str, NDArray[Any]], taken: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """The state of a set of synapses with those gone that were taken."""
        changed = dict(synapses)
        for name, value in {"theta": self._lowest_theta(), "weight": 0.0, "e": 0.0, "g": 0.0}.items():
            before = synapses[f"synapses/{name}"]
            changed[f"synapses/{name}"] = np.where(taken.reshape(before.shape), before.dtype.type(value), before)
        return changed

    def _synapses(self) -> dict[str, Mapping[str, NDArray[Any]]]:
        """State of each set of synapses by name: those that excite, then those that inhibit, if there are any."""
        place: Any = self.state
        for key in _PLACE:
            place = place[key]
        if not all("synapses/theta" in synapses for synapses in place.values()):
            rule = getattr(self.config.agent, "rule", None)
            raise NeuroctlError(f"theta is a matter of rule 'synaptic-sampling'; these agents learn by {rule!r}")
        return dict(sorted(place.items()))

    def _lowest_theta(self) -> float:
        agent: Any = self.config.agent
        return float(parse_options(agent.rule_options).get("min_param", SynapticSamplingParameters().min_param))


_PLACE = ("controller", "network", "rules")
"""Where the state of an agent holds those of its rules."""


def _put(tree: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy of nested dicts with `value` at `path`."""
    key, *rest = path
    return {**tree, key: _put(tree[key], tuple(rest), value) if rest else value}
