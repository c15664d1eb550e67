"""Random numbers for compiled loops: one stream for each agent, as four words of an array.

The generator is xoshiro256++ (Blackman and Vigna 2021, "Scrambled linear pseudorandom number generators", ACM TOMS
47), started from a stream of `neuroctl.streams`, so that a stream depends on its key alone. Normal numbers are made by
the ziggurat of Doornik (2005, "An improved ziggurat method to generate normal random samples"), after Marsaglia and
Tsang (2000). An array of streams is all of their state.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream

LAYERS = 128
TAIL = 3.442619855899
"""Where the lowest layer of the ziggurat ends and the tail begins."""
AREA = 9.91256303526217e-3
"""Of each layer under exp(-x^2 / 2)."""
_UNIT = 2.0**-53

Streams = NDArray[np.uint64]
"""`[B, 4]`, a row for each agent."""


def make_streams(seed: int, name: str, agents: int) -> Streams:
    """The streams `[agents, 4]` keyed by (seed, name, agent)."""
    rows = [stream(seed, name, b).integers(2**64, size=4, dtype=np.uint64) for b in range(agents)]
    return np.stack(rows)


def checked_streams(owner: str, value: Any, agents: int) -> Streams:
    """A copy of `value`, if it is the streams of `agents` agents.

    Raises:
        NeuroctlError: it is something else.
    """
    words = np.asarray(value)
    if words.dtype != np.uint64 or words.shape != (agents, 4):
        raise NeuroctlError(f"streams of {owner} are {words.dtype} {words.shape}; needed: uint64 {(agents, 4)}")
    if not words.any(axis=1).all():
        raise NeuroctlError(f"a stream of {owner} is all zeros: no generator has such a state")
    return words.copy()


def _widths() -> NDArray[np.float64]:
    """x_0 to x_LAYERS: the right edges of the layers from the lowest, which is as wide as its area over its height."""
    edges = [AREA / math.exp(-0.5 * TAIL * TAIL), TAIL]
    while len(edges) < LAYERS:
        edges.append(math.sqrt(-2 * math.log(AREA / edges[-1] + math.exp(-0.5 * edges[-1] ** 2))))
    return np.array([*edges, 0.0])


EDGES = _widths()
INSIDE = EDGES[1:] / EDGES[:-1]
"""Share of each layer that lies under the curve at every height."""


@njit(cache=True, nogil=True, inline="always")
def next_word(a, b, c, d):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """A word of 64 random bits, and the state after it."""
    total = a + d
    word = ((total << np.uint64(23)) | (total >> np.uint64(41))) + a
    shifted = b << np.uint64(17)
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = (d << np.uint64(45)) | (d >> np.uint64(19))
    return word, a, b, c, d


@njit(cache=True, nogil=True)
def _beyond_tail(a, b, c, d):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """A proposal for the distance beyond the tail's beginning, the number that decides about it, and the state."""
    word, a, b, c, d = next_word(a, b, c, d)
    beyond = -math.log1p(-((word >> np.uint64(11)) * _UNIT)) / TAIL
    word, a, b, c, d = next_word(a, b, c, d)
    return beyond, -math.log1p(-((word >> np.uint64(11)) * _UNIT)), a, b, c, d


@njit(cache=True, nogil=True)
def fill_uniforms(streams: Streams, out: NDArray[np.floating]) -> None:
    """Fill `out` `[B, n]` with numbers from [0, 1), row b from stream b."""
    for row in range(len(out)):
        a, b, c, d = streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3]
        for n in range(out.shape[1]):
            word, a, b, c, d = next_word(a, b, c, d)
            out[row, n] = (word >> np.uint64(11)) * _UNIT
        streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3] = a, b, c, d


@njit(cache=True, nogil=True)
def fill_normals(streams: Streams, out: NDArray[np.floating]) -> None:
    """Fill `out` `[B, n]` with numbers of the standard normal distribution, row b from stream b."""
    for row in range(len(out)):
        a, b, c, d = streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3]
        for n in range(out.shape[1]):
            while True:
                word, a, b, c, d = next_word(a, b, c, d)
                layer = np.int64(word & np.uint64(LAYERS - 1))  # low bits choose the layer, high ones the place in it
                u = (word >> np.uint64(11)) * (2 * _UNIT) - 1
                if abs(u) < INSIDE[layer]:
                    out[row, n] = u * EDGES[layer]
                    break
                if layer == 0:
                    beyond, height, a, b, c, d = _beyond_tail(a, b, c, d)
                    while 2 * height <= beyond * beyond:
                        beyond, height, a, b, c, d = _beyond_tail(a, b, c, d)
                    out[row, n] = TAIL + beyond if u > 0 else -TAIL - beyond
                    break
                word, a, b, c, d = next_word(a, b, c, d)
                x = u * EDGES[layer]
                below = math.exp(0.5 * (x * x - EDGES[layer] ** 2))
                above = math.exp(0.5 * (x * x - EDGES[layer + 1] ** 2))
                if above + (word >> np.uint64(11)) * _UNIT * (below - above) < 1:
                    out[row, n] = x
                    break
        streams[row, 0], streams[row, 1], streams[row, 2], streams[row, 3] = a, b, c, d
