"""Rollouts with weights of a fixed age: the same bits whoever collects them, also after a kill."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from neuroctl import sharded_rollouts, train, workers
from neuroctl.config import TrainConfig
from neuroctl.crew import InProcess
from neuroctl.errors import NeuroctlError
from neuroctl.metrics import TIME_FIELDS
from neuroctl.run import Run, tree_hash
from neuroctl.sharded_rollouts import Collector, ShardedRollouts, collecting, shard_width
from neuroctl.workers import WorkerError
from tests.neuroctl import toys


def preset(**options: Any) -> TrainConfig:
    return dataclasses.replace(toys.actor_critic_preset(), **options)


def bits(run: Run) -> Any:
    """Every checkpoint, and all metrics but times."""
    lines = [{k: v for k, v in line.items() if k not in TIME_FIELDS} for line in run.metrics()]
    trees = [run.checkpoints.load(int(path.name))[1] for path in run.checkpoints.all()]
    return lines, [tree_hash(tree) for tree in trees]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Uninterrupted runs in this process, by lag."""
    folder, runs = tmp_path_factory.mktemp("whole"), dict[int, Run]()

    def get(lag: int) -> Run:
        if lag not in runs:
            runs[lag] = train(preset(weight_lag=lag), out=folder / str(lag))
        return runs[lag]

    return get


@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_give_the_same_bits(tmp_path: Path, whole: Any) -> None:
    run = train(preset(weight_lag=1), out=tmp_path / "run", workers=2)
    assert bits(run) == bits(whole(1))
    lines = run.metrics()
    assert [line["step"] for line in lines] == [4, 8, 12, 16, 20, 24]
    assert all("actor_loss" in line and "gradient_norm" in line for line in lines)
    assert sum("episode/return" in line for line in lines) > 3


def test_the_age_of_weights_is_part_of_the_result(whole: Any) -> None:
    assert len({json.dumps(bits(whole(lag))[0]) for lag in (0, 1, 2)}) == 3


def test_a_run_whose_workers_are_lost_says_how_to_go_on_and_does(
    tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, path = InProcess.take, tmp_path / "run"
    left = [3]

    def take(crew: InProcess) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise WorkerError("the head has gone")
        return answers(crew)

    with monkeypatch.context() as patched:
        patched.setattr(InProcess, "take", take)
        with pytest.raises(WorkerError, match=f"^the head has gone; go on with: neuroctl train --resume {path}$"):
            train(preset(weight_lag=1), out=path)
    assert bits(train(resume=path)) == bits(whole(1))


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_killed_while_it_collects_changes_no_bit(tmp_path: Path) -> None:
    doom = tmp_path / "doom"
    config = preset(env=toys.PointConfig(suicide=str(doom)))
    here = train(config, out=tmp_path / "here")
    doom.touch()
    with pytest.warns(RuntimeWarning, match="workers failed and their work was done again: 1 died"):
        there = train(config, out=tmp_path / "there", workers=2)
    assert bits(there) == bits(here)
    assert not doom.exists(), "no worker was killed"


@pytest.mark.parametrize("lag", [0, 1, 2])
@pytest.mark.parametrize("after", [1, 2, 5])
def test_a_run_that_stops_and_is_resumed_equals_the_uninterrupted_one(
    lag: int, after: int, tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(BaseException):
        pass

    taken, take = list[None](), ShardedRollouts.take

    def stopping(rollouts: ShardedRollouts) -> Any:
        if len(taken) == after:
            raise Stop
        taken.append(None)
        return take(rollouts)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(ShardedRollouts, "take", stopping)
        train(preset(weight_lag=lag), out=tmp_path / "run")
    assert bits(train(resume=tmp_path / "run")) == bits(whole(lag))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_every_rollout_has_the_weights_of_its_age_and_goes_on_from_the_last(lag: int) -> None:
    asked: list[tuple[int, int, Any]] = []

    def answer(shard: int, version: int, state: Any, beat: Any) -> dict[str, Any]:
        asked.append((shard, version, state))
        end = 0 if state is None else state + 1
        return {"rollout": {"steps": {}, "after": {}}, "state": end, "ended": [(shard, {"figure": end})]}

    config = preset(weight_lag=lag)
    rollouts = ShardedRollouts(config, 0, InProcess(answer))  # type: ignore[arg-type]
    for update in range(1, 7):
        _, ended = rollouts.take()
        assert ended == [(0, {"figure": update - 1}), (1, {"figure": update - 1})]
        rollouts.learned(update)  # type: ignore[arg-type]
    states = [None, 0, 1, 2, 3, 4]
    expected = [(shard, max(0, j - lag), states[j]) for j in range(6) for shard in (0, 1)]
    assert asked == expected


def test_a_rollout_is_a_pure_function_of_what_was_asked() -> None:
    config = preset()
    weights = sharded_rollouts._rollout_agent(config).acting_weights()
    one, other = Collector(config, 16), Collector(config, 16)
    first = one(1, weights, None, beat=lambda: None)
    second = one(1, weights, first["state"], beat=lambda: None)
    one(0, weights, None, beat=lambda: None)  # another shard in between
    assert tree_hash(one(1, weights, None, beat=lambda: None)) == tree_hash(first)
    assert tree_hash(other(1, weights, first["state"], beat=lambda: None)) == tree_hash(second)
    beats: list[None] = []
    assert tree_hash(one(0, weights, None, beat=lambda: beats.append(None))) != tree_hash(first)
    assert len(beats) == 4


def test_the_environment_in_which_this_process_collects_is_closed() -> None:
    config = preset()
    with collecting(config, 0, None) as collectors:
        assert collectors is not None
        collectors.ask(0, sharded_rollouts._rollout_agent(config).acting_weights(), None)
        collectors.take()
        env: Any = collectors._answer._loop.env  # type: ignore[union-attr]
        assert not env.closed
    assert env.closed
    with collecting(config, 0, None):
        pass  # nothing was built


def test_weights_that_are_used_no_more_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[Any] = []
    crew = InProcess(lambda shard, weights, state, beat: {"rollout": {}, "state": 0, "ended": []})
    monkeypatch.setattr(crew, "forget", forgotten.append)
    monkeypatch.setattr(sharded_rollouts, "_joined", lambda rollouts: {})
    rollouts = ShardedRollouts(preset(weight_lag=1), "v0", crew)  # type: ignore[arg-type]
    for update in range(1, 5):
        rollouts.take()
        rollouts.learned(f"v{update}")  # type: ignore[arg-type]
    assert forgotten == ["v0", "v1", "v2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_lag": -1}, "weight_lag must be an integer from 0 to 100, got -1"),
        ({"weight_lag": 10**20}, "weight_lag must be an integer from 0 to 100, got 1000"),
        ({"num_envs": 24}, "num_envs is 24; with weight_lag rows go in shards of 16: take a multiple"),
        ({"steps": 26}, "steps is 26; with weight_lag it must be a multiple of the rollout, 4 steps"),
        ({"checkpoint_every": 6}, "checkpoint_every is 6; with weight_lag it must be a multiple"),
        ({"agent": toys.LinearConfig(), "preset": "toy"}, "weight_lag has no effect: agent 'toy-linear' does not"),
    ],
)
def test_what_cannot_be_sharded_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match=message):
        train(preset(**options), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_environment_that_saves_no_state_is_refused(tmp_path: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Cart(toys.PointConfig):
        id: str = toys.CART

        def kwargs(self) -> dict[str, Any]:
            return {}

    with pytest.raises(NeuroctlError, match="weight_lag needs an environment that saves its state; toys/Cart-v0"):
        train(preset(env=Cart()), out=tmp_path / "run")


def test_workers_without_work_are_refused(tmp_path: Path) -> None:
    for arguments, message in (
        ({"workers": 2}, "workers collect rollouts with weights that are some updates old: give weight_lag too"),
        ({"ray_address": "auto"}, "ray_address 'auto' has no effect without workers"),
        ({"workers": -1}, "workers must be an integer >= 0, got -1"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            train(preset(weight_lag=None), out=tmp_path / "run", **arguments)
    with pytest.raises(NeuroctlError, match="no Ray cluster answers at 127.0.0.1:1: "):
        train(preset(), out=tmp_path / "run", workers=1, ray_address="127.0.0.1:1")
    with pytest.raises(NeuroctlError, match="until is 5; allowed: multiples of checkpoint_every, 8"):
        train(preset(), out=tmp_path / "run", until=5)
    assert not (tmp_path / "run").exists()
    with pytest.raises(NeuroctlError, match="listeners have no effect with weight_lag"):
        train(preset(), out=tmp_path / "run", listeners=[workers])  # type: ignore[list-item]


def test_rows_of_a_shard() -> None:
    assert [shard_width(rows) for rows in (1, 5, 16, 32, 160)] == [1, 5, 16, 16, 16]
