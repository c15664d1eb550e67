"""Lane following from the retina on held-out roads: clean, under every shift and severity, and with blackouts.

`python launch/study_lane.py` trains what is missing, evaluates what is missing and writes `docs/results/lane.*` from
what there is; cells that were not run say so. Everything is cached in `--out`, so it can be stopped and started, and
two processes with different `--seeds` can share the work.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuroctl import registry
from neuroctl.config import TrainConfig
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.study import cell, evaluate_once, train_once, values_of
from neuroctl.storage import atomic_write, read_json
from neuroctl.training import EPISODES
from neuroctl.versions import versions

PRESETS = ("lane-cfc", "lane-cfc-dense", "lane-lstm", "lane-mlp")
TASKS = {"sighted": 0.0, "blackouts": 0.6}
"""Task -> duration of the camera's blackouts in seconds; they come every 3 s on average."""
SHIFTS = (
    *("action-noise", "brightness", "contrast", "friction"),
    *("gain", "gaussian-noise", "observation-delay", "pixel-dropout"),
)


@dataclass(frozen=True)
class Arguments:
    """Train and evaluate the lane-following presets; write docs/results/lane.md."""

    out: Path = Path("runs/study_lane")
    """Cache: recordings, runs and evaluations."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds."""
    steps: int = 600
    """Gradient steps for each policy."""
    episodes: int = 64
    """Episodes of each evaluation without shifts."""
    shift_episodes: int = 64
    """Episodes of each evaluation under a shift."""
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Severities of every shift."""
    what: Literal["all", "train", "clean", "table"] = "all"
    """train only; train and evaluate without shifts; or only write the tables from the cache."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_lane.py")
    if options.what != "table":
        cells = [(t, p, s) for t in TASKS for s in options.seeds for p in PRESETS]
        for task, preset, seed in cells:
            _train(options, task, preset, seed)
        if options.what != "train":
            for task in TASKS:
                _evaluate(options, task, "expert", Path("expert"), "clean")
            _evaluate_cells(options, cells)
    _write(options)
    return 0


def _config(task: str, preset: str, seed: int, steps: int) -> TrainConfig:
    config: TrainConfig = registry.presets.load(preset)()
    env: Any = config.env
    return replace(config, seed=seed, steps=steps, env=replace(env, blackout_s=TASKS[task]))


def _folder(options: Arguments, task: str, preset: str, seed: int) -> Path:
    return options.out / task / f"{preset}-s{seed}"


def _train(options: Arguments, task: str, preset: str, seed: int) -> None:
    demonstrations = options.out / task / f"demonstrations-s{seed}"
    config = _config(task, preset, seed, options.steps)
    train_once(config, _folder(options, task, preset, seed), demonstrations)


def _conditions(options: Arguments, task: str) -> Iterator[str]:
    yield "clean"
    if task == "sighted" and options.what == "all":
        for shift in SHIFTS:
            yield from (f"{shift}:{severity}" for severity in options.severities)


def _evaluate_cells(options: Arguments, cells: Sequence[tuple[str, str, int]]) -> None:
    work = [(t, p, s, c) for t, p, s in cells for c in _conditions(options, t)]
    work.sort(key=lambda cell: cell[3] != "clean")
    with shown("evaluating", len(work), "conditions") as progress:
        for task, preset, seed, condition in work:
            _evaluate(options, task, f"{preset}-s{seed}", _folder(options, task, preset, seed), condition)
            progress.advance(1, f"{task} {preset} {seed} {condition}")


def _result_path(options: Arguments, task: str, name: str, condition: str) -> Path:
    count = "" if condition == "clean" else f"-e{options.shift_episodes}"
    return options.out / "evaluations" / task / name / f"{condition.replace(':', '-')}{count}.json"


def _evaluate(options: Arguments, task: str, name: str, source: Path, condition: str) -> None:
    config, clean = _config(task, PRESETS[0], 0, 1), condition == "clean"
    evaluate_once(
        _result_path(options, task, name, condition),
        source,
        config.env.id,
        config.evaluation_kwargs(),
        episodes=options.episodes if clean else options.shift_episodes,
        shifts=() if clean else (condition,),
    )


# -- tables ----------------------------------------------------------------------------------------------------


def _returns(options: Arguments, task: str, preset: str, condition: str) -> list[float]:
    """Mean return of each training seed that was run."""
    return values_of(
        [_result_path(options, task, f"{preset}-s{seed}", condition) for seed in options.seeds], "return_mean"
    )


def _write(options: Arguments) -> None:
    experts = {
        task: read_json(_result_path(options, task, "expert", "clean"))["return_mean"]
        for task in TASKS
        if _result_path(options, task, "expert", "clean").exists()
    }
    if not experts:
        sys.stdout.write("nothing evaluated yet\n")
        return
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "lane.md", "\n".join(_lines(options, experts)) + "\n")
    atomic_write(options.results / "lane.json", json.dumps(_numbers(options, experts), indent=1))
    _figure(options, experts).savefig(options.results / "lane.png", dpi=110)
    sys.stdout.write(f"results: {options.results / 'lane.md'}\n")


def _numbers(options: Arguments, experts: dict[str, float]) -> dict[str, Any]:
    values = {
        task: {c: {p: _returns(options, task, p, c) for p in PRESETS} for c in _all_conditions(options, task)}
        for task in experts
    }
    return {"expert": experts, "seeds": list(options.seeds), "mean_return_per_seed": values, "versions": versions()}


def _all_conditions(options: Arguments, task: str) -> list[str]:
    return list(_conditions(replace(options, what="all"), task))


HEAD = """# Lane following from the retina, held-out roads

Made by `python launch/study_lane.py{arguments}`. Exploratory: {count} training seeds ({seeds}),
the presets as they ship, no tuning per preset. A cell is the mean over seeds (and each seed) of the mean return of
{episodes} episodes of 20 s ({shift_episodes} of them under shifts) on roads 1000..1099, which training never saw, in
per cent of the expert's clean return ({experts}).

{steps} gradient steps on {demonstrations} expert episodes recorded under action-noise:3; retina 16 x 64, near camera.
Machine: {cpu}; torch {torch}, mujoco {mujoco}.
"""


def _lines(options: Arguments, experts: dict[str, float]) -> Iterator[str]:
    here = versions()
    yield HEAD.format(
        arguments="" if options.shift_episodes == 64 else f" --shift-episodes {options.shift_episodes}",
        count=len(options.seeds),
        seeds=", ".join(map(str, options.seeds)),
        episodes=options.episodes,
        shift_episodes=options.shift_episodes,
        demonstrations=EPISODES,
        experts=", ".join(f"{task} {value:.1f}" for task, value in experts.items()),
        steps=options.steps,
        **{name: here[name] for name in ("cpu", "torch", "mujoco")},
    )
    for task, expert in experts.items():
        dark = f": the camera is dark for {TASKS[task]} s, every 3 s on average" if TASKS[task] else ""
        yield f"## {task.capitalize()}{dark}\n"
        yield f"| condition | {' | '.join(PRESETS)} |"
        yield "|---|" + "---|" * len(PRESETS)
        for condition in _all_conditions(options, task):
            row = [cell(_returns(options, task, p, condition), expert, len(options.seeds)) for p in PRESETS]
            yield f"| {condition} | {' | '.join(row)} |"
        yield ""
    yield "![return against severity](lane.png)"


def _figure(options: Arguments, experts: dict[str, float]) -> Any:
    """Return against severity, one panel for each shift: a line through the means, every seed as a dot."""
    from matplotlib.figure import Figure

    names = SHIFTS
    figure = Figure(figsize=(14, 6.4), layout="constrained")
    for axis, shift in zip(figure.subplots(2, -(-len(names) // 2), sharey=True).flat, names, strict=False):
        for colour, preset in enumerate(PRESETS):
            conditions = {0: "clean", **{severity: f"{shift}:{severity}" for severity in options.severities}}
            returns = {x: _returns(options, "sighted", preset, c) for x, c in conditions.items()}
            shares = {x: np.array(values) / experts["sighted"] for x, values in returns.items() if values}
            axis.plot(list(shares), [v.mean() for v in shares.values()], color=f"C{colour}", label=preset)
            for x, values in shares.items():
                axis.plot([x] * len(values), values, ".", color=f"C{colour}", ms=4)
        axis.set(title=shift, xlabel="severity", ylim=(0, 1.05))
    figure.axes[0].legend(fontsize="small")
    figure.axes[0].set_ylabel("return / expert")
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
