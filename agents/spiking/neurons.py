"""Stochastic neurons with double-exponential postsynaptic potentials, a dead time and an adaptive threshold.

The spike-response neuron of NEST's SPORE module (`poisson_dbl_exp_neuron`, 2018), with which Kappel et al. 2018
(eNeuro 5(2), "A dynamic connectome supports the emergence of stable computational function of neural circuits through
reward-based learning") simulate synaptic sampling. There is no membrane capacitance: V is a sum of potentials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.finite import all_finite
from neuroctl.streams import checked_seed

from .member_rows import check_mapping, member_rows
from .neuron_kernels import advance_neurons
from .plasticity import State, as_array, checked_dtype, checked_real, keep_checked
from .random_numbers import checked_streams, fill_uniforms, make_streams

_ABOVE_ZERO = ("tau_rise_exc_ms", "tau_fall_exc_ms", "tau_rise_inh_ms", "tau_fall_inh_ms")
_FROM_ZERO = ("dead_time_ms", "c3_per_mv", "target_rate_hz", "target_adaptation_speed_mv")
_FINITE = ("i_e_mv", "input_conductance", "c1_hz_per_mv", "c2_hz")
_ROUNDING = 1e-9

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class NeuronParameters:
    """Parameters of `PoissonDoubleExpNeurons`, with the defaults of NEST's SPORE module.

    A neuron fires at the rate c1 (V - E) + c2 exp(c3 (V - E)) in Hz, where E is its adaptive threshold.

    Raises:
        NeuroctlError: a value out of range.
    """

    tau_rise_exc_ms: float = 2.0
    """Time constant with which an excitatory potential rises, > 0."""
    tau_fall_exc_ms: float = 20.0
    """Time constant with which it falls, > 0 and not that of the rise."""
    tau_rise_inh_ms: float = 1.0
    """Time constant with which an inhibitory potential rises, > 0."""
    tau_fall_inh_ms: float = 10.0
    """Time constant with which it falls, > 0 and not that of the rise."""
    dead_time_ms: float = 1.0
    """Silence after a spike, >= 0, rounded up to whole steps. Without it, a step may hold several spikes."""
    with_reset: bool = True
    """Whether a spike sets all postsynaptic potentials to zero."""
    i_e_mv: float = 0.0
    """Constant input, added to V after multiplication by `input_conductance`."""
    input_conductance: float = 1.0
    """Factor of all currents, which are given in mV."""
    c1_hz_per_mv: float = 0.0
    """Slope of the linear part of the rate. A negative rate is none."""
    c2_hz: float = 1.238
    """Rate of the exponential part at threshold; with c1 and c2 zero a neuron never fires."""
    c3_per_mv: float = 0.25
    """Steepness of the exponential part, >= 0."""
    target_rate_hz: float = 10.0
    """Mean rate that the adaptive threshold brings about, >= 0."""
    target_adaptation_speed_mv: float = 0.0
    """Rise of the threshold with each spike, >= 0; it sinks by so much times `target_rate_hz` per second. 0 is off."""

    def __post_init__(self) -> None:
        """Check every value and keep numbers as floats."""
        keep_checked(self, above_zero=_ABOVE_ZERO, from_zero=_FROM_ZERO, finite=_FINITE)
        if not isinstance(self.with_reset, bool):
            raise NeuroctlError(f"with_reset must be True or False, got {shown(self.with_reset)}")
        for kind in ("exc", "inh"):
            rise, fall = getattr(self, f"tau_rise_{kind}_ms"), getattr(self, f"tau_fall_{kind}_ms")
            if rise == fall:
                raise NeuroctlError(f"tau_rise_{kind}_ms must differ from tau_fall_{kind}_ms, got {rise:g} for both")

    def dead_steps(self, dt_ms: float) -> int:
        """Steps in which a neuron is silent after a spike."""
        return math.ceil(self.dead_time_ms / dt_ms - _ROUNDING)

    def potential(self, dt_ms: float) -> list[float]:
        """Row of the kernels' table `potential` for steps of `dt_ms`."""
        taus = (self.tau_rise_exc_ms, self.tau_fall_exc_ms, self.tau_rise_inh_ms, self.tau_fall_inh_ms)
        scales = (_scale(taus[0], taus[1]), _scale(taus[2], taus[3]))
        return [*(math.exp(-dt_ms / tau) for tau in taus), *scales, self.input_conductance, self.i_e_mv]

    def firing(self, dt_ms: float) -> list[float]:
        """Row of the kernels' table `firing` for steps of `dt_ms`."""
        step_s, jump = dt_ms / 1000, self.target_adaptation_speed_mv
        leak = step_s * self.target_rate_hz * jump
        rate = (self.c1_hz_per_mv, self.c2_hz, self.c3_per_mv)
        return [*rate, step_s, leak, jump, self.dead_steps(dt_ms), self.with_reset]


@dataclass
class NeuronState:
    """What the neurons of B agents remember, besides random streams; arrays may be views of larger ones.

    Attributes:
        psp: rise and fall of the excitatory, then of the inhibitory potential in mV `[B, 4, N]`.
        v: membrane potential in mV `[B, N]`.
        current: that arrived in the last step `[B, N]`.
        threshold: E in mV, float64 `[B, N]`: single steps of slow adaptation would be lost in float32.
        refractory: steps of silence that remain, int32 `[B, N]`.
    """

    psp: Floats
    v: Floats
    current: Floats
    threshold: NDArray[np.float64]
    refractory: NDArray[np.int32]

    @classmethod
    def zeros(cls, batch_size: int, size: int, dtype: np.dtype[Any]) -> NeuronState:
        """Neurons at rest."""
        shape = (batch_size, size)
        reals = (np.zeros((batch_size, 4, size), dtype), np.zeros(shape, dtype), np.zeros(shape, dtype))
        return cls(*reals, np.zeros(shape, np.float64), np.zeros(shape, np.int32))

    def part(self, lo: int, hi: int) -> NeuronState:
        """Views of the neurons [lo, hi)."""
        return NeuronState(*(getattr(self, field.name)[..., lo:hi] for field in fields(self)))


class PoissonDoubleExpNeurons:
    """B agents with N stochastic neurons each.

    In every step of h ms, in this order: each of the four u decays by exp(-h / tau); the weights that arrive are
    added to both u of their receptor; V = N_e (u_fall - u_rise) + N_i (u_fall - u_rise) + G (I + I_e), where
    N = tau_fall / (tau_fall - tau_rise) and I is the current that arrived in the step before; the threshold E sinks;
    a neuron that is not refractory fires with probability p = 1 - exp(-lambda h / 1000), where lambda is the rate in
    Hz of `NeuronParameters`. A weight w so adds w N (exp(-t / tau_fall) - exp(-t / tau_rise)) to V, whose area is
    w tau_fall; it is felt from the step after its arrival on.

    Without dead time, the number of spikes in a step is drawn from the Poisson distribution with mean lambda h / 1000,
    at most 100. (NEST's module leaves h out of the mean, and lets a negative rate add to the trace; here it is 0.)

    Random numbers of agent b come from the stream (seed, "neurons/<name>", b), one per neuron and step.

    Args:
        size: N.
        parameters: of all of them.
        batch_size: B.
        dt_ms: h.
        seed: root of the random streams.
        dtype: of potentials and results, float32 or float64.
        name: of the population; parts of one network need different ones.

    Raises:
        NeuroctlError: a value out of range.
    """

    def __init__(
        self,
        size: int,
        parameters: NeuronParameters | None = None,
        *,
        batch_size: int = 1,
        dt_ms: float = 1.0,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        name: str = "neurons",
    ) -> None:
        self.size = checked_integer("size", size, 1)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
        self.dtype = checked_dtype(dtype)
        self.parameters = NeuronParameters() if parameters is None else parameters
        self.name = name
        seed = checked_seed(seed)
        self._streams = make_streams(seed, f"neurons/{name}", self.batch_size)
        self._state = NeuronState.zeros(self.batch_size, self.size, self.dtype)
        self._potential = np.array([self.parameters.potential(self.dt_ms)], self.dtype)
        self._firing = np.array([self.parameters.firing(self.dt_ms)], np.float64)

    @property
    def v_mv(self) -> Floats:
        """Membrane potentials `[B, N]` after the last step; each step computes them anew from `psp_mv`."""
        return self._state.v.copy()

    @property
    def psp_mv(self) -> Floats:
        """Rise and fall of the excitatory, then of the inhibitory potential `[B, 4, N]`; may be set."""
        return self._state.psp.copy()

    @psp_mv.setter
    def psp_mv(self, value: ArrayLike) -> None:
        self._state.psp[:] = checked_signal("psp_mv", value, self._state.psp.shape, self.dtype)

    @property
    def current_mv(self) -> Floats:
        """Currents `[B, N]` that act in the next step; may be set. In a network they stay as they are."""
        return self._state.current.copy()

    @current_mv.setter
    def current_mv(self, value: ArrayLike) -> None:
        self._state.current[:] = checked_signal("current_mv", value, self._state.current.shape, self.dtype)

    @property
    def threshold_mv(self) -> NDArray[np.float64]:
        """Adaptive thresholds E `[B, N]`; may be set."""
        return self._state.threshold.copy()

    @threshold_mv.setter
    def threshold_mv(self, value: ArrayLike) -> None:
        self._state.threshold[:] = checked_signal("threshold_mv", value, self._state.threshold.shape, np.float64)

    @property
    def refractory_steps(self) -> NDArray[np.int32]:
        """Steps of silence that remain to each neuron `[B, N]`; may be set."""
        return self._state.refractory.copy()

    @refractory_steps.setter
    def refractory_steps(self, value: ArrayLike) -> None:
        self._state.refractory[:] = checked_counts(
            "refractory_steps", value, self._state.refractory.shape, 2**31 - 1, np.int32
        )

    def advance(
        self, exc: ArrayLike, inh: ArrayLike, current: ArrayLike | None = None
    ) -> tuple[NDArray[np.uint8], Floats]:
        """Simulate T steps.

        Args:
            exc: sum of the excitatory weights that arrive in each step, mV `[T, B, N]`.
            inh: likewise of the inhibitory weights, which are negative.
            current: that arrives in each step, mV `[T, B, N]`, acts in the step after; none where None.

        Returns:
            Number of spikes `[T, B, N]`, and the back-propagating trace `[T, B, N]`: that number minus its
            expectation given the past, 0 in the dead time. With c1 = 0 and c3 = 1 the trace is the derivative of the
            log-probability of the spikes with respect to V, up to O(p) (exactly without dead time).

        Raises:
            NeuroctlError: shapes that do not fit.
            NonFiniteError: NaN or infinity.
        """
        steps = len(np.atleast_1d(as_array("exc", exc)))
        shape = (steps, self.batch_size, self.size)
        arrivals = np.empty((self.batch_size, steps, 2, self.size), self.dtype)
        for k, (name, value) in enumerate((("exc", exc), ("inh", inh))):
            arrivals[:, :, k] = checked_signal(name, value, shape, self.dtype).swapaxes(0, 1)
        incoming = checked_signal("current", np.zeros(shape) if current is None else current, shape, self.dtype)
        uniforms = np.empty((self.batch_size, steps * self.size))
        self.draw(uniforms)
        spikes, bap = np.empty(shape, np.uint8), np.empty(shape, self.dtype)
        s = self._state
        state = (s.psp, s.v, s.current, s.threshold, s.refractory)
        advance_neurons(self._potential, self._firing, *state, arrivals, incoming, uniforms, spikes, bap)
        return spikes, bap

    def draw(self, out: NDArray[np.float64]) -> None:
        """Fill `out` `[B, T * N]` with the random numbers of the next T steps."""
        fill_uniforms(self._streams, out)

    def keep_state_in(self, state: NeuronState) -> None:
        """Keep the state in these arrays from now on, for a network that steps all its populations at once."""
        for field in fields(state):
            getattr(state, field.name)[:] = getattr(self._state, field.name)
        self._state = state

    def state_dict(self) -> State:
        """The complete state: copies of the arrays, and the random streams."""
        arrays = {field.name: getattr(self._state, field.name).copy() for field in fields(self._state)}
        return {**arrays, "streams": self._streams.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of neurons of another number or precision, or damaged; nothing has changed.
        """
        shapes = {field.name: getattr(self._state, field.name) for field in fields(self._state)}
        shapes["streams"] = self._streams
        check_arrays(f"neurons {self.name!r}", state, shapes)
        self._check_values(state)
        streams = checked_streams(f"neurons {self.name!r}", state["streams"], self.batch_size)
        for field in fields(self._state):
            getattr(self._state, field.name)[:] = state[field.name]
        self._streams = streams

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with the adaptive thresholds of agents whose neurons returned `state`, one for each agent here.

        Raises:
            NeuroctlError: it is of other neurons, or has no such members; nothing has changed.
        """
        mine = {"threshold": self._state.threshold}
        rows = member_rows(f"neurons {self.name!r}", state, mine, members)
        self._check_values(rows)
        self._state.threshold[:] = rows["threshold"]

    def _check_values(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Refuse numbers in arrays of a state that neurons cannot have."""
        wrong = [field.name for field in fields(self._state) if not np.isfinite(state.get(field.name, 0)).all()]
        if wrong:
            raise NeuroctlError(f"{wrong[0]} in the state of neurons {self.name!r} has a value that is not finite")
        refractory = state.get("refractory")
        if refractory is not None and (refractory < 0).any():
            raise NeuroctlError(
                f"refractory in the state of neurons {self.name!r} must be >= 0, got {refractory.min().item()}"
            )


def _scale(tau_rise_ms: float, tau_fall_ms: float) -> float:
    return tau_fall_ms / (tau_fall_ms - tau_rise_ms)


def checked_signal(name: str, value: ArrayLike, shape: tuple[int, ...], dtype: DTypeLike) -> Floats:
    """`value` as a contiguous array of finite numbers of this shape.

    Raises:
        NeuroctlError: it has another shape, or holds no numbers.
        NonFiniteError: NaN or infinity.
    """
    array = as_array(name, value)
    if array.shape != shape or array.dtype.kind not in "buif":
        raise NeuroctlError(f"{name} must be numbers of shape {shape}, got {array.dtype} of shape {array.shape}")
    if not all_finite(array):
        raise NonFiniteError(f"{name} has a value that is not finite: {array[~np.isfinite(array)].flat[0]}")
    return np.ascontiguousarray(array, dtype)


def checked_counts(
    name: str, value: ArrayLike, shape: tuple[int, ...], most: int, dtype: DTypeLike = np.uint8
) -> NDArray[Any]:
    """`value` as an array of integers from 0 to `most` of this shape.

    Raises:
        NeuroctlError: another shape, or a value that is no such number.
    """
    array = as_array(name, value)
    if array.shape != shape or array.dtype.kind not in "buif":
        raise NeuroctlError(f"{name} must be numbers of shape {shape}, got {array.dtype} of shape {array.shape}")
    if array.dtype not in (np.uint8, np.bool_):
        right = (array == np.floor(array)) & (array >= 0) & (array <= most)
        if not right.all():
            value = array[~right].flat[0].item()
            raise NeuroctlError(f"{name} must be whole numbers from 0 to {most}, got {value!r}")
    return array.astype(dtype, copy=False)


def check_arrays(owner: str, state: Mapping[str, Any], like: Mapping[str, NDArray[Any]]) -> None:
    """Check that `state` has an array of the same shape and dtype for each of `like`.

    Raises:
        NeuroctlError: the first that is missing or differs.
    """
    check_mapping(owner, state)
    for name, right in like.items():
        given = state.get(name)
        if not isinstance(given, np.ndarray):
            raise NeuroctlError(f"state of {owner} has no array {name!r}")
        if given.shape != right.shape or given.dtype != right.dtype:
            raise NeuroctlError(
                f"{name} in the state of {owner} is {given.dtype} {given.shape}; needed: {right.dtype} {right.shape}"
            )
