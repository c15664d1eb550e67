"""Shot noise of an event camera: a Poisson process in each pixel.

Rows do not draw in every frame: they remember their next shots, and draw more when these run out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LATEST_S = 1e9
"""Shots that would come later, after the end of any episode, come then."""


class Shots(NamedTuple):
    """Noise events of n rows in one frame.

    Attributes:
        first: row b's are `first[b]` to `first[b + 1]`, int64 `[n + 1]`.
        pixels: index of the pixel, int64 `[m]`, ascending in a row.
        times_s: since the last frame, in (0, frame interval], ascending in a pixel, `[m]`.
        signs: +1 or -1, int64 `[m]`.
    """

    first: NDArray[np.int64]
    pixels: NDArray[np.int64]
    times_s: Floats
    signs: NDArray[np.int64]


def shots_ahead(mean: float) -> int:
    """How many shots a row remembers if a frame has so many in the mean: it never has more (chance below 1e-16)."""
    return 32 + 2 * math.ceil(mean)


def draw_ahead(generator: np.random.Generator, ahead: Floats, now_s: float, rate_hz: float, pixels: int) -> None:
    """Replace the shots of a row that are over by new ones.

    Args:
        generator: the row's random stream.
        ahead: time since the start, pixel and sign of the row's next shots, by time, `[3, k]`, changed in place; zeros
            at the start.
        now_s: time since the start.
        rate_hz: shots per pixel and second, above 0.
        pixels: of the row.
    """
    over = int(np.searchsorted(ahead[0], now_s, side="right"))
    latest_s = ahead[0, -1]
    ahead[:, : len(ahead[0]) - over] = ahead[:, over:]
    new = ahead[:, len(ahead[0]) - over :]
    with np.errstate(over="ignore"):
        waits = generator.standard_exponential(over) / (rate_hz * pixels)
        new[0] = np.minimum(latest_s + waits.cumsum(), LATEST_S)
    new[1] = np.floor(generator.random(over) * pixels)
    new[2] = np.where(generator.random(over) < 0.5, 1, -1)


@njit(cache=True, nogil=True)
def due_shots(ahead, clock_s, dt_s, pixels):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The `Shots` of the next frame.

    Args:
        ahead: see `draw_ahead`, `[n, 3, k]`; k is 0 where there are no shots.
        clock_s: time since the start `[n]`.
        dt_s: frame interval.
        pixels: of a row.
    """
    n = len(ahead)
    first, begin = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    for b in range(n):
        begin[b] = np.searchsorted(ahead[b, 0], clock_s[b], side="right")
        end = np.searchsorted(ahead[b, 0], clock_s[b] + dt_s, side="right")
        first[b + 1] = first[b] + max(end - begin[b], 0)
    places, times, signs = np.empty(first[n], np.int64), np.empty(first[n]), np.empty(first[n], np.int64)
    for b in range(n):
        if first[b + 1] == first[b]:
            continue
        own = ahead[b, :, begin[b] : begin[b] + first[b + 1] - first[b]]
        order = np.argsort(own[1], kind="mergesort")  # stable: by time in a pixel
        for k in range(len(order)):
            time, place, sign = own[0, order[k]], own[1, order[k]], own[2, order[k]]
            # Whatever a memory that was tampered with holds, the pixel is one.
            places[first[b] + k] = np.int64(max(0.0, min(place, pixels - 1.0)))
            times[first[b] + k] = max(1e-12, min(time - clock_s[b], dt_s))
            signs[first[b] + k] = 1 if sign > 0 else -1
    return Shots(first, places, times, signs)
