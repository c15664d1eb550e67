"""Learning curves of populations: what each row of a closed loop did in each stretch of time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.contracts import Agent, Info, Listener, Observation, Step
from neuroctl.loop import ClosedLoop
from neuroctl.recorder import scalar_columns
from neuroctl.storage import append_line, cut_lines, whole_lines
from neuroctl.vector import Vector

FIELDS = ("reward", "trials", "successes", "trial_s")
"""Of each row: mean reward of a step; trials that ended, how many of them succeeded, and how long all took together."""


def trials_of(final: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Trials, successes and seconds `[3, B]` of episodes, from what the environment says of them at their end.

    A ball has several trials in an episode, of which only those count that ended; a vehicle has one, the time on its
    lane.
    """
    if "trials" in final:
        trials = final["trials"]
        return np.stack([trials, final["goals"], trials * final["mean_time_to_goal_s"]])
    return np.stack([np.ones_like(final["success"]), final["success"], final["time_on_lane_s"]])


class CurveLog(Listener):
    """Writes a line of JSON with `FIELDS`, each `[B]`, after every `every` steps; an episode counts where it ends.

    A run that goes on from a checkpoint must have been saved at the end of a line; lines beyond it are cut.
    """

    def __init__(self, path: Path, every: int) -> None:
        self._path, self._every = path, every

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Start counting."""
        self._sums = np.zeros((len(FIELDS), env.num_envs))
        self._next: int | None = None

    def on_step(self, step: Step) -> None:
        """Count the step; write a line when it is due."""
        if self._next is None:
            cut_lines(self._path, step.index)
            self._next = step.index - step.index % self._every + self._every
        self._sums[0] += step.reward
        if step.done.any():
            said = trials_of(scalar_columns(step.info["final_info"]))
            self._sums[1:, step.done] += said[:, step.done]
        if step.index + 1 == self._next:
            self._write(step.index + 1)

    def _write(self, index: int) -> None:
        self._sums[0] /= self._every
        content = {"step": index, **dict(zip(FIELDS, self._sums.tolist(), strict=True))}
        append_line(self._path, json.dumps(content))
        self._sums = np.zeros_like(self._sums)
        self._next = index + self._every


def read_curve(path: Path) -> dict[str, NDArray[np.float64]]:
    """The lines of a curve: `step` `[N]`, and each of `FIELDS` `[N, B]`."""
    lines = [json.loads(line) for line in whole_lines(path)]
    return {name: np.array([line[name] for line in lines]) for name in ("step", *FIELDS)}


def play_episodes(env: Vector, agent: Agent, seed: int, episodes: int) -> dict[str, list[float]]:
    """`FIELDS` of each row, over its first `episodes` episodes; nothing is learned.

    Rows that finish early go on unheeded until all have.
    """
    loop = ClosedLoop(env, agent)
    loop.begin(seed)
    sums, left = np.zeros((len(FIELDS), env.num_envs)), np.full(env.num_envs, episodes)
    steps = np.zeros(env.num_envs)
    while left.any():
        step = loop.step()
        counts = left > 0
        sums[0] += np.where(counts, step.reward, 0.0)
        steps += counts
        ended = step.done & counts
        if ended.any():
            sums[1:, ended] += trials_of(scalar_columns(step.info["final_info"]))[:, ended]
            left -= ended
    sums[0] /= steps
    return dict(zip(FIELDS, sums.tolist(), strict=True))
