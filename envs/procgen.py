"""Procgen (Cobbe et al. 2020, arXiv 1912.01588), `neuroctl/Procgen-<Game>-v0`: 16 games whose levels are generated.

The games are those of EnvPool (extra `procgen`, and Debian's libqt5gui5). What is added: seeds of rows, SAME_STEP
autoreset. The games' state cannot be read, so that nothing goes on in the middle of an episode: such an environment is
seeded and reset anew at every checkpoint, and replayed from the start of an episode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError
from neuroctl.streams import EpisodeStreams, derive_seed

from .episode_vector import MOST_ROWS, Floats, StepResult, following, with_masks
from .known_options import KnownOptions
from .procgen_games import GAMES
from .single_env import SingleEnv
from .vector_tools import checked_actions, require, reset_rows

Mode = Literal["easy", "hard", "extreme", "memory", "exploration"]
NOOP = 4
FRAMES_PER_S = 15
MOST_LEVELS = 2**31 - 1


class ProcgenVector(KnownOptions):
    """B games.

    The observation is uint8 `[64, 64, 3]`. The k-th level of a row depends on its seed and k alone, and all that
    happens in a level on the actions.

    Args:
        num_envs: B.
        mode: how levels are made; not every game has each.
        start_level: the first level.
        num_levels: levels from there on; 0 is all of them.
        use_backgrounds: whether there are pictures behind the scene, or black.
        restrict_themes: whether all levels have the same theme.
        use_monochrome_assets: whether things are rectangles of one colour.
        render_mode: None or `"rgb_array"`.

    Raises:
        NeuroctlError: EnvPool or Qt is missing, or a value out of range.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": FRAMES_PER_S,
    }
    registered: ClassVar[str]
    """Name of the game."""
    control_dt_s = 1 / FRAMES_PER_S

    def __init__(
        self,
        num_envs: int = 1,
        *,
        mode: Mode = "easy",
        start_level: int = 0,
        num_levels: int = 0,
        use_backgrounds: bool = True,
        restrict_themes: bool = False,
        use_monochrome_assets: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs = checked_integer("num_envs", num_envs, 1, MOST_ROWS)
        modes = GAMES[self.registered]
        require("mode", mode, modes)
        require("render_mode", render_mode, (None, "rgb_array"))
        self.render_mode = render_mode
        looks = {
            "use_backgrounds": use_backgrounds,
            "restrict_themes": restrict_themes,
            "use_monochrome_assets": use_monochrome_assets,
        }
        for name, value in looks.items():
            require(name, value, (True, False))
        self._task = f"{self.registered.capitalize()}{mode.capitalize()}-v0"
        self._options = looks | _levels(start_level, num_levels)
        self.single_observation_space = gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)
        self.single_action_space = gym.spaces.Discrete(15)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.streams = EpisodeStreams(self.num_envs, ())
        self._pools: list[Any] = []
        self._pool, self._slot = np.full(self.num_envs, -1), np.zeros(self.num_envs, np.int64)
        self._obs = np.zeros(self.observation_space.shape or (), np.uint8)
        self._level, self._success = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, np.bool_)
        _open_pool(self._task, [0], self._options).close()  # says what is missing

    # Episodes

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start episodes in all rows, or in those of `options["reset_mask"]` (bool `[B]`).

        Args:
            seed: an integer seeds row b with `seed + b`, a list each row; None goes on with the next level.
            options: `{"reset_mask": bool [B]}` or None.
        """
        rows = reset_rows(options, self.num_envs)
        self.streams.reset(seed, rows)
        self._place(rows[self.streams.episodes[rows] == 0])
        self._begin(rows)
        return self.current_obs(), self.current_info()

    def _place(self, rows: NDArray[np.intp]) -> None:
        """Give rows with new seeds a pool of games, and close pools that no row uses any more."""
        if not len(rows):
            return
        seeds = [derive_seed(int(seed), "procgen") % MOST_LEVELS for seed in self.streams.seeds[rows]]
        self._pool[rows], self._slot[rows] = len(self._pools), np.arange(len(rows))
        self._pools.append(_open_pool(self._task, seeds, self._options))
        used = np.unique(self._pool[self._pool >= 0])
        for number in set(range(len(self._pools))) - set(used.tolist()):
            self._pools[number].close()
        self._pools = [self._pools[number] for number in used]
        self._pool = np.where(self._pool < 0, -1, np.searchsorted(used, self._pool))

    def _begin(self, rows: NDArray[np.intp]) -> None:
        """The next level in each of these rows."""
        for number, pool in enumerate(self._pools):
            here = rows[self._pool[rows] == number]
            if len(here):
                obs, info = pool.reset(self._slot[here].astype(np.int32))
                self._obs[here], self._level[here] = obs, info["level_seed"]
                self._success[here] = False

    def step(self, actions: Any) -> StepResult:
        """Advance every row by one step.

        Args:
            actions: `[B]`.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
        """
        if (self._pool < 0).any():
            raise NeuroctlError("step() before reset(): start the episodes with reset(seed=...)")
        action = checked_actions(actions, self.single_action_space, self.num_envs)
        reward, ends = np.zeros(self.num_envs), np.zeros((2, self.num_envs), np.bool_)
        for number, pool in enumerate(self._pools):
            self._advance(pool, np.flatnonzero(self._pool == number), action, reward, ends)
        terminated, truncated = ends
        obs, info, done = self.current_obs(), self.current_info(), terminated | truncated
        if done.any():
            rows = np.flatnonzero(done)
            self.streams.advance(rows)
            self._begin(rows)
            said = {name: value[rows] for name, value in self._said().items()}
            obs, info = following(obs, info, done, self._obs[rows], said)
        return obs, reward, terminated, truncated, info

    def _advance(
        self, pool: Any, rows: NDArray[np.intp], action: NDArray[Any], reward: Floats, ends: NDArray[np.bool_]
    ) -> None:
        """A step of the games of a pool; those that belong to no row any more do nothing."""
        slots = self._slot[rows]
        given = np.full(pool.config["num_envs"], NOOP, np.int32)
        given[slots] = action[rows]
        obs, rewards, terminated, truncated, info = pool.step(given)
        self._obs[rows], reward[rows] = obs[slots], rewards[slots]
        ends[:, rows] = terminated[slots], truncated[slots] & ~terminated[slots]
        self._success[rows] = info["prev_level_complete"][slots] > 0

    def current_obs(self) -> NDArray[np.uint8]:
        """The observation `[B, 64, 64, 3]`, as `reset` or `step` last returned it."""
        return self._obs.copy()

    def current_info(self) -> dict[str, Any]:
        """The number of the level, and whether it was completed with the last step."""
        return with_masks(self._said(), self.num_envs)

    def _said(self) -> dict[str, NDArray[Any]]:
        return {"level": self._level.copy(), "success": self._success.copy()}

    def render(self) -> Any:
        """Frames `[B, 256, 256, 3]` uint8.

        Raises:
            NeuroctlError: made without `render_mode="rgb_array"`.
        """
        if self.render_mode is None:
            raise NeuroctlError("nothing is rendered; make the environment with render_mode='rgb_array'")
        return self._obs.repeat(4, axis=1).repeat(4, axis=2)

    def close_extras(self, **kwargs: Any) -> None:
        """End the games."""
        for pool in self._pools:
            pool.close()
        self._pools = []
        self._pool[:] = -1


class Procgen(SingleEnv):
    """One game; the arguments are those of `ProcgenVector` without `num_envs`."""

    rows: ClassVar[type[ProcgenVector]]
    """Of which this is row 0."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(self.rows, **kwargs)
        self.metadata = {**self.metadata, "render_fps": FRAMES_PER_S}


def _entry_points(game: str) -> dict[str, type]:
    """The classes behind an id: `CoinRun` and `CoinRunVector`."""
    module = {"__module__": __name__}
    rows = type(f"{game}Vector", (ProcgenVector,), module | {"registered": game})
    return {game: type(game, (Procgen,), module | {"rows": rows}), f"{game}Vector": rows}


for _game in GAMES:
    globals().update(_entry_points(_game))


def _levels(start_level: int, num_levels: int) -> dict[str, int]:
    """EnvPool's options for these levels; it takes no first level where their number is 0."""
    first = checked_integer("start_level", start_level, 0, MOST_LEVELS - 1)
    number = checked_integer("num_levels", num_levels, 0, MOST_LEVELS - first)
    return {"start_level": first, "num_levels": MOST_LEVELS - first if first and not number else number}


def _open_pool(task: str, seeds: Sequence[int], options: Mapping[str, Any]) -> Any:
    """Games with these seeds, which step together on one thread."""
    try:
        import envpool

        return envpool.make(
            task,
            env_type="gymnasium",
            num_envs=len(seeds),
            env_seed=list(seeds),
            num_threads=1,
            channel_first=False,
            **options,
        )
    except ModuleNotFoundError as error:
        raise NeuroctlError(f"Procgen needs the package {error.name}; install neuroctl[procgen]") from None
    except ImportError as error:  # a library of the system
        raise NeuroctlError(f"Procgen needs Qt 5; install Debian's libqt5gui5 ({error})") from None
