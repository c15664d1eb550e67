import numpy as np
import pytest

from neuroctl.contracts import Step
from neuroctl.episode_metrics import EpisodeMetrics


class Rows:
    num_envs = 2


def step(index, reward, done, info=None):
    obs, none = np.zeros((2, 1)), np.zeros(2, bool)
    return Step(index, obs, none, none, np.array(reward), none, np.array(done), obs, info or {})


def begun():
    metrics = EpisodeMetrics()
    metrics.on_begin(Rows(), None, {})  # type: ignore[arg-type]
    return metrics


def test_every_episode_that_ends_is_told_once_with_its_own_return_and_length():
    metrics = begun()
    metrics.on_step(step(0, [1.0, 10.0], [False, False]))
    assert metrics.ended() == []
    final = {"success": np.array([True, False]), "_success": np.array([True, True]), "laps": np.array([np.nan, 3.0])}
    metrics.on_step(step(1, [2.0, 20.0], [True, True], {"final_info": final}))
    assert metrics.ended() == [
        {"episode/success": 1.0, "episode/return": 3.0, "episode/length": 2.0},
        {"episode/success": 0.0, "episode/laps": 3.0, "episode/return": 30.0, "episode/length": 2.0},
    ]
    metrics.on_step(step(2, [4.0, 40.0], [False, True]))
    assert metrics.ended() == [{"episode/return": 40.0, "episode/length": 1.0}]


def test_episodes_that_go_on_are_part_of_the_state():
    one, other = begun(), begun()
    one.on_step(step(0, [1.0, 2.0], [False, False]))
    other.load_state_dict(one.state_dict())
    for metrics in (one, other):
        metrics.on_step(step(1, [1.0, 2.0], [True, False]))
        assert metrics.ended() == [{"episode/return": 2.0, "episode/length": 2.0}]
    one.restart(2)
    one.on_step(step(2, [5.0, 5.0], [True, True]))
    assert [figures["episode/return"] for figures in one.ended()] == [5.0, 5.0]


def test_the_state_is_a_copy():
    metrics = begun()
    state = metrics.state_dict()
    metrics.on_step(step(0, [1.0, 2.0], [False, False]))
    assert state["returns"] == pytest.approx([0.0, 0.0])
