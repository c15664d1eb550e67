"""The compiled planar arm does what `mj_step` does."""

import mujoco
import numpy as np
import pytest

from neuroctl.envs.arms import PLANAR2, arm_xml, scale_arm
from neuroctl.envs.dynamics import build_models, dynamics_table, load_model
from neuroctl.envs.two_link import two_link_steps, two_link_table

FACTORS: dict[str, list[float]] = {
    "mass": [1, 2000, 30],
    "damping": [1, 2, 0.1],
    "gain": [1, 0.5, 3],
    "friction": [1, 1, 0.5],
}


def arms():
    base = load_model(arm_xml(PLANAR2, "torque"))
    models = build_models(base, dynamics_table(FACTORS, 3), scale_arm)
    return models, [mujoco.MjData(model) for model in models], two_link_table(models)


@pytest.mark.parametrize("kind", ["wandering", "against the limit"])
def test_it_moves_as_mj_step_does_with_any_mass_damping_and_gain(kind):
    models, datas, table = arms()
    rng = np.random.default_rng(0)
    beyond = 0
    for k in range(400):
        if k % 50 == 0:
            for model, data in zip(models, datas, strict=True):
                mujoco.mj_resetData(model, data)
                data.qpos[:], data.qvel[:] = rng.uniform(-1, 1, (2, 2))
            push = rng.choice([-1.0, 1.0], (3, 2))
        ctrl = rng.uniform(-1, 1, (3, 2)) if kind == "wandering" else push * (1.0 if k % 50 < 40 else -0.3)
        applied = rng.uniform(-20, 20, (3, 2))
        qpos, qvel = (np.array([getattr(data, name) for data in datas]) for name in ("qpos", "qvel"))
        after = two_link_steps(table, qpos, qvel, ctrl, applied, 2, 0.01)
        for i, (model, data) in enumerate(zip(models, datas, strict=True)):
            data.ctrl[:], data.qfrc_applied[:] = ctrl[i], applied[i]
            mujoco.mj_step(model, data, 2)
            assert after[0][i] == pytest.approx(data.qpos, rel=1e-7, abs=1e-7)
            assert after[1][i] == pytest.approx(data.qvel, rel=1e-7, abs=1e-6)
            # What the integrator left: the pose of its last stage, not of the new state.
            assert after[2][i] == pytest.approx(data.site("tip").xpos[:2], abs=1e-8)
            beyond += abs(data.qpos[1]) > 3
    assert beyond > 50 or kind == "wandering"


def test_rows_do_not_depend_on_their_neighbours():
    _, _, table = arms()
    rng = np.random.default_rng(1)
    state = rng.uniform(-3.2, 3.2, (4, 3, 2))
    together = two_link_steps(table, state[0], state[1], state[2], state[3], 2, 0.01)
    for i in range(3):
        one = state[:, i : i + 1]
        alone = two_link_steps(table[i : i + 1], one[0], one[1], one[2], one[3], 2, 0.01)
        assert all(a[0].tobytes() == b[i].tobytes() for a, b in zip(alone, together, strict=True))
