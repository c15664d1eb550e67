"""T-maze: a cue in the first cell of a corridor says which way to turn at its end.

The task is known from Bakker 2001 ("Reinforcement learning with long short-term memory"); its form here is our own.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import checked_integer

from .episode_vector import Floats
from .memory_vector import CONTROL_DT_S, MOST_STEPS
from .plain_vector import Inputs, PlainVector
from .single_env import SingleEnv

FORWARD, LEFT, RIGHT = 0, 1, 2
BUMP = -0.05
"""Reward of an action that the walls forbid."""


class TMazeVector(PlainVector):
    """B T-mazes; see `TMaze`.

    Args:
        num_envs: B.
        corridor: cells before the junction, K.
        max_steps: steps after which an episode is truncated; None is 4 (K + 1).
        last_reward: whether the last reward is observed; see `PlainVector` for what it tells.
        last_action: whether the last action is observed; likewise.
        render_mode: None or `"rgb_array"`.

    Attributes:
        variables: state of the rows. `signs` int8 `[B, K]`, what the cells show; `cell` `[B]`, where the agent is: K at
            the junction, K + 1 beyond; `bumps` `[B]` so far; `success` `[B]`, whether it has turned to the right side.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        corridor: int = 50,
        max_steps: int | None = None,
        last_reward: bool = False,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self._corridor = checked_integer("corridor", corridor, 1, MOST_STEPS)
        super().__init__(
            num_envs,
            4 * (self._corridor + 1) if max_steps is None else max_steps,
            inputs=gym.spaces.Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32), dtype=np.float32),
            action=gym.spaces.Discrete(3),
            rewards=(-1.0, 1.0),
            variables={
                "signs": np.zeros(self._corridor, np.int8),
                "cell": np.int64(0),
                "bumps": np.int64(0),
                "success": np.False_,
            },
            ranges={"signs": (-1, 1), "cell": (0, self._corridor + 1), "bumps": (0, 2**62)},
            draws=self._corridor,
            control_dt_s=CONTROL_DT_S,
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        self.variables["signs"][rows] = np.where(drawn < 0.5, 1, -1)

    def _inputs(self, rows: NDArray[np.intp]) -> Inputs:
        cell = self.variables["cell"][rows]
        inputs = np.zeros((len(rows), 3), np.float32)
        sign = self.variables["signs"][rows, np.minimum(cell, self._corridor - 1)]
        inputs[:, 0] = sign * (cell < self._corridor)
        inputs[:, 1] = cell == 0
        inputs[:, 2] = cell == self._corridor
        return inputs

    def _act(self, action: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        v, reward, over = self.variables, np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        move(action, v["signs"], v["cell"], v["bumps"], v["success"], reward, over)
        return reward, over

    def expert_action(self) -> NDArray[np.int64]:
        """Straight on `[B]`, and at the junction to the side of the cue, which the expert looks up."""
        turn = np.where(self.variables["signs"][:, 0] > 0, LEFT, RIGHT)
        return np.where(self.variables["cell"] < self._corridor, FORWARD, turn)

    def _figures(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        return {name: self.variables[name][rows] for name in ("success", "bumps", "cell")}


class TMaze(SingleEnv):
    """A corridor of K cells with a junction at its end; the arguments are those of `TMazeVector` without `num_envs`.

    The first cell shows the cue, -1 or 1, and marks it. Every further cell shows -1 or 1 in the same channel, at random
    and without a mark; a cell shows the same as long as the agent stays.

    Observation `[3]`: the sign; the mark; whether this is the junction, which shows no sign.
    Actions: 0 forward, 1 left, 2 right. In the corridor only forward is free, at the junction only left and right. An
    action against a wall is rewarded with -0.05 and leaves the agent where it is. The turn ends the episode: left is
    rewarded with 1 after the cue 1 and with -1 after the cue -1, right the other way round. An episode without a turn
    is truncated after `max_steps`. The expert earns 1 in K + 1 steps; who walks straight on without a memory of the cue
    earns 0 on average, with half of the turns right.

    Info: `success`, whether the episode ended with the right turn; `bumps` so far; `cell`, 0 to K, or K + 1 after the
    turn.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(TMazeVector, **kwargs)


@njit(cache=True, nogil=True)
def move(action, signs, cell, bumps, success, reward, over):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Carry out actions `[B]`; see `TMaze` for the rules and `TMazeVector` for the arrays, which are overwritten."""
    corridor = signs.shape[1]
    for b in range(len(action)):
        at_junction = cell[b] == corridor
        if (action[b] != FORWARD) != at_junction:
            bumps[b] += 1
            reward[b] = BUMP
        else:
            cell[b] += 1
            if at_junction:
                over[b] = True
                success[b] = (action[b] == LEFT) == (signs[b, 0] > 0)
                reward[b] = 1.0 if success[b] else -1.0
