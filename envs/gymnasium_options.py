"""Options of Gymnasium's MuJoCo tasks: those the task itself documents, of the kind of their defaults.

Gymnasium does not check them: a negative noise or a wrong type shows up late or never.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

from neuroctl.checks import is_integer, is_number, shown
from neuroctl.errors import NeuroctlError
from neuroctl.vector import unknown_option

from .vector_tools import array_of, require

OWN = ("observe_velocity", "max_steps", "dynamics", "render_mode")
"""Options that every task has here."""
MOST_FRAMES = 1000
"""Bound of `frame_skip`, physics steps in a control step."""

_PICTURES = "frames are 240 x 320, from the task's camera"
INSTEAD = {
    "xml_file": "the robot is Gymnasium's; for one of your own see MujocoTask",
    "max_episode_steps": "give max_steps",
    **dict.fromkeys(("width", "height", "camera_id", "camera_name", "default_camera_config"), _PICTURES),
    **dict.fromkeys(("max_geom", "visual_options"), _PICTURES),
}
"""Gymnasium's options that are none here, and what to do."""


def task_options(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A task's own options, to be handed to Gymnasium.

    Raises:
        UnknownNameError: no such option.
        NeuroctlError: a value of another kind than the default, or out of range.
    """
    maker = load_env_creator(str(gym.spec(task).entry_point))
    parameters = inspect.signature(maker).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.kind != p.VAR_KEYWORD and p.name not in INSTEAD}
    for name in options:
        if name in INSTEAD:
            raise NeuroctlError(f"{name} is no option of neuroctl/{task}: {INSTEAD[name]}")
    if unknown := unknown_option(f"neuroctl/{task}", options, {*defaults, *OWN}):
        raise unknown
    return {name: _checked(name, value, defaults[name]) for name, value in options.items()}


def _checked(name: str, value: Any, default: Any) -> Any:
    """A value of the kind of its default."""
    if isinstance(default, bool):
        require(name, value, (True, False))
        return value
    if name == "main_body":
        return value  # see `check_body`
    if name == "frame_skip":
        if not (is_integer(value) and 1 <= value <= MOST_FRAMES):
            raise NeuroctlError(f"frame_skip is {shown(value)}; allowed: an integer from 1 to {MOST_FRAMES}")
        return int(value)
    if isinstance(default, tuple):
        return _checked_range(name, value)
    if not is_number(value) or (name == "reset_noise_scale" and value < 0):
        allowed = "a finite number >= 0" if name == "reset_noise_scale" else "a finite number"
        raise NeuroctlError(f"{name} is {shown(value)}; allowed: {allowed}")
    return value


def _checked_range(name: str, value: Any) -> tuple[float, float]:
    """Two numbers, the first below the second; -inf and inf are no bounds."""
    pair = array_of(value)
    numbers = pair is not None and pair.shape == (2,) and pair.dtype.kind in "iuf"
    if pair is None or not numbers or any(isinstance(end, (bool, np.bool_)) for end in value) or not pair[0] < pair[1]:
        raise NeuroctlError(f"{name} is {shown(value)}; allowed: two numbers, low < high (-inf, inf for no bound)")
    return float(pair[0]), float(pair[1])


def check_body(model: Any, options: Mapping[str, Any]) -> None:
    """Refuse a `main_body` that the robot does not have.

    Raises:
        NeuroctlError: neither the name nor the number of a body.
    """
    body = options.get("main_body", 1)
    names = [model.body(b).name for b in range(1, model.nbody)]
    if not (isinstance(body, str) and body in names) and not (is_integer(body) and 1 <= body < model.nbody):
        known = ", ".join(filter(None, names))
        raise NeuroctlError(f"main_body is {shown(body)}; allowed: 1 to {model.nbody - 1}, or one of {known}")
