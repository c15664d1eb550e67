"""How many steps per second the methods of launch/study_rtrl.py learn from, measured one after the other."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroctl.launch.program import shown
from neuroctl.launch.rtrl_plan import METHODS, Arguments, Cell, Task, config, learning_rate, machine_of
from neuroctl.metrics import read_metrics
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

STEPS = 1800
"""Of a measurement, in twelve stretches, of which the first two do not count."""
REPEATS = 3
Speeds = Mapping[tuple[Task, str, int], float]


def measure_speeds(options: Arguments) -> str:
    """Measure all that is asked for on the presets' one thread, in alternation; says where the medians are."""
    asked = [
        Cell(task, method, rollout, learning_rate(task, method, rollout), 1)
        for task in options.tasks
        for rollout in options.rollouts
        for method in options.methods
    ]
    rates: dict[Cell, list[float]] = {cell: [] for cell in asked}
    with shown("speeds", REPEATS * len(asked), "measurements") as progress:
        for _ in range(REPEATS):
            for cell in asked:
                rates[cell] += _rates(cell)
                progress.advance()
    here = machine_of(versions())
    measured = {cell[:3] for cell in rates}
    others = [entry for entry in _entries(options.results) if entry[4] == here or entry[0] not in options.tasks]
    entries = [entry for entry in others if tuple(entry[:3]) not in measured]
    entries += [[*cell[:3], round(statistics.median(rate)), here] for cell, rate in rates.items()]
    options.results.mkdir(parents=True, exist_ok=True)
    path = _path(options.results)
    atomic_write(path, "[\n" + ",\n".join(map(json.dumps, sorted(entries))) + "\n]\n")
    return f"speeds: {path}"


def read_speeds(results: Path) -> dict[tuple[Task, str, int], float]:
    """Environment steps per second by task, method and rollout length, of what was measured; on one machine a task."""
    return {(task, method, rollout): rate for task, method, rollout, rate, _ in _entries(results)}


def _entries(results: Path) -> list[list[Any]]:
    path = _path(results)
    found = read_json(path) if path.exists() else []
    return [entry for entry in found if entry[1] in METHODS]


def _path(results: Path) -> Path:
    return results / "rtrl_speeds.json"


def _rates(cell: Cell) -> list[float]:
    """Of the later stretches of a short training."""
    from neuroctl import train

    made: Any = config(cell)
    short = replace(made, steps=STEPS, log_every=STEPS // 12, checkpoint_every=STEPS)
    with tempfile.TemporaryDirectory() as folder:
        train(short, out=Path(folder) / "run")
        lines = [line for line in read_metrics(Path(folder) / "run") if "time_s" in line][1:]
    pairs = zip(lines, lines[1:], strict=False)
    return [(b["step"] - a["step"]) * made.num_envs / (b["time_s"] - a["time_s"]) for a, b in pairs]
