"""Lane following: steer a vehicle at 1 m/s along the right lane of a closed two-lane road.

Task, reward and the five discrete commands are those known from Kaiser et al. 2019 (arXiv 2003.01431), as background
only; the default track is the loop of a public repository, see `loop_track`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError

from .dynamics import Dynamics
from .episode_vector import MOST_ROWS
from .lane_render import LaneRenderer, draw_frame
from .lane_senses import MAX_LATERAL_M, RETINA_SIZE, lane_retina, locate, make_sense
from .mujoco_batch import Batch, Floats, Row
from .mujoco_task import MujocoTask
from .opengl import NoOpenGLError
from .retina import CAMERA_SIZE
from .single_env import SingleEnv
from .track import LANE_OFFSET_M, Track, checked_seeds, loop_track, random_track
from .track_atlas import CURVATURE, HEADING_ERROR, LATERAL, S, TrackAtlas
from .vector_tools import checked_rows, require
from .vehicle import (
    CTRL_DRIVE,
    CTRL_STEER,
    MAX_STEER_RAD,
    SPEED_M_S,
    VEHICLE_XML,
    WHEELBASE_M,
    YAW,
    X,
    Y,
    scale_vehicle,
)

CONTROL_DT_S = 0.02
MAX_HEADING_RAD = float(np.deg2rad(86))
STEERING_RAD = np.deg2rad([-30.0, -15.0, 0.0, 15.0, 30.0])
"""Steering angles of the discrete commands; positive turns left."""
PURSUIT_M = 0.4
"""Distance ahead of the point that the expert aims at."""
BLACKOUT_WAIT_S = 3.0
"""Mean time from the end of a blackout to the next."""
LONGEST_S = 1e6
"""Bound of blackouts and pauses."""
LOOP = -1
"""Track number of the loop; random tracks have their seed."""


class LaneFollowVector(MujocoTask):
    """B vehicles on their roads; see `LaneFollow` for what is observed, done and rewarded.

    Args:
        num_envs: B.
        observation: `"state"` (12 numbers of order 1), `"retina"` (grey image in [0, 1]) or `"events"` (of an event
            camera of 32 x 128 pixels in the last control step, counted in 4 x 16 windows).
        retina_size: rows and columns of the retina, averaged from a camera of 32 x 128 pixels.
        camera: `"near"` sees the road 0.6 to 2.4 m ahead, `"far"` to the horizon.
        blackout_s: duration of blackouts, during which the camera sees black; they begin at random times. 0 = none. To
            an event camera, light goes off and on again.
        event_model: pixels of the event camera, see `EventCamera`.
        event_threshold: change that makes an event; None is the model's own.
        event_polarity: count ON and OFF events apart: `[4, 16, 2]`.
        event_time_stamps: remember what `events()` needs.
        event_light: factor of the light in which the event camera sees the road.
        event_glare: stray light on top of it, for every pixel alike; white is 1.
        track: `"loop"` or `"random"`.
        track_seeds: with `track="random"`, each episode draws its road from the seeds `range(*track_seeds)`; None is
            (0, 1000).
        discrete_steering: five commands (-30, -15, 0, 15, 30 degrees) instead of an angle.
        max_steps: control steps of 20 ms after which an episode is truncated.
        crash_pause_s: after leaving the lane the vehicle is held for this time, without reward, and then the episode
            terminates; without it a crash may pay, since the next episode starts at full reward.
        start: `"random"` place and offset, or `"fixed"`: on the loop, the beginning of its bottom straight.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        observation: str = "state",
        retina_size: Sequence[int] = RETINA_SIZE,
        camera: str = "near",
        blackout_s: float = 0.0,
        event_model: str = "linear",
        event_threshold: float | None = None,
        event_polarity: bool = False,
        event_time_stamps: bool = False,
        event_light: float = 1.0,
        event_glare: float = 0.0,
        track: str = "loop",
        track_seeds: Sequence[int] | None = None,
        discrete_steering: bool = False,
        max_steps: int = 1000,
        crash_pause_s: float = 0.0,
        start: str = "random",
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
    ) -> None:
        num_envs = checked_integer("num_envs", num_envs, 1, MOST_ROWS)
        require("track", track, ("loop", "random"))
        require("start", start, ("random", "fixed"))
        require("discrete_steering", discrete_steering, (True, False))
        if track == "loop" and track_seeds is not None:
            raise NeuroctlError("track_seeds needs track='random'; the loop is one road: leave it out, or give None")
        self._track_seeds = checked_seeds(track_seeds) if track == "random" else None
        self._blackout_steps = _steps_of("blackout_s", blackout_s)
        self._pause_steps = _steps_of("crash_pause_s", crash_pause_s)
        self._camera, self._start_at, self._discrete = camera, start, discrete_steering
        self._atlas = TrackAtlas(num_envs, build_track)
        self._sense = make_sense(
            self._atlas,
            observation,
            camera=camera,
            blackout_s=blackout_s,
            retina_size=retina_size,
            event_model=event_model,
            event_threshold=event_threshold,
            event_polarity=event_polarity,
            event_time_stamps=event_time_stamps,
            event_light=event_light,
            event_glare=event_glare,
        )
        super().__init__(
            VEHICLE_XML,
            num_envs=num_envs,
            reset=self._reset_row,
            observe=self._sense.observe,
            reward=self._lane_reward,
            terminated=self._left_lane,
            observation_space=self._sense.space,
            action_space=gym.spaces.Discrete(len(STEERING_RAD))
            if discrete_steering
            else gym.spaces.Box(-np.float32(MAX_STEER_RAD), np.float32(MAX_STEER_RAD), (1,), np.float32),
            control_dt_s=CONTROL_DT_S,
            max_steps=max_steps,
            variables={
                "track": np.int64(LOOP),
                "s_m": np.float64(0),
                "progress_m": np.float64(0),
                "lane_steps": np.int64(0),
                "crashed": np.bool_(False),
                "pause": np.int64(0),
                "blackout": np.int64(0),
                "blackout_wait": np.int64(0),
                **self._sense.variables(),
            },
            streams=("blackout", *self._sense.streams),
            control=self._controls,
            advance=self._advance_task,
            held=stands,
            info=self._lane_info,
            expert=self._pursue,
            dynamics=dynamics,
            scale=scale_vehicle,
            render_mode=render_mode,
        )

    # Start of an episode

    def _reset_row(self, row: Row) -> None:
        key = LOOP if self._track_seeds is None else int(row.rng.integers(*self._track_seeds))
        row["track"] = key
        self._atlas.assign(row.index, key)
        track = build_track(key)
        s, lateral, heading_error = 0.0, 0.0, 0.0
        if self._start_at == "random":
            s = row.rng.uniform(0, track.length_m)
            lateral, heading_error = row.rng.uniform(-0.08, 0.08), row.rng.uniform(-0.1, 0.1)
        x, y, heading = track.pose(s, LANE_OFFSET_M + lateral)
        yaw = heading + heading_error
        row.qpos[[X, Y, YAW]] = x, y, yaw
        row.qvel[[X, Y]] = SPEED_M_S * np.cos(yaw), SPEED_M_S * np.sin(yaw)
        row.ctrl[CTRL_DRIVE] = SPEED_M_S
        row["s_m"] = s
        if self._blackout_steps:
            row["blackout_wait"] = _wait(row.stream("blackout"))
        self._sense.begin(row)

    # One step

    def _controls(self, batch: Batch, action: NDArray[Any]) -> Floats:
        controls = np.zeros((len(batch), self.models[0].nu))
        controls[:, CTRL_STEER] = STEERING_RAD[action] if self._discrete else action[:, 0]
        controls[:, CTRL_DRIVE] = SPEED_M_S
        return controls

    def _advance_task(self, batch: Batch, action: NDArray[Any]) -> None:
        road, length = self._road(batch), self._atlas.lengths[self._atlas.slots]
        ahead = (road[:, S] - batch["s_m"] + length / 2) % length - length / 2
        batch["progress_m"] += ahead * (1 - LANE_OFFSET_M * road[:, CURVATURE])
        batch["s_m"] = road[:, S]
        crashed, pause = batch["crashed"], batch["pause"]
        pause -= crashed
        off = (np.abs(road[:, LATERAL]) > MAX_LATERAL_M) | (np.abs(road[:, HEADING_ERROR]) > MAX_HEADING_RAD)
        pause[off & ~crashed] = self._pause_steps
        crashed |= off
        batch["lane_steps"] += ~crashed
        if self._blackout_steps:
            self._advance_blackouts(batch)
        self._sense.advance(batch)

    def _advance_blackouts(self, batch: Batch) -> None:
        left, wait = batch["blackout"], batch["blackout_wait"]
        dark = left > 0
        left -= dark
        wait -= ~dark
        for b in np.flatnonzero(~dark & (wait <= 0)).tolist():
            left[b] = self._blackout_steps
            wait[b] = _wait(batch.stream("blackout", b))

    def _road(self, batch: Batch) -> Floats:
        """Columns S, LATERAL, HEADING_ERROR, CURVATURE of the rows' rear axles, `[n, 4]`."""
        return locate(self._atlas, batch)

    def _lane_reward(self, batch: Batch, action: NDArray[Any]) -> Floats:
        road = self._road(batch)
        standing = batch["crashed"] & (batch["pause"] < self._pause_steps)
        return np.where(standing, 0.0, lane_reward(road))

    def _left_lane(self, batch: Batch) -> NDArray[np.bool_]:
        over: NDArray[np.bool_] = batch["crashed"] & (batch["pause"] <= 0)
        return over

    def _lane_info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        road = self._road(batch)
        laps = batch["progress_m"] / self._atlas.lane_lengths[self._atlas.slots[batch.rows]]
        return {
            "lateral_error_m": road[:, LATERAL].copy(),
            "heading_error_rad": road[:, HEADING_ERROR].copy(),
            "time_on_lane_s": batch["lane_steps"] * CONTROL_DT_S,
            "progress_m": batch["progress_m"].copy(),
            "laps": np.maximum(np.floor(laps), 0).astype(np.int64),
            "success": (batch.steps >= self.max_steps) & ~batch["crashed"],
        }

    def events(self) -> list[NDArray[Any]]:
        """The events of each row in the last control step, with their times, see `EventCamera.recall`.

        After the end of an episode, those of the next one's start: none.

        Raises:
            NeuroctlError: made without `observation="events"` and `event_time_stamps`.
        """
        return self._sense.events(self._batch)

    # The expert

    def _pursue(self, batch: Batch) -> NDArray[Any]:
        road = self._road(batch)
        stretch = 1 - LANE_OFFSET_M * road[:, CURVATURE]
        goal = self._atlas.at(batch.rows, road[:, S] + PURSUIT_M / stretch)
        angle: Floats = pursuit_angle(goal, batch.qpos)
        if self._discrete:
            return np.asarray(np.argmin(np.abs(angle[:, None] - STEERING_RAD), axis=1))
        return angle[:, None].astype(np.float32)

    # Pictures

    def render(self) -> Any:
        """Frames `[B, 256, 512, 3]`: a chase camera, or without OpenGL a map and the camera's image.

        Raises:
            NeuroctlError: the environment was made without `render_mode="rgb_array"`.
        """
        self._require_rendering()
        tracks = [build_track(int(key)) for key in self.variable("track")]
        renderer = self._open_renderer(tracks[0])
        if renderer is not None:
            return np.stack([renderer.render(t, q) for t, q in zip(tracks, self.views("qpos"), strict=True)])
        images = self._camera_images()
        return np.stack([draw_frame(*row) for row in zip(tracks, self.views("qpos"), images, strict=True)])

    def _open_renderer(self, track: Track) -> LaneRenderer | None:
        if not self._renderers:
            try:
                self._renderers[0] = LaneRenderer(track)
            except NoOpenGLError:
                self._renderers[0] = None
        renderer: LaneRenderer | None = self._renderers[0]
        return renderer

    def _camera_images(self) -> NDArray[np.float32]:
        camera = lane_retina(self._camera, CAMERA_SIZE)
        return camera.render(self._atlas, np.arange(self.num_envs), self._batch.qpos)

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Any) -> None:
        """Put back what `get_state` returned, into `rows` (all where None)."""
        super().set_state(rows, state)
        for b in checked_rows(rows, self.num_envs).tolist():
            self._atlas.assign(b, int(self.variable("track")[b]))


class LaneFollow(SingleEnv):
    """One vehicle in the right lane; the arguments are those of `LaneFollowVector` without `num_envs`.

    The action is the steering angle in rad (or one of five commands), each held for 20 ms. The reward is
    exp(-0.03 b^2) exp(-70 d^2) with the heading error b in degrees and the distance d in m between the rear axle and
    the centre of the right lane. The episode terminates off the lane (|d| > 0.25 m or |b| > 86 degrees).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(LaneFollowVector, **kwargs)

    def events(self) -> NDArray[Any]:
        """The events of the last control step, with their times, see `LaneFollowVector.events`."""
        events: NDArray[Any] = self.vector.events()[0]
        return events


def build_track(key: int) -> Track:
    """The loop for `LOOP`, else the random track of this seed."""
    return loop_track() if key == LOOP else random_track(key)


def stands(batch: Batch) -> NDArray[np.bool_]:
    """Crashed vehicles stand still."""
    return batch["crashed"]


def _wait(rng: np.random.Generator) -> int:
    return max(1, round(rng.exponential(BLACKOUT_WAIT_S) / CONTROL_DT_S))


@njit(cache=True, nogil=True)
def lane_reward(road):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """exp(-0.03 b^2) exp(-70 d^2) `[n]`, b in degrees, d in m, of `TrackAtlas.locate`'s rows `[n, 4]`."""
    # Scalar code, as everywhere a row's bits must not depend on the number of rows.
    out = np.empty(len(road))
    for i in range(len(road)):
        degrees = road[i, HEADING_ERROR] * (180 / np.pi)
        out[i] = np.exp(-0.03 * degrees**2) * np.exp(-70 * road[i, LATERAL] ** 2)
    return out


@njit(cache=True, nogil=True)
def pursuit_angle(goal, qpos):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Steering angle `[n]` whose circle leads through the goal: atan(2 L sin(alpha) / distance).

    The goal is the right lane's centre beside the centre-line samples `goal` `[n, 6]`.
    """
    out = np.empty(len(qpos))
    for i in range(len(qpos)):
        dx = goal[i, 0] - LANE_OFFSET_M * goal[i, 3] - qpos[i, X]
        dy = goal[i, 1] + LANE_OFFSET_M * goal[i, 2] - qpos[i, Y]
        left = dy * np.cos(qpos[i, YAW]) - dx * np.sin(qpos[i, YAW])
        angle = np.arctan(2 * WHEELBASE_M * left / max(dx * dx + dy * dy, 1e-6))
        out[i] = min(max(angle, -MAX_STEER_RAD), MAX_STEER_RAD)
    return out


def _steps_of(name: str, seconds: Any) -> int:
    if not (is_number(seconds) and 0 <= seconds <= LONGEST_S):
        raise NeuroctlError(f"{name} is {shown(seconds)}; allowed: seconds >= 0, at most {LONGEST_S:g}")
    return round(seconds / CONTROL_DT_S)
