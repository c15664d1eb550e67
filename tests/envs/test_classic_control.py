"""CartPole and Pendulum against Gymnasium's own, step by step from the same states."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs.config import ClassicControlConfig
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env
CART, PENDULUM = "neuroctl/CartPole-v1", "neuroctl/Pendulum-v1"
both = pytest.mark.parametrize("env_id", [CART, PENDULUM])


def peer_of(env_id: str) -> Any:
    return gym.make(env_id.removeprefix("neuroctl/"), disable_env_checker=True).unwrapped


def actions_of(env: Any, steps: int) -> Any:
    rng, space = np.random.default_rng(0), env.single_action_space
    if isinstance(space, gym.spaces.Discrete):
        return rng.integers(2, size=(steps, env.num_envs))
    return rng.uniform(-3, 3, (steps, env.num_envs, 1)).astype(np.float32)  # some beyond the bounds


@both
def test_every_step_is_gymnasiums(env_id: str) -> None:
    env, peer = make_env(env_id, 5), peer_of(env_id)
    obs, _ = env.reset(seed=0)
    peer.reset(seed=0)
    ended = 0
    for action in actions_of(env, 300):
        before, state = obs, env.unwrapped.variables["state"].copy()
        obs, reward, terminated, truncated, info = env.step(action)
        for b in range(5):
            peer.state, peer.steps_beyond_terminated = state[b], None
            theirs, their_reward, their_end, *_ = peer.step(action[b])
            assert before[b] == pytest.approx(np.array(peer_observation(env_id, state[b])), abs=1e-6)
            done = terminated[b] or truncated[b]
            mine = info["final_obs"][b] if done else obs[b]
            assert mine == pytest.approx(theirs, abs=1e-6)
            assert reward[b] == pytest.approx(their_reward, rel=1e-6)
            assert terminated[b] == their_end
            if not done:
                assert env.unwrapped.variables["state"][b] == pytest.approx(peer.state, rel=1e-6, abs=1e-7)
        ended += int((terminated | truncated).sum())
    assert ended >= 5


def peer_observation(env_id: str, state: Any) -> Any:
    return state if env_id == CART else [np.cos(state[0]), np.sin(state[0]), state[1]]


def test_a_cart_follows_gymnasiums_to_rounding_for_two_seconds() -> None:
    """Not for longer: a standing pole multiplies differences of rounding by about e every quarter of a second."""
    env, peer = make_env(CART, 1), peer_of(CART)
    env.reset(seed=1)
    peer.reset(seed=1)
    peer.state = env.unwrapped.variables["state"][0].copy()
    for _ in range(100):
        action = env.unwrapped.expert_action()
        env.step(action)
        peer.step(action[0])
        assert env.unwrapped.variables["state"][0] == pytest.approx(peer.state, rel=0, abs=1e-11)


@both
def test_spaces_limits_and_starts_are_gymnasiums(env_id: str) -> None:
    env, spec = make_env(env_id, 400), gym.spec(env_id.removeprefix("neuroctl/"))
    peer = peer_of(env_id)
    assert env.single_observation_space == peer.observation_space and env.single_action_space == peer.action_space
    assert env.unwrapped.max_steps == spec.max_episode_steps
    env.reset(seed=0)
    most = np.array([0.05] * 4 if env_id == CART else [np.pi, 1.0])
    start = env.unwrapped.variables["state"] / most
    assert (np.abs(start) <= 1).all()
    # of 400 uniform starts: mean within 4.9 standard errors, none missing from the outer tenths
    assert (np.abs(start.mean(axis=0)) < 4.9 / np.sqrt(3 * 400)).all()
    assert (start.max(axis=0) > 0.9).all() and (start.min(axis=0) < -0.9).all()


@pytest.mark.parametrize(("env_id", "kept"), [(CART, [0, 2]), (PENDULUM, [0, 1])])
def test_without_velocities_the_rest_is_the_same(env_id: str, kept: list[int]) -> None:
    whole, blind = make_env(env_id, 3), make_env(env_id, 3, {"observe_velocity": False})
    a, b = whole.reset(seed=3)[0], blind.reset(seed=3)[0]
    assert blind.single_observation_space.shape == (2,)
    for action in actions_of(whole, 60):
        assert a[:, kept].tobytes() == b.tobytes()
        a, rewards, *_ = whole.step(action)
        b, *rest = blind.step(action)
        assert rewards.tobytes() == rest[0].tobytes()


def test_experts_balance_and_swing_up() -> None:
    cart = neuroctl.evaluate("expert", env_id=CART, episodes=64)
    assert cart.returns.tolist() == [500] * 64 and cart.final["success"].all()
    assert neuroctl.evaluate("random", env_id=CART, episodes=16).final["success"].sum() == 0
    pendulum = neuroctl.evaluate("expert", env_id=PENDULUM, episodes=64)
    assert pendulum.final["success"].all() and pendulum.returns.mean() > -200
    assert (pendulum.final["upright_s"] > 4).all()
    assert neuroctl.evaluate("random", env_id=PENDULUM, episodes=16).returns.mean() < -800


def test_the_time_upright_is_counted() -> None:
    env = make_env(PENDULUM, 1, {"max_steps": 100})
    env.reset(seed=2)
    upright, info = 0, {}
    while "final_info" not in info:
        *_, info = env.step(env.unwrapped.expert_action())
        said = info.get("final_info", info)
        angle = float(said["angle_rad"][0])
        assert -np.pi <= angle < np.pi and said["success"][0] == (abs(angle) <= 0.2)
        upright += abs(angle) <= 0.2
        assert said["upright_s"][0] == pytest.approx(0.05 * upright)
    assert upright > 10


@both
def test_pictures_show_where_it_is(env_id: str) -> None:
    env = make_env(env_id, 2, {"render_mode": "rgb_array"})
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (2, 240, 320, 3) and before.dtype == np.uint8
    for action in actions_of(env, 8):
        env.step(action)
    assert (env.render() != before).any()
    assert env.metadata["render_fps"] == (50 if env_id == CART else 20)


@both
def test_bad_options_are_answered_with_one_line(env_id: str) -> None:
    for options, message in (
        ({"observe_velocity": "no"}, "unknown observe_velocity 'no'; allowed: True, False"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        ({"last_action": 0}, "unknown last_action 0; allowed: True, False"),
    ):
        with pytest.raises(NeuroctlError) as error:
            make_env(env_id, 2, options)
        assert str(error.value) == message


@both
def test_the_configuration_names_the_options(env_id: str) -> None:
    config = ClassicControlConfig(env_id, observe_velocity=False)
    assert make_env(config.id, 1, config.kwargs()).single_observation_space.shape == (2,)
