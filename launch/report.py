"""`neuroctl report RUN ...`: figures and tables as one HTML page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.launch.program import parse, run


@dataclass(frozen=True)
class Arguments:
    """Write report.html for one run, or a comparison of several."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path | None = None
    """The page; report.html in the first run folder when absent."""
    robustness: Path | None = None
    """A folder that `neuroctl robustness` wrote: its figures are shown too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page and say where it is."""
    options = parse(Arguments, argv, "report")
    from neuroctl.reporting import report

    sys.stdout.write(f"report: {report(*options.runs, out=options.out, robustness=options.robustness)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
