"""Every cell on three tasks by imitation: delayed reaching, lane following with blackouts, reaching with a ball.

`python launch/study_cells.py` trains what is missing, evaluates what is missing and writes `docs/results/cells.*` from
what there is; cells that were not run say so. Everything is kept in `--out`, so it can be stopped and started, and two
processes with different `--seeds` can share the work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.config import TrainConfig
from neuroctl.errors import UnknownNameError
from neuroctl.launch import presets
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.study import cell, evaluate_once, interval, train_once, values_of
from neuroctl.storage import atomic_write
from neuroctl.training import EPISODES
from neuroctl.versions import versions

Task = Literal["arm", "lane", "ball"]
TASKS: tuple[Task, ...] = ("arm", "lane", "ball")
TITLES = {
    "arm": "Delayed reaching (planar arm, state): the target is shown for 0.1 s, the arm moves 0.5 to 1.5 s later",
    "lane": "Lane following (retina, near camera): dark for 0.6 s, every 3 s on average; held-out roads",
    "ball": "Reaching with a ball (retina): the goal is in the middle of the picture",
}
CELLS = {
    "cfc": ImitationConfig(cell="cfc", rank=8, sparsity=0.5),
    "cfc-dense": ImitationConfig(cell="cfc"),
    "ltc": ImitationConfig(cell="ltc"),
    "ncp": ImitationConfig(cell="ncp"),
    "lstm": ImitationConfig(cell="lstm"),
    "gru": ImitationConfig(cell="gru"),
    "rnn": ImitationConfig(cell="rnn"),
    "mlp": ImitationConfig(cell="mlp"),
    "mlp-4-frames": ImitationConfig(cell="mlp", frame_stack=4),
}
REMEMBER = ("cfc", "cfc-dense", "ltc", "lstm", "gru", "rnn")
"""Cells that begin with a memory of the preset's length where it sets one; the others have no gates to draw."""
BLACKOUT_S = 0.6
MEASURES = {"return": "return_mean", "success": "success_rate"}


@dataclass(frozen=True)
class Arguments:
    """Train and evaluate every cell on three tasks; write docs/results/cells.md."""

    out: Path = Path("runs/study_cells")
    """Cache: recordings, runs and evaluations."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds."""
    tasks: tuple[Task, ...] = TASKS
    """Tasks to run."""
    cells: tuple[str, ...] = tuple(CELLS)
    """Cells to run."""
    episodes: int = 64
    """Episodes of each evaluation."""
    what: Literal["all", "table"] = "all"
    """Train and evaluate, or only write the tables from the cache."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_cells.py")
    for name in options.cells:
        if name not in CELLS:
            raise UnknownNameError("cell", name, CELLS)
    if options.what == "all":
        for task in options.tasks:
            for name in ("expert", "zero"):
                _evaluate(options, task, name, name)
        work = [(task, name, seed) for seed in options.seeds for task in options.tasks for name in options.cells]
        with shown("study", len(work), "policies") as progress:
            for task, name, seed in work:
                config, path = _config(task, name, seed), options.out / task / f"{name}-s{seed}"
                train_once(config, path, options.out / task / f"demonstrations-s{seed}")
                _evaluate(options, task, f"{name}-s{seed}", path)
                progress.advance(1, f"{task} {name} {seed}")
    _write(options)
    return 0


def _config(task: str, name: str, seed: int) -> TrainConfig:
    """The task's preset with another cell."""
    made: Any = {"arm": presets.arm_cfc, "lane": presets.lane_cfc, "ball": presets.ball_cfc}[task]()
    env = replace(made.env, blackout_s=BLACKOUT_S) if task == "lane" else made.env
    cell = {option: getattr(CELLS[name], option) for option in ("cell", "rank", "sparsity", "frame_stack")}
    if cell["rank"] is not None:
        cell["rank"] = made.agent.rank
    memory_steps = made.agent.memory_steps if name in REMEMBER else None
    config: TrainConfig = replace(
        made, env=env, agent=replace(made.agent, **cell, memory_steps=memory_steps), seed=seed
    )
    return config


def _path(options: Arguments, task: str, name: str) -> Path:
    return options.out / "evaluations" / task / f"{name}.json"


def _evaluate(options: Arguments, task: str, name: str, source: str | Path) -> None:
    config = _config(task, "cfc", 0)
    path = _path(options, task, name)
    evaluate_once(path, source, config.env.id, config.evaluation_kwargs(), episodes=options.episodes)


# -- tables ----------------------------------------------------------------------------------------------------


def _values(options: Arguments, task: str, name: str, measure: str) -> list[float]:
    """The measure of each seed that was run."""
    return values_of([_path(options, task, f"{name}-s{seed}") for seed in options.seeds], MEASURES[measure])


def _reference(options: Arguments, task: str, name: str, measure: str) -> float:
    return values_of([_path(options, task, name)], MEASURES[measure])[0]


def _scores(options: Arguments, task: str, name: str) -> list[float]:
    """Return of each seed on a scale where doing nothing is 0 and the expert 1."""
    zero, expert = (_reference(options, task, who, "return") for who in ("zero", "expert"))
    return [(value - zero) / (expert - zero) for value in _values(options, task, name, "return")]


HEAD = """# Every cell on three tasks, by imitation

Made by `python launch/study_cells.py`. Exploratory: {count} training seeds ({seeds}). The score is the mean return on a
scale where doing nothing is 0 and the expert 100; a cell of a table holds the mean over seeds (and each seed) over
{episodes} episodes, then the 95 % bootstrap interval of that mean, whose units are the seeds.

All cells have 64 units, 64 features and the settings of the task's preset (`neuroctl train arm-cfc`, `lane-cfc`,
`ball-cfc`); there is no tuning per cell. Those of lane and ball were chosen with the low-rank CfC and the LSTM, those
of the arm with CfC, LSTM and GRU on seed 1. There, a CfC with the usual start stayed at the level of a policy without
memory (3000 expert episodes, 2000 to 3000 steps, learning rates 5e-4 to 6e-3), a GRU did not. So all cells that can,
start with a memory of 130 steps (`memory_steps`); the feed-forward policies and the wired one cannot. "cfc" is low-rank
(rank 8, on the arm 16) and half sparse, "ncp" a CfC wired as a neural circuit policy, "mlp-4-frames" sees the last
four observations.

Machine: {cpu}; torch {torch}, mujoco {mujoco}.
"""


def _write(options: Arguments) -> None:
    tasks = [t for t in TASKS if all(_path(options, t, who).exists() for who in ("expert", "zero"))]
    if not tasks:
        sys.stdout.write("nothing evaluated yet\n")
        return
    options.results.mkdir(parents=True, exist_ok=True)
    numbers = {
        task: {
            "expert": {m: _reference(options, task, "expert", m) for m in MEASURES},
            "zero": {m: _reference(options, task, "zero", m) for m in MEASURES},
            "cells": {name: {m: _values(options, task, name, m) for m in MEASURES} for name in CELLS},
        }
        for task in tasks
    }
    content = {"seeds": list(options.seeds), "tasks": numbers, "versions": versions()}
    atomic_write(options.results / "cells.json", json.dumps(content, indent=1))
    atomic_write(options.results / "cells.md", "\n".join(_lines(options, tasks)) + "\n")
    _figure(options, tasks).savefig(options.results / "cells.png", dpi=110)
    sys.stdout.write(f"results: {options.results / 'cells.md'}\n")


def _lines(options: Arguments, tasks: Sequence[str]) -> Iterator[str]:
    here = versions()
    yield HEAD.format(
        count=len(options.seeds),
        seeds=", ".join(map(str, options.seeds)),
        episodes=options.episodes,
        **{name: here[name] for name in ("cpu", "torch", "mujoco")},
    )
    for task in tasks:
        expert, zero = (_reference(options, task, who, "return") for who in ("expert", "zero"))
        success = 100 * _reference(options, task, "expert", "success")
        yield f"## {TITLES[task]}\n"
        config = _config(task, "cfc", 0)
        episodes = config.demonstrations.episodes or EPISODES
        yield f"{config.steps} gradient steps on {episodes} expert episodes. Mean return of the expert"
        yield f"{expert:.1f} (success {success:.0f} %), of doing nothing {zero:.1f}.\n"
        yield "| cell | score | 95 % | success, % |"
        yield "|---|---|---|---|"
        count = len(options.seeds)
        for name in CELLS:
            scores = _scores(options, task, name)
            succeeded = cell(_values(options, task, name, "success"), 1.0, count)
            yield f"| {name} | {cell(scores, 1.0, count)} | {interval(scores)} | {succeeded} |"
        yield ""
    yield "![score of every seed](cells.png)"


def _figure(options: Arguments, tasks: Sequence[str]) -> Any:
    """Score of every seed, one panel for each task, cells without memory in another colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(tasks), 4.2), layout="constrained")
    for axis, task in zip(np.atleast_1d(figure.subplots(1, len(tasks), sharey=True)), tasks, strict=True):
        for place, name in enumerate(CELLS):
            scores = 100 * np.array(_scores(options, task, name))
            colour = "C3" if name.startswith("mlp") else "C0"
            axis.plot(scores, [place] * len(scores), "o", color=colour, alpha=0.6, ms=5)
            if len(scores):
                axis.plot([scores.mean()] * 2, [place - 0.3, place + 0.3], color=colour, lw=2)
        axis.axvline(100, color="0.7", lw=1, zorder=0)
        axis.set(title=TITLES[task].partition(" (")[0], xlabel="score, % (0 nothing, 100 expert)")
        axis.set(yticks=range(len(CELLS)), yticklabels=list(CELLS))
        axis.grid(axis="x", color="0.92")
    figure.axes[0].invert_yaxis()
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
