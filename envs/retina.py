"""Retinas: small grey images in [0, 1], without OpenGL, equal on every run.

A camera of 32 x 128 pixels sees the scene; its image is averaged over areas to the retina's size and quantised to
k/255, as an 8-bit camera would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .ground import SKY, cell_of, sample_of, shade
from .track_atlas import TrackAtlas
from .vector_tools import array_of

CAMERA_SIZE = (32, 128)
_W = CAMERA_SIZE[1]
LEVELS = np.arange(256, dtype=np.float32) / np.float32(255)
"""The grey values an 8-bit camera can return."""

Floats = NDArray[np.float64]


def ray_directions(fovy_deg: float, size: tuple[int, int] = CAMERA_SIZE) -> Floats:
    """Directions through the pixel centres of a MuJoCo camera, in its frame (x right, y up, looks along -z).

    Returns:
        `[rows, columns, 3]` with z = -1, row 0 on top.
    """
    rows, columns = size
    half = np.tan(np.deg2rad(fovy_deg) / 2)
    up = half * (1 - (2 * np.arange(rows) + 1) / rows)
    right = half * columns / rows * ((2 * np.arange(columns) + 1) / columns - 1)
    out = np.full((rows, columns, 3), -1.0)
    out[..., 0], out[..., 1] = right[None, :], up[:, None]
    return out


def area_weights(size: int, target: int) -> NDArray[np.float32]:
    """Weights `[target, size]` that average `size` pixels over `target` equal stretches; each row sums to 1."""
    edges = np.arange(target + 1) * (size / target)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: NDArray[np.float32] = (np.maximum(overlap, 0) * (target / size)).astype(np.float32)
    return weights


def check_retina_size(size: Any, camera: tuple[int, int] = CAMERA_SIZE) -> tuple[int, int]:
    """`size` as (rows, columns).

    Raises:
        NeuroctlError: not two whole numbers between 1 and the camera's size.
    """
    values = array_of(size)
    whole = values is not None and values.shape == (2,) and values.dtype.kind in "iu"
    if values is None or not whole or (values < 1).any() or (values > camera).any():
        raise NeuroctlError(f"retina_size is {shown(size)}; allowed: (rows, columns) from (1, 1) to {camera}")
    return int(values[0]), int(values[1])


class Averager:
    """Averages camera images over areas and quantises them to k/255."""

    def __init__(self, size: tuple[int, int], camera: tuple[int, int] = CAMERA_SIZE) -> None:
        self.size = check_retina_size(size, camera)
        # Each camera pixel overlaps at most two areas along an axis: the first, and its weight in both.
        self.rows, self.row_weights = _overlaps(area_weights(camera[0], size[0]))
        self.columns, self.column_weights = _overlaps(area_weights(camera[1], size[1]))
        whole = camera[0] % size[0] == 0 and camera[1] % size[1] == 0
        self.block = (camera[0] // size[0], camera[1] // size[1]) if whole else (0, 0)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The retina `[rows, columns]` of a camera image."""
        out = np.empty(self.size, np.float32)
        average(image, self.block, self.rows, self.row_weights, self.columns, self.column_weights, out)
        return out


def _overlaps(weights: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    first = np.argmax(weights > 0, axis=0)
    second = np.minimum(first + 1, len(weights) - 1)
    pixel = np.arange(weights.shape[1])
    after = np.where(second > first, weights[second, pixel], 0)
    return first, np.stack([weights[first, pixel], after], axis=1).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def average(image, block, rows, row_weights, columns, column_weights, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the averaged, quantised `image` to `out`."""
    height, width = block
    if height > 0:
        scale = np.float32(255.0 / (height * width))
        column = np.empty(image.shape[1], np.float32)
        for r in range(out.shape[0]):
            column[:] = image[r * height]
            for i in range(1, height):
                for c in range(image.shape[1]):
                    column[c] += image[r * height + i, c]
            for c in range(out.shape[1]):
                total = np.float32(0)
                for j in range(width):
                    total += column[c * width + j]
                out[r, c] = LEVELS[min(max(int(total * scale + np.float32(0.5)), 0), 255)]
        return
    sums = np.zeros((out.shape[0] + 1, out.shape[1] + 1), np.float32)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            r, c, value = rows[i], columns[j], image[i, j]
            left, right = value * column_weights[j, 0], value * column_weights[j, 1]
            sums[r, c] += row_weights[i, 0] * left
            sums[r, c + 1] += row_weights[i, 0] * right
            sums[r + 1, c] += row_weights[i, 1] * left
            sums[r + 1, c + 1] += row_weights[i, 1] * right
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            out[r, c] = LEVELS[min(max(int(sums[r, c] * np.float32(255) + np.float32(0.5)), 0), 255)]


class PlaneRetina:
    """A camera that is rigidly mounted on a vehicle in the plane and sees nothing but textured ground and sky.

    The points of the ground that its pixels see are constant in the vehicle's frame, so a frame is a rotation, a
    look-up of the nearest road sample and a formula per pixel: one compiled call for all rows.

    Args:
        forward_m: distance of the camera ahead of the vehicle's reference point.
        height_m: height above the ground.
        pitch_deg: how far it looks down.
        fovy_deg: vertical field of view.
        size: rows and columns of the retina.
    """

    def __init__(
        self,
        *,
        forward_m: float,
        height_m: float,
        pitch_deg: float,
        fovy_deg: float,
        size: tuple[int, int] = (16, 64),
    ) -> None:
        self._averager = Averager(size)
        rays, pitch = ray_directions(fovy_deg), np.deg2rad(pitch_deg)
        ahead = np.cos(pitch) + rays[..., 1] * np.sin(pitch)
        down = np.sin(pitch) - rays[..., 1] * np.cos(pitch)
        self._ground_row = int(np.argmax(down[:, 0] > 1e-3))
        down = np.maximum(down, 1e-3)
        reach = height_m / down
        # Ground covered by a pixel: across the view, and along it, where it looks flatter.
        across = reach * (2 * np.tan(np.deg2rad(fovy_deg) / 2) / CAMERA_SIZE[0])
        along = across / down
        table = [
            forward_m + reach * ahead,
            -reach * rays[..., 0],
            along,
            across,
            np.minimum(1, 0.05 / np.sqrt(along * across)),
        ]
        self._pixels = np.ascontiguousarray(np.stack(table).astype(np.float32))

    def render(self, atlas: TrackAtlas, rows: NDArray[np.intp], poses: Floats) -> NDArray[np.float32]:
        """Retinas of vehicles on the tracks of `rows`.

        Args:
            atlas: tracks.
            rows: row of each pose in the atlas, `[n]`.
            poses: x, y (m), yaw (rad) of the vehicles, `[n, 3+]`.

        Returns:
            `[n, rows, columns]`, values k/255.
        """
        a = self._averager
        out = np.empty((len(rows), *a.size), np.float32)
        _render_plane(
            (atlas.ground, atlas.grids, atlas.origins, atlas.spacings, atlas.dashes, atlas.slots[rows]),
            self._pixels, self._ground_row, poses,
            (a.block, a.rows, a.row_weights, a.columns, a.column_weights), out,
        )  # fmt: skip
        return out


@njit(cache=True, nogil=True, error_model="numpy")
def _render_plane(tracks, pixels, ground_row, poses, averaging, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    ground, grids, origins, spacings, dashes, slots = tracks
    block, rows, row_weights, columns, column_weights = averaging
    image = np.full(CAMERA_SIZE, np.float32(SKY), np.float32)
    # One image row at a time in one flat buffer: only so does the compiler see that nothing overlaps, and vectorises.
    work, cells = np.empty(9 * _W, np.float32), np.empty(2 * _W, np.int32)
    for b in range(slots.shape[0]):
        k = slots[b]
        samples, grid, spacing, dash = ground[k], grids[k], spacings[k], dashes[k]
        ox, oy = np.int32(origins[k, 0]), np.int32(origins[k, 1])
        x, y = np.float32(poses[b, 0]), np.float32(poses[b, 1])
        cos, sin = np.float32(np.cos(poses[b, 2])), np.float32(np.sin(poses[b, 2]))
        for r in range(ground_row, CAMERA_SIZE[0]):
            ahead, along, across, detail = pixels[0, r, 0], pixels[2, r, 0], pixels[3, r, 0], pixels[4, r, 0]
            start_x, start_y, slope = x + cos * ahead, y + sin * ahead, pixels[1, r]
            for c in range(_W):
                work[c] = start_x - sin * slope[c]
                work[c + _W] = start_y + cos * slope[c]
            for c in range(_W):
                cells[c] = cell_of(work[c])
                cells[c + _W] = cell_of(work[c + _W])
            for c in range(_W):
                i = sample_of(grid, ox, oy, cells[c], cells[c + _W])
                for j in range(5):
                    work[c + (2 + j) * _W] = samples[i, j]
                work[c + 7 * _W] = np.float32(np.int32(i)) * spacing
            for c in range(_W):
                work[c + 8 * _W] = shade(
                    work[c] - work[c + 2 * _W], work[c + _W] - work[c + 3 * _W],
                    work[c + 4 * _W], work[c + 5 * _W], work[c + 6 * _W], work[c + 7 * _W],
                    cells[c], cells[c + _W], cos, sin, along, across, detail, dash,
                )  # fmt: skip
            for c in range(_W):
                image[r, c] = work[c + 8 * _W]
        average(image, block, rows, row_weights, columns, column_weights, out[b])


class RayRetina:
    """Sees any MuJoCo scene through one of its cameras, by one ray per camera pixel.

    A pixel shows the grey value of the first geom it meets: its `rgba` (luminance), or `ground` where it is the
    geom `ground_geom`. There is no light, shadow or texture beyond that.

    Args:
        model: compiled model.
        camera: name of the camera.
        size: rows and columns of the retina.
        camera_size: rays, before averaging over areas; by default that of the retina.
        ground_geom: name of the geom with a texture.
        ground: grey values `[n]` in [0, 1] of points `[n, 2]` (x and y in the world, m) of that geom.
        sky: grey value where a ray meets nothing.
    """

    def __init__(
        self,
        model: Any,
        camera: str,
        *,
        size: tuple[int, int] = (32, 32),
        camera_size: tuple[int, int] | None = None,
        ground_geom: str | None = None,
        ground: Callable[[Floats], NDArray[Any]] | None = None,
        sky: float = SKY,
    ) -> None:
        names = [model.camera(i).name for i in range(model.ncam)]
        if camera not in names:
            raise NeuroctlError(f"unknown camera {camera!r}; the model has: {', '.join(names) or 'none'}")
        self._model, self._camera = model, model.camera(camera).id
        rays = ray_directions(float(model.cam_fovy[self._camera]), camera_size := camera_size or size)
        self._rays = rays.reshape(-1, 3) / np.linalg.norm(rays.reshape(-1, 3), axis=1, keepdims=True)
        self._averager, self._camera_size = Averager(size, camera_size), camera_size
        luminance = model.geom_rgba[:, :3] @ np.array([0.299, 0.587, 0.114])
        # Index -1 of a ray that meets nothing finds the last entry.
        self._grey = np.append(luminance, sky).astype(np.float32)
        self._ground_geom = -1 if ground_geom is None else int(model.geom(ground_geom).id)
        self._ground = ground
        self._geoms = np.empty(len(self._rays), np.int32)
        self._distances = np.empty(len(self._rays))

    def render(self, data: Any) -> NDArray[np.float32]:
        """The retina `[rows, columns]`, values k/255, of an `MjData` whose kinematics are up to date."""
        position = data.cam_xpos[self._camera]
        rays = self._rays @ data.cam_xmat[self._camera].reshape(3, 3).T
        arguments = position, rays.reshape(-1), None, 1, -1, self._geoms, self._distances, None
        mujoco.mj_multiRay(self._model, data, *arguments, len(rays), mujoco.mjMAXVAL)
        image = self._grey[self._geoms]
        if self._ground is not None:
            hit = np.flatnonzero(self._geoms == self._ground_geom)
            image[hit] = self._ground(position[:2] + self._distances[hit, None] * rays[hit, :2])
        return self._averager(image.reshape(self._camera_size))
