"""The contract of a learning rule: what a network asks of the synapses of one plastic projection."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuroctl.checks import checked_integer, is_number, shown, whole_steps
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.finite import all_finite

from .member_rows import member_rows
from .neuron_kernels import MOST_SPIKES

State = dict[str, Any]
"""Numpy arrays and integers by name."""


class PlasticityRule(ABC):
    """Plastic synapses from `num_pre` to `num_post` neurons, in B agents that share nothing but their settings.

    A network calls `advance` with what happened in steps that it has simulated, and transmits `weight`. Weights
    change only inside `advance`, and only where a step ends an update interval: so a network that simulates at
    most `steps_until_update` steps between two calls transmits every spike with the weight of its own step.

    A rule of your own implements what is abstract here; `checked_steps` checks its input. It must keep these
    promises: the result does not depend on how steps are cut into calls; agent b does not depend on the agents
    beside it, and draws random numbers from a stream of its own; reading state changes nothing; a rule that
    `load_state_dict` was called on goes on bit for bit like the one whose `state_dict` it was given.

    Attributes:
        num_pre: presynaptic neurons.
        num_post: postsynaptic neurons.
        batch_size: B, agents.
        dt_ms: length of a step.
        learning_rate: how fast parameters move, 1/ms; may be set between calls.
        temperature: strength of the exploration of parameters; may be set between calls.
    """

    def __init__(
        self, num_pre: int, num_post: int, *, batch_size: int, dt_ms: float, learning_rate: float, temperature: float
    ) -> None:
        """Check and keep the sizes.

        Raises:
            NeuroctlError: a value out of range.
        """
        self.num_pre = checked_integer("num_pre", num_pre, 1)
        self.num_post = checked_integer("num_post", num_post, 1)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.dt_ms = checked_real("dt_ms", dt_ms, least=0.0, above=True)
        self.learning_rate = learning_rate
        self.temperature = temperature

    @property
    def learning_rate(self) -> float:
        """Speed of learning in 1/ms, >= 0."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = checked_real("learning_rate", value, least=0.0)

    @property
    def temperature(self) -> float:
        """Strength of the exploration of parameters, >= 0."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._temperature = checked_real("temperature", value, least=0.0)

    @property
    @abstractmethod
    def weight(self) -> NDArray[np.floating]:
        """What a spike transmits now `[B, num_pre, num_post]`: summed over parallel synapses, a copy."""

    @property
    def greatest_weight(self) -> float:
        """What no weight ever exceeds, mV; infinite by default. Inhibitory synapses need a rule where it is <= 0."""
        return math.inf

    @property
    @abstractmethod
    def steps_until_update(self) -> int:
        """Steps after which weights change next, >= 1."""

    @abstractmethod
    def advance(
        self, spikes_pre: ArrayLike, bap: ArrayLike, reward: ArrayLike, *, spikes_post: ArrayLike | None = None
    ) -> None:
        """Learn from T steps.

        Args:
            spikes_pre: number of spikes of each presynaptic neuron `[T, B, num_pre]`, not delayed.
            bap: back-propagating trace `[T, B, num_post]`: spikes in the step minus their expected number.
            reward: `[T, B]`, the value of the reward signal in each step.
            spikes_post: number of spikes of each postsynaptic neuron `[T, B, num_post]`. A network always gives them; a
                rule that does not need them ignores them.

        Raises:
            NeuroctlError: shapes that do not fit, spikes that are no whole numbers from 0 to 255, or no spikes of the
                postsynaptic neurons for a rule that needs them.
            NonFiniteError: NaN or infinity.
        """

    @abstractmethod
    def state_dict(self) -> State:
        """The complete state, as copies: arrays and integers, random streams included."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of a rule with other sizes, or damaged; nothing has changed.
        """

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with what agents of another such rule had learned; random streams stay this rule's own.

        Which traces of the last spikes come along is the rule's choice.

        This form serves a rule without random streams and counts whose `state_dict` holds nothing but arrays
        `[B, ...]`.

        Args:
            state: what its `state_dict` returned, of any number of agents.
            members: of its agents, one for each agent here, `[B]`.

        Raises:
            NeuroctlError: it is of a rule with other sizes, or has no such members; nothing has changed.
        """
        self.load_state_dict(member_rows("the synapses", state, self.state_dict(), members))

    @abstractmethod
    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Figures of the synapses as they are now, for a log, each `[B]`."""

    def counts(self) -> dict[str, NDArray[np.int64]]:
        """What has happened to the synapses since they were made, each `[B]`, copies; nothing by default.

        Counts only grow, and belong to the state: whoever wants those of a time takes the difference.
        """
        return {}

    @property
    def num_active(self) -> NDArray[np.int64]:
        """How many synapses transmit `[B]`: by default the pairs of neurons with a weight that is not 0."""
        number: NDArray[np.int64] = np.count_nonzero(self.weight, axis=(1, 2)).astype(np.int64)
        return number

    def checked_steps(
        self, spikes_pre: ArrayLike, bap: ArrayLike, reward: ArrayLike
    ) -> tuple[NDArray[np.uint8], NDArray[np.floating], NDArray[np.floating]]:
        """The arguments of `advance` as arrays, checked as it promises."""
        spikes, trace, rewards = as_array("spikes_pre", spikes_pre), as_array("bap", bap), as_array("reward", reward)
        steps = len(spikes) if spikes.ndim else 0
        for name, array, sizes in (
            ("spikes_pre", spikes, (self.batch_size, self.num_pre)),
            ("bap", trace, (self.batch_size, self.num_post)),
            ("reward", rewards, (self.batch_size,)),
        ):
            if array.shape != (steps, *sizes):
                raise NeuroctlError(f"{name} must have shape {(steps, *sizes)}, got {array.shape}")
        return _checked_spikes("spikes_pre", spikes), _checked_signal("bap", trace), _checked_signal("reward", rewards)

    def checked_spikes_post(self, spikes_post: ArrayLike | None, steps: int) -> NDArray[np.uint8]:
        """The postsynaptic spikes of `advance` as an array, for a rule that needs them."""
        shape = (steps, self.batch_size, self.num_post)
        if spikes_post is None:
            raise NeuroctlError(f"{type(self).__name__} needs spikes_post of shape {shape}, got None")
        spikes = as_array("spikes_post", spikes_post)
        if spikes.shape != shape:
            raise NeuroctlError(f"spikes_post must have shape {shape}, got {spikes.shape}")
        return _checked_spikes("spikes_post", spikes)


def as_array(name: str, value: Any) -> NDArray[Any]:
    """`value` as an array.

    Raises:
        NeuroctlError: its rows have different lengths.
    """
    try:
        return np.asarray(value)
    except ValueError:
        raise NeuroctlError(f"{name} must be an array of numbers; its rows have different lengths") from None


def checked_real(name: str, value: Any, least: float, above: bool = False) -> float:
    """`value` as a finite float >= `least`, or > `least` where `above`.

    Raises:
        NeuroctlError: it is none; names it, the value and what is allowed.
    """
    if is_number(value) and (value > least if above else value >= least):
        return float(value)
    allowed = "a finite number" if least == -np.inf else f"a number {'>' if above else '>='} {least:g}"
    raise NeuroctlError(f"{name} must be {allowed}, got {shown(value)}")


def keep_checked(
    parameters: object, *, above_zero: Sequence[str] = (), from_zero: Sequence[str] = (), finite: Sequence[str] = ()
) -> None:
    """Check the named fields of a frozen dataclass, and keep them as floats.

    Raises:
        NeuroctlError: a value out of range.
    """
    for names, least, above in ((above_zero, 0.0, True), (from_zero, 0.0, False), (finite, -np.inf, False)):
        for name in names:
            object.__setattr__(parameters, name, checked_real(name, getattr(parameters, name), least, above))


def checked_interval(name: str, interval_ms: float, dt_ms: float) -> int:
    """Steps of `dt_ms` in an interval > 0.

    Raises:
        NeuroctlError: it is no multiple of the step; names it, the value and the step.
    """
    steps = whole_steps(interval_ms, dt_ms)
    if not steps:
        raise NeuroctlError(f"{name} must be a multiple of dt_ms {dt_ms:g}, got {interval_ms:g}")
    return steps


def checked_initial(initial: tuple[float, float]) -> tuple[float, float]:
    """Mean and standard deviation with which synapses begin.

    Raises:
        NeuroctlError: they are none.
    """
    if not (isinstance(initial, (tuple, list)) and len(initial) == 2):
        raise NeuroctlError(f"initial must be a mean and a standard deviation, got {shown(initial)}")
    return checked_real("mean of initial", initial[0], -np.inf), checked_real("sd of initial", initial[1], 0.0)


def checked_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """`dtype`, if it is float32 or float64.

    Raises:
        NeuroctlError: it is neither.
    """
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = None
    if kind not in (np.float32, np.float64):
        raise NeuroctlError(f"dtype must be float32 or float64, got {shown(dtype)}")
    return kind


def _checked_spikes(name: str, spikes: NDArray[Any]) -> NDArray[np.uint8]:
    if spikes.dtype == np.uint8:
        return spikes
    if spikes.dtype.kind not in "buif":
        raise NeuroctlError(f"{name} must be numbers, got an array of {spikes.dtype}")
    wrong = (spikes != np.floor(spikes)) | (spikes < 0) | (spikes > MOST_SPIKES) if spikes.dtype != bool else None
    if wrong is not None and wrong.any():
        value = spikes[wrong].flat[0].item()
        raise NeuroctlError(f"{name} must be whole numbers from 0 to {MOST_SPIKES}, got {value!r}")
    return spikes.astype(np.uint8)


def _checked_signal(name: str, values: NDArray[Any]) -> NDArray[np.floating]:
    if values.dtype.kind not in "buif":
        raise NeuroctlError(f"{name} must be numbers, got an array of {values.dtype}")
    if not all_finite(values):
        raise NonFiniteError(f"{name} has a value that is not finite: {values[~np.isfinite(values)].flat[0]}")
    return values
