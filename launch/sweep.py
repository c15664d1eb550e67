"""`neuroctl sweep PRESET --vary agent.learning_rate=log:1e-4..1e-2 --vary agent.rank=1,4,16 [options]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from neuroctl import registry
from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import parse, run, shown, table

MOST_SHOWN = 5


@dataclass(frozen=True)
class Arguments:
    """Search for good options of an experiment. All other options are those of `neuroctl train`."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    vary: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An option and its values: agent.rank=1,4,16, agent.hidden_size=16..64 or agent.learning_rate=log:1e-4..1e-2;
    repeat for more."""
    trials: int = 20
    """Configurations to try."""
    batch: int = 4
    """Trials that are chosen at a time, from what the batches before came to."""
    runs: int = 1
    """Runs of each trial, with the seed, the next one, and so on."""
    rungs: tuple[int, ...] = ()
    """Steps after which a trial stops that is worse than the median of earlier batches."""
    sampler: str = "tpe"
    """How values are chosen: tpe learns from earlier batches, random does not."""
    workers: int = 0
    """Ray workers that train; 0 is this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""
    out: Path | None = None
    """Folder of the journal, the runs and the results, from which the same command goes on; runs/sweep-<preset> when
    absent."""


def main(argv: Sequence[str] | None = None) -> int:
    """Search, write the results and say which options were best."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    presets = ", ".join(registry.presets.names())
    if not arguments or arguments[0].startswith("-"):
        if arguments[:1] not in (["-h"], ["--help"]):
            raise NeuroctlError(f"the first argument must be a preset ({presets})")
        sys.stdout.write(f"usage: neuroctl sweep PRESET --vary NAME=VALUES [options]\n\npresets: {presets}\n")
        return 0
    preset, *rest = arguments
    options = parse(Arguments, rest, f"sweep {preset}", Arguments(registry.presets.load(preset)()))
    return _search(preset, options)


def _search(preset: str, options: Arguments) -> int:
    from neuroctl.search_space import parse_axis
    from neuroctl.sweep import sweep
    from neuroctl.sweep_pages import best_first, write

    axes = [parse_axis(text) for text in options.vary]
    out = options.out or Path("runs") / f"sweep-{preset}"
    with shown("training", options.trials * options.runs, "runs") as progress:
        trials = sweep(
            options.config,
            axes,
            out=out,
            trials=options.trials,
            batch=options.batch,
            seeds=options.runs,
            rungs=options.rungs,
            sampler=options.sampler,
            workers=options.workers,
            ray_address=options.ray_address,
            progress=progress,
        )
    figure, best = write(out, axes, trials), best_first(trials)
    names = [axis.name for axis in axes]
    rows = [(t.number, f"{t.score:.4g}", *(_plain(t.values[name]) for name in names)) for t in best[:MOST_SHOWN]]
    sys.stdout.write(table(rows, ("trial", "mean return", *names)) + "\n")
    others = [sum(t.state == state for t in trials) for state in ("pruned", "failed")]
    sys.stdout.write(f"{len(best)} trials complete, {others[0]} pruned, {others[1]} failed; figure: {figure}\n")
    reasons = sorted({trial.error for trial in trials if trial.error})
    if reasons:
        sys.stdout.write(f"why one failed: {reasons[0]}\n")
    if best:
        sys.stdout.write(f"the best one: {best[0].runs[0]}\n")
    return 0


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(run(main))
