"""Scripted players of Atari games, who read the console's memory.

Where things are in the memory is known from Anand et al. 2019 (arXiv 1906.08226) and from watching it. A player takes
the memories `[B, 128]` and the number of control steps so far `[B]`, and returns the joystick's codes `[B]`. All of
them count on actions of four frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError

from .atari_games import game_name

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Player = Callable[[NDArray[np.int64], NDArray[np.int64]], Codes]
NOOP, FIRE, UP, RIGHT, LEFT, DOWN = range(6)
RIGHT_FIRE, LEFT_FIRE = 11, 12
FRAMES = 4
"""Of an action."""


def _signed(byte: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.where(byte > 127, byte - 256, byte)


def _folded(place: Floats, low: float, high: float) -> tuple[Floats, Flags]:
    """Where a ball is that went straight to `place` but for walls at `low` and `high`; whether it is on its way back."""
    way = (place - low) % (2 * (high - low))
    return low + np.minimum(way, 2 * (high - low) - way), way > high - low


# Paddles

PADDLE_SPEED = 5.8
"""Pixels by which each frame of an action moves the aim. The paddle goes half of the way to its aim at each update."""
STICKY = 0.25
"""How often a frame is expected to repeat the last action."""
SAMPLES = 24
"""Ways in which frames may repeat actions, over which plans are judged."""
NEAR_ENOUGH = 12
"""Pixels from the target at which a paddle waits for the ball to come near."""


class Paddle(NamedTuple):
    """Paddles of all rows.

    Attributes:
        place: of the paddle.
        aim: place to which it is on its way.
        last: way of the last action, -1, 0 or 1.
        phase: frames since the last update.
    """

    place: Floats
    aim: Floats
    last: NDArray[np.int64]
    phase: NDArray[np.int64]


def _swings(plans: NDArray[np.int64], period: int) -> Floats:
    """How far a paddle at rest gets, `[last, phase, plan, sample, frame]`, if it is updated once per `period` frames."""
    rest = plans.shape[1] * FRAMES
    repeats = np.random.default_rng(0).random((SAMPLES, rest)) < STICKY
    chosen = np.where(repeats, -1, np.arange(rest) // FRAMES)
    chosen = np.maximum.accumulate(chosen, axis=1)
    swings = np.zeros((3, period, len(plans), SAMPLES, rest + 1))
    for last, phase in product((-1, 0, 1), range(period)):
        ways = np.concatenate([plans, np.full((len(plans), 1), last)], 1)[:, chosen]
        aim = np.concatenate([np.zeros((*ways.shape[:2], 1)), PADDLE_SPEED * ways.cumsum(2)], 2)
        for frame in range(1, rest + 1):
            updated = (frame + phase) % period == 0
            before = swings[last, phase, :, :, frame - 1]
            swings[last, phase, :, :, frame] = (before + aim[..., frame - 1]) / 2 if updated else before
    return swings


def _reached(paddle: Paddle, swings: Floats, frames: NDArray[np.int64]) -> Floats:
    """Places `[B, plan, sample]` of the paddles after so many frames, at most those of the plans."""
    frames = np.minimum(frames, swings.shape[-1] - 1)
    updates = (frames + paddle.phase) // swings.shape[1]
    still = paddle.aim + (paddle.place - paddle.aim) * 0.5**updates
    swing: Floats = swings[paddle.last, paddle.phase, :, :, frames]
    return still[:, None, None] + swing


def _approach(target: Floats, aim: Floats) -> NDArray[np.int64]:
    """The way to a distant target."""
    return np.where(np.abs(target - aim) > NEAR_ENOUGH, np.sign(target - aim), 0).astype(np.int64)


# Pong

PONG_FACE = 188
"""Where the ball meets the paddle."""
PONG_LENGTH = 4
"""Actions of a plan."""
NO_LEFT_AIM = 110
"""What the memory of the aim shows in frames that read the other paddle."""


@cache
def _pong_plans() -> tuple[NDArray[np.int64], Floats]:
    """Plans `[2, plan, action]` of even and odd steps, which may move up and down in turn, and their swings."""
    ways = np.array([[(-1) ** (k + odd + 1) for k in range(PONG_LENGTH)] for odd in range(2)])
    plans = np.array(list(product((0, 1), repeat=PONG_LENGTH))) * ways[:, None]
    return plans, np.stack([_swings(half, 2) for half in plans])


def _pong_worth(hit: Floats, arrival: Floats, slope: Floats, patience: Floats) -> Floats:
    """Worth of meeting the ball `hit` below the paddle's upper end: steep balls win, others are worth `patience`."""
    reached = (hit >= -2.5 - 2 * np.maximum(slope, 0)) & (hit <= 15.5 + 2 * np.maximum(-slope, 0))
    steep_up = (hit < 0.5) & ((arrival <= 72) | (arrival >= 126))
    return np.where(reached, np.where(steep_up | (hit > 12.5), 1, patience), -1)


def pong(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Meet the ball with an end of the paddle, which makes it steep, and with FIRE where a fast ball wins.

    FIRE at other times tells the next step that the paddle was moved, as the memory keeps it but not always the aim.
    """
    plans, swings = _pong_plans()
    place, ball, odd = ram[:, 51].astype(np.float64), ram[:, 54], steps % 2
    rise, run = _signed(ram[:, 56]), -_signed(ram[:, 58])
    coming = (run > 0) & (ball > 0)
    frames = np.ceil(np.maximum(PONG_FACE - ram[:, 49], 0) / np.maximum(run, 1)).astype(np.int64)
    arrival, bounced = _folded(ball + 1.0 * rise * frames, 45, 206)
    slope = np.where(bounced, -rise, rise) / np.maximum(run, 1)
    upper_end = np.where((arrival < 72) | (arrival > 126), -2.5, 13)
    wanted = np.where(slope >= 0, upper_end, np.where(arrival < 195, 15.5, 6))
    target = np.clip(np.where(coming, arrival - wanted, place), 44, 198)

    near = PONG_LENGTH * FRAMES
    way = np.where(frames > near - FRAMES, np.sign(target - place), np.where(odd == 1, -1, 1))
    last = np.where(ram[:, 64] < 128, way, 0).astype(np.int64)
    known = ram[:, 4] != NO_LEFT_AIM
    aim = np.where(known, ram[:, 4], np.clip(place + 15 * last, 38, 204))
    paddle = Paddle(place, aim, last, known.astype(np.int64))

    hit = np.empty((len(ram), plans.shape[1], SAMPLES))
    for half in range(2):
        rows = np.flatnonzero(odd == half)
        reached = _reached(Paddle(*(part[rows] for part in paddle)), swings[half], frames[rows])
        hit[rows] = arrival[rows, None, None] - np.clip(reached, 38, 203)
    patience = np.where(steps // 150 % 3 == 2, -0.5, 0.8)
    worth = _pong_worth(hit, *(part[:, None, None] for part in (arrival, slope, patience))).mean(2)
    worth -= 0.003 * np.abs(hit - (arrival - target)[:, None, None]).mean(2) + 0.004 * np.abs(plans[odd]).sum(2)
    best, rows = worth.argmax(1), np.arange(len(ram))
    move = np.where(frames > near, _approach(target, aim), plans[odd, best, 0]) * coming
    fast_wins = np.where(hit[rows, best].mean(1) > 8, arrival > 127, arrival > 160)
    fire = np.where(frames <= FRAMES, fast_wins & coming, move != 0)
    return np.where(fire, np.array([FIRE, LEFT_FIRE, RIGHT_FIRE])[move], np.array([NOOP, LEFT, RIGHT])[move])


# Breakout


@cache
def _breakout_plans() -> tuple[NDArray[np.int64], Floats]:
    plans = np.array(list(product((0, -1, 1), repeat=3)))
    return plans, _swings(plans, 1)


def breakout(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Be where the ball comes down, and launch it. A rising ball is expected to turn below the bricks."""
    plans, swings = _breakout_plans()
    place, aim = ram[:, 72] - 39.0, 196.0 - ram[:, 70]
    x, y = ram[:, 99] - 48 + ram[:, 100] / 256, ram[:, 101] + ram[:, 102] / 256
    run, fall = -_signed(ram[:, 105]) - ram[:, 106] / 256, _signed(ram[:, 103]) + ram[:, 104] / 256
    live = ram[:, 101] > 0
    height = np.where(fall < 0, np.maximum(y - 86, 0) + 91, np.maximum(177 - y, 0))
    frames = np.where(live, np.ceil(height / np.maximum(np.abs(fall), 0.5)), 0).astype(np.int64)
    target = np.where(live, _folded(x + run * frames, 8, 151.5)[0], place)

    last = np.where(np.abs(aim - place) > 3, np.sign(aim - place), 0).astype(np.int64)
    reached = _reached(Paddle(place, aim, last, np.zeros_like(last)), swings, frames)
    miss = np.abs(target[:, None, None] - np.clip(reached, 16, 152))
    worth = ((miss < 7) + 0.5 * (miss < 9) - 0.01 * miss).mean(2) - 0.004 * np.abs(plans).sum(1)
    planned = plans[worth.argmax(1), 0]
    move = np.where(frames >= swings.shape[-1], _approach(target, aim), planned)
    return np.where(live, np.array([NOOP, RIGHT, LEFT])[move], FIRE)


# Freeway

CAR_PERIODS = np.array([5, 4, 3, 2, 1, 1, 2, 3, 4, 5])
"""Frames in which the car of each lane, the lowest first, moves by a pixel."""
CAR_WAYS = np.repeat([1, -1], 5)
FREEWAY_STEPS = 24
"""That are looked ahead."""
KNOCKED_BACK = 14
"""Steps lost by a collision, besides the way."""


def _cars_in_the_way(ram: NDArray[np.int64]) -> Flags:
    """Whether a car is where the chicken walks, `[B, step, frame, lane]`."""
    frames = np.arange(1, FREEWAY_STEPS * FRAMES + 1)[:, None]
    waits = np.where(CAR_PERIODS == 1, 0, ram[:, 33:43])[:, None]
    cars = (ram[:, None, 108:118] + CAR_WAYS * ((frames + CAR_PERIODS - 1 - waits) // CAR_PERIODS)) % 160
    return ((cars >= 38) & (cars <= 53)).reshape(len(ram), FREEWAY_STEPS, FRAMES, 10)


def _collisions(cars: Flags, height: NDArray[np.int64]) -> Flags:
    """Whether the chicken is hit, `[B, step, way, height]`, that stands, walks up or walks down from `height [B, n]`."""
    rows, steps = np.arange(len(cars))[:, None, None], np.arange(FREEWAY_STEPS)[:, None]
    hit = np.zeros((len(cars), FREEWAY_STEPS, 3, height.shape[1]), np.bool_)
    for (i, way), frame in product(enumerate((0, 1, -1)), range(FRAMES)):
        y = height + way * (frame + 1)
        for lane in ((y - 15) // 16, (y - 12) // 16):
            inside = (lane >= 0) & (lane < 10)
            hit[:, :, i] |= cars[rows, steps, frame, np.clip(lane, 0, 9)[:, None]] & inside[:, None]
    return hit


def freeway(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Take the quickest way between the cars, which are all predicted, by dynamic programming over the next steps."""
    low = FREEWAY_STEPS + 8
    height = ram[:, 14, None] + FRAMES * np.arange(-low, FREEWAY_STEPS + 1)
    hit = _collisions(_cars_in_the_way(ram), height)
    value = (np.clip(height, 6, 177) - 177) / FRAMES
    for step in range(FREEWAY_STEPS - 1, -1, -1):
        value = np.where(height >= 177, FREEWAY_STEPS - step, value)
        after = np.stack([value, np.roll(value, -1, 1), np.roll(value, 1, 1)], 1)
        options = np.where(hit[:, step], (np.roll(value, 6, 1) - KNOCKED_BACK)[:, None], after)
        value = options.max(1)
    return np.array([NOOP, UP, DOWN])[(options[:, :, low] + np.array([0, 0.01, -0.01])).argmax(1)]


# Seaquest

LANES = np.array([104, 80, 56, 32])
"""Depths."""
SURFACE = 13
DIVES_ACROSS, DIVES_DOWN = np.array([0, 0, 1, -1, 0, 1, -1, 1, -1]), np.array([0, -1, 0, 0, 1, -1, -1, 1, 1])
STILL_CODES, FIRE_CODES = np.array([0, *range(2, 10)]), np.array([1, *range(10, 18)])
SEAQUEST_STEPS, REACH = 10, 11
"""That are looked ahead; cells of four pixels around the submarine."""
THREAT_DEPTHS = np.concatenate([np.repeat(LANES, 3), LANES, [SURFACE]])
THREAT_WIDTHS = np.repeat([15, 11, 15], [12, 4, 1])[:, None]
FULL_CREW = 6


class Threats(NamedTuple):
    """What is deadly: three creatures of each of four lanes, a torpedo of each, and the patrol on the surface.

    Attributes:
        x: `[B, 17]`.
        pace: pixels a frame, `[B, 17]`.
        there: which of them are, `[B, 17]`.
    """

    x: NDArray[np.int64]
    pace: Floats
    there: Flags


def _threats(ram: NDArray[np.int64]) -> Threats:
    first = np.where(ram[:, 30:34] > 200, ram[:, 30:34] - 256, ram[:, 30:34])
    x = (first[:, :, None] + 16 * np.arange(3)).reshape(-1, 12)
    there = (ram[:, 40:44, None] & np.array([4, 2, 1])).reshape(-1, 12) > 0
    way = np.where(ram[:, 89:93] & 8, -1, 1)
    pace = np.repeat((0.375 + 0.0625 * ram[:, 60])[:, None] * way, 3, 1)
    torpedoes = (ram[:, 44:48] == 8) & (ram[:, 71:75] > 0)
    return Threats(
        np.concatenate([x, ram[:, 71:75], ram[:, 118:119]], 1),
        np.concatenate([pace, 1.25 * way, np.full((len(ram), 1), -0.25)], 1),
        np.concatenate([there & (x > -20) & (x < 170), torpedoes, ram[:, 118:119] > 0], 1),
    )


def _prey(ram: NDArray[np.int64], threats: Threats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest place where a creature can be shot or a diver be taken, of whom two lanes' breadth are worth more."""
    x, y = ram[:, 70, None], ram[:, 97, None]
    creatures, depths = threats.x[:, :12], THREAT_DEPTHS[:12]
    shoot = np.where(creatures > x, np.minimum(x, creatures - 30), np.maximum(x, creatures + 30))
    shoot = np.where(shoot > 132, creatures - 30, np.where(shoot < 24, creatures + 30, shoot))
    unseen = (creatures <= -4) | (creatures >= 156)
    effort = np.abs(shoot - x) + np.abs(depths - y) + 30 * unseen
    divers = (ram[:, 44:48] != 8) & (ram[:, 71:75] > 0) & (ram[:, 62, None] < FULL_CREW)
    dive = np.abs(ram[:, 71:75] - x) + np.abs(LANES - y) - 30
    efforts = np.concatenate([np.where(threats.there[:, :12], effort, 999), np.where(divers, dive, 999)], 1)
    best, rows = efforts.argmin(1), np.arange(len(ram))
    ahead = ram[:, 71:75] + np.where(ram[:, 89:93] & 8, -4, 4)
    nothing = efforts[rows, best] > 900
    goal_x = np.concatenate([shoot, ahead], 1)[rows, best]
    return np.where(nothing, 76, goal_x), np.where(nothing, 68, THREAT_DEPTHS[best])


def _must_surface(ram: NDArray[np.int64]) -> Flags:
    """Whether the crew is full, or the oxygen short and there is a diver to pay with."""
    short = ram[:, 102] <= 8 + (ram[:, 97] - SURFACE) / 32
    return (short & (ram[:, 62] > 0)) | (ram[:, 62] >= FULL_CREW)


def _beside_patrol(x: NDArray[np.int64], patrol: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where to surface."""
    left = ((x < patrol) & (patrol > 60)) | (patrol > 120)
    meets = (patrol > 0) & (np.abs(x - patrol) < 32)
    return np.where(meets, np.where(left, patrol - 36, patrol + 36), x)


def _peril(threats: Threats, x: NDArray[np.int64], y: NDArray[np.int64]) -> Floats:
    """Cost `[B, step, x, y]` of being at `x [B, n]` and `y [B, n]`."""
    frames = FRAMES * np.arange(1, SEAQUEST_STEPS + 1)[:, None]
    place = threats.x[:, None] - 4 + threats.pace[:, None] * frames
    across = np.abs(place[..., None] - x[:, None, None])
    down = np.abs(y[:, None] - THREAT_DEPTHS[:, None])[:, None]
    there = threats.there[:, None, :, None]

    def meets(margin_x: int, margin_y: int) -> NDArray[Any]:
        beside = ((across < THREAT_WIDTHS + margin_x) & there).astype(np.float32)
        return (beside.swapaxes(2, 3) @ (down < 11 + margin_y).astype(np.float32)) > 0

    return 100.0 * meets(0, 0) + 8.0 * meets(6, 4)


def _dives(ram: NDArray[np.int64], threats: Threats) -> Floats:
    """Cost `[B, 9]` of the ways to dive, by dynamic programming over the cells around the submarine."""
    surface = _must_surface(ram)
    prey_x, prey_y = _prey(ram, threats)
    goal_x = np.where(surface, _beside_patrol(ram[:, 70], ram[:, 118]), prey_x)[:, None]
    goal_y = np.where(surface, SURFACE, prey_y)[:, None]
    cells = FRAMES * np.arange(-REACH, REACH + 1)
    x, y = np.clip(ram[:, 70, None] + cells, 21, 134), np.clip(ram[:, 97, None] + cells, SURFACE, 108)
    shallow = 20 * ((y < 20) & ~surface[:, None])
    cost = np.abs(x - goal_x)[:, :, None] / 8 + (np.abs(y - goal_y) / 8 + shallow)[:, None]
    peril, value, n = _peril(threats, x, y), np.zeros_like(cost), len(cells)
    for step in range(SEAQUEST_STEPS - 1, -1, -1):
        padded = np.pad(value + cost + peril[:, step], ((0, 0), (1, 1), (1, 1)), mode="edge")
        ways = zip(DIVES_ACROSS + 1, DIVES_DOWN + 1, strict=True)
        options = np.stack([padded[:, i : i + n, j : j + n] for i, j in ways], 1)
        value = options.min(1)
    center: Floats = options[:, :, REACH, REACH] + 0.01 * (np.abs(DIVES_ACROSS) + np.abs(DIVES_DOWN))
    return center


def seaquest(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Shoot creatures and take divers, the nearest first, clear of all that is deadly; surface for oxygen."""
    threats = _threats(ram)
    cost = _dives(ram, threats)
    facing = np.where(ram[:, 86] == 8, -1, 1)
    away = threats.x[:, :12] - ram[:, 70, None]
    seen = threats.there[:, :12] & (threats.x[:, :12] > -4) & (threats.x[:, :12] < 156)
    in_line = seen & (np.abs(THREAT_DEPTHS[:12] - ram[:, 97, None]) < 6)
    side = np.where(away > -2, 1, -1)
    turn = in_line.any(1) & ~(in_line & (side == facing[:, None])).any(1)
    wanted = np.sign((in_line * side * (np.abs(away) < 90)).sum(1))
    dive = (cost - 3 * (turn[:, None] & (wanted[:, None] == DIVES_ACROSS))).argmin(1)
    dive = np.where((ram[:, 97] <= SURFACE) & (ram[:, 102] < 62), 0, dive)
    facing = np.where(DIVES_ACROSS[dive] != 0, DIVES_ACROSS[dive], facing)
    fire = (in_line & (side == facing[:, None])).any(1)
    return np.where(fire, FIRE_CODES[dive], STILL_CODES[dive])


PLAYERS: dict[str, Player] = {"pong": pong, "breakout": breakout, "freeway": freeway, "seaquest": seaquest}


def expert_of(rom: str) -> Callable[[NDArray[np.uint8], NDArray[np.int64]], Codes]:
    """The player of the game of this ROM.

    Raises:
        NeuroctlError: nobody wrote one; says for which games somebody did.
    """
    if rom not in PLAYERS:
        raise NeuroctlError(f"{game_name(rom)} has no scripted player; {', '.join(map(game_name, PLAYERS))} have one")
    player = PLAYERS[rom]
    return lambda ram, steps: player(ram.astype(np.int64), steps)
