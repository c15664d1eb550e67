"""What the memory tasks share that show a drawn sequence and ask about it: questions, answers, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError

from .episode_vector import Floats
from .memory_kernels import answer, figures
from .plain_vector import Inputs, PlainVector

CONTROL_DT_S = 0.05
"""Length of a step, for agents that need one."""
MOST_STEPS = 10_000
"""Of an episode."""


class MemoryVector(PlainVector):
    """B sequences of inputs that were drawn when their episodes began, with questions about them.

    Args:
        num_envs: B.
        max_steps: T, of the longest episode.
        low: least values `[D]` of the inputs.
        draws: numbers that an episode needs.
        last_reward: see `PlainVector`.
        last_action: see `PlainVector`.
        render_mode: None or `"rgb_array"`.

    Attributes:
        variables: state of the rows, `[B, ...]`. `inputs` `[T + 1, D]` float32 and, of each step, `answers` `[T]` int8
            (-1 where nothing is asked) and `worth` `[T]`, the reward of the right answer, minus that of the wrong one;
            `length`, steps of the episode; how often 0 and 1 were the right answers, `asked` `[2]`, and were given
            then, `right` `[2]`.
    """

    counted: ClassVar[str]
    """Name, in the info, of the number of questions so far."""
    ones: ClassVar[str]
    """Name of the number of those with the right answer 1."""

    def __init__(
        self,
        num_envs: int,
        max_steps: int,
        *,
        low: Sequence[float],
        draws: int,
        last_reward: bool,
        last_action: bool,
        render_mode: str | None,
    ) -> None:
        super().__init__(
            num_envs,
            max_steps,
            inputs=gym.spaces.Box(np.array(low, np.float32), np.ones(len(low), np.float32), dtype=np.float32),
            action=gym.spaces.Discrete(2),
            rewards=(-1.0, 1.0),
            variables={
                "inputs": np.zeros((max_steps + 1, len(low)), np.float32),
                "answers": np.full(max_steps, -1, np.int8),
                "worth": np.zeros(max_steps),
                "length": np.int64(max_steps),
                "asked": np.zeros(2, np.int64),
                "right": np.zeros(2, np.int64),
            },
            ranges={
                "answers": (-1, 1),
                "length": (1, max_steps),
                "asked": (0, max_steps),
                "right": (0, max_steps),
            },
            draws=draws,
            control_dt_s=CONTROL_DT_S,
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _inputs(self, rows: NDArray[np.intp]) -> Inputs:
        shown: Inputs = self.variables["inputs"][rows, np.minimum(self.steps[rows], self.max_steps)]
        return shown

    def _act(self, action: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        v, reward, over = self.variables, np.zeros(self.num_envs), np.zeros(self.num_envs, np.bool_)
        answer(action, self.steps, v["answers"], v["worth"], v["length"], v["asked"], v["right"], reward, over)
        return reward, over

    def expert_action(self) -> NDArray[np.int64]:
        """The right answers `[B]`; 0 where nothing is asked."""
        now = np.minimum(self.steps, self.max_steps - 1)
        answers = self.variables["answers"][np.arange(self.num_envs), now]
        right: NDArray[np.int64] = np.maximum(answers, 0).astype(np.int64)
        return right

    def _figures(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        v = self.variables
        counts, accuracy, success = figures(rows, self.steps, v["length"], v["asked"], v["right"])
        names = self.counted, "correct", self.ones, f"correct_{self.ones}"
        said: dict[str, NDArray[Any]] = {name: counts[k].copy() for k, name in enumerate(names)}
        return {**said, "balanced_accuracy": accuracy, "success": success}


def checked_steps(steps: int, options: Mapping[str, int]) -> int:
    """The length of an episode.

    Raises:
        NeuroctlError: these options make it too long.
    """
    if steps > MOST_STEPS:
        given = " and ".join(f"{name} {value}" for name, value in options.items())
        raise NeuroctlError(f"{given} make episodes of {steps} steps; allowed: up to {MOST_STEPS}")
    return steps


def check_last_reward(last_reward: Any, name: str, questions: int) -> None:
    """Refuse to show the last reward where only the last step of an episode has one.

    Raises:
        NeuroctlError: the option called `name` makes a single question.
    """
    if last_reward is True and questions == 1:
        raise NeuroctlError(f"last_reward needs {name} of 2 or more: a single answer is rewarded in the last step")
