"""What runs of launch/study_rtrl.py came to: read from its cache, and kept beside the tables that show it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.launch.rtrl_plan import METHODS, TASKS, TUNING_SEEDS, Task, machine_of, method_folder
from neuroctl.metrics import read_metrics
from neuroctl.run import Run
from neuroctl.storage import atomic_write, read_json


class Setting(NamedTuple):
    """What runs that differ in their seed have in common."""

    method: str
    rollout: int
    """Steps."""
    learning_rate: float


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        setting: what was run.
        seed: the root seed.
        budget: environment steps of the whole run.
        steps: environment steps at the end of each stretch, `[K]`.
        values: the task's measure there, `[K]`.
        machine: processor and version of PyTorch.
    """

    setting: Setting
    seed: int
    budget: int
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    machine: str

    @property
    def final(self) -> float:
        """Mean over the last tenth of training."""
        return self.final_of(1.0)

    def final_of(self, share: float) -> float:
        """Mean over the last tenth of this share of training."""
        ends = self.steps / (share * self.budget)
        return float(self.values[(ends > 0.9) & (ends < 1 + 1e-9)].mean())

    def steps_to(self, threshold: float) -> float:
        """Environment steps until the measure first was at a threshold; infinity where it never was."""
        there = np.flatnonzero(self.values >= threshold)
        return float(self.steps[there[0]]) if len(there) else np.inf


Found = dict[Setting, list[Outcome]]


def of_seeds(runs: Iterable[Outcome], tuning: bool) -> Found:
    """The runs of each setting, on the tuning seeds or on all others, by rollout length, then as METHODS are."""
    order = {name: k for k, name in enumerate(METHODS)}
    found: Found = {}
    for run in sorted(runs, key=lambda run: (run.setting.rollout, order[run.setting.method], run.setting, run.seed)):
        if (run.seed in TUNING_SEEDS) == tuning:
            found.setdefault(run.setting, []).append(run)
    return found


def cached(out: Path, task: Task) -> Iterator[Outcome]:
    """Finished runs of a task in the study's cache."""
    methods = {method_folder(name): name for name in METHODS}
    measure = f"episode/{TASKS[task].measure}"
    for path in sorted(out.glob(f"{task}/*/config.json")):
        run = Run(path.parent)
        config: Any = run.config
        rows = config.num_envs or 1
        written = read_metrics(path.parent)
        lines = [line for line in written if measure in line]
        if lines and written[-1]["step"] == config.steps:
            yield Outcome(
                Setting(
                    methods[path.parent.name.rpartition("-M")[0]],
                    config.agent.rollout_length,
                    config.agent.learning_rate,
                ),
                config.seed,
                config.steps * rows,
                np.array([line["step"] * rows for line in lines], np.float64),
                np.array([line[measure] for line in lines]),
                machine_of(run.versions),
            )


def kept(path: Path) -> list[Outcome]:
    """Those that `keep` wrote; none where there is no such file.

    Raises:
        NeuroctlError: it is not such a file.
    """
    if not path.exists():
        return []
    try:
        return [_decoded(**record) for record in read_json(path)]
    except (TypeError, KeyError):
        raise NeuroctlError(f"{path} does not hold outcomes of runs; delete it to write those in the cache") from None


def keep(path: Path, runs: Iterable[Outcome]) -> None:
    """Write outcomes, so that tables can be extended where the cache is gone: one line each, values to four digits."""
    lines = [json.dumps(_encoded(run)) for run in runs]
    atomic_write(path, "[\n" + ",\n".join(lines) + "\n]\n")


def _encoded(run: Outcome) -> dict[str, Any]:
    said = {"seed": run.seed, "budget": run.budget, "machine": run.machine}
    values = [float(f"{value:.4g}") for value in run.values]
    return {**run.setting._asdict(), **said, "steps": run.steps.astype(int).tolist(), "values": values}


def _decoded(
    method: str,
    rollout: int,
    learning_rate: float,
    seed: int,
    budget: int,
    machine: str,
    steps: list[int],
    values: list[float],
) -> Outcome:
    setting = Setting(method, rollout, learning_rate)
    return Outcome(setting, seed, budget, np.array(steps, np.float64), np.array(values), machine)
