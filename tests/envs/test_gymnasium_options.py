"""Options of Gymnasium's tasks: the documented ones, of the kind of their defaults; every mistake is one line."""

import inspect
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import vector
from neuroctl.envs.gymnasium_options import INSTEAD, task_options
from neuroctl.envs.gymnasium_tasks import TASKS, GymnasiumTaskVector
from neuroctl.errors import NeuroctlError, UnknownNameError

make_env: Any = vector.make_env
CHEETAH, ANT, HOPPER = "neuroctl/HalfCheetah-v5", "neuroctl/Ant-v5", "neuroctl/Hopper-v5"


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        (
            CHEETAH,
            {"colour": "red"},
            "unknown neuroctl/HalfCheetah-v5 option 'colour'; known: ctrl_cost_weight, ",
        ),
        (CHEETAH, {"healthy_reward": 1.0}, "unknown neuroctl/HalfCheetah-v5 option 'healthy_reward'"),
        (CHEETAH, {"task": "Ant-v5"}, "neuroctl/HalfCheetah-v5 is the task 'HalfCheetah-v5'; found task='Ant-v5'"),
        (CHEETAH, {"task": np.zeros(2)}, "neuroctl/HalfCheetah-v5 is the task 'HalfCheetah-v5'; found task=array"),
        (CHEETAH, {"registered": "Hopper-v5"}, "unknown neuroctl/HalfCheetah-v5 option 'registered'"),
        (CHEETAH, {"reset_noise_scale": -1}, "reset_noise_scale is -1; allowed: a finite number >= 0"),
        (CHEETAH, {"reset_noise_scale": "abc"}, "reset_noise_scale is 'abc'; allowed: a finite number >= 0"),
        (CHEETAH, {"reset_noise_scale": 10**400}, "reset_noise_scale is 10"),
        (CHEETAH, {"reset_noise_scale": np.zeros(2)}, "reset_noise_scale is array"),
        (CHEETAH, {"frame_skip": 0}, "frame_skip is 0; allowed: an integer from 1 to 1000"),
        (CHEETAH, {"frame_skip": 2.5}, "frame_skip is 2.5; allowed: an integer from 1"),
        (CHEETAH, {"frame_skip": -1}, "frame_skip is -1; allowed: an integer from 1"),
        (CHEETAH, {"frame_skip": True}, "frame_skip is True; allowed: an integer from 1"),
        (CHEETAH, {"frame_skip": 10**400}, "frame_skip is 10"),
        (CHEETAH, {"xml_file": "ant.xml"}, "xml_file is no option of .*; for one of your own see MujocoTask"),
        (CHEETAH, {"width": 100}, "width is no option of neuroctl/HalfCheetah-v5: frames are 240 x 320"),
        (CHEETAH, {"max_episode_steps": 5}, "max_episode_steps is no option of .*: give max_steps"),
        (CHEETAH, {"ctrl_cost_weight": float("inf")}, "ctrl_cost_weight is inf; allowed: a finite number"),
        (CHEETAH, {"exclude_current_positions_from_observation": 1}, "unknown exclude_.* 1; allowed: True, False"),
        (CHEETAH, {"observe_velocity": "no"}, "unknown observe_velocity 'no'; allowed: True, False"),
        (CHEETAH, {"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        (CHEETAH, {"dynamics": {"mass": 0}}, "dynamics 'mass' is 0"),
        (CHEETAH, {"render_mode": "human"}, "unknown render_mode 'human'; allowed: None, 'rgb_array'"),
        (ANT, {"healthy_z_range": 5}, "healthy_z_range is 5; allowed: two numbers, low < high"),
        (ANT, {"healthy_z_range": (1, 0.2)}, r"healthy_z_range is \(1, 0.2\); allowed: two numbers, low < high"),
        (ANT, {"healthy_z_range": (1, 1)}, r"healthy_z_range is \(1, 1\); allowed: two numbers, low < high"),
        (HOPPER, {"healthy_z_range": (True, 5)}, r"healthy_z_range is \(True, 5\); allowed: two numbers"),
        (HOPPER, {"healthy_z_range": (0.5, np.True_)}, "healthy_z_range is .*; allowed: two numbers"),
        (ANT, {"healthy_z_range": (0.2, float("nan"))}, "healthy_z_range is .*; allowed: two numbers"),
        (ANT, {"healthy_z_range": [0.2, [1.0]]}, "healthy_z_range is .*; allowed: two numbers"),
        (ANT, {"main_body": "nose"}, "main_body is 'nose'; allowed: 1 to 13, or one of torso, front_left_leg"),
        (ANT, {"main_body": 14}, "main_body is 14; allowed: 1 to 13"),
        (ANT, {"main_body": 0}, "main_body is 0; allowed: 1 to 13"),
        (ANT, {"main_body": [1]}, r"main_body is \[1\]; allowed: 1 to 13"),
    ],
)
def test_a_wrong_option_is_one_line(env_id, options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        make_env(env_id, 1, options)
    assert "\n" not in str(caught.value)


def test_an_unknown_option_comes_with_its_nearest_name():
    for make in (lambda **options: make_env(CHEETAH, 1, options), lambda **options: gym.make(CHEETAH, **options)):
        with pytest.raises(UnknownNameError, match="did you mean 'reset_noise_scale'"):
            make(reset_noise_scales=0.0)


def test_a_vector_made_directly_needs_a_known_task():
    for task in ("Chess-v1", None, 5):
        with pytest.raises(NeuroctlError, match=f"unknown task {task!r}; allowed: 'HalfCheetah-v5', "):
            GymnasiumTaskVector(1, task=task)  # type: ignore[arg-type]
    assert make_env(ANT, 1, {"task": "Ant-v5"}).task == "Ant-v5"


@pytest.mark.parametrize("task", TASKS)
def test_every_default_of_the_task_is_allowed(task):
    maker: Any = gym.envs.registration.load_env_creator(str(gym.spec(task).entry_point))
    defaults = {name: p.default for name, p in inspect.signature(maker).parameters.items() if name != "kwargs"}
    assert {name for name in defaults if name in INSTEAD} == {"xml_file", "default_camera_config"}
    own = {name: value for name, value in defaults.items() if name not in INSTEAD}
    assert task_options(task, own) == own
    plain, given = make_env(f"neuroctl/{task}", 1), make_env(f"neuroctl/{task}", 1, own)
    assert plain.reset(seed=0)[0].tobytes() == given.reset(seed=0)[0].tobytes()
    action = np.full(plain.action_space.shape, 0.3, np.float32)
    assert plain.step(action)[1].tobytes() == given.step(action)[1].tobytes()


def test_a_range_may_have_no_bound():
    for z_range in ((0.2, float("inf")), [float("-inf"), 5]):
        env = make_env(ANT, 1, {"healthy_z_range": z_range})
        env.reset(seed=0)
        assert not env.step(np.zeros((1, 8), np.float32))[2]
    assert make_env(HOPPER, 1, {"healthy_z_range": (100, 200)}).envs[0]._healthy_z_range == (100.0, 200.0)


def test_a_main_body_is_named_or_numbered():
    moved = []
    for body in ("torso", 1, 13):
        env = make_env(ANT, 1, {"main_body": body})
        env.reset(seed=0)
        moved.append(env.step(np.full((1, 8), 0.5, np.float32))[4]["reward_forward"][0])
    assert moved[0] == moved[1] != moved[2]


def test_frames_skipped_make_the_control_step():
    env = make_env(CHEETAH, 1, {"frame_skip": 2})
    env.reset(seed=0)
    env.step(np.zeros((1, 6), np.float32))
    assert env.datas[0].time == pytest.approx(2 * env.models[0].opt.timestep)
