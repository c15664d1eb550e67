"""The tracks of the rows of a vector environment, side by side in arrays that one compiled call can read."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .ground import dash_frequency, ground_samples
from .track import GRID, LANE_OFFSET_M, MAX_SAMPLES, Track, project_point

Floats = NDArray[np.float64]

S, LATERAL, HEADING_ERROR, CURVATURE = range(4)
"""Columns of `TrackAtlas.locate`."""


_ARRAYS: dict[str, tuple[type, tuple[int, ...]]] = {
    "samples": (np.float64, (MAX_SAMPLES, 6)),
    "ground": (np.float32, (MAX_SAMPLES, 5)),
    "grids": (np.int16, (GRID, GRID)),
    "origins": (np.int64, (2,)),
    "counts": (np.int64, ()),
    "lengths": (np.float64, ()),
    "lane_lengths": (np.float64, ()),
    "spacings": (np.float32, ()),
    "dashes": (np.float32, ()),
}


class TrackAtlas:
    """Holds each track that some row drives on once. Which slot a track has changes nothing but memory addresses.

    Attributes:
        slots: slot of each row, int64 `[B]`.
        samples: `[K, MAX_SAMPLES, 6]`, see `Track`.
        lengths: `[K]`, m; `counts` int64 `[K]`: samples in use.
        grids: int16 `[K, GRID, GRID]`; `origins` int64 `[K, 2]`.
        ground: float32 `[K, MAX_SAMPLES, 5]`, see `ground_samples`.
        spacings, dashes: float32 `[K]`: distance of samples (m) and dashes per metre, for the ground.
    """

    def __init__(self, num_rows: int, build: Callable[[int], Track]) -> None:
        self._build = build
        self.slots = np.zeros(num_rows, np.int64)
        self._keys: list[int | None] = []
        self._row_keys: list[int | None] = [None] * num_rows
        self._allocate(1)

    def _allocate(self, capacity: int) -> None:
        old = len(self._keys)
        for name, (dtype, shape) in _ARRAYS.items():
            array: NDArray[Any] = np.zeros((capacity, *shape), dtype)
            if old:
                array[:old] = getattr(self, name)
            setattr(self, name, array)
        self._keys += [None] * (capacity - old)

    samples: Floats
    ground: NDArray[np.float32]
    grids: NDArray[np.int16]
    origins: NDArray[np.int64]
    spacings: NDArray[np.float32]
    dashes: NDArray[np.float32]
    lengths: Floats
    lane_lengths: Floats
    counts: NDArray[np.int64]

    def assign(self, row: int, key: int) -> None:
        """Put row `row` on the track that `build(key)` returns."""
        self._row_keys[row] = key
        if key not in self._keys:
            self._store(key)
        self.slots[row] = self._keys.index(key)

    def _store(self, key: int) -> None:
        used = set(self._row_keys)
        free = [slot for slot, kept in enumerate(self._keys) if kept is None or kept not in used]
        if not free:
            free = [len(self._keys)]
            self._allocate(min(2 * len(self._keys), len(self._row_keys)))
        slot, track = free[0], self._build(key)
        n = len(track.samples)
        self._keys[slot] = key
        self.samples[slot, :n] = track.samples
        self.ground[slot] = ground_samples(track)
        self.spacings[slot], self.dashes[slot] = track.length_m / n, dash_frequency(track.length_m)
        self.grids[slot], self.origins[slot] = track.grid, track.origin
        self.lengths[slot], self.counts[slot] = track.length_m, n
        self.lane_lengths[slot] = track.lane_length()

    def locate(self, rows: NDArray[np.intp], poses: Floats) -> Floats:
        """Where poses (x, y, yaw, `[n, 3+]`) lie relative to the right lane of their rows' tracks.

        Returns:
            `[n, 4]`: s (m along the road's centre line), d (m to the left of the right lane's centre), heading error
            (rad, in [-pi, pi)), curvature of the road's centre line (1/m).
        """
        out = np.empty((len(rows), 4))
        _locate(self.samples, self.counts, self.lengths, self.grids, self.origins, self.slots[rows], poses, out)
        return out

    def at(self, rows: NDArray[np.intp], s: Floats) -> Floats:
        """The samples `[..., 6]` nearest to `s` (`[n]` or `[n, m]`, m) on the rows' tracks."""
        slots = self.slots[rows].reshape(-1, *[1] * (s.ndim - 1))
        counts = self.counts[slots]
        index = np.floor(s / self.lengths[slots] * counts + 0.5).astype(np.int64) % counts
        nearest: Floats = self.samples[slots, index]
        return nearest


@njit(cache=True, nogil=True)
def _locate(samples, counts, lengths, grids, origins, slots, poses, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for b in range(slots.shape[0]):
        k = slots[b]
        project_point(samples[k, : counts[k]], lengths[k], grids[k], origins[k], poses[b, 0], poses[b, 1], out[b])
        out[b, 1] -= LANE_OFFSET_M
        out[b, 2] = (poses[b, 2] - out[b, 2] + np.pi) % (2 * np.pi) - np.pi
