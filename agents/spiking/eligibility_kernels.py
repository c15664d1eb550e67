"""Compiled loops of `NodePerturbation` and `RewardModulatedSTDP`: eligibility, and the weights that follow it.

Arrays of synapses are `[B, Q, P]`: agents, postsynaptic neurons, presynaptic neurons. A step costs each synapse a few
operations, whatever has spiked. They follow each other in the order of time, so that bits do not depend on how steps
are cut into calls; the innermost loops run along the many presynaptic neurons and have no branches, so that the
compiler vectorises them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

NEGLIGIBLE = 1e-20
"""Smaller traces are set to zero: what decays for ever ends in numbers with which processors are slow."""

Array = NDArray[np.floating]
Reals = NDArray[np.float64]
Spikes = NDArray[np.uint8]


class Potential(NamedTuple):
    """Factors per step of f and d, and the scale S of the potential S (f - d)."""

    fall: float
    rise: float
    scale: float


class Window(NamedTuple):
    """Factors per step of the traces of spikes, and the height and depth of the window."""

    plus: float
    minus: float
    a_plus: float
    a_minus: float


@njit(cache=True, nogil=True)
def _kept(value: float) -> float:
    """The value, or zero where it is negligible."""
    return value if abs(value) >= NEGLIGIBLE else 0 * value


@njit(cache=True, nogil=True)
def advance_perturbed(
    potential: Potential,
    keep: float,
    spikes: Spikes,
    bap: Array,
    rate: Reals,
    fall: Reals,
    rise: Reals,
    e: Array,
    change: Array,
) -> None:
    """T steps of e <- keep e + y bap and change <- change + rate e; fall and rise are `[B, P]`, rate `[T, B]`."""
    B, Q, P = e.shape
    one = e.dtype.type
    kept = one(keep)
    y = np.empty(P, e.dtype)
    for b in range(B):
        for k in range(len(spikes)):
            for i in range(P):
                fall[b, i] = _kept(potential.fall * (fall[b, i] + spikes[k, b, i]))
                rise[b, i] = _kept(potential.rise * (rise[b, i] + spikes[k, b, i]))
                y[i] = potential.scale * (fall[b, i] - rise[b, i])
            r = one(rate[k, b])
            for j in range(Q):
                signal = bap[k, b, j]
                for i in range(P):
                    e[b, j, i] = kept * e[b, j, i] + y[i] * signal
                    change[b, j, i] += r * e[b, j, i]


@njit(cache=True, nogil=True)
def advance_paired(
    window: Window,
    keep: float,
    spikes: Spikes,
    fired: Array,
    rate: Reals,
    pre: Reals,
    post: Reals,
    e: Array,
    change: Array,
) -> None:
    """T steps of e <- keep e + A_+ x fired - A_- z spikes, and of change; pre is x `[B, P]`, post is z `[B, Q]`."""
    B, Q, P = e.shape
    one = e.dtype.type
    kept = one(keep)
    height, count = np.empty(P, e.dtype), np.empty(P, e.dtype)
    for b in range(B):
        for k in range(len(spikes)):
            for i in range(P):
                pre[b, i] = _kept(window.plus * pre[b, i])
                height[i], count[i] = window.a_plus * pre[b, i], spikes[k, b, i]
                pre[b, i] += spikes[k, b, i]
            r = one(rate[k, b])
            for j in range(Q):
                post[b, j] = _kept(window.minus * post[b, j])
                number, depth = fired[k, b, j], one(window.a_minus * post[b, j])
                post[b, j] += number
                for i in range(P):
                    e[b, j, i] = kept * e[b, j, i] + (height[i] * number - count[i] * depth)
                    change[b, j, i] += r * e[b, j, i]


@njit(cache=True, nogil=True)
def move_weights(weight: Reals, change: Array, e: Array, exists: NDArray[np.bool_], low: float, high: float) -> None:
    """Add the changes to the weights that exist, within the bounds; then they are zero, as are negligible traces."""
    w, c, trace, real = weight.reshape(-1), change.reshape(-1), e.reshape(-1), exists.reshape(-1)
    for n in range(len(w)):
        w[n] = min(max(w[n] + c[n], low), high) if real[n] else 0.0
        c[n] = 0
        trace[n] = _kept(trace[n])
