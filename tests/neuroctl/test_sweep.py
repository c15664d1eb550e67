"""A search finds the same trials for any number of workers and after an interruption, and stops what is worse."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from neuroctl import sweep as sweep_module
from neuroctl.config import TrainConfig, to_json
from neuroctl.errors import DamagedFileError, InUseError, NeuroctlError, NonFiniteError
from neuroctl.evaluation import evaluate
from neuroctl.run import Run
from neuroctl.search_space import parse_axis
from neuroctl.storage import only_writer
from neuroctl.sweep import Trial, sweep, train_until
from tests.neuroctl import toys

pytest.importorskip("optuna", reason="needs the extra sweep (optuna)")
AXES = [parse_axis("agent.noise=log:0.01..1"), parse_axis("env.friction=1.0,2.0,4.0")]


@pytest.fixture(autouse=True)
def few_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen are one shard."""
    monkeypatch.setattr(sweep_module, "EPISODES", 16)


def preset(**options: Any) -> TrainConfig:
    quick: dict[str, Any] = {"num_envs": 2, "steps": 8, "log_every": 4, "checkpoint_every": 4}
    return dataclasses.replace(toys.preset(), **quick, **options)


def plain(trials: list[Trial]) -> Any:
    """Without folders, with NaN as None."""
    return [(t.number, t.values, None if math.isnan(t.score) else t.score, t.state) for t in trials]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_module, "EPISODES", 16)
        return sweep(preset(), AXES, out=tmp_path_factory.mktemp("whole"), trials=6, batch=2, seeds=2)


def test_every_trial_is_trained_with_its_values_and_every_seed(whole: list[Trial]) -> None:
    assert [t.number for t in whole] == list(range(6))
    assert all(t.state == "complete" for t in whole)
    for trial in whole:
        assert 0.01 <= trial.values["agent.noise"] <= 1 and trial.values["env.friction"] in (1.0, 2.0, 4.0)
        runs = [Run(path) for path in trial.runs]
        assert [run.config.seed for run in runs] == [0, 1]
        assert {run.config.agent.noise for run in runs} == {trial.values["agent.noise"]}  # type: ignore[attr-defined]
        scores = [evaluate(run.path, episodes=16).returns.mean() for run in runs]
        assert trial.score == pytest.approx(sum(scores) / 2, abs=1e-12)
    assert len({t.values["agent.noise"] for t in whole}) == 6


@pytest.mark.usefixtures("ray_cluster")
def test_trials_are_equal_on_workers(whole: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "train_until", toys.train_until_16)
    assert plain(sweep(preset(), AXES, out=tmp_path, trials=6, batch=2, seeds=2, workers=2)) == plain(whole)


@pytest.mark.parametrize("after", [1, 5, 10])
def test_an_interrupted_search_goes_on_to_the_same_trials(
    after: int, whole: list[Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stop(BaseException):
        pass

    calls: list[None] = []

    def stopping(*arguments: Any, **more: Any) -> Any:
        if len(calls) == after:
            raise Stop
        calls.append(None)
        return train_until(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(sweep_module, "train_until", stopping)
        sweep(preset(), AXES, out=tmp_path, trials=6, batch=2, seeds=2)
    assert plain(sweep(preset(), AXES, out=tmp_path, trials=6, batch=2, seeds=2)) == plain(whole)


def test_more_trials_go_on_from_those_there_are(whole: list[Trial], tmp_path: Path) -> None:
    first = sweep(preset(), AXES, out=tmp_path, trials=2, batch=2, seeds=2)
    assert plain(first) == plain(whole[:2])
    assert plain(sweep(preset(), AXES, out=tmp_path, trials=6, batch=2, seeds=2)) == plain(whole)


def scored(monkeypatch: pytest.MonkeyPatch, asked: list[Any], rising: bool = False) -> None:
    """Instead of training: the less noise the better, 0.5 and more fail; rising: worse at the rung than at the end."""

    def answer(content: Any, folder: str, until: int, beat: Any) -> dict[str, Any]:
        noise = content["agent"]["noise"]
        asked.append((int(Path(folder).name[:4]), until))
        if noise >= 0.5:
            return {"score": math.nan, "error": "too loud"}
        return {"score": -noise if until == 8 or not rising else -noise - 1, "error": ""}

    monkeypatch.setattr(sweep_module, "train_until", answer)


def test_what_is_worse_than_the_median_at_a_rung_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    scored(monkeypatch, asked)
    noisy = [parse_axis("agent.noise=log:0.01..1")]
    trials = sweep(preset(), noisy, out=tmp_path, trials=20, batch=5, rungs=(4,), sampler="random")
    states = {state: [t for t in trials if t.state == state] for state in ("complete", "pruned", "failed")}
    assert len(states["complete"]) > 3 and len(states["pruned"]) > 3 and len(states["failed"]) > 0
    for trial in trials:
        rungs = [until for number, until in asked if number == trial.number]
        noise = trial.values["agent.noise"]
        assert rungs == ([4, 8] if trial.state == "complete" else [4])
        assert (trial.state == "failed") == (noise >= 0.5)
        earlier = [t for t in trials if t.number < trial.number // 5 * 5 and t.state != "failed"]
        before = sorted(t.values["agent.noise"] for t in earlier)
        if before and trial.state != "failed":
            middle = (before[(len(before) - 1) // 2] + before[len(before) // 2]) / 2
            assert (trial.state == "pruned") == (noise > middle)
        if trial.state != "complete":
            assert math.isnan(trial.score)
        assert trial.error == ("too loud" if trial.state == "failed" else "")


@pytest.mark.parametrize("after", [2, 5, 6, 8, 11])
def test_an_interrupted_search_with_rungs_goes_on_to_the_same_trials(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores rise from the rung to the end; one that is at the end already is not judged by that."""

    class Stop(BaseException):
        pass

    noisy = [parse_axis("agent.noise=log:0.01..0.4")]

    def search(name: str) -> Any:
        return plain(sweep(preset(), noisy, out=tmp_path / name, trials=9, batch=3, rungs=(4,), sampler="random"))

    asked: list[Any] = []
    scored(monkeypatch, asked, rising=True)
    whole, answer = search("whole"), sweep_module.train_until
    assert {state for *_, state in whole} == {"complete", "pruned"} and len(asked) > 11
    asked.clear()

    def stopping(*arguments: Any, **more: Any) -> Any:
        if len(asked) == after:
            raise Stop
        return answer(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(sweep_module, "train_until", stopping)
        search("killed")
    assert search("killed") == whole


@pytest.mark.parametrize("axes", [AXES, AXES[:1]])
def test_a_kill_while_values_are_chosen_changes_none(
    axes: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is cut after each of its lines, and half a line later."""
    scored(monkeypatch, [])

    def search(name: str) -> Any:
        return plain(sweep(preset(), axes, out=tmp_path / name, trials=4, batch=2))

    whole = search("whole")
    lines = (tmp_path / "whole/journal.log").read_bytes().splitlines(keepends=True)
    for count in range(1, len(lines)):
        folder = tmp_path / str(count)
        folder.mkdir()
        (folder / "sweep.json").write_bytes((tmp_path / "whole/sweep.json").read_bytes())
        (folder / "journal.log").write_bytes(b"".join(lines[:count]) + lines[count][:9])
        assert search(str(count)) == whole, f"after {count} of {len(lines)} lines"


def test_a_damaged_journal_or_settings_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, [])
    sweep(preset(), AXES, out=tmp_path, trials=2)
    journal = (tmp_path / "journal.log").read_bytes()
    (tmp_path / "journal.log").write_bytes(b"nonsense\n" + journal)
    with pytest.raises(DamagedFileError, match="journal.log is damaged"):
        sweep(preset(), AXES, out=tmp_path, trials=2)
    (tmp_path / "journal.log").write_bytes(journal)
    (tmp_path / "sweep.json").write_text("[]")
    with pytest.raises(DamagedFileError, match="sweep.json is damaged: it holds no settings"):
        sweep(preset(), AXES, out=tmp_path, trials=2)


def test_a_run_that_is_further_is_evaluated_where_it_was_asked_to_be(tmp_path: Path) -> None:
    def ask(name: str, until: int) -> Any:
        return train_until(to_json(preset()), str(tmp_path / name), until, lambda: None)

    first = ask("run", 4)
    assert ask("run", 8)["score"] != first["score"]
    assert ask("run", 4) == first


def test_values_that_do_not_fit_together_are_a_failed_trial(tmp_path: Path) -> None:
    config = dataclasses.replace(toys.actor_critic_preset(), weight_lag=None, steps=8, checkpoint_every=4, log_every=4)
    axes = [parse_axis("agent.rollout_length=4,8"), parse_axis("weight_lag=0,None")]
    trials = sweep(config, axes, out=tmp_path, trials=6, sampler="random")
    for trial in trials:
        fits = trial.values["agent.rollout_length"] == 4 or trial.values["weight_lag"] is None
        assert trial.state == ("complete" if fits else "failed")
        assert ("multiple of the rollout, 8 steps" in trial.error) == (not fits)
    assert len({trial.state for trial in trials}) == 2


def test_a_run_whose_last_worker_has_not_gone_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    run.mkdir()
    waited: list[None] = []
    lock = only_writer(run, "trained")
    lock.__enter__()

    def beat() -> None:
        waited.append(None)
        if len(waited) == 2:
            lock.__exit__(None, None, None)

    answer = train_until(to_json(preset()), str(run), 4, beat)
    assert answer["error"] == "" and len(waited) >= 2
    monkeypatch.setattr(sweep_module, "LOCKED_S", 0.0)
    with (
        only_writer(run, "trained"),
        pytest.raises(InUseError, match="is being trained by another process"),
    ):
        train_until(to_json(preset()), str(run), 8, lambda: None)


def test_tpe_learns_from_earlier_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 30 trials its last ten are nearer to the best noise than those drawn at random, a third in the logarithm."""
    scored(monkeypatch, [])
    noisy = [parse_axis("agent.noise=log:0.001..0.4")]
    found = {}
    for sampler in ("tpe", "random"):
        trials = sweep(preset(), noisy, out=tmp_path / sampler, trials=30, batch=2, sampler=sampler)
        found[sampler] = sum(math.log(t.values["agent.noise"]) for t in trials[-10:]) / 10
    assert found["tpe"] < found["random"] - 1


def test_a_run_that_diverges_is_a_failed_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*arguments: Any, **more: Any) -> Any:
        raise NonFiniteError("the loss is nan")

    monkeypatch.setattr(sweep_module, "train", diverge)
    trials = sweep(preset(), AXES, out=tmp_path, trials=2)
    assert [(t.state, t.error) for t in trials] == [("failed", "the loss is nan")] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be an integer >= 1, got 0"),
        ({"batch": 0}, "batch must be an integer >= 1, got 0"),
        ({"seeds": 0}, "seeds must be an integer >= 1, got 0"),
        ({"workers": -1}, "workers must be an integer >= 0, got -1"),
        ({"sampler": "tpa"}, "unknown sampler 'tpa'; did you mean 'tpe'"),
        ({"ray_address": "auto"}, "ray_address 'auto' has no effect without workers"),
        ({"rungs": (3,)}, r"rungs are \[3\]; allowed: rising multiples of checkpoint_every, 4"),
        ({"rungs": (4, 4)}, r"rungs are \[4, 4\]; allowed"),
        ({"rungs": (8,)}, "rungs must be an integer from 1 to 7, got 8"),
        ({"axes": []}, "nothing varies"),
        (
            {"config": dataclasses.replace(preset(), steps=9)},
            "steps is 9; in a sweep it is a multiple of checkpoint_every",
        ),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    arguments: Any = {"config": preset(), "axes": AXES, "out": tmp_path / "out", **options}
    with pytest.raises(NeuroctlError, match=message):
        sweep(**arguments)
    assert not (tmp_path / "out").exists()


def test_another_sweep_in_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, [])
    sweep(preset(), AXES, out=tmp_path / "out", trials=1)
    for options, what in (({"batch": 3}, "batch"), ({"config": preset(seed=4)}, "config"), ({"seeds": 3}, "seeds")):
        arguments: Any = {"config": preset(), "axes": AXES, "trials": 1, **options}
        with pytest.raises(NeuroctlError, match=f"holds a sweep with another {what}; choose another --out"):
            sweep(out=tmp_path / "out", **arguments)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("my own")
    with pytest.raises(NeuroctlError, match="is not empty and holds no sweep; choose another --out"):
        sweep(preset(), AXES, out=tmp_path / "mine", trials=1)
