"""Procgen: seeds of rows, autoreset, recording and replay; the games are EnvPool's, which needs Debian's libqt5gui5."""

import builtins
import sys
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import neuroctl
from neuroctl import vector
from neuroctl.envs.procgen_games import GAMES
from neuroctl.replaying import replay
from neuroctl.rollouts import record
from neuroctl.vector import can_restore

make_env: Callable[..., Any] = vector.make_env  # Any: lists of seeds, which Gymnasium's `VectorEnv` does not know

COINRUN = "neuroctl/Procgen-CoinRun-v0"
NINJA = "neuroctl/Procgen-Ninja-v0"


@pytest.fixture(autouse=True, scope="module")
def games() -> None:
    try:
        make_env(COINRUN, 1).close()
    except neuroctl.NeuroctlError as error:
        pytest.skip(str(error))


def actions(steps: int, rows: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).choice([7, 7, 8, 5, 4, 0], (steps, rows))


def play(env: Any, given: Any) -> list[Any]:
    return [env.step(action) for action in given]


def equal(a: list[Any], b: list[Any]) -> bool:
    return all(np.array_equal(p, q) for x, y in zip(a, b, strict=True) for p, q in zip(x[:4], y[:4], strict=True))


def test_there_is_an_id_for_every_game_and_mode():
    import envpool

    tasks = set(envpool.list_all_envs())
    assert {f"neuroctl/Procgen-{game}-v0" for game in GAMES} <= set(gym.registry)
    assert {f"{game.capitalize()}{mode.capitalize()}-v0" for game, modes in GAMES.items() for mode in modes} <= tasks
    for name in ("Memory", "Exploration", "Extreme"):
        offered = {game for game in GAMES if f"{game.capitalize()}{name}-v0" in tasks}
        assert offered == {game for game, modes in GAMES.items() if name.lower() in modes}


def test_gymnasiums_checks_accept_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(COINRUN).unwrapped, skip_render_check=True)


def test_same_seed_same_bits_and_another_seed_differs():
    envs = [make_env(COINRUN, 3, {}) for _ in range(2)]
    given, begun = actions(300, 3), [env.reset(seed=5)[0] for env in envs]
    assert (begun[0] == begun[1]).all() and equal(*(play(env, given) for env in envs))
    assert (envs[0].reset(seed=9)[0] != begun[0]).any(axis=(1, 2, 3)).all()


def test_rows_do_not_depend_on_their_neighbours_and_a_single_game_is_a_row():
    narrow, wide, single = make_env(COINRUN, 2), make_env(COINRUN, 4), gym.make(COINRUN)
    a, b, c = narrow.reset(seed=[3, 4])[0], wide.reset(seed=[50, 4, 70, 80])[0], single.reset(seed=4)[0]
    assert (a[1] == b[1]).all() and (a[1] == c).all()
    ends = 0
    for mine, foreign in zip(actions(500, 2), actions(500, 4, seed=1), strict=True):
        foreign[1] = mine[1]
        x, y, z = narrow.step(mine), wide.step(foreign), single.step(mine[1])
        assert all(np.array_equal(p[1], q[1]) for p, q in zip(x[:4], y[:4], strict=True))
        assert (x[1][1], x[2][1], x[3][1]) == z[1:4]
        if z[2] or z[3]:
            ends += 1
            assert (z[0] == x[4]["final_obs"][1]).all() and z[4]["success"] == x[4]["final_info"]["success"][1]
            assert (single.reset()[0] == x[0][1]).all()
    assert ends > 1


def test_an_episode_that_ends_is_followed_by_the_next_level():
    env = make_env(COINRUN, 4)
    env.reset(seed=0)
    twin, seen = make_env(COINRUN, 4), 0
    twin.reset(seed=0)
    for action in actions(1000, 4):
        obs, reward, terminated, truncated, info = env.step(action)
        done = terminated | truncated
        assert ("final_obs" in info) == done.any() and not (terminated & truncated).any()
        if done.any():
            seen += 1
            fresh, said = twin.reset(options={"reset_mask": done})  # levels do not depend on what was played
            assert (fresh[done] == obs[done]).all() and (said["level"] == info["level"])[done].all()
            assert (info["final_info"]["success"][done] == (reward[done] > 0)).all()
            assert not info["success"][done].any()
    assert seen > 4


def test_a_reset_of_some_rows_touches_no_other():
    env, twin = make_env(NINJA, 3), make_env(NINJA, 3)
    for e in (env, twin):
        e.reset(seed=0)
        play(e, actions(20, 3))
    mask = np.array([False, True, False])
    obs, _ = env.reset(seed=[None, 77, None], options={"reset_mask": mask})
    assert (obs[1] == make_env(NINJA, 1).reset(seed=77)[0][0]).all()
    for mine, theirs in zip(play(env, actions(60, 3, 1)), play(twin, actions(60, 3, 1)), strict=True):
        assert all(np.array_equal(p[~mask], q[~mask]) for p, q in zip(mine[:4], theirs[:4], strict=True))
    env.reset(seed=3)
    assert len(env.unwrapped._pools) == 1  # pools that no row uses are closed


def test_levels_can_be_limited():
    def levels(options: dict[str, int]) -> set[int]:
        env = make_env(COINRUN, 16, options)
        env.reset(seed=0)
        return {int(level) for _ in range(20) for level in env.reset()[1]["level"]}

    assert levels({"num_levels": 5, "start_level": 100}) == set(range(100, 105))
    assert len(levels({})) > 300
    assert min(levels({"start_level": 2**31 - 1000})) >= 2**31 - 1000


def test_a_level_cannot_be_restored_and_shifts_of_images_fit():
    env = make_env(COINRUN, 2, {}, ["brightness:3"])
    assert not can_restore(env)
    plain = make_env(COINRUN, 2).reset(seed=0)[0]
    assert env.reset(seed=0)[0].astype(int).mean() > plain.mean() + 20


def test_recorded_episodes_replay(tmp_path):
    recording = record("random", tmp_path / "r", episodes=3, seed=1, env_id=COINRUN, width=2)
    assert len(recording) == 3
    assert replay(tmp_path / "r").exact == [0, 1, 2]


def test_pictures():
    env = make_env(COINRUN, 2, {"render_mode": "rgb_array"})
    obs = env.reset(seed=0)[0]
    frames: Any = env.render()
    assert frames.shape == (2, 256, 256, 3) and (frames[:, ::4, ::4] == obs).all()
    with pytest.raises(neuroctl.NeuroctlError, match="render_mode='rgb_array'"):
        make_env(COINRUN, 1).render()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "memory"}, "unknown mode 'memory'; allowed: 'easy', 'hard', 'exploration'"),
        ({"num_levels": -1}, "num_levels must be an integer from 0 to 2147483647, got -1"),
        ({"start_level": 0.5}, "start_level must be an integer from 0 to 2147483646, got 0.5"),
        ({"use_backgrounds": 1}, "unknown use_backgrounds 1; allowed: True, False"),
        ({"levels": 3}, "unknown neuroctl/Procgen-CoinRun-v0 option 'levels'"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(neuroctl.NeuroctlError) as error:
        make_env(COINRUN, 1, options)
    assert message in str(error.value)


def test_a_step_before_a_reset_is_refused():
    with pytest.raises(neuroctl.NeuroctlError, match=r"step\(\) before reset\(\)"):
        make_env(COINRUN, 1).step(np.array([0]))


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(neuroctl.NeuroctlError, match=r"needs the package envpool; install neuroctl\[procgen\]"):
        make_env(COINRUN, 1)
    monkeypatch.undo()
    original = builtins.__import__

    def without_qt(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "envpool":
            raise ImportError("libQt5Gui.so.5: cannot open shared object file")
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_qt)
    with pytest.raises(neuroctl.NeuroctlError, match="needs Qt 5; install Debian's libqt5gui5"):
        make_env(COINRUN, 1)
