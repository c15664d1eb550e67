"""Memory tasks that show a drawn sequence and ask about it: delayed non-match to sample, parity, copying.

All that an episode shows is drawn when it begins. An action counts only when a question is asked, and changes nothing
that is shown. Every question has two possible answers, each right half of the time, so that whoever does not look earns
0 on average; the expert, which knows the right answers, earns the most there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer

from .episode_vector import Floats
from .memory_kernels import write_copy, write_non_match, write_parity
from .memory_vector import MOST_STEPS, MemoryVector, check_last_reward, checked_steps
from .single_env import SingleEnv
from .vector_tools import require

MOST_SYMBOLS = 64


class NonMatchVector(MemoryVector):
    """B rows of delayed non-match to sample; see `NonMatch`.

    Args:
        num_envs: B.
        symbols: number of symbols, S.
        delay: the longest delay, in steps.
        random_delay: whether the delay is drawn from delay / 2 (rounded up) to delay in every trial, or always delay.
        distractors: whether random symbols are shown during the delay.
        trials: per episode.
        last_reward: whether the last reward is observed (of several trials); see `PlainVector` for what it tells.
        last_action: whether the last action is observed; likewise.
        render_mode: None or `"rgb_array"`.
    """

    counted, ones = "trials", "non_matches"

    def __init__(
        self,
        num_envs: int = 1,
        *,
        symbols: int = 4,
        delay: int = 20,
        random_delay: bool = True,
        distractors: bool = True,
        trials: int = 1,
        last_reward: bool = False,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self._symbols = checked_integer("symbols", symbols, 2, MOST_SYMBOLS)
        longest = checked_integer("delay", delay, 1, MOST_STEPS - 2)
        require("random_delay", random_delay, (True, False))
        require("distractors", distractors, (True, False))
        self._trials = checked_integer("trials", trials, 1, MOST_STEPS // 3)
        check_last_reward(last_reward, "trials", self._trials)
        steps = checked_steps(self._trials * (longest + 2), {"trials": self._trials, "delay": longest})
        self._shortest, self._longest = (longest + 1) // 2 if random_delay else longest, longest
        self._distractors = distractors
        super().__init__(
            num_envs,
            steps,
            low=[0.0] * (self._symbols + 1),
            draws=self._trials * (4 + longest),
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        v, numbers = self.variables, drawn.reshape(len(rows), self._trials, -1)
        options = self._shortest, self._longest, self._symbols, self._distractors
        write_non_match(rows, numbers, v["inputs"], v["answers"], v["worth"], v["length"], *options)


class NParityVector(MemoryVector):
    """B rows of parity; see `NParity`.

    Args:
        num_envs: B.
        bits: N, bits of an episode.
        last_action: whether the last action is observed; see `PlainVector` for what it tells. (There is no option for
            the last reward: an episode has one, in its last step.)
        render_mode: None or `"rgb_array"`.
    """

    counted, ones = "trials", "odd"

    def __init__(
        self,
        num_envs: int = 1,
        *,
        bits: int = 8,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        bits = checked_integer("bits", bits, 1, MOST_STEPS - 1)
        super().__init__(
            num_envs,
            bits + 1,
            low=[-1.0, 0.0],
            draws=bits,
            last_reward=False,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        write_parity(rows, drawn, self.variables["inputs"], self.variables["answers"], self.variables["worth"])


class CopyVector(MemoryVector):
    """B rows of copying; see `Copy`.

    Args:
        num_envs: B.
        length: L, bits of the pattern.
        delay: steps between pattern and recall.
        last_reward: whether the last reward is observed; see `PlainVector` for what it tells.
        last_action: whether the last action is observed; likewise.
        render_mode: None or `"rgb_array"`.
    """

    counted, ones = "bits", "ones"

    def __init__(
        self,
        num_envs: int = 1,
        *,
        length: int = 10,
        delay: int = 10,
        last_reward: bool = False,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        length = checked_integer("length", length, 1, MOST_STEPS // 2)
        self._delay = checked_integer("delay", delay, 0, MOST_STEPS - 2)
        check_last_reward(last_reward, "length", length)
        steps = checked_steps(2 * length + self._delay, {"length": length, "delay": self._delay})
        super().__init__(
            num_envs,
            steps,
            low=[-1.0, 0.0, 0.0],
            draws=length,
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        v = self.variables
        write_copy(rows, drawn, v["inputs"], v["answers"], v["worth"], self._delay)


class NonMatch(SingleEnv):
    """Delayed non-match to sample: is the second marked symbol another than the first?

    The arguments are those of `NonMatchVector` without `num_envs`. A trial shows a sample, one of S symbols, for one
    step; then for as many steps as the delay lasts, which is drawn, random symbols in the same channels; then the test
    symbol. Sample and test are marked, the symbols between them are not. With probability 1/2 the test is the sample,
    else one of the other symbols. The next trial follows at once; the episode ends with the last.

    Observation `[S + 1]`: the symbol, one-hot (zeros in a delay without distractors), and the mark.
    Actions: 0 match, 1 non-match. While the test is shown the right one is rewarded with 1, the wrong one with -1; else
    actions do nothing. A constant or a random answer earns 0 on average, the expert 1 per trial. One that sees the test
    only cannot do better than chance.

    Info: `trials` so far and how many were `correct`; how many were `non_matches`, and of these `correct_non_matches`;
    `balanced_accuracy`, the mean over match and non-match (where there were any) of the share of right answers;
    `success`: the episode is over and every answer was right.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NonMatchVector, **kwargs)


class NParity(SingleEnv):
    """Parity: is the number of ones among all N bits of the episode odd?

    The arguments are those of `NParityVector` without `num_envs`. One random bit is shown in each of N steps; the step
    after shows no bit but the query, and the episode ends with its answer. (It is neither the running parity, asked in
    every step, nor that of the last N bits of an endless stream.) Every bit counts as much as any other.

    Observation `[2]`: the bit as -1 or 1 (0 beside the query), and the query.
    Actions: 0 even, 1 odd. To the query the right one is rewarded with 1, the wrong one with -1; else actions do
    nothing. Whoever misses a single bit earns 0 on average, the expert 1.

    Info: as that of `NonMatch`, with `odd` in place of `non_matches`; there is one trial in an episode.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(NParityVector, **kwargs)


class Copy(SingleEnv):
    """Copying: say the bits that were shown, in their order.

    The arguments are those of `CopyVector` without `num_envs`. L random bits are shown, one in each step; after the
    delay, during which nothing is shown, L steps ask for the bits, the first one first.

    Observation `[3]`: the bit as -1 or 1 (else 0); whether a bit is shown; whether one is asked for.
    Actions: the bit, 0 or 1; only while one is asked for.

    Only the recall of bits is scored, and both values count equally whatever the pattern: where both occur, a right
    answer to one of n bits of a value is rewarded with 1 / 2n and a wrong one with -1 / 2n; where all are equal, with
    1 / L and -1 / L. So the return is 2 `balanced_accuracy` - 1: 1 for the expert, 0 on average for an answer that does
    not depend on the pattern.

    Info: `bits` asked for so far and how many were `correct`; how many were `ones`, and of these `correct_ones`;
    `balanced_accuracy`, the mean over both values (where they occurred) of the share of right answers; `success`: the
    episode is over and every bit was right.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(CopyVector, **kwargs)
