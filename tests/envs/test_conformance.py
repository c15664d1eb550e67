"""Every environment of ours, and every option that changes what is simulated or seen, keeps the same promises.

The promises are tested with every set of options of every environment. Shifts join only the test of restored states,
where alone they keep something themselves, and not in every combination: what a shift does depends on the kind of
observation (numbers, image, events) and of action (continuous, discrete), on the robot's model, on `dynamics` that are
given already and on the held-out set. Each of these that an environment of ours has meets every shift once (`SHIFTED`),
also those that do not fit; so do two of Gymnasium's tasks, for one class makes them all: one whose episodes only run
out, and one whose robot falls. An environment of ours that `SHIFTED` does not name meets them with all its options.
"""

import itertools
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import neuroctl
from neuroctl import vector
from neuroctl.envs.gymnasium_tasks import TASKS
from neuroctl.envs.single_env import SingleEnv
from neuroctl.registry import shifts

made: list[Any] = []


def make_env(*args: Any, **kwargs: Any) -> Any:
    """Any: Gymnasium's `VectorEnv` knows neither lists of seeds nor the methods of ours."""
    made.append(vector.make_env(*args, **kwargs))
    return made[-1]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test makes is closed after it, so that the next one has emulators."""
    yield
    while made:
        made.pop().close()


STEPS = 150
GYMNASIUM = {f"neuroctl/{task}": task for task in TASKS}
"""Tasks that are Gymnasium's own code, with its spaces."""
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "neuroctl/ArmReach-v0": [
        {},
        {"task": "delayed", "command": "velocity", "observe_velocity": False, "max_steps": 110},
        {"perturbation": "force-field", "block_episodes": 1, "dynamics": {"action_delay": 2, "mass": 1.5}},
        {"arm": "spatial7", "task": "delayed", "perturbation": "force-field", "max_steps": 110},
        {
            "arm": "spatial7",
            "command": "velocity",
            "target_set": "train",
            "perturbation": "rotation",
            "block_episodes": 2,
            "max_steps": 60,
        },
    ],
    "neuroctl/BallReach-v0": [
        {"max_steps": 100},
        {"observation": "retina", "reward": "distance", "max_steps": 120},
        {"observation": "retina", "image_code": "sums", "dynamics": {"action_delay": 2, "mass": 1.5}, "max_steps": 90},
        {"observation": "events", "max_steps": 120},
        {
            "observation": "events",
            "event_model": "noisy",
            "event_polarity": True,
            "event_light": 0.5,
            "event_glare": 0.1,
            "image_code": "sums",
            "max_steps": 90,
        },
    ],
    "neuroctl/LaneFollow-v0": [
        {},
        {"observation": "state", "track": "random", "track_seeds": (0, 20), "max_steps": 60},
        {"observation": "retina", "retina_size": (8, 32), "blackout_s": 0.5},
        {"observation": "retina", "retina_size": (15, 50), "camera": "far", "track": "random", "track_seeds": (0, 5)},
        {"observation": "events", "event_polarity": True, "track": "random", "track_seeds": (0, 5)},
        {
            "observation": "events",
            "event_model": "noisy",
            "event_time_stamps": True,
            "camera": "far",
            "blackout_s": 0.5,
        },
        {"discrete_steering": True, "crash_pause_s": 0.1},
        {"dynamics": {"action_delay": 3, "mass": 1.5, "damping": 2.0}},
    ],
    "neuroctl/NonMatch-v0": [
        {},
        {"symbols": 2, "delay": 5, "trials": 3, "last_reward": True, "last_action": True},
        {"delay": 4, "random_delay": False, "distractors": False},
    ],
    "neuroctl/TMaze-v0": [{"corridor": 6}, {"corridor": 4, "last_reward": True, "last_action": True, "max_steps": 15}],
    "neuroctl/NParity-v0": [{}, {"bits": 3, "last_action": True}],
    "neuroctl/Copy-v0": [{}, {"length": 3, "delay": 0, "last_reward": True, "last_action": True}],
    "neuroctl/CartPole-v1": [{}, {"observe_velocity": False, "last_action": True, "max_steps": 15}],
    "neuroctl/Pendulum-v1": [
        {"max_steps": 100},
        {"observe_velocity": False, "last_reward": True, "last_action": True, "max_steps": 40},
    ],
    "neuroctl/WaterMaze-v0": [
        {"radius_m": 0.5, "rest_s": 0.2, "last_reward": True, "max_steps": 100},
        {"observation": "retina", "cues": 3, "max_steps": 90},
        {"discrete_actions": True, "radius_m": 0.5, "rest_s": 0, "dynamics": {"action_delay": 2}, "max_steps": 80},
    ],
    "neuroctl/Atari-Breakout-v0": [
        {"size": (42, 42), "max_steps": 30},
        {"protocol": "deepmind", "frame_stack": 1, "size": (30, 20), "max_steps": 25},
        {"grayscale": False, "frame_stack": 2, "size": (20, 20), "frame_skip": 2, "max_steps": 30},
    ],
    **{env_id: [{"max_steps": 30}] for env_id in GYMNASIUM},
    "neuroctl/HalfCheetah-v5": [
        {"max_steps": 30},
        {"observe_velocity": False, "max_steps": 30, "dynamics": {"action_delay": 2, "mass": 1.5, "gain": 0.7}},
    ],
}
SHIFTED = {
    "neuroctl/ArmReach-v0": [2, 4],  # the plane, with dynamics of its own; space, with held-out targets
    "neuroctl/BallReach-v0": [1, 2, 3],  # an image; sums, with dynamics of its own; events
    "neuroctl/LaneFollow-v0": [3, 4, 6, 7],  # an image; events; discrete actions; numbers, with dynamics of its own
    "neuroctl/WaterMaze-v0": [1, 2],  # an image; discrete actions and numbers, with dynamics of its own
    "neuroctl/Atari-Breakout-v0": [2],  # images in colour; discrete actions
    "neuroctl/HalfCheetah-v5": [1],
    "neuroctl/Hopper-v5": [0],
    "neuroctl/TMaze-v0": [1],  # numbers and discrete actions, without a robot
    "neuroctl/Pendulum-v1": [1],
    **{f"neuroctl/{task}": [] for task in ("NonMatch-v0", "NParity-v0", "Copy-v0", "CartPole-v1")},
}
"""Which of the `OPTIONS` meet the shifts."""
MAY_BE_CONSTANT = {
    "neuroctl/Ant-v5": range(27, 105),  # contact forces of bodies that touch nothing
    "neuroctl/Humanoid-v5": [*range(54, 175, 10), *range(270, 348)],  # masses, and contact forces
    "neuroctl/HumanoidStandup-v5": [*range(54, 175, 10), *range(270, 348)],
    "neuroctl/InvertedDoublePendulum-v5": [8],  # the force of the rail's end, which is not reached
    "neuroctl/Pusher-v5": range(19, 23),  # height of the object, place of the goal
    "neuroctl/WaterMaze-v0": [7],  # whether it stands on the platform, where there is no rest
}
"""Entries of observations that tell nothing, mostly Gymnasium's own."""
FAMILIES = ("neuroctl/Atari-", "neuroctl/Procgen-")
"""One Atari game stands for all. The state of a Procgen game cannot be read: tests/envs/test_procgen.py."""
IDS = [
    name for name in gym.registry if name.startswith("neuroctl/") and (name in OPTIONS or not name.startswith(FAMILIES))
]
SETS = [(f"{i.split('/')[1]}-{k}", i, k, o) for i in IDS for k, o in enumerate(OPTIONS.get(i, [{}]))]
CASES = [pytest.param(env_id, options, id=name) for name, env_id, _, options in SETS]
conformance = pytest.mark.parametrize(("env_id", "options"), CASES)


def leaves(obs):
    return list(obs.values()) if isinstance(obs, dict) else [obs]


def equal(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def steps_of(env_id):
    return 70 if env_id in GYMNASIUM or "Atari" in env_id else STEPS  # all with episodes of at most 30 steps


def draw_actions(env, steps, seed=0):
    """Actions that wander, so that some episodes last and some end, `[steps, B, ...]`."""
    rng, space, b = np.random.default_rng(seed), env.single_action_space, env.num_envs
    if isinstance(space, gym.spaces.Discrete):
        return np.repeat(rng.integers(space.n, size=(steps // 5 + 1, b)), 5, axis=0)[:steps]
    wander = 0.3 * rng.standard_normal((steps, b, *space.shape)).cumsum(axis=0) / 3
    middle, half = (space.high + space.low) / 2, (space.high - space.low) / 2
    return (middle + half * np.sin(wander)).astype(space.dtype)


def play(env, actions, seed=None):
    """What reset and the steps returned; without a seed, goes on."""
    result = [env.reset(seed=seed)] if seed is not None else []
    return result + [env.step(action) for action in actions]


@conformance
def test_check_env_accepts_it_without_a_warning(env_id, options):
    env = gym.make(env_id, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Gymnasium recommends actions in [-1, 1]; ours have their units.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized space")
        if env_id in GYMNASIUM or env_id == "neuroctl/CartPole-v1":
            warnings.filterwarnings("ignore", message=".*A Box observation space m.* value is -?infini")
        check_env(env.unwrapped, skip_render_check=True)
    env.close()


@conformance
def test_same_seed_same_bits_and_another_seed_differs(env_id, options):
    a, b = make_env(env_id, 3, options), make_env(env_id, 3, options)
    actions = draw_actions(a, steps_of(env_id))
    first = play(a, actions, seed=5)
    for x, y in zip(first, play(b, actions, seed=5), strict=True):
        assert all(equal(p, q) for p, q in zip(x, y, strict=True))
    other = play(b, actions[:50], seed=9)
    assert not all(equal(x[0], y[0]) for x, y in zip(first[:51], other, strict=True))


@conformance
def test_values_are_finite_inside_the_space_and_not_constant(env_id, options):
    env = make_env(env_id, 4, options)
    steps = play(env, draw_actions(env, 500 if steps_of(env_id) == STEPS else 140), seed=0)
    for obs, *rest in steps:
        assert env.observation_space.contains(obs)
        assert all(np.isfinite(leaf).all() for leaf in leaves(obs))
        if len(rest) > 1:
            assert np.isfinite(rest[0]).all()
            assert rest[0].dtype == np.float64
    for parts in zip(*(leaves(step[0]) for step in steps), strict=True):
        if parts[0].ndim == 2:
            spread = np.stack(parts).reshape(-1, parts[0].shape[1]).std(axis=0)
            constant = np.setdiff1d(np.flatnonzero(spread <= 1e-3), MAY_BE_CONSTANT.get(env_id, []))
            assert not len(constant), f"constant entries: {constant}"


@conformance
def test_returned_arrays_share_no_memory(env_id, options):
    env = make_env(env_id, 2, options)
    steps = play(env, draw_actions(env, 60), seed=0)
    kept = [[leaf.copy() for leaf in leaves(step[0])] for step in steps]
    play(env, draw_actions(env, 20))
    for step, copies in zip(steps, kept, strict=True):
        assert all(equal(leaf, copy) for leaf, copy in zip(leaves(step[0]), copies, strict=True))
    arrays = [a for step in steps for a in every_array(step)]
    for a, b in itertools.combinations(arrays[-60:], 2):
        assert not np.shares_memory(a, b)


def every_array(value):
    if isinstance(value, np.ndarray):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else []
    return [array for part in parts for array in every_array(part)]


@conformance
def test_single_environment_equals_a_row_of_a_vector(env_id, options):
    vector, single = make_env(env_id, 3, options), gym.make(env_id, **options)
    actions = draw_actions(vector, steps_of(env_id))
    obs, info = vector.reset(seed=[7, 8, 9])
    row = 1
    obs1, info1 = single.reset(seed=8)
    assert equal(obs1, obs[row])
    ended = 0
    for action in actions:
        obs, reward, terminated, truncated, info = vector.step(action)
        obs1, reward1, terminated1, truncated1, info1 = single.step(action[row])
        assert (reward[row], terminated[row], truncated[row]) == (reward1, terminated1, truncated1)
        if terminated1 or truncated1:
            ended += 1
            assert equal(obs1, info["final_obs"][row])
            assert all(equal(value, info["final_info"][key][row]) for key, value in info1.items())
            obs1, info1 = single.reset()
        assert equal(obs1, obs[row])
        assert all(equal(value, info[key][row]) for key, value in info1.items())
    assert ended


@conformance
def test_rows_do_not_depend_on_their_neighbours(env_id, options):
    narrow, wide = make_env(env_id, 2, options), make_env(env_id, 5, options)
    steps = min(150, steps_of(env_id))
    actions, others = draw_actions(narrow, steps), draw_actions(wide, steps, seed=1)
    a, _ = narrow.reset(seed=[3, 4])
    b, _ = wide.reset(seed=[50, 60, 4, 70, 80])
    for mine, foreign in zip(actions, others, strict=True):
        foreign[2] = mine[1]
        x, y = narrow.step(mine), wide.step(foreign)
        assert all(equal(p[1], q[2]) for p, q in zip(x[:4], y[:4], strict=True))


def _variants():
    ours = [name for name in shifts.names() if shifts.entries[name].target.startswith("neuroctl.envs")]
    for name, env_id, k, options in SETS:
        shifted = k in SHIFTED.get(env_id, [] if env_id in GYMNASIUM else [k])
        for shift in [None, *ours] if shifted else [None]:
            yield pytest.param(env_id, options, shift, id=f"{name}-{shift}")


@pytest.mark.parametrize(("env_id", "options", "shift"), list(_variants()))
def test_state_restored_in_mid_episode_is_exact_under_every_shift_that_fits(env_id, options, shift):
    steps, stack = min(140, steps_of(env_id)), []
    if shift:  # short episodes: ends come soon after the state was restored
        steps, stack, options = 60, [f"{shift}:3"], options | {"max_steps": 30}
    try:
        env, fresh = make_env(env_id, 3, options, stack), make_env(env_id, 2, options, stack)
    except neuroctl.NeuroctlError as error:
        reason, _, fitting = str(error).partition("; fitting: ")
        assert shift and reason.startswith(f"shift {shift!r} does not fit {env_id}: ")
        assert shift not in fitting.split(", ")
        return
    actions = draw_actions(env, steps)
    play(env, actions[:10], seed=11)
    env.reset(options={"reset_mask": np.array([False, False, True])})  # so that not all episodes end at once
    play(env, actions[10:20])
    rows = np.array([2, 0])
    fresh.set_state(None, env.get_state(np.array([2, 1])))
    for leaf in leaves(fresh.current_obs()):
        leaf[:] = 0  # what is handed out is the caller's
    fresh.set_state([1], env.get_state([0]))
    assert equal(fresh.current_obs(), env.current_obs()[rows])
    ended = 0
    for action in actions[20:]:
        x, y = env.step(action), fresh.step(action[rows])
        assert all(equal(p[rows], q) for p, q in zip(x[:4], y[:4], strict=True))
        if (done := y[2] | y[3]).any():
            ended += 1
            assert equal(x[4]["final_obs"][rows][done], y[4]["final_obs"][done])
    assert ended
    a, b = env.get_state(rows), fresh.get_state()
    assert a.keys() == b.keys()
    assert all(equal(a[key], b[key]) for key in a), [key for key in a if not equal(a[key], b[key])]
    assert equal(env.current_obs()[rows], fresh.current_obs())


@conformance
def test_pickled_environment_goes_on_alike(env_id, options):
    env = make_env(env_id, 2, options)
    actions = draw_actions(env, 60)
    play(env, actions[:30], seed=0)
    twin = pickle.loads(pickle.dumps(env))
    for x, y in zip(play(env, actions[30:]), play(twin, actions[30:]), strict=True):
        assert all(equal(p, q) for p, q in zip(x[:4], y[:4], strict=True))
    assert pickle.loads(pickle.dumps(make_env(env_id, 2, options))).reset(seed=0)


@conformance
def test_autoreset_returns_the_next_episode_and_keeps_the_last_observation(env_id, options):
    env = make_env(env_id, 4, options)
    assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    twin = make_env(env_id, 4, options)
    play(env, [], seed=0)
    seen = 0
    for action in draw_actions(env, steps_of(env_id)):
        state = env.get_state()
        obs, _, terminated, truncated, info = env.step(action)
        done = terminated | truncated
        assert ("final_obs" in info) == bool(done.any())
        assert not (terminated & truncated).any()
        if not done.any():
            continue
        seen += 1
        assert (info["_final_obs"] == done).all()
        assert (info["_final_info"] == done).all()
        assert all(len(leaf) == 4 for leaf in leaves(info["final_obs"]))
        # The next episode is the one that a reset of these rows alone would begin.
        twin.set_state(None, state)
        fresh, _ = twin.reset(options={"reset_mask": done})
        assert equal(obs[done], fresh[done])
        if seen == 5:
            return
    assert seen


@conformance
def test_reset_mask_touches_only_its_rows(env_id, options):
    env = make_env(env_id, 3, options)
    play(env, draw_actions(env, 10), seed=0)
    before, state = env.current_obs(), env.get_state()
    mask = np.array([False, True, False])
    obs, _ = env.reset(seed=[None, 77, None], options={"reset_mask": mask})
    assert equal(obs[~mask], before[~mask])
    after = env.get_state()
    simulated = [key for key in state if key in ("mujoco", "machine") or key.startswith("variable/")]
    assert any(not equal(after[key][mask], state[key][mask]) for key in simulated)
    assert all(equal(state[key][~mask], after[key][~mask]) for key in state)
    assert equal(obs[1], make_env(env_id, 1, options).reset(seed=77)[0][0])


@conformance
def test_single_environment_resumes_after_an_end(env_id, options):
    env = gym.make(env_id, **options).unwrapped
    assert isinstance(env, SingleEnv)
    env.reset(seed=0)
    actions = draw_actions(env.vector, 1000)[:, 0]
    while not any(env.step(actions[0])[2:4]):
        actions = actions[1:]
    state = env.get_state()
    twin: Any = gym.make(env_id, **options).unwrapped
    twin.set_state(state)
    assert equal(env.reset()[0], twin.reset()[0])
