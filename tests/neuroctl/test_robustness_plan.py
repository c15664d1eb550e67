"""Policies under shifts: who plays where, the same episodes for all, runs that are units of one policy."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import robustness
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.evaluation import evaluate
from neuroctl.robustness_plan import plan
from neuroctl.run import Run
from tests.neuroctl.toys import CART, POINT, LinearAgent, LinearConfig, PointConfig, preset


def trained(path: Path, seed: int, **changes: Any) -> Path:
    """A run of the toy with untrained weights."""
    made = preset()
    config = dataclasses.replace(made, seed=seed, agent=dataclasses.replace(made.agent, **changes))
    run = Run.create(config, path)
    run.checkpoints.save(1, {"agent": LinearAgent(LinearConfig(), None, seed=seed).state_dict()})  # type: ignore[arg-type]
    return path


def test_every_cell_is_what_evaluate_says(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 0)
    matrix = robustness(
        run, "random", shifts=["action-noise"], severities=(3, 1, 3), episodes=20, seed=5, cache=tmp_path / "cache"
    )
    assert matrix.policies == ("run", "random")
    assert matrix.severities == (1, 3)
    assert set(matrix.cells) == {
        (p, c) for p in ("run", "random") for c in ("clean", "action-noise:1", "action-noise:3")
    }
    for policy, source in (("run", run), ("random", "random")):
        for condition in ("clean", "action-noise:3"):
            shifts = [] if condition == "clean" else [condition]
            alone = evaluate(source, shifts=shifts, episodes=20, seed=5, env_id=POINT, env_kwargs=preset().env.kwargs())
            cell = matrix.cells[policy, condition]
            assert cell.returns.tobytes() == alone.returns.tobytes() and cell.lengths.shape == (1, 20)
            assert cell.success is not None and cell.success.tobytes() == alone.final["success"].tobytes()
            assert matrix.seeds == alone.seeds
    expert, zero = (evaluate(who, episodes=20, seed=5, env_id=POINT).returns.mean() for who in ("expert", "zero"))
    assert matrix.scale == (zero, expert)
    wanted = (matrix.cells["run", "clean"].returns - zero) / (expert - zero)
    np.testing.assert_allclose(matrix.scores("run", "clean"), wanted)


@pytest.mark.usefixtures("ray_cluster")
def test_workers_change_no_bit(tmp_path: Path) -> None:
    run = trained(tmp_path / "run", 0)
    matrices = [
        robustness(run, shifts=["action-noise"], severities=(2,), episodes=40, workers=n, cache=tmp_path / str(n))
        for n in (0, 2)
    ]
    here, there = (m.cells["run", "action-noise:2"].returns.tobytes() for m in matrices)
    assert here == there


def test_runs_that_differ_in_their_seed_are_one_policy(tmp_path: Path) -> None:
    runs = [trained(tmp_path / f"run-{seed}", seed) for seed in (1, 2, 3)]
    noisy = trained(tmp_path / "noisy", 1, noise=0.5)
    planned = plan(*runs, noisy, shifts=["action-noise"], severities=(1,), episodes=4)
    assert [(entrant.name, len(entrant.players)) for entrant in planned.entrants] == [("run-1", 3), ("noisy", 1)]
    assert planned.total == 4 * (2 * 4 + 2)  # clean and one shift, and two references
    matrix = planned.play(tmp_path / "cache")
    assert matrix.cells["run-1", "clean"].returns.shape == (3, 4)
    assert matrix.headline("run-1").count == 3
    assert matrix.headline("noisy").count == 4


def test_runs_that_learned_from_other_demonstrations_are_other_policies(tmp_path: Path) -> None:
    recordings = {"clean": [], "shifted": ["action-noise:1"], "clean-too": []}
    for name, shifts in recordings.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(json.dumps({"env_id": POINT, "shifts": shifts, "seed": name}))
    runs = []
    for seed, name in enumerate(recordings):
        source = dataclasses.replace(preset().demonstrations, path=tmp_path / name)
        run = Run.create(dataclasses.replace(preset(), seed=seed, demonstrations=source), tmp_path / f"run-{name}")
        run.checkpoints.save(1, {"agent": LinearAgent(LinearConfig(), None, seed=seed).state_dict()})  # type: ignore[arg-type]
        runs.append(run.path)
    entrants = plan(*runs, shifts=["action-noise"]).entrants
    assert [(entrant.name, len(entrant.players)) for entrant in entrants] == [("run-clean", 2), ("run-shifted", 1)]


def test_each_row_may_have_dynamics_of_its_own(tmp_path: Path) -> None:
    masses = list(np.linspace(1, 2, 16))
    options = {"max_steps": 5, "dynamics": {"mass": masses}}
    asked: Any = {"env_id": "neuroctl/BallReach-v0", "env_kwargs": options, "shifts": ["gain"], "severities": (1,)}
    matrix = robustness("zero", episodes=2, cache=tmp_path, **asked)
    assert matrix.cells["zero", "gain:1"].returns.shape == (1, 2)


def test_shifts_that_do_not_fit_are_left_out_with_their_reason(tmp_path: Path) -> None:
    planned = plan("zero", env_id=POINT, severities=(1,), episodes=1)
    assert "action-noise" in planned.shifts and "contrast" in planned.unfit
    assert "it needs an image" in planned.unfit["contrast"]
    with pytest.raises(NeuroctlError, match="shift 'contrast' does not fit"):
        plan("zero", env_id=POINT, shifts=["contrast"])
    assert plan("random", env_id=CART, episodes=1).references == ()  # a cart has no expert


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shifts": ["fog"]}, "unknown shift 'fog'"),
        ({"severities": (6,)}, "severity 6 of a matrix; allowed: 0 to 5"),
        ({"severities": (0,)}, "severities are .0,.; allowed: some of 1 to 5"),
        ({"episodes": 0}, "episodes must be an integer >= 1, got 0"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"env_id": "toys/Pint-v0"}, "Pint"),
    ],
)
def test_mistakes_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        plan("zero", **{"env_id": POINT, **arguments})


def test_who_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="'nobody' is neither a run folder nor one of expert"):
        plan("nobody", env_id=POINT)
    with pytest.raises(NeuroctlError, match="zero and zero are the same policy; name it once"):
        plan("zero", "zero", env_id=POINT)
    with pytest.raises(NeuroctlError, match="checkpoint 'best' has no effect: none of the policies is a run"):
        plan("zero", env_id=POINT, checkpoint="best")
    with pytest.raises(NeuroctlError, match="no shift to play: none named"):
        plan("zero", env_id=POINT, shifts=[])
    run = trained(tmp_path / "run", 0)
    copy = shutil.copytree(run, tmp_path / "copy")
    with pytest.raises(NeuroctlError, match="run and .*copy are the same policy"):
        plan(run, copy)
    with pytest.raises(NeuroctlError, match="name at least one policy"):
        plan(env_id=POINT)
    with pytest.raises(UnknownNameError, match="unknown shift"):
        plan("zero", env_id=POINT, shifts=["gian"])


def test_a_matrix_has_one_environment(tmp_path: Path) -> None:
    one, two = trained(tmp_path / "one", 0), tmp_path / "two"
    config = dataclasses.replace(preset(), env=PointConfig(friction=2.0))
    run = Run.create(config, two)
    run.checkpoints.save(1, {"agent": LinearAgent(LinearConfig(), None, seed=0).state_dict()})  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="Point-v0 with friction=1.0 and .* with friction=2.0: a matrix has"):
        plan(one, two, shifts=["action-noise"])
    same = plan(one, two, shifts=["action-noise"], env_kwargs={"friction": 3.0})
    assert same.env_kwargs["friction"] == 3.0
