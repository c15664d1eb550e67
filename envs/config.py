"""Options of the environments as configuration. Imports no mujoco, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Literal

from neuroctl.config import EnvConfig


@dataclass(frozen=True)
class LaneFollowConfig(EnvConfig):
    """`neuroctl/LaneFollow-v0`."""

    id: str = "neuroctl/LaneFollow-v0"
    """Gymnasium id."""
    observation: Literal["state", "retina"] = "retina"
    """What the controller sees."""
    retina_size: tuple[int, int] = (16, 64)
    """Rows and columns of the retina."""
    camera: Literal["near", "far"] = "near"
    """near sees 2.5 m ahead, far to the horizon."""
    blackout_s: float = 0.0
    """Duration of the random blackouts of the camera; 0 is none."""
    track: Literal["loop", "random"] = "random"
    """The loop, or roads drawn from track_seeds."""
    track_seeds: tuple[int, int] = (0, 100)
    """Range [start, stop) of random roads; held-out roads are another range."""
    discrete_steering: bool = False
    """Five steering commands in place of an angle."""
    max_steps: int = 1000
    """Control steps of 20 ms after which an episode is truncated."""
    crash_pause_s: float = 0.0
    """Time without reward after leaving the lane, before the episode ends."""
