"""Options of `neuroctl/ArmReach-v0`: what is allowed, and one clear line for what is not."""

from __future__ import annotations

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError

from .arms import Arm
from .dynamics import LIMIT

CUE_STEPS = 5
"""The delayed task shows the target for 0.1 s."""
WAIT_STEPS = (25, 75)
"""Least and most steps from the end of the cue to the go signal: 0.5 to 1.5 s."""
LEAST_MOVE_STEPS = 25
"""The delayed task leaves at least 0.5 s after the last possible go signal."""
TASKS = ("reach", "delayed")
COMMANDS = ("torque", "velocity")
TARGET_SETS = ("all", "train", "held-out")
PERTURBATIONS = ("force-field", "rotation")
ROTATION_DEG = 30.0
MOST_ROTATION_DEG = 360.0


def checked_share(share: float, target_set: str) -> float:
    """The share of held-out targets.

    Raises:
        NeuroctlError: not in [0, 1], or nothing is left out.
    """
    if not (is_number(share) and 0 <= share <= 1):
        raise NeuroctlError(f"held_out_share is {shown(share)}; allowed: a number from 0 to 1")
    if share and target_set != "train":
        raise NeuroctlError(f"held_out_share needs target_set='train'; found {target_set!r}")
    return float(share)


def checked_blocks(block_episodes: int | None, perturbation: str | None) -> int | None:
    """Episodes in a block.

    Raises:
        NeuroctlError: not an integer of at least 1, or nothing is perturbed.
    """
    if block_episodes is None:
        return None
    if perturbation is None:
        raise NeuroctlError("block_episodes needs a perturbation ('force-field' or 'rotation'); found None")
    return checked_integer("block_episodes", block_episodes, 1)


def checked_strength(strength: float | None, perturbation: str | None, arm: Arm) -> float:
    """Strength of the perturbation, N s/m or degrees; the arm's default where None.

    Raises:
        NeuroctlError: not a number within its limits, or nothing is perturbed.
    """
    if perturbation is None:
        if strength is not None:
            raise NeuroctlError("perturbation_strength needs a perturbation ('force-field' or 'rotation'); found None")
        return 0.0
    if strength is None:
        return arm.field_nsm if perturbation == "force-field" else ROTATION_DEG
    most, unit = (LIMIT, "N s/m") if perturbation == "force-field" else (MOST_ROTATION_DEG, "degrees")
    if not (is_number(strength) and abs(strength) <= most):
        raise NeuroctlError(f"perturbation_strength is {shown(strength)}; allowed: -{most:g} to {most:g} {unit}")
    return float(strength)


def checked_steps(max_steps: int | None, arm: Arm, task: str) -> int:
    """Control steps of an episode; the arm's default for the task where None.

    Raises:
        NeuroctlError: not an integer of at least 1, or too few for the delayed task.
    """
    if max_steps is None:
        return arm.steps[task]
    steps, least = checked_integer("max_steps", max_steps, 1), CUE_STEPS + WAIT_STEPS[1] + LEAST_MOVE_STEPS
    if task == "delayed" and steps < least:
        raise NeuroctlError(
            f"max_steps is {steps}; task='delayed' needs at least {least}: cue, longest wait, 0.5 s to move"
        )
    return steps
