"""Tables and figures of launch/study_spore.py."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroctl.launch import presets
from neuroctl.launch.curves import read_curve
from neuroctl.launch.plots import label_plainly
from neuroctl.launch.populations import (
    TASKS,
    TUNING_SEEDS,
    Task,
    duration_name,
    durations,
    interval,
    mean_duration,
    root_seed,
)
from neuroctl.launch.spore_plan import CONDITIONS, EVALUATIONS, SCRIPTED, Arguments
from neuroctl.launch.variants import SAME, differences
from neuroctl.run import Run
from neuroctl.statistics import iqm
from neuroctl.storage import atomic_write, read_json, whole_lines
from neuroctl.versions import versions

HEAD = """# {title}: spiking agents learn

Made by {commands}. {seeds}
What was tried is in [spore_tuning.md](spore_tuning.md). The unit is the agent: a cell holds the mean over agents (or
the interquartile mean, IQM) and its 95 % bootstrap interval. "learning" is the last half hour of learning, "frozen" the
same agents afterwards without learning. {trial}
Populations that learned for less than 5 simulated hours are exploratory; beside them stands the one with annealed
learning rate at the same age. Rows with a seed are populations with other root seeds and what was different from the
present preset.

Machine: {cpu}; mujoco {mujoco}.
"""
TUNED = "Made with root seed {seed}; the preset was tuned on {tuning}."
TUNED_ON_IT = "Made with root seed {seed}; on it the preset was tuned (on {tuning}): these results are not held out."
TRIAL_OF_BALL = "A trial ends at the goal or after 60 s."
TRIAL_OF_LANE = "A trial ends when the vehicle leaves the lane, or after 120 s."
COLUMNS = 4
"""Of panels in a figure, at most."""


def write_results(options: Arguments) -> str:
    """Write a page and a figure of each task of which anything is there; says where they are."""
    tasks = [task for task in TASKS if any(options.out.glob(f"{task}/*.json*"))]
    if not tasks:
        return "nothing evaluated yet"
    options.results.mkdir(parents=True, exist_ok=True)
    pages = [options.results / f"spore_{task}.md" for task in tasks]
    for task, page in zip(tasks, pages, strict=True):
        _figure(options, task).savefig(page.with_suffix(".png"), dpi=110)
        lines = [_head(options, task), *table(options, task), "", f"![learning curves]({page.stem}.png)", ""]
        atomic_write(page, "\n".join(lines))
    return f"results: {', '.join(map(str, pages))}"


def _head(options: Arguments, task: Task) -> str:
    made = " and ".join(f"`{command}`" for command in commands(options, task))
    seed = root_seed(task, options.seed)
    text = TUNED_ON_IT if seed in TUNING_SEEDS else TUNED
    seeds = text.format(seed=seed, tuning=" and ".join(map(str, TUNING_SEEDS)))
    trial = TRIAL_OF_LANE if task == "lane" else TRIAL_OF_BALL
    here = versions()
    return HEAD.format(
        title=TASKS[task], commands=made, seeds=seeds, trial=trial, cpu=here["cpu"], mujoco=here["mujoco"]
    )


def commands(options: Arguments, task: Task) -> list[str]:
    """What makes again what is there: one command for conditions of equal hours and agents."""
    names_of: dict[tuple[str, ...], list[str]] = {}
    for name in CONDITIONS:
        if (options.folder(task, name) / "config.json").exists():
            names_of.setdefault(_changes(options, task, name), []).append(name)
    seed = [] if options.seed is None else ["--seed", str(options.seed)]
    asked = [
        ["--conditions", *(["all"] if names == list(CONDITIONS) else names), *changes]
        for changes, names in names_of.items()
    ]
    return [shlex.join(["python", "launch/study_spore.py", "--tasks", task, *rest, *seed]) for rest in asked or [[]]]


def _changes(options: Arguments, task: Task, name: str) -> tuple[str, ...]:
    """Options beside the condition's own hours and agents with which a run was made."""
    there, condition = Run(options.folder(task, name)).config, CONDITIONS[name]
    hours = there.steps / presets.SIMULATED_HOUR
    said = [] if hours == condition.hours else ["--hours", f"{hours:g}"]
    return (*said, *([] if there.num_envs == condition.agents else ["--agents", str(there.num_envs)]))


def table(options: Arguments, task: Task) -> Iterator[str]:
    """The lines of a task's table."""
    measures = [duration_name(task), "IQM", "worst agent", "success, %", "reward of a step"]
    measured = [f"{measure}, {name}" for name in EVALUATIONS[task] for measure in measures]
    yield f"| condition | agents | hours | {measures[0]}, learning | {' | '.join(measured)} |"
    yield "|---" * (4 + len(measured)) + "|"
    for name in SCRIPTED[task]:
        cells = [_cells(task, options.evaluation(task, name, evaluation)) for evaluation in EVALUATIONS[task]]
        yield f"| {name} | | | | {' | '.join(cells)} |"
    ages = set()
    for name in CONDITIONS:
        folder = options.folder(task, name)
        if not (folder / "config.json").exists():
            yield f"| {name} | not run | | | {' | '.join([''] * len(measured))} |"
            continue
        config = Run(folder).config
        ages.add(config.steps)
        yield _row(options, task, name, config.steps)
    if (options.folder(task, "annealed") / "config.json").exists():
        for steps in sorted(ages - {Run(options.folder(task, "annealed")).config.steps}):
            yield _row(options, task, "annealed", steps)
    yield from _other_populations(options, task)


def _other_populations(options: Arguments, task: Task) -> Iterator[str]:
    """Rows of populations with other root seeds, and what differed from the preset as it is now."""
    shown = {options.folder(task, name) for name in CONDITIONS}
    for path in sorted(options.out.glob(f"{task}/*/config.json")):
        if path.parent in shown:
            continue
        config = Run(path.parent).config
        asked = replace(options, seed=config.seed)
        name = next((name for name in CONDITIONS if asked.folder(task, name) == path.parent), None)
        if name is not None:
            other = f"seed {config.seed}, {differences(config, asked.config(task, name))}"
            yield _row(asked, task, name, config.steps, f"{name}, {other.removesuffix(f', {SAME}')}")


def _row(options: Arguments, task: Task, name: str, steps: int, label: str | None = None) -> str:
    """A condition when its agents were `steps` old."""
    agents = Run(options.folder(task, name)).config.num_envs
    curve = read_curve(options.curve(task, name))
    there = np.flatnonzero(curve["step"] == steps)
    learning = interval(durations({key: curve[key][there[0]] for key in ("trials", "trial_s")})) if len(there) else ""
    cells = [_cells(task, options.evaluation(task, name, evaluation), steps) for evaluation in EVALUATIONS[task]]
    return f"| {label or name} | {agents} | {steps / presets.SIMULATED_HOUR:g} | {learning} | {' | '.join(cells)} |"


def _cells(task: Task, path: Path, steps: int = 0) -> str:
    """Measures of an evaluation after `steps` of learning; empty without one."""
    fields = read_json(path).get(str(steps)) if path.exists() else None
    if fields is None:
        return " | | | | "
    seconds, trials = durations(fields), np.array(fields["trials"])
    success = 100 * np.array(fields["successes"])[trials > 0] / trials[trials > 0]
    worst = f"{(min if task == 'lane' else max)(seconds[trials > 0]):.2f}" if trials.any() else ""
    cells = [interval(seconds), interval(seconds, of=iqm), worst, interval(success)]
    return " | ".join([*cells, interval(np.array(fields["reward"]), 3)])


def _figure(options: Arguments, task: Task) -> Any:
    """Durations of trials in each half hour, one panel for each condition.

    Agents are thin lines and their mean a thick one, frozen agents dots, the expert a dashed line.
    """
    from matplotlib.figure import Figure

    names = [name for name in CONDITIONS if whole_lines(options.curve(task, name))]
    columns = min(COLUMNS, max(len(names), 1))
    rows = max(-(-len(names) // columns), 1)
    figure = Figure(figsize=(3.0 * columns + 0.6, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        curve = read_curve(options.curve(task, name))
        hours, seconds = curve["step"] / presets.SIMULATED_HOUR, durations(curve)
        axis.plot(hours, seconds, color="C0", alpha=0.3, lw=0.8)
        axis.plot(hours, mean_duration(seconds), color="C0", lw=2.5)
        _draw_frozen(axis, options.evaluation(task, name, "frozen"))
        _draw_expert(axis, options.evaluation(task, "expert", "frozen"))
        axis.set(title=name, yscale="log")
        axis.grid(color="0.92")
        label_plainly(axis.yaxis)
    for axis in axes[-1]:
        axis.set_xlabel("simulated hours")
    for axis in axes[:, 0]:
        axis.set_ylabel(duration_name(task))
    return figure


def _draw_frozen(axis: Any, path: Path) -> None:
    if path.exists():
        for step, fields in read_json(path).items():
            axis.plot(int(step) / presets.SIMULATED_HOUR, mean_duration(durations(fields)), "o", color="black", ms=3)


def _draw_expert(axis: Any, path: Path) -> None:
    if path.exists():
        axis.axhline(mean_duration(durations(read_json(path)["0"])), color="0.4", ls="--", lw=0.8)
