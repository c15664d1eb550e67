"""The study on Procgen: trained and played once, written from what is there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.launch import memory_presets, study_procgen
from neuroctl.launch.program import run
from neuroctl.launch.study_procgen import LEVELS, main
from neuroctl.storage import read_json


def test_levels_seen_and_never_seen_are_played_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short() -> Any:  # without levels: with another delay
        made: Any = memory_presets.rtrl_nonmatch()
        agent = replace(made.agent, rollout_length=8, hidden_size=8)
        return replace(made, agent=agent, num_envs=4)

    monkeypatch.setattr(study_procgen, "rtrl_coinrun", short)
    monkeypatch.setattr(study_procgen, "LEVELS", {"seen": {}, "never seen": {"delay": 4}})
    words = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results"), "--frames", "500"]
    words += ["--episodes", "4", "--seeds", "1", "2"]
    assert main([*words, "--methods", "bptt"]) == 0
    page = (tmp_path / "results/procgen.md").read_text()
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")}
    assert {path.name for path in made} == {
        f"bptt-s{s}-{kind}-e4.json" for s in (1, 2) for kind in ("seen", "never-seen")
    }
    seen, unseen = (
        np.mean([read_json(tmp_path / f"out/bptt-s{s}-{kind}-e4.json")["return_mean"] for s in (1, 2)])
        for kind in ("seen", "never-seen")
    )
    [row] = [line for line in page.splitlines() if line.startswith("| bptt")]
    assert row.startswith(f"| bptt | 2 | {seen:.2f} (") and f"| {unseen:.2f} (" in row
    assert "| rtrl | not run |" in page and "480 frames, 2 seeds" in page
    assert (tmp_path / "results/procgen.png").stat().st_size > 5000
    assert main([*words, "--methods", "bptt"]) == 0  # nothing is done twice
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.json")} == made


def test_no_level_that_is_played_as_never_seen_was_trained_on() -> None:
    env = memory_presets.rtrl_coinrun().env
    first, count = env.start_level, env.num_levels  # type: ignore[attr-defined]
    assert count > 0 and LEVELS["never seen"]["start_level"] >= first + count
    assert LEVELS["seen"] == {}


def test_a_wrong_method_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["--methods", "luck"]) == 2
    assert "unknown method 'luck'; known: bptt, feed-forward, rtrl" in capsys.readouterr().err
