from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.launch.populations import PRESETS, TASKS, difference, durations, environment, interval, run_folder


def test_runs_lie_where_the_study_of_learning_keeps_them() -> None:
    assert run_folder(Path("a"), "ball", "T 0", 100) == Path("a/ball/T_0-s100")
    assert run_folder(Path("a"), "lane", "reward / mean", 7) == Path("a/lane/reward_over_mean-s7")


@pytest.mark.parametrize("task", TASKS)
def test_the_environment_is_the_presets_with_other_episodes(task: Any) -> None:
    made: Any = PRESETS[task]()
    env: Any = environment(task, 2, 3)
    obs, _ = env.reset(seed=0)
    assert obs.shape[0] == 2
    assert env.spec.id == made.env.id
    action = np.zeros((2, *env.single_action_space.shape), env.single_action_space.dtype)
    ended = [env.step(action)[3].all() for _ in range(3)]
    assert ended == [False, False, True]
    env.close()
    if task != "lane":
        moved: Any = environment(task, 1, 3, goal_m=(4.0, -4.0))
        _, info = moved.reset(seed=0)
        place = moved.unwrapped.datas[0].qpos
        assert info["distance_m"][0] == pytest.approx(np.linalg.norm(place - [4, -4]))
        moved.close()


def test_agents_without_a_trial_have_no_duration() -> None:
    found = durations({"trials": [2, 0], "trial_s": [5.0, 0.0]})
    assert found[0] == 2.5
    assert np.isnan(found[1])
    assert durations({"trials": [[1, 2], [0, 4]], "trial_s": [[3, 3], [0, 2]]})[:, 1].tolist() == [1.5, 0.5]


def numbers(cell: str) -> list[float]:
    return [float(word) for word in cell.replace("(", "").replace(")", "").replace("to ", "").split()]


def test_intervals_are_those_of_a_mean() -> None:
    """Of many normal numbers: mean and 1.96 standard errors; nan is left out."""
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    mean, error = values.mean(), 1.96 * values.std() / 20
    found = numbers(interval(np.append(values, np.nan), 4))
    assert found == pytest.approx([mean, mean - error, mean + error], abs=0.02)
    assert interval(np.full(3, np.nan)) == "no trial ended"


def test_differences_of_agents_that_are_no_pairs() -> None:
    rng = np.random.default_rng(1)
    ones, others = rng.normal(5.0, 1.0, 300), rng.normal(3.0, 2.0, 500)
    mean = ones.mean() - others.mean()
    error = 1.96 * np.sqrt(ones.var() / 300 + others.var() / 500)
    found = numbers(difference(np.append(ones, np.nan), others, 4))
    assert found == pytest.approx([mean, mean - error, mean + error], abs=0.02)
    assert difference(ones, np.array([np.nan])) == "no trial ended"
