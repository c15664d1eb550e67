"""Imitation of the scripted Atari players from single frames: a dense CfC and an LSTM, score beside the player's.

`python launch/study_atari.py` trains what is missing and writes `docs/results/atari.md` and its figure from what there
is. Everything is kept in `--out`, so it can be stopped and started; `--workers 4` does so many runs side by side. The
unit is the training seed; cells of a seed learn from the same recording.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroctl.config import TrainConfig
from neuroctl.errors import refuse_unknown
from neuroctl.launch import presets
from neuroctl.launch.plots import legend_beside
from neuroctl.launch.populations import interval
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once, is_trained, learning_from, record_once, train_once, values_of
from neuroctl.launch.study_experts import PEOPLE
from neuroctl.launch.study_workers import OnWorkers, do_each
from neuroctl.metrics import read_metrics
from neuroctl.storage import atomic_write
from neuroctl.training import EPISODES
from neuroctl.versions import versions

CELLS = {"cfc": presets.atari_cfc, "lstm": presets.atari_lstm}
ENOUGH = 0.7
"""Of the player's score: what is asked for."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Imitate scripted Atari players; write docs/results/atari.md."""

    out: Path = Path("runs/study_atari")
    """Cache: recordings, runs and evaluations."""
    results: Path = Path("docs/results")
    """Where the table and the figure are written."""
    games: tuple[str, ...] = ("Pong", "Breakout")
    """Games with a scripted player."""
    cells: tuple[Literal["cfc", "lstm"], ...] = ("cfc", "lstm")
    """Cells to train."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds."""
    episodes: int = 10
    """Games that each policy plays, and of the player."""
    what: Literal["all", "table"] = "all"
    """Train and evaluate, or only write the table from the cache."""

    def __post_init__(self) -> None:
        """Refuse games without a scripted player."""
        super().__post_init__()
        refuse_unknown("game", self.games, PEOPLE)


class Cell(NamedTuple):
    """A run."""

    game: str
    cell: str
    seed: int


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the table."""
    options = parse(Arguments, argv, "launch/study_atari.py")
    if options.what == "all":
        work = [Cell(*one) for one in product(options.games, options.cells, options.seeds)]
        left = [cell for cell in work if not _is_trained(options, cell)]
        do_each(options, list(product(options.games, ("expert", "random"))), _play)
        do_each(options, list({(cell.game, cell.seed): cell for cell in left}.values()), _record)
        do_each(options, work, _fill)
    sys.stdout.write(f"{_write(options)}\n")
    return 0


def config(game: str, cell: str, seed: int) -> TrainConfig:
    """The preset of a cell, in another game."""
    made: Any = CELLS[cell]()
    found: TrainConfig = replace(made, env=replace(made.env, id=f"neuroctl/Atari-{game}-v0"), seed=seed)
    return found


def _is_trained(options: Arguments, cell: Cell) -> bool:
    return is_trained(learning_from(config(*cell), _demonstrations(options, cell)), _folder(options, *cell))


def _play(options: Arguments, player: tuple[str, str]) -> None:
    game, name = player
    _evaluate(options, game, name, name)


def _record(options: Arguments, cell: Cell) -> None:
    record_once(config(*cell), _demonstrations(options, cell))


def _fill(options: Arguments, cell: Cell) -> None:
    """Train a policy and let it play."""
    folder = _folder(options, *cell)
    train_once(config(*cell), folder, _demonstrations(options, cell))
    _evaluate(options, cell.game, folder.name, folder)


def _evaluate(options: Arguments, game: str, name: str, source: str | Path) -> None:
    made = config(game, "cfc", 0)
    path = _evaluation(options, game, name)
    evaluate_once(path, source, made.env.id, made.evaluation_kwargs(), episodes=options.episodes)


def _evaluation(options: Arguments, game: str, name: str) -> Path:
    return options.out / "evaluations" / game / f"{name}-{options.episodes}.json"


def _demonstrations(options: Arguments, cell: Cell) -> Path:
    return options.out / cell.game / f"demonstrations-s{cell.seed}"


def _folder(options: Arguments, game: str, cell: str, seed: int) -> Path:
    return options.out / game / f"{cell}-s{seed}"


# -- table and figure ------------------------------------------------------------------------------------------

HEAD = """# Atari games by imitation of scripted players

Made by `python launch/study_atari.py`. Policies see single frames under the protocol `machado`, have 64 units, and
learn from {demonstrations} games of the player of [atari.md](../atari.md) (presets `atari-cfc`, `atari-lstm`), {steps}
gradient steps in all. Each policy plays {episodes} games. The unit is the training seed: cells hold means over seeds
and 95 % bootstrap intervals of that mean; five seeds are few: exploratory. "share" is the score over the player's.

Machine: {cpu}; torch {torch}, ale-py {ale}.

| game | cell | seeds | score | share of the player's | each seed | player | chance |
|---|---|---|---|---|---|---|---|"""


def _write(options: Arguments) -> str:
    rows = [row for game, cell in product(options.games, options.cells) for row in _row(options, game, cell)]
    if not rows:
        return "nothing evaluated yet"
    here, made = versions(), presets.atari_cfc()
    head = HEAD.format(
        demonstrations=made.demonstrations.episodes or EPISODES,
        steps=made.steps,
        episodes=options.episodes,
        cpu=here["cpu"],
        torch=here["torch"],
        ale=here["ale-py"],
    )
    options.results.mkdir(parents=True, exist_ok=True)
    page = [head, *rows, "", "![loss of every seed](atari.png)", ""]
    atomic_write(options.results / "atari.md", "\n".join(page))
    _figure(options).savefig(options.results / "atari.png", dpi=110)
    return f"results: {options.results / 'atari.md'}"


def _row(options: Arguments, game: str, cell: str) -> Iterator[str]:
    """The line of a game and a cell; none where nothing was run."""
    paths = [_evaluation(options, game, _folder(options, game, cell, seed).name) for seed in options.seeds]
    scores = np.array(values_of(paths, "return_mean"))
    if not len(scores):
        return
    (player,), (chance,) = (
        values_of([_evaluation(options, game, name)], "return_mean") for name in ("expert", "random")
    )
    enough = "" if np.mean(scores) >= ENOUGH * player else f", below {ENOUGH:g}"
    share = f"{interval(scores / player, 2)}{enough}" if player > 0 else "none"
    each = " ".join(f"{score:.1f}" for score in scores)
    yield (
        f"| {game} | {cell} | {len(scores)} | {interval(scores, 1)} | {share} | {each} | {player:.1f} | {chance:.1f} |"
    )


def _figure(options: Arguments) -> Any:
    """Loss against gradient steps, a panel for each game: seeds thin, their mean thick."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(options.games) + 1.2, 3.2), layout="constrained")
    axes = figure.subplots(1, len(options.games), sharey=True, squeeze=False)[0]
    for axis, game in zip(axes, options.games, strict=True):
        for k, cell in enumerate(options.cells):
            curves = [_losses(_folder(options, game, cell, seed)) for seed in options.seeds]
            curves = [curve for curve in curves if len(curve)]
            for curve in curves:
                axis.plot(*curve.T, color=f"C{k}", alpha=0.25, lw=0.7)
            if curves:
                shortest = min(map(len, curves))
                axis.plot(*np.mean([c[:shortest] for c in curves], axis=0).T, color=f"C{k}", lw=2, label=cell)
        axis.set(title=game, xlabel="gradient steps", yscale="log")
        axis.grid(color="0.92")
    axes[0].set_ylabel("loss")
    legend_beside(figure)
    return figure


def _losses(folder: Path) -> NDArray[np.float64]:
    """Step and loss of every line of a run `[K, 2]`; empty where there is no run."""
    lines = read_metrics(folder) if (folder / "metrics.jsonl").exists() else []
    return np.array([(line["step"], line["loss"]) for line in lines if "loss" in line], np.float64)


if __name__ == "__main__":
    sys.exit(run(main))
