"""Spike-timing-dependent plasticity that takes effect where a reward follows."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .eligibility_kernels import Array, Reals, Spikes, Window, advance_paired
from .eligibility_parameters import RewardModulatedSTDPParameters
from .eligibility_rule import EligibilityRule


class RewardModulatedSTDP(EligibilityRule):
    """Pairs of spikes leave an eligibility trace, and a reward turns it into weights: dw/dt = beta reward e.

    Izhikevich 2007 (Cerebral Cortex 17, 2443); Fremaux and Gerstner 2016 (Front. Neural Circuits 9:85) review it. All
    pairs count (all-to-all). With traces x of presynaptic and z of postsynaptic spikes and a_x = exp(-h / tau_x), in
    step k of length h for the synapse from i to j:

        x <- a_+ x,  z <- a_- z
        e <- a_e e + A_+ x_i spikes_post_j[k] - A_- z_j spikes_i[k]   eligibility trace
        x <- x + spikes_i[k],  z <- z + spikes_post_j[k]
        c <- c + h beta reward[k] e                                   change of w that is due

    So a pair whose presynaptic spike comes n steps before the postsynaptic one adds A_+ exp(-n h / tau_+) to e when it
    is complete; one with the opposite order takes A_- exp(-n h / tau_-); spikes of one step make no pair. Steps are
    those of the arguments of `advance`: a delay of the projection is not counted.

    The reward is taken as it is; a dopamine concentration that follows it slowly is a filter before this rule. Since
    the mean of reward e is their covariance plus the product of their means, and that of e is not 0, weights drift
    whatever was rewarded unless the mean of the reward is taken away.

    Arguments and state are those of `EligibilityRule`, `parameters` are `RewardModulatedSTDPParameters`; `advance`
    needs `spikes_post`.
    """

    parameters: RewardModulatedSTDPParameters
    parameters_type = RewardModulatedSTDPParameters

    @cached_property
    def _window(self) -> Window:
        p = self.parameters
        return Window(
            plus=math.exp(-self.dt_ms / p.tau_plus),
            minus=math.exp(-self.dt_ms / p.tau_minus),
            a_plus=p.a_plus,
            a_minus=p.a_minus,
        )

    def _new_traces(self) -> dict[str, Reals]:
        return {"pre": np.zeros((self.batch_size, self.num_pre)), "post": np.zeros((self.batch_size, self.num_post))}

    def _signal(self, bap: NDArray[np.floating], spikes_post: ArrayLike | None) -> NDArray[Any]:
        return self.checked_spikes_post(spikes_post, len(bap))

    def _advance_traces(self, spikes_pre: Spikes, signal: Array, rate: Reals) -> None:
        pre, post = self._traces["pre"], self._traces["post"]
        advance_paired(self._window, self._keep, spikes_pre, signal, rate, pre, post, self._eligibility, self._change)
