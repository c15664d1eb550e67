"""What launch/study_rtrl.py trains, and where it keeps what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from neuroctl.config import TrainConfig
from neuroctl.envs.config import NonMatchConfig
from neuroctl.errors import NeuroctlError, refuse_unknown
from neuroctl.launch import memory_presets
from neuroctl.launch.study_workers import OnWorkers

Task = Literal[
    "nonmatch",
    "nonmatch-long",
    "nonmatch-10",
    "nonmatch-50",
    "nonmatch-200",
    "nonmatch-cfc",
    "nonmatch-cfc-10",
    "tmaze",
    "nparity",
    "nparity-long",
    "watermaze",
]


class TaskPlan(NamedTuple):
    """A task and how it is judged."""

    title: str
    preset: Callable[[], TrainConfig]
    measure: str
    """Field of metrics.jsonl."""
    threshold: float
    """Of the measure."""
    forgetful: float
    """The measure of an agent without memory: chance, or in the maze the expert's that searches every time."""


def _nonmatch(delay: int, millions: int) -> TaskPlan:
    """Delays of half of `delay` to `delay` steps, for so many million environment steps."""

    def preset() -> TrainConfig:
        steps = millions * memory_presets.MILLION // memory_presets.ROWS
        return replace(memory_presets.rtrl_nonmatch(), env=NonMatchConfig(delay=delay), steps=steps)

    title = f"Delayed non-match to sample, delays of {delay // 2} to {delay} steps, {millions} million steps"
    return TaskPlan(title, preset, "success", 0.9, 0.5)


def _parity_long() -> TrainConfig:
    return replace(memory_presets.rtrl_nparity(), steps=5 * memory_presets.MILLION // memory_presets.ROWS)


TASKS: dict[Task, TaskPlan] = {
    "nonmatch": _nonmatch(20, 2),
    "nonmatch-long": _nonmatch(20, 5),
    "nonmatch-10": _nonmatch(10, 2),
    "nonmatch-50": _nonmatch(50, 5),
    "nonmatch-200": _nonmatch(200, 10),
    "nonmatch-cfc": _nonmatch(20, 2)._replace(
        title="A low-rank sparse CfC on delays of 10 to 20 steps, 2 million steps"
    ),
    "nonmatch-cfc-10": _nonmatch(10, 2)._replace(
        title="A low-rank sparse CfC on delays of 5 to 10 steps, 2 million steps"
    ),
    "tmaze": TaskPlan("T-maze, 50 cells", memory_presets.rtrl_tmaze, "success", 0.9, 0.5),
    "nparity": TaskPlan("Parity of 8 bits, 2 million steps", memory_presets.rtrl_nparity, "success", 0.9, 0.5),
    "nparity-long": TaskPlan("Parity of 8 bits, 5 million steps", _parity_long, "success", 0.9, 0.5),
    "watermaze": TaskPlan("Water maze, 5 million steps", memory_presets.rtrl_watermaze, "return", 13.0, 10.6),
}
CFC = {"cell": "cfc", "rank": 8, "sparsity": 0.5, "hidden_size": 32, "forget_bias": None, "memory_steps": 20}
METHODS: dict[str, dict[str, Any]] = {
    "rtrl": {},
    "rtrl, RTU": {"cell": "rtu", "forget_bias": None, "features": 64},
    "bptt": {"gradient": "bptt"},
    "immediate": {"gradient": "immediate"},
    "feed-forward": {"cell": "mlp", "gradient": "bptt", "forget_bias": None},
    "rtrl, CfC": CFC,
    "bptt, CfC": {**CFC, "gradient": "bptt"},
    "immediate, CfC": {**CFC, "gradient": "immediate"},
    **{
        f"{rule}, forget bias {mean:g}": {"gradient": rule, "forget_bias": mean}
        for mean in (0.0, 1.0)
        for rule in ("rtrl", "bptt", "immediate")
    },
}
"""Changes of a preset's agent. The first five are compared everywhere, the others where they are asked for. The RTU
stand above an encoder because their recurrence is linear: without one they cannot take in only what is marked."""
COMPARED = ("rtrl", "rtrl, RTU", "bptt", "immediate", "feed-forward")
LEARNING_RATES = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
"""Tried for every method on the tuning seeds, of which there are as many for each."""
FEWER_RATES: Mapping[Task, tuple[float, ...]] = {
    "nonmatch": LEARNING_RATES[1:],
    "nonmatch-cfc-10": (5e-4, 1e-3, 2e-3),
    "watermaze": (5e-4, 1e-3, 2e-3),
}
"""Where others are tried, fewer for time: on non-match, all that learn do better with rates above the lowest; the CfC
was seen to need low ones; in the maze rewards are normalised, so gradients are larger."""
TUNING_SEEDS = (11, 12)
TUNED: Mapping[tuple[Task, str], Mapping[int, float]] = {
    ("nonmatch", "rtrl"): {5: 1e-2, 10: 2e-2, 50: 2e-2},
    ("nonmatch", "rtrl, RTU"): {5: 1e-2},
    ("nonmatch", "bptt"): {5: 2e-2, 10: 1e-2, 50: 2e-2},
    ("nonmatch", "immediate"): {5: 5e-3, 10: 5e-3, 50: 2e-2},
    ("nonmatch", "feed-forward"): {5: 2e-3},
    ("nonmatch-cfc-10", "rtrl, CfC"): {5: 2e-3},
    ("nonmatch-cfc-10", "bptt, CfC"): {5: 5e-4},
    ("nonmatch-cfc-10", "immediate, CfC"): {5: 5e-4},
    ("tmaze", "rtrl"): {5: 1e-2, 50: 2e-2},
    ("tmaze", "rtrl, RTU"): {5: 1e-3},
    ("tmaze", "bptt"): {5: 2e-3, 50: 2e-2},
    ("tmaze", "immediate"): {5: 2e-3, 50: 5e-3},
    ("tmaze", "feed-forward"): {5: 5e-3},
    ("nparity", "rtrl"): {5: 1e-2},
    ("nparity", "rtrl, RTU"): {5: 2e-3},
    ("nparity", "bptt"): {5: 1e-2},
    ("nparity", "immediate"): {5: 2e-2},
    ("nparity", "feed-forward"): {5: 2e-2},
    ("watermaze", "rtrl"): {10: 1e-3},
    ("watermaze", "rtrl, RTU"): {10: 1e-3},
    ("watermaze", "bptt"): {10: 5e-4},
    ("watermaze", "immediate"): {10: 5e-4},
    ("watermaze", "feed-forward"): {10: 1e-3},
}
"""Learning rate that did best on the tuning seeds by rollout length; of equals, the one with which it learned first.
For other lengths it is that of the nearest, for other delays and forget biases the same, and where nothing was tuned
that of the preset."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train actor-critics by exact, truncated and immediate gradients; write docs/results/rtrl.md."""

    out: Path = Path("runs/study_rtrl")
    """Cache: runs."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    tasks: tuple[Task, ...] = ("nonmatch",)
    """Tasks to run."""
    methods: tuple[str, ...] = COMPARED
    """Methods to run."""
    rollouts: tuple[int, ...] = (5,)
    """Rollout lengths, steps."""
    seeds: tuple[int, ...] = field(default=tuple(range(100, 110)))
    """Root seeds."""
    tune: bool = False
    """Every learning rate on the tuning seeds instead."""
    what: Literal["all", "speed", "table"] = "all"
    """Train; measure how fast the methods are (run nothing else meanwhile); or only write the tables from the cache."""

    def __post_init__(self) -> None:
        """Refuse methods that do not exist and rollouts without a step."""
        super().__post_init__()
        refuse_unknown("method", self.methods, METHODS)
        if any(length < 1 for length in self.rollouts):
            raise NeuroctlError(f"rollouts are {self.rollouts}; allowed: from 1 step on")
        if set(self.seeds) & set(TUNING_SEEDS):
            raise NeuroctlError(f"seeds {TUNING_SEEDS} are for tuning (--tune); choose others")


class Cell(NamedTuple):
    """A run."""

    task: Task
    method: str
    rollout: int
    learning_rate: float
    seed: int


def cells(options: Arguments) -> Iterator[Cell]:
    """What is asked for."""
    seeds = TUNING_SEEDS if options.tune else options.seeds
    for seed, task, method, rollout in product(seeds, options.tasks, options.methods, options.rollouts):
        tried = FEWER_RATES.get(tuned_task(task), LEARNING_RATES)
        rates = tried if options.tune else (learning_rate(task, method, rollout),)
        for rate in rates:
            yield Cell(task, method, rollout, rate, seed)


def learning_rate(task: Task, method: str, rollout: int) -> float:
    """The one with which a method is published."""
    preset: Any = TASKS[task].preset()
    tuned = TUNED.get((tuned_task(task), method.partition(", forget bias")[0]))
    if tuned is None:
        return float(preset.agent.learning_rate)
    return tuned[min(tuned, key=lambda length: abs(length - rollout))]


def machine_of(versions: Mapping[str, str]) -> str:
    """What decides how fast something is, of what `versions` says."""
    return f"{versions['cpu']}; torch {versions['torch']}"


def tuned_task(task: Task) -> Task:
    """The one whose learning rates and speeds hold for a task: they are found for one delay, and one duration."""
    found: dict[Task, Task] = {"nparity-long": "nparity", "nonmatch-cfc-10": "nonmatch-cfc-10"}
    return found.get(task, "nonmatch" if task.startswith("nonmatch") else task)


def config(cell: Cell) -> TrainConfig:
    """The task's preset with another method."""
    made: Any = TASKS[cell.task].preset()
    agent = replace(made.agent, **METHODS[cell.method], rollout_length=cell.rollout, learning_rate=cell.learning_rate)
    found: TrainConfig = replace(made, agent=agent, seed=cell.seed, keep_checkpoints=1)
    return found


def method_folder(method: str) -> str:
    """A method's name as part of a path."""
    return method.replace(", ", "-").replace(" ", "_")


def folder(out: Path, cell: Cell) -> Path:
    """Where a run is kept."""
    return out / cell.task / f"{method_folder(cell.method)}-M{cell.rollout}-lr{cell.learning_rate:g}-s{cell.seed}"
