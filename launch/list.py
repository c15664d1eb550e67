"""`neuroctl list`: what exists."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import gymnasium as gym

from neuroctl import registry
from neuroctl.launch.program import parse, run, table

FAMILIES = {"neuroctl/Atari-": "atari", "neuroctl/Procgen-": "procgen"}
"""How the ids of many games begin, and the extra that they need."""


@dataclass(frozen=True)
class Arguments:
    """List environments, presets, agents and shifts."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print every registered name."""
    parse(Arguments, argv, "list")
    environments = sorted(name for name in gym.registry if name.startswith("neuroctl/"))
    sys.stdout.write("environments (any other Gymnasium id works too)\n")
    sys.stdout.write("".join(f"  {name}\n" for name in environments if not name.startswith(tuple(FAMILIES))))
    for start, extra in FAMILIES.items():
        games = (name.removeprefix(start).removesuffix("-v0") for name in environments if name.startswith(start))
        text = f"{start}<Game>-v0 (extra: {extra}): {', '.join(games)}"
        sys.stdout.write(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="    ") + "\n")
    kinds = ("presets", "agents", "cells", "rules", "shifts")
    for title, names in ((kind, getattr(registry, kind)) for kind in kinds):
        rows = [(f"  {name}", names.entries[name].summary) for name in names.names()]
        sys.stdout.write(table(rows, (title, "")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
