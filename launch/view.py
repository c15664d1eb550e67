"""`neuroctl view RUN ...`: the page of runs while they train, in a browser on this machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.launch.program import parse, run


@dataclass(frozen=True)
class Arguments:
    """Serve the page of runs on this machine; curves and progress move while they train."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    port: int = 8400
    """Where the page is served; 0 takes a port that is free."""


def main(argv: Sequence[str] | None = None) -> int:
    """Say the address, then serve until Ctrl-C."""
    options = parse(Arguments, argv, "view")
    from neuroctl.viewing import serve

    def ready(address: str) -> None:
        sys.stdout.write(f"{address} (Ctrl-C ends)\n")
        sys.stdout.flush()

    serve(options.runs, options.port, ready)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
