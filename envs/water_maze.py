"""A water maze: find a hidden platform, remember where it is, and swim straight to it in later trials.

The task is that of Morris (1984, "Developments of a water-maze procedure for studying spatial learning in the rat"), as
background only; its constants are our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown, whole_steps
from neuroctl.errors import NeuroctlError

from .dynamics import Dynamics
from .mujoco_batch import Batch, Floats, Row
from .mujoco_task import MujocoTask
from .pool import (
    COMMANDS,
    CONTROL_DT_S,
    MAX_SPEED_M_S,
    MAX_TURN_RAD_S,
    checked_radius,
    draw_platform,
    draw_start,
    pool_xml,
    search_path,
)
from .pool_trials import (
    MOVES,
    RESTS,
    aims,
    count_step,
    discrete_steering,
    felt_state,
    nearest_point,
    steering,
    trial_figures,
)
from .pool_view import CUES, PoolRetina, draw_pool
from .single_env import SingleEnv
from .vector_tools import require

RETINA_SIZE = (8, 32)
"""Where none is chosen."""
LONGEST_REST_S = 60.0
COUNTS = ("trial_steps", "first_steps", "later_steps", "goals")
"""Task variables: steps in the water in the running trial, the first one, the later ones; platforms reached."""
FELT = 8
"""Numbers of the observation `"state"`, without the last reward."""


class WaterMazeVector(MujocoTask):
    """B swimmers in their pools; see `WaterMaze` for what is observed, done and rewarded.

    Args:
        num_envs: B.
        observation: `"state"` (what the swimmer feels, and where it is, `[8]`) or `"retina"` (grey image in [0, 1] of
            the wall around, 240 degrees wide).
        retina_size: rows and columns of the retina, averaged from a camera of 32 x 128 pixels.
        cues: how many of the four cues are on the wall, see `neuroctl.envs.pool_view`.
        last_reward: whether the state has the reward of the last step as a ninth number.
        discrete_actions: three commands (0 forward, 1 left, 2 right) in place of speed and turn rate.
        radius_m: of the pool, from 0.5 to 5 m.
        rest_s: time on the platform after it was reached, up to 60 s in steps of 50 ms; 0 is none.
        expert: `"memory"` searches until it has found the platform in the episode, then swims straight to it;
            `"search"` searches in every trial.
        max_steps: control steps of 50 ms after which an episode is truncated.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        observation: str = "state",
        retina_size: Sequence[int] = RETINA_SIZE,
        cues: int = len(CUES),
        last_reward: bool = False,
        discrete_actions: bool = False,
        radius_m: float = 1.0,
        rest_s: float = 1.0,
        expert: str = "memory",
        max_steps: int = 1000,
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
    ) -> None:
        require("observation", observation, ("state", "retina"))
        require("last_reward", last_reward, (True, False))
        require("discrete_actions", discrete_actions, (True, False))
        require("expert", expert, ("memory", "search"))
        self._radius_m, self._rest_steps = checked_radius(radius_m), _rest_steps(rest_s)
        self._retina = PoolRetina(retina_size, self._radius_m, cues)
        _check_senses(observation, self._retina, last_reward)
        self._last_reward, self._discrete, self._remembers = last_reward, discrete_actions, expert == "memory"
        self._path = search_path(self._radius_m)
        high = np.array([MAX_SPEED_M_S, MAX_TURN_RAD_S], np.float32)
        sees = observation == "retina"
        super().__init__(
            pool_xml(self._radius_m),
            num_envs=num_envs,
            reset=self._reset_row,
            observe=self._see if sees else self._feel,
            reward=_arrival_reward,
            terminated=_never,
            observation_space=gym.spaces.Box(0.0, 1.0, self._retina.size, np.float32)
            if sees
            else gym.spaces.Box(-2.0, 2.0, (FELT + last_reward,), np.float32),
            action_space=gym.spaces.Discrete(len(COMMANDS))
            if discrete_actions
            else gym.spaces.Box(high * np.array([0, -1], np.float32), high, dtype=np.float32),
            control_dt_s=CONTROL_DT_S,
            max_steps=max_steps,
            variables={
                "platform_m": np.zeros(2),
                **dict.fromkeys(COUNTS, np.int64(0)),
                "rest": np.int64(0),
                "waypoint": np.int64(0),
                "arrived": np.bool_(False),
            },
            streams=("place",),
            control=self._controls,
            advance=self._advance_task,
            held=_rests,
            info=_maze_info,
            expert=self._expert_action,
            dynamics=dynamics,
            render_mode=render_mode,
        )

    # Episodes and trials

    def _reset_row(self, row: Row) -> None:
        row["platform_m"] = draw_platform(row.rng, self._radius_m)
        row.qpos[:], row["waypoint"] = self._draw_start(row.stream("place"), row["platform_m"])

    def _draw_start(self, rng: np.random.Generator, platform_m: Floats) -> tuple[Floats, int]:
        """Pose `[3]` at the start of a trial, and where the search begins."""
        pose = draw_start(rng, self._radius_m, platform_m)
        return pose, nearest_point(self._path, pose[0], pose[1])

    def _controls(self, batch: Batch, action: NDArray[Any]) -> Floats:
        controls: Floats = COMMANDS[action] if self._discrete else action.astype(np.float64)
        return controls

    def _advance_task(self, batch: Batch, action: NDArray[Any]) -> None:
        counts = tuple(batch[name] for name in COUNTS)
        more = (self._rest_steps, counts, batch["rest"], batch["waypoint"], batch["arrived"])
        todo = count_step(batch.qpos, batch["platform_m"], self._path, *more)
        if not todo.any():
            return
        for b in np.flatnonzero(todo == MOVES).tolist():
            start = self._draw_start(batch.stream("place", b), batch["platform_m"][b])
            self.views("qpos")[b][:], batch["waypoint"][b] = start
            batch["trial_steps"][b] = 0
        for b in np.flatnonzero(todo >= RESTS).tolist():
            self.views("qvel")[b][:] = 0
            self.views("qacc_warmstart")[b][:] = 0
        batch.invalidate()

    # What is seen

    def _see(self, batch: Batch) -> NDArray[np.float32]:
        return self._retina.render(batch.qpos)

    def _feel(self, batch: Batch) -> NDArray[np.float32]:
        state = np.empty((len(batch), FELT + self._last_reward), np.float32)
        felt_state(batch.qpos, batch.qvel, batch["rest"], self._radius_m, state)
        if self._last_reward:
            state[:, FELT] = batch["arrived"]
        return state

    # The experts

    def _expert_action(self, batch: Batch) -> NDArray[Any]:
        known = (batch["goals"] > 0) & self._remembers
        aim = aims(batch["platform_m"], self._path, batch["waypoint"], known)
        commands: NDArray[np.float32] = steering(batch.qpos, aim)
        if self._discrete:
            return np.asarray(discrete_steering(commands))
        return commands

    def _frame(self, b: int) -> NDArray[np.uint8]:
        return draw_pool(self.views("qpos")[b], self.variable("platform_m")[b], self._radius_m, self._retina.cues)


class WaterMaze(SingleEnv):
    """One swimmer in a round pool; the arguments are those of `WaterMazeVector` without `num_envs`.

    The action is a speed ahead, 0 to 0.4 m/s, and a turn rate, up to pi rad/s to either side (positive is left), held
    for 50 ms and followed with time constants of 0.2 s and 0.1 s; or a command: forward at full speed, or left or right
    at half of it and the greatest turn rate.

    Somewhere under the water is a platform of 0.12 m radius. Each episode draws its place, at least 0.12 m from the
    wall; no sense shows it. The reward is 1 in the step in which the swimmer's centre gets over it, else 0. The swimmer
    then stands there for `rest_s`, whatever it does, and feels that; then the next trial starts: it is put to a new
    random place and heading, at rest, away from the same platform. So who remembers where the platform was swims
    straight to it. A trial has no time limit, and its end is not that of the episode, which never terminates: it is
    truncated after `max_steps`.

    The state is position over radius, cos and sin of the heading, velocity ahead and to the left over 0.4 m/s, turn
    rate over pi rad/s, and whether the swimmer stands on the platform. The retina shows the wall with four cues that
    are the same in every episode.

    Info: `trials` that began, and `goals`, how often the platform was reached; `first_trial_s`, the time to the
    platform in the first trial, and `later_trials_s`, the mean over later ones that ended, both without rests (where
    none has ended, the time of the running trial until now); `success`, whether the platform was reached at least once.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(WaterMazeVector, **kwargs)


def _maze_info(batch: Batch) -> dict[str, NDArray[Any]]:
    goals = batch["goals"]
    first_s, later_s = trial_figures(*(batch[name] for name in COUNTS))
    return {
        "trials": goals + (batch["rest"] == 0),
        "goals": goals.copy(),
        "first_trial_s": first_s,
        "later_trials_s": later_s,
        "success": goals > 0,
    }


def _arrival_reward(batch: Batch, action: NDArray[Any]) -> Floats:
    return batch["arrived"].astype(np.float64)


def _rests(batch: Batch) -> NDArray[np.bool_]:
    return batch["rest"] > 0


def _never(batch: Batch) -> NDArray[np.bool_]:
    return np.zeros(len(batch), np.bool_)


def _rest_steps(rest_s: Any) -> int:
    steps = whole_steps(rest_s, CONTROL_DT_S) if is_number(rest_s) and 0 <= rest_s <= LONGEST_REST_S else None
    if steps is None:
        allowed = f"seconds from 0 to {LONGEST_REST_S:g} in steps of {CONTROL_DT_S:g}"
        raise NeuroctlError(f"rest_s is {shown(rest_s)}; allowed: {allowed}")
    return steps


def _check_senses(observation: str, retina: PoolRetina, last_reward: bool) -> None:
    """Refuse options that the observation does not use."""
    if observation == "retina" and last_reward:
        raise NeuroctlError("last_reward needs observation='state'; found 'retina'")
    if observation == "state" and retina.size != RETINA_SIZE:
        raise NeuroctlError("retina_size needs observation='retina'; found 'state'")
    if observation == "state" and retina.cues != len(CUES):
        raise NeuroctlError("cues needs observation='retina'; found 'state'")
