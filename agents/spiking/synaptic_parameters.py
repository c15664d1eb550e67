"""Settings of the synapses that learn by reward-modulated synaptic sampling."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .plasticity import checked_real, keep_checked

_ABOVE_ZERO = ("psp_tau_rise", "psp_tau_fall", "episode_length", "integration_time", "weight_update_interval")
_FROM_ZERO = (
    "learning_rate",
    "temperature",
    "gradient_noise",
    "psp_cutoff_amplitude",
    "direct_gradient_rate",
    "max_param_change",
)
_FINITE = ("parameter_mapping_offset", "weight_scale", "gradient_scale", "max_param", "min_param")


@dataclass(frozen=True, eq=False)
class SynapticSamplingParameters:
    """Parameters of `SynapticSampling`, under the names and with the defaults of NEST's SPORE module (2018).

    Times are in ms. What the module has beside these has no counterpart here: the identifiers of traces and of the
    reward transmitter (traces are arguments of `advance`), and the deletion of retracted synapses (they keep their
    place and may form again).

    Raises:
        NeuroctlError: a value out of range.
    """

    learning_rate: float = 5e-8
    """beta, 1/ms, >= 0."""
    temperature: float = 0.1
    """T, >= 0: the noise of theta. 0 is gradient ascent."""
    gradient_noise: float = 0.0
    """T_g, >= 0: the noise of the gradient estimate."""
    psp_tau_rise: float = 2.0
    """Time constant with which the postsynaptic potential rises, ms, > 0."""
    psp_tau_fall: float = 20.0
    """Time constant with which it falls, ms, > 0 and not that of the rise."""
    psp_cutoff_amplitude: float = 1e-4
    """A potential whose falling part is smaller is set to zero; >= 0."""
    episode_length: float = 1000.0
    """tau_e, time constant of the eligibility trace, ms, > 0: how late a reward may come."""
    integration_time: float = 50_000.0
    """tau_g, time constant of the gradient estimate, ms, > 0."""
    weight_update_interval: float = 100.0
    """U, time between two weight updates, ms, > 0: a multiple of the step."""
    parameter_mapping_offset: float = 3.0
    """theta_0 of w = w_0 exp(theta - theta_0)."""
    weight_scale: float = 1.0
    """w_0; its sign is that of the weights."""
    gradient_scale: float = 1.0
    """c_g, weight of the gradient estimate in the drift of theta."""
    direct_gradient_rate: float = 0.0
    """c_e, >= 0: weight of reward times eligibility in the drift of theta."""
    max_param: float = 5.0
    """Upper bound of theta."""
    min_param: float = -2.0
    """Lower bound of theta."""
    max_param_change: float = 40.0
    """Bound of |c_g g|, >= 0."""
    prior_mean: float | NDArray[np.float64] = 0.0
    """mu of the Gaussian prior of theta; a number or one per synapse `[num_pre, num_post]`."""
    prior_precision: float | NDArray[np.float64] = 1.0
    """c_p = 1 / sigma^2 of the prior, >= 0, 0 is a flat prior; a number or one per synapse `[num_pre, num_post]`."""
    simulate_retracted_synapses: bool = False
    """Whether the traces of a retracted synapse decay; otherwise they are set to zero."""

    def __post_init__(self) -> None:
        """Check every value, and keep numbers as floats and arrays as read-only copies."""
        keep_checked(self, above_zero=_ABOVE_ZERO, from_zero=_FROM_ZERO, finite=_FINITE)
        self._set("prior_mean", _per_synapse("prior_mean", self.prior_mean, -np.inf))
        self._set("prior_precision", _per_synapse("prior_precision", self.prior_precision, 0.0))
        if not isinstance(self.simulate_retracted_synapses, bool):
            raise NeuroctlError(
                f"simulate_retracted_synapses must be True or False, got {shown(self.simulate_retracted_synapses)}"
            )
        if self.min_param > self.max_param:
            raise NeuroctlError(f"min_param must be <= max_param {self.max_param:g}, got {self.min_param:g}")
        if self.psp_tau_rise == self.psp_tau_fall:
            raise NeuroctlError(f"psp_tau_rise must differ from psp_tau_fall, got {self.psp_tau_rise:g} for both")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SynapticSamplingParameters):
            return NotImplemented
        return all(np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def _set(self, name: str, value: float | NDArray[np.float64]) -> None:
        object.__setattr__(self, name, value)


def _per_synapse(name: str, value: float | NDArray[np.float64], least: float) -> float | NDArray[np.float64]:
    if not isinstance(value, np.ndarray):
        return checked_real(name, value, least)
    if value.ndim != 2 or value.dtype.kind not in "iuf":
        raise NeuroctlError(f"{name} must be a number or an array [num_pre, num_post], got {shown(value)}")
    wrong = ~(np.isfinite(value) & (value >= least))
    if wrong.any():
        allowed = "finite" if least == -np.inf else f">= {least:g}"
        raise NeuroctlError(f"every {name} must be {allowed}, got {value[wrong].flat[0].item()!r}")
    array = value.astype(np.float64)
    array.flags.writeable = False
    return array
