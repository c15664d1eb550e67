from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroctl.launch import memory_presets, study_ppo
from neuroctl.launch.study_ppo import main

pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed; it comes with the extra 'peers'")


def test_both_are_trained_once_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: Any = memory_presets.ppo_pendulum()
    agent = replace(made.agent, epochs=1, minibatches=4)
    short: Any = replace(made, agent=agent, steps=64, log_every=64, checkpoint_every=64)
    monkeypatch.setattr(study_ppo, "EPISODES", 10)
    monkeypatch.setitem(study_ppo.TASKS, "pendulum", study_ppo.TaskPlan(lambda: short, "Pendulum-v1"))
    asked = [f"--out={tmp_path / 'cache'}", f"--results={tmp_path}", "--tasks", "pendulum", "--seeds", "1", "2"]
    assert main([*asked, "--what", "table"]) == 0
    assert capsys.readouterr().out == "nothing evaluated yet\n"
    assert main(asked) == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json")}
    (row,) = [line for line in (tmp_path / "ppo.md").read_text().splitlines() if line.startswith("| pendulum")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["4096", "2"]
    ours, theirs, both = (float(cell.split()[0]) for cell in cells[3:6])
    assert -1700 < ours < -100 and -1700 < theirs < -100
    assert both == pytest.approx(ours - theirs, abs=0.16)
    assert main(asked) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json")} == kept
