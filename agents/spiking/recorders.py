"""What a spiking network does over time, sampled on a grid: weights, turnover, rates, rewards, thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.contracts import Agent, Info, Listener, Observation, Step
from neuroctl.episode_codec import decode_episode, encode_episode
from neuroctl.errors import DamagedFileError, NeuroctlError
from neuroctl.storage import atomic_write
from neuroctl.vector import Vector

from .plasticity import checked_interval, checked_real

if TYPE_CHECKING:
    from .controller import Network

Arrays = dict[str, NDArray[Any]]
Choice = Mapping[str, ArrayLike | None]
"""Projections by name, each with pairs of a presynaptic and a postsynaptic neuron `[M, 2]`, or None for all pairs."""


class Recorder:
    """Samples a network at every multiple of `every_ms`.

    It reads and never writes: a run has the same bits with and without it. Call `add` after each call of the
    network's `step`; or, where it runs and learns apart, `count` after `run` and `look` after `learn`. Weights are
    read after an update that is due at the time of the sample.

    `samples` holds of N samples and B agents, the means and counts being those of the interval before each:

    - `time_s` `[N]`: when they were taken.
    - `reward` `[N, B]`: mean reward.
    - `rate_hz/POPULATION` `[N, B]`: mean rate of its neurons.
    - `threshold_mv/POPULATION` `[N, B, size]`: adaptive thresholds, of a population that adapts.
    - `weight/PROJECTION` `[N, B, num_pre, num_post]`: what a spike transmits; or `[N, B, M]` of M chosen pairs.
    - `active/PROJECTION` `[N, B]`: `num_active` of its rule, of each plastic projection.
    - `retractions/PROJECTION`, `formations/PROJECTION` `[N, B]`: what its rule counts (see `PlasticityRule.counts`):
      every event, so a synapse that retracts and forms again between two samples counts in both.

    All of it is kept in memory: a sample takes 4 bytes for each recorded weight (8 in float64) and 8 for everything
    else; 256 x 8 synapses of 16 agents take 131 kB, or 7.9 MB in an hour at one sample a minute.

    Args:
        network: what is watched, a `SpikingNetwork` or its form on a torch device.
        every_ms: interval between samples; a multiple of the time that is simulated in each call.
        weights: the projections whose weights are recorded, static ones too, and of which pairs; all weights of the
            plastic ones when None, none when empty.

    Raises:
        NeuroctlError: an interval that is no multiple of the network's step, or pairs that do not exist.
    """

    def __init__(self, network: Network, every_ms: float, weights: Choice | None = None) -> None:
        self.network = network
        self.every_ms = checked_real("every_ms", every_ms, 0.0, above=True)
        self._every = checked_interval("every_ms", self.every_ms, network.dt_ms)
        self._pairs = _checked_choice(network, weights)
        self._adapting = [
            name for name, neurons in network.neurons.items() if neurons.parameters.target_adaptation_speed_mv > 0
        ]
        self.begin()

    def begin(self, steps: int = 0) -> None:
        """Forget all samples and begin anew; needed when the network was given another state.

        Args:
            steps: of the network, which have passed. Samples go on at multiples of `every_ms`; the interval that these
                steps end within is not reported.

        Raises:
            NeuroctlError: no number of steps.
        """
        self._steps = checked_integer("steps", steps, 0)
        self._is_whole = self._steps % self._every == 0
        self._samples: list[Arrays] = []
        self._begin_interval()

    def _begin_interval(self) -> None:
        self._is_due = False
        self._reward = np.zeros(self.network.batch_size)
        self._spikes = {name: np.zeros(self.network.batch_size, np.int64) for name in self.network.neurons}
        self._counts = {name: rule.counts() for name, rule in self.network.rules.items()}
        self._figures = self._figures_of_neurons()

    def add(self, reward: ArrayLike = 0.0) -> None:
        """Take in the steps of the network's last call, which has learned from them; see `count`."""
        self.count(reward)
        self.look()

    def count(self, reward: ArrayLike = 0.0) -> None:
        """Take in the steps that the network has just simulated: spikes, thresholds and the reward.

        Args:
            reward: in each of them `[T, B]`, or the same in all of them `[B]`.

        Raises:
            NeuroctlError: another shape, steps that go on past the time of a sample, or a sample is due that was not
                looked at; nothing has changed.
        """
        steps = len(next(iter(self.network.activity.values())))
        rewards = np.asarray(reward)
        allowed = [(self.network.batch_size,), (steps, self.network.batch_size)]
        if rewards.dtype.kind not in "buif" or rewards.shape not in [(), *allowed]:
            raise NeuroctlError(f"reward must be numbers of shape {allowed[0]} or {allowed[1]}, got {shown(reward)}")
        if self._is_due:
            raise NeuroctlError(f"the sample at {self._time_s:g} s is due: call look after the network has learned")
        if self._steps % self._every + steps > self._every:
            raise _misfit(self.every_ms, steps * self.network.dt_ms)
        self._reward += rewards.sum(axis=0) if rewards.ndim == 2 else steps * rewards
        for name, spikes in self.network.activity.items():
            self._spikes[name] += spikes.sum(axis=(0, 2), dtype=np.int64)
        self._steps += steps
        if steps and self._steps % self._every == 0:
            self._is_due, self._figures = True, self._figures_of_neurons()

    def look(self) -> None:
        """Take the sample if it is due; weights are those of now."""
        if not self._is_due:
            return
        if self._is_whole:
            self._samples.append(self._sample())
        self._is_whole = True
        self._begin_interval()

    @property
    def _time_s(self) -> float:
        return self._steps * self.network.dt_ms / 1000

    def _figures_of_neurons(self) -> Arrays:
        """What the next control step will change; weights wait for the update."""
        seconds = self._every * self.network.dt_ms / 1000
        sizes = {name: spikes.shape[2] for name, spikes in self.network.activity.items()}
        return {
            "time_s": np.array(self._time_s),
            "reward": self._reward / self._every,
            **{f"rate_hz/{name}": spikes / (sizes[name] * seconds) for name, spikes in self._spikes.items()},
            **{f"threshold_mv/{name}": self.network.neurons[name].threshold_mv for name in self._adapting},
        }

    def _sample(self) -> Arrays:
        sample = dict(self._figures)
        for name, pairs in self._pairs.items():
            weight = self.network.weight(name)
            sample[f"weight/{name}"] = weight if pairs is None else weight[:, pairs[:, 0], pairs[:, 1]]
        for name, rule in self.network.rules.items():
            sample[f"active/{name}"] = rule.num_active
            before = self._counts[name]
            sample |= {f"{kind}/{name}": count - before[kind] for kind, count in rule.counts().items()}
        return sample

    def samples(self) -> Arrays:
        """All samples so far, as copies; see the class."""
        return {
            name: np.array([sample[name] for sample in self._samples], like.dtype).reshape(-1, *like.shape)
            if self._samples
            else np.empty((0, *like.shape), like.dtype)
            for name, like in self._sample().items()
        }

    def save(self, path: str | Path) -> None:
        """Write all samples so far as an `.npz`, whole or not at all; `load_samples` or `numpy.load` read it."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, encode_episode(self.samples()))


class LoopRecorder(Listener):
    """A `Recorder` of the network of the agent in a closed loop; its reward is that of the environment, unfiltered.

    The agent learns from a step after its listeners were told of it, so the weights of a sample are read when they are
    told of the next step, which is not learned from yet, or at the end. A run that goes on from a checkpoint is
    recorded anew from there, and samples go on at the same times: where it was saved at the time of a sample, samples
    of both parts are those of the whole run; else those of one interval are missing.

    Args:
        every_ms: as of `Recorder`; a multiple of the control step.
        weights: as of `Recorder`.
    """

    def __init__(self, every_ms: float, weights: Choice | None = None) -> None:
        self.every_ms, self.weights = checked_real("every_ms", every_ms, 0.0, above=True), weights
        self._agent: Agent | None = None
        self._recorder: Recorder | None = None

    def on_agent(self, agent: Agent) -> None:
        """Watch this agent, which has a spiking network as its attribute `network`."""
        self._agent = agent

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Forget all samples.

        Raises:
            NeuroctlError: an agent without a spiking network, or what `Recorder` refuses.
        """
        network: Any = getattr(self._agent, "network", None)
        if not hasattr(network, "activity"):
            agent = type(self._agent).__name__
            raise NeuroctlError(f"a LoopRecorder needs an agent that has a spiking network, got {agent}")
        self._recorder, self._has_begun = Recorder(network, self.every_ms, self.weights), False

    def on_step(self, step: Step) -> None:
        """Take the sample that was due, then count the step.

        Raises:
            NeuroctlError: the interval is no multiple of the control step.
        """
        recorder = self._recording()
        if not self._has_begun:
            self._begin(recorder, step.index)
        recorder.look()
        recorder.count(step.reward)

    def _begin(self, recorder: Recorder, index: int) -> None:
        """At the first step, when the state of a run that goes on has been loaded."""
        network = recorder.network
        control_step = len(next(iter(network.activity.values())))
        if round(self.every_ms / network.dt_ms) % control_step:
            raise _misfit(self.every_ms, control_step * network.dt_ms)
        recorder.begin(index * control_step)
        self._has_begun = True

    def on_end(self) -> None:
        """Take the sample that is due."""
        if self._recorder is not None:
            self._recorder.look()

    def _recording(self) -> Recorder:
        if self._recorder is None:
            raise NeuroctlError("nothing was recorded: the loop has not begun")
        return self._recorder

    def samples(self) -> Arrays:
        """All samples so far, see `Recorder`.

        Raises:
            NeuroctlError: the loop has not begun.
        """
        return self._recording().samples()

    def save(self, path: str | Path) -> None:
        """Write all samples so far, see `Recorder.save`.

        Raises:
            NeuroctlError: the loop has not begun.
        """
        self._recording().save(path)


def load_samples(path: str | Path) -> Arrays:
    """What a recorder saved.

    Raises:
        DamagedFileError: it is missing or no archive of plain arrays.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {error.strerror}") from None
    return decode_episode(data, Path(path))


def _misfit(every_ms: float, at_a_time_ms: float) -> NeuroctlError:
    return NeuroctlError(
        f"every_ms must be a multiple of what is simulated at a time, {at_a_time_ms:g} ms; got {every_ms:g}"
    )


def _checked_choice(network: Network, weights: Choice | None) -> dict[str, NDArray[np.int64] | None]:
    if weights is None:
        return dict.fromkeys(network.rules)
    if not isinstance(weights, Mapping):
        raise NeuroctlError(f"weights must map names of projections to pairs or None, got {shown(weights)}")
    return {name: _checked_pairs(network, name, pairs) for name, pairs in weights.items()}


def _checked_pairs(network: Network, name: str, pairs: ArrayLike | None) -> NDArray[np.int64] | None:
    """`pairs` as indices `[M, 2]`, or None."""
    shape = network.weight(name).shape[1:]
    if pairs is None:
        return None
    try:
        chosen = np.asarray(pairs)
    except ValueError:  # rows of different lengths
        chosen = np.empty(0)
    right = chosen.ndim == 2 and chosen.shape[1] == 2 and chosen.dtype.kind in "iu"
    if not right or not ((chosen >= 0) & (chosen < shape)).all():
        allowed = f"pairs of integers from 0 to {shape[0] - 1} and 0 to {shape[1] - 1}"
        raise NeuroctlError(f"weights of {name} must be {allowed}, got {shown(pairs)}")
    return chosen.astype(np.int64)
