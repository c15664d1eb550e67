"""What every distribution shift keeps: 0 is the identity, severity orders the disturbance, stacks compose."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuroctl import vector
from neuroctl.registry import shifts
from tests.envs.seer import KINDS, make_seer, watch

# Any: Gymnasium's `VectorEnv` knows neither lists of seeds nor the methods of ours
make_env: Callable[..., Any] = vector.make_env

ID = "neuroctl/LaneFollow-v0"
ROADS = {"track": "random", "track_seeds": (0, 100)}
# not those of plugins that happen to be installed
OURS = [name for name in shifts.names() if shifts.entries[name].target.startswith("neuroctl.envs")]
WRAPPERS = [name for name in OURS if shifts.load(name).kind == "wrapper"]
DYNAMICS = [name for name in OURS if shifts.load(name).kind == "dynamics" and name != "damping"]
"""Those that fit the vehicle, which has no damping."""
SENSORS = [name for name in WRAPPERS if KINDS[name]]


def drive(env, steps, seed=0):
    """Observations and rewards under the expert, from a reset."""
    obs, _ = env.reset(seed=seed)
    seen, rewards = [obs], []
    for _ in range(steps):
        result = env.step(env.unwrapped.expert_action())
        seen.append(result[0])
        rewards.append(result[1])
    return np.stack(seen), np.stack(rewards)


def test_every_shift_is_here():
    assert set(OURS) == {*KINDS, "action-delay", "damping", "friction", "gain", "mass", "held-out"}


@pytest.mark.parametrize("name", WRAPPERS)
def test_severity_zero_of_a_wrapper_changes_no_bit(name):
    plain, shifted = watch(make_seer(), 30), watch(shifts.load(name)(make_seer(), 0), 30)
    assert all(plain[key].tobytes() == shifted[key].tobytes() for key in plain)


@pytest.mark.parametrize("name", ["action-noise", "action-bias", "held-out", *DYNAMICS])
def test_severity_zero_of_a_drive_changes_no_bit(name):
    options = {**ROADS, "max_steps": 30}
    plain, shifted = drive(make_env(ID, 2, options), 60), drive(make_env(ID, 2, options, [f"{name}:0"]), 60)
    assert plain[0].tobytes() == shifted[0].tobytes()
    assert plain[1].tobytes() == shifted[1].tobytes()


@pytest.mark.parametrize(("name", "leaf"), [(name, leaf) for name in SENSORS for leaf in sorted(KINDS[name])])
def test_what_is_seen_is_disturbed_more_at_higher_severity(name, leaf):
    clean = watch(make_seer(4, leaf), 40).astype(float)
    size = [np.abs(watch(shifts.load(name)(make_seer(4, leaf), k), 40) - clean).mean() for k in range(6)]
    assert size[0] == 0
    assert all(a < b for a, b in itertools.pairwise(size)), size
    assert 3 * size[1] < size[5]


@pytest.mark.parametrize("name", ["action-noise", "action-bias", *DYNAMICS])
def test_trajectories_change_more_at_higher_severity(name):
    def lateral(severity):
        env = make_env(ID, 8, {"max_steps": 10_000}, [f"{name}:{severity}"])
        env.reset(seed=0)
        return np.array([env.step(env.unwrapped.expert_action())[4]["lateral_error_m"] for _ in range(100)])

    clean = lateral(0)
    size = [np.abs(lateral(k) - clean).mean() for k in range(6)]
    assert size[0] == 0
    assert all(a < b for a, b in itertools.pairwise(size)), size
    assert 3 * size[1] < size[5]


def test_held_out_roads_are_more_at_higher_severity():
    def unseen(severity):
        env = make_env(ID, 32, ROADS, [f"held-out:{severity}"])
        env.reset(seed=0)
        return (env.get_state()["variable/track"] >= 100).mean()

    shares = [unseen(k) for k in range(6)]
    assert shares[0] == 0 and shares[5] == 1
    assert all(a < b for a, b in itertools.pairwise(shares)), shares


ORDERS = [sorted(OURS), sorted(OURS, reverse=True), [OURS[(8 * i + 3) % len(OURS)] for i in range(len(OURS))]]


@pytest.mark.parametrize("order", ORDERS, ids=["forwards", "backwards", "mixed"])
@pytest.mark.parametrize(
    ("env_id", "options", "leaves_out"),
    [
        (
            ID,
            {**ROADS, "observation": "retina", "retina_size": (8, 32), "max_steps": 20},
            {"event-noise", "event-loss", "saturation", "hue", "observation-bias", "damping"},
        ),
        (
            "neuroctl/BallReach-v0",
            {"observation": "events", "max_steps": 20},
            {"held-out", "gaussian-noise", "contrast", "saturation", "hue", "observation-bias"}
            | {"pixel-dropout", "salt-pepper", "occlusion"},
        ),
    ],
    ids=["retina", "events"],
)
def test_all_that_fit_compose_in_any_order_and_restore_exactly(env_id, options, leaves_out, order):
    stack = [f"{name}:2" for name in order if name not in leaves_out]
    env, twin = (make_env(env_id, 2, options, stack) for _ in range(2))
    env.reset(seed=3)
    plain, _ = make_env(env_id, 2, options).reset(seed=3)
    changed = False
    for t in range(45):
        action = env.unwrapped.expert_action()
        if t in (10, 25):
            twin.set_state(None, env.get_state())
            assert twin.current_obs().tobytes() == env.current_obs().tobytes()
        obs, reward, *_ = env.step(action)
        assert env.observation_space.contains(obs)
        changed |= not np.array_equal(obs, plain)
        if t >= 10:
            again = twin.step(action)
            assert obs.tobytes() == again[0].tobytes() and reward.tobytes() == again[1].tobytes()
    assert changed
    assert {key.split("/")[1] for key in env.get_state() if key.startswith("shift/")} == {
        name
        for name in order
        if name not in leaves_out and shifts.load(name).kind_for(env.single_observation_space) == "wrapper"
    }


def test_the_order_of_wrappers_is_that_of_the_stack():
    """A noisy picture that is delayed is shown as it was; a delayed picture with noise gets fresh noise."""
    late_noise = drive(make_env(ID, 1, {}, ["observation-delay:2", "gaussian-noise:3"]), 20)[0]
    noise_late = drive(make_env(ID, 1, {}, ["gaussian-noise:3", "observation-delay:2"]), 20)[0]
    noise = drive(make_env(ID, 1, {}, ["gaussian-noise:3"]), 20)[0]
    assert np.array_equal(noise_late[2:], noise[:-2])
    assert not np.array_equal(late_noise[2:], noise[:-2])


def test_the_order_of_changes_of_the_robot_makes_no_difference():
    stack = ["mass:2", "action-delay:2", "friction:1", "action-delay:1", "mass:1"]
    one, other = (drive(make_env(ID, 2, ROADS, order), 60) for order in (stack, stack[::-1]))
    assert one[0].tobytes() == other[0].tobytes()
    options = {**ROADS, "dynamics": {"mass": 2.5 * 1.5, "action_delay": 4, "friction": 0.6}}
    assert one[0].tobytes() == drive(make_env(ID, 2, options), 60)[0].tobytes()


@pytest.mark.parametrize("name", WRAPPERS)
def test_dict_observations_are_shifted_and_restored(name):
    env, twin = (shifts.load(name)(make_seer(), 3) for _ in range(2))
    rng = np.random.default_rng(0)
    plain = make_seer()
    plain.reset(seed=1)
    obs, _ = env.reset(seed=1)
    changed = set()
    for _ in range(30):
        action = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
        twin.set_state(None, env.get_state())
        clean = plain.step(action)[0]
        obs, _, _, truncated, info = env.step(action)
        again = twin.step(action)
        changed |= {key for key in obs if not np.array_equal(obs[key], clean[key])}
        for key in obs:
            assert obs[key].dtype == clean[key].dtype
            assert env.single_observation_space[key].contains(obs[key][0])
            assert obs[key].tobytes() == again[0][key].tobytes() == twin.current_obs()[key].tobytes()
            if truncated.any():
                assert info["final_obs"][key].tobytes() == again[4]["final_obs"][key].tobytes()
    if name not in ("action-noise", "action-bias"):
        assert changed == KINDS[name]
