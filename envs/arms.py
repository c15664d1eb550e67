"""The two arms of `neuroctl/ArmReach-v0`: their MJCF, where their targets lie, and the gains of their expert.

`planar2` has the masses, lengths, gears, damping and integrator of Gymnasium's Reacher-v5. `spatial7` is made of
primitives after collaborative arms with seven joints: 17 kg in motion, 0.85 m of reach, torques of 90 N m at the
shoulder down to 40 N m at the wrist, 0.1 kg m^2 of rotor inertia on every joint. Links do not touch anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dynamics import scale_model

Floats = NDArray[np.float64]
Vector = tuple[float, ...]

TIP = "tip"
"""Name of the site at the fingertip."""
TARGET = "target"
"""Name of the mocap body that shows the target; it takes no part in the physics."""
CAMERA = "view"
_COS2_HALF_SECTOR = 0.8535533905932737
"""Squared cosine of 22.5 degrees."""


@dataclass(frozen=True)
class Workspace:
    """Where targets lie: a disc, or an upright cylinder with its height, around a centre.

    Attributes:
        centre_m: x, y of the plane, or x, y, z.
        radius_m: of the disc.
        half_height_m: of the cylinder; None in the plane.
    """

    centre_m: Vector
    radius_m: float
    half_height_m: float | None = None

    def draw(self, rng: np.random.Generator, target_set: str = "all") -> Floats:
        """A target `[2]` or `[3]`, m, uniform over the set.

        Args:
            rng: where numbers come from.
            target_set: `"all"`, `"held-out"` (see `is_held_out`) or `"train"` (the rest).
        """
        while True:
            x, y = rng.uniform(-self.radius_m, self.radius_m, 2).tolist()
            inside = x * x + y * y < self.radius_m * self.radius_m
            if inside and target_set in ("all", "held-out" if is_held_out(x, y) else "train"):
                break
        offset = [x, y]
        if self.half_height_m is not None:
            offset.append(rng.uniform(-self.half_height_m, self.half_height_m))
        return np.add(self.centre_m, offset, dtype=np.float64)


def is_held_out(x: float, y: float) -> bool:
    """Whether an offset from the centre of the workspace lies in the two sectors that `"train"` leaves out.

    They are 45 degrees wide, around the diagonals x = y > 0 and x = y < 0: a quarter of all targets.
    """
    return (x + y) * (x + y) > 2 * _COS2_HALF_SECTOR * (x * x + y * y)


@dataclass(frozen=True)
class Arm:
    """What the task must know of an arm.

    Attributes:
        name: as in the option `arm`.
        body: MJCF of the arm and its camera, inside `<worldbody>`; `{body}` stands for attributes of each body.
        option: attributes of MJCF's `<option>`.
        joints: names, from the base to the tip.
        torque_nm: largest torque of each joint; a torque command of 1.
        speed_rad_s: largest speed of each joint; a velocity command of 1.
        servo_nms: gain of each joint's velocity servo, N m s/rad.
        shoulder_m, reach_m: targets farther than the reach from the shoulder cannot be touched.
        home_rad: posture at the start of an episode, around which IK redundancy is resolved.
        start_rad, start_rad_s: bounds of the uniform noise of posture and velocity at the start.
        workspace: where targets lie.
        success_m: a target is hit within this distance.
        hold_m: a fingertip that stays within this distance of its start counts as held.
        control_weight: factor of the squared action in the reward.
        extent_m, observed_rad_s: bounds of positions and velocities in the observation space.
        steps: control steps of an episode for each task.
        weighs: gravity loads the joints.
        expert_rad_s: natural frequency of the expert's PD controller of torques, critically damped.
        expert_hz: gain of the expert's controller of velocities, 1/s.
        field_nsm: default strength of the force field, N s/m.
    """

    name: str
    body: str
    option: str
    joints: tuple[str, ...]
    torque_nm: Vector
    speed_rad_s: Vector
    servo_nms: Vector
    shoulder_m: Vector
    reach_m: float
    home_rad: Vector
    start_rad: float
    start_rad_s: float
    workspace: Workspace
    success_m: float
    hold_m: float
    control_weight: float
    extent_m: float
    observed_rad_s: float
    steps: Mapping[str, int]
    weighs: bool
    expert_rad_s: float
    expert_hz: float
    field_nsm: float

    @property
    def dims(self) -> int:
        """Dimensions of the workspace, 2 or 3."""
        return len(self.workspace.centre_m)


def arm_xml(arm: Arm, command: str) -> str:
    """MJCF of an arm under `"torque"` or `"velocity"` commands.

    Velocity servos come with ideal gravity compensation, as in the controllers of real arms. Torques act as they are.
    """
    body = 'gravcomp="1"' if command == "velocity" and arm.weighs else ""
    size = arm.success_m
    return f"""
<mujoco model="{arm.name}">
  <compiler angle="radian"/>
  <option {arm.option}><flag contact="disable"/></option>
  <visual><headlight ambient="0.5 0.5 0.5" diffuse="0.4 0.4 0.4" specular="0 0 0"/></visual>
  <default><geom contype="0" conaffinity="0" rgba="0.25 0.4 0.6 1"/></default>
  <worldbody>
    {arm.body.format(body=body)}
    <body name="{TARGET}" mocap="true"><geom type="sphere" size="{size}" mass="0" rgba="0.85 0.2 0.15 1"/></body>
  </worldbody>
  <actuator>{"".join(_actuators(arm, command))}</actuator>
</mujoco>
"""


def _actuators(arm: Arm, command: str) -> list[str]:
    if command == "torque":
        pairs = zip(arm.joints, arm.torque_nm, strict=True)
        return [f'<motor joint="{joint}" gear="{torque}" ctrlrange="-1 1"/>' for joint, torque in pairs]
    rows = zip(arm.joints, arm.torque_nm, arm.speed_rad_s, arm.servo_nms, strict=True)
    return [
        f'<velocity joint="{joint}" kv="{gain}" ctrlrange="-{speed} {speed}" forcerange="-{torque} {torque}"/>'
        for joint, torque, speed, gain in rows
    ]


def scale_arm(model: Any, factors: Mapping[str, float]) -> None:
    """Apply dynamics factors; all friction of the arms is viscous, so `friction` scales the joints' damping too."""
    scale_model(model, factors)
    if "friction" in factors:
        model.dof_damping *= factors["friction"]


PLANAR2 = Arm(
    name="planar2",
    body="""
    <camera name="view" pos="0 0 0.62"/>
    <geom name="table" type="plane" size="0.3 0.3 0.1" rgba="0.9 0.9 0.88 1"/>
    <body name="upper" pos="0 0 0.01">
      <joint name="shoulder" axis="0 0 1" armature="1" damping="1"/>
      <geom type="capsule" size="0.01" fromto="0 0 0 0.1 0 0"/>
      <body name="lower" pos="0.1 0 0">
        <joint name="elbow" axis="0 0 1" armature="1" damping="1" range="-3 3"/>
        <geom type="capsule" size="0.01" fromto="0 0 0 0.1 0 0"/>
        <geom type="sphere" size="0.01" pos="0.11 0 0" rgba="0.1 0.7 0.5 1"/>
        <site name="tip" size="0.002" pos="0.11 0 0"/>
      </body>
    </body>""",
    option='timestep="0.01" integrator="RK4"',
    joints=("shoulder", "elbow"),
    torque_nm=(200.0, 200.0),
    speed_rad_s=(20.0, 20.0),
    servo_nms=(100.0, 100.0),
    shoulder_m=(0.0, 0.0),
    reach_m=0.21,
    home_rad=(0.0, 0.0),
    start_rad=0.1,
    start_rad_s=0.005,
    workspace=Workspace((0.0, 0.0), 0.2),
    success_m=0.01,
    hold_m=0.02,
    control_weight=1.0,
    extent_m=0.5,
    observed_rad_s=1000.0,
    steps={"reach": 50, "delayed": 130},
    weighs=False,
    expert_rad_s=9.0,
    expert_hz=6.0,
    field_nsm=400.0,
)

_HINGES = {
    "yaw": ('axis="0 0 1"', "-2.9 2.9"),
    "shoulder": ('axis="0 1 0"', "-2 2"),
    "elbow": ('axis="0 1 0"', "0.05 2.6"),
    "bend": ('axis="0 1 0"', "-1.8 1.8"),
    "side": ('axis="1 0 0"', "-1.5 1.5"),
}


def _link(number: int, hinge: str, offset_m: float, mass_kg: float, length_m: float, radius_m: float) -> str:
    """Opens the body of a link along z that turns about its lower end."""
    axis, limits = _HINGES[hinge]
    shape = f'type="capsule" size="{radius_m}" fromto="0 0 0 0 0 {length_m}"'
    return f"""
    <body name="link{number}" pos="0 0 {offset_m}" {{body}}>
      <joint name="j{number}" {axis} range="{limits}" armature="0.1" damping="1"/>
      <geom {shape} mass="{mass_kg}" rgba="{0.85 - 0.07 * number:.2f} 0.5 {0.2 + 0.07 * number:.2f} 1"/>"""


_SPATIAL7_BODY = (
    """
    <camera name="view" pos="1.3 -1.5 1.2" xyaxes="0.77 0.64 0 -0.31 0.37 0.88" fovy="45"/>
    <geom name="floor" type="plane" size="1.2 1.2 0.1" rgba="0.9 0.9 0.88 1"/>
    <geom name="pedestal" type="cylinder" size="0.09 0.13" pos="0 0 0.13" rgba="0.4 0.4 0.4 1"/>"""
    + _link(1, "yaw", 0.25, 3.5, 0.1, 0.07)
    + _link(2, "shoulder", 0.1, 3.5, 0.2, 0.06)
    + _link(3, "yaw", 0.2, 3.0, 0.2, 0.055)
    + _link(4, "elbow", 0.2, 2.5, 0.175, 0.05)
    + _link(5, "yaw", 0.175, 2.0, 0.175, 0.045)
    + _link(6, "bend", 0.175, 1.5, 0.03, 0.04)
    + _link(7, "side", 0.03, 1.0, 0.05, 0.03)
    + """
      <site name="tip" size="0.01" pos="0 0 0.07" rgba="0.1 0.7 0.5 1"/>"""
    + "</body>" * 7
)

SPATIAL7 = Arm(
    name="spatial7",
    body=_SPATIAL7_BODY,
    option='timestep="0.004" integrator="implicitfast"',
    joints=tuple(f"j{number}" for number in range(1, 8)),
    torque_nm=(90.0, 90.0, 70.0, 70.0, 40.0, 40.0, 40.0),
    speed_rad_s=(2.0, 2.0, 2.0, 2.0, 2.5, 2.5, 2.5),
    servo_nms=(100.0, 100.0, 50.0, 50.0, 20.0, 20.0, 20.0),
    shoulder_m=(0.0, 0.0, 0.35),
    reach_m=0.85,
    home_rad=(0.0, 0.45, 0.0, 1.9, 0.0, 0.0, 0.0),
    start_rad=0.05,
    start_rad_s=0.0,
    workspace=Workspace((0.5, 0.0, 0.4), 0.25, 0.25),
    success_m=0.05,
    hold_m=0.05,
    control_weight=0.01,
    extent_m=2.0,
    observed_rad_s=100.0,
    steps={"reach": 100, "delayed": 180},
    weighs=True,
    expert_rad_s=10.0,
    expert_hz=6.0,
    field_nsm=30.0,
)

ARMS = {arm.name: arm for arm in (PLANAR2, SPATIAL7)}
