"""Atari 2600 games of the Arcade Learning Environment (Bellemare et al. 2013), `neuroctl/Atari-<Game>-v0`.

The emulators are those of ale-py (extra `atari`), one for each row. What is added: streams per episode, exact states,
SAME_STEP autoreset, the last frames as the observation. All chance comes from the row's streams: the emulator itself
has none, and every game begins in the same state of the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError

from .atari_experts import FRAMES, expert_of
from .atari_games import GAMES, game_name
from .atari_kernels import area_weights, shrink
from .atari_options import FIRE, FRAMES_PER_S, MOST_FRAMES, NOOP, PROTOCOLS, checked_protocol, checked_size
from .episode_vector import EpisodeVector, State, StepResult
from .single_env import SingleEnv
from .vector_tools import checked_actions, require

SPARE_BYTES = 512
"""By which a machine's state may grow beyond that of the game's start."""


class AtariVector(EpisodeVector):
    """B games.

    An action lasts `frame_skip` frames. The observation is uint8 `[H, W]`, `[H, W, 3]` in colour, and with a stack of
    more than one such frame they follow each other along the last axis, the newest last. A frame is the maximum of the
    last two of an action, shrunk by area. The reward is the change of the score.

    Args:
        num_envs: B.
        protocol: `"machado"` or `"deepmind"`, which the next four options follow where they are None.
        sticky: see `neuroctl.envs.atari_options.Protocol`.
        full_actions: likewise.
        noop_max: likewise.
        fire_reset: likewise.
        episodic_life: whether an episode ends with each life. The next one then goes on with the game, so that it is
            not determined by its seed alone, while a reset begins a new game.
        frame_skip: frames of an action.
        frame_stack: frames of an observation.
        size: height and width of a frame.
        grayscale: whether a frame has luminance only.
        blank: probability with which a frame is seen black, so that a policy must remember.
        max_steps: control steps after which an episode is truncated; by default those of half an hour.
        render_mode: None or `"rgb_array"`.

    Raises:
        NeuroctlError: ale-py is missing, or a value out of range.

    Attributes:
        games: the emulator of each row, an `ale_py.ALEInterface`.
    """

    registered: ClassVar[str]
    """Name of the ROM."""
    rebuilt = ("games", "_start_state", "_start_screen", "_screens", "_drawn")

    def __init__(
        self,
        num_envs: int = 1,
        *,
        protocol: Literal["machado", "deepmind"] = "machado",
        sticky: float | None = None,
        full_actions: bool | None = None,
        noop_max: int | None = None,
        fire_reset: bool | None = None,
        episodic_life: bool = False,
        frame_skip: int = 4,
        frame_stack: int = 4,
        size: tuple[int, int] = (84, 84),
        grayscale: bool = True,
        blank: float = 0.0,
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        require("protocol", protocol, tuple(PROTOCOLS))
        chosen: dict[str, Any] = {
            "sticky": sticky,
            "full_actions": full_actions,
            "noop_max": noop_max,
            "fire_reset": fire_reset,
        }
        given = {name: value for name, value in chosen.items() if value is not None}
        self.protocol = checked_protocol(PROTOCOLS[protocol]._replace(**given))
        require("episodic_life", episodic_life, (True, False))
        require("grayscale", grayscale, (True, False))
        self._episodic_life, self._grayscale = episodic_life, grayscale
        self._skip = checked_integer("frame_skip", frame_skip, 1, FRAMES_PER_S)
        self._stack = checked_integer("frame_stack", frame_stack, 1, FRAMES_PER_S)
        if not (is_number(blank) and 0 <= blank < 1):
            raise NeuroctlError(f"blank is {shown(blank)}; allowed: from 0 to below 1")
        self._blank = float(blank)
        steps = MOST_FRAMES // self._skip if max_steps is None else max_steps
        super().__init__(num_envs, steps, ("sticky", "blank"), render_mode)
        self.control_dt_s = self._skip / FRAMES_PER_S
        self.metadata = {**self.metadata, "render_fps": round(1 / self.control_dt_s)}
        self._set_spaces(self._seen_space(checked_size(size, self._screens.shape[2:4])), self._joystick())
        self._lost_life = np.zeros(self.num_envs, np.bool_)

    def _build(self) -> None:
        self.games = [_emulator(self.registered) for _ in range(self.num_envs)]
        start = _starts[self.registered]
        self._start_state = start.state
        self._start_screen = start.grey if self._grayscale else start.colour
        height, width = self.games[0].getScreenDims()
        shape = (2, self.num_envs, height, width)
        self._screens = np.zeros(shape if self._grayscale else (*shape, 3), np.uint8)
        self._drawn = np.ones(self.num_envs, np.bool_)  # whether the emulator has drawn the state that it is in
        self._last_code = np.zeros(self.num_envs, np.int64)
        self._machine_bytes = len(self._start_state.serialize()) + SPARE_BYTES

    def _seen_space(self, size: tuple[int, int]) -> gym.spaces.Box:
        """The space of observations; makes room for frames of this size."""
        self._rows, self._columns = (area_weights(*axis) for axis in zip(self._screens.shape[2:4], size, strict=True))
        self._channels = 1 if self._grayscale else 3
        self._frames = np.zeros((self.num_envs, *size, self._channels * self._stack), np.uint8)
        shape = size if self._frames.shape[-1] == 1 else self._frames.shape[1:]
        return gym.spaces.Box(0, 255, shape, np.uint8)

    def _joystick(self) -> gym.spaces.Discrete:
        """The space of actions; remembers the joystick's codes of them."""
        game = self.games[0]
        offered = game.getLegalActionSet() if self.protocol.full_actions else game.getMinimalActionSet()
        self._codes = np.array([action.value for action in offered])
        self._fires = self.protocol.fire_reset and FIRE in [action.value for action in game.getMinimalActionSet()]
        return gym.spaces.Discrete(len(self._codes))

    # Episodes

    def _start_row(self, b: int) -> None:
        game = self.games[b]
        self._last_code[b] = NOOP
        if self._lost_life[b]:
            game.act(NOOP)
            self._look(b)
        else:
            self._restart(b)
            self._begin_game(b)
        self._screens[0, b] = self._screens[1, b]
        self._frames[b] = 0
        self._add_frame(b)

    def _begin_game(self, b: int) -> None:
        """With what the protocol does before the player may."""
        game, noops = self.games[b], 0
        if self.protocol.noop_max:
            noops = int(self.streams["reset", b].integers(1, self.protocol.noop_max + 1))
        for code in [NOOP] * noops + [FIRE] * self._fires:
            game.act(code)
            self._look(b)
            if game.game_over():
                self._restart(b)

    def _restart(self, b: int) -> None:
        self.games[b].restoreState(self._start_state)
        self._screens[1, b], self._drawn[b] = self._start_screen, False

    def step(self, actions: Any) -> StepResult:
        """Play `frame_skip` frames in every row.

        Args:
            actions: `[B]`.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
        """
        self._require_begun("step")
        codes = self._codes[checked_actions(actions, self.single_action_space, self.num_envs)]
        lives = self._lives()
        reward = np.array([self._play(b, code) for b, code in enumerate(codes.tolist())], np.float64)
        for b in range(self.num_envs):
            self._add_frame(b)
        self.steps += 1
        over = np.array([game.game_over() for game in self.games])
        if self._episodic_life:
            self._lost_life = (self._lives() < lives) & ~over
        result = self._finish(self.current_obs(), reward, over | self._lost_life, self._said())
        self._lost_life = np.zeros(self.num_envs, np.bool_)
        return result

    def _play(self, b: int, code: int) -> int:
        """The reward of an action, whose last two frames are kept."""
        game, reward, last = self.games[b], 0, int(self._last_code[b])
        sticky = self.protocol.sticky
        stuck = (self.streams["sticky", b].random(self._skip) < sticky).tolist() if sticky else [False] * self._skip
        for k, repeats in enumerate(stuck):
            last = last if repeats else code
            reward += game.act(last)
            if game.game_over():
                break
            if k == self._skip - 2:
                self._look(b)
                self._screens[0, b] = self._screens[1, b]
        self._look(b)
        if self._skip == 1 or game.game_over():
            self._screens[0, b] = self._screens[1, b]
        self._last_code[b] = last
        return reward

    def _look(self, b: int) -> None:
        """Keep the screen of row b as the last one."""
        look = self.games[b].getScreenGrayscale if self._grayscale else self.games[b].getScreenRGB
        look(self._screens[1, b])
        self._drawn[b] = True

    def _add_frame(self, b: int) -> None:
        stack, channels = self._frames[b], self._channels
        stack[..., :-channels] = stack[..., channels:]
        screens = self._screens[:, b, :, :, None] if self._grayscale else self._screens[:, b]
        shrink(screens[0], screens[1], self._rows, self._columns, stack[..., -channels:])
        if self._blank and self.streams["blank", b].random() < self._blank:
            stack[..., -channels:] = 0

    def current_obs(self) -> NDArray[np.uint8]:
        """The observation `[B, ...]` of the current state, as `reset` or `step` last returned it."""
        return self._frames.reshape(self.observation_space.shape).copy()

    def _lives(self) -> NDArray[np.int64]:
        return np.array([game.lives() for game in self.games])

    def _said(self) -> dict[str, NDArray[Any]]:
        frames = np.array([game.getEpisodeFrameNumber() for game in self.games])
        return {"lives": self._lives(), "game_frame": frames}

    def _begun(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.uint8], dict[str, NDArray[Any]]]:
        return self.current_obs()[rows], {name: value[rows] for name, value in self._said().items()}

    def ram(self) -> NDArray[np.uint8]:
        """The memory `[B, 128]` of the consoles."""
        return np.stack([game.getRAM() for game in self.games])

    def expert_action(self) -> NDArray[np.int64]:
        """Actions `[B]` of the game's scripted player, who reads the console's memory.

        Raises:
            NeuroctlError: nobody wrote one for this game, or an action does not last the frames that it counts on.
        """
        if self._skip != FRAMES:
            raise NeuroctlError(f"scripted players count on frame_skip {FRAMES}, got {self._skip}")
        codes = expert_of(self.registered)(self.ram(), self.steps)
        places = {code: place for place, code in enumerate(self._codes.tolist())}
        return np.array([places[code] for code in codes.tolist()], np.int64)

    # State

    def _more_state(self, rows: NDArray[np.intp]) -> State:
        machines = np.zeros((len(rows), self._machine_bytes), np.uint8)
        sizes = np.zeros(len(rows), np.int64)
        for i, b in enumerate(rows.tolist()):
            data = self.games[b].cloneState().serialize()
            if len(data) > self._machine_bytes:
                raise NeuroctlError(f"the machine's state has {len(data)} bytes; allowed: {self._machine_bytes}")
            machines[i, : len(data)], sizes[i] = np.frombuffer(data, np.uint8), len(data)
        return {
            "machine": machines,
            "machine_bytes": sizes,
            "frames": self._frames[rows],
            "last_code": self._last_code[rows],
        }

    def _put(self, index: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        before = [self.games[b].cloneState() for b in index.tolist()]
        try:
            for i, b in enumerate(index.tolist()):
                self.games[b].restoreState(_machine(state["machine"][i], state["machine_bytes"][i]))
        except (SystemError, RuntimeError, ValueError) as error:  # what the emulator raises for what it cannot read
            for old, b in zip(before, index.tolist(), strict=True):
                self.games[b].restoreState(old)
            raise NeuroctlError(f"environment state 'machine' is not that of an emulator: {error}") from None
        super()._put(index, state)

    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        self._frames[rows], self._last_code[rows] = state["frames"], state["last_code"]
        self._drawn[rows] = False

    def model_hash(self) -> str:
        """sha256 of the ROM."""
        return hashlib.sha256(_rom(self.registered).read_bytes()).hexdigest()

    def close_extras(self, **kwargs: Any) -> None:
        """Leave the emulators to environments that are made later."""
        _idle.setdefault(self.registered, []).extend(self.games)
        self.games = []

    # Pictures

    def _frame(self, b: int) -> NDArray[np.uint8]:
        """The screen; of a state that was put back, as an emulator draws while it plays, that of the next frame."""
        game = self.games[b]
        if self._drawn[b]:
            screen: NDArray[np.uint8] = game.getScreenRGB()
            return screen
        state = game.cloneState()
        game.act(NOOP)
        screen = game.getScreenRGB()
        game.restoreState(state)
        return screen


class Atari(SingleEnv):
    """One game; the arguments are those of `AtariVector` without `num_envs`."""

    rows: ClassVar[type[AtariVector]]
    """Of which this is row 0."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(self.rows, **kwargs)
        self.metadata = {**self.metadata, "render_fps": self.vector.metadata["render_fps"]}

    def ram(self) -> NDArray[np.uint8]:
        """The memory `[128]` of the console."""
        memory: NDArray[np.uint8] = self.vector.ram()[0]
        return memory


def _entry_points(rom: str) -> dict[str, type]:
    """The classes behind an id: `Breakout` and `BreakoutVector`."""
    name, module = game_name(rom), {"__module__": __name__}
    rows = type(f"{name}Vector", (AtariVector,), module | {"registered": rom})
    return {name: type(name, (Atari,), module | {"rows": rows}), f"{name}Vector": rows}


for _game in GAMES:
    globals().update(_entry_points(_game))


def _rom(name: str) -> Path:
    try:
        from ale_py import roms
    except ImportError:
        raise NeuroctlError("Atari games need the package ale-py; install neuroctl[atari]") from None
    path: Path | None = roms.get_rom_path(name)
    if path is None:
        raise NeuroctlError(f"ale-py has no ROM of {name!r}")
    return path


class Start(NamedTuple):
    """How a game begins.

    Attributes:
        state: of the machine, an `ale_py.ALEState`.
        grey: the screen, uint8 `[H, W]`.
        colour: likewise, `[H, W, 3]`.
    """

    state: Any
    grey: NDArray[np.uint8]
    colour: NDArray[np.uint8]


_starts: dict[str, Start] = {}
"""By name of the ROM."""
_idle: dict[str, list[Any]] = {}
"""Emulators of closed environments by name of the ROM: to make one takes longer than a thousand frames."""


def _emulator(rom: str) -> Any:
    """An emulator with this cartridge at the start of the game; an idle one where there is one.

    Raises:
        NeuroctlError: ale-py or the ROM is missing.
    """
    try:
        game = _idle[rom].pop()
    except (KeyError, IndexError):
        game = _insert(rom)
        if rom not in _starts:
            _starts[rom] = Start(game.cloneState(), game.getScreenGrayscale(), game.getScreenRGB())
    else:
        game.restoreState(_starts[rom].state)
    return game


def _insert(rom: str) -> Any:
    """A new emulator with this cartridge."""
    path = _rom(rom)
    from ale_py import ALEInterface, LoggerMode

    ALEInterface.setLoggerMode(LoggerMode.Error)
    game = ALEInterface()
    game.setInt("random_seed", 0)
    game.setFloat("repeat_action_probability", 0.0)
    game.loadROM(str(path))
    game.reset_game()
    return game


def _machine(data: NDArray[Any], size: Any) -> Any:
    from ale_py import ALEState

    return ALEState(data[: max(int(size), 0)].astype(np.uint8).tobytes())
