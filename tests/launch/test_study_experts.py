"""The table of scripted Atari players: made from evaluations that are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.launch import study_experts
from neuroctl.launch.study import evaluate_once
from neuroctl.launch.study_experts import main

pytest.importorskip("ale_py", reason="needs the extra atari (ale-py)")


def test_the_table_holds_the_scores_of_the_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_experts, "PROTOCOLS", ("machado",))
    words = ["--episodes", "2", "--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    asked = []
    once = evaluate_once

    def short(path: Path, source: str, env_id: str, env_kwargs: dict[str, Any], **more: Any) -> None:
        asked.append((source, env_id))
        once(path, source, env_id, {**env_kwargs, "max_steps": 60}, **more)

    monkeypatch.setattr(study_experts, "evaluate_once", short)
    assert main(["--games", "Freeway", *words]) == 0
    assert asked == [("expert", "neuroctl/Atari-Freeway-v0"), ("random", "neuroctl/Atari-Freeway-v0")]
    page = (tmp_path / "results/atari_experts.md").read_text()
    returns = json.loads((tmp_path / "out/Freeway-machado-expert-2.json").read_text())["returns"]
    [row] = [line for line in page.splitlines() if line.startswith("| Freeway |")]
    assert row.startswith(f"| Freeway | {np.mean(returns):.1f} (") and row.endswith("| 29.6 |  |")
    assert "| Pong | not run | not run |" in page
    assert "with 2 games of each player" in page


def test_games_without_a_player_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from neuroctl.launch.program import run

    assert run(main, ["--games", "Tetris"]) == 2
    assert "unknown game 'Tetris'; known: Breakout, Freeway, Pong, Seaquest" in capsys.readouterr().err
