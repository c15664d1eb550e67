"""What a controller in the lane observes: its state, a camera's image, or an event camera's counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError

from .event_camera import EventCamera
from .mujoco_batch import Batch, Floats, Row
from .retina import CAMERA_SIZE, PlaneRetina, check_retina_size
from .track_atlas import CURVATURE, HEADING_ERROR, LATERAL, S, TrackAtlas
from .vector_tools import is_default, require
from .vehicle import (
    CAMERA_FOVY_DEG,
    CAMERA_HEIGHT_M,
    CAMERA_PITCH_DEG,
    CAMERA_X_M,
    MAX_STEER_RAD,
    SPEED_M_S,
    STEER,
    YAW,
    X,
    Y,
)

MAX_LATERAL_M = 0.25
LOOK_AHEAD_M = np.array([0.4, 0.8, 1.2, 1.6])
RETINA_SIZE = (16, 64)
"""Where none is chosen."""
EVENT_WINDOWS = (4, 16)
"""Rows and columns of the areas of 8 x 8 pixels whose events are counted together."""


class StateSense:
    """Twelve numbers of order 1: where the vehicle is on the road, the road ahead, and how it moves.

    The base of the other senses: they override what they need.

    Attributes:
        space: of one row's observation.
        streams: names of the random streams that are drawn from.
    """

    streams: tuple[str, ...] = ()

    def __init__(self, atlas: TrackAtlas) -> None:
        self._atlas = atlas
        self.space: gym.spaces.Box = gym.spaces.Box(-5.0, 5.0, (8 + len(LOOK_AHEAD_M),), np.float32)

    def variables(self) -> dict[str, NDArray[Any]]:
        """Task variables that are needed."""
        return {}

    def begin(self, row: Row) -> None:
        """Begin an episode, when the vehicle has its place."""

    def advance(self, batch: Batch) -> None:
        """Take in the end of a control step."""

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Observations `[n, ...]`."""
        road, qpos, qvel = locate(self._atlas, batch), batch.qpos, batch.qvel
        ahead = self._atlas.at(batch.rows, road[:, S, None] + LOOK_AHEAD_M)[..., 5]
        along, across = vehicle_velocity(qpos, qvel)
        columns = [
            road[:, LATERAL] / MAX_LATERAL_M,
            road[:, HEADING_ERROR] / 0.3,
            road[:, CURVATURE] * 2,
            *(ahead * 2).T,
            qvel[:, YAW],
            qpos[:, STEER] / MAX_STEER_RAD,
            qvel[:, STEER] / 5,
            (along - SPEED_M_S) * 20,
            across * 20,
        ]
        state: NDArray[np.float32] = np.clip(np.stack(columns, axis=1), -5, 5).astype(np.float32)
        return state

    def events(self, batch: Batch) -> list[NDArray[Any]]:
        """The events of the last control step with their times, see `EventCamera.recall`."""
        raise NeuroctlError("there are no times of events; they need observation='events' and event_time_stamps=True")


class RetinaSense(StateSense):
    """Grey images in [0, 1]; black during a blackout."""

    def __init__(self, atlas: TrackAtlas, camera: str, size: tuple[int, int]) -> None:
        super().__init__(atlas)
        self._retina = lane_retina(camera, size)
        self.space = gym.spaces.Box(0.0, 1.0, size, np.float32)

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Images `[n, rows, columns]`."""
        image = self._retina.render(self._atlas, batch.rows, batch.qpos)
        image[batch["blackout"] > 0] = 0
        return image


class EventSense(RetinaSense):
    """Event counts of the last control step, `[4, 16]`; with polarity `[4, 16, 2]`, ON and OFF.

    The event camera sees the camera's image of 32 x 128 pixels, also when it is black in a blackout, and so its
    beginning and its end make many events.
    """

    def __init__(self, atlas: TrackAtlas, camera: str, options: dict[str, Any]) -> None:
        super().__init__(atlas, camera, CAMERA_SIZE)
        self._camera = EventCamera(CAMERA_SIZE, EVENT_WINDOWS, **options)
        self._time_stamps = options["time_stamps"]
        self.space, self.streams = self._camera.space, self._camera.streams

    def variables(self) -> dict[str, NDArray[Any]]:
        """What the event camera remembers."""
        return self._camera.variables()

    def begin(self, row: Row) -> None:
        """The first image makes no events."""
        self._camera.begin(row, self._retina.render(self._atlas, np.array([row.index]), row.qpos[None])[0])

    def advance(self, batch: Batch) -> None:
        """Show the event camera the next image."""
        self._camera.advance(batch, super().observe(batch))

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Counts `[n, 4, 16]` or `[n, 4, 16, 2]`."""
        return self._camera.observe(batch)

    def events(self, batch: Batch) -> list[NDArray[Any]]:
        """The events of the last control step with their times, see `EventCamera.recall`."""
        return self._camera.events(batch) if self._time_stamps else super().events(batch)


def make_sense(
    atlas: TrackAtlas,
    observation: str,
    *,
    camera: str,
    blackout_s: float,
    retina_size: Sequence[int],
    event_model: str,
    event_threshold: float | None,
    event_polarity: bool,
    event_time_stamps: bool,
    event_light: float,
    event_glare: float,
) -> StateSense:
    """The sense that the options of `LaneFollowVector` describe.

    Raises:
        NeuroctlError: an unknown name, a value out of range, or options that contradict each other.
    """
    require("observation", observation, ("state", "retina", "events"))
    require("camera", camera, tuple(CAMERA_PITCH_DEG))
    size = check_retina_size(retina_size)
    if observation == "state" and (camera != "near" or blackout_s):
        raise NeuroctlError("camera and blackout_s need observation='retina' or 'events'; found 'state'")
    if observation != "retina" and size != RETINA_SIZE:
        raise NeuroctlError(f"retina_size needs observation='retina'; found {observation!r}")
    options: dict[str, Any] = {
        "model": event_model,
        "threshold": event_threshold,
        "polarity": event_polarity,
        "time_stamps": event_time_stamps,
        "light": event_light,
        "glare": event_glare,
    }
    if observation == "events":
        return EventSense(atlas, camera, options)
    defaults: dict[str, Any] = {"model": "linear", "threshold": None, "polarity": False, "time_stamps": False}
    defaults |= {"light": 1.0, "glare": 0.0}
    for name, default in defaults.items():
        if not is_default(options[name], default):
            found = f"found {observation!r} and event_{name} {options[name]!r}, whose default is {default!r}"
            raise NeuroctlError(f"the options event_... need observation='events'; {found}")
    return RetinaSense(atlas, camera, size) if observation == "retina" else StateSense(atlas)


def locate(atlas: TrackAtlas, batch: Batch) -> Floats:
    """Columns S, LATERAL, HEADING_ERROR, CURVATURE of the rows' rear axles, `[n, 4]`."""
    return batch.cached("road", lambda rows: atlas.locate(rows.rows, rows.qpos))


def lane_retina(camera: str, size: tuple[int, int]) -> PlaneRetina:
    """What one of the vehicle's cameras sees of the road."""
    return PlaneRetina(
        forward_m=CAMERA_X_M,
        height_m=CAMERA_HEIGHT_M,
        pitch_deg=CAMERA_PITCH_DEG[camera],
        fovy_deg=CAMERA_FOVY_DEG,
        size=size,
    )


@njit(cache=True, nogil=True)
def vehicle_velocity(qpos, qvel):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Speed along and across the vehicle, m/s, `[2, n]`."""
    out = np.empty((2, len(qpos)))
    for i in range(len(qpos)):
        cos, sin = np.cos(qpos[i, YAW]), np.sin(qpos[i, YAW])
        out[0, i] = qvel[i, X] * cos + qvel[i, Y] * sin
        out[1, i] = qvel[i, Y] * cos - qvel[i, X] * sin
    return out
