"""exp of many numbers at once, for compiled loops: a row without a branch, which the compiler vectorises.

exp(x) = 2^k exp(r), where k is the integer nearest to x / ln 2 and |r| <= ln 2 / 2; exp(r) is its Taylor polynomial,
and 2^k is made of its bits. What comes out for a number depends on that number alone. The relative error is below
1e-15.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

BLOCK = 512
"""Numbers at a time: all buffers fit in the nearest cache."""
LEAST, MOST = -708.0, 709.0
"""Beyond these, exp is no normal number; x is moved to them."""
_ROUND = 1.5 * 2.0**52
"""A float that is added to this has its nearest integer in the low bits of the sum."""
_PER_LN2 = 1 / math.log(2)
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")
"""ln 2 cut to 32 bits, so that k times it is exact."""
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")
"""What is left of ln 2."""

Reals = NDArray[np.float64]


@njit(cache=True, nogil=True, inline="always")
def exponentials(x, shift, count, powers, words, rest, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write exp(x - shift) of the first `count` numbers to `out`.

    Args:
        x: `[n]`.
        shift: subtracted from each.
        count: at most n and `BLOCK`.
        powers: float64 `[BLOCK]`, overwritten.
        words: the same memory as int64.
        rest: float64 `[BLOCK]`, overwritten.
        out: float64 `[BLOCK]`, written.
    """
    for j in range(np.uint64(count)):
        rest[j] = min(max(x[j] - shift, LEAST), MOST)
    for j in range(np.uint64(count)):
        powers[j] = rest[j] * _PER_LN2 + _ROUND
    for j in range(np.uint64(count)):
        k = powers[j] - _ROUND
        rest[j] = (rest[j] - k * _LN2_HIGH) - k * _LN2_LOW
    for j in range(np.uint64(count)):
        words[j] = (words[j] + 1023) << 52
    for j in range(np.uint64(count)):
        r = rest[j]
        total = 1 / 479001600 * r + 1 / 39916800
        total = total * r + 1 / 3628800
        total = total * r + 1 / 362880
        total = total * r + 1 / 40320
        total = total * r + 1 / 5040
        total = total * r + 1 / 720
        total = total * r + 1 / 120
        total = total * r + 1 / 24
        total = total * r + 1 / 6
        total = total * r + 0.5
        total = total * r + 1
        out[j] = (total * r + 1) * powers[j]


@njit(cache=True, nogil=True)
def buffers() -> tuple[Reals, NDArray[np.int64], Reals, Reals]:
    """New `powers`, `words`, `rest` and `out` for `exponentials`."""
    powers = np.empty(BLOCK)
    return powers, powers.view(np.int64), np.empty(BLOCK), np.empty(BLOCK)
