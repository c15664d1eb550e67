"""Three tasks in which a cue asks a spiking network for an answer: patterns, a lever, a cursor; B independent agents.

Pattern matching, lever press and center-out are the public examples beside NEST's SPORE module (2018), here rewritten
from their descriptions and constants; the lever is the task of Kappel et al. 2018 (eNeuro 5(2) 0301-17.2018). There is
no robot and no physics: 50 input rates go to a network, the spikes of its 20 output neurons come back, and what they
do follows a short list of states.

    task = LeverPress(batch_size=5, seed=0)
    for ...:
        spikes = agent.act(task.rates_hz)   # one control interval of the network
        reward = task.step(spikes)

Time advances in control intervals of 20 ms. The examples use 15 ms, which does not divide the 100 ms after which their
weights change; durations are those of the examples, rounded up to whole intervals, and the low-passes keep their time
constants. Rates are spikes in a sliding window of 0.5 s; that of a pool is the sum over its neurons.

Each agent has patterns, durations and (center-out) a readout of its own, from streams keyed by (seed, purpose, agent):
none depends on the agents beside it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.agents.spiking.neuron_kernels import MOST_SPIKES
from neuroctl.agents.spiking.neurons import check_arrays, checked_counts
from neuroctl.agents.spiking.plasticity import State, checked_real
from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError
from neuroctl.streams import checked_seed, pack_generator, stream, unpack_generator

NUM_INPUTS, NUM_OUTPUTS = 50, 20
CONTROL_DT_S = 0.02
WINDOW_S = 0.5
"""Of the sliding window in which output spikes are counted."""
BACKGROUND_HZ, MAX_HZ = 2.0, 60.0
PAUSE_S = (0.5, 1.0)
"""Shortest and longest phase of a pattern, of background, and of waiting for the cue."""
TRIAL_S, REWARD_S, HOLD_S = 10.0, 0.3, 0.1
"""Longest trial, how long its reward lasts, and how long a cursor must stay at its target."""
LEVER_HZ = 15.0
"""Where the lever must go: below minus this, then above this."""
TARGET, RADIUS = 20.0, 10.0
"""Both coordinates of the cursor's target, and how near it must come."""
EXAMPLE_KEEP, EXAMPLE_DT_S = 0.95, 0.015
"""Share that the examples' low-passes keep in a control interval of theirs."""
WAIT, FIRST, SECOND, REWARDED = range(4)
"""States of a trial: waiting for the cue, its two parts with the cue on, and the reward."""
AFTER_TIME = np.array([FIRST, WAIT, REWARDED, WAIT])
"""What follows each state of a cursor whose time is over."""
_ROUNDING = 1e-9

Floats = NDArray[np.float64]


class CueTask(ABC):
    """What the three tasks share: patterns, the window of output spikes, random streams, and the checkpoint.

    Args:
        batch_size: B, agents.
        seed: root of the random streams.
        control_dt_s: control interval, in s; it divides the window of 0.5 s.

    Raises:
        NeuroctlError: a value out of range, or an interval that does not divide the window.

    Attributes:
        batch_size: B.
        control_dt_s: as given.
        patterns_hz: rates of the inputs `[B, 1 + patterns, 50]`; the first is the background.
        shown: which of them is shown `[B]`.
        rates_out_hz: spikes of each output neuron in the window, per second `[B, 20]`.
        ended: whose trial ended in the last step `[B]`.
        succeeded: whose trial ended with success `[B]`.
        trial_s: how long the trials that ended took, in s `[B]`; 0 where none ended.
    """

    num_patterns = 1

    def __init__(self, batch_size: int = 1, seed: int = 0, *, control_dt_s: float = CONTROL_DT_S) -> None:
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.control_dt_s = checked_real("control_dt_s", control_dt_s, 0.0, above=True)
        bins = self._steps(WINDOW_S)
        if abs(bins * self.control_dt_s - WINDOW_S) > _ROUNDING:
            raise NeuroctlError(f"control_dt_s must divide the window of {WINDOW_S:g} s, got {self.control_dt_s:g}")
        self._seed = checked_seed(seed)
        self.patterns_hz = np.stack([self._draw_patterns(b) for b in range(self.batch_size)])
        self._streams = [stream(self._seed, "cue/durations", b) for b in range(self.batch_size)]
        self._clock = np.zeros((), np.int64)
        self._counts = np.zeros((bins, self.batch_size, NUM_OUTPUTS), np.int64)
        self._total = np.zeros((self.batch_size, NUM_OUTPUTS), np.int64)
        self._began, self._until = (np.zeros(self.batch_size, np.int64) for _ in range(2))
        self.shown = np.zeros(self.batch_size, np.int64)
        self.rates_out_hz = np.zeros((self.batch_size, NUM_OUTPUTS))
        self._clear_outcome()
        self._pause(np.ones(self.batch_size, np.bool_))

    def _draw_patterns(self, b: int) -> Floats:
        """Background and patterns of agent b: gamma-distributed rates, most of them small."""
        drawn = MAX_HZ * stream(self._seed, "cue/patterns", b).gamma(0.2, 0.8, (self.num_patterns, NUM_INPUTS))
        background = np.full((1, NUM_INPUTS), BACKGROUND_HZ)
        return np.concatenate([background, np.clip(drawn, BACKGROUND_HZ, MAX_HZ)])

    @property
    def time_s(self) -> float:
        """Simulated time so far, in s."""
        return float(self._clock * self.control_dt_s)

    @property
    def rates_hz(self) -> Floats:
        """Rates of the inputs in the next control interval `[B, 50]`."""
        rates: Floats = self.patterns_hz[np.arange(self.batch_size), self.shown]
        return rates

    def step(self, spikes: ArrayLike) -> Floats:
        """Go on by a control interval.

        Args:
            spikes: of the output neurons in it `[T, B, 20]`.

        Returns:
            The raw reward `[B]`.

        Raises:
            NeuroctlError: another shape, or spikes that are no whole numbers; nothing has changed.
        """
        shape = (len(np.atleast_1d(spikes)), self.batch_size, NUM_OUTPUTS)
        counts = checked_counts("spikes", spikes, shape, MOST_SPIKES)
        self._clock += 1
        place = self._clock % len(self._counts)
        new = counts.sum(axis=0, dtype=np.int64)
        self._total += new - self._counts[place]
        self._counts[place] = new
        self.rates_out_hz = self._total / WINDOW_S
        reward = self._advance()
        self.trial_s = np.where(self.ended, (self._clock - self._began) * self.control_dt_s, 0.0)
        self._change()
        return reward

    @abstractmethod
    def _advance(self) -> Floats:
        """Judge the step after the clock and the window went on: set `ended` and `succeeded`; the reward `[B]`."""

    @abstractmethod
    def _change(self) -> None:
        """Begin what begins now."""

    def _clear_outcome(self) -> None:
        self.ended, self.succeeded = (np.zeros(self.batch_size, np.bool_) for _ in range(2))
        self.trial_s = np.zeros(self.batch_size)

    def _steps(self, seconds: float) -> int:
        """Control intervals in a duration, rounded up."""
        return math.ceil(seconds / self.control_dt_s - _ROUNDING)

    def _due(self) -> NDArray[np.bool_]:
        """Whose state has lasted as long as it may `[B]`."""
        due: NDArray[np.bool_] = self._until <= self._clock
        return due

    def _pause(self, rows: NDArray[np.bool_]) -> None:
        """Let a phase of random duration begin in `rows`."""
        self._began[rows] = self._clock
        for b in np.flatnonzero(rows):
            self._until[b] = self._clock + self._steps(self._streams[b].uniform(*PAUSE_S))

    def _arrays(self) -> dict[str, NDArray[Any]]:
        """What changes, by name."""
        phase = {"began": self._began, "until": self._until, "shown": self.shown}
        return {"clock": self._clock, "counts": self._counts, **phase}

    def state_dict(self) -> State:
        """The complete state, as copies; the outcome of the last step is not in it."""
        copies = {name: array.copy() for name, array in self._arrays().items()}
        return {**copies, "streams": np.stack([pack_generator(generator) for generator in self._streams])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on bit for bit from what `state_dict` of a task with the same arguments returned.

        Raises:
            NeuroctlError: another number of agents, another task, or a damaged state; nothing has changed.
        """
        own = self._arrays()
        check_arrays("a task", state, {**own, "streams": np.zeros((self.batch_size, 13), np.uint64)})
        streams = [unpack_generator(words) for words in state["streams"]]
        for name, array in own.items():
            array[...] = state[name]
        self._streams, self._total = streams, self._counts.sum(axis=0)
        self._clear_outcome()


class PatternMatching(CueTask):
    """One of two patterns is shown, then background; the pool of the pattern is to fire more than the other.

    Even output neurons are the pool of the first pattern, odd ones that of the second. Both phases last 0.5 to 1 s,
    and the window is emptied between them. While a pattern is shown and its pool leads by d > 0 Hz, the reward is
    1 / (1 + exp(-0.2 (d - 25))); otherwise 0. A trial is a phase with a pattern, and succeeds if the right pool leads
    at its end.
    """

    num_patterns = 2

    def _advance(self) -> Floats:
        even, odd = (self.rates_out_hz[:, pool::2].sum(axis=1) for pool in range(2))
        lead = np.where(self.shown == 1, even - odd, odd - even)
        leads = (self.shown > 0) & (lead > 0)
        self.ended = self._due() & (self.shown > 0)
        self.succeeded = self.ended & leads
        return np.array([_logistic(0.2 * (d - 25.0)) if right else 0.0 for d, right in zip(lead, leads, strict=True)])

    def _change(self) -> None:
        due = self._due()
        for b in np.flatnonzero(due):
            self.shown[b] = 0 if self.shown[b] else 1 + self._streams[b].integers(2)
        self._counts[:, due] = 0
        self._total[due] = 0
        self._pause(due)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


class TrialTask(CueTask):
    """A pause, a cue that stays on until a movement of two parts is done or 10 s have passed, and 0.3 s of reward 1.

    Attributes:
        state: `WAIT`, `FIRST`, `SECOND` or `REWARDED` of each agent `[B]`.
    """

    def __init__(self, batch_size: int = 1, seed: int = 0, *, control_dt_s: float = CONTROL_DT_S) -> None:
        super().__init__(batch_size, seed, control_dt_s=control_dt_s)
        self.state = np.zeros(self.batch_size, np.int64)
        self._next = self.state.copy()
        self._keep = EXAMPLE_KEEP ** (self.control_dt_s / EXAMPLE_DT_S)

    def _advance(self) -> Floats:
        self._next = self._moved(self._due())
        cued = (self.state == FIRST) | (self.state == SECOND)
        self.succeeded = cued & (self._next == REWARDED)
        self.ended = self.succeeded | (cued & (self._next == WAIT))
        return np.where(self._next == REWARDED, 1.0, 0.0)

    @abstractmethod
    def _moved(self, due: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Move by the rates of this step; the next states `[B]`, where a state that is `due` ends."""

    def _change(self) -> None:
        entered = self._next != self.state
        self.state[:] = self._next
        self._pause(entered & (self.state == WAIT))
        cue = entered & (self.state == FIRST)
        self._began[cue], self._until[cue] = self._clock, self._clock + self._steps(TRIAL_S)
        self._until[entered & (self.state == REWARDED)] = self._clock + self._steps(REWARD_S)
        self.shown[:] = (self.state == FIRST) | (self.state == SECOND)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return super()._arrays() | {"state": self.state}


class LeverPress(TrialTask):
    """The lever must go below -15 Hz and then above 15 Hz.

    It is the low-passed difference of the pools' rates, the first ten output neurons minus the last ten.

    Args:
        batch_size: B, agents.
        seed: root of the random streams.
        control_dt_s: control interval, in s.
        swap_at_s: when the two pools change roles, in s; never where None.

    Attributes:
        lever_hz: its place `[B]`.
    """

    def __init__(
        self,
        batch_size: int = 1,
        seed: int = 0,
        *,
        control_dt_s: float = CONTROL_DT_S,
        swap_at_s: float | None = None,
    ) -> None:
        super().__init__(batch_size, seed, control_dt_s=control_dt_s)
        self.swap_at_s = None if swap_at_s is None else checked_real("swap_at_s", swap_at_s, 0.0)
        self.lever_hz = np.zeros(self.batch_size)

    @property
    def swapped(self) -> bool:
        """Whether the pools have changed roles."""
        return self.swap_at_s is not None and int(self._clock) > self._steps(self.swap_at_s)

    def _moved(self, due: NDArray[np.bool_]) -> NDArray[np.int64]:
        half = NUM_OUTPUTS // 2
        up, down = self.rates_out_hz[:, :half].sum(axis=1), self.rates_out_hz[:, half:].sum(axis=1)
        pull = down - up if self.swapped else up - down
        self.lever_hz[:] = self._keep * self.lever_hz + (1 - self._keep) * pull
        state = self.state.copy()
        state[~due & (self.state == FIRST) & (self.lever_hz < -LEVER_HZ)] = SECOND
        state[~due & (self.state == SECOND) & (self.lever_hz > LEVER_HZ)] = REWARDED
        state[due] = np.where(self.state[due] == WAIT, FIRST, WAIT)
        return state

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return super()._arrays() | {"lever_hz": self.lever_hz}


class CenterOut(TrialTask):
    """A cursor must move from (0, 0) to within 10 of (20, 20), and stay there for 0.1 s.

    Its place is M a, low-passed, with the rates a of the output neurons in Hz, and a random M that has rows of zero
    mean and unit variance. It is held at the start while the agent waits. Leaving the target too early ends the trial.

    Attributes:
        cursor: its place `[B, 2]`.
        readout: M `[B, 2, 20]`.
    """

    def __init__(self, batch_size: int = 1, seed: int = 0, *, control_dt_s: float = CONTROL_DT_S) -> None:
        super().__init__(batch_size, seed, control_dt_s=control_dt_s)
        self.readout = np.stack([self._draw_readout(b) for b in range(self.batch_size)])
        self.cursor = np.zeros((self.batch_size, 2))

    def _draw_readout(self, b: int) -> Floats:
        rows = stream(self._seed, "cue/readout", b).normal(size=(2, NUM_OUTPUTS))
        rows -= rows.mean(axis=1, keepdims=True)
        return np.asarray(rows / rows.std(axis=1, keepdims=True))

    def _moved(self, due: NDArray[np.bool_]) -> NDArray[np.int64]:
        place = np.zeros((self.batch_size, 2))
        for n in range(NUM_OUTPUTS):  # neuron by neuron: a product of matrices would differ in last bits with B
            place += self.readout[:, :, n] * self.rates_out_hz[:, n, None]
        self.cursor[:] = self._keep * self.cursor + (1 - self._keep) * place
        self.cursor[~due & (self.state == WAIT)] = 0.0
        away = self.cursor - TARGET
        squared = away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1]
        state = self.state.copy()
        state[~due & (self.state == FIRST) & (squared < RADIUS**2)] = SECOND
        state[~due & (self.state == SECOND) & (squared > RADIUS**2)] = WAIT
        state[due] = AFTER_TIME[self.state[due]]
        return state

    def _change(self) -> None:
        arrived = (self.state == FIRST) & (self._next == SECOND)
        super()._change()
        self._until[arrived] = self._clock + self._steps(HOLD_S)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return super()._arrays() | {"cursor": self.cursor}
