"""Drawings of an arm for videos where OpenGL is missing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arms import Arm, Floats

FRAME = (240, 320)
LINK, TARGET, PAPER = (60, 100, 150), (217, 51, 38), 238
DOTS = 60
"""Dots that make the line of a link."""


def draw_arm(arm: Arm, chain: Floats, target: Floats) -> NDArray[np.uint8]:
    """The arm `[240, 320, 3]`: from above, y up; in space beside it from the side, x to the right and z up.

    Args:
        arm: which arm.
        chain: points `[k, 3]` along the arm from its base to the tip, m.
        target: `[2]` or `[3]`, m.
    """
    frame = np.full((*FRAME, 3), PAPER, np.uint8)
    views = [(0, 1)] if arm.dims == 2 else [(0, 1), (0, 2)]
    width = FRAME[1] // len(views)
    scale = min(width, FRAME[0]) / 2.2 / arm.reach_m
    shoulder = np.array([*arm.shoulder_m, 0.0][:3])
    shares = np.linspace(0, 1, DOTS)[:, None]
    links = np.concatenate([a + shares * (b - a) for a, b in zip(chain[:-1], chain[1:], strict=True)]) - shoulder
    goal = np.array([*target, 0.0][:3]) - shoulder
    for number, (across, up) in enumerate(views):
        for points, colour, size in ((links, LINK, 2), (goal[None], TARGET, 3)):
            columns = np.round(width * (number + 0.5) + scale * points[:, across]).astype(int)
            lines = np.round(FRAME[0] / 2 - scale * points[:, up]).astype(int)
            for line, column in zip(lines.tolist(), columns.tolist(), strict=True):
                frame[max(line - size, 0) : line + size + 1, max(column - size, 0) : column + size + 1] = colour
    return frame
