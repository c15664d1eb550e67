"""`neuroctl report RUN ...`: figures and tables as one HTML page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.launch.program import parse, run, shown


@dataclass(frozen=True)
class Arguments:
    """Write report.html for one run, or a comparison of several."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path | None = None
    """The page; report.html in the first run folder when absent."""
    robustness: Path | None = None
    """A folder that `neuroctl robustness` wrote: its figures are shown too."""
    play: bool = False
    """Play an episode of each run, and the worst of those that `neuroctl evaluate` played of its latest checkpoint with
    no options but shifts: films, and what the units did."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and say where it is."""
    options = parse(Arguments, argv, "report")
    from neuroctl.reporting import report

    with shown("playing", 2 * len(options.runs), "episodes") if options.play else nullcontext() as progress:
        path = report(
            *options.runs, out=options.out, robustness=options.robustness, play=options.play, progress=progress
        )
    sys.stdout.write(f"report: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
