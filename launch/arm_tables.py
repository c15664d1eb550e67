"""Tables and the figure of launch/study_spore_arm.py, from the trials that it keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.envs.arm_reach import CONTROL_DT_S
from neuroctl.launch.arm_trials import EARLY_STEPS, FIELDS, NEAR_M
from neuroctl.launch.centre_out import MAX_STEPS
from neuroctl.launch.populations import RESAMPLES, interval
from neuroctl.launch.presets import SIMULATED_HOUR
from neuroctl.storage import atomic_write, read_json
from neuroctl.streams import stream
from neuroctl.versions import versions

Floats = NDArray[np.float64]
Trials = dict[str, Floats]
Paths = Mapping[Any, Mapping[Any, Path]]

EARLY_S = EARLY_STEPS * CONTROL_DT_S
MEASURES = {
    "direction_deg": (f"direction error after {EARLY_S:g} s, degrees", 1.0, 1),
    "early_m": (f"distance after {EARLY_S:g} s, cm", 100.0, 2),
    "final_m": ("distance at the end, cm", 100.0, 2),
    "reach_s": ("time to target, s", 1.0, 2),
}
"""What each field of a trial is called, its factor, and digits."""
PHASES = {
    "baseline": (0, "last"),
    "perturbed, first": (1, "first"),
    "perturbed, last": (1, "last"),
    "washout, first": (2, "first"),
    "washout, last": (2, "last"),
    "again, first": (3, "first"),
    "again, last": (3, "last"),
}
"""Block and part of it."""
FIRST_TRIALS = 20

HEAD = """# Spiking agents with a perturbed arm

Made by `python launch/study_spore_arm.py --agents {agents} --minutes {minutes:g} --trials {trials} --seed {seed}`:
{agents} agents, trained for {minutes:g} simulated minutes on centre-out reaching, then four blocks of {trials} trials:
without, with, without and with a perturbation.{few} The unit is the agent. A cell holds the mean over agents and the
95 % bootstrap interval of that mean. Both modes begin with the same synapses and meet the same targets. The direction
error is the angle from the target's direction, 8 cm away, to that in which the cursor moved in the first {early:g} s,
counter-clockwise; a target counts as reached within {near:g} cm, and a trial that never comes there takes {most:g} s.
"first" are 20 trials, at most a quarter of a block, "last" is its last quarter. Adaptation is "perturbed, last" minus
"perturbed, first", the after-effect "washout, first" minus the baseline, and savings the first quarter of the second
perturbed block minus that of the first, each paired by agent; "plastic minus frozen" is what learning on adds to them,
paired by agent too. A difference whose interval includes 0 shows no effect. There are {intervals} intervals here, not
corrected for their number: one in twenty or more can be expected to miss the true mean by chance.

Machine: {cpu}; mujoco {mujoco}.
"""
FEW = " So few agents are exploratory."
MANY_AGENTS = 10
INTERVAL = re.compile(r"\(\S+ to \S+\)")
"""In a cell."""


def write_results(results: Path, evaluation: Path, paths: Paths, about: Mapping[str, Any]) -> str:
    """Write the tables and the figure; says where they are.

    Args:
        results: folder.
        evaluation: trials with frozen synapses by step of training, `FIELDS` `[trials, B]` each.
        paths: of the trials of each protocol by world and mode.
        about: agents, seed, minutes and trials of the head.
    """
    if not evaluation.exists():
        return "nothing evaluated yet"
    here = versions()
    facts = {"early": EARLY_S, "near": 100 * NEAR_M, "most": MAX_STEPS * CONTROL_DT_S}
    few = FEW if about["agents"] < MANY_AGENTS else ""
    lines = ["## Reaching in training\n", *_training_table(evaluation), ""]
    for world, modes in paths.items():
        lines += [f"## {world.capitalize()}\n", *_phase_table(modes), ""]
        if any(path.exists() for path in modes.values()):
            lines += [*_difference_table(modes), ""]
    drawn = {world: modes for world, modes in paths.items() if any(path.exists() for path in modes.values())}
    results.mkdir(parents=True, exist_ok=True)
    if drawn:
        _figure(drawn, about["trials"]).savefig(results / "spore_arm.png", dpi=110)
        lines += ["![errors over trials](spore_arm.png)", ""]
    intervals = sum(len(INTERVAL.findall(line)) for line in lines)
    head = HEAD.format(**about, **facts, few=few, intervals=intervals, cpu=here["cpu"], mujoco=here["mujoco"])
    atomic_write(results / "spore_arm.md", "\n".join([head, *lines]))
    return f"results: {results / 'spore_arm.md'}"


def read_trials(path: Path) -> Trials:
    """`FIELDS`, each `[trials, B]`."""
    found = read_json(path)
    return {name: np.array(found[name]) for name in FIELDS}


def phase(values: Floats, name: str) -> Floats:
    """Mean of each agent `[B]` over the first trials of a block, or its last quarter, of values `[trials, B]`."""
    block, part = PHASES[name]
    trials = len(values) // 4
    values = values[block * trials : (block + 1) * trials]
    mean: Floats = (values[: min(FIRST_TRIALS, trials // 4)] if part == "first" else values[-(trials // 4) :]).mean(0)
    return mean


def differences(values: Floats) -> dict[str, Floats]:
    """What adaptation theory asks for, of each agent `[B]`, from values `[trials, B]`.

    Returns:
        "adaptation": the end of the first perturbed block minus its beginning; "after-effect": the beginning of washout
        minus the baseline; "savings": the first quarter of the second perturbed block minus that of the first.
    """
    trials = len(values) // 4
    first, again = (values[block * trials : block * trials + trials // 4].mean(axis=0) for block in (1, 3))
    return {
        "adaptation": phase(values, "perturbed, last") - phase(values, "perturbed, first"),
        "after-effect": phase(values, "washout, first") - phase(values, "baseline"),
        "savings": again - first,
    }


def _training_table(evaluation: Path) -> Iterator[str]:
    yield "| simulated minutes | " + " | ".join(label for label, _, _ in MEASURES.values()) + " | reached, % |"
    yield "|---" * (len(MEASURES) + 2) + "|"
    for step, found in read_json(evaluation).items():
        trials = {name: np.array(found[name]) for name in FIELDS}
        cells = [interval(factor * _size(name, trials[name]).mean(0), n) for name, (_, factor, n) in MEASURES.items()]
        reached = 100 * (trials["reach_s"] < MAX_STEPS * CONTROL_DT_S).mean(axis=0)
        yield f"| {60 * int(step) / SIMULATED_HOUR:g} | {' | '.join(cells)} | {interval(reached, 1)} |"
    yield "\nWith frozen synapses, in trials of their own; here the direction error is without its sign."


def _size(name: str, values: Floats) -> Floats:
    return np.abs(values) if name == "direction_deg" else values


def _phase_table(modes: Mapping[Any, Path]) -> Iterator[str]:
    yield f"| mode | measure | {' | '.join(PHASES)} |"
    yield "|---" * (len(PHASES) + 2) + "|"
    for mode, path in modes.items():
        if not path.exists():
            yield f"| {mode} | not run |{' |' * len(PHASES)}"
            continue
        trials = read_trials(path)
        for name, (label, factor, digits) in MEASURES.items():
            cells = [interval(factor * phase(trials[name], part), digits) for part in PHASES]
            yield f"| {mode} | {label} | {' | '.join(cells)} |"


def _difference_table(modes: Mapping[Any, Path]) -> Iterator[str]:
    yield "| mode | measure | adaptation | after-effect | savings |"
    yield "|---|---|---|---|---|"
    found = {mode: _differences(path) for mode, path in modes.items() if path.exists()}
    if {"plastic", "frozen"} <= found.keys():
        pairs = zip(found["plastic"].items(), found["frozen"].values(), strict=True)
        found["plastic minus frozen"] = {name: {k: ours[k] - theirs[k] for k in ours} for (name, ours), theirs in pairs}
    for mode, measures in found.items():
        for name, (label, factor, digits) in MEASURES.items():
            cells = [interval(factor * values, digits) for values in measures[name].values()]
            yield f"| {mode} | {label} | {' | '.join(cells)} |"


def _differences(path: Path) -> dict[str, dict[str, Floats]]:
    trials = read_trials(path)
    return {name: differences(trials[name]) for name in MEASURES}


def _figure(worlds: Paths, block: int) -> Any:
    """Direction error and distance over trials in bins, a column for each world; means over agents and 95 % bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(worlds), 5.4), layout="constrained")
    axes = figure.subplots(2, len(worlds), squeeze=False, sharex="col", sharey="row")
    drawn = ("direction_deg", "early_m")
    for column, (world, modes) in zip(axes.T, worlds.items(), strict=True):
        for axis, name in zip(column, drawn, strict=True):
            factor = MEASURES[name][1]
            for color, (mode, path) in enumerate(modes.items()):
                if path.exists():
                    _draw(axis, factor * read_trials(path)[name], block, f"C{color}", mode)
            for perturbed in (1, 3):
                axis.axvspan(perturbed * block, (perturbed + 1) * block, color="0.93", lw=0, zorder=0)
        column[0].set(title=world)
        column[1].set(xlabel="trial (grey: perturbed)")
    for axis, name in zip(axes[:, 0], drawn, strict=True):
        axis.set(ylabel=MEASURES[name][0])
    axes[0, 0].legend()
    return figure


def _draw(axis: Any, values: Floats, block: int, color: str, label: str) -> None:
    width = max(block // 30, 1)
    bins = [slice(n, n + width) for b in range(4) for n in range(b * block, (b + 1) * block - width + 1, width)]
    points = np.array([values[part].mean(axis=0) for part in bins])
    low, high = _bands(points)
    places = [(part.start + part.stop) / 2 for part in bins]
    axis.plot(places, points.mean(axis=1), color=color, lw=1.5, label=label)
    axis.fill_between(places, low, high, color=color, alpha=0.25, lw=0)


def _bands(points: Floats) -> Floats:
    """95 % bootstrap intervals `[2, N]` of the means over agents of `[N, B]`, with the same resamples for all N."""
    agents = points.shape[1]
    drawn = stream(0, "bands").integers(agents, size=(RESAMPLES, agents))
    bounds: Floats = np.percentile(points[:, drawn].mean(axis=2), [2.5, 97.5], axis=1)
    return bounds
