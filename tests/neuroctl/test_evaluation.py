"""Evaluation plays fixed episodes, every environment equally many, and reports them with intervals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.evaluation import evaluate, evaluate_players, save_evaluation
from neuroctl.rollouts import WIDTH, Player
from neuroctl.run import Run
from neuroctl.statistics import iqm, stratified_bootstrap
from neuroctl.streams import episode_seed
from tests.neuroctl.toys import CART, POINT, LinearAgent, LinearConfig, linear_player, preset


@pytest.mark.parametrize("episodes", [1, 5, WIDTH, WIDTH + 3])
def test_the_first_episodes_are_the_same_however_many_are_played(episodes: int) -> None:
    whole = evaluate_players([linear_player()], POINT, {}, episodes=2 * WIDTH + 5, seed=3)
    part = evaluate_players([linear_player()], POINT, {}, episodes=episodes, seed=3)
    assert part.returns.tobytes() == whole.returns[:episodes].tobytes()
    assert part.lengths.tolist() == whole.lengths[:episodes].tolist()
    assert part.seeds == whole.seeds[:episodes] == tuple(episode_seed(3, i) for i in range(episodes))
    assert part.final.keys() == whole.final.keys()
    assert all(np.array_equal(part.final[k], whole.final[k][:episodes]) for k in part.final)


def test_another_seed_plays_other_episodes_and_every_player_meets_the_same() -> None:
    one, two = (evaluate("zero", env_id=POINT, episodes=20, seed=seed) for seed in (1, 2))
    assert not set(one.seeds) & set(two.seeds) and not set(one.returns) & set(two.returns)
    other = evaluate("random", env_id=POINT, episodes=20, seed=1)
    assert other.seeds == one.seeds and other.lengths.tolist() == one.lengths.tolist()
    assert not np.array_equal(other.returns, one.returns)


def test_every_environment_plays_equally_many_so_that_short_episodes_are_not_favoured() -> None:
    # The length of an episode is drawn uniformly from 2..100; stopping at the first N to end would favour short ones.
    kwargs = {"min_steps": 2, "max_steps": 100}
    result = evaluate("zero", env_id=POINT, env_kwargs=kwargs, episodes=8 * WIDTH)
    standard_error = 98 / np.sqrt(12) / np.sqrt(8 * WIDTH)
    assert abs(result.lengths.mean() - 51) < 3 * standard_error
    assert len(set(result.seeds)) == 8 * WIDTH


def test_what_is_said_of_some_episodes_only_is_nan_for_the_others() -> None:
    # In some shards nobody crashes at all: the column is there all the same, whichever shard comes first.
    for seed in range(4):
        result = evaluate("random", env_id=CART, env_kwargs={"max_steps": 2}, episodes=4 * WIDTH, seed=seed)
        crashed = ~np.isnan(result.final["crash"])
        assert crashed.shape == (4 * WIDTH,) and 0 < crashed.sum() < 4 * WIDTH
        assert (result.final["crash"][crashed] == 1).all()
    result = evaluate("random", env_id=CART, env_kwargs={"max_steps": 1}, episodes=4 * WIDTH)
    shards = (~np.isnan(result.final["crash"])).reshape(4, WIDTH).any(axis=1)
    assert shards.any() and not shards.all(), "the case is no longer in this test"


def test_the_summary_says_what_the_episodes_came_to() -> None:
    result = evaluate("random", env_id=POINT, shifts=["action-noise:2"], episodes=21, seed=3)
    summary = json.loads(json.dumps(result.summary()))
    interval = stratified_bootstrap(result.returns, iqm)
    assert summary["episodes"] == 21 == len(summary["returns"]) == len(summary["lengths"]) == len(summary["seeds"])
    assert summary["return_mean"] == result.returns.mean() and summary["return_iqm"] == iqm(result.returns)
    ends = summary["return_iqm_low"], summary["return_iqm"], summary["return_iqm_high"]
    assert ends == (interval.low, interval.value, interval.high) and ends[0] < ends[1] < ends[2]
    assert summary["success_rate"] == result.final["success"].mean()
    assert summary["interval"] == "95% bootstrap over 21 episodes of one policy"
    assert (summary["source"], summary["env"], summary["shifts"]) == ("random", POINT, ["action-noise:2"])
    assert "success_rate" not in evaluate("zero", env_id=CART, episodes=2).summary()


def test_a_run_is_evaluated_in_its_own_environment_unless_told_otherwise(tmp_path: Path) -> None:
    run = Run.create(preset(), tmp_path / "run")
    agent = LinearAgent(LinearConfig(), None, seed=0)  # type: ignore[arg-type]
    run.checkpoints.save(1, {"agent": agent.state_dict()})
    own = evaluate(run.path, episodes=5)
    assert own.env_id == POINT
    same = evaluate(run.path, episodes=5, env_id=POINT, env_kwargs={"friction": 1.0})
    other = evaluate(run.path, episodes=5, env_kwargs={"friction": 2.0})
    assert own.returns.tobytes() == same.returns.tobytes() != other.returns.tobytes()
    assert (
        own.returns.tobytes()
        == evaluate_players([Player("x", preset(), agent.state_dict())], POINT, {}, episodes=5).returns.tobytes()
    )


def test_each_condition_of_a_run_has_a_file_of_its_own(tmp_path: Path) -> None:
    conditions: list[Any] = [((), ()), (("gain:2",), ()), (("gain:2", "friction:1"), ()), ((), ("camera=near",))]
    paths = [save_evaluation(tmp_path, {"shifts": list(s), "x": 1}, o) for s, o in conditions]
    assert paths[0] == tmp_path / "evaluations" / "clean.json" and len(set(paths)) == 4
    assert all(json.loads(p.read_text())["shifts"] == list(s) for p, (s, _) in zip(paths, conditions, strict=True))
    odd = save_evaluation(tmp_path, {"shifts": []}, ["track_seeds=(1, 2)", "path=../../etc"])
    assert odd.parent == tmp_path / "evaluations"
    assert json.loads(odd.read_text())["options"] == ["track_seeds=(1, 2)", "path=../../etc"]


def test_wrong_questions_are_answered_in_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        ({"workers": -1}, "workers must be an integer >= 0, got -1"),
        ({"episodes": 0}, "episodes must be an integer >= 1, got 0"),
        ({"checkpoint": 3}, "checkpoint 3 has no effect: 'zero' is a scripted agent"),
        ({"checkpoint": "best"}, "checkpoint 'best' has no effect"),
        ({"env_kwargs": {"num_envs": 2}}, "'num_envs' is not an environment option"),
        ({"env_id": None}, "a scripted agent needs an environment"),
        ({"env_id": "toys/Pont-v0"}, "did you mean 'toys/Point-v0'"),
        ({"env_id": 3}, "an environment is named by its Gymnasium id such as 'CartPole-v1', got 3"),
        ({"env_id": ["toys/Point-v0"]}, "an environment is named by its Gymnasium id"),
        ({"shifts": ["nois:1"]}, "unknown shift 'nois'"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            evaluate("zero", **{"env_id": POINT, **arguments})  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="is neither a run folder nor one of"):
        evaluate(tmp_path / "nowhere", env_id=POINT)
