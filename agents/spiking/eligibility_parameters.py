"""Settings of the synapses whose weights move along reward times eligibility."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from neuroctl.errors import NeuroctlError

from .plasticity import checked_real

_FROM_ZERO = ("learning_rate",)
_FINITE = ("min_weight", "max_weight", "a_plus", "a_minus")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class EligibilityParameters:
    """Parameters of an `EligibilityRule`, under the names of `SynapticSamplingParameters` where it has the same.

    Times are in ms.

    Raises:
        NeuroctlError: a value out of range.
    """

    learning_rate: float = 1e-5
    """beta, 1/ms, >= 0."""
    episode_length: float = 1000.0
    """tau_e, time constant of the eligibility trace, ms, > 0: how late a reward may come."""
    weight_update_interval: float = 100.0
    """U, time between two weight updates, ms, > 0: a multiple of the step."""
    min_weight: float = 0.0
    """Lower bound of the weights, mV."""
    max_weight: float = 7.4
    """Upper bound of the weights, mV; the largest of synaptic sampling is by default exp(2)."""

    def __post_init__(self) -> None:
        """Check every value, and keep it as a float."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            least = -np.inf if name in _FINITE else 0.0
            above = name not in (*_FINITE, *_FROM_ZERO)
            object.__setattr__(self, name, checked_real(name, value, least, above))
        if self.min_weight > self.max_weight:
            raise NeuroctlError(f"min_weight must be <= max_weight {self.max_weight:g}, got {self.min_weight:g}")

    def interval_steps(self, dt_ms: float) -> int:
        """Steps of `dt_ms` between two weight updates.

        Raises:
            NeuroctlError: the interval is no multiple of the step.
        """
        interval = self.weight_update_interval
        steps = round(interval / dt_ms)
        if steps < 1 or abs(steps * dt_ms - interval) > _ROUNDING * interval:
            raise NeuroctlError(f"weight_update_interval must be a multiple of dt_ms {dt_ms:g}, got {interval:g}")
        return steps


@dataclass(frozen=True)
class NodePerturbationParameters(EligibilityParameters):
    """Parameters of `NodePerturbation`."""

    psp_tau_rise: float = 2.0
    """Time constant with which the postsynaptic potential rises, ms, > 0."""
    psp_tau_fall: float = 20.0
    """Time constant with which it falls, ms, > 0 and not that of the rise."""

    def __post_init__(self) -> None:
        """Check every value, and keep it as a float."""
        super().__post_init__()
        if self.psp_tau_rise == self.psp_tau_fall:
            raise NeuroctlError(f"psp_tau_rise must differ from psp_tau_fall, got {self.psp_tau_rise:g} for both")


@dataclass(frozen=True)
class RewardModulatedSTDPParameters(EligibilityParameters):
    """Parameters of `RewardModulatedSTDP`; those of the window and tau_e are NEST's for `stdp_dopamine_synapse`."""

    a_plus: float = 1.0
    """A_+, height of the window where the presynaptic spike comes first."""
    a_minus: float = 1.5
    """A_-, depth of the window where it comes last."""
    tau_plus: float = 20.0
    """Time constant of the trace of presynaptic spikes, ms, > 0."""
    tau_minus: float = 20.0
    """Time constant of the trace of postsynaptic spikes, ms, > 0."""
