"""Kinematics of the arms: where the tip is, its Jacobian, which posture touches a point, what gravity asks for.

MuJoCo computes poses and Jacobians on scratch data: nothing of a running simulation (its warm start) is touched.
Trigonometry and small matrices are scalar code: the bits of a row do not depend on its neighbours.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from numba import njit

from .arms import TIP, Arm, Floats

ITERATIONS = 200
STEP_M = 0.1
"""How far inverse kinematics goes towards the target in one iteration."""
TOLERANCE_M = 1e-4
DAMPING_M = 0.03
PULL = 0.1
"""Share of the way to the home posture that the redundant joints go in the first iteration; it decays."""
PULL_DECAY = 0.85


class ArmKinematics:
    """Kinematics of one compiled model.

    Args:
        arm: which arm.
        model: its compiled model.
    """

    def __init__(self, arm: Arm, model: Any) -> None:
        self._arm, self._model = arm, model
        self._data = mujoco.MjData(model)
        self._site = model.site(TIP).id
        self._jacobian = np.zeros((3, model.nv))
        self._low, self._high = model.jnt_range.T.copy()
        self._home = np.array(arm.home_rad)

    def tip(self, qpos: Floats) -> Floats:
        """The fingertip `[2]` or `[3]`, m, in a posture `[nq]`, rad."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        position: Floats = self._data.site_xpos[self._site, : self._arm.dims].copy()
        return position

    def jacobian(self, qpos: Floats) -> Floats:
        """Derivative of the tip `[3, nv]`, m/rad, by the joints' angles; overwritten by the next call."""
        self.tip(qpos)
        return self._jacobian_here()

    def _jacobian_here(self) -> Floats:
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_jacSite(self._model, self._data, self._jacobian, None, self._site)
        return self._jacobian

    def chain(self, qpos: Floats) -> Floats:
        """Points `[njnt + 1, 3]`, m, from the first joint to the tip, in a posture `[nq]`, rad."""
        self.tip(qpos)
        return np.concatenate([self._data.xanchor, self._data.site_xpos[self._site][None]])

    def torque(self, qpos: Floats, acceleration: Floats) -> Floats:
        """Torques `[nv]`, N m, that give a resting arm an acceleration `[nv]`, rad/s^2, against gravity.

        Inverse dynamics M(q) a + g(q), by recursive Newton-Euler.
        """
        self.tip(qpos)
        mujoco.mj_comPos(self._model, self._data)
        self._data.qacc[:] = acceleration
        torque = np.zeros(self._model.nv)
        mujoco.mj_rne(self._model, self._data, 1, torque)
        torque += self._model.dof_armature * acceleration
        return torque

    def posture(self, target: Floats, start: Floats) -> Floats:
        """A posture `[nq]`, rad, within the joints' limits that brings the tip to `target`, or as near as is found.

        In the plane it is the closed solution nearest to `start` `[nq]`. In space it comes from damped least squares
        (Wampler 1986), where the joints that the target leaves free are drawn to the home posture.
        """
        if self._arm.dims == 2:
            upper, lower = self._model.body("lower").pos[0], self._model.site(TIP).pos[0]
            planar: Floats = planar_posture(target, start, upper, lower, self._high[1])
            return planar
        qpos = self._home.copy()
        for k in range(ITERATIONS):
            error = target - self.tip(qpos)
            if error[0] * error[0] + error[1] * error[1] + error[2] * error[2] < TOLERANCE_M * TOLERANCE_M:
                break
            pulled = PULL * PULL_DECAY**k * (self._home - qpos)
            qpos = damped_step(self._jacobian_here(), error, qpos, pulled, self._low, self._high)
        return qpos


@njit(cache=True, nogil=True)
def cos_sin(angles):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Cosines `[n, k]`, then sines, `[n, 2 k]`, of angles `[n, k]` in rad."""
    rows, count = angles.shape
    out = np.empty((rows, 2 * count))
    for i in range(rows):
        for j in range(count):
            out[i, j] = np.cos(angles[i, j])
            out[i, count + j] = np.sin(angles[i, j])
    return out


@njit(cache=True, nogil=True)
def curl_torque(jacobian, qvel, strength_nsm):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """J^T F `[nv]`, N m, of the force F = b [[0, 1], [-1, 0]] v on a tip that moves with v = J qvel in the plane x, y.

    This is the curl field of motor adaptation; for b > 0 it pushes to the right of the movement.
    """
    count = len(qvel)
    vx, vy = 0.0, 0.0
    for j in range(count):
        vx += jacobian[0, j] * qvel[j]
        vy += jacobian[1, j] * qvel[j]
    torque = np.empty(count)
    for j in range(count):
        torque[j] = strength_nsm * (jacobian[0, j] * vy - jacobian[1, j] * vx)
    return torque


@njit(cache=True, nogil=True)
def planar_posture(target, start, upper_m, lower_m, elbow_limit):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Shoulder and elbow `[2]`, rad, by the law of cosines: of the two solutions the one nearer to `start`.

    Targets too near or too far get the posture that points at them.
    """
    x, y = target[0], target[1]
    cosine = (x * x + y * y - upper_m * upper_m - lower_m * lower_m) / (2 * upper_m * lower_m)
    bend = min(np.arccos(min(max(cosine, -1.0), 1.0)), elbow_limit)
    best = np.empty(2)
    least = np.inf
    for sign in (1.0, -1.0):
        elbow = sign * bend
        inner = np.arctan2(lower_m * np.sin(elbow), upper_m + lower_m * np.cos(elbow))
        turn = np.arctan2(y, x) - inner - start[0]
        turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
        effort = turn * turn + (elbow - start[1]) ** 2
        if effort < least:
            least = effort
            best[0], best[1] = start[0] + turn, elbow
    return best


@njit(cache=True, nogil=True)
def damped_step(jacobian, error, qpos, pulled, low, high):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The next posture: q + z + J^T (J J^T + lambda^2 I)^-1 (e - J z), clipped to the limits, with z = `pulled`."""
    count = len(qpos)
    size = np.sqrt(error[0] * error[0] + error[1] * error[1] + error[2] * error[2])
    scale = min(1.0, STEP_M / size)
    a = np.zeros((3, 3))
    rest = np.empty(3)
    for i in range(3):
        rest[i] = error[i] * scale
        for j in range(count):
            rest[i] -= jacobian[i, j] * pulled[j]
        for k in range(3):
            for j in range(count):
                a[i, k] += jacobian[i, j] * jacobian[k, j]
        a[i, i] += DAMPING_M * DAMPING_M
    # The inverse by cofactors: row i of the adjugate times `rest`, over the determinant.
    solved = np.empty(3)
    for i in range(3):
        p, q = (i + 1) % 3, (i + 2) % 3
        solved[i] = 0.0
        for k in range(3):
            r, s = (k + 1) % 3, (k + 2) % 3
            solved[i] += (a[r, p] * a[s, q] - a[r, q] * a[s, p]) * rest[k]
    determinant = 0.0
    for k in range(3):
        r, s = (k + 1) % 3, (k + 2) % 3
        determinant += a[0, k] * (a[1, r] * a[2, s] - a[1, s] * a[2, r])
    out = np.empty(count)
    for j in range(count):
        change = pulled[j]
        for i in range(3):
            change += jacobian[i, j] * solved[i] / determinant
        out[j] = min(max(qpos[j] + change, low[j]), high[j])
    return out
