"""What a camera straight above sees of a dark disk on a bright square floor: exact areas, no rays, no OpenGL."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .retina import LEVELS

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def quarter_area(x, y, radius):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Area of the part of the disk about the origin that lies left of `x` and below `y`.

    With `half(t) = r^2 (pi/2 + asin(t/r)) + t sqrt(r^2 - t^2)`, the area left of t, and the corner inside the disk, it
    is `(half(x) + half(y)) / 2 + x y - pi r^2 / 4`; outside, one or both of the lines cut off nothing of the other's.
    """
    x, y = min(max(x, -radius), radius), min(max(y, -radius), radius)
    left = radius**2 * (np.pi / 2 + np.arcsin(x / radius)) + x * np.sqrt(radius**2 - x**2)
    below = radius**2 * (np.pi / 2 + np.arcsin(y / radius)) + y * np.sqrt(radius**2 - y**2)
    if x**2 + y**2 < radius**2:
        return (left + below) / 2 + x * y - np.pi * radius**2 / 4
    if x >= 0:
        return left + below - np.pi * radius**2 if y >= 0 else below
    return left if y >= 0 else 0.0


@njit(cache=True, nogil=True)
def disk_coverage(centres, radius, half_side, pixels):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Share of each pixel that a disk covers.

    Args:
        centres: x and y of the disks, m, `[n, 2]`.
        radius: of the disks, m.
        half_side: the camera sees the square from `-half_side` to `half_side` along x and y, m.
        pixels: number of rows, and of columns.

    Returns:
        `[n, pixels, pixels]` in [0, 1]; row 0 is at the greatest y, column 0 at the smallest x.
    """
    out = np.zeros((len(centres), pixels, pixels))
    side = 2 * half_side / pixels
    for b in range(len(centres)):
        # From the picture's left and upper edge.
        x, y = centres[b, 0] + half_side, half_side - centres[b, 1]
        first, stop = max(int((x - radius) // side), 0), min(int((x + radius) // side) + 1, pixels)
        for r in range(max(int((y - radius) // side), 0), min(int((y + radius) // side) + 1, pixels)):
            upper, lower = r * side - y, (r + 1) * side - y
            edge = first * side - x
            before = quarter_area(edge, lower, radius) - quarter_area(edge, upper, radius)
            for c in range(first, stop):
                edge = (c + 1) * side - x
                after = quarter_area(edge, lower, radius) - quarter_area(edge, upper, radius)
                out[b, r, c] = min(max((after - before) / side**2, 0.0), 1.0)
                before = after
    return out


@njit(cache=True, nogil=True)
def grey_images(coverage, floor, disk):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Images float32 `[n, H, W]` with values k/255, as of an 8-bit camera, from coverages and the two grey values."""
    out = np.empty(coverage.shape, np.float32)
    for b in range(coverage.shape[0]):
        for r in range(coverage.shape[1]):
            for c in range(coverage.shape[2]):
                out[b, r, c] = LEVELS[int((floor + (disk - floor) * coverage[b, r, c]) * 255 + 0.5)]
    return out


@njit(cache=True, nogil=True)
def axis_sums(images):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Sums over each row and then over each column of images `[n, H, W]`: float32 `[n, H + W]`."""
    # A loop, because NumPy adds in an order that may depend on the number of images.
    n, rows, columns = images.shape
    out = np.empty((n, rows + columns), np.float32)
    for b in range(n):
        sums = np.zeros(rows + columns)
        for r in range(rows):
            for c in range(columns):
                sums[r] += images[b, r, c]
                sums[rows + c] += images[b, r, c]
        out[b] = sums
    return out
