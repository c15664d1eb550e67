"""The shift `held-out`: a share of the episodes is played on roads, with targets, ... that training never saw.

What that means is said by the environment: a function `change(options, share)` returns the environment's options with
a share in (0, 1] of held-out episodes, or raises `NeuroctlError` with what the given options lack. It raises too where
the options hold episodes out already: the shift stands in a stack once, and not beside an option that does the same.
It is registered by `neuroctl.registry.held_out.register(env_id, "module:function")`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from neuroctl import registry
from neuroctl.errors import NeuroctlError
from neuroctl.shift import Kind, Shift

from .track import checked_seeds
from .vector_tools import is_default


class HeldOut(Shift):
    """A share of the episodes equal to the level is played on what training never saw."""

    name = "held-out"
    kind: ClassVar[Kind] = "options"
    levels = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

    @classmethod
    def fits_options(cls, env_id: str, options: Mapping[str, Any]) -> str | None:
        """The environment must declare a held-out set, and its options must leave room for one."""
        if env_id not in registry.held_out.entries:
            return f"it declares no held-out set; declared by {', '.join(registry.held_out.names())}"
        try:
            registry.held_out.load(env_id)(options, 1.0)
        except NeuroctlError as error:
            return str(error)
        return None

    @classmethod
    def options(cls, env_id: str, options: Mapping[str, Any], severity: int) -> dict[str, Any]:
        """The environment's options with the level's share of held-out episodes."""
        share = cls.level(severity)
        changed: dict[str, Any] = registry.held_out.load(env_id)(options, share) if share else dict(options)
        return changed


class MovedSeeds(tuple[int, int]):
    """A range of seeds that has moved on."""


def lane_follow(options: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Roads: the range of seeds moves on by this share of its length.

    From `(0, 100)` a share of 0.4 makes `(40, 140)`: four of ten roads are then none of 0..99.

    Raises:
        NeuroctlError: every episode is on the same loop, or the range has moved already.
    """
    if not is_default(options.get("track", "loop"), "random"):
        raise NeuroctlError("it needs track='random'; on the loop every episode has the same road")
    seeds = options.get("track_seeds")
    if isinstance(seeds, MovedSeeds):
        raise NeuroctlError("it stands in the stack already")
    try:
        start, stop = checked_seeds(seeds)
    except NeuroctlError:
        return dict(options)  # the environment names the mistake
    moved = max(1, round(share * (stop - start)))
    return {**options, "track_seeds": MovedSeeds((start + moved, stop + moved))}


class MovedLevel(int):
    """A first level that has moved on."""


def procgen(options: Mapping[str, Any], share: float) -> dict[str, Any]:
    """Levels: their range moves on by this share of its length.

    Of 200 levels from 0 on a share of 0.4 makes those from 80 on: four of ten are then none of 0..199.

    Raises:
        NeuroctlError: training sees all levels, or the range has moved already.
    """
    start, number = options.get("start_level", 0), options.get("num_levels", 0)
    if isinstance(start, MovedLevel):
        raise NeuroctlError("it stands in the stack already")
    if is_default(number, 0):
        raise NeuroctlError("it needs num_levels > 0; with 0 training sees all levels")
    if not all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in (start, number)):
        return dict(options)  # the environment names the mistake
    return {**options, "start_level": MovedLevel(start + max(1, round(share * number)))}
