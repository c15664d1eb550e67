"""What a learning rule is shown of a reward: how it compares with what it was lately, or what it was a while ago."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import checked_integer, shown, whole_steps
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.finite import all_bounded

from .coding_kernels import filter_rewards
from .member_rows import member_rows
from .neurons import check_arrays, checked_signal
from .plasticity import State, checked_real

RewardFilterKind = Literal["raw", "ratio", "difference", "zscore"]
KINDS: tuple[RewardFilterKind, ...] = get_args(RewardFilterKind)
TAU_S = 50.0
"""Time constant of the running mean where none is given."""
FLOORS = {"ratio": 0.02, "zscore": 1e-3}
"""What is divided by is at least this, where nothing else is given."""
STATE = ("smoothed", "weight", "mean", "square")
"""What a filter remembers of each agent."""
FORMS = {"raw": (0, 0), "ratio": (0, 1), "difference": (1, 0), "zscore": (1, 2)}
"""What each kind subtracts and divides by, see `filter_rewards`."""
MOST_REWARD = 1e100
"""Of either sign: its square is a float."""


class RewardFilter:
    """Rewards of B agents, each compared with its own past.

    In control step n, with a_x = exp(-dt / tau_x), the reward r is smoothed and enters a running mean m and a running
    variance v, whose weights fall by a_m from each step to the one before:

        s <- r + a_s (s - r),   s = r in the first step
        m = sum_k a_m^(n - k) s_k / sum_k a_m^(n - k)
        v = sum_k a_m^(n - k) (s_k - m)^2 / sum_k a_m^(n - k)

    The result is s (raw), s / m (ratio), s - m (difference) or (s - m) / sqrt(v) (zscore). m and v are those of West
    1979 (Communications of the ACM 22(9), "Updating mean and variance estimates"), with weights that fade.

    Since the weights are divided by their sum (as Adam corrects its bias), m is at first the plain mean of all rewards
    so far, and the exponential one once several tau_s have passed. So there is no phase of tau_s in which a mean that
    began at zero, or at one chance reward, shows the rule rewards that are all too good or all too bad. m and v
    contain the present reward: the first result of difference and zscore is 0, that of ratio 1, and a zscore is at
    most sqrt(n - 1) in step n, and less than sqrt(tau_s / dt) ever after.

    Args:
        kind: `"raw"`, `"ratio"` (for rewards >= 0), `"difference"` or `"zscore"`.
        tau_s: time constant of mean and variance, at least one control step; 50 s where None. Not for raw rewards.
        smoothing_s: time constant of the low-pass before, >= 0; 0 is none.
        floor: least divisor, > 0, where there is one: of ratio the mean, 0.02 where None; of zscore the standard
            deviation, 0.001 where None.
        batch_size: B.
        control_dt_s: dt, time between two rewards.

    Raises:
        NeuroctlError: an unknown kind, a value out of range, or one that the kind has no use for.
    """

    def __init__(
        self,
        kind: RewardFilterKind = "difference",
        tau_s: float | None = None,
        smoothing_s: float = 0.0,
        floor: float | None = None,
        *,
        batch_size: int = 1,
        control_dt_s: float,
    ) -> None:
        if kind not in KINDS:
            raise UnknownNameError("reward filter", str(kind), KINDS)
        self.kind = kind
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.control_dt_s = dt_s = checked_real("control_dt_s", control_dt_s, 0.0, above=True)
        smoothing_s = checked_real("smoothing_s", smoothing_s, 0.0)
        smooth_decay = math.exp(-dt_s / smoothing_s) if smoothing_s > 0 else 0.0
        mean_decay = math.exp(-dt_s / self._checked_tau(tau_s, dt_s))
        self._constants = np.array([*FORMS[kind], self._checked_floor(floor), smooth_decay, mean_decay])
        self._past = np.zeros((len(STATE), self.batch_size))

    def _checked_tau(self, tau_s: float | None, dt_s: float) -> float:
        if tau_s is None:
            return max(TAU_S, dt_s)
        if self.kind == "raw":
            raise NeuroctlError(f"tau_s {shown(tau_s)} has no effect on raw rewards, which have no mean; leave it out")
        return checked_real("tau_s", tau_s, dt_s)

    def _checked_floor(self, floor: float | None) -> float:
        if floor is None:
            return FLOORS.get(self.kind, 0.0)
        if self.kind not in FLOORS:
            raise NeuroctlError(
                f"floor {shown(floor)} has no effect on reward filter {self.kind!r}; it is for {' and '.join(FLOORS)}"
            )
        return checked_real("floor", floor, 0.0, above=True)

    def filter(self, reward: ArrayLike) -> NDArray[np.float64]:
        """What the rule is to see, `[B]`, of the rewards `[B]` of one control step.

        Raises:
            NeuroctlError: another shape, or a reward beyond +-1e100; nothing has changed.
            NonFiniteError: NaN or infinity; nothing has changed.
        """
        r = checked_signal("reward", reward, (self.batch_size,), np.float64)
        if not all_bounded(r, MOST_REWARD):
            raise NeuroctlError(f"rewards must be from {-MOST_REWARD:g} to {MOST_REWARD:g}, got {np.abs(r).max():g}")
        out = np.empty(self.batch_size)
        filter_rewards(self._constants, r, self._past, out)
        return out

    def state_dict(self) -> State:
        """The complete state: copies of arrays `[B]`."""
        return {name: row.copy() for name, row in self._rows().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of another number of agents, or damaged; nothing has changed.
        """
        check_arrays("a reward filter", state, self._rows())
        self._keep({name: state[name] for name in STATE})

    def adopt(self, state: Mapping[str, Any], members: ArrayLike) -> None:
        """Begin with what members of another filter remember: row b with that of `members[b]`, integers `[B]`.

        Raises:
            NeuroctlError: no such member, or a damaged state; nothing has changed.
        """
        self._keep(member_rows("a reward filter", state, self._rows(), members))

    def _rows(self) -> dict[str, NDArray[np.float64]]:
        return dict(zip(STATE, self._past, strict=True))

    def _keep(self, state: dict[str, NDArray[np.float64]]) -> None:
        for name, array in state.items():
            least = -np.inf if name in ("smoothed", "mean") else 0.0
            if not (np.isfinite(array) & (array >= least)).all():
                raise NeuroctlError(f"{name} in the state of a reward filter has an impossible value")
        self._past = np.stack([state[name] for name in STATE])


def late_steps(name: str, delay_s: float, control_dt_s: float) -> int:
    """Control steps by which a reward is late.

    Raises:
        NeuroctlError: it comes within a control step; names it, the value and the step.
    """
    steps = whole_steps(delay_s, control_dt_s)
    if steps is None:
        raise NeuroctlError(f"{name} must be a multiple of the control step of {control_dt_s:g} s, got {delay_s:g}")
    return steps


def delayed(reward: NDArray[np.float64], late: NDArray[np.float64], step: int) -> NDArray[np.float64]:
    """The reward of D control steps ago, 0 before the first.

    Args:
        reward: of control step `step`, `[B]`.
        late: those of the last D steps `[D, B]`, which begin as zeros; brought up to date.
        step: control steps before this one.

    Returns:
        That of step `step - D`, `[B]`; `reward` itself where D is 0.
    """
    if not len(late):
        return reward
    place = step % len(late)
    earlier: NDArray[np.float64] = late[place].copy()
    late[place] = reward
    return earlier
