import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from neuroctl import registry
from neuroctl.agents.cells import RNN
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.encoders import Unencoded
from neuroctl.agents.heads import make_head
from neuroctl.agents.policies import CellPolicy
from neuroctl.analysis import spectral_radius
from neuroctl.envs.config import ArmReachConfig, AtariConfig, GymnasiumTaskConfig, LaneFollowConfig
from neuroctl.errors import NeuroctlError
from neuroctl.launch import lowrank_plan as plan
from neuroctl.launch import presets
from neuroctl.launch.lowrank_dynamics import BURN_IN, dynamics
from neuroctl.launch.lowrank_figure import LAGS
from neuroctl.launch.lowrank_plan import (
    DENSE,
    LOW_RANK,
    MODELS,
    PRIVILEGED,
    RECURRENT,
    STACKED,
    TASKS,
    Arguments,
    Policy,
    conditions,
    config,
    evaluation,
    label,
    policies,
    published,
)
from neuroctl.launch.lowrank_tables import clean, shifted, verdict, write_results
from neuroctl.launch.study_lowrank import main
from neuroctl.run import Run, tree_hash
from neuroctl.vector import make_env


def test_a_policy_is_trained_and_tested_once_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short() -> Any:
        made = presets.lane_cfc()
        few = replace(made.demonstrations, episodes=2, shifts=("action-noise:1",))
        return replace(made, demonstrations=few, steps=2, checkpoint_every=2)

    lane = TASKS["lane"]._replace(preset=short, env={"blackout_s": 0.6, "max_steps": 80}, shifts=("gain", "contrast"))
    monkeypatch.setitem(TASKS, "lane", lane)
    asked = [f"--out={tmp_path / 'cache'}", f"--results={tmp_path / 'results'}", "--tasks", "lane", "--seeds", "1"]
    asked += ["--severities", "3", "--episodes", "1", "--models", LOW_RANK, PRIVILEGED]
    assert main(asked) == 0
    ours = [path for path in (tmp_path / "cache").rglob("*.json") if path.parent.name.startswith("cfc-r4-s0.5")]
    assert {"clean-e4.json", "gain-3-e1.json", "contrast-3-e1.json"} <= {path.name for path in ours}
    text = (tmp_path / "results/lowrank.md").read_text()
    assert "| cfc r64 s0 | not run |" in text
    numbers = json.loads((tmp_path / "results/lowrank.json").read_text())["scores"]["lane"]
    assert list(numbers[LOW_RANK]["1"]) == ["clean", "gain:3", "contrast:3"]
    assert list(numbers[PRIVILEGED]["1"]) == ["clean"]
    assert (tmp_path / "results/lowrank.png").stat().st_size > 5000
    assert not (tmp_path / "results/lowrank_dynamics.md").exists()
    assert main([*asked, "--what", "dynamics"]) == 0
    page = (tmp_path / "results/lowrank_dynamics.md").read_text()
    assert page.count(f"| {LOW_RANK} | 1 | ") == 2 and f"| {PRIVILEGED}" not in page and "nan" not in page
    name = label(published("lane", LOW_RANK, 1))
    measured = json.loads((tmp_path / f"cache/dynamics/lane/{name}.json").read_text())
    assert len(measured["loss"]) == 6 and measured["loss"][5] != measured["loss"][0] and min(measured["loss"]) > 0
    assert 0 < measured["change"] < 0.1  # two steps
    assert (tmp_path / "results/lowrank_dynamics.png").stat().st_size > 5000
    found = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json")}
    assert main(asked) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json")} == found


def test_policies_of_a_seed_share_an_encoder_where_the_task_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short() -> Any:
        made = presets.lane_cfc()
        few = replace(made.demonstrations, episodes=2, shifts=())
        return replace(made, demonstrations=few, steps=2, checkpoint_every=2)

    task = TASKS["breakout"]._replace(preset=short, env={"max_steps": 40}, shifts=())
    monkeypatch.setitem(TASKS, "breakout", task)
    asked = [f"--out={tmp_path / 'cache'}", f"--results={tmp_path / 'results'}", "--tasks", "breakout"]
    assert main([*asked, "--seeds", "1", "2", "--episodes", "1", "--models", LOW_RANK, RECURRENT]) == 0
    folder = tmp_path / "cache/breakout"
    runs = sorted(path.name for path in folder.iterdir() if (path / "config.json").exists())
    assert runs == [*(f"cfc-r4-s0.5-lr1-s{s}" for s in (1, 2)), "encoder-s1", "encoder-s2"] + [
        f"lstm-r64-s0-lr1-s{s}" for s in (1, 2)
    ]
    hashes = {}
    for name in runs:
        policy = Run(folder / name).checkpoints.load()[1]["agent"]["policy"]
        hashes[name] = tree_hash({key: value for key, value in policy.items() if key.startswith("encoder.")})
    for seed in (1, 2):
        assert hashes[f"cfc-r4-s0.5-lr1-s{seed}"] == hashes[f"lstm-r64-s0-lr1-s{seed}"] == hashes[f"encoder-s{seed}"]
    assert hashes["encoder-s1"] != hashes["encoder-s2"]


def test_dynamics_of_a_plain_network_at_rest_are_those_of_its_matrix() -> None:
    torch.manual_seed(0)
    box = gym.spaces.Box(-1, 1, (2,))
    cell: Any = RNN(3, 6)
    policy = CellPolicy(Unencoded(3), cell, make_head(box)).double()
    matrix = 0.9 * np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    with torch.no_grad():
        cell.bias.zero_()
        cell.recurrent.dense.copy_(torch.tensor(matrix))
    found = dynamics(policy, {"h": matrix}, np.zeros((BURN_IN + 60, 2, 3)), 0.5)
    assert [found[name] for name in ("radius", "norm", "jacobian_radius", "jacobian_norm")] == pytest.approx(4 * [0.9])
    assert found["exponents"] == pytest.approx(6 * [np.log(0.9) / 0.5])
    assert found["gradient"] == pytest.approx([0.9**lag for lag in LAGS])
    assert found["dimensions"] == {"state": 0.0, "outside": 0.0, "own": 0.0}
    assert np.allclose(np.hypot(*np.array(found["eigenvalues"]).T), 0.9)


def write(options: Arguments, task: plan.Task, model: str, returns: dict[int, tuple[float, float]]) -> None:
    """Evaluations of each seed: clean, and under every shift and severity."""
    for seed, (alone, moved) in returns.items():
        for condition in conditions(options, task, model):
            value = alone if condition == "clean" else moved
            put(evaluation(options, task, label(published(task, model, seed)), condition), value)


def put(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"return_mean": value}))


@pytest.fixture
def options(tmp_path: Path) -> Arguments:
    """Doing nothing gives a return of 10, the expert 110."""
    made = Arguments(out=tmp_path / "cache", results=tmp_path / "results", seeds=(1, 2, 3), tasks=("arm",))
    put(evaluation(made, "arm", "zero", "clean"), 10.0)
    put(evaluation(made, "arm", "expert", "clean"), 110.0)
    return made


def rows(options: Arguments) -> dict[str, list[str]]:
    lines = (options.results / "lowrank.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: row for row in reversed(cells)}


def test_scores_contrast_and_entry_are_those_worked_out_by_hand(options: Arguments) -> None:
    write(options, "arm", LOW_RANK, {1: (90.0, 60.0), 2: (90.0, 70.0), 3: (90.0, 65.0)})
    write(options, "arm", DENSE, {1: (100.0, 60.0), 2: (100.0, 70.0), 3: (100.0, 65.0), 4: (0.0, 0.0)})  # not asked for
    write(options, "arm", RECURRENT, {1: (100.0, 50.0), 2: (90.0, 50.0), 3: (95.0, 50.0)})
    write(options, "arm", STACKED, {1: (85.0, 50.0), 2: (75.0, 50.0), 3: (80.0, 50.0)})
    assert write_results(options).endswith("lowrank.md")
    text, found = (options.results / "lowrank.md").read_text(), rows(options)
    assert found[LOW_RANK][1] == "3"
    assert [float(cell.split()[0]) for cell in found[LOW_RANK][2:6]] == [0.8, 0.55, 0.55, -0.25]
    assert found[LOW_RANK][6] == "0.50 0.60 0.55"
    assert "0.150 (0.150 to 0.150); more than 0.1 is asked for:\nthe task counts." in text
    assert found["change under shift"][1:] == ["0.100 (0.100 to 0.100)", "better"]
    assert found["shifted score"][1:] == ["0.000 (0.000 to 0.000)", "equivalent within 0.02"]
    assert "Probability of improvement under shift: 0.50" in text


def test_what_the_clean_score_foretells_is_taken_off(options: Arguments) -> None:
    write(options, "arm", LOW_RANK, {1: (90.0, 70.0), 2: (90.0, 80.0), 3: (90.0, 75.0)})
    write(options, "arm", DENSE, {1: (110.0, 70.0), 2: (110.0, 80.0), 3: (110.0, 75.0)})
    write(options, "arm", RECURRENT, {1: (100.0, 60.0), 2: (90.0, 55.0)})
    write(options, "arm", STACKED, {1: (60.0, 40.0), 2: (50.0, 35.0)})
    write_results(options)
    assert not any("foretells" in name for name in rows(options))  # two models are too few for a line
    write(options, "arm", "mlp", {1: (40.0, 30.0)})
    write_results(options)
    found = rows(options)["shifted score, beyond what the clean one foretells"]
    assert found[1:] == ["0.100 (0.100 to 0.100)", "better"]  # 0.5 for each 1 of the clean score
    assert "rises by 0.50" in (options.results / "lowrank.md").read_text()


def test_a_task_without_need_of_memory_does_not_count(options: Arguments) -> None:
    write(options, "arm", RECURRENT, {1: (100.0, 50.0), 2: (90.0, 50.0)})
    write(options, "arm", STACKED, {1: (95.0, 50.0), 2: (85.0, 50.0)})
    write_results(options)
    assert "not known yet: fewer than 3 seeds" in (options.results / "lowrank.md").read_text()
    write(options, "arm", RECURRENT, {3: (100.0, 50.0)})
    write(options, "arm", STACKED, {3: (95.0, 50.0)})
    write_results(options)
    text = (options.results / "lowrank.md").read_text()
    assert "the task does **not** count" in text
    assert "Primary contrast: `cfc r4 s0.5` or `cfc r64 s0` was not run." in text


def test_a_seed_without_all_conditions_is_left_out(options: Arguments) -> None:
    write(options, "arm", LOW_RANK, {1: (90.0, 60.0), 2: (90.0, 70.0)})
    evaluation(options, "arm", label(published("arm", LOW_RANK, 2)), "mass:5").unlink()
    write_results(options)
    assert rows(options)[LOW_RANK][1] == "1"


def test_published_scores_are_kept_where_the_cache_is_gone(options: Arguments) -> None:
    write(options, "arm", LOW_RANK, {1: (90.0, 60.0), 2: (90.0, 70.0)})
    write_results(options)
    elsewhere = replace(options, out=options.out / "elsewhere", seeds=(2, 3))
    write(elsewhere, "arm", LOW_RANK, {2: (90.0, 80.0), 3: (90.0, 65.0)})
    write_results(elsewhere)  # without the expert, whose return is published
    assert rows(options)[LOW_RANK][6] == "0.50 0.70 0.55"
    text = (options.results / "lowrank.md").read_text()
    assert "The unit is the training seed (1, 2, 3)" in text
    write_results(replace(options, out=options.out / "nowhere"))
    assert (options.results / "lowrank.md").read_text() == text
    with pytest.raises(NeuroctlError, match=r"lowrank\.json has episodes 16, not 8; ask for those, or other --results"):
        write_results(replace(options, episodes=8))


def test_verdicts() -> None:
    assert verdict(np.array([0.01, -0.01, 0.0])) == "equivalent within 0.02"
    assert verdict(np.array([0.03, 0.05, 0.04])) == "better"
    assert verdict(np.array([-0.03, -0.05, -0.04])) == "worse"
    assert verdict(np.array([-0.3, 0.5, 0.04])) == "not resolved"
    assert verdict(np.array([0.5, 0.5])) == "fewer than 3 seeds"


def test_shifted_is_the_mean_of_all_conditions_but_the_clean_one() -> None:
    scores = {"1": {"clean": 1.0, "gain:1": 0.5, "gain:3": 0.1}, "2": {"clean": 0.9, "gain:1": 0.7, "gain:3": 0.3}}
    assert clean(scores).tolist() == [1.0, 0.9]
    np.testing.assert_allclose(shifted(scores), [0.3, 0.5])
    assert np.isnan(shifted({"1": {"clean": 1.0}})).all()


def test_tuning_lists_every_learning_rate(tmp_path: Path) -> None:
    options = Arguments(out=tmp_path / "cache", results=tmp_path / "results", tune=True)
    assert write_results(options) == "nothing evaluated yet"
    for factor, value in ((0.5, 3.0), (1.0, 7.0), (2.0, 5.0)):
        put(evaluation(options, "lane", label(Policy("lane", "mlp", factor, plan.TUNING_SEED)), "clean"), value)
    write_results(options)
    text = (tmp_path / "results/lowrank_tuning.md").read_text()
    assert "| mlp | 3.0 | 7.0 | 5.0 | 1 |" in text
    assert "| cfc r64 s0 | not run | not run | not run |  |" in text


def test_all_models_are_experiments_and_all_shifts_fit() -> None:
    asked = Arguments(seeds=(5,))
    seen = [config(policy) for policy in policies(asked)]
    assert len(seen) == 3 * len(MODELS) - 1 + 6  # an arm's state is shown anyway; on the game, few are compared
    assert {RECURRENT, STACKED, *plan.PRIMARY} <= set(TASKS["breakout"].models or ()) <= set(MODELS)
    for task in TASKS:
        agents = [made.agent for policy, made in zip(policies(asked), seen, strict=True) if policy.task == task]
        alike = [(a, b) for a in range(len(agents)) for b in range(a) if agents[a] == agents[b]]
        assert len(alike) == (TASKS[task].privileged is not None)  # feed-forward, which sees more or less
        plain: Any = config(Policy(task, DENSE, 1.0, 5))
        for shift in TASKS[task].shifts:
            assert shift in registry.shifts.names()
            make_env(plain.env.id, 1, plain.env.kwargs(), [f"{shift}:3"]).close()
    assert {type(made.env) for made in seen} == {LaneFollowConfig, ArmReachConfig, GymnasiumTaskConfig, AtariConfig}
    tuned = list(policies(replace(asked, tune=True, models=("mlp",), tasks=("arm",))))
    assert [policy.factor for policy in tuned] == [0.5, 1.0, 2.0]
    assert {policy.seed for policy in tuned} == {plan.TUNING_SEED}


def test_the_controls_have_what_they_are_named_for() -> None:
    draws = [LowRankSparse(plan.UNITS, 4, 0.5, seed=seed).weight().detach().numpy() for seed in range(40)]
    assert np.mean([spectral_radius(weight) for weight in draws]) == pytest.approx(plan.SMALL_GAIN, rel=0.05)
    norm = np.mean([np.linalg.norm(weight) for weight in draws])
    assert np.sqrt(plan.UNITS) / norm == pytest.approx(plan.LARGE_GAIN, rel=0.02)
    effective = np.mean([LowRankSparse(plan.UNITS, 4, 0.5, seed=seed).effective_parameters for seed in range(5)])
    assert abs(plan.SMALL_UNITS**2 - effective) < plan.SMALL_UNITS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "cfc r9"], "unknown model 'cfc r9'"),
        (["--seeds", "11"], "seed 11 is for tuning"),
        (["--episodes", "0"], "episodes must be >= 1, got 0"),
        (["--severities", "9"], "severity 9 of the study"),
    ],
)
def test_mistakes_are_said(arguments: list[str], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        main(arguments)
