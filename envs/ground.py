"""Grey value of the ground of a lane-following scene, by formula.

Across the road: asphalt with a broken line in the middle, solid white borders, then a verge with a texture of 5 cm
cells. A pixel sees a patch of ground, not a point: `blur_*` is the size of that patch, over which lines are averaged
exactly and the texture fades, so that distant lines do not flicker.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .track import CELL_M, GRID, MAX_SAMPLES, Track

ASPHALT, LINE, VERGE, SKY = 0.25, 0.95, 0.5, 0.75
TEXTURE = 0.3
"""The verge varies by half of this to either side."""
LINE_M = 0.04
BORDER_M = 0.5
DASH_M = 1.0
"""Period of the broken line, about: it divides the length of the road."""

_F, _U = np.float32, np.uint32
_ASPHALT, _LINE, _TEXTURE, _VERGE = _F(ASPHALT), _F(LINE), _F(TEXTURE), _F(VERGE - TEXTURE / 2)
_HALF, _INNER, _OUTER = _F(LINE_M / 2), _F(BORDER_M - LINE_M / 2), _F(BORDER_M + LINE_M / 2)
_FIRST, _LAST = np.int32(0), np.int32(GRID - 1)
_CELLS, _BYTE, _ZERO, _ONE, _MIDDLE = _F(1 / CELL_M), _F(1 / 255), _F(0), _F(1), _F(0.5)
NO_SAMPLE = MAX_SAMPLES - 1
"""Index of a sample far away from everything; the grid's -1 becomes this in two's complement."""


def ground_samples(track: Track) -> NDArray[np.float32]:
    """What the kernels read of a track: x, y, cos, sin, curvature as float32 `[MAX_SAMPLES, 5]`."""
    table = np.zeros((MAX_SAMPLES, 5), np.float32)
    table[: len(track.samples)] = track.samples[:, [0, 1, 2, 3, 5]]
    table[NO_SAMPLE] = 1e4, 1e4, 1, 0, 0
    return table


def dash_frequency(length_m: float) -> float:
    """Dashes per metre: a whole number of them fits into the road."""
    return max(1, round(length_m / DASH_M)) / length_m


@njit(cache=True, nogil=True, inline="always")
def cell_of(coordinate):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Index of the cell that holds a float32 coordinate in m."""
    return np.int32(np.floor(coordinate * _CELLS))


@njit(cache=True, nogil=True, inline="always")
def sample_of(grid, ox, oy, cx, cy):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Index of the sample nearest to a cell, `NO_SAMPLE` far from the road."""
    # Unsigned indices spare the compiler Python's negative ones.
    ix, iy = min(max(np.int32(cx - ox), _FIRST), _LAST), min(max(np.int32(cy - oy), _FIRST), _LAST)
    return _U(grid[_U(iy), _U(ix)]) & _U(NO_SAMPLE)


@njit(cache=True, nogil=True, inline="always")
def shade(dx, dy, c, s, curvature, before, cx, cy, cos, sin, blur_x, blur_y, detail, dashes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Grey value of a patch of ground, without branches and all in float32, so that loops around it are vectorised.

    Inputs:
        dx, dy: position relative to the nearest sample, m; c, s, curvature: that sample's direction and curvature.
        before: distance of the sample from the start of the road, m.
        cx, cy: cell of the patch, for the texture.
        cos, sin: direction of view; blur_x, blur_y: size of the patch along and across it, m.
        detail: contrast of the texture, in [0, 1].
        dashes: dashes per metre.
    """
    along = dx * c + dy * s
    d = dy * c - dx * s - _MIDDLE * curvature * along * along
    # Extent of the patch across the road.
    blur = abs(cos * c + sin * s) * blur_y + abs(cos * s - sin * c) * blur_x
    low, high, scale = abs(d) - _MIDDLE * blur, abs(d) + _MIDDLE * blur, _ONE / blur
    border = max(min(high, _OUTER) - max(low, _INNER), _ZERO) * scale
    verge = min(max(high - _OUTER, _ZERO) * scale, _ONE)
    middle = max(min(high, _HALF) - max(low, -_HALF), _ZERO) * scale
    phase = (before + along) * dashes
    middle = middle if phase - np.floor(phase) < _MIDDLE else _ZERO
    h = _U(_U(cx) * _U(0x9E3779B1)) ^ _U(_U(cy) * _U(0x85EBCA77))
    h = _U((h ^ (h >> _U(15))) * _U(0x2C1B3C6D))
    noise = _F(np.int32(h >> _U(24))) * _BYTE
    texture = _VERGE + _TEXTURE * (_MIDDLE + (noise - _MIDDLE) * detail)
    return _ASPHALT + (border + middle) * (_LINE - _ASPHALT) + verge * (texture - _ASPHALT)


def ground_grey(track: Track, points: NDArray[np.float64], blur_m: float = 1e-3) -> NDArray[np.float32]:
    """Grey values `[n]` in [0, 1] of the ground at `points` `[n, 2]` (m), lines averaged over `blur_m`."""
    out = np.empty(len(points), np.float32)
    spacing, dashes = track.length_m / len(track.samples), dash_frequency(track.length_m)
    road = ground_samples(track), track.grid, track.origin, np.float32(spacing), np.float32(dashes)
    _grey_points(*road, np.asarray(points, np.float32), np.float32(blur_m), out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _grey_points(samples, grid, origin, spacing, dashes, points, blur, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for n in range(points.shape[0]):
        x, y = points[n, 0], points[n, 1]
        cx, cy = cell_of(x), cell_of(y)
        i = sample_of(grid, np.int32(origin[0]), np.int32(origin[1]), cx, cy)
        dx, dy, c, s, curvature = (
            x - samples[i, 0],
            y - samples[i, 1],
            samples[i, 2],
            samples[i, 3],
            samples[i, 4],
        )
        before = _F(i) * spacing
        out[n] = shade(dx, dy, c, s, curvature, before, cx, cy, _ONE, _ZERO, blur, blur, _ONE, dashes)
