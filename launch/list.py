"""`neuroctl list`: what exists."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium as gym

from neuroctl import registry
from neuroctl.launch.program import parse, run, table

ATARI = "neuroctl/Atari-"
"""How the ids of Atari games begin."""
INDENT = {"initial_indent": "  ", "subsequent_indent": "    "}


@dataclass(frozen=True)
class Arguments:
    """List environments, presets, agents and shifts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print every registered name."""
    parse(Arguments, argv, "list")
    environments = sorted(name for name in gym.registry if name.startswith("neuroctl/"))
    games = [name for name in environments if name.startswith(ATARI)]
    sys.stdout.write("environments (any other Gymnasium id works too)\n")
    sys.stdout.write("".join(f"  {name}\n" for name in environments if name not in games))
    names = ", ".join(name.removeprefix(ATARI).removesuffix("-v0") for name in games)
    sys.stdout.write(textwrap.fill(f"{ATARI}<Game>-v0 (extra: atari): {names}", 110, **INDENT) + "\n")
    kinds = ("presets", "agents", "cells", "rules", "shifts")
    for title, names in ((kind, getattr(registry, kind)) for kind in kinds):
        rows = [(f"  {name}", names.entries[name].summary) for name in names.names()]
        sys.stdout.write(table(rows, (title, "")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
