"""The planar arm in compiled code: what `mj_step` does for it, an order of magnitude sooner.

MuJoCo spends most of a step of so small a model on what does not depend on its size. The equations of motion, the
Runge-Kutta stages and the soft limit of the elbow are those of MuJoCo (documentation, chapter "Computation"); the
parameters are read from the compiled model, so that changes of the dynamics act alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numba import njit

from .arms import TIP, Floats

M11, M22, COUPLING, UPPER_M, LOWER_M, ARMATURE1, ARMATURE2, DAMPING1, DAMPING2, GEAR1, GEAR2 = range(11)
LOW, HIGH, WEIGHT, STIFFNESS, DAMPER, DMIN, DMAX, WIDTH, MIDPOINT, POWER = range(11, 21)
"""Columns of `two_link_table`: inertias, lengths, joints and actuators; then the elbow's limit."""


def two_link_table(models: Sequence[Any]) -> Floats:
    """Parameters `[len(models), 21]` of compiled models of the planar arm under torque commands."""
    made = {id(model): _parameters(model) for model in models}
    return np.array([made[id(model)] for model in models])


def _parameters(model: Any) -> list[float]:
    upper, lower = model.body("upper"), model.body("lower")
    length, joint = lower.pos[0], model.joint("elbow")
    i1, i2 = _inertia_about_joint(model, upper.id), _inertia_about_joint(model, lower.id)
    coupling = lower.mass[0] * length * model.body_ipos[lower.id, 0]
    force = model.actuator_gainprm[:, 0] * model.actuator_gear[:, 0]
    dmin, dmax, width, midpoint, power = joint.solimp
    timeconst, dampratio = max(joint.solref[0], 2 * model.opt.timestep), joint.solref[1]
    return [
        *(i1 + i2 + lower.mass[0] * length * length, i2, coupling, length, model.site(TIP).pos[0]),
        *(*model.dof_armature, *model.dof_damping, *force),
        *(*joint.range, model.dof_invweight0[1], 1 / (dmax * timeconst * dampratio) ** 2, 2 / (dmax * timeconst)),
        *(dmin, dmax, width, midpoint, power),
    ]


def _inertia_about_joint(model: Any, body: int) -> float:
    """Moment of inertia about the z axis through a body's origin, kg m^2."""
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, model.body_iquat[body])
    about_centre = (axes[6:] ** 2 * model.body_inertia[body]).sum()
    return float(about_centre + model.body_mass[body] * (model.body_ipos[body, :2] ** 2).sum())


@njit(cache=True, nogil=True)
def two_link_steps(table, qpos, qvel, ctrl, applied, steps, dt):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Positions, velocities and fingertips `[n, 2]` after some time steps of RK4.

    The fingertips are those of the last stage, which `mj_step` leaves in its data.

    Args:
        table: parameters `[n, 21]`.
        qpos: angles `[n, 2]`, rad.
        qvel: velocities `[n, 2]`, rad/s.
        ctrl: controls `[n, 2]`.
        applied: further torques `[n, 2]`, N m.
        steps: number of time steps.
        dt: their length, s.
    """
    rows = len(qpos)
    position, velocity, tips = qpos.copy(), qvel.copy(), np.empty((rows, 2))
    for i in range(rows):
        p = table[i]
        torque1 = p[GEAR1] * ctrl[i, 0] + applied[i, 0]
        torque2 = p[GEAR2] * ctrl[i, 1] + applied[i, 1]
        q1, q2, v1, v2 = position[i, 0], position[i, 1], velocity[i, 0], velocity[i, 1]
        s1, s2 = q1, q2
        for _ in range(steps):
            a1, a2 = _acceleration(p, q2, v1, v2, torque1, torque2)
            dq1, dq2, dv1, dv2 = v1 / 6, v2 / 6, a1 / 6, a2 / 6
            w1, w2 = v1, v2
            for stage in range(3):
                share = 1.0 if stage == 2 else 0.5
                weight = 1 / 6 if stage == 2 else 1 / 3
                s1, s2 = q1 + dt * share * w1, q2 + dt * share * w2
                w1, w2 = v1 + dt * share * a1, v2 + dt * share * a2
                a1, a2 = _acceleration(p, s2, w1, w2, torque1, torque2)
                dq1, dq2, dv1, dv2 = dq1 + weight * w1, dq2 + weight * w2, dv1 + weight * a1, dv2 + weight * a2
            q1, q2, v1, v2 = q1 + dt * dq1, q2 + dt * dq2, v1 + dt * dv1, v2 + dt * dv2
        position[i, 0], position[i, 1], velocity[i, 0], velocity[i, 1] = q1, q2, v1, v2
        tips[i, 0] = p[UPPER_M] * np.cos(s1) + p[LOWER_M] * np.cos(s1 + s2)
        tips[i, 1] = p[UPPER_M] * np.sin(s1) + p[LOWER_M] * np.sin(s1 + s2)
    return position, velocity, tips


@njit(cache=True, nogil=True)
def _acceleration(p, q2, v1, v2, torque1, torque2):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Joint accelerations, rad/s^2: M(q) a + c(q, v) = torque - damping v + force of the elbow's limit."""
    cos, sin = p[COUPLING] * np.cos(q2), p[COUPLING] * np.sin(q2)
    m11, m12, m22 = p[M11] + 2 * cos + p[ARMATURE1], p[M22] + cos, p[M22] + p[ARMATURE2]
    determinant = m11 * m22 - m12 * m12
    f1 = torque1 - p[DAMPING1] * v1 + sin * (2 * v1 + v2) * v2
    f2 = torque2 - p[DAMPING2] * v2 - sin * v1 * v1
    if q2 < p[LOW] or q2 > p[HIGH]:
        side = 1.0 if q2 < p[LOW] else -1.0
        depth = q2 - p[LOW] if side > 0 else p[HIGH] - q2
        free = side * (m11 * f2 - m12 * f1) / determinant
        f2 += side * _limit_force(p, depth, side * v2, free, m11 / determinant)
    return (m22 * f1 - m12 * f2) / determinant, (m11 * f2 - m12 * f1) / determinant


@njit(cache=True, nogil=True)
def _limit_force(p, depth, speed, free, compliance):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """MuJoCo's soft constraint for one joint limit: pushes with (a_ref - a_free) / (A + R) where that is positive.

    Args:
        p: parameters.
        depth: distance to the limit, negative beyond it, rad.
        speed: its rate, rad/s.
        free: its acceleration without the limit, rad/s^2.
        compliance: A, acceleration by a unit of force.
    """
    midpoint, power = p[MIDPOINT], p[POWER]
    x = min(-depth / p[WIDTH], 1.0)
    y = x**power / midpoint ** (power - 1)
    if x > midpoint:
        y = 1 - (1 - x) ** power / (1 - midpoint) ** (power - 1)
    impedance = p[DMIN] + y * (p[DMAX] - p[DMIN])
    wanted = -p[DAMPER] * speed - p[STIFFNESS] * impedance * depth
    regularizer = p[WEIGHT] * (1 - impedance) / impedance
    return max((wanted - free) / (compliance + regularizer), 0.0)
