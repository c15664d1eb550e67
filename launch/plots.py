"""What figures of studies share."""

from __future__ import annotations

from typing import Any


def legend_beside(figure: Any) -> None:
    """One legend right of all panels, of what any of them shows."""
    drawn = {name: line for axis in figure.axes for line, name in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(list(drawn.values()), list(drawn), loc="outside right center", fontsize="small")


def label_plainly(axis: Any) -> None:
    """Ticks at 1, 2, 5, 10, ... of a logarithmic axis (matplotlib's `XAxis` or `YAxis`)."""
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())
