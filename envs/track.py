"""Closed two-lane roads: geometry, projection of points onto the road, and the grey value of the ground.

A road is a closed centre line; lateral distance d is positive to the left of travel. Lanes are 0.5 m wide: the
right lane's centre lies at d = -0.25 m, white borders at |d| = 0.5 m, a broken line at d = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import is_integer, shown
from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream

from .vector_tools import array_of

Floats = NDArray[np.float64]

SEEDS = (0, 1000)
"""Range of the seeds of random roads, unless another is asked for."""
SPACING_M = 0.02
CELL_M = 0.05
GRID = 256
"""Cells along each side of the grid: a road with its verge fits into 12.8 m x 12.8 m."""
MAX_SAMPLES = 2048
LANE_OFFSET_M = -0.25
REACH_M = 0.65
"""Cells within this distance of the centre line know their nearest sample."""

X, Y, COS, SIN, HEADING, CURVATURE = range(6)


@dataclass(frozen=True)
class Track:
    """A closed road.

    Attributes:
        samples: `[N, 6]` float64 at equal distances along the centre line: x, y (m), cos and sin of the heading,
            heading (rad, continuous from the start), curvature (1/m, positive to the left).
        length_m: length of the centre line.
        grid: int16 `[GRID, GRID]` indexed `[iy, ix]`: nearest sample of a cell near the road, -1 elsewhere.
        origin: int64 `[2]`, indices `floor(x / CELL_M)`, `floor(y / CELL_M)` of the grid's first cell.
    """

    samples: Floats
    length_m: float
    grid: NDArray[np.int16]
    origin: NDArray[np.int64]

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Nearest points of the centre line.

        Args:
            points: `[n, 2]`, m.

        Returns:
            s (m along the centre line), d (m, positive to the left), heading (rad) and curvature (1/m) of the
            centre line there, each `[n]`.
        """
        out = np.empty((len(points), 4))
        for row, point in zip(out, np.asarray(points, np.float64), strict=True):
            project_point(self.samples, self.length_m, self.grid, self.origin, point[0], point[1], row)
        return out[:, 0], out[:, 1], out[:, 2], out[:, 3]

    def pose(self, s: float, d: float) -> tuple[float, float, float]:
        """x, y (m) and heading (rad) of the road at `s`, shifted by `d` to the left."""
        spacing = self.length_m / len(self.samples)
        index = int(np.floor(s / spacing + 0.5))
        x, y, _, _, heading, curvature = self.samples[index % len(self.samples)].tolist()
        rest = s - index * spacing
        middle = heading + 0.5 * curvature * rest
        heading += curvature * rest
        return (
            x + rest * np.cos(middle) - d * np.sin(heading),
            y + rest * np.sin(middle) + d * np.cos(heading),
            heading,
        )

    def lane_length(self, d: float = LANE_OFFSET_M) -> float:
        """Length in m of the line at distance `d` from the centre line."""
        return float(np.sum(1 - d * self.samples[:, CURVATURE]) * self.length_m / len(self.samples))


@njit(cache=True, nogil=True)
def nearest_sample(samples, x, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Index of the sample nearest to (x, y), by looking at all."""
    best, best_distance = 0, np.inf
    for i in range(samples.shape[0]):
        distance = (samples[i, 0] - x) ** 2 + (samples[i, 1] - y) ** 2
        if distance < best_distance:
            best, best_distance = i, distance
    return best


@njit(cache=True, nogil=True)
def project_point(samples, length, grid, origin, x, y, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write s, d, heading and curvature of the nearest point of the centre line to `out[0:4]`."""
    n = samples.shape[0]
    spacing = length / n
    ix, iy = int(np.floor(x / CELL_M)) - origin[0], int(np.floor(y / CELL_M)) - origin[1]
    i = -1
    if 0 <= ix < GRID and 0 <= iy < GRID:
        i = grid[iy, ix]
    if i < 0:
        i = nearest_sample(samples, x, y)
    rest = 0.0
    for _ in range(8):
        dx, dy = x - samples[i, 0], y - samples[i, 1]
        along = dx * samples[i, 2] + dy * samples[i, 3]
        across = dy * samples[i, 2] - dx * samples[i, 3]
        # Newton step to the foot point on the sample's osculating circle.
        rest = along / max(1.0 - samples[i, 5] * across, 0.1)
        jump = int(np.floor(rest / spacing + 0.5))
        if jump == 0:
            break
        i = (i + jump) % n
    rest = min(max(rest, -spacing), spacing)
    curvature = samples[i, 5]
    middle = samples[i, 4] + 0.5 * curvature * rest
    heading = samples[i, 4] + curvature * rest
    dx = x - samples[i, 0] - rest * np.cos(middle)
    dy = y - samples[i, 1] - rest * np.sin(middle)
    beside = (i + 1) % n if rest > 0 else i - 1
    out[0] = (i * spacing + rest) % length
    out[1] = dy * np.cos(heading) - dx * np.sin(heading)
    out[2] = heading
    out[3] = curvature + (samples[beside, 5] - curvature) * abs(rest) / spacing


@njit(cache=True, nogil=True)
def _fill_grid(samples, origin, grid, distance):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    reach = int(REACH_M / CELL_M) + 1
    for i in range(samples.shape[0]):
        x, y = samples[i, 0] / CELL_M - origin[0] - 0.5, samples[i, 1] / CELL_M - origin[1] - 0.5
        cx, cy = int(x), int(y)
        for iy in range(cy - reach, cy + reach + 1):
            for ix in range(cx - reach, cx + reach + 1):
                squared = (ix - x) ** 2 + (iy - y) ** 2
                if squared < distance[iy, ix]:
                    distance[iy, ix] = squared
                    grid[iy, ix] = i


def build_track(samples: Floats, length_m: float) -> Track:
    """A track from samples `[N, 6]` at equal distances (see `Track`)."""
    low, high = samples[:, :2].min(axis=0), samples[:, :2].max(axis=0)
    if len(samples) >= MAX_SAMPLES or (high - low).max() > (GRID - 2) * CELL_M - 2 * (REACH_M + CELL_M):
        raise ValueError(f"track of {length_m:.1f} m and extent {high - low} m is too large")
    origin = np.floor((low + high) / 2 / CELL_M).astype(np.int64) - GRID // 2
    grid = np.full((GRID, GRID), -1, np.int16)
    _fill_grid(samples, origin, grid, np.full((GRID, GRID), (REACH_M / CELL_M) ** 2, np.float32))
    for array in (samples, grid, origin):
        array.flags.writeable = False
    return Track(samples, length_m, grid, origin)


def _arc(pose: Floats, curvature: float, distance: NDArray[Any]) -> Floats:
    """Poses x, y, heading `[n, 3]` after `distance` `[n]` along an arc that begins at `pose`."""
    angle = curvature * distance
    chord = distance * np.sinc(angle / (2 * np.pi))
    direction = pose[2] + angle / 2
    x, y = pose[0] + chord * np.cos(direction), pose[1] + chord * np.sin(direction)
    return np.stack([x, y, pose[2] + angle], axis=1)


@lru_cache(maxsize=1)
def loop_track() -> Track:
    """The loop of straights and arcs of a public lane-following experiment, driven counter-clockwise.

    Geometry from github.com/clamesc/Training-Neural-Networks-for-Event-Based-End-to-End-Robot-Control: two straights
    of 5 m and arcs; the lanes are 31.99 m (ours, the right and outer one) and 28.85 m long.
    """
    pi = np.pi
    pieces = [(5.0, 0.0), (2 * pi, 1 / 2), (1.5 * pi, -1 / 3), (2 * pi, 1 / 2), (5.0, 0.0), (pi, 1 / 2)]
    length = sum(piece for piece, _ in pieces)
    n = round(length / SPACING_M)
    s = np.arange(n) * (length / n)
    samples = np.empty((n, 6))
    pose, start = np.array([2.5, 0.5, 0.0]), 0.0
    for piece, curvature in pieces:
        inside = (s >= start) & (s < start + piece)
        samples[inside, X], samples[inside, Y], samples[inside, HEADING] = _arc(pose, curvature, s[inside] - start).T
        samples[inside, CURVATURE] = curvature
        pose, start = _arc(pose, curvature, np.array([piece]))[0], start + piece
    samples[:, COS], samples[:, SIN] = np.cos(samples[:, HEADING]), np.sin(samples[:, HEADING])
    return build_track(samples, length)


def checked_seeds(seeds: Any) -> tuple[int, int]:
    """A range of seeds of random roads, `(start, stop)`; `SEEDS` where None.

    Raises:
        NeuroctlError: not two integers, or an empty range.
    """
    if seeds is None:
        return SEEDS
    array = array_of(seeds)
    pair = [*seeds] if array is not None and array.ndim == 1 else []
    if len(pair) != 2 or not all(map(is_integer, pair)) or not 0 <= pair[0] < pair[1] < 2**63:
        raise NeuroctlError(f"track_seeds is {shown(seeds)}; allowed: integers (start, stop) with 0 <= start < stop")
    return int(pair[0]), int(pair[1])


@lru_cache(maxsize=16)
def random_track(seed: int) -> Track:
    """A closed road around a centre, with a random Fourier series as its radius; equal for equal seeds everywhere.

    The right lane turns both ways, with radii of at least 1.2 m; it is driven in either sense of rotation.
    """
    rng = stream(seed, "track")
    theta = np.linspace(0, 2 * np.pi, 4096, endpoint=False)
    orders = np.arange(2, 6)
    while True:
        mean = rng.uniform(3.4, 4.6)
        amplitudes = rng.uniform(0, 1, len(orders)) * np.array([0.3, 0.16, 0.1, 0.06])
        phases = rng.uniform(0, 2 * np.pi, len(orders))
        sense = rng.choice([-1.0, 1.0])
        star = partial(_star, mean=mean, amplitudes=amplitudes, orders=orders, phases=phases, sense=sense)
        curve = star(theta)
        if _drivable(curve):
            return _resampled(theta, curve, star)


def _star(
    theta: Floats, mean: float, amplitudes: Floats, orders: NDArray[np.int64], phases: Floats, sense: float
) -> Floats:
    """x, y, heading, curvature and speed |dp/dtheta| `[n, 5]` of r = mean (1 + sum a_k cos(k theta + phi_k)).

    Polar curvature: (r^2 + 2 r'^2 - r r'') / (r^2 + r'^2)^(3/2).
    """
    angle = theta[:, None] * orders + phases
    r = mean * (1 + np.cos(angle) @ amplitudes)
    r1 = -mean * (np.sin(angle) @ (amplitudes * orders))
    r2 = -mean * (np.cos(angle) @ (amplitudes * orders**2))
    speed = np.sqrt(r**2 + r1**2)
    heading = theta + np.pi / 2 - np.arctan2(r1, r)
    curvature = (r**2 + 2 * r1**2 - r * r2) / speed**3
    return np.stack([r * np.cos(theta), sense * r * np.sin(theta), sense * heading, sense * curvature, speed], axis=1)


def _drivable(curve: Floats) -> bool:
    """Both turning directions occur, no bend of the right lane is too tight, and the road fits and keeps clear."""
    x, y, _, curvature, _ = curve.T
    lane = curvature / (1 - LANE_OFFSET_M * curvature)
    both = curvature.min() < -0.1 and curvature.max() > 0.1
    gentle = np.abs(curvature).max() < 1 / 1.2 and np.abs(lane).max() < 1 / 1.2
    extent = max(np.ptp(x), np.ptp(y))
    return bool(both and gentle and extent < 10.8 and np.hypot(x, y).min() > 1.5)


def _resampled(theta: Floats, curve: Floats, evaluate: Callable[[Floats], Floats]) -> Track:
    """The closed curve sampled at equal distances."""
    step = theta[1] - theta[0]
    # Trapezoid sums over a period converge faster than any power of the step.
    ahead = np.append(curve[:, 4], curve[0, 4])
    distance = np.concatenate([[0.0], np.cumsum((ahead[:-1] + ahead[1:]) * step / 2)])
    length = float(distance[-1])
    n = round(length / SPACING_M)
    at = np.interp(np.arange(n) * (length / n), distance, np.append(theta, theta[0] + 2 * np.pi))
    x, y, heading, curvature, _ = evaluate(at).T
    return build_track(np.stack([x, y, np.cos(heading), np.sin(heading), heading, curvature], axis=1), length)
