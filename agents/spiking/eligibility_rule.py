"""Learning rules whose weights move along reward times eligibility: what they share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.streams import checked_seed

from .eligibility_kernels import Array, Reals, Spikes, move_weights
from .eligibility_parameters import EligibilityParameters
from .member_rows import member_rows
from .plasticity import (
    PlasticityRule,
    State,
    as_array,
    checked_dtype,
    checked_initial,
    checked_interval,
    checked_real,
)
from .random_numbers import fill_normals, make_streams


class EligibilityRule(PlasticityRule):
    """Synapses with weights that follow dw/dt = beta reward e within bounds; a rule says how e comes about.

    In step k of length h, after the rule has advanced the eligibility trace e of every synapse,

        c <- c + h beta reward[k] e

    and after every U milliseconds w <- w + c within its bounds, c <- 0. There are neither prior nor noise: the
    temperature is 0, and no random number is drawn but for the weights at the start, by agent b from the stream (seed,
    "synapses", b).

    Args:
        num_pre: presynaptic neurons.
        num_post: postsynaptic neurons.
        parameters: those of the rule, by default its own; the learning rate may be changed later as an attribute, and
            then applies from there on.
        batch_size: B, independent agents.
        dt_ms: h, length of a step.
        seed: root of the random streams.
        dtype: of e, c and what is transmitted, float32 or float64; w is float64, since its changes are small.
        synapses_per_pair: 1.
        exists: which synapses there are, `[num_pre, num_post]` or `[B, num_pre, num_post]`; others transmit nothing
            and never move. All by default.
        initial: mean and standard deviation of the weights at the start in mV, before they are taken within bounds.

    Raises:
        NeuroctlError: a value out of range, parameters of another rule, an update interval that is no multiple of the
            step, or parallel synapses.

    Attributes:
        parameters: as given.
        dtype: as given.
    """

    parameters_type: type[EligibilityParameters]
    """The class of the rule's parameters."""

    def __init__(
        self,
        num_pre: int,
        num_post: int,
        parameters: EligibilityParameters | None = None,
        *,
        batch_size: int = 1,
        dt_ms: float = 1.0,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        synapses_per_pair: int = 1,
        exists: NDArray[np.bool_] | None = None,
        initial: tuple[float, float] = (0.1, 0.05),
    ) -> None:
        self.parameters = p = self.parameters_type() if parameters is None else parameters
        if not isinstance(p, self.parameters_type):
            raise NeuroctlError(f"parameters must be {self.parameters_type.__name__}, got {shown(p)}")
        super().__init__(
            num_pre, num_post, batch_size=batch_size, dt_ms=dt_ms, learning_rate=p.learning_rate, temperature=0.0
        )
        if checked_integer("synapses_per_pair", synapses_per_pair, 1) > 1:
            raise NeuroctlError(f"synapses_per_pair of {type(self).__name__} must be 1, got {synapses_per_pair}")
        self.dtype = checked_dtype(dtype)
        most = max(abs(p.min_weight), abs(p.max_weight))
        if most > float(np.finfo(self.dtype).max):
            raise NeuroctlError(f"weights up to {most:g} are more than {self.dtype} holds")
        self._interval = checked_interval("weight_update_interval", p.weight_update_interval, self.dt_ms)
        self._keep = math.exp(-self.dt_ms / p.episode_length)
        self._shape = (self.batch_size, self.num_pre, self.num_post)
        self._exists = _turned(self._checked_exists(exists))
        self._weight = _turned(self._drawn(*self._checked_initial(initial), checked_seed(seed)))
        self._begin_anew()

    def _begin_anew(self) -> None:
        """No traces, and the beginning of an interval."""
        self._eligibility, self._change = (np.zeros(self._weight.shape, self.dtype) for _ in range(2))
        self._traces = self._new_traces()
        self._steps = 0

    @abstractmethod
    def _new_traces(self) -> dict[str, Reals]:
        """What the rule remembers besides e, at the start: arrays `[B, ...]` by name."""

    @abstractmethod
    def _signal(self, bap: NDArray[np.floating], spikes_post: ArrayLike | None) -> NDArray[Any]:
        """What happened in the postsynaptic neurons `[T, B, num_post]`, as the rule needs it; or an error."""

    @abstractmethod
    def _advance_traces(self, spikes_pre: Spikes, signal: Array, rate: Reals) -> None:
        """T steps of e, and of c <- c + rate e; arrays are contiguous, the signal is in the rule's precision."""

    @property
    def temperature(self) -> float:
        """0: these weights do not explore."""
        return 0.0

    @temperature.setter
    def temperature(self, value: float) -> None:
        if checked_real("temperature", value, 0.0) != 0:
            raise NeuroctlError(f"temperature of {type(self).__name__} must be 0, it has no noise; got {value:g}")

    @property
    def weight(self) -> Array:
        """What a spike transmits now `[B, num_pre, num_post]`, a copy; may be set, within the bounds."""
        return _turned(self._weight.astype(self.dtype))

    @weight.setter
    def weight(self, value: ArrayLike) -> None:
        given = as_array("weight", value)
        if given.shape != self._shape or given.dtype.kind not in "buif":
            raise NeuroctlError(f"weight must be numbers of shape {self._shape}, got {given.dtype} {given.shape}")
        if not np.isfinite(given).all():
            raise NonFiniteError("weight has a value that is not finite")
        self._weight = self._within_bounds("weight", _turned(given), self._exists)

    @property
    def greatest_weight(self) -> float:
        """The upper bound of the weights; 0 where that is negative, since there may be no synapse."""
        return max(self.parameters.max_weight, 0.0)

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Which synapses there are; a copy."""
        return _turned(self._exists)

    @property
    def eligibility(self) -> Array:
        """Eligibility traces e `[B, num_pre, num_post]`, a copy."""
        return _turned(np.where(self._exists, self._eligibility, self.dtype.type(0)))

    @property
    def steps_until_update(self) -> int:
        """Steps after which weights change next, 1 to U / h."""
        return self._interval - self._steps

    def advance(
        self, spikes_pre: ArrayLike, bap: ArrayLike, reward: ArrayLike, *, spikes_post: ArrayLike | None = None
    ) -> None:
        """Learn from T steps, see `PlasticityRule`; a learning rate that was set applies from here on."""
        spikes, trace, rewards = self.checked_steps(spikes_pre, bap, reward)
        spikes, signal = np.ascontiguousarray(spikes), self._signal(trace, spikes_post).astype(self.dtype, order="C")
        rate = rewards.astype(np.float64) * (self.learning_rate * self.dt_ms)
        start = 0
        while start < len(spikes):
            part = slice(start, start + self.steps_until_update)
            self._advance_traces(spikes[part], signal[part], rate[part])
            self._steps += len(spikes[part])
            start = part.stop
            if self._steps == self._interval:
                self._update()

    def _update(self) -> None:
        low, high = self.parameters.min_weight, self.parameters.max_weight
        move_weights(self._weight, self._change, self._eligibility, self._exists, low, high)
        self._steps = 0

    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Figures `[B]` of the synapses that exist.

        - `weight`: mean weight.
        - `at_min`, `at_max`: shares at the lower and at the upper bound.
        - `eligibility`: mean |e|.
        """
        figures = {
            "weight": self._weight,
            "at_min": self._weight == self.parameters.min_weight,
            "at_max": self._weight == self.parameters.max_weight,
            "eligibility": np.abs(self._eligibility.astype(np.float64)),
        }
        count = np.maximum(self._exists.sum(axis=(1, 2)), 1)
        return {name: np.where(self._exists, array, 0).sum(axis=(1, 2)) / count for name, array in figures.items()}

    def state_dict(self) -> State:
        """The complete state, as copies; a row of each array `[B, ...]` is that of an agent."""
        settings = (self.dt_ms, self._interval, self.learning_rate, self._steps)
        arrays = {"weight": self._weight, "eligibility": self._eligibility, "change": self._change}
        return {
            "settings": np.tile(np.array(settings), (self.batch_size, 1)),
            "exists": self._exists.copy(),
            **{name: array.copy() for name, array in (arrays | self._traces).items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of a rule with other sizes, step, interval or dtype, or damaged; nothing has changed.
        """
        rows = member_rows("the synapses", state, self.state_dict(), np.arange(self.batch_size))
        agents = len(state["weight"])
        if agents != self.batch_size:
            raise NeuroctlError(f"the state of the synapses is of {agents} agents; needed: {self.batch_size}")
        wrong = [name for name, array in rows.items() if not np.isfinite(array).all()]
        if wrong:
            raise NeuroctlError(f"{wrong[0]!r} of the state of the synapses is not finite")
        if (rows["settings"] != rows["settings"][0]).any():
            raise NeuroctlError("rows of the settings differ in the state of the synapses; needed: the same in all")
        dt_ms, interval, learning_rate, steps = rows["settings"][0].tolist()
        if (dt_ms, interval) != (self.dt_ms, self._interval):
            needed = f"{self._interval} of {self.dt_ms:g} ms"
            raise NeuroctlError(f"the state has {interval:g} steps of {dt_ms:g} ms for an update; needed: {needed}")
        if steps not in range(self._interval):
            raise NeuroctlError(f"the state of the synapses has {steps:g} steps of {self._interval}")
        learning_rate = checked_real("learning_rate of the state", learning_rate, 0.0)
        weight = self._within_bounds("weight of the state", rows["weight"], rows["exists"])
        self.learning_rate, self._steps = learning_rate, int(steps)
        self._weight, self._exists = weight, rows["exists"]
        self._eligibility, self._change = rows["eligibility"], rows["change"]
        self._traces = {name: rows[name] for name in self._traces}

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with the weights of agents of another such rule; traces and the interval begin anew."""
        super().adopt(state, members)
        self._begin_anew()

    def _within_bounds(self, name: str, weight: NDArray[Any], exists: NDArray[np.bool_]) -> Reals:
        """These weights, 0 where there is no synapse; or an error, but not for what rounding has made of a bound."""
        low, high = self.parameters.min_weight, self.parameters.max_weight
        rounded = weight.astype(self.dtype)  # NumPy takes the bounds to this precision, too
        outside = exists & ((rounded < low) | (rounded > high))
        if outside.any():
            raise NeuroctlError(f"{name} must be from {low:g} to {high:g}, got {weight[outside][0].item()!r}")
        return np.where(exists, np.clip(weight.astype(np.float64), low, high), 0.0)

    def _checked_initial(self, initial: tuple[float, float]) -> tuple[float, float]:
        mean, sd = checked_initial(initial)
        low, high = self.parameters.min_weight, self.parameters.max_weight
        if not low <= mean <= high:
            raise NeuroctlError(f"mean of initial must be from {low:g} to {high:g}, got {mean:g}")
        return mean, sd

    def _drawn(self, mean: float, sd: float, seed: int) -> Reals:
        normals = np.empty((self.batch_size, self.num_pre * self.num_post))
        fill_normals(make_streams(seed, "synapses", self.batch_size), normals)
        weight = np.clip(mean + sd * normals, self.parameters.min_weight, self.parameters.max_weight)
        return np.where(self.exists, weight.reshape(self._shape), 0.0)

    def _checked_exists(self, exists: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        mask = np.ones(self._shape, np.bool_) if exists is None else as_array("exists", exists)
        if mask.dtype != np.bool_ or mask.shape not in (self._shape, self._shape[1:]):
            allowed = f"{self._shape[1:]} or {self._shape}"
            raise NeuroctlError(f"exists must be bool of shape {allowed}, got {mask.dtype} {mask.shape}")
        return np.broadcast_to(mask, self._shape)


def _turned(synapses: NDArray[Any]) -> NDArray[Any]:
    """`[B, num_pre, num_post]` from `[B, num_post, num_pre]`, which the kernels need, or the other way; a copy."""
    return np.array(synapses.swapaxes(1, 2), order="C")
