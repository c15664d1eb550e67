"""The arms as MuJoCo compiles them, and where their targets lie."""

import mujoco
import numpy as np
import pytest

from neuroctl.envs.arms import ARMS, PLANAR2, SPATIAL7, Workspace, arm_xml, is_held_out, scale_arm
from neuroctl.envs.dynamics import load_model


@pytest.mark.parametrize("command", ["torque", "velocity"])
@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_every_joint_has_its_actuator_and_nothing_collides(arm, command):
    model = load_model(arm_xml(arm, command))
    assert model.nq == model.nv == model.nu == len(arm.joints) == len(arm.home_rad)
    assert [model.joint(int(j)).name for j in model.actuator_trnid[:, 0]] == list(arm.joints)
    data = mujoco.MjData(model)
    data.qpos[:] = model.jnt_range[:, 1]
    mujoco.mj_forward(model, data)
    assert data.ncon == 0


def test_spatial7_has_masses_reach_and_torques_of_a_collaborative_arm():
    model = load_model(arm_xml(SPATIAL7, "torque"))
    assert model.body_mass.sum() == pytest.approx(17)
    assert model.actuator_gear[:, 0].tolist() == [90, 90, 70, 70, 40, 40, 40]
    data = mujoco.MjData(model)
    data.qpos[1] = np.pi / 2  # stretched out to the front, where gravity pulls most
    mujoco.mj_forward(model, data)
    assert data.site("tip").xpos == pytest.approx([SPATIAL7.reach_m, 0, SPATIAL7.shoulder_m[2]])
    load = np.abs(data.qfrc_bias) / model.actuator_gear[:, 0]
    assert 0.4 < load[1] == load.max() < 0.8


def test_velocity_servos_carry_the_arm_and_torques_do_not():
    dropped = {}
    for command in ("torque", "velocity"):
        model = load_model(arm_xml(SPATIAL7, command))
        data = mujoco.MjData(model)
        data.qpos[:] = SPATIAL7.home_rad
        mujoco.mj_step(model, data, 100)
        dropped[command] = np.abs(data.qpos - SPATIAL7.home_rad).max()
    assert dropped["velocity"] < 1e-9 < 0.1 < dropped["torque"]


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_targets_are_uniform_over_the_workspace(arm):
    rng, space = np.random.default_rng(0), arm.workspace
    offsets = np.array([space.draw(rng) for _ in range(4000)]) - space.centre_m
    radii = np.hypot(offsets[:, 0], offsets[:, 1])
    assert radii.max() < space.radius_m
    assert (radii < space.radius_m / 2).mean() == pytest.approx(1 / 4, abs=0.03)
    assert offsets.mean(axis=0) == pytest.approx(0, abs=0.01)
    if arm.dims == 3:
        assert np.abs(offsets[:, 2]).max() == pytest.approx(space.half_height_m, rel=0.01)
    shoulder = np.linalg.norm(offsets + space.centre_m - arm.shoulder_m, axis=1)
    assert shoulder.max() < arm.reach_m


def test_held_out_targets_lie_in_two_sectors_that_training_leaves_out():
    rng, space = np.random.default_rng(0), Workspace((0.3, 0.1), 0.2)
    for name in ("train", "held-out"):
        offsets = np.array([space.draw(rng, name) for _ in range(1000)]) - space.centre_m
        degrees = np.rad2deg(np.arctan2(offsets[:, 1], offsets[:, 0])) % 180
        assert ((np.abs(degrees - 45) < 22.5) == (name == "held-out")).all()
    every = [space.draw(rng) - space.centre_m for _ in range(2000)]
    assert np.mean([is_held_out(x, y) for x, y in every]) == pytest.approx(1 / 4, abs=0.03)


def test_friction_scales_the_damping_of_the_joints():
    models = [load_model(arm_xml(PLANAR2, "torque")) for _ in range(2)]
    scale_arm(models[1], {"friction": 0.25})
    assert models[1].dof_damping == pytest.approx(0.25 * models[0].dof_damping)
