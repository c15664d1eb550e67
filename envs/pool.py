"""A swimmer in a round pool: its body and motion, the places in the pool, and a path that passes by all of them.

The swimmer is a body in the plane with a heading. Thrust acts along the heading against the drag of the water, which is
the same in every direction, so that `dv/dt = (u h - v) / TAU_S` for the commanded speed u and the heading's unit vector
h: in a turn it drifts. The turn rate w follows its command u as `dw/dt = (u - w) / TURN_TAU_S`. The wall is round and
frictionless: a rope from the pool's centre, which no sense shows, ends where the body touches the wall, and gives way
by some millimetres.
"""

import math

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

Floats = NDArray[np.float64]

CONTROL_DT_S = 0.05
BODY_M = 0.05
"""Radius of the swimmer."""
PLATFORM_M = 0.12
"""Radius of the platform; the swimmer is on it when its centre is."""
MARGIN_M = 0.12
"""Water between the wall and the platform, at least."""
START_SHARE = 0.25
"""Every trial starts farther from the platform's edge than this share of the pool's radius."""
RADII_M = (0.5, 5.0)
"""Radii that a pool may have."""
MAX_SPEED_M_S = 0.4
MAX_TURN_RAD_S = math.pi
TAU_S = 0.2
TURN_TAU_S = 0.1
COMMANDS = np.array([[1.0, 0.0], [0.5, 1.0], [0.5, -1.0]]) * [MAX_SPEED_M_S, MAX_TURN_RAD_S]
"""Speed (m/s) and turn rate (rad/s) of the discrete commands forward, left, right."""

_MASS_KG, _INERTIA = 1.0, 1e-3
_LANE_M, _POINT_M = 0.2, 0.1
"""Distance of neighbouring rings of the search path, less than the platform is wide; and of points on them."""


def pool_xml(radius_m: float) -> str:
    """The MJCF text. Joints: x, y, yaw; controls: speed in m/s, turn rate in rad/s."""
    drag, turn_drag = _MASS_KG / TAU_S, _INERTIA / TURN_TAU_S
    return f"""
<mujoco model="pool">
  <option timestep="0.025" integrator="implicitfast" gravity="0 0 0"><flag contact="disable"/></option>
  <worldbody>
    <site name="centre"/>
    <body name="swimmer">
      <inertial pos="0 0 0" mass="{_MASS_KG}" diaginertia="{_INERTIA} {_INERTIA} {_INERTIA}"/>
      <joint name="x" type="slide" axis="1 0 0" damping="{drag}"/>
      <joint name="y" type="slide" axis="0 1 0" damping="{drag}"/>
      <joint name="yaw" type="hinge" axis="0 0 1" damping="{turn_drag}"/>
      <site name="swimmer"/>
    </body>
  </worldbody>
  <tendon>
    <spatial name="wall" limited="true" range="0 {radius_m - BODY_M!r}" solreflimit="0.05 1">
      <site site="centre"/><site site="swimmer"/>
    </spatial>
  </tendon>
  <actuator>
    <general name="thrust" site="swimmer" gear="1 0 0 0 0 0" gainprm="{drag}"/>
    <general name="turn" joint="yaw" gainprm="{turn_drag}"/>
  </actuator>
</mujoco>
"""


def checked_radius(radius_m: object) -> float:
    """The pool's radius.

    Raises:
        NeuroctlError: no number, or out of range.
    """
    if is_number(radius_m) and RADII_M[0] <= radius_m <= RADII_M[1]:
        return float(radius_m)
    raise NeuroctlError(f"radius_m is {shown(radius_m)}; allowed: {RADII_M[0]:g} to {RADII_M[1]:g} m")


def draw_platform(rng: np.random.Generator, radius_m: float) -> Floats:
    """The centre `[2]` of a platform, uniform where it is `MARGIN_M` from the wall."""
    return _draw_in_disk(rng, radius_m - PLATFORM_M - MARGIN_M)


def draw_start(rng: np.random.Generator, radius_m: float, platform_m: Floats) -> Floats:
    """x, y (m) and heading (rad) of a start, `[3]`: uniform in the pool, not near the platform, and in heading."""
    away = PLATFORM_M + START_SHARE * radius_m
    while True:
        place = _draw_in_disk(rng, radius_m - BODY_M)
        x, y = (place - platform_m).tolist()
        if x * x + y * y > away * away:
            return np.array([*place, rng.uniform(-np.pi, np.pi)])


def _draw_in_disk(rng: np.random.Generator, radius_m: float) -> Floats:
    while True:
        place = rng.uniform(-radius_m, radius_m, 2)
        x, y = place.tolist()
        if x * x + y * y <= radius_m * radius_m:
            return place


def search_path(radius_m: float) -> Floats:
    """Points `[n, 2]` of a closed path over every platform there can be: rings from the outermost to the centre."""
    points = [[0.0, 0.0]]
    ring = radius_m - PLATFORM_M - MARGIN_M - _LANE_M / 3
    rings = [ring - k * _LANE_M for k in range(math.ceil(ring / _LANE_M)) if ring - k * _LANE_M > _POINT_M / 2]
    for distance in reversed(rings):
        count = max(6, math.ceil(2 * math.pi * distance / _POINT_M))
        angles = [2 * math.pi * k / count for k in range(count)]
        points = [[distance * math.cos(a), distance * math.sin(a)] for a in angles] + points
    return np.array(points)
