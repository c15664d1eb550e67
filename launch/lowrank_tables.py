"""Tables and the figure of launch/study_lowrank.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.launch.lowrank_plan import (
    CLEAN,
    ENTRY,
    MARGIN,
    MODELS,
    PRIMARY,
    PRIVILEGED,
    RATE_FACTORS,
    RECURRENT,
    STACKED,
    TASKS,
    TUNED,
    TUNING_SEED,
    Arguments,
    Policy,
    Task,
    conditions,
    config,
    evaluation,
    has,
    label,
    published,
)
from neuroctl.launch.populations import interval
from neuroctl.robustness_matrix import mean_interval
from neuroctl.statistics import iqm
from neuroctl.storage import atomic_write, read_json
from neuroctl.training import EPISODES
from neuroctl.versions import versions

Floats = NDArray[np.float64]

HEAD = """# Low-rank sparse recurrent connectivity under distribution shift

Made by `python launch/study_lowrank.py`. The question is that of Tumma et al. 2023 (arXiv 2310.03915), of which we know
the abstract and its reviews; tasks, shifts, constants and controls are our own.

All policies learn by imitation, with the preset's settings{tuned}.
Score: mean return on a scale where doing nothing is 0 and the expert 1. "shifted" is its mean over all shifts and
severities ({severities}), "change" is shifted minus clean. The unit is the training seed ({seeds}), each with its own
masks, weights and demonstrations; intervals are 95 % bootstrap intervals of the mean{exploratory}.
rN is the rank, sX the sparsity of the recurrent weights of 64 units; "small gain" begins with the spectral radius of
`cfc r4 s0.5`, "large gain" with the norm of the dense one.

Machine: {cpu}; torch {torch}, mujoco {mujoco}.
"""
TUNED_RATES = (
    " but for the learning rate, which was chosen from {factors} times the preset's for every model on seed {seed}"
)
EXPLORATORY = " (exploratory: with so few seeds they cover less)"
SEEDS_OF_HEADLINE, LEAST_SEEDS = 10, 3
"""For a headline, and for any verdict."""


def write_results(options: Arguments) -> str:
    """Write the tables, the numbers and the figure; says where they are."""
    if options.tune:
        return _write_tuning(options)
    tasks = [task for task in TASKS if all(_reference(options, task, who) is not None for who in ("expert", "zero"))]
    if not tasks:
        return "nothing evaluated yet"
    options.results.mkdir(parents=True, exist_ok=True)
    numbers = {task: {name: _scores(options, task, name) for name in MODELS if has(task, name)} for task in tasks}
    lines = [_head(options)]
    for task in tasks:
        lines += [f"## {TASKS[task].title}\n", *_demonstrated(options, task), ""]
        lines += [*_entry(numbers[task]), "", *_table(options, task, numbers[task]), ""]
        lines += [*_breakdown(options, task, numbers[task]), "", *_contrast(numbers[task]), ""]
    lines += ["![shifted against clean score](lowrank.png)", ""]
    atomic_write(options.results / "lowrank.md", "\n".join(lines))
    content = {"seeds": options.seeds, "scores": numbers, "versions": versions()}
    atomic_write(options.results / "lowrank.json", json.dumps(content, indent=1))
    _figure(numbers).savefig(options.results / "lowrank.png", dpi=110)
    return f"results: {options.results / 'lowrank.md'}"


def _head(options: Arguments) -> str:
    here = versions()
    return HEAD.format(
        tuned=TUNED_RATES.format(factors=", ".join(f"{f:g}" for f in RATE_FACTORS), seed=TUNING_SEED) if TUNED else "",
        severities=", ".join(map(str, options.severities)),
        seeds=", ".join(map(str, options.seeds)),
        exploratory=EXPLORATORY if len(options.seeds) < SEEDS_OF_HEADLINE else "",
        **{name: here[name] for name in ("cpu", "torch", "mujoco")},
    )


# -- scores ----------------------------------------------------------------------------------------------------

Scores = dict[str, dict[str, float]]
"""Of each seed that was run, by condition."""


def _reference(options: Arguments, task: Task, name: str) -> float | None:
    path = evaluation(options, task, name, CLEAN)
    return float(read_json(path)["return_mean"]) if path.exists() else None


def _scores(options: Arguments, task: Task, model: str) -> Scores:
    zero, expert = (_reference(options, task, who) or 0.0 for who in ("zero", "expert"))
    found: Scores = {}
    for seed in options.seeds:
        name = label(published(task, model, seed))
        paths = {c: evaluation(options, task, name, c) for c in conditions(options, task, model)}
        if all(path.exists() for path in paths.values()):
            returns = {c: float(read_json(path)["return_mean"]) for c, path in paths.items()}
            found[str(seed)] = {c: (value - zero) / (expert - zero) for c, value in returns.items()}
    return found


def clean(scores: Scores) -> Floats:
    """Score of each seed without shifts."""
    return np.array([by[CLEAN] for by in scores.values()])


def shifted(scores: Scores) -> Floats:
    """Mean score of each seed over all shifts and severities; nan without any."""
    means = [np.mean([v for c, v in by.items() if c != CLEAN] or [np.nan]) for by in scores.values()]
    return np.array(means, np.float64)


def paired(ones: Scores, others: Scores) -> tuple[Scores, Scores]:
    """Those of the seeds that both have, which share their demonstrations."""
    both = [seed for seed in ones if seed in others]
    return {seed: ones[seed] for seed in both}, {seed: others[seed] for seed in both}


# -- tables ----------------------------------------------------------------------------------------------------


def _demonstrated(options: Arguments, task: Task) -> Iterator[str]:
    made = config(Policy(task, RECURRENT, 1.0, 0))
    zero, expert = (_reference(options, task, who) for who in ("zero", "expert"))
    episodes = made.demonstrations.episodes or EPISODES
    yield f"{made.steps} gradient steps on {episodes} expert episodes. Mean return of the expert {expert:.1f}, of"
    yield f"doing nothing {zero:.1f}. {4 * options.episodes} episodes clean, {options.episodes} under each shift and"
    yield "severity."


def _entry(found: Mapping[str, Scores]) -> Iterator[str]:
    """Whether memory is needed."""
    ones, others = paired(found[RECURRENT], found[STACKED])
    if not ones:
        yield f"Whether memory is needed is not known yet: `{RECURRENT}` or `{STACKED}` was not run."
        return
    gains = clean(ones) - clean(others)
    if len(gains) < LEAST_SEEDS:
        yield f"Whether memory is needed is not known yet: fewer than {LEAST_SEEDS} seeds were run."
        return
    counts = "counts" if gains.mean() > ENTRY and mean_interval(gains).low > 0 else "does **not** count"
    yield f"Memory: `{RECURRENT}` minus `{STACKED}`, clean, {interval(gains, 3)}; more than {ENTRY:g} is asked for:"
    yield f"the task {counts}."


def _table(options: Arguments, task: Task, found: Mapping[str, Scores]) -> Iterator[str]:
    yield "| model | seeds | clean | shifted | shifted, IQM | change | each seed, shifted |"
    yield "|---|---|---|---|---|---|---|"
    for name, scores in found.items():
        if not scores:
            yield f"| {name} | not run | | | | | |"
            continue
        seen, moved = clean(scores), shifted(scores)
        cells = [interval(seen, 3), "", "", "", ""]
        if not np.isnan(moved).any():
            each = " ".join(f"{value:.2f}" for value in moved)
            cells[1:] = [interval(moved, 3), interval(moved, 3, of=iqm), interval(moved - seen, 3), each]
        count = len(scores) if len(scores) == len(options.seeds) else f"{len(scores)} of {len(options.seeds)}"
        yield f"| {name} | {count} | {' | '.join(cells)} |"


def _breakdown(options: Arguments, task: Task, found: Mapping[str, Scores]) -> Iterator[str]:
    """Score under each shift, mean over severities and seeds."""
    shifts = TASKS[task].shifts
    yield f"| model, mean over severities | {' | '.join(shifts)} |"
    yield "|---" * (1 + len(shifts)) + "|"
    for name, scores in found.items():
        if scores and name != PRIVILEGED:
            cells = [
                f"{np.mean([by[f'{shift}:{s}'] for by in scores.values() for s in options.severities]):.2f}"
                for shift in shifts
            ]
            yield f"| {name} | {' | '.join(cells)} |"


def _contrast(found: Mapping[str, Scores]) -> Iterator[str]:
    """The contrast that was fixed beforehand, paired by seed."""
    ones, others = paired(found[PRIMARY[0]], found[PRIMARY[1]])
    if not ones:
        yield f"Primary contrast: `{PRIMARY[0]}` or `{PRIMARY[1]}` was not run."
        return
    moved = shifted(ones) - shifted(others)
    change = moved - (clean(ones) - clean(others))
    yield f"Primary contrast, `{PRIMARY[0]}` minus `{PRIMARY[1]}`, {len(ones)} seeds, paired:\n"
    yield "| measure | difference | verdict |"
    yield "|---|---|---|"
    for name, values in (("change under shift", change), ("shifted score", moved)):
        yield f"| {name} | {interval(values, 3)} | {verdict(values)} |"
    apart = shifted(ones)[:, None] - shifted(others)[None, :]
    better = np.mean((apart > 0) + 0.5 * (apart == 0))
    yield f"\nProbability of improvement under shift: {better:.2f} (of two seeds, one of each)."


def verdict(differences: Floats) -> str:
    """What the 95 % interval of the mean says: equivalent within `MARGIN`, better, worse, or not resolved."""
    if len(differences) < LEAST_SEEDS:
        return f"fewer than {LEAST_SEEDS} seeds"
    found = mean_interval(differences)
    if max(abs(found.low), abs(found.high)) <= MARGIN:
        return f"equivalent within {MARGIN:g}"
    if found.low > 0:
        return "better"
    return "worse" if found.high < 0 else "not resolved"


def _write_tuning(options: Arguments) -> str:
    """Clean returns of every model with every learning rate on the tuning seed."""
    lines = [
        "# Learning rates of the study of rank and sparsity\n",
        f"Made by `python launch/study_lowrank.py --tune` on seed {TUNING_SEED}: mean return without shifts, by",
        "the factor of the preset's learning rate.\n",
    ]
    some = False
    for task in TASKS:
        lines += [f"## {TASKS[task].title}\n", f"| model | {' | '.join(f'{f:g}' for f in RATE_FACTORS)} | best |"]
        lines += ["|---" * (2 + len(RATE_FACTORS)) + "|"]
        for model in filter(lambda name: has(task, name), MODELS):
            names = [label(Policy(task, model, factor, TUNING_SEED)) for factor in RATE_FACTORS]
            values = [_reference(options, task, name) for name in names]
            some = some or any(value is not None for value in values)
            best = {value: f"{f:g}" for value, f in zip(values, RATE_FACTORS, strict=True) if value is not None}
            cells = ["not run" if value is None else f"{value:.1f}" for value in values]
            lines.append(f"| {model} | {' | '.join(cells)} | {best[max(best)] if best else ''} |")
        lines.append("")
    if not some:
        return "nothing evaluated yet"
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "lowrank_tuning.md", "\n".join(lines))
    return f"results: {options.results / 'lowrank_tuning.md'}"


def _figure(numbers: Mapping[Task, Mapping[str, Scores]]) -> Any:
    """Shifted against clean score of every seed, one panel for each task; the mean of each model with its name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * len(numbers), 5.2), layout="constrained")
    panels: Any = figure.subplots(1, len(numbers), squeeze=False)
    for axis, (task, found) in zip(panels[0], numbers.items(), strict=True):
        for name, scores in found.items():
            if scores and name != PRIVILEGED:
                colour = f"C{['cfc', 'rnn', 'gru', 'lstm', 'mlp'].index(name.split()[0].rstrip(','))}"
                seen, moved = clean(scores), shifted(scores)
                axis.plot(seen, moved, ".", color=colour, alpha=0.35)
                axis.plot(seen.mean(), moved.mean(), "o", color=colour)
                axis.annotate(name, (seen.mean(), moved.mean()), fontsize=6, xytext=(3, 3), textcoords="offset points")
        axis.set(title=TASKS[task].title.partition(",")[0], xlabel="clean score", ylabel="mean score under shift")
        axis.grid(color="0.92")
    return figure
