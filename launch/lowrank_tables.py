"""Tables and the figure of launch/study_lowrank.py."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
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

Machine: {machines}.
"""
TUNED_RATES = (
    " but for the learning rate, which was chosen from {factors} times the preset's for every model on seed {seed}"
)
EXPLORATORY = " (exploratory: with so few seeds they cover less)"
SEEDS_OF_HEADLINE, LEAST_SEEDS = 10, 3
"""For a headline, and for any verdict."""
LEAST_MODELS = 3
"""For a line through their scores."""


def write_results(options: Arguments) -> str:
    """Add the scores in the cache to those that were published, and write tables and figure; says where they are.

    Raises:
        NeuroctlError: what was published is of other severities or numbers of episodes.
    """
    if options.tune:
        return _write_tuning(options)
    path = options.results / "lowrank.json"
    kept = _kept(path, options)
    references = {task: found for task in TASKS if (found := _references(options, task, kept))}
    if not references:
        return "nothing evaluated yet"
    options.results.mkdir(parents=True, exist_ok=True)
    numbers = {task: _numbers(options, task, references[task], kept) for task in references}
    seeds = sorted({int(seed) for found in numbers.values() for scores in found.values() for seed in scores})
    machines = sorted({*kept.get("machines", ()), _machine(versions())})
    lines = [_head(options, seeds, machines)]
    for task, by_model in numbers.items():
        lines += [f"## {TASKS[task].title}\n", *_demonstrated(options, task, references[task]), ""]
        lines += [
            *_entry(by_model),
            "",
            *_table(by_model),
            "",
            *_breakdown(options, task, by_model),
            "",
            *_contrast(by_model),
            "",
        ]
    lines += ["![shifted against clean score](lowrank.png)", ""]
    content = {"severities": options.severities, "episodes": options.episodes, "machines": machines}
    atomic_write(path, json.dumps({**content, "references": references, "scores": numbers}, indent=1))
    atomic_write(path.with_suffix(".md"), "\n".join(lines))
    _figure(numbers).savefig(path.with_suffix(".png"), dpi=110)
    return f"results: {path.with_suffix('.md')}"


def _kept(path: Path, options: Arguments) -> dict[str, Any]:
    """What was published; scores of other conditions are not mixed with it."""
    if not path.exists():
        return {}
    kept: dict[str, Any] = read_json(path)
    for name in ("severities", "episodes"):
        asked = json.loads(json.dumps(getattr(options, name)))
        if kept.get(name) != asked:
            raise NeuroctlError(f"{path} has {name} {kept.get(name)}, not {asked}; ask for those, or other --results")
    return kept


def _machine(here: Mapping[str, str]) -> str:
    return f"{here['cpu']}; torch {here['torch']}, mujoco {here['mujoco']}"


def _head(options: Arguments, seeds: Sequence[int], machines: Sequence[str]) -> str:
    return HEAD.format(
        tuned=TUNED_RATES.format(factors=", ".join(f"{f:g}" for f in RATE_FACTORS), seed=TUNING_SEED) if TUNED else "",
        severities=", ".join(map(str, options.severities)),
        seeds=", ".join(map(str, seeds)),
        exploratory=EXPLORATORY if len(seeds) < SEEDS_OF_HEADLINE else "",
        machines=" and ".join(machines),
    )


# -- scores ----------------------------------------------------------------------------------------------------

Scores = dict[str, dict[str, float]]
"""Of each seed that was run, by condition."""


def _reference(options: Arguments, task: Task, name: str) -> float | None:
    path = evaluation(options, task, name, CLEAN)
    return float(read_json(path)["return_mean"]) if path.exists() else None


def _references(options: Arguments, task: Task, kept: Mapping[str, Any]) -> dict[str, float]:
    """Mean returns of the expert and of doing nothing, which are the score's 1 and 0; none before both have played."""
    published: dict[str, float] = kept.get("references", {}).get(task, {})
    players = ("expert", "zero")
    found = {who: value for who in players if (value := _reference(options, task, who)) is not None}
    return published or (found if len(found) == len(players) else {})


def _numbers(
    options: Arguments, task: Task, references: Mapping[str, float], kept: Mapping[str, Any]
) -> dict[str, Scores]:
    """Scores of every model, of the cache before those that were published."""
    before = kept.get("scores", {}).get(task, {})
    return {
        name: before.get(name, {}) | _scores(options, task, name, **references) for name in MODELS if has(task, name)
    }


def _scores(options: Arguments, task: Task, model: str, expert: float, zero: float) -> Scores:
    """Of the seeds in the cache that were played under all conditions."""
    found: Scores = {}
    for seed in options.seeds:
        name = label(published(task, model, seed))
        paths = {c: evaluation(options, task, name, c) for c in conditions(options, task, model)}
        if all(path.exists() for path in paths.values()):
            returns = {c: float(read_json(path)["return_mean"]) for c, path in paths.items()}
            found[str(seed)] = {c: round((value - zero) / (expert - zero), 5) for c, value in returns.items()}
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


def _demonstrated(options: Arguments, task: Task, references: Mapping[str, float]) -> Iterator[str]:
    made = config(Policy(task, RECURRENT, 1.0, 0))
    episodes = made.demonstrations.episodes or EPISODES
    yield f"{made.steps} gradient steps on {episodes} expert episodes. Mean return of the expert"
    yield f"{references['expert']:.1f}, of doing nothing {references['zero']:.1f}. {4 * options.episodes} episodes"
    yield f"clean, {options.episodes} under each shift and severity."


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


def _table(found: Mapping[str, Scores]) -> Iterator[str]:
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
        yield f"| {name} | {len(scores)} | {' | '.join(cells)} |"


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
    rows = {"change under shift": change, "shifted score": moved}
    line = line_of([scores for name, scores in found.items() if name not in (*PRIMARY, PRIVILEGED)])
    if line is not None:
        rows["shifted score, beyond what the clean one foretells"] = moved - line * (clean(ones) - clean(others))
    for name, values in rows.items():
        yield f"| {name} | {interval(values, 3)} | {verdict(values)} |"
    apart = shifted(ones)[:, None] - shifted(others)[None, :]
    better = np.mean((apart > 0) + 0.5 * (apart == 0))
    yield f"\nProbability of improvement under shift: {better:.2f} (of two seeds, one of each)."
    yield "A policy that does little has little to lose, so a smaller change alone is no merit."
    if line is not None:
        yield "What the clean score foretells: over the seeds of all other models, by least squares, the shifted score"
        yield f"rises by {line:.2f} for each 1 of the clean one (effective robustness, Taori et al. 2020, arXiv"
        yield "2007.00644; this row was added when the first scores were known)."


def line_of(models: Sequence[Scores]) -> float | None:
    """Slope of shifted against clean score over the seeds of models; None where fewer than three models were run."""
    run = [scores for scores in models if scores]
    if len(run) < LEAST_MODELS:
        return None
    seen, moved = (np.concatenate([of(scores) for scores in run]) for of in (clean, shifted))
    return float(np.polyfit(seen, moved, 1)[0]) if np.ptp(seen) else None


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
