"""Compiled loop of `SpikingNetwork`: every step of every agent between two updates of the weights.

It is driven by events: a spike adds its row of weights to a slot of `arrivals`, a ring over the longest delay. A spike
of step k (an input of row k, or a neuron that fired in step k - 1) arrives d - 1 steps later, where d >= 1 is the
delay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .neuron_kernels import Array, step_potentials, step_spikes

FIRST_SOURCE, END_SOURCE, FIRST_TARGET, NUM_TARGETS, RECEPTOR, SLOTS_AHEAD, FIRST_WEIGHT = range(7)
"""Columns of `projections`. Sources are numbered through: inputs, then neurons."""


class Wiring(NamedTuple):
    """What does not change: `populations` `[P, 2]` are ranges of neurons, then the tables described elsewhere."""

    populations: Array
    potential: Array
    firing: Array
    projections: Array


class Memory(NamedTuple):
    """What changes: the state of the neurons, `arrivals` `[B, slots, 2, N]`, and the last `spikes` `[B, N]`."""

    psp: Array
    v: Array
    current: Array
    threshold: Array
    refractory: Array
    arrivals: Array
    spikes: Array


@njit(cache=True, nogil=True)
def find_spikes(b: int, t: int, counts: Array, words: Array, last: Array, found: Array) -> int:
    """Write the numbers of the sources that spike in step t to `found`; how many they are.

    `words` `[T, B, W]` are the bytes `counts` `[T, B, 8 W]` taken eight at a time, most of which are zero.
    """
    number = 0
    for w in range(words.shape[2]):
        if words[t, b, w] != 0:
            for i in range(8 * w, 8 * w + 8):
                found[number] = i  # stays if it spikes; a branch would be mispredicted
                number += 1 if counts[t, b, i] > 0 else 0
    for n in range(last.shape[1]):
        if last[b, n] > 0:
            found[number] = counts.shape[2] + n
            number += 1
    return number


@njit(cache=True, nogil=True)
def send(
    b: int,
    t: int,
    slot: int,
    projections: Array,
    p: int,
    number: int,
    found: Array,
    counts: Array,
    last: Array,
    weights: Array,
    arrivals: Array,
) -> None:
    """Add the weights of projection p, row by row for the `number` sources `found`, to a slot of `arrivals`.

    Unsigned numbers of neurons keep the inner loop free of branches for negative ones.
    """
    num_inputs, size, receptor = counts.shape[2], projections[p, NUM_TARGETS], projections[p, RECEPTOR]
    begin, end = projections[p, FIRST_SOURCE], projections[p, END_SOURCE]
    first, first_weight = np.uint64(projections[p, FIRST_TARGET]), projections[p, FIRST_WEIGHT]
    for s in range(number):
        i = found[s]
        if begin <= i < end:
            at = np.uint64(first_weight + (i - begin) * size)
            for _ in range(counts[t, b, i] if i < num_inputs else last[b, i - num_inputs]):
                for q in range(np.uint64(size)):
                    arrivals[b, slot, receptor, first + q] += weights[b, at + q]


@njit(cache=True, nogil=True)
def run_network(
    wiring: Wiring,
    memory: Memory,
    weights: Array,
    first_slot: int,
    start: int,
    steps: int,
    counts: Array,
    words: Array,
    uniforms: Array,
    spikes: Array,
    bap: Array,
) -> None:
    """Simulate the steps [start, start + steps) of all agents.

    Args:
        wiring: see there.
        memory: changed in place.
        weights: of all projections, flat `[B, W]`.
        first_slot: slot of `arrivals` that belongs to the first step.
        start: first step.
        steps: how many.
        counts: spikes of the inputs, padded to multiples of 8 `[T, B, 8 V]`.
        words: the same memory as uint64 `[T, B, V]`.
        uniforms: random numbers `[B, steps * N]`, population by population.
        spikes: `[T, B, N]`, written.
        bap: `[T, B, N]`, written.
    """
    populations, potential, firing, projections = wiring
    psp, v, current, threshold, refractory, arrivals, last = memory
    num_inputs, num_slots, num_neurons = counts.shape[2], arrivals.shape[1], arrivals.shape[3]
    found = np.empty(num_inputs + num_neurons, np.int64)
    for b in range(spikes.shape[1]):
        for k in range(steps):
            t = start + k
            number = find_spikes(b, t, counts, words, last, found)
            for p in range(len(projections)):
                slot = (first_slot + k + projections[p, SLOTS_AHEAD]) % num_slots
                send(b, t, slot, projections, p, number, found, counts, last, weights, arrivals)
            slot = (first_slot + k) % num_slots
            for p in range(len(populations)):
                lo, hi = populations[p, 0], populations[p, 1]
                first = steps * lo + k * (hi - lo)
                step_potentials(b, lo, hi, potential, p, slot, arrivals, psp, v, current)
                step_spikes(b, lo, hi, firing, p, psp, v, threshold, refractory, first, uniforms, t, spikes, bap)
            for n in range(num_neurons):
                arrivals[b, slot, 0, n] = 0
                arrivals[b, slot, 1, n] = 0
                last[b, n] = spikes[t, b, n]
