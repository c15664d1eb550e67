"""Variants of the spiking presets on tuning seeds, each run once and kept, with a table of everything that was tried.

`python launch/explore_spore.py lane --variants "event_gain=0.02" "reward_filter=zscore rule.gradient_scale=1"` trains
a population under each list of changes and adds it to `docs/results/spore_tuning.md`. A name is an option of the agent;
with `rule.` before it one of the learning rule, with `env.` one of the environment. `--grid` runs learning rates times
temperatures and draws them as a heat map. `--workers 4` trains so many populations side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.curves import CurveLog, read_curve
from neuroctl.launch.populations import PRESETS, TASKS, TUNING_SEEDS, Task, duration_name, durations, mean_duration
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import is_trained, train_or_go_on
from neuroctl.launch.study_workers import OnWorkers, do_each
from neuroctl.launch.variants import differences, varied
from neuroctl.run import Run
from neuroctl.storage import atomic_write
from neuroctl.versions import versions

LINES_PER_HOUR = 4
SUFFIX = ".curve.jsonl"
"""Of files with a curve."""
LEARNING_RATES_PER_S = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
TEMPERATURES = (0.0, 0.01, 0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train populations under changes of a preset; write docs/results/spore_tuning.md."""

    task: Annotated[Task, tyro.conf.Positional]
    """Preset that is changed."""
    variants: tuple[str, ...] = ()
    """Changes, each a list of name=value; an empty one is the preset."""
    grid: bool = False
    """Learning rates times temperatures instead, as a heat map."""
    hours: float = 1.0
    """Simulated time of each agent, a multiple of a quarter of an hour."""
    agents: int = 8
    """Agents in a population."""
    seed: int = TUNING_SEEDS[0]
    """Root seed of the populations."""
    out: Path = field(default=Path("runs/explore_spore"), kw_only=True)
    """Cache: runs and curves."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""

    def __post_init__(self) -> None:
        """Refuse times that end between two lines of the curve, and populations without an agent."""
        super().__post_init__()
        if not (self.hours > 0 and self.hours * LINES_PER_HOUR % 1 == 0):
            raise NeuroctlError(f"hours is {self.hours:g}; allowed: multiples of {1 / LINES_PER_HOUR:g}")
        if self.agents < 1:
            raise NeuroctlError(f"agents is {self.agents}; allowed: from 1 on")


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then write the table and the heat maps of what there is."""
    options = parse(Arguments, argv, "launch/explore_spore.py")
    variants = list(_grid_variants()) if options.grid else list(options.variants)
    for variant in variants:  # all are checked before any runs
        is_trained(_config(options, variant), _run_of(_curve(options, variant)))
    do_each(options, variants, _train)
    _write(options)
    return 0


def _grid_variants() -> Iterator[str]:
    for rate in LEARNING_RATES_PER_S:
        for temperature in TEMPERATURES:
            yield _grid_variant(rate, temperature)


def _grid_variant(rate: float, temperature: float) -> str:
    return f"learning_rate_per_s={rate:g} temperature={temperature:g}"


# -- one variant -----------------------------------------------------------------------------------------------


def _curve(options: Arguments, variant: str) -> Path:
    name = " ".join(variant.split()) or "preset"
    if "/" in name:
        raise NeuroctlError(f"a variant may not contain /, got {variant!r}")
    return options.out / options.task / f"{name}@{options.hours:g}h-{options.agents}-s{options.seed}{SUFFIX}"


def _config(options: Arguments, variant: str) -> TrainConfig:
    every = presets.SIMULATED_HOUR // LINES_PER_HOUR
    return replace(
        varied(PRESETS[options.task](), variant),
        seed=options.seed,
        num_envs=options.agents,
        steps=round(options.hours * LINES_PER_HOUR) * every,
        checkpoint_every=every,
        keep_checkpoints=1,
    )


def _train(options: Arguments, variant: str) -> None:
    """Train a population, or go on with one that was stopped; its curve is a file beside the run's folder."""
    curve, config = _curve(options, variant), _config(options, variant)
    train_or_go_on(config, _run_of(curve), [CurveLog(curve, config.checkpoint_every)])


def _run_of(curve: Path) -> Path:
    return curve.with_name(curve.name.removesuffix(SUFFIX))


# -- what was tried --------------------------------------------------------------------------------------------

HEAD = """# What was tried to tune the spiking presets

Made by `python launch/explore_spore.py`: populations of the root seeds {seeds}. A number of the curve is the
mean duration of an agent's trials that ended in a quarter of a simulated hour, averaged over the agents, in s: time to
goal of the ball (less is better), time on the lane of the vehicle (more is better); the last columns are the worst and
the best agent in the last of them. A variant is given by what differs from the preset as it is now; the
preset itself is among them where it was run. Runs that were given up early are listed with what they had reached.

Machine: {cpu}; mujoco {mujoco}.
"""


def _write(options: Arguments) -> None:
    if not any(options.out.glob(f"*/*{SUFFIX}")):
        sys.stdout.write("nothing trained yet\n")
        return
    here = versions()
    used = sorted({Run(_run_of(path)).config.seed for path in options.out.glob(f"*/*{SUFFIX}")})
    seeds = ", ".join(map(str, used))
    options.results.mkdir(parents=True, exist_ok=True)
    if options.grid:
        _heat_map(options).savefig(options.results / _figure_name(options.task), dpi=110)
    lines = [HEAD.format(seeds=seeds, **{key: here[key] for key in ("cpu", "mujoco")})]
    for task in TASKS:
        curves = sorted(options.out.glob(f"{task}/*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        if curves:
            lines += [f"## {task}\n", "| variant | agents | per quarter of an hour | worst | best |"]
            lines += ["|---|---|---|---|---|"]
            lines += [row for path in curves for row in _row(path, task)] + [""]
        if (options.results / _figure_name(task)).exists():
            lines += [f"![learning rate and temperature]({_figure_name(task)})", ""]
    atomic_write(options.results / "spore_tuning.md", "\n".join(lines))
    sys.stdout.write(f"results: {options.results / 'spore_tuning.md'}\n")


def _figure_name(task: Task) -> str:
    return f"spore_grid_{task}.png"


def _row(path: Path, task: Task) -> Iterator[str]:
    curve = read_curve(path)
    if not len(curve["step"]):
        return
    config = Run(_run_of(path)).config
    last = durations({name: curve[name][-1] for name in ("trials", "trial_s")})
    worst, best = (np.nanmin, np.nanmax) if task == "lane" else (np.nanmax, np.nanmin)
    ends = "| no trial ended | |" if np.isnan(last).all() else f"| {worst(last):.1f} | {best(last):.1f} |"
    values = " ".join(f"{value:.1f}" for value in mean_duration(durations(curve)))
    yield f"| {differences(config, PRESETS[task]())} | {config.num_envs} | {values} {ends}"


def _reached(path: Path) -> float:
    """Mean over agents of the duration of a trial in the last quarter of an hour, s."""
    return float(mean_duration(durations(read_curve(path)))[-1])


def _heat_map(options: Arguments) -> Any:
    """Duration of trials in the last quarter of an hour over learning rate and temperature."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    values = np.array(
        [
            [_reached(_curve(options, _grid_variant(rate, temperature))) for temperature in TEMPERATURES]
            for rate in LEARNING_RATES_PER_S
        ]
    )
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axis = figure.subplots()
    lane = options.task == "lane"
    norm = LogNorm(np.nanmin(values), np.nanmax(values))
    axis.imshow(values, cmap="viridis" if lane else "viridis_r", norm=norm, origin="lower")
    for (row, column), value in np.ndenumerate(values):
        text = "none" if np.isnan(value) else f"{value:.1f}"
        color = "black" if np.isnan(value) or (norm(value) > 0.5) == lane else "white"
        axis.text(column, row, text, ha="center", va="center", color=color)
    axis.set_xticks(range(len(TEMPERATURES)), [f"{value:g}" for value in TEMPERATURES])
    axis.set_yticks(range(len(LEARNING_RATES_PER_S)), [f"{value:g}" for value in LEARNING_RATES_PER_S])
    axis.set(xlabel="temperature", ylabel="learning rate at the start, 1/s")
    axis.set_title(f"{duration_name(options.task)}, after {options.hours:g} simulated hours")
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
