from pathlib import Path
from typing import Any

import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.launch.change_plan import CLEAN, SHIFTS, Arguments, changes_of, unfit
from neuroctl.launch.populations import TASKS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minutes": 0.0}, "minutes is 0; allowed: from one control step on, 1/3000"),
        ({"minutes": float("nan")}, "minutes is nan"),
        ({"minutes": float("inf")}, "minutes is inf"),
        ({"recovery_minutes": 12.0}, "recovery_minutes is 12; allowed: multiples of 5"),
        ({"recovery_minutes": 0.0}, "recovery_minutes is 0; allowed: multiples of 5"),
        ({"recovery_minutes": float("inf")}, "recovery_minutes is inf"),
    ],
)
def test_impossible_times_are_refused(options: Any, message: str) -> None:
    with pytest.raises(NeuroctlError, match=f"^{message}"):
        Arguments(**options)


def test_minutes_are_control_steps_of_20_ms() -> None:
    options = Arguments(minutes=15, recovery_minutes=60)
    assert (options.steps, options.recovery_steps) == (15 * 60 * 50, 60 * 60 * 50)


def test_every_condition_has_a_file_of_its_own() -> None:
    """Frozen agents do not depend on how long others learn."""
    short, long = Arguments(minutes=5, recovery_minutes=30), Arguments(out=Path("runs/study_spore_change"))
    assert short.shift_path("ball", "gain:3", "frozen") == long.shift_path("ball", "gain:3", "frozen")
    assert short.shift_path("ball", "gain:3", "goes on") != long.shift_path("ball", "gain:3", "goes on")
    paths = {long.shift_path(task, shift, mode) for task in TASKS for shift in SHIFTS for mode in ("frozen", "goes on")}
    paths |= {
        options.switch_path(task, condition, change)
        for task in TASKS
        for condition in ("T 0", "T 1")
        for change in changes_of(task)
        for options in (short, long)
    }
    assert len(paths) == 3 * len(SHIFTS) * 2 + (3 + 3 + 2) * 2 * 2


@pytest.mark.parametrize("task", TASKS)
def test_all_shifts_fit_but_those_of_images(task: Any) -> None:
    """Agents that see events see a brighter scene, but cannot be shown an image with less contrast."""
    assert not any(unfit(task, shift) for shift in (CLEAN, *SHIFTS))
    assert "needs an image" in str(unfit(task, "contrast:3"))


def test_a_lane_has_no_goal() -> None:
    assert "goal" not in changes_of("lane")
    assert "goal" in changes_of("ball")
