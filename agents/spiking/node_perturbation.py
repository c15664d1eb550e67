"""Node perturbation: synapses that follow an estimate of the gradient of the reward."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .eligibility_kernels import Array, Potential, Reals, Spikes, advance_perturbed
from .eligibility_parameters import NodePerturbationParameters
from .eligibility_rule import EligibilityRule


class NodePerturbation(EligibilityRule):
    """Reward times eligibility, where a neuron's own randomness is the perturbation: dw/dt = beta reward e.

    With the presynaptic potential y = S (f - d) of `SynapticSampling`, S = tau_fall / (tau_fall - tau_rise), and a_x =
    exp(-h / tau_x), in step k of length h for the synapse from i to j:

        f <- a_f (f + spikes_i[k]),  d <- a_d (d + spikes_i[k])
        e <- a_e e + y bap_j[k]                                       eligibility trace
        c <- c + h beta reward[k] e                                   change of w that is due

    bap, spikes minus their expected number, is what a neuron does by chance. For a rate that is an exponential of the
    potential, c3 y bap is the derivative of the log-likelihood of the spikes with respect to w: exactly without dead
    time, and to first order in the probability of a spike with it. So the mean of e is 0, and the weights climb the
    expected reward on average: REINFORCE (Williams 1992, Machine Learning 8, 229), with the neuron as the node that is
    perturbed (Fiete and Seung 2006, Phys. Rev. Lett. 97, 048104). It is synaptic sampling without its exponential map,
    prior, noise and retraction. The mean of the reward adds no direction but variance: better take it away before.

    Arguments and state are those of `EligibilityRule`, `parameters` are `NodePerturbationParameters`.
    """

    parameters: NodePerturbationParameters
    parameters_type = NodePerturbationParameters

    @cached_property
    def _potential(self) -> Potential:
        p = self.parameters
        return Potential(
            fall=math.exp(-self.dt_ms / p.psp_tau_fall),
            rise=math.exp(-self.dt_ms / p.psp_tau_rise),
            scale=p.psp_tau_fall / (p.psp_tau_fall - p.psp_tau_rise),
        )

    def _new_traces(self) -> dict[str, Reals]:
        return {name: np.zeros((self.batch_size, self.num_pre)) for name in ("fall", "rise")}

    def _signal(self, bap: NDArray[np.floating], spikes_post: ArrayLike | None) -> NDArray[Any]:
        return bap

    def _advance_traces(self, spikes_pre: Spikes, signal: Array, rate: Reals) -> None:
        fall, rise = self._traces["fall"], self._traces["rise"]
        advance_perturbed(
            self._potential, self._keep, spikes_pre, signal, rate, fall, rise, self._eligibility, self._change
        )
