"""One contract, whoever made the environment; a mistake in what is asked for is answered with what exists."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

from neuroctl import evaluate, make_env, registry
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.vector import can_restore, current_obs, expert_action, get_state, set_state, spaces_of
from tests.neuroctl.toys import BLIND, CART, POINT, Point

LANE = "neuroctl/LaneFollow-v0"


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", CART, POINT, LANE])
def test_any_gymnasium_id_becomes_a_same_step_batch_with_dense_final_observations(env_id: str) -> None:
    kwargs = {"max_steps": 20} if env_id == LANE else {}
    env = make_env(env_id, 3, kwargs)
    assert env.num_envs == 3 and env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
    obs, _ = env.reset(seed=[1, 2, 3])  # type: ignore[arg-type]
    env.action_space.seed(0)
    ended = 0
    while ended < 3:
        last = obs
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert obs.shape == (3, *env.single_observation_space.shape)  # type: ignore[misc]
        assert reward.shape == terminated.shape == truncated.shape == (3,)
        done = terminated | truncated
        if done.any():
            ended += done.sum()
            assert info["final_obs"].shape == obs.shape and info["final_obs"].dtype == obs.dtype
            assert np.array_equal(info["_final_obs"], done)
            assert all(not np.array_equal(info["final_obs"][b], obs[b]) for b in np.flatnonzero(done))
        assert obs is not last
    env.close()


def test_a_row_of_a_foreign_environment_is_the_single_environment() -> None:
    env, single = make_env("CartPole-v1", 3), gym.make("CartPole-v1")
    obs, _ = env.reset(seed=[5, 6, 7])  # type: ignore[arg-type]
    one, _ = single.reset(seed=6)
    assert np.array_equal(obs[1], one)
    for t in range(12):
        obs, _, terminated, _, info = env.step(np.full(3, t % 2))
        one, _, over, *_ = single.step(t % 2)
        assert over == terminated[1]
        assert np.array_equal(info["final_obs"][1] if over else obs[1], one)
        if over:
            break


def test_an_unknown_environment_is_answered_with_the_nearest_and_ours() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'neuroctl/LaneFollow-v0'\? the nearest of .*LaneFollow"):
        make_env("neuroctl/LaneFolow-v0", 2)
    with pytest.raises(UnknownNameError, match=r"unknown environment 'CartPole-v11'; did you mean 'CartPole-v1'\?"):
        make_env("CartPole-v11", 2)
    with pytest.raises(UnknownNameError, match="unknown environment '';"):
        make_env("", 2)


@pytest.mark.parametrize(
    ("env_id", "known"),
    [
        (POINT, r"deadly, fail, .*, suicide"),
        (CART, "crashes, disable_env_checker, max_episode_steps, max_steps"),
        (LANE, "blackout_s, camera, .*, track_seeds"),
        ("CartPole-v1", "max_episode_steps, render_mode, sutton_barto_reward"),
    ],
)
def test_an_unknown_option_is_answered_with_those_that_exist(env_id: str, known: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"^unknown {env_id} option 'colour'; known: {known}$"):
        make_env(env_id, 2, {"colour": "red"})
    with pytest.raises(UnknownNameError, match=r"option 'max_stepz'; did you mean 'max_"):
        make_env(env_id, 2, {"max_stepz": 5})


@pytest.mark.parametrize("env_id", [name for name in gym.registry if name.startswith("neuroctl/")])
def test_gymnasium_answers_an_unknown_option_of_ours_as_we_do(env_id: str) -> None:
    with pytest.raises(UnknownNameError) as ours:
        make_env(env_id, 2, {"colour": "red"})
    for make in (gym.make, gym.make_vec):
        with pytest.raises(UnknownNameError) as theirs:
            make(env_id, colour="red")
        assert str(theirs.value) == str(ours.value)
    with pytest.raises(NeuroctlError, match="^'num_envs' is not an environment option"):
        gym.make(env_id, num_envs=2)


def test_a_value_that_an_environment_refuses_is_shown_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def picky(num_envs: int = 1, size: int = 1, **others: Any) -> Point:
        if others:
            raise TypeError(f"nothing is known of {', '.join(others)}")
        return Point(num_envs, image_size=(2**size, 3))

    spec = gym.envs.registration.EnvSpec(id="toys/Picky-v0", vector_entry_point=picky)
    monkeypatch.setitem(gym.registry, "toys/Picky-v0", spec)
    with pytest.raises(NeuroctlError, match=r"Picky-v0 refuses its options {'hue': 1}: nothing is known of hue"):
        make_env("toys/Picky-v0", 1, {"hue": 1})
    with pytest.raises(NeuroctlError, match=r"Picky-v0 refuses its options {'size': '3'}: unsupported operand"):
        make_env("toys/Picky-v0", 1, {"size": "3"})


def test_an_environment_without_options_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    plain: Any = lambda num_envs=1: Point(num_envs)  # noqa: E731
    spec = gym.envs.registration.EnvSpec(id="toys/Plain-v0", vector_entry_point=plain)
    monkeypatch.setitem(gym.registry, "toys/Plain-v0", spec)
    with pytest.raises(UnknownNameError, match="^unknown toys/Plain-v0 option 'hue'; known: none$"):
        make_env("toys/Plain-v0", 1, {"hue": 1})


@pytest.mark.parametrize("name", ["num_envs", "id", "vectorization_mode", "vector_kwargs"])
def test_how_environments_are_batched_is_no_option_of_theirs(name: str) -> None:
    with pytest.raises(NeuroctlError, match=rf"^'{name}' is not an environment option: it says how environments are"):
        make_env(POINT, 2, {name: 3})


def test_a_bug_of_an_environment_is_not_hidden_as_a_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, *args: Any, **kwargs: Any) -> None:
        raise TypeError("can only concatenate str")

    monkeypatch.setattr(Point, "__init__", broken)
    with pytest.raises(TypeError, match="concatenate"):
        make_env(POINT, 2)


def test_a_missing_package_is_one_line() -> None:
    with pytest.raises(NeuroctlError, match=r"toys/Blind-v0: Box9D is not installed, run `pip install box9d`"):
        make_env(BLIND, 2)


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (
            "gausian-noise:3",
            r"unknown shift 'gausian-noise'; did you mean 'gaussian-noise'\? known: action-bias, action-delay, ",
        ),
        ("gaussian-noise", r"shift 'gaussian-noise' has no severity; write gaussian-noise:0 to gaussian-noise:5"),
        ("gaussian-noise:", r"severity '' of shift 'gaussian-noise'; allowed: 0 to 5"),
        ("gaussian-noise:6", r"severity '6' of shift 'gaussian-noise'; allowed: 0 to 5"),
        ("gaussian-noise:-1", r"severity '-1'"),
        ("gaussian-noise:1.5", r"severity '1.5'"),
        ("friction:9", r"severity '9' of shift 'friction'"),
        (":3", r"unknown shift ''"),
    ],
)
def test_a_wrong_shift_is_answered_with_what_is_allowed(shift: str, message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        make_env(LANE, 2, shifts=[shift])


def test_a_shift_that_does_not_fit_is_answered_with_those_that_do() -> None:
    with pytest.raises(NeuroctlError) as caught:
        make_env(LANE, 2, shifts=["brightness:3"])
    reason, _, fitting = str(caught.value).partition("; fitting: ")
    assert reason.startswith("shift 'brightness' does not fit neuroctl/LaneFollow-v0: it needs an image")
    robot = ["friction", "gain", "mass"]
    sensors = ["frame-drop", "gaussian-noise", "observation-bias", "observation-delay"]
    assert fitting.split(", ") == sorted(["action-bias", "action-delay", "action-noise", *robot, *sensors])
    make_env(LANE, 1, {"observation": "retina"}, ["brightness:3"]).close()
    for shift in ("friction:3", "event-noise:1", "held-out:2"):
        with pytest.raises(NeuroctlError, match=rf"shift '{shift[:-2]}' does not fit toys/Cart-v0: .*; fitting: "):
            make_env(CART, 2, shifts=[shift])
    with pytest.raises(NeuroctlError) as caught:
        make_env("CartPole-v1", 2, shifts=["gaussian-noise:1", "mass:3"])
    reason, _, fitting = str(caught.value).partition("; fitting: ")
    assert reason.endswith("it changes the robot, and this environment has no option 'dynamics'")
    assert fitting.split(", ") == sensors


def test_a_wrong_option_is_named_also_under_a_change_of_the_robot() -> None:
    with pytest.raises(NeuroctlError, match="unknown CartPole-v1 option 'colour'"):
        make_env("CartPole-v1", 2, {"colour": "red"}, ["mass:3"])
    with pytest.raises(NeuroctlError, match="unknown neuroctl/LaneFollow-v0 option 'colour'"):
        make_env(LANE, 2, {"colour": "red"}, ["mass:3"])
    with pytest.raises(NeuroctlError, match="dynamics 'action_delay' is 60.*allowed: a whole number from 0 to 50"):
        make_env(LANE, 2, shifts=["action-delay:5"] * 5)


def test_every_shift_is_checked_before_any_environment_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(gym, "make_vec", lambda env_id, **_: made.append(env_id))
    with pytest.raises(NeuroctlError):
        make_env(LANE, 2, shifts=["friction:1", "fog:2"])
    assert not made


def test_dynamics_of_a_shift_multiply_those_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slippery(Exception):
        pass

    seen: dict[str, Any] = {}

    def make_vec(env_id: str, **options: Any) -> Any:
        seen.update(options)
        raise Slippery

    friction = registry.shifts.load("friction")
    monkeypatch.setattr(friction, "fits_options", lambda env_id, options: None)
    monkeypatch.setattr(gym, "make_vec", make_vec)
    factor = friction.dynamics(3)["friction"]
    assert factor != 1
    kwargs = {"dynamics": {"friction": [0.5, 2.0], "mass": 3.0}}
    with pytest.raises(Slippery):
        make_env(LANE, 2, kwargs, ["friction:3", "friction:3", "friction:0"])
    assert np.allclose(seen["dynamics"]["friction"], np.array([0.5, 2.0]) * factor**2)
    assert seen["dynamics"]["mass"] == 3.0
    assert kwargs == {"dynamics": {"friction": [0.5, 2.0], "mass": 3.0}}, "what was given is not changed"
    with pytest.raises(Slippery):
        seen.clear()
        make_env(LANE, 2, shifts=["friction:0"])
    assert "dynamics" not in seen


@pytest.mark.parametrize("num_envs", [0, -1, 2.5, True, "2"])
def test_a_batch_of_no_rows_is_refused(num_envs: Any) -> None:
    with pytest.raises(NeuroctlError, match=rf"num_envs must be an integer >= 1, got {num_envs!r}"):
        make_env(POINT, num_envs)


def test_an_environment_that_resets_in_no_known_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def manual(**kwargs: Any) -> Point:
        env = Point(**kwargs)
        env.metadata["autoreset_mode"] = AutoresetMode.DISABLED
        return env

    spec = gym.envs.registration.EnvSpec(id="toys/Manual-v0", vector_entry_point=manual)
    monkeypatch.setitem(gym.registry, "toys/Manual-v0", spec)
    with pytest.raises(NeuroctlError, match="autoreset mode .*DISABLED.*; SAME_STEP or NEXT_STEP is needed"):
        make_env("toys/Manual-v0", 1)


@pytest.mark.parametrize("shifts", [(), ("gaussian-noise:3", "observation-delay:2")])
def test_state_is_saved_and_restored_through_all_wrappers(shifts: tuple[str, ...]) -> None:
    env = make_env(POINT, 3, shifts=shifts)
    env.reset(seed=3)
    actions = np.full((3, 2), 0.3, np.float32)
    env.step(actions)
    assert can_restore(env)
    state, obs = get_state(env), current_obs(env)
    assert state is not None
    expected = [env.step(actions)[0] for _ in range(5)]
    set_state(env, np.arange(3), state)
    assert np.array_equal(current_obs(env), obs)
    assert all(np.array_equal(env.step(actions)[0], e) for e in expected)


@pytest.mark.parametrize("shifts", [(), ("gaussian-noise:3",)])
def test_an_environment_that_saves_no_state_says_so_also_under_a_shift(shifts: tuple[str, ...]) -> None:
    env = make_env(CART, 2, shifts=shifts)
    env.reset(seed=0)
    assert not can_restore(env) and get_state(env) is None
    with pytest.raises(NeuroctlError, match=r"toys/Cart-v0 has no scripted expert"):
        expert_action(env)


def test_the_expert_is_reached_through_all_wrappers() -> None:
    env = make_env(POINT, 2, shifts=["gaussian-noise:3"])
    env.reset(seed=0)
    assert np.array_equal(expert_action(env), env.unwrapped.expert_action())  # type: ignore[attr-defined]
    assert isinstance(env, VectorEnv)
    spaces = spaces_of(env)
    assert spaces.action.shape == (2,) and spaces.observation.shape == (3,)


@pytest.mark.parametrize("options", [[1], [], "", {1: 2}])
def test_environment_options_must_be_named(options: Any) -> None:
    for ask in (lambda: make_env(CART, 1, options), lambda: evaluate("zero", env_id=CART, env_kwargs=options)):
        with pytest.raises(NeuroctlError, match=r"environment options must be a dict such as .*, got "):
            ask()


@pytest.mark.parametrize("shifts", ["gain:3", [("gain", 3)], None, 3])
def test_a_stack_of_shifts_is_a_list_of_strings(shifts: Any) -> None:
    with pytest.raises(NeuroctlError, match="shifts must be a list of strings such as"):
        make_env(POINT, 1, {}, shifts)
    with pytest.raises(NeuroctlError, match="shifts must be a list of strings such as"):
        evaluate("expert", env_id=POINT, shifts=shifts)


class Pendular(gym.Env[Any, Any]):
    """Somebody's environment that says its control step, or not."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, control_dt_s: Any = None) -> None:
        if control_dt_s is not None:
            self.control_dt_s = control_dt_s

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.zeros(2, np.float32), 0.0, False, False, {}


def test_a_single_environment_says_its_control_step() -> None:
    def found(*arguments: Any) -> float | None:
        env: Any = gym.vector.SyncVectorEnv([lambda: Pendular(*arguments)] * 2)
        return spaces_of(env).control_dt_s

    assert found(0.04) == 0.04
    assert found() is None
    for wrong in (0.0, -0.02, float("nan"), float("inf"), "20 ms"):
        with pytest.raises(NeuroctlError, match="the control step control_dt_s must be a number of seconds > 0, got"):
            found(wrong)
