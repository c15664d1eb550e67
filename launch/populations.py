"""Populations of spiking agents in studies: their tasks, where their runs lie, and cells of tables about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.launch import presets
from neuroctl.statistics import stratified_bootstrap
from neuroctl.streams import stream
from neuroctl.vector import Vector, make_env

Task = Literal["ball", "sums", "lane"]
TASKS: dict[Task, str] = {
    "ball": "Reaching with a ball, 256 event pixels",
    "sums": "Reaching with a ball, events summed over rows and columns",
    "lane": "Lane following on the loop, event camera",
}
PRESETS = {"ball": presets.spore_ball, "sums": presets.spore_ball_sums, "lane": presets.spore_lane}
FROZEN_EPISODES = {"ball": 2, "sums": 2, "lane": 3}
FROZEN_STEPS = 6000
"""Length of an episode in which frozen agents play: 2 minutes."""
FROZEN_OPTIONS: dict[Task, dict[str, Any]] = {"ball": {}, "sums": {}, "lane": {"start": "fixed"}}
"""Of the environment in which frozen agents are measured: the vehicle begins on the straight, whoever drives it."""
WITHOUT_LEARNING = {
    "learning_rate_per_s": 0.0,
    "learning_rate_schedule": "constant",
    "learning_rate_half_life_s": None,
}
"""Options of an agent whose synapses stay as they are."""
TUNING_SEEDS = (11, 12)
"""Root seeds of the populations on which presets were tuned."""
FINAL_SEEDS: dict[Task, int] = {"ball": 100, "sums": 100, "lane": 103}
"""Root seeds of the populations that are published; a preset that was tuned again got a new one."""
RESAMPLES = 2000


def run_folder(out: Path, task: Task, condition: str, seed: int) -> Path:
    """Where the population of a root seed lies that learned a task under a condition."""
    return out / task / f"{condition.replace(' ', '_').replace('/', 'over')}-s{seed}"


def root_seed(task: Task, given: int | None) -> int:
    """The root seed of a task's populations: the one that is asked for, or the published one."""
    return FINAL_SEEDS[task] if given is None else given


def root_seeds(given: int | None) -> str:
    """The root seeds of all tasks, in words."""
    if given is not None:
        return f"root seed {given}"
    return "root seeds " + ", ".join(f"{seed} of {task}" for task, seed in FINAL_SEEDS.items())


def environment(task: Task, rows: int, max_steps: int, shifts: Sequence[str] = (), **options: Any) -> Vector:
    """The task's environment with episodes of `max_steps`, under shifts, with other options than the preset's."""
    made: Any = PRESETS[task]()
    return make_env(made.env.id, rows, {**made.env.kwargs(), "max_steps": max_steps, **options}, shifts)


def frozen_environment(task: Task, rows: int, shifts: Sequence[str] = (), **options: Any) -> Vector:
    """Where frozen agents are measured, under shifts, with other options."""
    return environment(task, rows, FROZEN_STEPS, shifts, **{**FROZEN_OPTIONS[task], **options})


def duration_name(task: Task) -> str:
    """What the duration of a trial is called."""
    return "time on the lane, s" if task == "lane" else "time to goal, s"


def durations(fields: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """Mean duration of a trial in s, of arrays `trials` and `trial_s` `[...]`; nan where none ended."""
    trials, seconds = np.array(fields["trials"], np.float64), np.array(fields["trial_s"], np.float64)
    return np.divide(seconds, trials, out=np.full_like(seconds, np.nan), where=trials > 0)


def mean_duration(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over agents, the last axis, of those whose trials ended; nan where none did."""
    there = ~np.isnan(seconds)
    count = there.sum(axis=-1)
    out = np.full(np.shape(count), np.nan)
    mean: NDArray[np.float64] = np.divide(np.nansum(seconds, axis=-1), count, out=out, where=count > 0)
    return mean


def interval(values: NDArray[np.float64], digits: int = 2, of: Callable[[NDArray[np.float64]], Any] = np.mean) -> str:
    """A statistic of agents and its 95 % bootstrap interval; those without a trial that ended (nan) are left out."""
    there = values[~np.isnan(values)]
    if not len(there):
        return "no trial ended"
    found = stratified_bootstrap(there, lambda scores: float(of(scores)))
    return _cell(found.value, found.low, found.high, digits)


def difference(ones: NDArray[np.float64], others: NDArray[np.float64], digits: int = 2) -> str:
    """The mean of agents minus that of others, who are not paired with them, and its 95 % bootstrap interval."""
    there = [values[~np.isnan(values)] for values in (ones, others)]
    if not all(map(len, there)):
        return "no trial ended"
    generator = stream(0, "difference")
    first, second = (v[generator.integers(len(v), size=(RESAMPLES, len(v)))].mean(axis=1) for v in there)
    low, high = np.percentile(first - second, [2.5, 97.5])
    return _cell(there[0].mean() - there[1].mean(), low, high, digits)


def _cell(value: float, low: float, high: float, digits: int) -> str:
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
