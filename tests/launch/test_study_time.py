from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroctl.launch import memory_presets, study_time
from neuroctl.launch.study_time import Point, main

pytest.importorskip("sb3_contrib", reason="sb3-contrib is not installed; it comes with the extra 'peers'")


def test_both_learn_until_the_score_and_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: Any = memory_presets.ppo_pendulum_hidden()
    agent = replace(made.agent, rollout_length=10, epochs=1, minibatches=2)
    monkeypatch.setattr(memory_presets, "ppo_pendulum_hidden", lambda: replace(made, agent=agent, num_envs=2))
    monkeypatch.setattr(study_time, "PEER", {**study_time.PEER, "n_steps": 16, "n_epochs": 1, "use_sde": False})
    asked = [f"--out={tmp_path / 'cache'}", f"--results={tmp_path}", "--seeds", "1", "2", "--episodes", "2"]
    asked += ["--every", "64", "--most", "192"]
    assert main([*asked, "--what", "table"]) == 0
    assert capsys.readouterr().out == "nothing measured yet\n"
    assert main([*asked, "--score=-9999"]) == 0  # reached at once
    lines = (tmp_path / "time_to_score.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")][1:]
    assert [row[0] for row in cells] == ["1", "2", "median"]
    assert all((row[1], row[3]) == ("60", "64") for row in cells)
    assert all(float(row[5]) > 0 for row in cells)
    assert main([*asked, "--score=0"]) == 0
    *_, median, _ = (tmp_path / "time_to_score.md").read_text().split("\n")
    assert median.startswith("| median | > 180 | > ")
    assert median.endswith(" | not known |")


def _table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: list[float], theirs: list[float]) -> str:
    def learner(scores: list[float]) -> Any:
        def learn(options: Any, seed: int) -> Any:
            return iter([Point(100 * (k + 1), 10.0 * (k + 1) * seed, score) for k, score in enumerate(scores)])

        return learn

    monkeypatch.setattr(study_time, "LEARNERS", {"neuroctl": learner(ours), "sb3-contrib": learner(theirs)})
    assert main([f"--out={tmp_path}", f"--results={tmp_path}", "--seeds", "1", "3"]) == 0
    return (tmp_path / "time_to_score.md").read_text()


def test_seconds_to_the_score_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table(tmp_path, monkeypatch, [-900, -200], [-900, -400, -290])
    assert "Seeds: 2," in table
    assert "| 1 | 200 | 20.0 | 300 | 30.0 | 1.5 |" in table
    assert "| 3 | 200 | 60.0 | 300 | 90.0 | 1.5 |" in table
    assert "| median | 200 | 40.0 | 300 | 60.0 | 1.5 |" in table


def test_who_did_not_reach_the_score_gives_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table(tmp_path, monkeypatch, [-900, -200], [-900, -400, -310])
    assert "| 1 | 200 | 20.0 | > 300 | > 30.0 | > 1.5 |" in table
    assert "| median | 200 | 40.0 | > 300 | > 60.0 | > 1.5 |" in table


def test_without_our_score_there_is_no_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = _table(tmp_path, monkeypatch, [-900, -310], [-200])
    assert "| 1 | > 200 | > 20.0 | 100 | 10.0 | not known |" in table


def test_a_median_of_seeds_that_reached_it_is_one_even_if_another_gave_up_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(options: Any, seed: int) -> Any:
        return iter([Point(100 * seed, 10.0 * seed, -900 if seed == 1 else -200)])

    monkeypatch.setattr(study_time, "LEARNERS", {"neuroctl": learn, "sb3-contrib": learn})
    assert main([f"--out={tmp_path}", f"--results={tmp_path}", "--seeds", "1", "2", "3"]) == 0
    assert "| median | 300 | 30.0 | 300 | 30.0 | 1.0 |" in (tmp_path / "time_to_score.md").read_text()


def test_numbers_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    from neuroctl.launch.program import run

    assert run(main, ["--every", "0"]) == 2
    assert "every must be an integer >= 1, got 0" in capsys.readouterr().err
    assert run(main, ["--every", "500", "--most", "100"]) == 2
    assert "most is 100; allowed: from every, 500, on" in capsys.readouterr().err
