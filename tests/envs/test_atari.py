import sys
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs import atari
from neuroctl.envs.atari_games import GAMES, game_name

make_env: Callable[..., Any] = vector.make_env  # Any: methods of ours that Gymnasium's `VectorEnv` does not know

BREAKOUT = "neuroctl/Atari-Breakout-v0"
SMALL = {"size": (8, 8), "frame_stack": 1}
CALM = {"sticky": 0.0, "noop_max": 0, "fire_reset": False}


def play(env: Any, actions: Any) -> list[Any]:
    return [env.step(np.full(env.num_envs, action)) for action in actions]


def test_there_is_an_id_for_every_game_that_ships():
    import ale_py.roms

    assert set(GAMES) == set(ale_py.roms.get_all_rom_ids())
    assert {f"neuroctl/Atari-{game_name(rom)}-v0" for rom in GAMES} <= set(gym.registry)


def test_frames_are_those_of_the_peer():
    """ale-py's own preprocessing of its vector environments, which shrinks with OpenCV."""
    from ale_py import AtariVectorEnv

    peer = AtariVectorEnv("breakout", 1, noop_max=0, use_fire_reset=False, reward_clipping=False, num_threads=1)
    ours = make_env(BREAKOUT, 1, {**CALM, "full_actions": False})
    mine, theirs = ours.reset(seed=0)[0], peer.reset(seed=0)[0]
    differing: list[float] = []
    rng, rewards, worst = np.random.default_rng(0), 0.0, 0
    for action in [1, *rng.integers(4, size=400)]:
        np.testing.assert_array_equal(mine.shape, (1, 84, 84, 4))
        distance = np.abs(mine[0, ..., -1].astype(int) - theirs[0, -1])
        worst = max(worst, distance.max())
        differing.append((distance > 0).mean())
        mine, reward, terminated, *_ = ours.step(np.array([action]))
        theirs, peers, over, *_ = peer.step(np.array([action]))
        assert reward[0] == peers[0] and terminated[0] == over[0]
        rewards += reward[0]
        if terminated[0]:
            break
    assert rewards > 0 and worst <= 1 and np.mean(differing) < 1e-3
    peer.close()


def test_an_emulator_of_a_closed_environment_begins_anew_in_another(monkeypatch):
    options = {"size": (20, 20), "grayscale": False}
    first = make_env(BREAKOUT, 2, {**options, "grayscale": True})
    first.reset(seed=1)
    play(first, [1, 2, 3] * 30)
    used, names = list(first.games), set(map(id, first.games))
    first.close()
    with pytest.raises(neuroctl.NeuroctlError, match="after close"):
        first.step(np.zeros(2, int))

    def played(env: Any) -> list[Any]:
        return [env.reset(seed=3)[0], *(step[0] for step in play(env, [1, 2, 3] * 20)), env.get_state()["machine"]]

    with monkeypatch.context() as patch:
        patch.setattr(atari, "_idle", {"breakout": used})
        again = make_env(BREAKOUT, 2, options)
        assert set(map(id, again.games)) == names and not used
        reused = played(again)
        new = make_env(BREAKOUT, 2, options)
        assert not set(map(id, new.games)) & names
        assert all(np.array_equal(a, b) for a, b in zip(reused, played(new), strict=True))


def test_the_stack_holds_the_last_frames_the_newest_last():
    env = make_env(BREAKOUT, 2, CALM)
    obs, _ = env.reset(seed=0)
    assert not obs[..., :3].any() and obs[..., 3].any()
    frames = [obs[..., 3]]
    for step in play(env, [1, 2, 3, 2, 3, 3]):
        frames.append(step[0][..., 3])
    np.testing.assert_array_equal(step[0], np.stack(frames[-4:], axis=-1))


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"frame_stack": 1}, (84, 84)),
        ({"frame_stack": 1, "grayscale": False}, (84, 84, 3)),
        ({"frame_stack": 2, "grayscale": False, "size": (50, 40)}, (50, 40, 6)),
    ],
)
def test_shape_of_an_observation(options, shape):
    env = make_env(BREAKOUT, 2, options)
    assert env.single_observation_space.shape == shape
    obs = env.reset(seed=0)[0]
    assert obs.shape == (2, *shape) and obs.dtype == np.uint8 and obs.std() > 1


def test_sticky_actions_repeat_the_last_one_in_about_a_quarter_of_the_frames(monkeypatch):
    env: Any = make_env(BREAKOUT, 1, SMALL).unwrapped
    env.reset(seed=0)
    played: list[int] = []

    class Recorded:
        def __getattr__(self, name):
            return getattr(game, name)

        def act(self, code):
            played.append(code)
            return game.act(code)

    game = env.games[0]
    env.games[0] = Recorded()
    given = [step % 2 + 3 for step in range(1000)]
    play(env, given)
    stuck = [played[4 * k] == played[4 * k - 1] for k in range(1, 1000)]
    assert all(code in (3, 4) for code in played[1:])
    # 999 draws of probability 0.25: six standard errors are 0.08, which happens by chance once in 5e8
    assert abs(np.mean(stuck) - 0.25) < 0.08


def test_blank_frames_are_black_by_chance_and_change_nothing_of_the_game():
    seeing, blinking = (make_env(BREAKOUT, 4, {**SMALL, "blank": blank}) for blank in (0.0, 0.3))
    frames: list[Any] = [[env.reset(seed=3)[0]] for env in (seeing, blinking)]
    for action in np.random.default_rng(0).integers(18, size=(60, 4)):
        for env, film in zip((seeing, blinking), frames, strict=True):
            film.append(env.step(action)[0])
    whole, holey = map(np.array, frames)
    black: Any = ~holey.any((2, 3))
    assert np.all(whole.any((2, 3))) and np.array_equal(whole[~black], holey[~black])
    assert np.array_equal(seeing.ram(), blinking.ram())
    assert abs(black.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / black.size)  # 6e-5 of all seeds fail
    assert len({tuple(row) for row in black.T.tolist()}) == 4


def test_in_a_stack_one_frame_is_black_and_a_state_goes_on_with_the_same_blinks():
    env, other = (make_env(BREAKOUT, 2, {"size": (8, 8), "blank": 0.5}) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=9)
    stacks = [result[0] for result in play(env, [1, 2, 3, 2, 3, 3])]
    black: Any = ~np.array(stacks).any((2, 3))
    assert (black[1:, :, :-1] == black[:-1, :, 1:]).all() and 0 < black[..., -1].mean() < 1
    other.unwrapped.set_state(np.arange(2), env.unwrapped.get_state())
    for ours, theirs in zip(play(env, [2] * 10), play(other, [2] * 10), strict=True):
        assert np.array_equal(ours[0], theirs[0])


def test_a_game_without_chance_is_played_alike_whatever_the_seed():
    a, b = (make_env(BREAKOUT, 1, {**SMALL, **CALM}) for _ in range(2))
    assert (a.reset(seed=1)[0] == b.reset(seed=2)[0]).all()
    for x, y in zip(play(a, [1, 2, 3] * 60), play(b, [1, 2, 3] * 60), strict=True):
        assert (x[0] == y[0]).all() and x[1] == y[1]


def test_the_classic_protocol_waits_and_fires():
    env: Any = make_env(BREAKOUT, 16, {**SMALL, "protocol": "deepmind"}).unwrapped
    frames = env.reset(seed=0)[1]["game_frame"]
    calm = make_env(BREAKOUT, 1, {**SMALL, **CALM}).reset(seed=0)[1]["game_frame"]
    waits = frames - calm - 1  # one frame of FIRE
    assert waits.min() >= 1 and 20 <= waits.max() <= 30 and len(set(waits.tolist())) > 7
    assert env.single_action_space.n == 4
    assert (env.ram()[:, 101] > 0).all()  # the ball is in play


def test_an_episode_may_be_a_life():
    env = make_env(BREAKOUT, 1, {**SMALL, **CALM, "protocol": "deepmind", "episodic_life": True})
    env.reset(seed=0)
    lives: list[int] = []
    frames: list[int] = []
    while len(lives) < 7:
        _, _, terminated, _, info = env.step(np.array([1]))
        if terminated[0]:
            lives.append(info["final_info"]["lives"][0])
            frames.append(info["game_frame"][0])
    assert lives == [4, 3, 2, 1, 0, 4, 3]
    assert frames[3] > frames[2] > frames[0] > frames[4]  # a new game after the last life only
    env.reset()
    assert env.unwrapped._said()["lives"] == 5


def test_truncated_by_the_number_of_steps():
    env = make_env(BREAKOUT, 1, {**SMALL, "max_steps": 5})
    env.reset(seed=0)
    ends = [step[3][0] for step in play(env, [0] * 10)]
    assert ends == [False] * 4 + [True] + [False] * 4 + [True]
    assert make_env(BREAKOUT, 1, {"frame_skip": 2}).unwrapped.max_steps == 54_000


def test_an_action_lasts_some_frames():
    env = make_env(BREAKOUT, 1, {**SMALL, "frame_skip": 7})
    before = env.reset(seed=0)[1]["game_frame"]
    assert env.step(np.array([0]))[4]["game_frame"] - before == 7
    assert env.unwrapped.control_dt_s == 7 / 60


def test_memory_and_pictures():
    env: Any = gym.make(BREAKOUT, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    assert env.ram().shape == (128,) and env.ram().dtype == np.uint8
    assert env.render().shape == (210, 160, 3)
    state = env.get_state()
    env.step(1)
    env.set_state(state)
    assert env.render().shape == (210, 160, 3) and env.render().std() > 1  # of a state that no one has drawn yet


@pytest.mark.parametrize("game", ["Pong", "Breakout", "Freeway", "Seaquest"])
def test_scripted_players_play(game):
    env: Any = make_env(f"neuroctl/Atari-{game}-v0", 2, SMALL)
    env.reset(seed=0)
    for _ in range(20):
        action = env.unwrapped.expert_action()
        assert env.action_space.contains(action)
        env.step(action)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "dqn"}, "unknown protocol 'dqn'; allowed: 'machado', 'deepmind'"),
        ({"sticky": 1.0}, "sticky is 1.0; allowed: from 0 to below 1"),
        ({"sticky": "no"}, "sticky is 'no'; allowed: from 0 to below 1"),
        ({"full_actions": 1}, "unknown full_actions 1; allowed: True, False"),
        ({"noop_max": -1}, "noop_max must be an integer from 0 to 108000, got -1"),
        ({"frame_skip": 0}, "frame_skip must be an integer from 1 to 60, got 0"),
        ({"frame_stack": 0}, "frame_stack must be an integer from 1 to 60, got 0"),
        ({"size": (0, 84)}, "size is (0, 84); allowed: height and width from 1 x 1 to those of the screen, 210 x 160"),
        ({"size": 84}, "size is 84; allowed: height and width"),
        ({"size": (84, 200)}, "to those of the screen, 210 x 160"),
        ({"blank": 1}, "blank is 1; allowed: from 0 to below 1"),
        ({"grayscale": None}, "unknown grayscale None"),
        ({"colour": True}, "unknown neuroctl/Atari-Breakout-v0 option 'colour'; known: blank, episodic_life, "),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(neuroctl.NeuroctlError) as error:
        make_env(BREAKOUT, 1, options)
    assert message in str(error.value)


def test_a_damaged_machine_is_refused_and_nothing_has_changed():
    env: Any = make_env(BREAKOUT, 2, SMALL).unwrapped
    env.reset(seed=0)
    play(env, [1, 2, 3])
    state = env.get_state()
    with pytest.raises(neuroctl.NeuroctlError, match="'machine' is not that of an emulator"):
        env.set_state(None, {**state, "machine_bytes": np.array([state["machine_bytes"][0], 100])})
    assert all((value == env.get_state()[name]).all() for name, value in state.items())


def test_without_ale_py_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(neuroctl.NeuroctlError, match=r"need the package ale-py; install neuroctl\[atari\]"):
        make_env(BREAKOUT, 1, {})


def test_players_count_on_actions_of_four_frames():
    env: Any = make_env(BREAKOUT, 1, {**SMALL, "frame_skip": 2})
    env.reset(seed=0)
    with pytest.raises(neuroctl.NeuroctlError, match="scripted players count on frame_skip 4, got 2"):
        env.unwrapped.expert_action()


def test_a_game_without_a_player_says_which_have_one():
    env: Any = make_env("neuroctl/Atari-Tetris-v0", 1, SMALL)
    env.reset(seed=0)
    with pytest.raises(neuroctl.NeuroctlError, match="Tetris has no scripted player; Pong, Breakout, Freeway"):
        env.unwrapped.expert_action()
