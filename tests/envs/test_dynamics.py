"""Which changes of the dynamics change anything: held against the contacts that MuJoCo finds, and against motion."""

from typing import Any

import mujoco
import numpy as np
import pytest

from neuroctl import vector
from neuroctl.envs.dynamics import build_models, can_rub, changes, dynamics_table, load_model, scale_model
from neuroctl.envs.gymnasium_tasks import TASKS
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env


def pile(rng):
    """Balls of chained, welded and free bodies in one place: all that can touch do."""

    def ball():
        attributes = {
            "contype": rng.choice([0, 0, 1, 2]),
            "conaffinity": rng.choice([0, 0, 1, 2]),
            "condim": rng.choice([1, 1, 3]),
            "priority": rng.choice([0, 0, 0, 1]),
        }
        return '<geom size="0.1" ' + " ".join(f'{name}="{value}"' for name, value in attributes.items()) + "/>"

    chain = (
        f'<body><joint type="slide"/>{ball()}<body><joint type="hinge"/>{ball()}{ball()}<body>{ball()}</body></body>'
    )
    flag = '<option><flag contact="disable"/></option>' if rng.random() < 0.1 else ""
    free = f"<body><freejoint/>{ball()}</body>"
    return f"<mujoco>{flag}<worldbody>{ball()}<body>{ball()}</body>{chain}</body>{free}</worldbody></mujoco>"


def test_geoms_that_can_rub_are_those_that_do_in_mujoco():
    rng = np.random.default_rng(0)
    idle = rubbing = 0
    for _ in range(80):
        model = load_model(pile(rng))
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        touching = {int(g) for contact in data.contact if contact.dim > 1 for g in contact.geom}
        assert set(np.flatnonzero(can_rub(model)).tolist()) == touching
        idle += model.ngeom - len(touching)
        rubbing += len(touching)
    assert min(idle, rubbing) > 100


def changed(joint="", geom="", **factors):
    """Whether factors change a ball above a floor, with these attributes of its joint and its geom."""
    ball = f'<body pos="0 0 1"><joint type="slide" axis="0 0 1" {joint}/><geom size="0.1" {geom}/></body>'
    base = load_model(f'<mujoco><worldbody><geom type="plane" size="1 1 1"/>{ball}</worldbody></mujoco>')
    return changes(base, build_models(base, dynamics_table(factors, 1), scale_model)[0])


def test_what_changes_the_model_and_what_does_not():
    ghost = 'contype="0" conaffinity="0"'
    assert changed(friction=0.5)
    assert not changed(geom=ghost, friction=0.5)
    assert changed('frictionloss="1"', ghost, friction=0.5)
    assert changed(mass=0.5)
    assert not changed(damping=0.5)
    assert changed('damping="1"', damping=0.5)
    assert not changed(gain=0.5), "there is no actuator"


def test_factors_that_mujoco_cannot_take_are_refused_with_the_limit():
    for key, value in (("mass", 1.1e10), ("gain", 1e300), ("friction", np.inf), ("damping", np.nan)):
        with pytest.raises(NeuroctlError, match=rf"^dynamics '{key}' is .*; allowed: a factor >=? 0 up to 1e\+10, 1 "):
            dynamics_table({key: value}, 1)
    assert dynamics_table({"mass": 1e10, "gain": 0}, 1)[0]["mass"] == 1e10
    monster = ["mass:5"] * 40
    with pytest.raises(NeuroctlError, match=r"^dynamics 'mass' is .*; allowed: a factor > 0 up to 1e\+10, 1 changes"):
        make_env("neuroctl/ArmReach-v0", 1, {}, monster)


@pytest.mark.parametrize("task", TASKS)
def test_friction_fits_where_it_changes_the_motion(task):
    """It does in the tasks that walk, stand up or lie on a floor."""

    def motion(friction):
        env = make_env(f"neuroctl/{task}", 1, {"dynamics": {"friction": friction}})
        env.reset(seed=0)
        rng, space = np.random.default_rng(0), env.single_action_space
        moves = rng.uniform(space.low, space.high, (60, 1, *space.shape)).astype(np.float32)
        return [env.step(action)[0].tobytes() for action in moves]

    if motion(1.0) != motion(0.2):
        make_env(f"neuroctl/{task}", 1, {}, ["friction:5"]).close()
        return
    message = f"^shift 'friction' does not fit neuroctl/{task}: a factor of friction changes nothing in this robot; "
    with pytest.raises(NeuroctlError, match=message) as caught:
        make_env(f"neuroctl/{task}", 1, {}, ["friction:3"])
    fitting = str(caught.value).split("fitting: ")[1].split(", ")
    assert "friction" not in fitting and {"mass", "gain", "action-delay"} <= set(fitting)


@pytest.mark.parametrize("name", ["LaneFollow", "BallReach", "ArmReach"])
@pytest.mark.parametrize("shift", ["friction", "gain", "mass", "action-delay"])
def test_our_own_robots_take_every_change(name, shift):
    # one value per row: as many as there are rows, whatever is tried out
    make_env(f"neuroctl/{name}-v0", 3, {"dynamics": {"mass": [1, 2, 3]}}, [f"{shift}:2"]).close()
