"""How learning rate and temperature fall in the course of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neuroctl.errors import NeuroctlError, UnknownNameError

from .plasticity import checked_real

ScheduleKind = Literal["constant", "exponential", "step"]
KINDS: tuple[ScheduleKind, ...] = get_args(ScheduleKind)


@dataclass(frozen=True)
class Schedule:
    """A factor that begins at 1 and halves again and again.

    At time t, with half-life H: 1 (constant), 0.5^(t / H) (exponential: as dx/dt = -x ln 2 / H), or 0.5^floor(t / H)
    (step: at once after each H).

    Raises:
        NeuroctlError: an unknown kind, a half-life that is missing or not positive, or one that a constant has no use
            for.
    """

    kind: ScheduleKind = "constant"
    """`"constant"`, `"exponential"` or `"step"`."""
    half_life_s: float | None = None
    """Simulated time in which the factor halves, > 0; only where it does."""

    def __post_init__(self) -> None:
        """Check both."""
        if self.kind not in KINDS:
            raise UnknownNameError("schedule", str(self.kind), KINDS)
        if self.half_life_s is None:
            if self.kind != "constant":
                raise NeuroctlError(f"schedule {self.kind!r} needs half_life_s, a number > 0")
            return
        if self.kind == "constant":
            raise NeuroctlError(
                f"half_life_s {self.half_life_s!r} has no effect on a constant schedule; leave it out, or choose "
                f"{' or '.join(repr(kind) for kind in KINDS[1:])}"
            )
        object.__setattr__(self, "half_life_s", checked_real("half_life_s", self.half_life_s, 0.0, above=True))

    def factor(self, time_s: float) -> float:
        """The factor, from 1 down to 0, after `time_s` >= 0 of simulated time.

        Raises:
            NeuroctlError: a time that is negative or no finite number.
        """
        time_s = checked_real("time_s", time_s, 0.0)
        if self.half_life_s is None:
            return 1.0
        halvings = time_s // self.half_life_s if self.kind == "step" else time_s / self.half_life_s
        return float(0.5**halvings)
