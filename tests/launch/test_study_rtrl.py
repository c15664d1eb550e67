import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.errors import NeuroctlError
from neuroctl.launch import memory_presets, rtrl_plan, rtrl_speed
from neuroctl.launch.rtrl_outcomes import Setting, cached, keep, kept, of_seeds
from neuroctl.launch.rtrl_plan import METHODS, TASKS, TUNING_SEEDS, Arguments, cells, config, folder, learning_rate
from neuroctl.launch.rtrl_tables import page, table
from neuroctl.launch.study_rtrl import main
from neuroctl.run import Run


def test_what_is_asked_for_is_trained_once_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_presets, "MILLION", 4000)
    asked = [f"--out={tmp_path / 'cache'}", f"--results={tmp_path / 'results'}", "--methods", "rtrl", "rtrl, CfC"]
    assert main([*asked, "--what", "table"]) == 0
    assert capsys.readouterr().out == "nothing trained yet\n"
    assert main([*asked, "--seeds", "5", "6"]) == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("metrics.jsonl")}
    assert len(kept) == 4
    assert "(rtrl_nonmatch.md)" in (tmp_path / "results/rtrl.md").read_text()
    text = (tmp_path / "results/rtrl_nonmatch.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "| 5 | " in line]
    assert [(row[0], row[3]) for row in rows] == [("rtrl", "2"), ("rtrl, CfC", "2")]
    found = of_seeds(cached(tmp_path / "cache", "nonmatch"), tuning=False)
    finals = [run.final for run in found[Setting("rtrl", 5, learning_rate("nonmatch", "rtrl", 5))]]
    assert float(rows[0][4].split()[0]) == pytest.approx(np.mean(finals), abs=1e-3)
    assert (tmp_path / "results/rtrl_nonmatch.png").stat().st_size > 5000
    assert main([*asked, "--seeds", "5", "6"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("metrics.jsonl")} == kept


def outcome(tmp_path: Path, name: str, values: list[float], seed: int = 5) -> Path:
    """A run as training leaves it, with these figures in equal stretches."""
    options = Arguments(seeds=(5,), methods=(name,), tune=seed != 5)
    (cell,) = (c for c in cells(options) if c.seed == seed and c.learning_rate == learning_rate("nonmatch", name, 5))
    made = config(cell)
    path = folder(tmp_path, cell)
    Run.create(made, path)
    ends = np.linspace(0, made.steps, len(values) + 1)[1:].astype(int).tolist()
    lines = [{"step": end, "episode/success": value} for end, value in zip(ends, values, strict=True)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_figures_of_a_run(tmp_path: Path) -> None:
    outcome(tmp_path, "rtrl", [0.5] * 15 + [0.92, 0.7] + [0.95, 0.97, 0.99])
    (run,) = cached(tmp_path, "nonmatch")
    assert run.budget == 2_000_000
    assert run.final == pytest.approx(0.98)  # of the last two of twenty
    assert run.steps_to(0.9) == 1_600_000
    assert run.steps_to(0.999) == np.inf
    assert run.machine.endswith(f"torch {torch.__version__}")


def test_runs_that_did_not_finish_are_not_counted(tmp_path: Path) -> None:
    path = outcome(tmp_path, "rtrl", [0.5] * 20) / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:19]))
    assert list(cached(tmp_path, "nonmatch")) == []


def test_published_runs_are_kept_where_the_cache_is_gone(tmp_path: Path) -> None:
    results = tmp_path / "results"
    asked = [f"--results={results}", "--what", "table"]
    outcome(tmp_path / "one", "rtrl", [0.95] * 10)
    assert main([*asked, f"--out={tmp_path / 'one'}"]) == 0
    outcome(tmp_path / "two", "bptt", [0.5] * 10)
    outcome(tmp_path / "two", "rtrl", [0.1] * 10, seed=TUNING_SEEDS[0])
    assert main([*asked, f"--out={tmp_path / 'two'}"]) == 0
    text = (results / "rtrl_nonmatch.md").read_text()
    assert "| bptt | 5 | 0.02 | 1 | 0.500 (0.500 to 0.500) | 0.450 (0.450 to 0.450) |" in text
    assert "| rtrl | 5 | 0.01 | 1 | 0.950 " in text and "| rtrl | 5 | 0.01 | 1 | 0.100 | 0.100 |" in text
    assert main([*asked, f"--out={tmp_path / 'none'}"]) == 0
    assert (results / "rtrl_nonmatch.md").read_text() == text
    outcome(tmp_path / "again", "bptt", [0.6] * 10)
    assert main([*asked, f"--out={tmp_path / 'again'}"]) == 0
    assert "| bptt | 5 | 0.02 | 1 | 0.600 " in (results / "rtrl_nonmatch.md").read_text()  # instead of the old one


def test_kept_runs_are_those_that_were_found(tmp_path: Path) -> None:
    outcome(tmp_path, "bptt", [0.123456] * 10)
    (found,) = cached(tmp_path, "nonmatch")
    keep(tmp_path / "kept.json", [found])
    (again,) = kept(tmp_path / "kept.json")
    assert (again.setting, again.seed, again.budget, again.machine) == (
        found.setting,
        found.seed,
        found.budget,
        found.machine,
    )
    np.testing.assert_array_equal(again.steps, found.steps)
    np.testing.assert_allclose(again.values, found.values, atol=5e-5)
    (tmp_path / "kept.json").write_text('[{"method": "bptt"}]')
    with pytest.raises(NeuroctlError, match=r"kept\.json does not hold outcomes of runs"):
        kept(tmp_path / "kept.json")


def test_a_cfc_is_compared_with_the_exact_gradients_of_a_cfc(tmp_path: Path) -> None:
    for name, value in (("rtrl", 0.9), ("rtrl, CfC", 0.7), ("bptt, CfC", 0.6)):
        outcome(tmp_path, name, [value] * 10)
    lines = page("nonmatch", list(cached(tmp_path, "nonmatch")), {})
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[5] for line in lines if " | 5 | " in line}
    assert rows == {"rtrl": "", "rtrl, CfC": "", "bptt, CfC": "0.100 (0.100 to 0.100)"}


def test_runs_that_never_were_above_the_threshold_are_counted(tmp_path: Path) -> None:
    outcome(tmp_path, "rtrl", [0.95] * 10)
    outcome(tmp_path, "bptt", [0.5] * 10)
    outcome(tmp_path, "rtrl", [0.1] * 10, seed=TUNING_SEEDS[0])
    runs = list(cached(tmp_path, "nonmatch"))
    found = of_seeds(runs, tuning=False)
    rows = {line.split(" | ")[0].strip("| "): line for line in table(found, "nonmatch", {})}
    assert rows["rtrl"].endswith("| 0.950 (0.950 to 0.950) |  | 200 k | 1 of 1 |  |  |")
    assert "| 0.500 (0.500 to 0.500) | 0.450 (0.450 to 0.450) | > 2000 k | 0 of 1 |" in rows["bptt"]
    assert [setting.method for setting in of_seeds(runs, tuning=True)] == ["rtrl"]


def test_slower_methods_are_compared_where_the_fastest_is_through(tmp_path: Path) -> None:
    outcome(tmp_path, "rtrl", [0.6] * 25 + [0.95] * 25)
    outcome(tmp_path, "bptt", [0.5] * 49 + [0.7])
    speeds: Any = {("nonmatch", "rtrl", 5): 50.0, ("nonmatch", "bptt", 5): 100.0, ("nonmatch", "rtrl", 10): 900.0}
    found = table(of_seeds(cached(tmp_path, "nonmatch"), tuning=False), "nonmatch", speeds)
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[-2:] for line in found}
    assert cells["rtrl"] == ["50", "0.600 (0.600 to 0.600)"]  # half of its steps
    assert cells["bptt"] == ["100", "0.540 (0.540 to 0.540)"]  # the last five of fifty, as at the end


def test_speeds_are_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rtrl_speed, "STEPS", 60)
    monkeypatch.setattr(rtrl_speed, "REPEATS", 1)
    asked = [f"--out={tmp_path}", f"--results={tmp_path / 'results'}", "--what", "speed", "--methods"]
    assert main([*asked, "rtrl", "bptt"]) == main([*asked, "immediate"]) == 0
    path = tmp_path / "results/rtrl_speeds.json"
    assert capsys.readouterr().out.startswith(f"speeds: {path}")
    speeds = rtrl_speed.read_speeds(path.parent)
    assert set(speeds) == {("nonmatch", method, 5) for method in ("rtrl", "bptt", "immediate")}
    assert all(rate > 0 for rate in speeds.values())
    elsewhere = [[task, "bptt", 5, 7, "another machine"] for task in ("nonmatch", "tmaze")]
    path.write_text(json.dumps(elsewhere))
    assert main([*asked, "immediate"]) == 0  # what is compared within a task was measured on one machine
    assert set(rtrl_speed.read_speeds(path.parent)) == {("nonmatch", "immediate", 5), ("tmaze", "bptt", 5)}


def test_learning_rates_are_those_that_were_tuned(monkeypatch: pytest.MonkeyPatch) -> None:
    tuned: Any = {("nonmatch", "bptt"): {5: 0.1, 50: 0.2}, ("nparity", "bptt"): {5: 0.3}}
    monkeypatch.setattr(rtrl_plan, "TUNED", tuned)
    assert [learning_rate("nonmatch", "bptt", length) for length in (5, 10, 50)] == [0.1, 0.1, 0.2]
    assert learning_rate("nonmatch-200", "bptt, forget bias 1", 5) == 0.1
    assert learning_rate("nparity-long", "bptt", 5) == 0.3
    assert learning_rate("nonmatch", "rtrl", 5) == learning_rate("tmaze", "bptt", 5) == 2e-3  # of the presets


@pytest.mark.parametrize(("task", "rates"), [("nparity", 5), ("nonmatch", 4), ("watermaze", 3)])
def test_every_method_is_tuned_by_as_many_runs(task: rtrl_plan.Task, rates: int) -> None:
    asked = list(cells(Arguments(tasks=(task,), methods=("rtrl", "immediate"), tune=True)))
    assert len(set(asked)) == len(asked) == 2 * rates * len(rtrl_plan.TUNING_SEEDS)
    tried = [{(cell.learning_rate, cell.seed) for cell in asked if cell.method == m} for m in ("rtrl", "immediate")]
    assert tried[0] == tried[1]


def test_delays_and_forget_biases_are_those_that_are_named() -> None:
    options = Arguments(tasks=("nonmatch-50",), methods=("bptt, forget bias 1", "bptt"), seeds=(1,))
    low, usual = (config(cell) for cell in cells(options))
    agents: list[Any] = [low.agent, usual.agent]
    assert [agent.forget_bias for agent in agents] == [1.0, 2.0]
    assert {agent.gradient for agent in agents} == {"bptt"}
    assert low.env.kwargs()["delay"] == 50 and low.steps * 64 == 5_000_000


def test_every_method_is_an_experiment_of_every_task() -> None:
    for task in TASKS:
        options = Arguments(tasks=(task,), methods=tuple(METHODS), seeds=(1,), rollouts=(10,))
        agents: list[Any] = [config(cell).agent for cell in cells(options)]
        assert len(agents) == len(set(agents)) == len(METHODS)
        assert {agent.rollout_length for agent in agents} == {10}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("rtlr",)}, "unknown method 'rtlr'; did you mean 'rtrl'"),
        ({"rollouts": (5, 0)}, r"rollouts are \(5, 0\); allowed: from 1 step on"),
        ({"seeds": (11,)}, "are for tuning"),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        Arguments(**options)
