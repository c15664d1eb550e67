"""What launch/study_spore.py trains, under which conditions, and where it keeps what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.launch import presets
from neuroctl.launch.populations import PRESETS, TASKS, WITHOUT_LEARNING, Task, root_seed, run_folder
from neuroctl.launch.study import Option
from neuroctl.launch.study_workers import OnWorkers

FULL_HOURS, SHORT_HOURS = 5.0, 2.0


@dataclass(frozen=True)
class Condition:
    """A change of a task's preset."""

    agent: Mapping[str, Any] = field(default_factory=dict)
    """Options of the agent."""
    tuned: Mapping[Task, Mapping[str, Any]] = field(default_factory=dict)
    """Options that were tuned for each task, see docs/results/spore_tuning.md."""
    hours: float = SHORT_HOURS
    """Simulated time of each agent."""
    agents: int = 10
    """Agents in a population."""


def _tuned(learning_rate_per_s: float, *rule_options: str) -> dict[str, Any]:
    return {"learning_rate_per_s": learning_rate_per_s, "rule_options": rule_options}


_BALL, _LANE = ("initial=(0.15,0.08)", "episode_length=300"), ("initial=(0.006,0.003)", "episode_length=250")
_ONE_SET = {"inhibition": False, "drive_mv": 0.5}
"""Weights of the baselines take both signs, in one set of synapses."""
_R_STDP: dict[Task, dict[str, Any]] = {
    "ball": _tuned(1e-2, *_BALL, "a_minus=0.2"),
    "sums": _tuned(1e-2, *_BALL, "a_minus=0.5"),
    "lane": _ONE_SET | _tuned(3e-5, *_LANE, "a_minus=0", "min_weight=-0.45", "max_weight=0.45"),
}
_NODE_PERTURBATION: dict[Task, dict[str, Any]] = {
    "ball": _tuned(1e-2, *_BALL, "min_weight=-7.4"),
    "sums": _tuned(2e-2, *_BALL, "min_weight=-7.4"),
    "lane": _ONE_SET | _tuned(1e-4, *_LANE, "min_weight=-0.45", "max_weight=0.45"),
}
CONDITIONS: dict[str, Condition] = {
    "annealed": Condition(hours=FULL_HOURS, agents=16),
    "constant": Condition({"learning_rate_schedule": "constant", "learning_rate_half_life_s": None}, hours=FULL_HOURS),
    "T 0": Condition({"temperature": 0.0}, hours=FULL_HOURS),
    "T 1": Condition({"temperature": 1.0}, hours=FULL_HOURS),
    "T annealed": Condition(
        {
            "temperature": 0.1,
            "temperature_schedule": "exponential",
            "temperature_half_life_s": presets.HALF_LIFE_S,
        }
    ),
    "raw reward": Condition({"reward_filter": "raw", "reward_mean_s": None}),
    "reward / mean": Condition({"reward_filter": "ratio"}),
    "z-scored reward": Condition({"reward_filter": "zscore"}),
    "reward late": Condition({"reward_delay_s": 300.0}),
    "untrained": Condition(WITHOUT_LEARNING),
    "r-stdp": Condition({"rule": "r-stdp"}, tuned=_R_STDP),
    "node-perturbation": Condition({"rule": "node-perturbation"}, tuned=_NODE_PERTURBATION, hours=FULL_HOURS),
}
"""`reward late` and `untrained` are controls, the last two are baselines; the short ones are exploratory."""
SCRIPTED = {"ball": ("expert", "random"), "sums": ("expert", "random"), "lane": ("expert", "random", "straight")}
"""Players without a network: the task's expert, random commands that are held, and never to steer."""
EVALUATIONS: dict[Task, dict[str, dict[str, Any]]] = {
    "ball": {"frozen": {}},
    "sums": {"frozen": {}},
    "lane": {"frozen": {}, "frozen, anywhere": {"start": "random"}},
}
"""How frozen agents are measured, as options of the environment beside those of `frozen_environment`. The first one is
repeated every half hour, others follow at the end."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train populations of spiking agents; write docs/results/spore_ball.md, spore_sums.md and spore_lane.md."""

    out: Path = Path("runs/study_spore")
    """Cache: runs, curves and evaluations."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    tasks: tuple[Task, ...] = tuple(TASKS)
    """Tasks to run."""
    conditions: tuple[str, ...] = ("annealed",)
    """Conditions to run; `all` is every one."""
    hours: float | None = None
    """Simulated time of each agent, a multiple of half an hour; default that of the run that is there, or else of the
    condition."""
    agents: int | None = None
    """Agents in a population; default as in the run that is there, or else as the condition says."""
    seed: int | None = None
    """Root seed of the populations; default that of the published ones of each task."""
    what: Literal["all", "table"] = "all"
    """Train and evaluate, or only write the tables from the cache."""

    def __post_init__(self) -> None:
        """Refuse conditions that do not exist, and times that end between two checkpoints."""
        super().__post_init__()
        for name in self.conditions:
            if name not in (*CONDITIONS, "all"):
                raise UnknownNameError("condition", name, (*CONDITIONS, "all"))
        if self.hours is not None and not (self.hours > 0 and self.hours * 2 % 1 == 0):
            raise NeuroctlError(f"hours is {self.hours:g}; allowed: multiples of 0.5")
        if self.agents is not None and self.agents < 1:
            raise NeuroctlError(f"agents is {self.agents}; allowed: from 1 on")

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are asked for."""
        return tuple(CONDITIONS) if "all" in self.conditions else self.conditions

    def config(self, task: Task, name: str) -> TrainConfig:
        """The task's preset under a condition, saved every half hour."""
        made: Any = PRESETS[task]()
        condition = CONDITIONS[name]
        changes: dict[str, Any] = {**condition.agent, **condition.tuned.get(task, {})}
        half = presets.SIMULATED_HOUR // 2
        points = round(2 * (self.hours or condition.hours))
        config: TrainConfig = replace(
            made,
            agent=replace(made.agent, **changes),
            seed=root_seed(task, self.seed),
            num_envs=self.agents or condition.agents,
            steps=points * half,
            checkpoint_every=half,
            keep_checkpoints=points + 1,
        )
        return config

    @property
    def of_runs(self) -> dict[str, Option]:
        """What `hours` and `agents` are in the configuration of a run."""
        return {
            "steps": Option("--hours", presets.SIMULATED_HOUR, given=self.hours is not None),
            "num_envs": Option("--agents", given=self.agents is not None),
        }

    def folder(self, task: Task, name: str) -> Path:
        """The run of a condition."""
        return run_folder(self.out, task, name, root_seed(task, self.seed))

    def curve(self, task: Task, name: str) -> Path:
        """How it learned."""
        return self.folder(task, name).with_suffix(".curve.jsonl")

    def evaluation(self, task: Task, name: str, evaluation: str) -> Path:
        """What a condition's agents, or a scripted player, do in an evaluation."""
        return self.folder(task, name).with_suffix(f".{evaluation.replace(', ', '-')}.json")
