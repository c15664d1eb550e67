"""`neuroctl robustness RUN ... [--shifts all] [--severities 1 2 3 4 5] [--episodes 64] [--workers N]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.config import parse_options
from neuroctl.launch.program import parse, run, shown, table


@dataclass(frozen=True)
class Arguments:
    """Test policies under every distribution shift and severity, in the same episodes."""

    sources: tyro.conf.Positional[tuple[str, ...]]
    """Run folders, expert, random, zero, ONNX files, or module:name of a Python controller; runs that differ in their
    seed alone are one policy."""
    shifts: tuple[str, ...] = ("all",)
    """Shifts by name, or all that fit."""
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    """From 1 to 5; the clean environment is played in any case."""
    episodes: int = 64
    """Episodes of each policy under each condition."""
    workers: int = 0
    """Ray workers; 0 plays in this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""
    seed: int = 0
    """Root seed of the episodes."""
    env: str | None = None
    """Gymnasium id; that of the runs when absent."""
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An environment option such as blackout_s=0.8; repeat for more."""
    checkpoint: str = "latest"
    """Of the runs: latest, best, or a step."""
    out: Path = Path("runs/robustness")
    """Folder of the results, and of a cache, from which the same command goes on after an interruption."""


def main(argv: Sequence[str] | None = None) -> int:
    """Play, write and say how robust each policy is."""
    options = parse(Arguments, argv, "robustness")
    from neuroctl.robustness_pages import summary, write
    from neuroctl.robustness_plan import plan

    planned = plan(
        *options.sources,
        shifts=options.shifts,
        severities=options.severities,
        episodes=options.episodes,
        seed=options.seed,
        env_id=options.env,
        env_kwargs=parse_options(options.option),
        checkpoint=options.checkpoint,
    )
    with shown("playing", planned.total, "episodes") as progress:
        matrix = planned.play(options.out / "cache", options.workers, options.ray_address, progress)
    page = write(matrix, options.out)
    header = (
        "policy",
        "units",
        f"{'score' if matrix.scale else 'return'}, clean",
        "area under shifts",
        "worst episode",
    )
    sys.stdout.write(table(summary(matrix), header) + "\n")
    sys.stdout.write(f"page: {page}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
