"""What a robustness matrix is written to: JSON, CSV, a page of tables, and figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .robustness_matrix import CLEAN, Floats, Matrix, mean_interval
from .statistics import Interval
from .storage import atomic_write
from .versions import versions

COLUMNS = 4
"""Of panels in a figure, at most."""
POINTS = 200
"""Of a performance profile."""


def write(matrix: Matrix, folder: str | Path) -> Path:
    """Write `robustness.json`, `robustness.csv`, `robustness.md` and figures into `folder`; returns the page."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "robustness.json", json.dumps(content(matrix), indent=1))
    atomic_write(out / "robustness.csv", "".join(_csv(matrix)))
    for name, figure in (
        ("severity", severity_figure(matrix)),
        ("heat_map", heat_map(matrix)),
        ("profiles", profile_figure(matrix)),
    ):
        atomic_write(out / f"{name}.png", _png(figure))
    page = out / "robustness.md"
    atomic_write(page, "\n".join(_page(matrix)) + "\n")
    return page


def content(matrix: Matrix) -> dict[str, Any]:
    """Everything in the matrix as plain values, for JSON."""
    policies = {}
    for policy in matrix.policies:
        headline = matrix.headline(policy)
        policies[policy] = {
            "units": list(matrix.units[policy]),
            "area": {"mean": headline.value, "low": headline.low, "high": headline.high, "count": headline.count},
            "area_by_shift": {shift: float(matrix.area(policy, shift).mean()) for shift in matrix.shifts},
            "worst": matrix.worst(policy)._asdict(),
            "conditions": {c: _numbers(matrix, policy, c) for p, c in matrix.cells if p == policy},
        }
    return {
        "env": matrix.env_id,
        "options": {name: repr(value) for name, value in matrix.env_kwargs.items()},
        "shifts": list(matrix.shifts),
        "unfit": dict(matrix.unfit),
        "severities": list(matrix.severities),
        "seeds": list(matrix.seeds),
        "scale": matrix.scale,
        "policies": policies,
        "improvement": {a: {b: matrix.improvement(a, b) for b in matrix.policies if b != a} for a in matrix.policies},
        "versions": versions(),
    }


def _numbers(matrix: Matrix, policy: str, condition: str) -> dict[str, Any]:
    cell = matrix.cells[policy, condition]
    found: dict[str, Any] = {"returns": cell.returns.tolist(), "lengths": cell.lengths.tolist()}
    if cell.success is not None:
        found["success"] = [[None if np.isnan(value) else value for value in unit] for unit in cell.success.tolist()]
    return found


def _csv(matrix: Matrix) -> Iterator[str]:
    """A line for each episode."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("policy", "unit", "shift", "severity", "seed", "return", "length", "success"))
    for (policy, condition), cell in matrix.cells.items():
        shift, _, severity = condition.partition(":")
        for unit, name in enumerate(matrix.units[policy]):
            for episode, seed in enumerate(matrix.seeds):
                value = "" if cell.success is None else cell.success[unit, episode]
                row = (cell.returns[unit, episode], cell.lengths[unit, episode], value)
                writer.writerow((policy, name, shift, severity or 0, seed, *row))
    yield text.getvalue()


# -- the page --------------------------------------------------------------------------------------------------


def _page(matrix: Matrix) -> Iterator[str]:
    measure = "score (doing nothing 0, the expert 1)" if matrix.scale else "return"
    options = ", ".join(f"{name}={value!r}" for name, value in matrix.env_kwargs.items())
    yield f"# Robustness in {matrix.env_id}\n"
    yield f"Options: {options or 'none'}. {len(matrix.seeds)} episodes under each of {len(matrix.shifts)} shifts at"
    yield f"severities {', '.join(map(str, matrix.severities))}, the same for every policy. Numbers are the {measure}."
    yield "The area is its mean over all severities from 0 (clean) on, by the trapezoid rule; intervals are 95 %"
    yield "bootstrap intervals of the mean, over the units of a policy (training seeds, members of a population) where"
    yield "there are several, else over episodes.\n"
    yield "| policy | units | clean | area over all shifts | worst episode under a shift |"
    yield "|---|---|---|---|---|"
    for row in summary(matrix):
        yield f"| {' | '.join(row)} |"
    yield f"\n## Area by shift\n\n| policy | {' | '.join(matrix.shifts)} |"
    yield "|---" * (1 + len(matrix.shifts)) + "|"
    for policy in matrix.policies:
        yield f"| {policy} | {' | '.join(f'{matrix.area(policy, shift).mean():.2f}' for shift in matrix.shifts)} |"
    if len(matrix.policies) > 1:
        yield "\n## Probability that the row's area is greater than the column's, in a shift drawn at random\n"
        yield f"| | {' | '.join(matrix.policies)} |"
        yield "|---" * (1 + len(matrix.policies)) + "|"
        for a in matrix.policies:
            chances = ["" if a == b else f"{matrix.improvement(a, b):.2f}" for b in matrix.policies]
            yield f"| {a} | {' | '.join(chances)} |"
    yield "\n![score against severity](severity.png)\n\n![area by policy and shift](heat_map.png)\n"
    yield "![performance profiles](profiles.png)"
    if matrix.unfit:
        yield "\nShifts that do not fit:\n"
        yield from (f"- `{name}`: {reason}" for name, reason in matrix.unfit.items())
    here = versions()
    yield f"\nMachine: {here['cpu']}; torch {here['torch']}, mujoco {here['mujoco']}."


def summary(matrix: Matrix) -> list[list[str]]:
    """Of each policy: name, number of units, clean score, area over all shifts, worst episode."""
    rows = []
    for policy in matrix.policies:
        worst, clean = matrix.worst(policy), mean_interval(matrix.sampled(matrix.scores(policy, CLEAN)))
        units = len(matrix.units[policy])
        whose = f" of {Path(worst.unit).name}" if units > 1 else ""
        last = f"{worst.score:.2f}: {worst.condition}, episode {worst.episode}{whose}"
        rows.append([policy, str(units), said(clean), said(matrix.headline(policy)), last])
    return rows


def said(interval: Interval) -> str:
    """An estimate with its interval, if it has more than one value."""
    bounds = f" ({interval.low:.2f} to {interval.high:.2f})" if interval.count > 1 else ""
    return f"{interval.value:.2f}{bounds}"


# -- figures ---------------------------------------------------------------------------------------------------


def severity_figure(matrix: Matrix) -> Any:
    """Score against severity, a panel for each shift; bands are 95 % intervals."""
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(matrix.shifts))
    rows = -(-len(matrix.shifts) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.6, 2.7 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    x = (0, *matrix.severities)
    for axis, shift in zip(panels.flat, matrix.shifts, strict=False):
        for k, policy in enumerate(matrix.policies):
            found = [mean_interval(matrix.sampled(scores)) for scores in matrix.curve(policy, shift)]
            axis.plot(x, [point.value for point in found], color=f"C{k}", marker=".", label=policy)
            bounds = [[getattr(point, end) for point in found] for end in ("low", "high")]
            axis.fill_between(x, *bounds, color=f"C{k}", alpha=0.2, lw=0)
        axis.set(title=shift, xticks=x)
        axis.grid(color="0.92")
    for axis in list(panels.flat)[len(matrix.shifts) :]:
        axis.set_visible(False)
    for axis in panels[:, 0]:
        axis.set_ylabel("score" if matrix.scale else "return")
    for axis in list(panels.flat)[: len(matrix.shifts)][-columns:]:  # the lowest of each column
        axis.set_xlabel("severity")
        axis.tick_params(labelbottom=True)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize="small", loc="outside lower center", ncols=min(len(labels), 4))
    return figure


def heat_map(matrix: Matrix) -> Any:
    """Area by policy and shift."""
    from matplotlib.figure import Figure

    values = np.array([[matrix.area(p, s).mean() for s in matrix.shifts] for p in matrix.policies])
    size = (1.6 + 0.62 * len(matrix.shifts), 1.8 + 0.36 * len(matrix.policies))
    figure = Figure(figsize=(max(size[0], 4.0), size[1]), layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(values, cmap="viridis", aspect="auto")
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        colour = "black" if value > middle else "white"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)
    axis.set_xticks(range(len(matrix.shifts)), matrix.shifts, rotation=40, ha="right")
    axis.set_yticks(range(len(matrix.policies)), matrix.policies)
    axis.set_title("mean over severities")
    figure.colorbar(image, label="score" if matrix.scale else "return")
    return figure


def profile(matrix: Matrix, policy: str, thresholds: Floats) -> Floats:
    """Share of episodes under shifts whose score is above each threshold (Agarwal et al. 2021, arXiv 2108.13264)."""
    scores = np.sort(np.concatenate([matrix.scores(policy, condition).ravel() for condition in matrix.shifted]))
    share: Floats = 1 - np.searchsorted(scores, thresholds, side="right") / len(scores)
    return share


def profile_figure(matrix: Matrix) -> Any:
    """Performance profiles of all policies."""
    from matplotlib.figure import Figure

    everything = np.concatenate([matrix.scores(p, c).ravel() for p, c in matrix.cells])
    thresholds = np.linspace(everything.min(), everything.max(), POINTS)
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axis = figure.subplots()
    for k, policy in enumerate(matrix.policies):
        axis.step(thresholds, profile(matrix, policy, thresholds), color=f"C{k}", where="post", label=policy)
    axis.set(xlabel="score" if matrix.scale else "return", ylabel="share of episodes above it", ylim=(0, 1.02))
    axis.set_title("all shifts and severities")
    axis.grid(color="0.92")
    axis.legend(fontsize="small")
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
