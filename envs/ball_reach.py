"""Reaching: a ball on a walled square plane is to roll to the goal, again and again.

The task is known from Kaiser et al. 2019 (arXiv 2003.01431), as background only; its constants are our own.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

from .ball import (
    BALL_GREY,
    FLOOR_GREY,
    GOAL_RADIUS_M,
    HALF_SIDE_M,
    MAX_SPEED_M_S,
    RADIUS_M,
    REACH_M,
    ball_xml,
    scale_ball,
)
from .ball_senses import make_sense
from .ball_trials import CONTROL_DT_S, TIMEOUT_STEPS, count_step, limited, trial_figures
from .dynamics import Dynamics
from .mujoco_batch import Batch, Floats, Row
from .mujoco_task import MujocoTask
from .single_env import SingleEnv
from .vector_tools import array_of, require

START_M = 3.0
"""Every trial starts farther from the goal's centre than this."""

_CENTRE = np.zeros(2)


class BallReachVector(MujocoTask):
    """B balls on their planes; see `BallReach` for what is observed, done and rewarded.

    Args:
        num_envs: B.
        observation: `"state"` (position / 8 m and velocity / 4 m/s, `[4]`), `"retina"` (grey image `[16, 16]` in
            [0, 1], dark ball on bright floor) or `"events"` (counts `[16, 16]` of the last control step).
        image_code: `"pixels"`, or `"sums"`: 16 row sums, then 16 column sums, `[32]`. For the retina they are sums of
            the darkness 1 - grey, scaled to [0, 1]; for events, sums of the counts.
        event_model: pixels of the event camera, see `EventCamera`.
        event_threshold: change that makes an event; None is the model's own.
        event_polarity: whether ON and OFF events are counted apart, in a last axis of 2.
        event_light: factor of the light in which the event camera sees the plane.
        event_glare: stray light on top of it, for every pixel alike; white is 1.
        reward: `"heading"` or `"distance"`.
        heading_limit_deg: limit of the heading reward, in (0, 180].
        heading_power: exponent of the heading reward, >= 0.
        goal_m: x and y of the goal's centre, each from -8 to 8 m.
        max_steps: control steps of 20 ms after which an episode is truncated.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        observation: str = "state",
        image_code: str = "pixels",
        event_model: str = "linear",
        event_threshold: float | None = None,
        event_polarity: bool = False,
        event_light: float = 1.0,
        event_glare: float = 0.0,
        reward: str = "heading",
        heading_limit_deg: float = 90.0,
        heading_power: float = 1.0,
        goal_m: tuple[float, float] = (0.0, 0.0),
        max_steps: int = 3000,
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
    ) -> None:
        require("reward", reward, ("heading", "distance"))
        _check_heading(reward, heading_limit_deg, heading_power)
        self._sense = make_sense(
            observation,
            image_code,
            event_model=event_model,
            event_threshold=event_threshold,
            event_polarity=event_polarity,
            event_light=event_light,
            event_glare=event_glare,
        )
        self._limit_rad, self._power = float(np.deg2rad(heading_limit_deg)), float(heading_power)
        goal = _checked_goal(goal_m)
        self._goal_m = np.array(goal)
        super().__init__(
            ball_xml(goal),
            num_envs=num_envs,
            reset=self._reset_row,
            observe=self._sense.observe,
            reward=self._heading_reward if reward == "heading" else self._distance_reward,
            terminated=never,
            observation_space=self._sense.space,
            action_space=gym.spaces.Box(-np.float32(MAX_SPEED_M_S), np.float32(MAX_SPEED_M_S), (2,), np.float32),
            control_dt_s=CONTROL_DT_S,
            max_steps=max_steps,
            variables={
                "from_m": np.zeros(2),
                "to_m": np.zeros(2),
                "trial_steps": np.int64(0),
                "last_steps": np.int64(0),
                "ended_steps": np.int64(0),
                "trials": np.int64(0),
                "goals": np.int64(0),
                **self._sense.variables(),
            },
            streams=("place", *self._sense.streams),
            control=self._controls,
            advance=self._advance_task,
            info=self._reach_info,
            expert=self._straight_to_goal,
            dynamics=dynamics,
            scale=scale_ball,
            render_mode=render_mode,
            render_camera="top",
            draw=self._draw_frame,
        )

    # Episodes and trials

    def _reset_row(self, row: Row) -> None:
        row.qpos[:] = draw_start(row.rng, self._goal_m)
        self._sense.begin(row)

    def _controls(self, batch: Batch, action: NDArray[Any]) -> Floats:
        batch["from_m"] = batch.qpos
        controls: Floats = limited(np.asarray(action, np.float64))
        return controls

    def _advance_task(self, batch: Batch, action: NDArray[Any]) -> None:
        batch["to_m"] = batch.qpos
        reached = np.empty(len(batch), np.bool_)
        if count_step(batch.qpos, self._goal_m, batch["trial_steps"], reached):
            self._end_trials(batch, reached, np.flatnonzero(reached | (batch["trial_steps"] >= TIMEOUT_STEPS)))
        self._sense.advance(batch)

    def _end_trials(self, batch: Batch, reached: NDArray[np.bool_], rows: NDArray[np.intp]) -> None:
        batch["goals"] += reached
        batch["trials"][rows] += 1
        batch["last_steps"][rows] = batch["trial_steps"][rows]
        batch["ended_steps"][rows] += batch["trial_steps"][rows]
        batch["trial_steps"][rows] = 0
        for b in rows.tolist():
            self.views("qpos")[b][:] = draw_start(batch.stream("place", b), self._goal_m)
            self.views("qvel")[b][:] = 0
            self.views("qacc_warmstart")[b][:] = 0
        batch.invalidate()

    def _away(self, positions: Floats) -> Floats:
        """Distance `[...]` of positions `[..., 2]` from the goal's centre, m."""
        return distance(positions - self._goal_m)

    def _heading_reward(self, batch: Batch, action: NDArray[Any]) -> Floats:
        start, end = batch["from_m"] - self._goal_m, batch["to_m"] - self._goal_m
        values: Floats = heading_reward(start, end, self._limit_rad, self._power)
        return values

    def _distance_reward(self, batch: Batch, action: NDArray[Any]) -> Floats:
        cost: Floats = np.minimum(self._away(batch["to_m"]) / distance(REACH_M + np.abs(self._goal_m)), 1.0)
        return -cost

    def _straight_to_goal(self, batch: Batch) -> NDArray[np.float32]:
        """The expert: full speed to the goal's centre, `[n, 2]`."""
        away = batch.qpos - self._goal_m
        directions = away / np.maximum(distance(away), 1e-9)[:, None]
        action: NDArray[np.float32] = (-MAX_SPEED_M_S * directions).astype(np.float32)
        return action

    def _reach_info(self, batch: Batch) -> dict[str, NDArray[Any]]:
        trials, goals = batch["trials"], batch["goals"]
        steps = batch["trial_steps"], batch["last_steps"], batch["ended_steps"]
        last_s, mean_s, away_m = trial_figures(batch.qpos, self._goal_m, trials, *steps)
        return {
            "goals": goals.copy(),
            "trials": trials.copy(),
            "time_to_goal_s": last_s,
            "mean_time_to_goal_s": mean_s,
            "success": goals > 0,
            "distance_m": away_m,
        }

    def _draw_frame(self, row: Row) -> NDArray[np.uint8]:
        return draw_frame(row, self._goal_m)


class BallReach(SingleEnv):
    """One ball of 2 m radius on a plane of 20 x 20 m; the arguments are those of `BallReachVector` without `num_envs`.

    The action is a velocity along x and y, m/s, held for 20 ms; one longer than 4 m/s is shortened to 4 m/s. An
    actuator with a time constant of 0.1 s follows it. The goal is the circle of 2 m radius about `goal_m`, the plane's
    centre by default.

    A trial starts at rest more than 3 m from the goal's centre. It ends when the ball's centre is in the goal, or
    without success after 60 s; the ball is then put at rest at a new random place. That is the only time, beside the
    start of an episode, when positions are written. An episode never terminates: it is truncated after `max_steps`.

    Rewards are computed from the displacement in the control step, also in the step after which the ball is put
    elsewhere. With the angle b between displacement and direction to the goal's centre, and the speed v of the
    displacement:

    - `"heading"`: `(1 - |b| / limit)^power sqrt(v / 4 m/s)` where |b| < limit, else 0; in [0, 1];
    - `"distance"`: minus the distance of the ball's centre from the goal's after the displacement, over that of the
      farthest corner (11.3 m where the goal is in the centre); in [-1, 0].

    Info: `goals` reached in the episode, and `trials` that ended; `time_to_goal_s` of the last of these, and
    `mean_time_to_goal_s` over them, where a timeout counts 60 s (as long as no trial has ended, both are the time of
    the running one); `success`, whether the goal was reached at least once; `distance_m` from the goal's centre.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(BallReachVector, **kwargs)


def draw_start(rng: np.random.Generator, goal_m: Floats = _CENTRE) -> Floats:
    """A place `[2]` of the ball, uniform over those farther than `START_M` from the goal's centre `[2]`."""
    while True:
        place = rng.uniform(-REACH_M, REACH_M, 2)
        if distance(place - goal_m) > START_M:
            return place


def distance(vectors: Floats) -> Floats:
    """Length `[...]` of vectors `[..., 2]`."""
    x, y = vectors[..., 0], vectors[..., 1]
    return np.asarray(np.sqrt(x * x + y * y))


@njit(cache=True, nogil=True)
def heading_reward(start, end, limit_rad, power):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The heading reward `[n]` of displacements in one control step, `start` to `end` `[n, 2]`; see `BallReach`.

    Both are relative to the goal's centre.
    """
    # Scalar code: a row's bits must not depend on the number of rows.
    out = np.zeros(len(start))
    for i in range(len(start)):
        x, y = start[i]
        dx, dy = end[i, 0] - x, end[i, 1] - y
        speed = np.sqrt(dx * dx + dy * dy) / CONTROL_DT_S
        angle = abs(np.arctan2(dy * x - dx * y, -dx * x - dy * y))
        if speed > 0 and angle < limit_rad:
            out[i] = (1 - angle / limit_rad) ** power * np.sqrt(min(speed / MAX_SPEED_M_S, 1.0))
    return out


def never(batch: Batch) -> NDArray[np.bool_]:
    """No episode terminates."""
    return np.zeros(len(batch), np.bool_)


def draw_frame(row: Row, goal_m: Floats) -> NDArray[np.uint8]:
    """The plane, the goal about `goal_m` `[2]` and the ball from above, `[240, 320, 3]`."""
    y, x = np.mgrid[119.5:-120:-1, -159.5:160] * (2 * (HALF_SIDE_M + 1) / 240)
    frame = np.zeros((240, 320, 3), np.uint8)
    frame[np.maximum(abs(x), abs(y)) < HALF_SIDE_M] = round(255 * FLOOR_GREY)
    frame[np.sqrt((x - goal_m[0]) ** 2 + (y - goal_m[1]) ** 2) < GOAL_RADIUS_M] = 51, 178, 77
    frame[np.sqrt((x - row.qpos[0]) ** 2 + (y - row.qpos[1]) ** 2) < RADIUS_M] = round(255 * BALL_GREY)
    return frame


def _checked_goal(goal_m: Any) -> tuple[float, float]:
    given = array_of(goal_m)
    if given is not None and given.shape == (2,) and given.dtype.kind in "iuf" and (np.abs(given) <= REACH_M).all():
        return float(given[0]), float(given[1])
    raise NeuroctlError(f"goal_m is {shown(goal_m)}; allowed: two numbers from {-REACH_M:g} to {REACH_M:g}")


def _check_heading(reward: str, limit_deg: Any, power: Any) -> None:
    if not (is_number(limit_deg) and 0 < limit_deg <= 180):
        raise NeuroctlError(f"heading_limit_deg is {shown(limit_deg)}; allowed: above 0, up to 180")
    if not (is_number(power) and power >= 0):
        raise NeuroctlError(f"heading_power is {shown(power)}; allowed: a finite number >= 0")
    if reward != "heading" and (limit_deg, power) != (90.0, 1.0):
        raise NeuroctlError(f"heading_limit_deg and heading_power need reward='heading'; found {reward!r}")
