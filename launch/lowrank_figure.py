"""Figure of launch/lowrank_dynamics.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from neuroctl.launch.lowrank_plan import UNITS

SHOWN = tuple(f"{cell} {form}" for cell in ("cfc", "rnn", "gru", "lstm") for form in (f"r{UNITS} s0", "r4 s0.5"))
"""Models in the figure: of each cell the dense one, and the one of low rank."""
LAGS = (1, 2, 5, 10, 20, 50)
"""Steps over which gradients are followed."""
NOISE = (0, 1, 2, 3, 4, 5)
"""Severities of `gaussian-noise` on what the policy sees of the expert's episodes."""
CLOUDS = {"state": "state", "outside": "from outside", "own": "from the units"}
Measured = Mapping[str, Sequence[Mapping[str, Any]]]
"""What was measured of the seeds of each model."""


def dynamics_figure(measured: Mapping[str, Measured]) -> Any:
    """A row of panels for each task, by its name; lines are means over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(24, 4 * len(measured)), layout="constrained")
    rows: Any = figure.subplots(len(measured), 6, squeeze=False)
    for row, (title, found) in zip(rows, measured.items(), strict=True):
        _draw(row, {model: found[model] for model in SHOWN if model in found})
        row[0].set(title=title, xlabel="eigenvalues of CfC weights (o dense, x low rank), one seed", aspect="equal")
        row[1].set(xlabel="eigenvalue of the Jacobian, its number", ylabel="modulus")
        row[2].set(xlabel="Lyapunov exponent, its number", ylabel="1/s")
        row[3].set(xlabel="steps", ylabel="gradient that is left")
        row[4].set(ylabel="dimension", xticks=np.arange(3) + 0.4, xticklabels=CLOUDS.values())
        row[5].set(xlabel="severity of noise", ylabel="loss of imitation")
        row[1].legend(fontsize=7)
        for axis in row:
            axis.grid(color="0.92")
    return figure


def _draw(row: Any, shown: Measured) -> None:
    for place, (model, ones) in enumerate(shown.items()):
        dense, colour = SHOWN.index(model) % 2 == 0, f"C{SHOWN.index(model) // 2}"
        look = {"color": colour, "ls": "-" if dense else "--"}
        after = [one["after"] for one in ones]
        if model.startswith("cfc"):
            row[0].plot(
                *np.array(after[0]["eigenvalues"]).T, "o" if dense else "x", ms=3, color="C0" if dense else "C1"
            )
        row[1].plot(np.mean([one["jacobian_moduli"] for one in after], axis=0), label=model, **look)
        length = min(len(one["exponents"]) for one in after)
        row[2].plot(np.mean([one["exponents"][:length] for one in after], axis=0), **look)
        row[3].loglog(LAGS, np.mean([one["gradient"] for one in after], axis=0), **look)
        width = 1 / (len(shown) + 1)
        sizes = [np.mean([one["dimensions"][name] for one in after]) for name in CLOUDS]
        row[4].bar(np.arange(3) + place * width, sizes, width, color=colour, alpha=1 if dense else 0.4)
        row[5].plot(NOISE, np.mean([one["loss"] for one in ones], axis=0), **look)
