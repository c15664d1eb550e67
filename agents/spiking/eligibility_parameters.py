"""Settings of the synapses whose weights move along reward times eligibility."""

from __future__ import annotations

from dataclasses import dataclass, fields

from neuroctl.errors import NeuroctlError

from .plasticity import keep_checked

_FROM_ZERO = ("learning_rate",)
_FINITE = ("min_weight", "max_weight", "a_plus", "a_minus")


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
        above_zero = [field.name for field in fields(self) if field.name not in (*_FINITE, *_FROM_ZERO)]
        finite = [field.name for field in fields(self) if field.name in _FINITE]
        keep_checked(self, above_zero=above_zero, from_zero=_FROM_ZERO, finite=finite)
        if self.min_weight > self.max_weight:
            raise NeuroctlError(f"min_weight must be <= max_weight {self.max_weight:g}, got {self.min_weight:g}")


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
