"""What launch/study_spore_change.py does to trained populations, and where it keeps what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.populations import FROZEN_STEPS, TASKS, Task, environment, root_seed

Part = Literal["robustness", "switch"]
Mode = Literal["frozen", "goes on", "begun anew"]
Change = Literal["nothing", "goal", "lesion"]
MINUTE_STEPS = presets.SIMULATED_HOUR // 60
STRETCH_MINUTES = 5.0
"""Simulated time of a point of a recovery curve; a learning ball's episodes are as long."""
CLEAN = "clean"
SHIFTS = (
    "event-noise:4",
    "event-noise:5",
    "event-loss:3",
    "event-loss:4",
    "brightness:3",
    "brightness:5",
    "gain:3",
    "gain:5",
    "friction:3",
    "friction:5",
)
MODES: dict[Mode, bool | None] = {"frozen": None, "goes on": False, "begun anew": True}
"""Whether the schedules of learning begin anew; with None nothing is learned."""
TRAINED = "annealed"
"""Condition whose agents meet the shifts."""
TEMPERATURES = {"T 0": "0", "annealed": "0.1", "T 1": "1"}
"""Conditions whose agents meet a switch, and their temperature."""
CHANGES: dict[Change, str] = {
    "nothing": "nothing changed",
    "goal": "goal elsewhere",
    "lesion": "half of the synapses gone",
}
GOAL_M = (4.0, -4.0)


@dataclass(frozen=True)
class Arguments:
    """Change the world of trained spiking agents, or the agents; write docs/results/spore_change.md."""

    trained: Path = Path("runs/study_spore")
    """What launch/study_spore.py kept: the populations to begin with."""
    out: Path = Path("runs/study_spore_change")
    """Cache: measurements and recovery curves."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    tasks: tuple[Task, ...] = tuple(TASKS)
    """Tasks to run."""
    parts: tuple[Part, ...] = ("robustness", "switch")
    """Parts to run."""
    minutes: float = 15.0
    """Simulated time of learning under a shift."""
    recovery_minutes: float = 60.0
    """Simulated time of learning after a switch, a multiple of 5 minutes."""
    seed: int | None = None
    """Root seed of the populations, and of what happens to them here; default that of each task's published ones."""
    what: Literal["all", "table"] = "all"
    """Learn and measure, or only write the tables from the cache."""

    def __post_init__(self) -> None:
        """Refuse times without a step, and recovery curves that end between two points."""
        if not 1 <= self.minutes * MINUTE_STEPS < float("inf"):
            raise NeuroctlError(f"minutes is {self.minutes:g}; allowed: from one control step on, 1/{MINUTE_STEPS}")
        points = self.recovery_minutes / STRETCH_MINUTES
        if not (points >= 1 and points % 1 == 0):
            raise NeuroctlError(
                f"recovery_minutes is {self.recovery_minutes:g}; allowed: multiples of {STRETCH_MINUTES:g}"
            )

    @property
    def steps(self) -> int:
        """Control steps of learning under a shift."""
        return round(self.minutes * MINUTE_STEPS)

    @property
    def recovery_steps(self) -> int:
        """Control steps of learning after a switch."""
        return round(self.recovery_minutes * MINUTE_STEPS)

    def shift_path(self, task: Task, shift: str, mode: Mode) -> Path:
        """What agents do under a shift, after learning in this mode."""
        time = "" if MODES[mode] is None else f"-{self.minutes:g}min"
        name = f"{shift.replace(':', '-')}-{mode.replace(' ', '-')}{time}-s{root_seed(task, self.seed)}.json"
        return self.out / "robustness" / task / name

    def switch_path(self, task: Task, condition: str, change: Change) -> Path:
        """What agents of a condition do before and after a change; with the suffix .curve.jsonl, their recovery."""
        name = f"{change}-{condition.replace(' ', '_')}-{self.recovery_minutes:g}min-s{root_seed(task, self.seed)}.json"
        return self.out / "switch" / task / name


def changes_of(task: Task) -> tuple[Change, ...]:
    """What changes in a task; a lane has no goal."""
    return ("nothing", "lesion") if task == "lane" else ("nothing", "goal", "lesion")


@cache
def unfit(task: Task, shift: str) -> str | None:
    """Why a shift cannot be applied to the task; None where it can."""
    if shift == CLEAN:
        return None
    try:
        environment(task, 1, FROZEN_STEPS, (shift,)).close()
    except NeuroctlError as error:
        return str(error)
    return None
