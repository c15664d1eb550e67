"""A run, or several, as one self-contained HTML page: curves, returns, connectivity, episodes, configuration."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import page_episodes, registry
from .errors import DamagedFileError, NeuroctlError
from .evaluation import saved_evaluations
from .page_curves import learning_curves
from .page_parts import document, embedded, image, new_figure, table
from .progress import Progress
from .run import Run, agent_with, environment_spaces
from .storage import atomic_write, read_json
from .versions import versions

ROBUSTNESS_FIGURES = {
    "severity": "score against severity for each shift",
    "heat_map": "area by policy and shift",
    "profiles": "share of episodes above each score",
}
"""Files of a robustness matrix, and what they show."""


def report(
    *runs: str | Path,
    out: str | Path | None = None,
    robustness: str | Path | None = None,
    play: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write the page of one run, or a comparison of several.

    Args:
        runs: run folders.
        out: the page; `report.html` in the first run folder when absent.
        robustness: folder that `neuroctl robustness` wrote, whose figures are shown too.
        play: show an episode of each run without a shift, and the worst of those that `neuroctl evaluate` played of
            its latest checkpoint with no options but shifts: films, and what the units did.
        progress: told of episodes that were played.

    Raises:
        NeuroctlError: no run is given, or one does not exist, or there is no robustness matrix in that folder.
    """
    if not runs:
        raise NeuroctlError("name at least one run folder")
    opened = [Run(path) for path in runs]
    episodes = {run.path: page_episodes.section(run, progress) for run in opened if play}
    path = Path(out) if out is not None else opened[0].path / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, page(opened, None if robustness is None else Path(robustness), episodes))
    return path


def page(
    runs: Sequence[Run], robustness: Path | None = None, episodes: Mapping[Path, str] | None = None, extra: str = ""
) -> str:
    """The page of runs.

    Args:
        runs: one, or several to be compared.
        robustness: folder of a robustness matrix.
        episodes: HTML of the episodes of a run, by its folder.
        extra: HTML between the heading and the first section.

    Raises:
        NeuroctlError: there is no robustness matrix in that folder.
    """
    named = names_of(runs)
    curves = learning_curves({name: run.metrics() for name, run in named.items()})
    sections = [
        ("Learning", curves.body),
        ("Closed loop", _evaluation_section(named)),
        ("Robustness", "" if robustness is None else _robustness_section(robustness)),
        *((f"Connectivity of {name}", _connectivity_section(run)) for name, run in named.items()),
        *((f"Episodes of {name}", (episodes or {}).get(run.path, "")) for name, run in named.items()),
        ("Reproduce", _commands(runs)),
        ("Configuration", "".join(f"<h3>{html.escape(name)}</h3>{_config(run)}" for name, run in named.items())),
        ("Versions", table(list(versions().items()), ("what", "here"))),
    ]
    body = "".join(f"<h2>{html.escape(heading)}</h2>{content}" for heading, content in sections if content)
    return document("neuroctl: " + ", ".join(named), extra + body + curves.scripts, curves.head)


def names_of(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by the names of their folders; by whole paths where those are not enough to tell them apart.

    Raises:
        NeuroctlError: one is named twice.
    """
    places = [run.path.resolve() for run in runs]
    if twice := [place for place in places if places.count(place) > 1]:
        raise NeuroctlError(f"{twice[0]} is named twice")
    short = [run.path.name for run in runs]
    names = short if len(set(short)) == len(short) else [str(run.path) for run in runs]
    return dict(zip(names, runs, strict=True))


def _evaluation_section(runs: Mapping[str, Run]) -> str:
    results = [saved_evaluations(run.path) for run in runs.values()]
    conditions = sorted({c for result in results for c in result}, key=lambda c: (c != "clean", c))
    if not conditions:
        return ""
    figure, axes = new_figure(1, 0.6 + 0.32 * len(conditions) * len(runs))
    figure.set_figwidth(8)
    rows = []
    for i, (result, name) in enumerate(zip(results, runs, strict=True)):
        found = [(k, result[c]) for k, c in enumerate(conditions) if c in result]
        places = [k + (i - (len(runs) - 1) / 2) * 0.8 / len(runs) for k, _ in found]
        values = [r["return_iqm"] for _, r in found]
        spread = [
            [r["return_iqm"] - r["return_iqm_low"] for _, r in found],
            [r["return_iqm_high"] - r["return_iqm"] for _, r in found],
        ]
        axes[0].errorbar(values, places, xerr=spread, fmt="o", label=name)
        rows += [_evaluation_row(name, conditions[k], r) for k, r in found]
    axes[0].set(
        yticks=range(len(conditions)), yticklabels=conditions, xlabel="return (IQM, 95 % interval over episodes)"
    )
    axes[0].invert_yaxis()
    axes[0].legend(fontsize="small")
    header = ("run", "condition", "step", "episodes", "return IQM", "95 % interval", "mean", "success")
    return image(figure, "return in each condition") + table(rows, header)


def _evaluation_row(name: str, condition: str, result: Mapping[str, Any]) -> tuple[object, ...]:
    units = result.get("member_returns", result["returns"])
    interval = f"{result['return_iqm_low']:.1f} .. {result['return_iqm_high']:.1f}" if len(units) > 1 else ""
    success = f"{result['success_rate']:.1%}" if "success_rate" in result else ""
    mean = f"{result['return_mean']:.1f}"
    step = "" if result["checkpoint"] is None else result["checkpoint"]
    return name, condition, step, result["episodes"], f"{result['return_iqm']:.1f}", interval, mean, success


def _robustness_section(folder: Path) -> str:
    """What policies did under every shift and severity, from the files of `robustness_pages.write`."""
    path = folder / "robustness.json"
    if not path.is_file():
        raise NeuroctlError(f"there is no robustness matrix in {folder}: neuroctl robustness writes one")
    content = read_json(path)
    try:
        rows = [_robustness_row(name, policy) for name, policy in content["policies"].items()]
        severities = ", ".join(map(str, content["severities"]))
        measure = "score, on which doing nothing is 0 and the expert 1," if content["scale"] else "return"
        said = (
            f"{html.escape(content['env'])}: {len(content['shifts'])} shifts at severities {severities}, "
            f"{len(content['seeds'])} episodes under each. The area is the mean {measure} over all severities from "
            "0 on, with its 95 % bootstrap interval."
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedFileError(f"{path} is damaged: no {error}") from None
    header = ("policy", "units", "area over all shifts", "95 % interval", "worst episode")
    figures = [embedded((folder / f"{name}.png").read_bytes(), what) for name, what in ROBUSTNESS_FIGURES.items()]
    return f"<p>{said}</p>{table(rows, header)}{''.join(figures)}"


def _robustness_row(name: str, policy: Mapping[str, Any]) -> tuple[object, ...]:
    area, worst = policy["area"], policy["worst"]
    interval = f"{area['low']:.2f} .. {area['high']:.2f}" if area["count"] > 1 else ""
    last = f"{worst['score']:.2f}: {worst['condition']}, episode {worst['episode']}"
    return name, len(policy["units"]), f"{area['mean']:.2f}", interval, last


def _connectivity_section(run: Run) -> str:
    if not run.checkpoints.all():
        return ""
    _, trees = run.checkpoints.load()
    first = registry.agents.load(run.config.agent.name).member_state(trees["agent"], 0)
    agent = agent_with(run.config, environment_spaces(run.config), first)
    if weights := agent.recurrent_weights():
        return image(_connectivity_figure(weights), "recurrent weights and their eigenvalues")
    agent.begin(1, 0)
    if synapses := agent.synapses():
        return image(_synapses_figure(synapses), "weights of the synapses of the first agent")
    return ""


def _connectivity_figure(weights: Mapping[str, NDArray[Any]]) -> Any:
    figure, axes = new_figure(len(weights) + 1)
    limit = max(float(np.abs(w).max()) for w in weights.values())
    angle = np.linspace(0, 2 * np.pi, 100)
    axes[-1].plot(np.cos(angle), np.sin(angle), color="0.8")
    for axis, (name, weight) in zip(axes[:-1], weights.items(), strict=True):
        axis.imshow(weight, cmap="RdBu", vmin=-limit, vmax=limit)
        axis.set(title=name, xlabel="from unit", ylabel="to unit")
        eigenvalues = np.linalg.eigvals(weight)
        axes[-1].plot(eigenvalues.real, eigenvalues.imag, ".", ms=4, label=name)
    axes[-1].set(title="eigenvalues", aspect="equal", xlabel="real", ylabel="imaginary")
    axes[-1].legend(fontsize="small")
    return figure


def _synapses_figure(weights: Mapping[str, NDArray[Any]]) -> Any:
    """Weights `[1, pre, post]` of each projection, parallel synapses added up; and how many are how strong."""
    figure, axes = new_figure(len(weights) + 1)
    for axis, (name, weight) in zip(axes[:-1], weights.items(), strict=True):
        drawn = axis.imshow(weight[0].reshape(*weight.shape[1:3], -1).sum(-1).T, aspect="auto", cmap="viridis")
        axis.set(title=name, xlabel="from neuron", ylabel="to neuron")
        figure.colorbar(drawn, ax=axis)
        axes[-1].hist(weight[weight != 0], bins=40, histtype="step", label=f"{name}: {np.mean(weight != 0):.0%} active")
    axes[-1].set(title="synapses that transmit", xlabel="weight, mV", ylabel="synapses", yscale="log")
    axes[-1].legend(fontsize="small")
    return figure


def _commands(runs: Sequence[Run]) -> str:
    lines = []
    for run in runs:
        config = run.config
        lines.append(
            f"neuroctl train {config.preset} --seed {config.seed} --steps {config.steps}  # and the options below"
        )
        lines.append(f"neuroctl evaluate {run.path}")
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>"


def _config(run: Run) -> str:
    return f"<pre>{html.escape(json.dumps(read_json(run.path / 'config.json')['config'], indent=1))}</pre>"
