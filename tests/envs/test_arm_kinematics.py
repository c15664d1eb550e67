"""Jacobians against differences, postures against the forward kinematics, torques against MuJoCo's inverse dynamics."""

import mujoco
import numpy as np
import pytest

from neuroctl.envs.arm_kinematics import DAMPING_M, STEP_M, ArmKinematics, cos_sin, curl_torque, damped_step
from neuroctl.envs.arms import ARMS, PLANAR2, SPATIAL7, arm_xml
from neuroctl.envs.dynamics import load_model

every_arm = pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)


def kinematics(arm):
    return ArmKinematics(arm, load_model(arm_xml(arm, "torque")))


def postures(arm, count, seed=0):
    model = load_model(arm_xml(arm, "torque"))
    low, high = np.where(model.jnt_limited, model.jnt_range.T, [[-3], [3]])
    return np.random.default_rng(seed).uniform(low, high, (count, model.nq))


@every_arm
def test_jacobian_is_the_derivative_of_the_tip(arm):
    kin, h = kinematics(arm), 1e-6
    for qpos in postures(arm, 5):
        jacobian = kin.jacobian(qpos)[: arm.dims].copy()
        steps = h * np.eye(len(qpos))
        differences = [(kin.tip(qpos + step) - kin.tip(qpos - step)) / (2 * h) for step in steps]
        assert jacobian == pytest.approx(np.array(differences).T, abs=1e-8)


@every_arm
def test_postures_touch_their_targets_within_the_limits(arm):
    kin, rng = kinematics(arm), np.random.default_rng(3)
    model = load_model(arm_xml(arm, "torque"))
    nearest = np.hypot(0.1 + 0.11 * np.cos(3), 0.11 * np.sin(3)) if arm is PLANAR2 else 0
    for _ in range(300):
        target = arm.workspace.draw(rng)
        qpos = kin.posture(target, np.array(arm.home_rad))
        missed = np.linalg.norm(kin.tip(qpos) - target)
        inside = nearest - np.linalg.norm(target)  # planar2 cannot fold onto its own shoulder
        assert missed < max(2e-4, inside + 1e-9)
        limited = np.flatnonzero(model.jnt_limited)
        assert (qpos[limited] >= model.jnt_range[limited, 0]).all()
        assert (qpos[limited] <= model.jnt_range[limited, 1]).all()


def test_planar_posture_is_the_solution_nearest_to_the_start():
    kin = kinematics(PLANAR2)
    for start, goal in zip(postures(PLANAR2, 50, seed=1) * [3, 1], postures(PLANAR2, 50, seed=2), strict=True):
        target = kin.tip(goal)
        qpos = kin.posture(target, start)
        # The mirror image: the elbow on the other side of the line from shoulder to target.
        mirrored = 2 * np.arctan2(target[1], target[0]) - qpos[0]
        turns = mirrored + 2 * np.pi * np.arange(-5, 6)
        others = np.stack([turns, np.full(11, -qpos[1])], axis=1)
        assert kin.tip(others[0]) == pytest.approx(target, abs=1e-9)
        assert ((qpos - start) ** 2).sum() <= ((others - start) ** 2).sum(axis=1).min() + 1e-9
        assert abs(qpos[0] - start[0]) <= np.pi + 1e-9


@every_arm
def test_torques_are_those_of_inverse_dynamics(arm):
    kin, model = kinematics(arm), load_model(arm_xml(arm, "torque"))
    data = mujoco.MjData(model)
    for qpos, wanted in zip(postures(arm, 5), postures(arm, 5, seed=9), strict=True):
        torque = kin.torque(qpos, wanted)
        data.qpos[:], data.ctrl[:] = qpos, torque / np.array(arm.torque_nm)
        model.actuator_ctrllimited[:] = 0
        mujoco.mj_forward(model, data)
        assert data.qacc == pytest.approx(wanted, abs=1e-9)


def test_curl_field_is_perpendicular_to_the_movement_and_pushes_to_the_right():
    kin, rng = kinematics(SPATIAL7), np.random.default_rng(0)
    for qpos in postures(SPATIAL7, 5):
        jacobian, qvel = kin.jacobian(qpos).copy(), rng.normal(size=7)
        torque = curl_torque(jacobian, qvel, 12.0)
        v = jacobian @ qvel
        force = 12 * np.array([v[1], -v[0], 0])
        assert torque == pytest.approx(jacobian.T @ force, abs=1e-12)
        assert torque @ qvel == pytest.approx(0, abs=1e-12)  # it does no work


def test_damped_step_solves_the_damped_least_squares():
    rng = np.random.default_rng(0)
    jacobian, qpos, pulled = rng.normal(size=(3, 7)), rng.normal(size=7), 0.1 * rng.normal(size=7)
    far = np.full(7, 100.0)
    for error in (np.array([0.01, -0.02, 0.03]), np.array([3.0, 1.0, -2.0])):
        shortened = error * min(1, STEP_M / np.linalg.norm(error))
        square = jacobian @ jacobian.T + DAMPING_M**2 * np.eye(3)
        change = pulled + jacobian.T @ np.linalg.solve(square, shortened - jacobian @ pulled)
        assert damped_step(jacobian, error, qpos, pulled, -far, far) == pytest.approx(qpos + change, abs=1e-12)
    assert (damped_step(jacobian, error, qpos, pulled, -far, qpos) <= qpos).all()


def test_cosines_come_before_sines():
    angles = np.random.default_rng(0).uniform(-4, 4, (5, 7))
    assert cos_sin(angles) == pytest.approx(np.concatenate([np.cos(angles), np.sin(angles)], axis=1), abs=1e-15)


@every_arm
def test_chain_runs_from_the_base_to_the_tip(arm):
    kin = kinematics(arm)
    chain = kin.chain(np.array(arm.home_rad))
    assert chain.shape == (len(arm.joints) + 1, 3)
    assert chain[-1, : arm.dims] == pytest.approx(kin.tip(np.array(arm.home_rad)))
    lengths = np.linalg.norm(np.diff(chain, axis=0), axis=1).sum()
    assert lengths == pytest.approx(arm.reach_m + (0.1 if arm is SPATIAL7 else 0), abs=1e-9)
