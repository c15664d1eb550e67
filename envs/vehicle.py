"""A car-like vehicle in the plane: steered front wheel, driven rear axle, tyres that slip.

The chassis moves on two slides and a yaw hinge whose origin is the rear axle. Tyre forces are velocity actuators on
sites: proportional to the slip velocity (cornering stiffness) up to a limit that stands for friction. At low slip the
path of the rear axle has the radius of the bicycle model, R = WHEELBASE_M / tan(steering angle).
"""

from collections.abc import Mapping
from typing import Any

from .dynamics import scale_model

WHEELBASE_M = 0.3
SPEED_M_S = 1.0
MAX_STEER_RAD = 0.5235987755982988
CAMERA_HEIGHT_M = 0.4
CAMERA_X_M = 0.15
"""The camera stands above the middle of the wheelbase, this far ahead of the rear axle."""
CAMERA_FOVY_DEG = 23.7065
"""Vertical field of view of an image of 128 x 32 pixels that is 80 degrees wide."""
CAMERA_PITCH_DEG = {"near": 21.4, "far": 9.0}
"""Downward pitch. Near sees the ground 0.6 to 2.4 m ahead of the camera, far from 1.05 m to the horizon."""

X, Y, YAW, STEER = range(4)
"""Positions in `qpos` and `qvel`."""
CTRL_STEER, CTRL_DRIVE = 0, 1
TYRES = ("drive", "grip_rear", "grip_front")


def _camera(name: str) -> str:
    from math import cos, radians, sin

    pitch = radians(CAMERA_PITCH_DEG[name])
    # MuJoCo's cameras look along -z with y up; x axis points right of travel.
    return (
        f'<camera name="{name}" pos="{CAMERA_X_M} 0 {CAMERA_HEIGHT_M}" fovy="{CAMERA_FOVY_DEG}" '
        f'xyaxes="0 -1 0 {sin(pitch)} 0 {cos(pitch)}"/>'
    )


VEHICLE_XML = f"""
<mujoco model="vehicle">
  <option timestep="0.01" integrator="implicitfast" gravity="0 0 0">
    <flag contact="disable" constraint="disable"/>
  </option>
  <default>
    <geom contype="0" conaffinity="0" mass="0"/>
  </default>
  <worldbody>
    <geom name="ground" type="plane" size="20 20 0.1" rgba="0.5 0.5 0.5 1"/>
    <body name="chassis">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <joint name="yaw" type="hinge" axis="0 0 1"/>
      <inertial pos="{WHEELBASE_M / 2} 0 0.06" mass="3" diaginertia="0.02 0.05 0.05"/>
      <geom name="hull" type="box" pos="{WHEELBASE_M / 2} 0 0.08" size="0.2 0.09 0.03" rgba="0.8 0.2 0.15 1"/>
      <geom name="cabin" type="box" pos="{WHEELBASE_M / 2 - 0.03} 0 0.13" size="0.09 0.07 0.025" rgba="0.2 0.25 0.3 1"/>
      <geom name="wheel_rl" type="cylinder" pos="0 0.08 0.04" size="0.04 0.015" euler="90 0 0" rgba="0.1 0.1 0.1 1"/>
      <geom name="wheel_rr" type="cylinder" pos="0 -0.08 0.04" size="0.04 0.015" euler="90 0 0" rgba="0.1 0.1 0.1 1"/>
      <site name="rear" pos="0 0 0.04"/>
      {_camera("near")}
      {_camera("far")}
      <camera name="chase" pos="-1.2 0 0.9" xyaxes="0 -1 0 0.6 0 0.8"/>
      <body name="front" pos="{WHEELBASE_M} 0 0.04">
        <joint name="steer" type="hinge" axis="0 0 1" armature="0.002"/>
        <inertial pos="0 0 0" mass="0.1" diaginertia="0.0001 0.0001 0.0001"/>
        <geom name="wheel_f" type="cylinder" size="0.04 0.015" euler="90 0 0" rgba="0.1 0.1 0.1 1"/>
        <site name="front"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="steer" joint="steer" kp="2" dampratio="1" ctrlrange="-{MAX_STEER_RAD} {MAX_STEER_RAD}"/>
    <velocity name="drive" site="rear" gear="1 0 0 0 0 0" kv="30" forcerange="-6 6"/>
    <velocity name="grip_rear" site="rear" gear="0 1 0 0 0 0" kv="150" forcerange="-8 8"/>
    <velocity name="grip_front" site="front" gear="0 1 0 0 0 0" kv="150" forcerange="-8 8"/>
  </actuator>
</mujoco>
"""


def scale_vehicle(model: Any, factors: Mapping[str, float]) -> None:
    """Apply dynamics factors: `friction` scales tyre stiffness and limits, `gain` the steering response."""
    scale_model(model, {name: factors[name] for name in ("mass", "damping") if name in factors})
    if "friction" in factors:
        for name in TYRES:
            index = model.actuator(name).id
            model.actuator_forcerange[index] *= factors["friction"]
            model.actuator_gainprm[index, 0] *= factors["friction"]
            model.actuator_biasprm[index, 2] *= factors["friction"]
    if "gain" in factors:
        model.actuator_gainprm[model.actuator("steer").id, 0] *= factors["gain"]
