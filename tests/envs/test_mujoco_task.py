"""A user's own robot (`arm.py`) gets everything from `MujocoTask`, and mistakes are named in one line."""

import importlib.util
import pickle
import sys
import weakref
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from neuroctl.envs import mujoco_task
from neuroctl.envs.dynamics import build_models, dynamics_table, load_model, scale_model
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.opengl import NoOpenGLError
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.vector import make_env

_spec = importlib.util.spec_from_file_location("arm_robot", Path(__file__).with_name("arm.py"))
assert _spec is not None and _spec.loader is not None
arm = importlib.util.module_from_spec(_spec)
sys.modules["arm_robot"] = arm
_spec.loader.exec_module(arm)


def actions(steps, num_envs, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (steps, num_envs, 2)).astype(np.float32)


def rollout(env, steps=60, seed=0, act=None):
    obs, _ = env.reset(seed=seed)
    act = actions(steps, env.num_envs) if act is None else act
    return np.stack([obs, *(env.step(action)[0] for action in act)])


@pytest.fixture
def registered():
    gym.register("test/Arm-v0", entry_point=arm.Arm, vector_entry_point=arm.make_arm)
    yield "test/Arm-v0"
    del gym.registry["test/Arm-v0"]


def test_own_robot_is_a_gymnasium_environment(registered):
    check_env(gym.make(registered).unwrapped, skip_render_check=True)
    env = gym.make_vec(registered, num_envs=3)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (3, 8)
    assert env.action_space.shape == (3, 2)
    assert np.array_equal(obs[1], gym.make(registered).reset(seed=1)[0])


def test_own_robot_takes_shifts_and_restores_its_state(registered):
    env: Any = make_env(registered, 2, {}, ["observation-delay:2", "gain:3", "gaussian-noise:1"])
    act = actions(150, 2)
    env.reset(seed=0)
    for action in act[:50]:
        env.step(action)
    state = env.get_state()
    after = [env.step(action) for action in act[50:]]
    env.set_state(None, state)
    for action, expected in zip(act[50:], after, strict=True):
        for a, b in zip(env.step(action)[:4], expected[:4], strict=True):
            assert a.tobytes() == b.tobytes()


def test_reward_reads_the_pose_after_the_step():
    env = arm.make_arm(2)
    env.reset(seed=0)
    _, reward, *_ = env.step(np.ones((2, 2), np.float32))
    data = mujoco.MjData(env.models[0])
    for b in range(2):
        data.qpos[:] = env.datas[b].qpos
        mujoco.mj_kinematics(env.models[0], data)
        assert reward[b] == -np.hypot(*(data.site("hand").xpos[:2] - env.variable("target")[b]))


@pytest.mark.parametrize("key", ["mass", "damping", "gain"])
def test_dynamics_change_motion_and_one_changes_no_bit(key):
    plain = rollout(arm.make_arm(2))
    assert rollout(arm.make_arm(2, dynamics={key: 1.0})).tobytes() == plain.tobytes()
    mixed = rollout(arm.make_arm(2, dynamics={key: [1.0, 1.5]}))
    assert np.array_equal(mixed[:, 0], plain[:, 0])
    assert np.abs(mixed[:, 1] - plain[:, 1]).max() > 1e-3


def test_rows_with_equal_dynamics_share_a_model():
    env = arm.make_arm(4, dynamics={"mass": [1, 2, 1, 2]})
    assert env.models[0] is env.models[2]
    assert env.models[1] is env.models[3]
    assert env.models[1].body_mass[1] == 2 * env.models[0].body_mass[1]


def test_action_delay_shifts_the_actions_in_time():
    delay, act = 3, actions(60, 2)
    early = np.concatenate([np.zeros((delay, 2, 2), np.float32), act[:-delay]])
    late = rollout(arm.make_arm(2, dynamics={"action_delay": delay}), act=act)
    assert late.tobytes() == rollout(arm.make_arm(2), act=early).tobytes()
    mixed = rollout(arm.make_arm(2, dynamics={"action_delay": [0, delay]}), act=act)
    assert np.array_equal(mixed[:, 1], late[:, 1])
    assert np.array_equal(mixed[:, 0], rollout(arm.make_arm(2), act=act)[:, 0])


def test_forces_on_the_joints_act_as_torques_of_the_motors_do():
    act = actions(40, 2)
    pushed = arm.make_arm(2, force=lambda batch: np.where(batch.steps[:, None] < 20, [[0.3, -0.2]], 0.0))
    expected = rollout(arm.make_arm(2), act=np.concatenate([0.5 * act[:20] + [[0.3, -0.2]], act[20:]]))
    assert rollout(pushed, act=np.concatenate([0.5 * act[:20], act[20:]])) == pytest.approx(expected, abs=1e-5)


def test_no_force_changes_no_bit_and_forces_see_the_state_before_the_step():
    act, seen = actions(40, 2), []

    def nothing(batch):
        seen.append(batch.qvel.copy())
        return 0 * batch.qvel

    free = arm.make_arm(2, force=nothing)
    obs = rollout(free, act=act)
    assert obs.tobytes() == rollout(arm.make_arm(2), act=act).tobytes()
    assert np.array(seen) == pytest.approx(obs[:-1, :, 4:6] * 10, abs=1e-5)


def test_state_with_forces_is_restored_in_mid_episode():
    make = lambda: arm.make_arm(2, force=lambda batch: -0.1 * batch.qvel)  # noqa: E731
    env, twin, act = make(), make(), actions(40, 2)
    rollout(env, act=act[:15])
    twin.set_state(None, env.get_state())
    for action in act[15:]:
        assert env.step(action)[0].tobytes() == twin.step(action)[0].tobytes()


def test_geom_friction_is_scaled():
    model = load_model(arm.XML)
    scaled = build_models(model, dynamics_table({"friction": 0.5}, 1), scale_model)[0]
    assert np.array_equal(scaled.geom_friction, model.geom_friction * 0.5)


def test_model_hash_tells_dynamics_and_delays_apart():
    hashes = [arm.make_arm(1, dynamics=d).model_hash() for d in ({}, {"mass": 2}, {"action_delay": 1})]
    assert len(set(hashes)) == 3
    assert arm.make_arm(1).model_hash() == hashes[0] == arm.make_arm(1, dynamics={"mass": 1}).model_hash()


def test_xml_may_be_a_file(tmp_path):
    path = tmp_path / "arm.xml"
    path.write_text(arm.XML)
    assert load_model(path).nq == load_model(str(path)).nq == 2


def test_pickled_before_and_during_an_episode():
    act = actions(20, 2)
    assert rollout(pickle.loads(pickle.dumps(arm.make_arm(2))), act=act).shape == (21, 2, 8)
    env = arm.make_arm(2)
    rollout(env, act=act)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step(act[0])[0].tobytes() == env.step(act[0])[0].tobytes()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros((2, 3)), r"actions have shape \(2, 3\); expected \(2, 2\)"),
        (np.zeros(2), "expected"),
        (np.full((2, 2), np.nan), "actions must be finite numbers"),
        (np.full((2, 2), "x"), "actions must be finite numbers"),
    ],
)
def test_bad_actions_are_named(action, message):
    env = arm.make_arm(2)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match=message) as caught:
        env.step(action)
    assert "\n" not in str(caught.value)


def test_actions_beyond_the_bounds_are_clipped():
    act = actions(20, 2) * 5
    assert rollout(arm.make_arm(2), act=act).tobytes() == rollout(arm.make_arm(2), act=np.clip(act, -1, 1)).tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamics": {"weight": 2}}, "unknown dynamics 'weight'; known: mass, friction, damping, gain, action_delay"),
        ({"dynamics": {"mass": [1, 2, 3]}}, "dynamics 'mass' has shape"),
        ({"dynamics": {"mass": -1}}, "dynamics 'mass' is -1.0; allowed: a factor > 0"),
        ({"dynamics": {"mass": 0}}, "dynamics 'mass' is 0.0; allowed: a factor > 0"),
        ({"dynamics": {"friction": -1}}, "dynamics 'friction' is -1.0; allowed: a factor >= 0"),
        ({"dynamics": {"gain": float("inf")}}, "dynamics 'gain' is inf; allowed: a factor >= 0"),
        ({"dynamics": {"action_delay": float("nan")}}, "dynamics 'action_delay' is nan; allowed: a whole number"),
        ({"dynamics": {"action_delay": float("inf")}}, "dynamics 'action_delay' is inf; allowed: a whole number"),
        ({"dynamics": {"gain": "2"}}, "dynamics 'gain' is '2'; allowed: a number"),
        ({"dynamics": {"gain": None}}, "dynamics 'gain' is None; allowed: a number"),
        ({"dynamics": {"gain": [[1], [1, 2]]}}, "dynamics 'gain' is .*; allowed: a number"),
        ({"dynamics": 5}, "dynamics is 5; allowed: a mapping"),
        ({"dynamics": []}, r"dynamics is \[\]; allowed: a mapping"),
        ({"dynamics": {"action_delay": 1.5}}, "allowed: a whole number from 0 to 50"),
        ({"control_dt_s": 0.015}, "not a multiple of the model's timestep"),
        ({"control_dt_s": 0.0}, "control_dt_s is 0.0; allowed: seconds > 0"),
        ({"control_dt_s": float("nan")}, "control_dt_s is nan; allowed: seconds > 0"),
        ({"max_steps": 0}, "^max_steps must be an integer >= 1, got 0$"),
        ({"max_steps": 1.5}, "^max_steps must be an integer >= 1, got 1.5"),
        ({"max_steps": float("nan")}, "^max_steps must be an integer >= 1, got nan"),
        ({"max_steps": True}, "^max_steps must be an integer >= 1, got True"),
        ({"max_steps": "9"}, "^max_steps must be an integer >= 1, got '9'"),
        ({"render_mode": "human"}, "unknown render_mode 'human'; allowed: None, 'rgb_array'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        arm.make_arm(2, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [arm.make_arm, LaneFollowVector])
@pytest.mark.parametrize("number", [0, -3, 2.0, True, "2", None, float("nan"), 10**9, 2**63])
def test_bad_numbers_of_rows_are_named(make, number):
    with pytest.raises(NeuroctlError, match=f"^num_envs must be an integer from 1 to 1000000, got {number!r}$"):
        make(number)


def test_numpy_integers_are_integers():
    env = arm.make_arm(np.int64(2), max_steps=np.int32(3))
    assert (env.num_envs, env.max_steps) == (2, 3)
    expected = env.reset(seed=[4, 5])[0]
    for seed in (4, np.int64(4), np.array([4, 5]), (4, np.uint8(5))):
        assert np.array_equal(env.reset(seed=seed)[0], expected)
    assert np.array_equal(arm.Arm().reset(seed=np.int64(4))[0], expected[0])


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, "seed -1 is negative"),
        ([3, -2], "seed -2 is negative"),
        (1.5, "seed 1.5 cannot be used; seeds are integers from 0"),
        (np.float64(1), "cannot be used"),
        ("12", "seed '12' cannot be used"),
        (True, "seed True cannot be used"),
        ([1, "2"], "seed '2' cannot be used"),
        ([1, 2.0], "seed 2.0 cannot be used"),
        (np.zeros((2, 9)), "seed array"),
        (2**63, "seed 9223372036854775808 cannot be used"),
        (2**63 - 1, "seed 9223372036854775808 cannot be used"),
        ([1, 2, 3], "3 seeds given for 2 environments"),
    ],
)
def test_bad_seeds_are_named_and_change_nothing(seed, message):
    env = arm.make_arm(2)
    env.reset(seed=5)
    before = env.get_state()
    with pytest.raises(NeuroctlError, match=message) as caught:
        env.reset(seed=seed)
    assert "\n" not in str(caught.value)
    assert all(np.array_equal(value, before[key]) for key, value in env.get_state().items())
    if not isinstance(seed, (list, np.ndarray)) and seed != 2**63 - 1:
        with pytest.raises(NeuroctlError, match=message):
            arm.Arm().reset(seed=seed)


def test_state_holds_all_that_integration_depends_on():
    env = arm.make_arm(3)
    env.reset(seed=0)
    size = mujoco.mj_stateSize(env.models[0], mujoco.mjtState.mjSTATE_INTEGRATION)
    assert env.get_state()["mujoco"].shape == (3, size)
    assert env.get_state([2, 0])["mujoco"].shape == (2, size)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, 2], "row 2 does not exist; allowed: 0 to 1"),
        ([-1, 0], "row -1 does not exist; allowed: 0 to 1"),
        ([0.0, 1.0], "rows is .* a list of integers from 0 to 1"),
        ([True, False], "rows is .* a list of integers from 0 to 1"),
        (1, "rows is 1; allowed: a list of integers"),
    ],
)
def test_rows_that_do_not_exist_are_named(rows, message):
    env = arm.make_arm(2)
    env.reset(seed=0)
    state = env.get_state()
    for call in (lambda: env.get_state(rows), lambda: env.set_state(rows, state)):
        with pytest.raises(NeuroctlError, match=message):
            call()


@pytest.mark.parametrize("key", ["mujoco", "waiting_controls"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_state_that_is_not_finite_is_refused(key, value):
    env = arm.make_arm(2, dynamics={"action_delay": 1})
    env.reset(seed=0)
    state = env.get_state()
    bad = state[key].copy()
    bad.flat[-1] = value
    with pytest.raises(NeuroctlError, match=f"^environment state {key!r} holds values that are not finite numbers$"):
        env.set_state(None, {**state, key: bad})
    assert all(np.array_equal(part, state[name]) for name, part in env.get_state().items())


def test_a_variable_that_begins_infinite_may_be_so_in_a_state():
    variables = {"target": [0.0, 0.0], "best": np.inf}
    env = arm.make_arm(2, variables=variables)
    env.reset(seed=0)
    env.variable("best")[0] = 0.3
    state = env.get_state()
    fresh = arm.make_arm(2, variables=variables)
    fresh.set_state(None, state)
    assert fresh.variable("best").tolist() == [0.3, np.inf]
    with pytest.raises(NeuroctlError, match="'variable/target' holds values that are not finite numbers"):
        env.set_state(None, state | {"variable/target": np.full((2, 2), np.inf)})


def test_bad_calls_are_named():
    env = arm.make_arm(2)
    with pytest.raises(NeuroctlError, match=r"step\(\) before reset"):
        env.step(np.zeros((2, 2)))
    with pytest.raises(NeuroctlError, match=r"get_state\(\) before reset"):
        env.get_state()
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="unknown reset option 'speed'; allowed: 'reset_mask'"):
        env.reset(options={"speed": 2})
    for each in (env, arm.Arm()):
        with pytest.raises(NeuroctlError, match="reset options are 5; allowed: None or a mapping with 'reset_mask'"):
            each.reset(options=5)
    with pytest.raises(NeuroctlError, match="reset_mask has type"):
        env.reset(options={"reset_mask": [1, 0]})
    state = env.get_state()
    with pytest.raises(NeuroctlError, match="environment state 'variable/target': expected shape"):
        env.set_state(None, {key: value for key, value in state.items() if key != "variable/target"})
    with pytest.raises(NeuroctlError, match="has no expert"):
        env.expert_action()
    with pytest.raises(NeuroctlError, match="render_mode='rgb_array'"):
        env.render()
    with pytest.raises(NeuroctlError, match="unknown task variable 'goal'; known: target"):
        env.variable("goal")
    with pytest.raises(NeuroctlError, match="field 'cfrc_ext' cannot be read; allowed: xpos"):
        env._batch.kinematic("cfrc_ext")
    with pytest.raises(NeuroctlError, match="MuJoCo cannot compile the robot"):
        load_model("<mujoco><nothing/></mujoco>")


def test_diverging_physics_stops_with_row_and_step(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log there
    env = arm.make_arm(2)
    env.reset(seed=0)
    env.step(np.zeros((2, 2)))
    env.datas[1].qvel[:] = np.nan
    with pytest.raises(NonFiniteError, match="physics of row 1 diverged .* at step 2"):
        env.step(np.zeros((2, 2)))


@pytest.mark.parametrize("gain", [3e9, 1e10])
def test_absurd_dynamics_diverge_aloud(gain, tmp_path, monkeypatch):
    """MuJoCo's own answer, putting the state back to the start, would go unseen."""
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log there
    for make in (arm.make_arm, LaneFollowVector):
        env: Any = make(3, dynamics={"gain": [1, 1, gain]})
        env.reset(seed=0)
        with pytest.raises(NonFiniteError, match="physics of row 2 diverged .* at step 1 of its episode"):
            env.step(env.single_action_space.high + np.zeros((3, 1)))


def test_absurd_forces_diverge_aloud():
    env = arm.make_arm(2, force=lambda batch: np.array([[0.0, 0.0], [0.0, np.nan]]))
    env.reset(seed=0)
    with pytest.raises(NonFiniteError, match="forces of row 1 diverged .* at step 1 of its episode"):
        env.step(np.zeros((2, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e11])
def test_absurd_controls_are_not_set_to_zero_silently(value):
    env = arm.make_arm(2, control=lambda batch, action: np.where(action > 0.5, value, action))
    env.reset(seed=0)
    env.step(np.zeros((2, 2)))
    with pytest.raises(NonFiniteError, match="controls of row 1 diverged .* at step 2 of its episode"):
        env.step(np.array([[0, 0], [0, 1]]))


def test_without_opengl_a_task_draws_itself_or_says_what_is_missing(monkeypatch):
    def missing(*args):
        raise NoOpenGLError("no OpenGL for rendering")

    def draw(row):
        return np.full((240, 320, 3), round(100 * row["target"][0]), np.uint8)

    monkeypatch.setattr(mujoco_task, "open_renderer", missing)
    drawn, silent = (arm.make_arm(2, render_mode="rgb_array", draw=each) for each in (draw, None))
    for env in (drawn, silent):
        env.reset(seed=0)
    drawn.variable("target")[:] = [[0.2, 0], [0.3, 0]]
    assert drawn.render()[:, 5, 5, 0].tolist() == [20, 30]
    with pytest.raises(NoOpenGLError, match="no OpenGL for rendering"):
        silent.render()


def test_a_closed_environment_lets_go_of_its_simulations_and_says_so():
    env = arm.make_arm(2)
    env.reset(seed=0)
    data = weakref.ref(env.datas[0])
    env.close()
    assert data() is None
    env.close()
    with pytest.raises(NeuroctlError, match=r"step\(\) after close\(\): make the environment again"):
        env.step(np.zeros((2, 2), np.float32))
