"""Reward-modulated synaptic sampling: synapses that learn from a reward, and keep exploring."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.streams import checked_seed

from . import synaptic_kernels as kernels
from .member_rows import check_mapping, checked_members
from .plasticity import (
    PlasticityRule,
    State,
    as_array,
    checked_dtype,
    checked_initial,
    checked_interval,
)
from .random_numbers import checked_streams, fill_normals, make_streams
from .synaptic_checks import agents_of, check_weights, checked_exists, checked_prior, checked_state
from .synaptic_parameters import SynapticSamplingParameters

Floats = NDArray[np.floating]
_MOST_LOG = math.log(np.finfo(np.float64).max)
_ROUNDING = 1e-4
BUFFERS = ("spikes", "bap", "reward", "direct")
"""What a rule remembers of the steps that wait for the end of the update interval."""


class SynapticSampling(PlasticityRule):
    """Synaptic sampling with a reward gradient, as in NEST's SPORE module.

    Kappel et al. 2018 (eNeuro 5(2) 0301-17.2018); Kaiser et al. 2019 (arXiv 2003.01431) let it control robots. In
    step k of length h, for the synapse from i to j with presynaptic potential y = S (f - d), S = tau_fall / (tau_fall
    - tau_rise), and a_x = exp(-h / tau_x):

        f <- a_f (f + spikes_i[k]),  d <- a_d (d + spikes_i[k])
        e <- a_e e + w y bap_j[k]                                     eligibility trace
        g <- a_g g + h reward[k] e                                    estimate of the gradient
        theta <- theta + h beta c_e reward[k] e                       only if c_e > 0

    and after every U milliseconds, before the next step's spikes are transmitted:

        g <- g + sqrt(2 T_g beta U) N(0, 1)
        theta <- theta + beta U (c_p (mu - theta) + clip(c_g g)) + sqrt(2 T beta U) N(0, 1), within its bounds
        w <- w_0 exp(theta - theta_0) if theta >= 0 else 0

    A synapse with w = 0 is retracted: e and g are zero, theta moves by the prior and the noise alone until it is >= 0
    again. With a likelihood that is flat theta has, for small beta U, the law N(mu, T / c_p).

    Units: at h = 1 ms these are the module's sums. bap is a number of spikes, and so already an integral over the
    step: e does not depend on h. The reward is a value, so its integral carries the factor h in ms. Both keep the
    magnitudes of continuous time.

    `compat=True` is the module to the letter, step by step: no factor h; no transmission where w <= 0, so that
    inhibitory synapses are silent; each synapse with potentials f and d of its own, which while it is retracted
    collect spikes and do not decay, so that y jumps when it forms again; gradient noise that collects in g of
    retracted synapses. Otherwise these are mended: all weights transmit, and f and d are exact for each presynaptic
    neuron. Then a whole update interval is advanced at once, see `synaptic_kernels`: exact, and many times faster.

    Arrays of synapses are `[B, num_pre, num_post]`, or `[B, num_pre, num_post, K]` for K > 1 parallel synapses.
    Agent b draws its numbers from the stream (seed, "synapses", b): rules of one network need different seeds.

    Args:
        num_pre: presynaptic neurons.
        num_post: postsynaptic neurons.
        parameters: see there; learning rate and temperature may be changed later as attributes.
        batch_size: B, independent agents.
        dt_ms: h, length of a step.
        compat: whether to behave as the module does where that is a defect.
        seed: root of the random streams.
        dtype: of w, e, g and the noise, float32 or float64; theta is float64, since its changes are small.
        synapses_per_pair: K.
        exists: which of the potential synapses there are, `[num_pre, num_post]` or one of the shapes above; others
            transmit nothing and never move. All by default.
        initial: mean and standard deviation of theta at the start, the mean within the bounds. What is drawn above
            `max_param` begins there, and likewise below `min_param` where that is not negative. What is drawn below a
            negative `min_param` is retracted and comes within the bounds with the first update, as in the module,
            which applies both bounds in updates alone.

    Raises:
        NeuroctlError: a value out of range, parameters of another rule, an update interval that is no multiple of the
            step, or weights that `dtype` does not hold.

    Attributes:
        parameters: as given.
        compat: as given.
        synapses_per_pair: K.
        dtype: as given.
    """

    parameters_type = SynapticSamplingParameters

    def __init__(
        self,
        num_pre: int,
        num_post: int,
        parameters: SynapticSamplingParameters | None = None,
        *,
        batch_size: int = 1,
        dt_ms: float = 1.0,
        compat: bool = False,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        synapses_per_pair: int = 1,
        exists: NDArray[np.bool_] | None = None,
        initial: tuple[float, float] = (-0.5, 0.5),
    ) -> None:
        self.parameters = p = self.parameters_type() if parameters is None else parameters
        if not isinstance(p, self.parameters_type):
            raise NeuroctlError(f"parameters must be {self.parameters_type.__name__}, got {shown(p)}")
        super().__init__(
            num_pre,
            num_post,
            batch_size=batch_size,
            dt_ms=dt_ms,
            learning_rate=p.learning_rate,
            temperature=p.temperature,
        )
        if not isinstance(compat, bool):
            raise NeuroctlError(f"compat must be True or False, got {shown(compat)}")
        self.compat = compat
        self.synapses_per_pair = checked_integer("synapses_per_pair", synapses_per_pair, 1)
        self.dtype = checked_dtype(dtype)
        check_weights(p, self.dtype)
        self._interval = checked_interval("weight_update_interval", p.weight_update_interval, self.dt_ms)
        self._shape = (self.batch_size, self.num_pre, self.synapses_per_pair, self.num_post)
        self._exists = checked_exists(exists, self._shape)
        self._mean = checked_prior("prior_mean", p.prior_mean, self.num_pre, self.num_post)
        self._precision = checked_prior("prior_precision", p.prior_precision, self.num_pre, self.num_post)
        self._decay = _decay_factors(p, self.dt_ms)
        self._streams = make_streams(checked_seed(seed), "synapses", self.batch_size)
        self._noise = np.zeros(self._shape, self.dtype)
        self._turnover = np.zeros((self.batch_size, 2), np.int64)
        mean, sd = checked_initial(initial)
        if not p.min_param <= mean <= p.max_param:
            raise NeuroctlError(f"mean of initial must be from {p.min_param:g} to {p.max_param:g}, got {mean:g}")
        self._begin(mean, sd)

    def _begin(self, mean: float, sd: float) -> None:
        """Empty buffers, no traces, and a random theta."""
        n, B = self._interval, self.batch_size
        self._settled = self._waiting = 0
        words = np.zeros((n, B, -(-self.num_pre // 8)), "<u8")
        self._steps = kernels.Steps(
            words.view(np.uint8)[:, :, : self.num_pre],
            words,
            np.zeros((n, B, self.num_post), self.dtype),
            np.zeros((n, B)),
            np.zeros((n, B)),
        )
        theta = np.empty(self._shape)
        fill_normals(self._streams, theta.reshape(B, -1))
        low = self.parameters.min_param if self.parameters.min_param >= 0 else -math.inf
        theta = np.clip(mean + sd * theta, low, self.parameters.max_param)
        w, e, g = (np.zeros(self._shape, self.dtype) for _ in range(3))
        potentials = self._shape if self.compat else (B, self.num_pre, 1, 1)
        self._synapses = kernels.Synapses(theta, w, e, g, np.zeros(potentials), np.zeros(potentials))
        self._map_weights(np.zeros_like(self._turnover))

    @property
    def weight(self) -> Floats:
        """What a spike transmits now `[B, num_pre, num_post]`: summed over parallel synapses, a copy."""
        w = self._synapses.weight
        if self.compat:
            w = np.maximum(w, 0)
        return w[:, :, 0].copy() if self.synapses_per_pair == 1 else w.sum(axis=2)

    @property
    def greatest_weight(self) -> float:
        """That of all parallel synapses at the upper bound of theta; 0 where none is positive."""
        p = self.parameters
        if p.weight_scale < 0 or p.max_param < 0:
            return 0.0
        log = math.log(p.weight_scale * self.synapses_per_pair) + p.max_param - p.parameter_mapping_offset
        return math.exp(log) if log < _MOST_LOG else math.inf

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Which of the potential synapses there are; a copy."""
        return self._outward(self._exists)

    @property
    def theta(self) -> NDArray[np.float64]:
        """Synaptic parameters; a copy. Setting them, within their bounds, sets the weights at once.

        A value that is out of bounds may stay, see `initial`.
        """
        return self._outward(self._present().theta)

    @theta.setter
    def theta(self, value: ArrayLike) -> None:
        theta, p = self._inward("theta", value), self.parameters
        wrong = ((theta < p.min_param) | (theta > p.max_param)) & (theta != self._present().theta)
        if wrong.any():
            found = theta[wrong][0].item()
            raise NeuroctlError(f"theta must be from {p.min_param:g} to {p.max_param:g}, got {found!r}")
        self._settle()
        self._synapses.theta[:] = theta
        self._map_weights(np.zeros_like(self._turnover))

    @property
    def eligibility(self) -> Floats:
        """Eligibility traces e; a copy. What is set where a synapse is retracted is dropped."""
        return self._outward(self._present().e)

    @eligibility.setter
    def eligibility(self, value: ArrayLike) -> None:
        e = self._inward("eligibility", value)
        self._settle()
        self._synapses.e[:] = np.where(self._has_traces(), e, 0)

    @property
    def gradient(self) -> Floats:
        """Estimates g of the gradient; a copy. What is set where a synapse is retracted is dropped."""
        return self._outward(self._present().g)

    @gradient.setter
    def gradient(self, value: ArrayLike) -> None:
        g = self._inward("gradient", value)
        self._settle()
        self._synapses.g[:] = np.where(self._has_traces(), g, 0)

    @property
    def steps_until_update(self) -> int:
        """Steps after which weights change next, 1 to U / h."""
        return self._interval - self._settled - self._waiting

    def advance(
        self, spikes_pre: ArrayLike, bap: ArrayLike, reward: ArrayLike, *, spikes_post: ArrayLike | None = None
    ) -> None:
        """Learn from T steps, see `PlasticityRule`; a learning rate that was set applies from here on."""
        spikes, trace, rewards = self.checked_steps(spikes_pre, bap, reward)
        if not self.compat:
            rewards = rewards * self.dt_ms
        direct = rewards * (self.learning_rate * self.parameters.direct_gradient_rate)
        start = 0
        while start < len(spikes):
            n = min(len(spikes) - start, self.steps_until_update)
            place = slice(self._waiting, self._waiting + n)
            taken = slice(start, start + n)
            self._steps.spikes[place], self._steps.bap[place] = spikes[taken], trace[taken]
            self._steps.reward[place], self._steps.direct[place] = rewards[taken], direct[taken]
            start += n
            self._waiting += n
            if self._settled + self._waiting == self._interval:
                self._settle()
                self._update()
                self._settled = 0

    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """Figures `[B]` of the synapses that exist.

        - `active`: share that is not retracted.
        - `clipped`: share of the active ones where |c_g g| exceeds its bound.
        - `drive`: mean |c_g g| of the active ones.
        """
        active, num_active = self._synapses.weight != 0, self.num_active
        drive = np.abs(self.parameters.gradient_scale * self._present().g.astype(np.float64))
        count = np.maximum(num_active, 1)
        return {
            "active": num_active / np.maximum(self._exists.sum(axis=(1, 2, 3)), 1),
            "clipped": (active & (drive > self.parameters.max_param_change)).sum(axis=(1, 2, 3)) / count,
            "drive": np.where(active, drive, 0.0).sum(axis=(1, 2, 3)) / count,
        }

    def counts(self) -> dict[str, NDArray[np.int64]]:
        """How often synapses retracted, and formed, since they were made `[B]`; not by setting theta."""
        return {"retractions": self._turnover[:, 0].copy(), "formations": self._turnover[:, 1].copy()}

    @property
    def num_active(self) -> NDArray[np.int64]:
        """Synapses that are not retracted `[B]`; parallel ones count each."""
        number: NDArray[np.int64] = np.count_nonzero(self._synapses.weight, axis=(1, 2, 3)).astype(np.int64)
        return number

    def state_dict(self) -> State:
        """The complete state, as copies; a row of its arrays `[B, ...]` is that of an agent."""
        steps = {name: getattr(self._steps, name)[: self._waiting].copy() for name in BUFFERS}
        return {
            "topology": self._topology(),
            "exists": self._exists.copy(),
            "settled": self._settled,
            "learning_rate": np.array(self.learning_rate),
            "temperature": np.array(self.temperature),
            "turnover": self._turnover.copy(),
            "streams": self._streams.copy(),
            **{f"synapses/{name}": array.copy() for name, array in self._synapses._asdict().items()},
            **{f"steps/{name}": array for name, array in steps.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of a rule with other sizes, step, interval, mode or dtype, or damaged; nothing has
                changed.
        """
        checked = checked_state(state, self.state_dict(), self.batch_size, self._interval)
        streams = checked_streams("the synapses", checked["streams"], self.batch_size)
        self._check_mapping(checked)
        self._take(checked, np.arange(self.batch_size))
        self._streams, self._turnover = streams, checked["turnover"]

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with theta and g of agents of another such rule; e, potentials and the interval begin anew."""
        check_mapping("the synapses", state)
        agents = agents_of(state.get("topology"))
        chosen = checked_members(members, self.batch_size, agents)
        self._take(checked_state(state, self.state_dict(), agents, self._interval), chosen)
        self._settle()
        self._settled = 0
        for trace in (self._synapses.e, self._synapses.fall, self._synapses.rise):
            trace[:] = 0

    def _take(self, checked: Mapping[str, Any], members: NDArray[np.int64]) -> None:
        """Everything but streams and counters, from rows of a checked state."""
        self.learning_rate, self.temperature = checked["learning_rate"].item(), checked["temperature"].item()
        self._settled, self._waiting = checked["settled"], len(checked["steps/spikes"])
        self._exists = checked["exists"][members]
        self._synapses = kernels.Synapses(*(checked[f"synapses/{name}"][members] for name in kernels.Synapses._fields))
        for name in BUFFERS:
            getattr(self._steps, name)[: self._waiting] = checked[f"steps/{name}"][:, members]

    def _topology(self) -> NDArray[np.float64]:
        return np.array([*self._shape, self._interval, self.dt_ms, self.compat, self.dtype.itemsize])

    def _check_mapping(self, checked: Mapping[str, Any]) -> None:
        """Refuse weights of a checked state that are not those of its theta, but not for their rounding."""
        if checked["settled"] and self.parameters.direct_gradient_rate > 0:
            return  # theta has moved since the weights were set
        synapses = kernels.Synapses(*(checked[f"synapses/{name}"].copy() for name in kernels.Synapses._fields))
        kernels.map_weights(
            self._numbers(), synapses, checked["exists"], self.compat, True, np.zeros_like(self._turnover)
        )
        if not np.allclose(checked["synapses/weight"], synapses.weight, rtol=_ROUNDING, atol=0):
            raise NeuroctlError("weights in the state of the synapses are not those of its theta and these parameters")

    def _present(self) -> kernels.Synapses:
        """The synapses after all steps that were given; not to be changed."""
        if self._waiting == 0:
            return self._synapses
        synapses = kernels.copied(self._synapses)
        self._advance(synapses)
        return synapses

    def _settle(self) -> None:
        """Advance the synapses by the steps that wait."""
        if self._waiting:
            self._advance(self._synapses)
        self._settled, self._waiting = self._settled + self._waiting, 0

    def _advance(self, synapses: kernels.Synapses) -> None:
        steps = kernels.first_steps(self._steps, self._waiting)
        if self.compat:
            keep = self.parameters.simulate_retracted_synapses
            kernels.advance_traces_by_step(self._decay, steps, synapses, self._exists, keep)
        else:
            kernels.advance_traces(self._decay, steps, synapses, self.parameters.direct_gradient_rate > 0)

    def _update(self) -> None:
        """The update at the end of an interval; random numbers are drawn only where there is noise."""
        update = self._numbers()
        if update.gradient_noise > 0:
            self._draw()
            everywhere = self.compat or self.parameters.simulate_retracted_synapses
            kernels.add_gradient_noise(self._synapses, self._exists, self._noise, update.gradient_noise, everywhere)
        if update.noise > 0:
            self._draw()
        kernels.update_theta(update, self._synapses, self._exists, self._noise, self._mean, self._precision)
        self._map_weights(self._turnover)

    def _numbers(self) -> kernels.Update:
        p, rate = self.parameters, self.learning_rate * self._interval * self.dt_ms
        return kernels.Update(
            interval_rate=rate,
            gradient_scale=p.gradient_scale,
            max_change=p.max_param_change,
            noise=math.sqrt(2 * self.temperature * rate),
            gradient_noise=math.sqrt(2 * p.gradient_noise * rate),
            low=p.min_param,
            high=p.max_param,
            offset=p.parameter_mapping_offset,
            weight_scale=p.weight_scale,
        )

    def _draw(self) -> None:
        fill_normals(self._streams, self._noise.reshape(self.batch_size, -1))

    def _map_weights(self, turnover: NDArray[np.int64]) -> None:
        keep = self.parameters.simulate_retracted_synapses
        kernels.map_weights(self._numbers(), self._synapses, self._exists, self.compat, keep, turnover)

    def _has_traces(self) -> NDArray[np.bool_]:
        keep = self.parameters.simulate_retracted_synapses
        active: NDArray[np.bool_] = self._synapses.weight != 0
        return self._exists & (active | keep)

    def _outward(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[:, :, 0].copy() if self.synapses_per_pair == 1 else np.moveaxis(array, 2, 3).copy()

    def _inward(self, name: str, value: ArrayLike) -> Floats:
        """An array of synapses as `[B, P, K, Q]`."""
        array = as_array(name, value)
        B, P, K, Q = self._shape
        shape = (B, P, Q) if K == 1 else (B, P, Q, K)
        if array.shape != shape or array.dtype.kind not in "buif":
            raise NeuroctlError(f"{name} must be numbers of shape {shape}, got {array.dtype} {array.shape}")
        if not np.isfinite(array).all():
            raise NonFiniteError(f"{name} has a value that is not finite")
        return np.moveaxis(array.reshape(B, P, Q, K), 3, 2)


def _decay_factors(p: SynapticSamplingParameters, dt_ms: float) -> kernels.Decay:
    return kernels.Decay(
        e=math.exp(-dt_ms / p.episode_length),
        g=math.exp(-dt_ms / p.integration_time),
        fall=math.exp(-dt_ms / p.psp_tau_fall),
        rise=math.exp(-dt_ms / p.psp_tau_rise),
        scale=p.psp_tau_fall / (p.psp_tau_fall - p.psp_tau_rise),
        cutoff=p.psp_cutoff_amplitude,
    )
