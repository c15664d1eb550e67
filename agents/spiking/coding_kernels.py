"""Compiled loops of encoders and decoders.

They are scalar and take numbers one after the other, so that the bits of an agent depend on its own numbers alone, not
on the agents beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .neuron_kernels import MOST_SPIKES
from .random_numbers import Streams, next_word

_UNIT = 2.0**-53

Array = NDArray[Any]


@njit(cache=True, nogil=True)
def _gap(a, b, c, d):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A number of the exponential distribution with mean 1, and the state after it."""
    word, a, b, c, d = next_word(a, b, c, d)
    return -math.log(((word >> np.uint64(11)) + np.uint64(1)) * _UNIT), a, b, c, d


@njit(cache=True, nogil=True)
def poisson_spikes(streams: Streams, rates_hz: Array, interval_s: float, spikes: Array) -> None:
    """Add the spikes of independent Poisson processes to `spikes`, uint8 `[T, B, N]`.

    The expected numbers of an agent's inputs lie end to end on a line, along which the spikes are one process of rate
    1; the place of a spike within its input's part is its time.

    Args:
        streams: `[B, 4]`; each goes on by one number for each spike, and one more.
        rates_hz: `[B, N]`.
        interval_s: length of the T steps together.
        spikes: a count that has reached 255 stays there.
    """
    steps = len(spikes)
    for row in range(len(rates_hz)):
        a, b, c, d = streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3]
        place, a, b, c, d = _gap(a, b, c, d)
        for n in range(rates_hz.shape[1]):
            expected = rates_hz[row, n] * interval_s
            while place < expected:
                t = min(int(place / expected * steps), steps - 1)
                if spikes[t, row, n] < MOST_SPIKES:
                    spikes[t, row, n] += 1
                gap, a, b, c, d = _gap(a, b, c, d)
                place += gap
            place -= expected
        streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3] = a, b, c, d


@njit(cache=True, nogil=True)
def all_within(values: Array, most: float) -> bool:
    """Whether all numbers `[B, N]` are from 0 to `most`; NaN is not."""
    right = True
    for b in range(values.shape[0]):
        for n in range(values.shape[1]):
            right &= 0 <= values[b, n] <= most
    return right


@njit(cache=True, nogil=True)
def limited(values: Array, factor: float, limit: float, out: Array) -> None:
    """Write min(factor values, limit) `[B, N]` to the first N columns of `out`."""
    for b in range(values.shape[0]):
        for n in range(values.shape[1]):
            out[b, n] = min(factor * values[b, n], limit)


@njit(cache=True, nogil=True)
def add_exploration(rates: Array, rest: float, inhibition: float, out: Array) -> None:
    """Copy `rates` `[B, N]` to `out` `[B, N + 1]`, and max(0, rest - inhibition sum) to its last column."""
    for b in range(rates.shape[0]):
        total = 0.0
        for n in range(rates.shape[1]):
            out[b, n] = rates[b, n]
            total += rates[b, n]
        out[b, rates.shape[1]] = max(rest - inhibition * total, 0.0)


@njit(cache=True, nogil=True)
def limited_vectors(directions: Array, rates: Array, gain: float, limit: float, out: Array) -> None:
    """Write to `out` `[B, 2]` gain times the sums of `directions` `[2, N]`, no longer than the limit."""
    for b in range(rates.shape[0]):
        x, y = 0.0, 0.0
        for n in range(rates.shape[1]):
            x += directions[0, n] * rates[b, n]
            y += directions[1, n] * rates[b, n]
        x, y = gain * x, gain * y
        length = math.sqrt(x * x + y * y)
        if length > limit:
            x, y = x * (limit / length), y * (limit / length)
        out[b, 0], out[b, 1] = min(max(x, -limit), limit), min(max(y, -limit), limit)


@njit(cache=True, nogil=True)
def filter_rewards(constants: Array, reward: Array, past: Array, out: Array) -> None:
    """One control step of `RewardFilter`.

    Args:
        constants: what is subtracted (1: the mean), what is divided by (0: nothing, 1: the mean, 2: the standard
            deviation), the least divisor, and the decays of the smoothed reward and of the mean.
        reward: `[B]`.
        past: smoothed reward, weight, mean and square `[4, B]`, brought up to date.
        out: `[B]`, written.
    """
    subtracts, divisor, floor, smooth_decay, mean_decay = constants
    for b in range(len(reward)):
        r = reward[b]
        s = r if past[1, b] == 0 else r + smooth_decay * (past[0, b] - r)
        weight = mean_decay * past[1, b] + 1
        apart = s - past[2, b]
        mean = past[2, b] + apart / weight
        square = mean_decay * past[3, b] + apart * (s - mean)
        past[0, b], past[1, b], past[2, b], past[3, b] = s, weight, mean, square
        value = s - subtracts * mean
        if divisor == 1:
            value /= max(mean, floor)
        elif divisor == 2:
            value /= max(math.sqrt(square / weight), floor)
        out[b] = value


@njit(cache=True, nogil=True)
def gaussian_bumps(places: Array, width: float, bumps: Array) -> None:
    """exp(-(x - k)^2 / (2 width^2)) of the places x `[B, D]` for k = 0, 1, ... into `bumps` `[B, D, K]`."""
    for b in range(bumps.shape[0]):
        for d in range(bumps.shape[1]):
            for k in range(bumps.shape[2]):
                apart = (places[b, d] - k) / width
                bumps[b, d, k] = math.exp(-0.5 * apart * apart)


@njit(cache=True, nogil=True)
def low_pass(decay: float, step: float, spikes: Array, activity: Array) -> None:
    """Activities `[B, N]` after T steps: each is multiplied by `decay`, plus `step` times `spikes` `[T, B, N]`."""
    for t in range(spikes.shape[0]):
        for b in range(spikes.shape[1]):
            for n in range(spikes.shape[2]):
                activity[b, n] = decay * activity[b, n] + step * spikes[t, b, n]


@njit(cache=True, nogil=True)
def weighted_sums(matrix: Array, values: Array, sums: Array) -> None:
    """`sums` `[B, A]`: of `values` `[B, N]` times each row of `matrix` `[A, N]`, from the first to the last."""
    for b in range(sums.shape[0]):
        for m in range(sums.shape[1]):
            total = 0.0
            for n in range(matrix.shape[1]):
                total += matrix[m, n] * values[b, n]
            sums[b, m] = total
