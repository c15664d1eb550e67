"""Scripted players of Atari games, who read the console's memory.

Where things are in the memory is known from Anand et al. 2019 (arXiv 1906.08226) and from watching it. A player takes
the memories `[B, 128]` and the number of control steps so far `[B]`, and returns the joystick's codes `[B]`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError

from .atari_games import game_name

Codes = NDArray[np.int64]
Player = Callable[[NDArray[np.int64], NDArray[np.int64]], Codes]
NOOP, FIRE, UP, RIGHT, LEFT, DOWN = range(6)


def pong(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Keep the paddle, which RIGHT raises, beside the ball."""
    paddle, ball = ram[:, 51], ram[:, 54]
    away = np.where(ball > 0, ball - paddle, 0)
    return np.select([ball == 0, away < -4, away > 4], [FIRE, RIGHT, LEFT], NOOP)


def breakout(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Keep the paddle below the ball, and launch it."""
    paddle, ball, height = ram[:, 72], ram[:, 99], ram[:, 101]
    away = ball - paddle
    return np.select([height == 0, away < -4, away > 4], [FIRE, LEFT, RIGHT], NOOP)


def freeway(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Walk on."""
    return np.full(len(ram), UP, np.int64)


PLAYERS: dict[str, Player] = {"pong": pong, "breakout": breakout, "freeway": freeway}


def expert_of(rom: str) -> Callable[[NDArray[np.uint8], NDArray[np.int64]], Codes]:
    """The player of the game of this ROM.

    Raises:
        NeuroctlError: nobody wrote one; says for which games somebody did.
    """
    if rom not in PLAYERS:
        raise NeuroctlError(f"{game_name(rom)} has no scripted player; {', '.join(map(game_name, PLAYERS))} have one")
    player = PLAYERS[rom]
    return lambda ram, steps: player(ram.astype(np.int64), steps)
