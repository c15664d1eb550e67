"""Learning curves that people can zoom into and read off, drawn by Bokeh in the page itself: no network is needed."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .metrics import TIME_FIELDS
from .page_parts import table

FIRST = ("evaluation/return", "episode/return", "episode/success", "loss")
"""Metrics that people look at first."""
HEIGHT_PX = 260
ROWS = 8
"""Of the table below a curve, at most."""

Lines = Sequence[Mapping[str, float]]
Points = dict[str, list[float]]


class Curves(NamedTuple):
    """Figures as parts of a page.

    Attributes:
        head: scripts for the page's head.
        body: the figures.
        scripts: what draws them, at the end of the body.
    """

    head: str
    body: str
    scripts: str


def points(runs: Mapping[str, Lines]) -> dict[str, dict[str, Points]]:
    """Of each metric and run `{"x": steps, "y": values}`, `FIRST` first; the clock's fields are left out."""
    found = {key for lines in runs.values() for line in lines for key in line} - {"step", *TIME_FIELDS}
    keys = [*(key for key in FIRST if key in found), *sorted(found.difference(FIRST))]
    return {key: {name: _column(lines, key) for name, lines in runs.items()} for key in keys}


def _column(lines: Lines, key: str) -> Points:
    there = [line for line in lines if key in line]
    return {"x": [line["step"] for line in there], "y": [line[key] for line in there]}


def source_name(key: str, run: str) -> str:
    """Name of the Bokeh data source of a metric's curve."""
    return f"{key} of {run}"


def learning_curves(runs: Mapping[str, Lines]) -> Curves:
    """One figure for each metric, one curve for each run; they share the axis of steps."""
    from bokeh.embed import components
    from bokeh.models import DataRange1d
    from bokeh.resources import Resources

    found = points(runs)
    if not found:
        return Curves("", "<p>No metrics yet.</p>", "")
    shared = DataRange1d(start=0, range_padding=0.02)
    script, parts = components({key: _figure(key, by, shared) for key, by in found.items()})
    body = "".join(_framed(key, parts[key], by) for key, by in found.items())
    return Curves(Resources(mode="inline", components=["bokeh"]).render(), f'<div class="curves">{body}</div>', script)


def empty_figure(height_px: int, shared: Any, **options: Any) -> Any:
    """A Bokeh figure over steps, as wide as there is room.

    Args:
        height_px: its height.
        shared: range of steps, which figures can share.
        options: of Bokeh's `figure`.
    """
    from bokeh.plotting import figure

    made: Any = figure(
        height=height_px,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,reset,save",
        x_range=shared,
        x_axis_label="step",
        **options,
    )
    made.toolbar.logo, made.toolbar_location = None, "above"
    return made


def add_curve(figure: Any, source: Any, name: str, place: int, legend: bool, kind: str) -> None:
    """A curve that says its values where the pointer is.

    Args:
        figure: of Bokeh.
        source: data with `x` and `y`.
        name: of the curve.
        place: among the curves of the figure, which gives its colour.
        legend: whether its name stands in the figure.
        kind: what its name names, such as `run`.
    """
    from bokeh.models import HoverTool
    from bokeh.palettes import Category10_10

    label = {"legend_label": name} if legend else {}
    # wider lines take a browser three times as long
    line = figure.line("x", "y", source=source, color=Category10_10[place % 10], line_width=1, name=name, **label)
    tooltips: Any = [(kind, "$name"), ("value", "@y"), ("step", "@x{0}")]
    figure.add_tools(HoverTool(renderers=[line], tooltips=tooltips, mode="vline"))


def _figure(key: str, by: Mapping[str, Points], shared: Any) -> Any:
    from bokeh.models import ColumnDataSource, NumeralTickFormatter
    from bokeh.palettes import Category10_10

    values = [y for curve in by.values() for y in curve["y"]]
    log = "loss" in key and min(values) > 0
    made = empty_figure(HEIGHT_PX, shared, y_axis_type="log" if log else "linear")
    made.xaxis.formatter = NumeralTickFormatter(format="0[.]0a")
    made.yaxis.minor_tick_line_color = None  # on a logarithmic axis they run into one another
    for n, (run, curve) in enumerate(by.items()):
        source = ColumnDataSource(dict(curve), name=source_name(key, run))
        add_curve(made, source, run, n, len(by) > 1, "run")
        if len(curve["x"]) < 3:
            made.scatter("x", "y", size=5, source=source, color=Category10_10[n % 10])
    return made


def _framed(key: str, drawing: str, by: Mapping[str, Points]) -> str:
    """With a caption, a description for those who do not see it, and numbers."""
    said = ", ".join(f"{run} {y[0]:.4g} to {y[-1]:.4g}" for run, y in ((r, c["y"]) for r, c in by.items()) if y)
    rows = [(run, f"{x:g}", f"{y:.6g}") for run, curve in by.items() for x, y in _some(curve)]
    numbers = table(rows, ("run", "step", key))
    return (
        f"<figure><figcaption>{html.escape(key)}</figcaption>"
        f'<div role="img" aria-label="{html.escape(f"{key} against step: {said}")}">{drawing}</div>'
        f"<details><summary>{html.escape(key)} in numbers</summary>{numbers}</details></figure>"
    )


def _some(curve: Points) -> list[tuple[float, float]]:
    """Points of a curve at about equal distances, the last one included."""
    count = len(curve["x"])
    chosen = np.unique(np.linspace(0, count - 1, min(ROWS, count)).round().astype(int))
    return [(curve["x"][n], curve["y"][n]) for n in chosen]
