"""From the spikes of output neurons to commands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError

from .coding_kernels import all_within, limited_vectors, low_pass, weighted_sums
from .member_rows import member_rows
from .neuron_kernels import MOST_SPIKES
from .neurons import check_arrays, checked_counts
from .plasticity import State, as_array, checked_real

MOST_RATE = 1e100
"""Of a neuron in Hz; sums of such rates are floats."""

Reals = NDArray[np.float64]


class LowPass:
    """Rates of the neurons of B agents: their spikes, low-passed.

    In each step of dt, a <- a exp(-dt / tau) + spikes / tau in Hz. A neuron that fires at a constant rate r has a mean
    activity of r (dt / tau) / (1 - exp(-dt / tau)), which is r for small steps.

    Args:
        num_neurons: N.
        tau_ms: tau.
        batch_size: B.
        dt_ms: dt.

    Raises:
        NeuroctlError: a value out of range.
    """

    def __init__(self, num_neurons: int, tau_ms: float, *, batch_size: int = 1, dt_ms: float = 1.0) -> None:
        self.num_neurons = checked_integer("num_neurons", num_neurons, 1)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.tau_ms = checked_real("tau_ms", tau_ms, 0.0, above=True)
        self.dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
        self._activity = np.zeros((self.batch_size, self.num_neurons))

    @property
    def rates_hz(self) -> Reals:
        """Activities a after the last step `[B, N]`; a copy."""
        return self._activity.copy()

    def advance(self, spikes: ArrayLike) -> Reals:
        """Rates in Hz `[B, N]` after T more steps, with `spikes` `[T, B, N]`; how steps are cut into calls is the same.

        Raises:
            NeuroctlError: another shape, or spikes that are no whole numbers from 0 to 255; nothing has changed.
        """
        steps = len(np.atleast_1d(as_array("spikes", spikes)))
        counts = checked_counts("spikes", spikes, (steps, self.batch_size, self.num_neurons), MOST_SPIKES)
        low_pass(math.exp(-self.dt_ms / self.tau_ms), 1000 / self.tau_ms, counts, self._activity)
        return self.rates_hz

    def state_dict(self) -> State:
        """The complete state, as a copy."""
        return {"activity": self._activity.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of other sizes, or damaged; nothing has changed.
        """
        check_arrays("a low-pass", state, {"activity": self._activity})
        self._keep(state["activity"].copy())

    def adopt(self, state: Mapping[str, Any], members: ArrayLike) -> None:
        """Begin with the activities of members of another low-pass: row b with those of `members[b]`, integers `[B]`.

        Raises:
            NeuroctlError: no such member, another number of neurons, or a damaged state; nothing has changed.
        """
        self._keep(member_rows("a low-pass", state, {"activity": self._activity}, members)["activity"])

    def _keep(self, activity: Reals) -> None:
        if not (np.isfinite(activity) & (activity >= 0)).all():
            raise NeuroctlError("activity in the state of a low-pass must be finite and >= 0")
        self._activity = activity


@dataclass(frozen=True, eq=False)
class LinearReadout:
    """Commands that are weighted sums of rates: W a.

    Raises:
        NeuroctlError: no matrix of finite numbers.
    """

    matrix: NDArray[np.floating]
    """W `[A, N]`, for A commands from N neurons, in units of the command per Hz; kept as a read-only copy."""

    def __post_init__(self) -> None:
        """Check the matrix."""
        matrix = np.asarray(self.matrix)
        if matrix.ndim != 2 or matrix.size == 0 or matrix.dtype.kind not in "iuf" or not np.isfinite(matrix).all():
            raise NeuroctlError(f"matrix must be finite numbers [commands, neurons], got {shown(self.matrix)}")
        _freeze(self, "matrix", matrix)

    @property
    def num_neurons(self) -> int:
        """N."""
        return int(self.matrix.shape[1])

    def decode(self, rates_hz: ArrayLike) -> Reals:
        """Commands `[B, A]` of the rates `[B, N]`.

        Raises:
            NeuroctlError: another number of neurons, or a negative rate.
            NonFiniteError: NaN or infinity.
        """
        return _sums(self.matrix, rates_hz)


@dataclass(frozen=True)
class PopulationVector:
    """A command in the plane towards which each neuron pulls in its own direction.

    v = gain sum_k a_k (cos(2 pi k / N), sin(2 pi k / N)), shortened to the limit where it is longer (Georgopoulos et
    al. 1986, Science 233, "Neuronal population coding of movement direction").

    Raises:
        NeuroctlError: a value out of range.
    """

    num_neurons: int
    """N, at least 3: fewer directions do not span the plane."""
    gain: float
    """Units of the command per Hz, > 0."""
    limit: float
    """Greatest length of the command, > 0."""
    _directions: Reals = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the numbers and place the directions."""
        checked_integer("num_neurons", self.num_neurons, 3)
        for name in ("gain", "limit"):
            object.__setattr__(self, name, checked_real(name, getattr(self, name), 0.0, above=True))
        angles = [2 * math.pi * k / self.num_neurons for k in range(self.num_neurons)]
        _freeze(self, "_directions", np.array([[math.cos(x) for x in angles], [math.sin(x) for x in angles]]))

    def decode(self, rates_hz: ArrayLike) -> Reals:
        """Commands `[B, 2]` of the rates `[B, N]`, no component beyond the limit.

        Raises:
            NeuroctlError: another number of neurons, or a negative rate.
            NonFiniteError: NaN or infinity.
        """
        rates = _checked_rates(rates_hz, self.num_neurons)
        commands = np.empty((len(rates), 2))
        limited_vectors(self._directions, rates, self.gain, self.limit, commands)
        return commands


@dataclass(frozen=True)
class LeftRightRatio:
    """A command from the balance of two halves of the neurons, of which the first N / 2 pull to the left.

    x = scale (a_L - a_R) / (a_L + a_R), where a_L and a_R are the sums of their rates; 0 when both are silent.
    Positive is left.

    Raises:
        NeuroctlError: a value out of range, or boundaries that do not increase.
    """

    num_neurons: int
    """N, even."""
    scale: float
    """The command when one side is silent, > 0."""
    boundaries: tuple[float, ...] | None = (-10.0, -2.5, 2.5, 10.0)
    """Between commands, increasing, in units of x: command k is where boundaries[k - 1] < x <= boundaries[k]; with
    four, command 2 is straight ahead and 4 is hard left. None is the continuous command x."""
    _sides: Reals = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check everything and part the neurons."""
        checked_integer("num_neurons", self.num_neurons, 2)
        if self.num_neurons % 2:
            raise NeuroctlError(f"num_neurons must be even, half for each side, got {self.num_neurons}")
        object.__setattr__(self, "scale", checked_real("scale", self.scale, 0.0, above=True))
        if self.boundaries is not None:
            object.__setattr__(self, "boundaries", _checked_boundaries(self.boundaries, self.scale))
        _freeze(self, "_sides", np.repeat(np.eye(2), self.num_neurons // 2, axis=1))

    def decode(self, rates_hz: ArrayLike) -> NDArray[np.int64] | Reals:
        """Indices of commands `[B]` of the rates `[B, N]`; x `[B, 1]` without boundaries.

        Raises:
            NeuroctlError: another number of neurons, or a negative rate.
            NonFiniteError: NaN or infinity.
        """
        left, right = _sums(self._sides, rates_hz).T
        total = left + right
        x: Reals = self.scale * ((left - right) / np.where(total > 0, total, 1.0))
        if self.boundaries is None:
            return x[:, None]
        commands: NDArray[np.int64] = np.searchsorted(np.array(self.boundaries), x, side="left").astype(np.int64)
        return commands


def _sums(matrix: NDArray[np.floating], rates_hz: ArrayLike) -> Reals:
    """Of the checked rates `[B, N]`, weighted by each row of `matrix`."""
    rates = _checked_rates(rates_hz, matrix.shape[1])
    sums = np.empty((len(rates), len(matrix)))
    weighted_sums(matrix, rates, sums)
    return sums


def _checked_rates(rates_hz: ArrayLike, num_neurons: int) -> Reals:
    rates = as_array("rates_hz", rates_hz)
    if rates.ndim != 2 or rates.shape[1] != num_neurons or rates.dtype.kind not in "buif":
        raise NeuroctlError(f"rates_hz must be numbers [B, {num_neurons}], got {rates.dtype} of {rates.shape}")
    rates = rates.astype(np.float64, copy=False)
    if not all_within(rates, MOST_RATE):
        if not np.isfinite(rates).all():
            raise NonFiniteError(f"rates_hz must be finite, got {rates[~np.isfinite(rates)].flat[0]}")
        raise NeuroctlError(f"rates_hz must be >= 0, got {rates.min():g} to {rates.max():g}")
    return rates


def _checked_boundaries(boundaries: tuple[float, ...], scale: float) -> tuple[float, ...]:
    if not isinstance(boundaries, (tuple, list)) or not boundaries:
        raise NeuroctlError(f"boundaries must be one or more numbers, or None, got {shown(boundaries)}")
    numbers = tuple(checked_real("every one of boundaries", x, -np.inf) for x in boundaries)
    if any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise NeuroctlError(f"boundaries must increase, got {shown(boundaries)}")
    if numbers[0] <= -scale or numbers[-1] >= scale:
        raise NeuroctlError(f"boundaries must lie within -{scale:g} and {scale:g}, the scale, got {shown(boundaries)}")
    return numbers


def _freeze(owner: object, name: str, array: NDArray[Any]) -> None:
    """Keep a read-only float64 copy of `array` in a frozen object."""
    kept = np.array(array, np.float64, order="C")
    kept.flags.writeable = False
    object.__setattr__(owner, name, kept)
