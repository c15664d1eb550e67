"""The form of a spiking network: what it is made of by name and place, and whether a state is of the same form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError

from .projections import Population, Projection

INPUT = "input"
"""Name of the inputs where they are one group."""


def ranges_of(sizes: Mapping[str, int], what: str) -> dict[str, tuple[int, int]]:
    """First and one past the last of each group, one after the other.

    Raises:
        NeuroctlError: there is none, or one has no positive size.
    """
    ranges, end = {}, 0
    for name, size in sizes.items():
        ranges[name] = (end, end + checked_integer(f"{what} {name!r}" if name != INPUT else what, size, 1))
        end = ranges[name][1]
    if not ranges:
        raise NeuroctlError(f"a network needs {what}; none are given")
    return ranges


def checked_populations(populations: Mapping[str, Population]) -> dict[str, Population]:
    """Populations by name, copied.

    Raises:
        NeuroctlError: one is none.
    """
    for name, population in populations.items():
        if not isinstance(population, Population):
            raise NeuroctlError(f"population {name!r} must be a Population, got {shown(population)}")
    return dict(populations)


def end_of(ranges: Mapping[str, tuple[int, int]]) -> int:
    """One past the last of all groups."""
    return max(hi for _, hi in ranges.values())


def projections_by_name(projections: Sequence[Projection]) -> dict[str, Projection]:
    """Projections by their name, `name#2` where it is the second of that name.

    Raises:
        NeuroctlError: one is none.
    """
    named: dict[str, Projection] = {}
    seen: dict[str, int] = {}
    for projection in projections:
        if not isinstance(projection, Projection):
            raise NeuroctlError(f"projections must be Projection objects, got {shown(projection)}")
        seen[projection.name] = number = seen.get(projection.name, 0) + 1
        named[projection.name if number == 1 else f"{projection.name}#{number}"] = projection
    return named


def as_bytes(lines: Sequence[str]) -> NDArray[np.uint8]:
    """Lines that say the form of a network, as an array of a state."""
    return np.frombuffer("\n".join(lines).encode(), np.uint8).copy()


def check_topology(given: Any, ours: Sequence[str], first: int = 0) -> None:
    """Compare the lines of a state's topology with those of the network that takes it, from line `first`.

    Raises:
        NeuroctlError: they differ, or there are none.
    """
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8:
        raise NeuroctlError("state of the network has no array 'topology'")
    theirs = given.tobytes().decode(errors="replace").split("\n")
    for k in range(first, max(len(theirs), len(ours))):
        their, our = (lines[k] if k < len(lines) else "nothing more" for lines in (theirs, ours))
        if their != our:
            raise NeuroctlError(f"the state is of another network: it has {shown(their)}, this one has {our!r}")
