"""Options of Atari games: how a game is played, and what may be asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError

from .vector_tools import require

FRAMES_PER_S = 60
NOOP, FIRE = 0, 1
"""Actions of the joystick."""
MOST_FRAMES = 108_000
"""Of an episode by default: half an hour."""


class Protocol(NamedTuple):
    """How a game is played.

    Attributes:
        sticky: probability with which a frame repeats the last frame's action in place of the one that was chosen.
        full_actions: whether all 18 actions of the joystick are offered, or those alone that the game knows.
        noop_max: most frames without an action at the beginning of a game, drawn from 1 on; 0 for none.
        fire_reset: whether a game begins with FIRE, where the game knows it.
    """

    sticky: float
    full_actions: bool
    noop_max: int
    fire_reset: bool


PROTOCOLS = {
    "machado": Protocol(sticky=0.25, full_actions=True, noop_max=0, fire_reset=False),
    "deepmind": Protocol(sticky=0.0, full_actions=False, noop_max=30, fire_reset=True),
}
"""Those of Machado et al. 2018 (arXiv 1709.06009) and of Mnih et al. 2015 (Nature 518, 529)."""


def checked_protocol(protocol: Protocol) -> Protocol:
    """The protocol itself.

    Raises:
        NeuroctlError: a value out of range.
    """
    if not (is_number(protocol.sticky) and 0 <= protocol.sticky < 1):
        raise NeuroctlError(f"sticky is {shown(protocol.sticky)}; allowed: from 0 to below 1")
    for name in ("full_actions", "fire_reset"):
        require(name, getattr(protocol, name), (True, False))
    checked_integer("noop_max", protocol.noop_max, 0, MOST_FRAMES)
    return protocol


def checked_size(size: Any, screen: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of a frame that is not larger than the screen.

    Raises:
        NeuroctlError: other sizes.
    """
    allowed = f"height and width from 1 x 1 to those of the screen, {screen[0]} x {screen[1]}"
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise NeuroctlError(f"size is {shown(size)}; allowed: {allowed}")
    for value, most in zip(size, screen, strict=True):
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not 1 <= value <= most:
            raise NeuroctlError(f"size is {shown(size)}; allowed: {allowed}")
    return int(size[0]), int(size[1])
