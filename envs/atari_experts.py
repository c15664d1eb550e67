"""Scripted players of Atari games, who read the console's memory.

Where things are in the memory is known from Anand et al. 2019 (arXiv 1906.08226) and from watching it. A player takes
the memories `[B, 128]` and the number of control steps so far `[B]`, and returns the joystick's codes `[B]`. All of
them count on actions of four frames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from typing import NamedTuple

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
    """Where a ball is that would be at `place` but for walls at `low` and `high`; whether it is on its way back."""
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

    def of(self, rows: NDArray[np.intp]) -> Paddle:
        """Those of some rows."""
        return Paddle(self.place[rows], self.aim[rows], self.last[rows], self.phase[rows])


def _swings(plans: NDArray[np.int64], period: int) -> Floats:
    """How far a paddle at rest gets, `[last, phase, plan, sample, frame]`, that is updated once per `period` frames.

    A plan ends with an action at rest.
    """
    ends = (plans.shape[1] + 1) * FRAMES
    repeats = np.random.default_rng(0).random((SAMPLES, ends)) < STICKY
    chosen = np.maximum.accumulate(np.where(repeats, -1, np.arange(ends) // FRAMES), axis=1)
    swings = np.zeros((3, period, len(plans), SAMPLES, ends + 1))
    for last, phase in product((-1, 0, 1), range(period)):
        ways = np.concatenate([plans, np.full((len(plans), 2), [0, last])], 1)[:, chosen]
        aim = np.concatenate([np.zeros((*ways.shape[:2], 1)), PADDLE_SPEED * ways.cumsum(2)], 2)
        for frame in range(1, ends + 1):
            updated = (frame + phase) % period == 0
            before = swings[last, phase, :, :, frame - 1]
            swings[last, phase, :, :, frame] = (before + aim[..., frame - 1]) / 2 if updated else before
    return swings


def _reached(paddle: Paddle, swings: Floats, frames: NDArray[np.int64]) -> Floats:
    """Places `[B, plan, sample]` of the paddles after so many frames, at most those of the plans."""
    frames = np.minimum(frames, swings.shape[-1] - 1)
    updates = (frames + paddle.phase) // swings.shape[1]
    still = paddle.aim + (paddle.place - paddle.aim) * 0.5**updates
    reached: Floats = still[:, None, None] + swings[paddle.last, paddle.phase, :, :, frames]
    return reached


def _approach(target: Floats, aim: Floats) -> NDArray[np.int64]:
    """The way to a distant target."""
    return np.where(np.abs(target - aim) > NEAR_ENOUGH, np.sign(target - aim), 0).astype(np.int64)


# Pong

PONG_FACE = 188
"""Where the ball meets the paddle."""
FACE_WIDTH = 4
PONG_LENGTH = 4
"""Actions of a plan."""
NO_LEFT_AIM = 110
"""What the memory of the aim shows in frames that read the other paddle."""


class Ball(NamedTuple):
    """Balls of all rows, as they will come.

    Attributes:
        frames: until then.
        arrival: height, downward.
        fall: downward pixels a frame.
        run: pixels a frame toward the paddle.
        target: best place of the paddle.
        patience: worth of a return that does not win. Now and then there is none, lest a rally go on for ever.
    """

    frames: NDArray[np.int64]
    arrival: Floats
    fall: NDArray[np.int64]
    run: NDArray[np.int64]
    target: Floats
    patience: Floats

    def of(self, rows: NDArray[np.intp]) -> Ball:
        """Those of some rows."""
        target, patience = self.target[rows], self.patience[rows]
        return Ball(self.frames[rows], self.arrival[rows], self.fall[rows], self.run[rows], target, patience)


@cache
def _pong_plans() -> list[tuple[NDArray[np.int64], Floats]]:
    """Plans `[plan, action]` and their swings: up and down in turn from even steps, from odd steps, and free ones."""
    turns = np.array(list(product((0, 1), repeat=PONG_LENGTH))) * (-1) ** np.arange(1, PONG_LENGTH + 1)
    free = np.array(list(product((0, -1, 1), repeat=PONG_LENGTH)))
    return [(plans, _swings(plans, 2)) for plans in (turns, -turns, free)]


def _pong_worth(hit: Floats, ball: Ball) -> Floats:
    """Worth of meeting the ball `hit` below the paddle's upper end: steep balls win, others are worth `patience`."""
    arrival, patience = ball.arrival[:, None, None], ball.patience[:, None, None]
    steep_up = (hit < 0.5) & ((arrival <= 72) | (arrival >= 126))
    worth: Floats = np.where(np.isfinite(hit), np.where(steep_up | (hit > 12.5), 1, patience), -1).mean(2)
    return worth


def _pong_move(ball: Ball, paddle: Paddle, plans: NDArray[np.int64], swings: Floats) -> tuple[Codes, Floats]:
    """The next way of the paddle, -1, 0 or 1, and where it is then expected to meet the ball."""
    hit = np.full((len(ball.frames), len(plans), SAMPLES), np.nan)
    for frame in range(FRAMES - 1, -1, -1):
        places = np.clip(_reached(paddle, swings, ball.frames + frame), 38, 203)
        below = (ball.arrival + ball.fall * frame)[:, None, None] - places
        beside = (below >= -2.5) & (below <= 15.5) & (ball.run * frame < FACE_WIDTH)[:, None, None]
        hit = np.where(beside, below, hit)
    distance = np.abs(ball.target[:, None, None] - places).mean(2)
    best = (_pong_worth(hit, ball) - 0.003 * distance - 0.004 * np.abs(plans).sum(1)).argmax(1)
    near = ball.frames <= plans.shape[1] * FRAMES
    expected = np.nan_to_num(hit[np.arange(len(best)), best]).mean(1)
    return np.where(near, plans[best, 0], _approach(ball.target, paddle.aim)), expected


def _pong_ball(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Ball:
    rise, run = _signed(ram[:, 56]), np.maximum(-_signed(ram[:, 58]), 1)
    frames = -(-np.maximum(PONG_FACE - ram[:, 49], 0) // run)
    arrival, bounced = _folded(ram[:, 54] + 1.0 * rise * frames, 45, 206)
    fall = np.where(bounced, -rise, rise)
    upper_end = np.where((arrival < 72) | (arrival > 126), -2.5, 13)
    wanted = np.where(fall >= 0, upper_end, np.where(arrival < 195, 15.5, 6))
    patience = np.where(steps // 150 % 3 == 2, -0.5, 0.8)
    return Ball(frames, arrival, fall, run, np.clip(arrival - wanted, 44, 198), patience)


def pong(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Meet the ball with an end of the paddle, which makes it steep, and with FIRE where a fast ball wins.

    FIRE at other times tells the next step that the paddle was moved, for where the memory does not keep its aim.
    """
    ball, place, odd = _pong_ball(ram, steps), ram[:, 51].astype(np.float64), steps % 2
    coming, known = (ram[:, 58] > 127) & (ram[:, 54] > 0), ram[:, 4] != NO_LEFT_AIM
    far = ball.frames > (PONG_LENGTH - 1) * FRAMES
    way = np.where(known, ram[:, 4] - place, np.where(far, ball.target - place, 1 - 2 * odd))
    last = np.where(ram[:, 64] < 128, np.sign(way), 0).astype(np.int64)
    aim = np.where(known, ram[:, 4], np.clip(place + 15 * last, 38, 204))
    paddle = Paddle(place, aim, last, known.astype(np.int64))

    move, hit = np.zeros(len(ram), np.int64), np.zeros(len(ram))
    for kind, (plans, swings) in enumerate(_pong_plans()):
        rows = np.flatnonzero(coming & (np.where(known, 2, odd) == kind))
        if len(rows):
            move[rows], hit[rows] = _pong_move(ball.of(rows), paddle.of(rows), plans, swings)
    fast_wins = np.where(hit > 8, ball.arrival > 127, ball.arrival > 160)
    fire = np.where(ball.frames <= FRAMES, fast_wins & coming, move != 0)
    return np.where(fire, np.array([FIRE, LEFT_FIRE, RIGHT_FIRE])[move], np.array([NOOP, LEFT, RIGHT])[move])


# Breakout

VARIED = 400
"""Steps from each of which on, for 24, the ball is to meet another part of the paddle."""


@cache
def _breakout_plans() -> tuple[NDArray[np.int64], Floats]:
    plans = np.array(list(product((0, -1, 1), repeat=3)))
    return plans, _swings(plans, 1)


def breakout(ram: NDArray[np.int64], steps: NDArray[np.int64]) -> Codes:
    """Be where the ball comes down, and launch it; at times meet it beside the middle, lest its path repeat for ever.

    A rising ball is expected to turn below the bricks.
    """
    plans, swings = _breakout_plans()
    place, aim = (ram[:, 72] - 39).astype(np.float64), (196 - ram[:, 70]).astype(np.float64)
    x, y = ram[:, 99] - 48 + ram[:, 100] / 256, ram[:, 101] + ram[:, 102] / 256
    run, fall = -_signed(ram[:, 105]) - ram[:, 106] / 256, _signed(ram[:, 103]) + ram[:, 104] / 256
    live = ram[:, 101] > 0
    height = np.where(fall < 0, np.maximum(y - 86, 0) + 91, np.maximum(177 - y, 0))
    frames = np.where(live, np.ceil(height / np.maximum(np.abs(fall), 0.5)), 0).astype(np.int64)
    target = np.where(live, _folded(x + run * frames, 8, 151.5)[0], place)

    last = np.where(np.abs(aim - place) > 3, np.sign(aim - place), 0).astype(np.int64)
    reached = np.clip(_reached(Paddle(place, aim, last, np.zeros_like(last)), swings, frames), 16, 152)
    miss = target[:, None, None] - reached
    part = np.where(steps % VARIED < 24, np.where(steps % (2 * VARIED) < 24, 5, -5), np.inf)[:, None, None]
    worth = (np.abs(miss) < 7) + 0.5 * (np.abs(miss) < 9) - 0.01 * np.abs(miss) + 2 * (np.abs(miss - part) < 4)
    planned = plans[(worth.mean(2) - 0.004 * np.abs(plans).sum(1)).argmax(1), 0]
    move = np.where(frames > plans.shape[1] * FRAMES, _approach(target, aim), planned)
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
    met: Flags = (cars >= 38) & (cars <= 53)
    return met.reshape(len(ram), FREEWAY_STEPS, FRAMES, 10)


def _collisions(cars: Flags, height: NDArray[np.int64]) -> Flags:
    """Whether the chicken is hit, `[B, step, way, height]`, that stands, goes up or goes down from `height [B, n]`."""
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
    codes: Codes = np.array([NOOP, UP, DOWN])[(options[:, :, low] + np.array([0, 0.01, -0.01])).argmax(1)]
    return codes


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
    place: NDArray[np.int64] = np.where(meets, np.where(left, patrol - 36, patrol + 36), x)
    return place


def _peril(threats: Threats, x: NDArray[np.int64], y: NDArray[np.int64]) -> Floats:
    """Cost `[B, step, x, y]` of being at `x [B, n]` and `y [B, n]`."""
    frames = FRAMES * np.arange(1, SEAQUEST_STEPS + 1)[:, None]
    place = threats.x[:, None] - 4 + threats.pace[:, None] * frames
    across = np.abs(place[..., None] - x[:, None, None])
    down = np.abs(y[:, None] - THREAT_DEPTHS[:, None])[:, None]
    there = threats.there[:, None, :, None]

    def meets(margin_x: int, margin_y: int) -> Flags:
        beside = ((across < THREAT_WIDTHS + margin_x) & there).astype(np.float32)
        found: Flags = (beside.swapaxes(2, 3) @ (down < 11 + margin_y).astype(np.float32)) > 0
        return found

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
