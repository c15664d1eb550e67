"""Tables and figures of launch/study_spore_change.py, from what it keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.launch.change_plan import (
    CHANGES,
    CLEAN,
    GOAL_M,
    MINUTE_STEPS,
    MODES,
    SHIFTS,
    TEMPERATURES,
    TRAINED,
    Arguments,
    Change,
    Mode,
    changes_of,
    unfit,
)
from neuroctl.launch.curves import read_curve
from neuroctl.launch.plots import label_plainly
from neuroctl.launch.populations import (
    TASKS,
    Task,
    difference,
    duration_name,
    durations,
    interval,
    mean_duration,
    root_seeds,
)
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

LEARNING: tuple[Mode, ...] = ("goes on", "begun anew")
HEAD = """# Spiking agents in a world that changes

Made by `python launch/study_spore_change.py` from the populations of `launch/study_spore.py` ({seeds}). The
unit is the agent. A cell holds the mean over agents and the 95 % bootstrap interval of that mean, of agents with frozen
synapses; the episodes are the same in every cell. A trial of the ball ends at the goal or after 60 s, one of the
vehicle when it leaves the lane or after 120 s.

Machine: {cpu}; mujoco {mujoco}.
"""
ROBUSTNESS = """## Robustness: {task}

Agents of condition `{trained}` meet shifts ([docs/shifts.md](../shifts.md)): frozen, or after {minutes:g} simulated
minutes of learning under the shift, at the learning rate with which training ended ("goes on") or with schedules begun
anew. Differences are learning minus frozen under the shift, paired by agent. "clean" columns: the same agents without
the shift. Row `{clean}`: as much learning without a shift. Numbers are {what}.

| shift | frozen | goes on | difference | begun anew | difference | clean, goes on | clean, begun anew |
|---|---|---|---|---|---|---|---|"""
SWITCH = """## Switch: {task}

Agents trained at temperature T learn on at T for {minutes:g} simulated minutes, schedules begun anew, after a change:
{changes}. "gained" is after recovery minus directly after the change, paired by agent; agents of different temperatures
are no pairs. "regrown" are the synapses taken that transmit again. Numbers are {what}.

| change | T | before | directly after | after recovery | gained | minus T 0.1, after recovery | regrown, % |
|---|---|---|---|---|---|---|---|"""


def write_results(options: Arguments) -> str:
    """Write the tables and figures; says where they are."""
    lines: list[str] = []
    for part, table, figure in (
        ("robustness", robustness_table, _robustness_figure),
        ("switch", switch_table, _switch_figure),
    ):
        tasks = [task for task in TASKS if any(options.out.glob(f"{part}/{task}/*.json"))]
        for task in tasks:
            lines += [*table(options, task), ""]
        if tasks:
            options.results.mkdir(parents=True, exist_ok=True)
            figure(options, tasks).savefig(options.results / f"spore_change_{part}.png", dpi=110)
            lines += [f"![{part}](spore_change_{part}.png)", ""]
    if not lines:
        return "nothing evaluated yet"
    here = versions()
    head = HEAD.format(seeds=root_seeds(options.seed), cpu=here["cpu"], mujoco=here["mujoco"])
    atomic_write(options.results / "spore_change.md", "\n".join([head, *lines]))
    return f"results: {options.results / 'spore_change.md'}"


def _found(path: Path) -> dict[str, Any] | None:
    return read_json(path) if path.exists() else None


# -- robustness ------------------------------------------------------------------------------------------------


def robustness_table(options: Arguments, task: Task) -> Iterator[str]:
    """The lines of a task's table."""
    yield ROBUSTNESS.format(
        task=TASKS[task], trained=TRAINED, minutes=options.minutes, clean=CLEAN, what=duration_name(task)
    )
    misfits = []
    for shift in (CLEAN, *SHIFTS):
        if reason := unfit(task, shift):
            misfits.append(reason.partition("; fitting")[0])
            yield f"| {shift} | does not fit | | | | | | |"
        else:
            yield _shift_row(options, task, shift)
    yield from (f"\nNot applied: {reason}." for reason in misfits)


def _shift_row(options: Arguments, task: Task, shift: str) -> str:
    frozen = _found(options.shift_path(task, shift, "frozen"))
    if frozen is None:
        return f"| {shift} | not run | | | | | | |"
    before = durations(frozen["shifted"])
    cells, clean = [interval(before)], list[str]()
    for mode in LEARNING:
        learned = _found(options.shift_path(task, shift, mode))
        if learned is None:
            cells, clean = [*cells, "not run", ""], [*clean, ""]
            continue
        after = durations(learned["shifted"])
        cells += [interval(after), interval(after - before)]
        clean.append(interval(durations(learned["clean"])) if learned["clean"] else "")
    return f"| {shift} | {' | '.join(cells + clean)} |"


def _robustness_figure(options: Arguments, tasks: Sequence[Task]) -> Any:
    """Mean and interval under each shift, one panel for each task."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(tasks), 4.0), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(tasks)))
    for axis, task in zip(axes, tasks, strict=True):
        shifts = [shift for shift in (CLEAN, *SHIFTS) if unfit(task, shift) is None]
        for k, mode in enumerate(MODES):
            found = [_found(options.shift_path(task, shift, mode)) for shift in shifts]
            places = [(y + 0.2 * (k - 1), durations(one["shifted"])) for y, one in enumerate(found) if one]
            _draw_intervals(axis, places, f"C{k}", mode)
        axis.set_yticks(range(len(shifts)), shifts)
        axis.invert_yaxis()
        axis.set(title=task, xlabel=duration_name(task))
        if np.isfinite(axis.dataLim.minposx):  # a scale of logarithms needs a number
            axis.set_xscale("log")
            label_plainly(axis.xaxis)
        axis.grid(color="0.92")
    axes[0].legend(fontsize="small")
    return figure


def _draw_intervals(axis: Any, places: Sequence[tuple[float, NDArray[np.float64]]], colour: str, label: str) -> None:
    rows = [(y, values[~np.isnan(values)]) for y, values in places]
    for y, values in rows:
        if len(values):
            found = stratified_bootstrap(values, lambda scores: float(scores.mean()))
            axis.plot([found.low, found.high], [y, y], color=colour, lw=1.5)
            axis.plot(found.value, y, "o", color=colour, ms=4)
    axis.plot([], [], "o-", color=colour, label=label)


# -- switch ----------------------------------------------------------------------------------------------------


def switch_table(options: Arguments, task: Task) -> Iterator[str]:
    """The lines of a task's table."""
    yield SWITCH.format(
        task=TASKS[task], minutes=options.recovery_minutes, changes=_changes_in_words(task), what=duration_name(task)
    )
    for change in changes_of(task):
        for condition, temperature in TEMPERATURES.items():
            name = f"| {CHANGES[change]} | {temperature} |"
            found = _found(options.switch_path(task, condition, change))
            middle = None if condition == TRAINED else _found(options.switch_path(task, TRAINED, change))
            yield f"{name} not run | | | | | |" if found is None else f"{name} {_switch_cells(found, middle)} |"


def _changes_in_words(task: Task) -> str:
    words: dict[Change, str] = {
        "nothing": "none, as a control",
        "goal": f"the goal's centre moves from (0, 0) to ({GOAL_M[0]:g}, {GOAL_M[1]:g}) m",
        "lesion": "a random half of each agent's potential synapses is set to the lower bound of theta",
    }
    return "; ".join(words[change] for change in changes_of(task))


def _switch_cells(found: dict[str, Any], middle: dict[str, Any] | None) -> str:
    before, changed, after = (durations(found[name]) for name in ("before", "changed", "after"))
    other = "" if middle is None else difference(after, durations(middle["after"]))
    regrown = "" if found["regrown"] is None else interval(100 * np.array(found["regrown"]))
    return " | ".join([interval(before), interval(changed), interval(after), interval(after - changed), other, regrown])


def _switch_figure(options: Arguments, tasks: Sequence[Task]) -> Any:
    """Recovery: each agent thin and the mean thick, a row of panels for each task and a column for each change."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(CHANGES), 2.8 * len(tasks)), layout="constrained")
    axes = figure.subplots(len(tasks), len(CHANGES), squeeze=False, sharex=True, sharey="row")
    for row, task in zip(axes, tasks, strict=True):
        for axis, change in zip(row, CHANGES, strict=True):
            if change not in changes_of(task):
                axis.set_axis_off()
                continue
            for k, (condition, temperature) in enumerate(TEMPERATURES.items()):
                path = options.switch_path(task, condition, change)
                axis.plot([], [], color=f"C{k}", label=f"T {temperature}")
                if path.exists():
                    _draw_curve(axis, read_curve(path.with_suffix(".curve.jsonl")), f"C{k}")
            axis.set(title=f"{task}: {CHANGES[change]}", xlabel="simulated minutes")
            axis.grid(color="0.92")
            if np.isfinite(axis.dataLim.minposy):
                axis.set_yscale("log")
                label_plainly(axis.yaxis)
        row[0].set_ylabel(duration_name(task))
    axes[0, 0].legend(fontsize="small")
    return figure


def _draw_curve(axis: Any, curve: dict[str, NDArray[np.float64]], colour: str) -> None:
    minutes, seconds = curve["step"] / MINUTE_STEPS, durations(curve)
    axis.plot(minutes, seconds, color=colour, alpha=0.2, lw=0.7)
    axis.plot(minutes, mean_duration(seconds), color=colour, lw=2.2)
