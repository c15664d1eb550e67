"""What a controller of the ball observes: its state, a camera's image, or an event camera's counts."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .ball import BALL_GREY, FLOOR_GREY, HALF_SIDE_M, MAX_SPEED_M_S, RADIUS_M, REACH_M
from .disk_camera import axis_sums, disk_coverage, grey_images
from .event_camera import EventCamera, EventSpace
from .mujoco_batch import Batch, Floats, Row
from .vector_tools import is_default, require

PIXELS = 16
"""Rows, and columns, of the camera."""
SUM_SCALE = HALF_SIDE_M / PIXELS / RADIUS_M
"""A pixel's side over the ball's diameter: no row's or column's coverage times this is above 1."""


class StateSense:
    """Position / 8 m and velocity / 4 m/s, `[4]`.

    The base of the other senses: they override what they need.

    Attributes:
        space: of one row's observation.
        streams: names of the random streams that are drawn from.
    """

    streams: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.space: gym.spaces.Box = gym.spaces.Box(-2.0, 2.0, (4,), np.float32)

    def variables(self) -> dict[str, NDArray[Any]]:
        """Task variables that are needed."""
        return {}

    def begin(self, row: Row) -> None:
        """Begin an episode, when the ball has its place."""

    def advance(self, batch: Batch) -> None:
        """Take in the end of a control step."""

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Observations `[n, ...]`."""
        columns = np.concatenate([batch.qpos / REACH_M, batch.qvel / MAX_SPEED_M_S], axis=1)
        state: NDArray[np.float32] = np.clip(columns, -2, 2).astype(np.float32)
        return state


class RetinaSense(StateSense):
    """Grey images in [0, 1], `[16, 16]`; or the sums of their darkness over rows and columns, `[32]`."""

    def __init__(self, sums: bool) -> None:
        super().__init__()
        self._sums = sums
        self.space = gym.spaces.Box(0.0, 1.0, (2 * PIXELS,) if sums else (PIXELS, PIXELS), np.float32)

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Images, or their sums scaled to [0, 1]."""
        images = camera_images(batch.qpos)
        if self._sums:
            images = axis_sums(1 - images) * np.float32(SUM_SCALE)
        return images


class EventSense(StateSense):
    """Event counts of the last control step, `[16, 16]`, or their sums over rows and columns, `[32]`.

    With polarity, a last axis of 2 holds ON and OFF. A ball that is put elsewhere is seen as a flash at both places.
    """

    def __init__(self, sums: bool, camera: EventCamera) -> None:
        self._sums, self._camera = sums, camera
        self.streams = camera.streams
        self.space = EventSpace((2 * PIXELS, *camera.space.shape[2:])) if sums else camera.space

    def variables(self) -> dict[str, NDArray[Any]]:
        """What the camera remembers."""
        return self._camera.variables()

    def begin(self, row: Row) -> None:
        """The first image makes no events."""
        self._camera.begin(row, camera_images(row.qpos[None])[0])

    def advance(self, batch: Batch) -> None:
        """Show the camera the next image."""
        self._camera.advance(batch, camera_images(batch.qpos))

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Counts, or sums of counts."""
        counts = self._camera.observe(batch)
        if not self._sums:
            return counts
        sums = np.zeros((len(counts), *self.space.shape), np.float32)
        add_counts(counts.reshape(len(counts), PIXELS, PIXELS, -1), sums.reshape(len(counts), 2 * PIXELS, -1))
        return sums


def make_sense(
    observation: str,
    image_code: str,
    *,
    event_model: str,
    event_threshold: float | None,
    event_polarity: bool,
    event_light: float,
    event_glare: float,
) -> StateSense:
    """The sense that the options of `BallReachVector` describe.

    Raises:
        NeuroctlError: an unknown name, or options that contradict each other.
    """
    require("observation", observation, ("state", "retina", "events"))
    require("image_code", image_code, ("pixels", "sums"))
    if observation == "state" and image_code != "pixels":
        raise NeuroctlError(f"image_code {image_code!r} needs observation='retina' or 'events'; found 'state'")
    if not isinstance(event_polarity, (bool, np.bool_)):
        raise NeuroctlError(f"event_polarity is {shown(event_polarity)}; allowed: True, False")
    sums = image_code == "sums"
    options: dict[str, Any] = {
        "model": event_model,
        "threshold": event_threshold,
        "polarity": event_polarity,
        "light": event_light,
        "glare": event_glare,
    }
    if observation == "events":
        return EventSense(sums, EventCamera((PIXELS, PIXELS), **options))
    defaults = {"model": "linear", "threshold": None, "polarity": False, "light": 1.0, "glare": 0.0}
    for name, default in defaults.items():
        if not is_default(options[name], default):
            found = f"found {observation!r} and event_{name} {options[name]!r}, whose default is {default!r}"
            raise NeuroctlError(f"the options event_... need observation='events'; {found}")
    return RetinaSense(sums) if observation == "retina" else StateSense()


def camera_images(positions: Floats) -> NDArray[np.float32]:
    """What the cameras see of balls at `positions` `[n, 2]`: `[n, 16, 16]`, values k/255, row 0 at the greatest y."""
    coverage = disk_coverage(positions, RADIUS_M, HALF_SIDE_M, PIXELS)
    images: NDArray[np.float32] = grey_images(coverage, FLOOR_GREY, BALL_GREY)
    return images


@njit(cache=True, nogil=True)
def add_counts(counts, sums):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add counts `[n, H, W, P]` to those of their row and of their column, `sums` `[n, H + W, P]`."""
    # The order does not matter: sums of counts are exact.
    n, rows, columns, kinds = counts.shape
    for b in range(n):
        for r in range(rows):
            for k in range(kinds):
                for c in range(columns):
                    sums[b, r, k] += counts[b, r, c, k]
                for c in range(columns):
                    sums[b, rows + c, k] += counts[b, r, c, k]
