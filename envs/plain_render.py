"""Pictures `[240, 320, 3]` uint8 of tasks without a physics engine, drawn in NumPy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 240, 320
PAPER, INK, RISING, FALLING = (245, 245, 245), (70, 70, 70), (204, 97, 31), (38, 97, 156)

Frame = NDArray[np.uint8]


def blank() -> Frame:
    """An empty picture."""
    return np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)


def draw_inputs(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> Frame:
    """Inputs `[D]` as bars from a middle line, up where they are above 0; a full one is at its bound `[D]`."""
    frame = blank()
    edges = np.linspace(0, WIDTH, len(values) + 1).round().astype(int)
    middle = HEIGHT // 2
    for left, right, value, least, most in zip(edges[:-1], edges[1:], values, low, high, strict=True):
        share = value / (most if value > 0 else -least) if value else 0.0
        height = round(float(np.clip(share, -1, 1)) * (middle - 10))
        columns = slice(left + 1, max(right - 1, left + 2))
        frame[middle - max(height, 0) : middle - min(height, 0), columns] = RISING if height > 0 else FALLING
    frame[middle] = INK
    return frame


def draw_rod(frame: Frame, start: tuple[float, float], end: tuple[float, float], half_width: float) -> None:
    """Draw a rod with round ends into a frame.

    Args:
        frame: `[240, 320, 3]`, changed in place.
        start: x and y of one end in pixels from the picture's centre, y upwards.
        end: of the other end.
        half_width: pixels.
    """
    y, x = np.mgrid[119.5:-120:-1, -159.5:160]
    along = end[0] - start[0], end[1] - start[1]
    squared = max(along[0] ** 2 + along[1] ** 2, 1e-9)
    share = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / squared, 0, 1)
    away = (x - start[0] - share * along[0]) ** 2 + (y - start[1] - share * along[1]) ** 2
    frame[away <= half_width**2] = INK
