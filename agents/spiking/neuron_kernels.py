"""Compiled loops of `PoissonDoubleExpNeurons`: the neurons of a population in one step, and in many.

A population is the range [lo, hi) of the neurons of one agent; its numbers are a row of each of two tables,
`potential` in the precision of the state and `firing` in float64. Loops are scalar, so that what a neuron does depends
on its own values alone; what decides about spikes is float64 whatever the state is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

RISE_EXC, FALL_EXC, RISE_INH, FALL_INH, SCALE_EXC, SCALE_INH, CONDUCTANCE, I_E = range(8)
"""Columns of `potential`; the first four are decays per step, and number the rows of a PSP state as well."""
C1, C2, C3, STEP_S, LEAK, JUMP, DEAD_STEPS, RESETS = range(8)
"""Columns of `firing`: the rate, the step in s, the threshold's change per step and per spike, and what follows one."""
MOST_EXPECTED = 100.0
"""Spikes that a neuron without dead time expects in one step at most: a byte holds what it then draws."""
MOST_SPIKES = 255

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def poisson(expected: float, uniform: float) -> int:
    """A Poisson number with mean `expected` <= `MOST_EXPECTED`, by inversion of one uniform number."""
    count, term = 0, math.exp(-expected)
    below = term
    while uniform >= below and count < MOST_SPIKES:
        count += 1
        term *= expected / count
        below += term
    return count


@njit(cache=True, nogil=True)
def step_potentials(
    b: int, lo: int, hi: int, table: Array, p: int, slot: int, arrivals: Array, psp: Array, v: Array, current: Array
) -> None:
    """One step of the potentials of the neurons [lo, hi) of agent b, whose numbers are row p of `potential`.

    The weights that arrive are those of one slot of `arrivals` `[B, slots, 2, N]`: excitatory, inhibitory. Unsigned
    numbers of neurons keep the loops free of branches for negative ones, so that the compiler vectorises them.
    """
    rise_exc, fall_exc = table[p, RISE_EXC], table[p, FALL_EXC]
    rise_inh, fall_inh = table[p, RISE_INH], table[p, FALL_INH]
    scale_exc, scale_inh = table[p, SCALE_EXC], table[p, SCALE_INH]
    conductance, i_e = table[p, CONDUCTANCE], table[p, I_E]
    for j in range(np.uint64(lo), np.uint64(hi)):
        psp[b, RISE_EXC, j] = psp[b, RISE_EXC, j] * rise_exc + arrivals[b, slot, 0, j]
        psp[b, FALL_EXC, j] = psp[b, FALL_EXC, j] * fall_exc + arrivals[b, slot, 0, j]
    for j in range(np.uint64(lo), np.uint64(hi)):
        psp[b, RISE_INH, j] = psp[b, RISE_INH, j] * rise_inh + arrivals[b, slot, 1, j]
        psp[b, FALL_INH, j] = psp[b, FALL_INH, j] * fall_inh + arrivals[b, slot, 1, j]
    for j in range(np.uint64(lo), np.uint64(hi)):
        v[b, j] = (
            scale_exc * (psp[b, FALL_EXC, j] - psp[b, RISE_EXC, j])
            + scale_inh * (psp[b, FALL_INH, j] - psp[b, RISE_INH, j])
            + conductance * (current[b, j] + i_e)
        )


@njit(cache=True, nogil=True)
def step_spikes(
    b: int,
    lo: int,
    hi: int,
    table: Array,
    p: int,
    psp: Array,
    v: Array,
    threshold: Array,
    refractory: Array,
    first: int,
    uniforms: Array,
    t: int,
    spikes: Array,
    bap: Array,
) -> None:
    """Thresholds and spikes of the neurons [lo, hi) of agent b in step t, after `step_potentials`.

    `spikes` and `bap` `[T, B, N]` are written. Neuron lo has the random number `first` of `uniforms` `[B, ...]`, the
    next neuron the next.
    """
    c1, c2, c3, step_s = table[p, C1], table[p, C2], table[p, C3], table[p, STEP_S]
    leak, jump, dead_steps, resets = table[p, LEAK], table[p, JUMP], int(table[p, DEAD_STEPS]), table[p, RESETS] != 0
    for j in range(lo, hi):
        threshold[b, j] -= leak
        spikes[t, b, j] = 0
        if refractory[b, j] > 0:
            refractory[b, j] -= 1
            bap[t, b, j] = 0
            continue
        above = v[b, j] - threshold[b, j]
        rate = c1 * above
        if c2 != 0:  # an infinite rate is one; zero times infinity is none
            rate += c2 * math.exp(c3 * above)
        expected = max(rate * step_s, 0.0)
        uniform = uniforms[b, first + j - lo]
        if dead_steps > 0:
            expected = -math.expm1(-expected)
            count = 1 if uniform < expected else 0
        else:
            expected = min(expected, MOST_EXPECTED)
            count = poisson(expected, uniform)
        bap[t, b, j] = count - expected
        if count > 0:
            spikes[t, b, j] = count
            refractory[b, j] = dead_steps
            threshold[b, j] += count * jump
            if resets:
                for k in range(4):
                    psp[b, k, j] = 0
                v[b, j] = 0


@njit(cache=True, nogil=True)
def advance_neurons(
    potential: Array,
    firing: Array,
    psp: Array,
    v: Array,
    current: Array,
    threshold: Array,
    refractory: Array,
    arrivals: Array,
    incoming: Array,
    uniforms: Array,
    spikes: Array,
    bap: Array,
) -> None:
    """T steps of the neurons of B agents.

    `arrivals` `[B, T, 2, N]` and `incoming`, the currents `[T, B, N]`, go in; `uniforms` are `[B, T * N]`.
    """
    steps, batch_size, size = incoming.shape
    for b in range(batch_size):
        for t in range(steps):
            step_potentials(b, 0, size, potential, 0, t, arrivals, psp, v, current)
            step_spikes(b, 0, size, firing, 0, psp, v, threshold, refractory, t * size, uniforms, t, spikes, bap)
            for j in range(size):
                current[b, j] = incoming[t, b, j]
