import pickle
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs import gymnasium_tasks
from neuroctl.envs.config import GymnasiumTaskConfig
from neuroctl.envs.gymnasium_tasks import TASKS, GymnasiumTaskVector, velocity_entries
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.streams import stream

make_env: Any = vector.make_env

FORCES = {
    "Ant-v5": range(27, 105),
    "Humanoid-v5": [*range(253, 348)],
    "HumanoidStandup-v5": [*range(253, 348)],
    "InvertedDoublePendulum-v5": [8],
}
"""Where forces stand: they follow velocities too, but are what touch and load sensors tell."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """MuJoCo writes its complaints, such as those of Gymnasium's own HalfCheetah, to a file in the working folder."""
    monkeypatch.chdir(tmp_path)


def wander(env, steps, seed=0):
    """Actions `[steps, B, n]`, some of them beyond the bounds."""
    space, rng = env.single_action_space, np.random.default_rng(seed)
    return (1.5 * space.high * rng.uniform(-1, 1, (steps, env.num_envs, *space.shape))).astype(np.float32)


def test_every_task_of_gymnasium_is_here():
    theirs = {name for name, spec in gym.registry.items() if "gymnasium.envs.mujoco." in str(spec.entry_point)}
    assert {name for name in theirs if name.endswith("-v5")} == set(TASKS)
    assert {f"neuroctl/{task}" for task in TASKS} <= set(gym.registry)


@pytest.mark.parametrize("task", TASKS)
def test_a_row_is_gymnasiums_environment_bit_for_bit(task):
    env, peer = make_env(f"neuroctl/{task}", 3, {"max_steps": 12}), gym.make(task, max_episode_steps=12)
    obs, info = env.reset(seed=5)
    row, episode = 1, 0

    def begin():
        return peer.reset(seed=int(stream(6, "reset", episode).integers(2**31)))

    theirs, their_info = begin()
    for action in wander(env, 30):
        assert obs[row].tobytes() == theirs.tobytes()
        assert all(np.array_equal(info[key][row], value) for key, value in their_info.items())
        assert all(info[f"_{key}"][row] for key in their_info)
        obs, reward, terminated, truncated, info = env.step(action)
        theirs, their_reward, ended, cut, their_info = peer.step(action[row])
        assert (reward[row], terminated[row], truncated[row]) == (their_reward, ended, cut and not ended)
        if ended or cut:
            assert info["final_obs"][row].tobytes() == theirs.tobytes()
            assert all(np.array_equal(info["final_info"][key][row], value) for key, value in their_info.items())
            said = {key for key in info if not key.startswith("_") and info.get(f"_{key}", np.zeros(3))[row]}
            episode += 1
            theirs, their_info = begin()
            assert said - {"final_obs", "final_info"} == set(their_info)
    assert episode >= 2


@pytest.mark.parametrize("task", TASKS)
def test_no_option_makes_an_id_another_task(task):
    env_id, other = f"neuroctl/{task}", "Hopper-v5" if task != "Hopper-v5" else "Ant-v5"
    makers: list[Any] = [gym.make, gym.make_vec]
    for make in makers:
        for option in ("registered", "task"):
            with pytest.raises(NeuroctlError, match=option):
                make(env_id, **{option: other})
    vector_env, single = make_env(env_id, 1), gym.make(env_id).unwrapped
    assert isinstance(single, gymnasium_tasks.GymnasiumTask) and isinstance(vector_env, GymnasiumTaskVector)
    assert vector_env.task == single.vector.task == task
    assert type(pickle.loads(pickle.dumps(single))) is type(single)


def test_the_time_limit_is_gymnasiums():
    for task in TASKS:
        assert make_env(f"neuroctl/{task}", 1).max_steps == gym.spec(task).max_episode_steps


@pytest.mark.parametrize("task", TASKS)
def test_velocities_are_what_changes_with_the_velocity_alone(task):
    """Other joint velocities at equal positions change the entries that are named, and forces."""
    env = gym.make(task).unwrapped
    inner: Any = env
    env.reset(seed=0)
    before = inner._get_obs()
    # of Reacher and Pusher, the target's and the object's velocities are not observed
    inner.data.qvel += np.random.default_rng(0).uniform(0.1, 1, inner.model.nv)
    mujoco.mj_forward(inner.model, inner.data)
    changed = np.flatnonzero(inner._get_obs() != before)
    assert set(changed.tolist()) - set(FORCES.get(task, [])) <= set(velocity_entries(inner, task))
    velocities, bodies = velocity_entries(inner, task), {*range(175, 253)}
    # entries of cvel that a joint's axis or the world's frame leaves 0
    still = set(velocities) - set(changed.tolist())
    assert still <= (bodies if task.startswith("Humanoid") else set()), still


@pytest.mark.parametrize("task", TASKS)
def test_without_velocities_the_rest_is_the_same(task):
    env_id = f"neuroctl/{task}"
    whole, blind = make_env(env_id, 2), make_env(env_id, 2, {"observe_velocity": False})
    kept = [i for i in range(whole.single_observation_space.shape[0]) if i not in velocity_entries(whole.envs[0], task)]
    a, b = whole.reset(seed=3)[0], blind.reset(seed=3)[0]
    assert blind.single_observation_space.shape == (len(kept),)
    for action in wander(whole, 5):
        assert a[:, kept].tobytes() == b.tobytes()
        a, rewards, *_ = whole.step(action)
        b, *rest = blind.step(action)
        assert rewards.tobytes() == rest[0].tobytes()


def test_velocities_are_found_under_options_that_change_the_observation():
    options = {"exclude_current_positions_from_observation": False, "observe_velocity": False}
    env = make_env("neuroctl/HalfCheetah-v5", 2, options)
    assert env.reset(seed=0)[0].tolist() == [row.data.qpos.tolist() for row in env.envs]
    ant = make_env("neuroctl/Ant-v5", 1, {"include_cfrc_ext_in_observation": False, "observe_velocity": False})
    assert ant.reset(seed=0)[0].tolist() == [ant.envs[0].data.qpos[2:].tolist()]


def test_options_are_passed_on():
    env = make_env("neuroctl/HalfCheetah-v5", 1, {"reset_noise_scale": 0.0, "ctrl_cost_weight": 2.0})
    assert not env.reset(seed=0)[0].any()
    action = np.full((1, 6), 0.5, np.float32)
    assert env.step(action)[4]["reward_ctrl"] == pytest.approx(-2.0 * 6 * 0.25)


def test_a_delayed_action_acts_and_costs_later():
    prompt, late = (make_env("neuroctl/HalfCheetah-v5", 1, {"dynamics": {"action_delay": d}}) for d in (0, 3))
    actions = np.concatenate([wander(prompt, 6), np.zeros((3, 1, 6), np.float32)])
    for env in (prompt, late):
        env.reset(seed=0)
    shifted = np.concatenate([np.zeros((3, 1, 6), np.float32), actions[:6]])
    for given, acting in zip(actions, shifted, strict=True):
        a, b = late.step(given), prompt.step(acting)
        assert a[0].tobytes() == b[0].tobytes() and a[1] == b[1]


def test_dynamics_change_each_row_by_its_factor():
    env = make_env("neuroctl/HalfCheetah-v5", 2, {"dynamics": {"mass": [1.0, 2.0], "gain": 0.5}})
    plain, heavy = (row.model for row in env.envs)
    assert heavy.body_mass == pytest.approx(2 * plain.body_mass)
    assert plain.actuator_gainprm[:, 0] == pytest.approx(0.5)
    assert env.model_hash() != make_env("neuroctl/HalfCheetah-v5", 2).model_hash()


def test_wrong_calls_are_named():
    env = make_env("neuroctl/Reacher-v5", 2)
    with pytest.raises(NeuroctlError, match=r"step\(\) before reset\(\)"):
        env.step(np.zeros((2, 2)))
    with pytest.raises(NeuroctlError, match=r"get_state\(\) before reset\(\)"):
        env.get_state()
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match=r"actions have shape \(2, 3\); expected \(2, 2\)"):
        env.step(np.zeros((2, 3)))
    with pytest.raises(NeuroctlError, match="actions must be finite numbers"):
        env.step(np.full((2, 2), np.nan))
    with pytest.raises(NeuroctlError, match="nothing is rendered"):
        env.render()


def test_a_state_that_does_not_fit_is_named_and_changes_nothing():
    env = make_env("neuroctl/Reacher-v5", 2)
    env.reset(seed=0)
    state = env.get_state()
    for key, value, message in (
        ("mujoco", None, "environment state 'mujoco': expected shape .*, found nothing"),
        ("derived/xpos", np.zeros((2, 1)), r"environment state 'derived/xpos': expected shape .*, found \(2, 1\)"),
        ("mujoco", np.full_like(state["mujoco"], np.nan), "'mujoco' holds values that are not finite"),
    ):
        wrong = {k: v for k, v in state.items() if k != key} | ({} if value is None else {key: value})
        with pytest.raises(NeuroctlError, match=message):
            env.set_state(None, wrong)
    assert all(np.array_equal(value, env.get_state()[key]) for key, value in state.items())


def test_divergence_is_an_error():
    env = make_env("neuroctl/HalfCheetah-v5", 2)
    env.reset(seed=0)
    env.envs[1].data.qvel[:] = 1e12
    with pytest.raises(NonFiniteError, match="physics of row 1 diverged .* at step 1 of its episode"):
        env.step(np.zeros((2, 6), np.float32))


@pytest.mark.parametrize("size", [1e300, 1e38, -1e11])
@pytest.mark.parametrize("task", TASKS)
def test_absurd_actions_are_no_infinite_cost(task, size):
    env = make_env(f"neuroctl/{task}", 2)
    env.reset(seed=0)
    state, action = env.get_state(), np.zeros(env.action_space.shape)
    action[1] = size
    message = "actions of row 1 diverged .* at step 1 of its episode"
    for given in (action, action.astype(np.float32)) if abs(size) < 1e39 else (action,):
        with pytest.raises(NonFiniteError, match=message):
            env.step(given)
    assert all(np.array_equal(value, env.get_state()[key]) for key, value in state.items())
    action[1] = 1e9
    assert np.isfinite(env.step(action)[1]).all()


def test_a_reward_that_is_not_finite_is_an_error():
    env = make_env("neuroctl/HalfCheetah-v5", 2, {"ctrl_cost_weight": 1e38})
    env.reset(seed=0)
    with pytest.raises(NonFiniteError, match="reward of row 1 is -inf at step 1 of its episode"):
        env.step(np.array([[0.0] * 6, [100.0] * 6]))


def test_a_start_beyond_all_bounds_is_an_error():
    env = make_env("neuroctl/HalfCheetah-v5", 1, {"reset_noise_scale": 1e300})
    with pytest.raises(NonFiniteError, match="physics of row 0 diverged .* at step 0 of its episode"):
        env.reset(seed=0)


def test_making_a_task_leaves_no_log_behind(tmp_path, capfd):
    make_env("neuroctl/HalfCheetah-v5", 3).close()
    assert not list(tmp_path.iterdir()) and not capfd.readouterr().err
    assert mujoco.get_mju_user_warning() is None


def test_a_picture_changes_nothing(monkeypatch):
    class Camera:
        def __init__(self, model, height, width):
            self.model, self.size = model, (height, width, 3)

        def update_scene(self, data, camera):
            self.pose = data.xpos.copy()

        def render(self):
            return np.zeros(self.size, np.uint8)

        def close(self):
            pass

    monkeypatch.setattr(gymnasium_tasks, "open_renderer", Camera)
    env, twin = (make_env("neuroctl/Ant-v5", 2, {"render_mode": "rgb_array"}) for _ in range(2))
    for each in (env, twin):
        each.reset(seed=0)
    for action in wander(env, 4):
        assert env.render().shape == (2, 240, 320, 3)
        x, y = env.step(action), twin.step(action)
        assert x[0].tobytes() == y[0].tobytes() and x[1].tobytes() == y[1].tobytes()
    poses = env._renderers[0][0].pose
    env.render()
    # of the present positions, not of the last step's course
    assert not np.array_equal(env._renderers[0][0].pose, poses)
    mujoco.mj_kinematics(env.envs[0].model, env.envs[0].data)
    assert np.array_equal(env._renderers[0][0].pose, env.envs[0].data.xpos)
    env.close()


def test_pictures_have_the_tasks_own_rate():
    env: Any = gym.make("neuroctl/Reacher-v5").unwrapped
    assert env.metadata["render_fps"] == 50 and make_env("neuroctl/Hopper-v5", 1).metadata["render_fps"] == 125


@pytest.mark.parametrize("env_id", ["neuroctl/HalfCheetah-v5", "neuroctl/Reacher-v5"])
def test_episodes_are_recorded_and_replayed_bit_for_bit(env_id, tmp_path):
    kwargs = {"observe_velocity": False, "max_steps": 30}
    shifts = ["gaussian-noise:2", "action-delay:1", "mass:1"]
    neuroctl.record("random", tmp_path / "data", env_id=env_id, env_kwargs=kwargs, episodes=2, shifts=shifts)
    assert neuroctl.replay(tmp_path / "data").ok
    result = neuroctl.evaluate("zero", env_id=env_id, env_kwargs=kwargs, episodes=2)
    assert result.lengths.tolist() == [30, 30]


def test_the_configuration_names_the_options():
    config = GymnasiumTaskConfig("neuroctl/Reacher-v5", observe_velocity=False)
    assert make_env(config.id, 1, config.kwargs()).single_observation_space.shape == (8,)


def test_gymnasiums_own_id_runs_too():
    """Without the prefix, through the adapters: no saved state, and Gymnasium's seeds."""
    env, peer = make_env("Reacher-v5", 2), gym.make("Reacher-v5")
    obs, _ = env.reset(seed=[4, 7])
    theirs, _ = peer.reset(seed=7)
    for action in wander(env, 50):
        assert obs[1].tobytes() == theirs.tobytes()
        obs, _, _, truncated, info = env.step(action)
        theirs, *_ = peer.step(action[1])
    assert truncated.all() and info["final_obs"][1].tobytes() == theirs.tobytes()
    assert not vector.can_restore(env)


def test_a_vector_can_be_made_directly():
    env = GymnasiumTaskVector(2, task="Swimmer-v5", observe_velocity=False)
    assert env.reset(seed=0)[0].shape == (2, 3)
