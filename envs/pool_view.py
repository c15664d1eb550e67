"""What the swimmer sees of the pool, and the pool from above: by formula, without rays through a scene and OpenGL.

The eye is at the water line, in the swimmer's centre. It sees the wall up to its rim and the dark room above. The water
is opaque: nothing of the platform is seen. All heights are shares of the pool's radius, so that a larger pool looks the
same from places at the same share of its radius.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import checked_integer

from .pool import BODY_M, PLATFORM_M
from .retina import CAMERA_SIZE, Averager, average, check_retina_size

Floats = NDArray[np.float64]

FIELD_DEG = 240.0
"""The columns of the view are equally wide, from 120 degrees on the left to 120 degrees on the right."""
SLOPE = 0.75
"""Height over distance at the upper edge of the view; the lower edge is the water line."""
WALL_HEIGHT = 0.5
"""Of the wall above the water."""
WALL_GREY, ROOM_GREY = 153 / 255, 77 / 255
CUES = ("black", "white", "stripes", "halves")
"""In the east (x > 0), north, west and south: black, white, five upright stripes, white above black."""
CUE_RAD = float(np.deg2rad(20))
"""Half a cue's width on the wall; it is a tenth of the wall's height away from water and rim."""
AZIMUTHS, HEIGHTS = 512, 64
"""Cells of the wall's picture, all around from -180 degrees and from the water to the rim."""
_RIM = np.int32(HEIGHTS)


def wall_grey(azimuth: NDArray[Any], height: NDArray[Any], cues: int) -> Floats:
    """Grey values of the wall at azimuths (rad) and heights (shares of its own), with the first `cues` of `CUES`."""
    grey = np.full(np.broadcast(azimuth, height).shape, WALL_GREY)
    inside = (height > 0.1) & (height < 0.9)
    for k in range(cues):
        across = ((azimuth - k * pi / 2 + pi) % (2 * pi) - pi) / CUE_RAD
        stripe = np.floor((across + 1) * 2.5) % 2
        pattern = (np.zeros_like(grey), np.ones_like(grey), stripe + 0 * height, (height > 0.5) + 0 * azimuth)[k]
        grey = np.where(inside & (np.abs(across) < 1), pattern, grey)
    return grey


def wall_picture(cues: int) -> NDArray[np.float32]:
    """The wall `[AZIMUTHS, HEIGHTS + 1]` as the view looks it up; the last column is the room above."""
    azimuth, height = (np.arange(AZIMUTHS) + 0.5) * (2 * pi / AZIMUTHS) - pi, (np.arange(HEIGHTS) + 0.5) / HEIGHTS
    picture = np.full((AZIMUTHS, HEIGHTS + 1), ROOM_GREY, np.float32)
    picture[:, :HEIGHTS] = wall_grey(azimuth[:, None], height[None], cues)
    return picture


class PoolRetina:
    """Grey images in [0, 1], averaged from a camera of 32 x 128 pixels and quantised to k/255.

    Args:
        size: rows and columns.
        radius_m: of the pool.
        cues: how many of `CUES` are on the wall.
    """

    def __init__(self, size: Sequence[int], radius_m: float, cues: int) -> None:
        self.cues = checked_integer("cues", cues, 0, len(CUES))
        self._averager, self._radius_m = Averager(check_retina_size(size)), radius_m
        self.size = self._averager.size
        self._picture = wall_picture(self.cues).reshape(-1)
        rows, columns = CAMERA_SIZE
        angles = np.deg2rad(FIELD_DEG) * (0.5 - (np.arange(columns) + 0.5) / columns)
        self._columns = np.stack([np.cos(angles), np.sin(angles)])
        slopes = SLOPE * (1 - (np.arange(rows) + 0.5) / rows)
        self._cells = (slopes * (HEIGHTS / (WALL_HEIGHT * radius_m))).astype(np.float32)

    def render(self, poses: Floats) -> NDArray[np.float32]:
        """Images `[n, rows, columns]` from x, y (m), heading (rad) `[n, 3]`."""
        a = self._averager
        out = np.empty((len(poses), *a.size), np.float32)
        averaging = (a.block, a.rows, a.row_weights, a.columns, a.column_weights)
        _render_pool(poses, self._radius_m, self._columns, self._cells, self._picture, averaging, out)
        return out


@njit(cache=True, nogil=True)
def _render_pool(poses, radius_m, columns, cells, picture, averaging, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    block, rows, row_weights, columns_of, column_weights = averaging
    width = columns.shape[1]
    image, far, first = (
        np.empty((len(cells), width), np.float32),
        np.empty(width, np.float32),
        np.empty(width, np.int32),
    )
    for b in range(len(poses)):
        x, y = poses[b, 0], poses[b, 1]
        cos, sin = np.cos(poses[b, 2]), np.sin(poses[b, 2])
        room = max(radius_m * radius_m - x * x - y * y, 0.0)
        for c in range(width):
            dx, dy = cos * columns[0, c] - sin * columns[1, c], sin * columns[0, c] + cos * columns[1, c]
            along = x * dx + y * dy
            # The wall is where |(x, y) + distance (dx, dy)| is the radius.
            distance = np.sqrt(along * along + room) - along
            azimuth = np.arctan2(y + distance * dy, x + distance * dx)
            far[c] = distance
            first[c] = min(int((azimuth / (2 * pi) + 0.5) * AZIMUTHS), AZIMUTHS - 1) * (HEIGHTS + 1)
        for r in range(len(cells)):
            for c in range(width):
                # Unsigned indices spare the compiler Python's negative ones.
                image[r, c] = picture[np.uint32(first[c] + min(np.int32(cells[r] * far[c]), _RIM))]
        average(image, block, rows, row_weights, columns_of, column_weights, out[b])


def draw_pool(pose: Floats, platform_m: Floats, radius_m: float, cues: int) -> NDArray[np.uint8]:
    """The pool from above `[240, 320, 3]`, y up: swimmer, platform, and the wall's cues as a ring around it.

    Args:
        pose: x, y (m), heading (rad) of the swimmer, `[3]`.
        platform_m: its centre `[2]`.
        radius_m: of the pool.
        cues: how many of `CUES` are on the wall.
    """
    y, x = np.mgrid[119.5:-120:-1, -159.5:160] * (2.3 * radius_m / 240)
    away, azimuth = np.sqrt(x * x + y * y), np.arctan2(y, x)
    frame = np.full((240, 320, 3), round(255 * ROOM_GREY), np.uint8)
    ring = away < 1.1 * radius_m
    # The ring's inner edge is the foot of the wall, the outer one its rim.
    frame[ring] = np.round(255 * wall_grey(azimuth, (away / radius_m - 1) * 10, cues))[ring, None]
    frame[away < radius_m] = 170, 200, 220
    frame[np.sqrt((x - platform_m[0]) ** 2 + (y - platform_m[1]) ** 2) < PLATFORM_M] = 51, 178, 77
    nose = pose[:2] + BODY_M * np.array([np.cos(pose[2]), np.sin(pose[2])])
    for (px, py), size, colour in ((pose[:2], BODY_M, (60, 60, 60)), (nose, BODY_M / 2, (217, 51, 38))):
        frame[np.sqrt((x - px) ** 2 + (y - py) ** 2) < size] = colour
    return frame
