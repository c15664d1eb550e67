"""`neuroctl list`: what exists."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium as gym

from neuroctl import registry
from neuroctl.launch.program import parse, run, table


@dataclass(frozen=True)
class Arguments:
    """List environments, presets, agents and shifts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print every registered name."""
    parse(Arguments, argv, "list")
    environments = sorted(name for name in gym.registry if name.startswith("neuroctl/"))
    sys.stdout.write("environments (any other Gymnasium id works too)\n")
    sys.stdout.write("".join(f"  {name}\n" for name in environments))
    kinds = ("presets", "agents", "cells", "rules", "shifts")
    for title, names in ((kind, getattr(registry, kind)) for kind in kinds):
        rows = [(f"  {name}", names.entries[name].summary) for name in names.names()]
        sys.stdout.write(table(rows, (title, "")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
