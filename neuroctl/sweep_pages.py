"""What a sweep found, as a table and a figure."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from .search_space import Axis
from .storage import atomic_write
from .sweep import Trial


def best_first(trials: Sequence[Trial]) -> list[Trial]:
    """Those that were trained to the end, by their score."""
    return sorted((t for t in trials if t.state == "complete"), key=lambda t: (-t.score, t.number))


def write(folder: Path, axes: Sequence[Axis], trials: Sequence[Trial]) -> Path:
    """Write `trials.csv`, and `trials.png` with a panel for each option; the path of the figure."""
    names = [axis.name for axis in axes]
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["trial", "state", "score", *names, "run", "error"])
    for trial in trials:
        score = "" if math.isnan(trial.score) else trial.score
        table.writerow(
            [trial.number, trial.state, score, *(trial.values[name] for name in names), trial.runs[0], trial.error]
        )
    atomic_write(folder / "trials.csv", buffer.getvalue())
    path = folder / "trials.png"
    atomic_write(path, _figure(axes, best_first(trials)))
    return path


def _figure(axes: Sequence[Axis], trials: Sequence[Trial]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(axes) + 0.6, 3.0), layout="constrained")
    panels = figure.subplots(1, len(axes), squeeze=False, sharey=True)[0]
    for panel, axis in zip(panels, axes, strict=True):
        values = [trial.values[axis.name] for trial in trials]
        panel.plot([str(v) for v in values] if axis.choices else values, [t.score for t in trials], "o", alpha=0.7)
        panel.set_xlabel(axis.name)
        if axis.log:
            panel.set_xscale("log")
    panels[0].set_ylabel("mean return")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
