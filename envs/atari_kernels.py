"""Compiled preprocessing of Atari frames: maximum of two, shrunk by area."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

ROUNDING = 1e-9
"""Overlaps below it, in pixels, are none."""


class AreaWeights(NamedTuple):
    """How much of each input pixel lies in an output pixel, along one axis.

    Attributes:
        first: first input pixel of each output pixel `[n]`.
        share: of it and of those that follow `[n, K]`; the shares of an output pixel sum to 1.
    """

    first: NDArray[np.int64]
    share: NDArray[np.float32]


def area_weights(size_in: int, size_out: int) -> AreaWeights:
    """Weights that shrink `size_in` pixels to `size_out`."""
    edges, pixel = np.arange(size_out + 1) * (size_in / size_out), np.arange(size_in)
    overlap = np.minimum(pixel + 1, edges[1:, None]) - np.maximum(pixel, edges[:-1, None])
    overlap[overlap < ROUNDING] = 0
    most = int((overlap > 0).sum(axis=1).max())
    first = np.minimum((overlap > 0).argmax(axis=1), size_in - most)
    share = np.take_along_axis(overlap, first[:, None] + np.arange(most), axis=1)
    return AreaWeights(first.astype(np.int64), (share * (size_out / size_in)).astype(np.float32))


@njit(cache=True)
def shrink(
    before: NDArray[np.uint8],
    last: NDArray[np.uint8],
    rows: AreaWeights,
    columns: AreaWeights,
    out: NDArray[np.uint8],
) -> None:
    """Write the maximum of two frames `[H, W, C]`, shrunk, into `out` `[h, w, C]`; ties are rounded to even."""
    _, width, channels = last.shape
    line = np.empty((width, channels), np.float32)
    for y in range(out.shape[0]):
        line[:] = 0
        for k in range(rows.share.shape[1]):
            share, row = rows.share[y, k], rows.first[y] + k
            if share > 0:
                for x in range(width):
                    for c in range(channels):
                        line[x, c] += share * max(before[row, x, c], last[row, x, c])
        for x in range(out.shape[1]):
            for c in range(channels):
                total = np.float32(0)
                for k in range(columns.share.shape[1]):
                    total += columns.share[x, k] * line[columns.first[x] + k, c]
                out[y, x, c] = np.uint8(np.rint(total))
