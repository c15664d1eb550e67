"""Centre-out reaching with the two-joint arm: eight targets around a bent start posture, and a difference to see.

The task of Georgopoulos et al. 1982 (Journal of Neuroscience 2(11), "On the relations between the direction of
two-dimensional arm movements and cell discharge in primate motor cortex"), of Shadmehr and Mussa-Ivaldi 1994 (force
field) and of Krakauer et al. 2000 (Journal of Neuroscience 20(23), rotation), small enough for one layer of synapses.
`register` makes it known as `study/CentreOut-v0` and the experiment of `preset` as `study-arm`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl import registry
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import EnvConfig, TrainConfig
from neuroctl.envs.arm_reach import ArmReachVector
from neuroctl.envs.mujoco_batch import Batch, Row
from neuroctl.envs.single_env import SingleEnv
from neuroctl.launch import presets

ID = "study/CentreOut-v0"
PRESET = "study-arm"
HOME_RAD = (-0.833, 1.571)
"""Shoulder and elbow at the start, give or take 0.02 rad: the fingertip is 15 cm ahead, the elbow at a right angle."""
START_SHARE = 0.2
"""Of the scatter of postures with which the arm of `neuroctl/ArmReach-v0` starts."""
CENTRE_M = (
    0.1 * math.cos(HOME_RAD[0]) + 0.11 * math.cos(HOME_RAD[0] + HOME_RAD[1]),
    0.1 * math.sin(HOME_RAD[0]) + 0.11 * math.sin(HOME_RAD[0] + HOME_RAD[1]),
)
"""The fingertip in that posture, about which a rotation turns the cursor."""
RADIUS_M = 0.08
TARGETS = 8
SEEN_M = 0.12
"""Bound of what is observed."""
EFFORT = 0.1
"""Weight of the squared action in the reward."""
MAX_STEPS = 50

Floats = NDArray[np.float64]


class CentreOutVector(ArmReachVector):
    """B arms of `neuroctl/ArmReach-v0` (planar2, velocity commands) that reach for one of eight targets in a trial.

    Observed is the vector in m from target to cursor, `[2]`. The reward is -distance - 0.1 |action|^2. Perturbations
    and their blocks are those of `ArmReach`; the rotation turns the cursor about the start of the movement.

    Args:
        num_envs: B.
        perturbation: None, `"force-field"` or `"rotation"`.
        perturbation_strength: N s/m or degrees; None is the default of `ArmReach`.
        block_episodes: trials of a block, without and with the perturbation in turn; None perturbs all.
        max_steps: control steps of 20 ms of a trial.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        perturbation: str | None = None,
        perturbation_strength: float | None = None,
        block_episodes: int | None = None,
        max_steps: int = MAX_STEPS,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(
            num_envs,
            command="velocity",
            observe_velocity=False,
            perturbation=perturbation,
            perturbation_strength=perturbation_strength,
            block_episodes=block_episodes,
            max_steps=max_steps,
            render_mode=render_mode,
        )
        self._centre = np.array(CENTRE_M)

    def _observations(self) -> gym.spaces.Box:
        return gym.spaces.Box(-SEEN_M, SEEN_M, (2,), np.float32)

    def _reset_row(self, row: Row) -> None:
        super()._reset_row(row)
        kinematics = self._kinematics[row.index]
        row.qpos[:] = np.array(HOME_RAD) + START_SHARE * row.qpos
        row["tip"] = kinematics.tip(row.qpos)
        row["goal_qpos"] = kinematics.posture(row["target"], row.qpos)

    def _draw_target(self, rng: np.random.Generator) -> Floats:
        angle = 2 * math.pi * int(rng.integers(TARGETS)) / TARGETS
        return np.array([CENTRE_M[0] + RADIUS_M * math.cos(angle), CENTRE_M[1] + RADIUS_M * math.sin(angle)])

    def _effort(self, action: NDArray[Any]) -> Floats:
        effort: Floats = EFFORT * super()._effort(action)
        return effort

    def _observe_reach(self, batch: Batch) -> NDArray[np.float32]:
        return np.clip(self._gap(batch), -SEEN_M, SEEN_M).astype(np.float32)


class CentreOut(SingleEnv):
    """One arm; the arguments are those of `CentreOutVector` without `num_envs`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(CentreOutVector, **kwargs)


@dataclass(frozen=True)
class CentreOutConfig(EnvConfig):
    """`study/CentreOut-v0`."""

    id: str = ID
    """Gymnasium id."""
    perturbation: Literal["force-field", "rotation"] | None = None
    """A force across the movement, or a cursor turned about the start."""
    perturbation_strength: float | None = None
    """N s/m or degrees; absent, the arm's default."""
    block_episodes: int | None = None
    """Trials of a block, without and with the perturbation in turn; absent, all are with it."""
    max_steps: int = MAX_STEPS
    """Control steps of 20 ms after which a trial ends."""


def preset() -> TrainConfig:
    """SPORE learns centre-out reaching with two joints, from the vector between target and fingertip."""
    agent = SporeConfig(
        rule_options=("episode_length=300", "gradient_scale=5.0", "prior_precision=0.25", "initial=(1.5,0.5)"),
        learning_rate_per_s=2e-4,
        learning_rate_schedule="exponential",
        learning_rate_half_life_s=presets.HALF_LIFE_S,
        encoding="place",
        place_cells=8,
        input_limit_hz=40.0,
        drive_mv=2.5,
        readout_ms=50.0,
        readout_gain=0.0015,
    )
    return TrainConfig(
        env=CentreOutConfig(),
        agent=agent,
        preset=PRESET,
        steps=presets.SIMULATED_HOUR // 2,
        log_every=3000,
        checkpoint_every=presets.SIMULATED_HOUR // 6,
    )


def register() -> None:
    """Make environment and preset known by their names; once is enough, again does no harm."""
    if ID not in gym.registry:
        gym.register(
            id=ID,
            entry_point="neuroctl.launch.centre_out:CentreOut",
            vector_entry_point="neuroctl.launch.centre_out:CentreOutVector",
        )
    registry.presets.register(PRESET, "neuroctl.launch.centre_out:preset", "centre-out reaching, for studies")
