"""A ball on a walled square plane, seen by a camera far above.

The ball slides along x and y; a velocity servo drives each axis, `F = K (u - v) + C u` against the rolling resistance
`C v`, so that `dv/dt = (u - v) / TAU_S` without contact. Its force is limited to what a start from rest to full speed
needs, which stands for the friction of the floor. The walls are frictionless and give way by a few centimetres when
they are hit.
"""

from collections.abc import Mapping
from math import atan, degrees
from typing import Any

from .dynamics import scale_model

RADIUS_M = 2.0
HALF_SIDE_M = 10.0
REACH_M = HALF_SIDE_M - RADIUS_M
"""Largest coordinate of the ball's centre, where it touches a wall."""
GOAL_RADIUS_M = 2.0
"""The goal is a circle; only videos show it."""
MAX_SPEED_M_S = 4.0
TAU_S = 0.1
"""Time constant of the velocity servo."""
MASS_KG = 1.0
RESISTANCE = 0.2
"""Share of the rolling resistance in the damping `MASS_KG / TAU_S` of the velocity."""
CAMERA_DISTANCE_M = 1000.0
"""From the camera to the ball's centre: so far that its picture is a parallel projection to better than 1 mm."""
FLOOR_GREY, BALL_GREY = 1.0, 25 / 255
"""Grey values of floor and ball: a contrast of about 10 to 1."""

_TOTAL = MASS_KG / TAU_S
_LIMIT_N = _TOTAL * MAX_SPEED_M_S


def _camera(name: str, side_m: float) -> str:
    fovy = degrees(2 * atan(side_m / 2 / CAMERA_DISTANCE_M))
    return f'<camera name="{name}" pos="0 0 {RADIUS_M + CAMERA_DISTANCE_M}" fovy="{fovy!r}"/>'


def _wall(name: str, x: int, y: int) -> str:
    place, facing = f"{x * HALF_SIDE_M} {y * HALF_SIDE_M} 0", f"{-x} {-y} 0"
    return f'<geom name="{name}" type="plane" pos="{place}" zaxis="{facing}" size="12 12 1" rgba="0 0 0 0"/>'


def _servo(joint: str) -> str:
    return (
        f'<general name="{joint}" joint="{joint}" gainprm="{_TOTAL}" biastype="affine" '
        f'biasprm="0 0 {-_TOTAL * (1 - RESISTANCE)}" forcerange="{-_LIMIT_N} {_LIMIT_N}"/>'
    )


def ball_xml(goal_m: tuple[float, float] = (0.0, 0.0)) -> str:
    """The MJCF text, with the goal's mark about `goal_m`."""
    return f"""
<mujoco model="ball">
  <option timestep="0.005" integrator="implicitfast" gravity="0 0 0"/>
  <statistic center="0 0 0" extent="20"/>
  <visual>
    <headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/>
    <map znear="10" zfar="100"/>
    <quality numslices="96" numstacks="48"/>
  </visual>
  <default><geom condim="1"/><joint type="slide" damping="{_TOTAL * RESISTANCE}"/></default>
  <worldbody>
    {_camera("eye", 2 * HALF_SIDE_M)}
    {_camera("top", 2 * HALF_SIDE_M + 2)}
    <geom name="floor" type="plane" size="{HALF_SIDE_M + 0.1} {HALF_SIDE_M + 0.1} 1" contype="0" conaffinity="0"
      rgba="{FLOOR_GREY} {FLOOR_GREY} {FLOOR_GREY} 1"/>
    <site name="goal" type="cylinder" pos="{goal_m[0]!r} {goal_m[1]!r} 0" size="{GOAL_RADIUS_M} 0.01"
      rgba="0.2 0.7 0.3 1"/>
    {_wall("east", 1, 0)}
    {_wall("west", -1, 0)}
    {_wall("north", 0, 1)}
    {_wall("south", 0, -1)}
    <body name="ball" pos="0 0 {RADIUS_M}">
      <joint name="x" axis="1 0 0"/>
      <joint name="y" axis="0 1 0"/>
      <geom name="ball" type="sphere" size="{RADIUS_M}" mass="{MASS_KG}" rgba="{BALL_GREY} {BALL_GREY} {BALL_GREY} 1"/>
    </body>
  </worldbody>
  <actuator>{_servo("x")}{_servo("y")}</actuator>
</mujoco>
"""


BALL_XML = ball_xml()


def scale_ball(model: Any, factors: Mapping[str, float]) -> None:
    """Apply dynamics factors: `friction` scales the force limit, `gain` the speed that a command leads to."""
    scale_model(model, {name: factors[name] for name in ("mass", "damping", "gain") if name in factors})
    if "friction" in factors:
        model.actuator_forcerange *= factors["friction"]
