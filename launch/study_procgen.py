"""Exact and truncated gradients on a game of Procgen: levels that training saw, and levels that it never saw.

`python launch/study_procgen.py` trains what is missing and writes `docs/results/procgen.md` and its figure from what
there is (extra: procgen). Everything is kept in `--out`, so it can be stopped and started; `--workers 4` does so
many runs side by side. The unit is the training seed. Exploratory: few frames and seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroctl.config import TrainConfig
from neuroctl.errors import refuse_unknown
from neuroctl.launch.memory_presets import rtrl_coinrun
from neuroctl.launch.populations import interval
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once, is_trained, train_or_go_on
from neuroctl.launch.study_workers import OnWorkers, do_each
from neuroctl.metrics import read_metrics
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

METHODS: Mapping[str, Mapping[str, Any]] = {
    "rtrl": {},
    "bptt": {"gradient": "bptt"},
    "feed-forward": {"gradient": "bptt", "cell": "mlp", "forget_bias": None},
}
"""Changes of the preset's agent."""
LEVELS: Mapping[str, Mapping[str, Any]] = {"seen": {}, "never seen": {"start_level": 10_000, "num_levels": 0}}
"""Changes of the preset's environment, for evaluation."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train actor-critics on CoinRun; write docs/results/procgen.md."""

    out: Path = Path("runs/study_procgen")
    """Cache: runs and evaluations."""
    results: Path = Path("docs/results")
    """Where table and figure are written."""
    methods: tuple[str, ...] = tuple(METHODS)
    """Methods to run."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Training seeds."""
    frames: int = 2_000_000
    """Frames of a training run, whole rollouts of all rows."""
    episodes: int = 128
    """Levels of an evaluation."""

    def __post_init__(self) -> None:
        """Refuse methods that do not exist."""
        super().__post_init__()
        refuse_unknown("method", self.methods, METHODS)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the results."""
    options = parse(Arguments, argv, "launch/study_procgen.py")
    asked = [(method, seed) for seed in options.seeds for method in options.methods]
    for cell in asked:  # all are checked before any runs
        is_trained(config(options, *cell), _folder(options, *cell))
    do_each(options, asked, _fill)
    _write(options)
    return 0


def _fill(options: Arguments, cell: tuple[str, int]) -> None:
    made, folder = config(options, *cell), _folder(options, *cell)
    train_or_go_on(made, folder)
    for levels, change in LEVELS.items():
        kwargs = {**made.env.kwargs(), **change}
        evaluate_once(_path(options, *cell, levels), folder, made.env.id, kwargs, episodes=options.episodes)


def config(options: Arguments, method: str, seed: int) -> TrainConfig:
    """The preset with another method, seed and length."""
    made: Any = rtrl_coinrun()
    rollout = made.agent.rollout_length
    steps = max(options.frames // made.num_envs // rollout, 1) * rollout
    times = {"steps": steps, "log_every": max(steps // 50, 1), "checkpoint_every": max(steps // 5, 1)}
    agent = replace(made.agent, **METHODS[method])
    found: TrainConfig = replace(made, agent=agent, seed=seed, keep_checkpoints=1, **times)
    return found


def _folder(options: Arguments, method: str, seed: int) -> Path:
    return options.out / f"{method}-s{seed}"


def _path(options: Arguments, method: str, seed: int, levels: str) -> Path:
    return options.out / f"{method}-s{seed}-{levels.replace(' ', '-')}-e{options.episodes}.json"


# -- results ---------------------------------------------------------------------------------------------------

HEAD = """# CoinRun: levels that training saw, and others

Made by `python launch/study_procgen.py`: PPO (preset `rtrl-coinrun`), 200 easy levels, {frames} frames, {seeds} seeds.
{episodes} levels of each kind are played without exploration. A level is worth 10; a cell holds the mean over seeds and
its 95 % bootstrap interval. Exploratory: published curves (Cobbe et al. 2020, arXiv 1912.01588) go to 25 million frames
of a larger network.

Machine: {cpu}; torch {torch}.

| method | seeds | return, levels seen | return, levels never seen | frames/s |
|---|---|---|---|---|"""


def _write(options: Arguments) -> None:
    here = versions()
    made = config(options, "rtrl", options.seeds[0])
    text = HEAD.format(
        frames=made.steps * (made.num_envs or 1),
        seeds=len(options.seeds),
        episodes=options.episodes,
        cpu=here["cpu"],
        torch=here["torch"],
    )
    options.results.mkdir(parents=True, exist_ok=True)
    _figure(options).savefig(options.results / "procgen.png", dpi=110)
    rows = [_row(options, method) for method in METHODS]
    atomic_write(
        options.results / "procgen.md", "\n".join([text, *rows, "", "![return while learning](procgen.png)", ""])
    )
    sys.stdout.write(f"results: {options.results / 'procgen.md'}\n")


def _seeds(options: Arguments, method: str) -> list[int]:
    """Those of which all is there."""
    return [s for s in options.seeds if all(_path(options, method, s, levels).exists() for levels in LEVELS)]


def _row(options: Arguments, method: str) -> str:
    seeds = _seeds(options, method)
    if not seeds:
        return f"| {method} | not run | | | |"
    means = {
        levels: np.array([read_json(_path(options, method, s, levels))["return_mean"] for s in seeds])
        for levels in LEVELS
    }
    speed = np.median([rate for s in seeds for rate in _frames_per_s(options, method, s)])
    return f"| {method} | {len(seeds)} | {' | '.join(interval(m) for m in means.values())} | {speed:.0f} |"


def _frames_per_s(options: Arguments, method: str, seed: int) -> Iterator[float]:
    rows = config(options, method, seed).num_envs or 1
    yield from (rows * line["steps_per_s"] for line in read_metrics(_folder(options, method, seed)))


def _figure(options: Arguments) -> Any:
    """Return of the levels that ended while learning, one line for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axis: Any = figure.subplots()
    for color, method in enumerate(METHODS):
        for n, seed in enumerate(_seeds(options, method)):
            lines = [line for line in read_metrics(_folder(options, method, seed)) if "episode/return" in line]
            rows = config(options, method, seed).num_envs or 1
            points = [(rows * line["step"] / 1e6, line["episode/return"]) for line in lines]
            axis.plot(*zip(*points, strict=True), color=f"C{color}", label=method if n == 0 else None)
    axis.set(xlabel="million frames", ylabel="return, levels seen, exploring")
    axis.grid(color="0.92")
    if axis.get_legend_handles_labels()[1]:
        axis.legend(fontsize="small")
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
