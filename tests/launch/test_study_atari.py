"""The table of policies that imitate Atari players."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.config import DemonstrationsConfig
from neuroctl.launch import presets, study_atari
from neuroctl.launch.study_atari import Arguments, main

pytest.importorskip("ale_py", reason="needs the extra atari (ale-py)")


def short(cell: str) -> Any:
    made: Any = {"cfc": presets.atari_cfc, "lstm": presets.atari_lstm}[cell]()
    demonstrations = DemonstrationsConfig(episodes=1)
    agent = replace(made.agent, sequence_length=8, batch_size=2, hidden_size=4, features=4)
    env = replace(made.env, max_steps=40, size=(20, 20))
    return replace(made, env=env, agent=agent, demonstrations=demonstrations, steps=2, log_every=1, checkpoint_every=2)


def test_what_is_asked_for_is_trained_once_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(study_atari, "CELLS", {cell: lambda cell=cell: short(cell) for cell in ("cfc", "lstm")})
    out, results = tmp_path / "cache", tmp_path / "results"
    asked = [f"--out={out}", f"--results={results}", "--games", "Freeway", "--seeds", "1", "--episodes", "2"]
    assert main([*asked, "--what", "table"]) == 0
    assert capsys.readouterr().out == "nothing evaluated yet\n"
    assert main(asked) == 0
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.json")}
    rows = {}
    for line in (results / "atari.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "Freeway":
            rows[cells[1]] = cells
    assert list(rows) == ["cfc", "lstm"]
    returns = [json.loads((out / f"evaluations/Freeway/lstm-s{s}-2.json").read_text())["return_mean"] for s in (1,)]
    player = json.loads((out / "evaluations/Freeway/expert-2.json").read_text())["return_mean"]
    assert rows["lstm"][2] == "1" and rows["lstm"][5] == " ".join(f"{score:.1f}" for score in returns)
    assert float(rows["lstm"][3].split()[0]) == pytest.approx(np.mean(returns), abs=0.05)
    assert float(rows["lstm"][6]) == pytest.approx(player, abs=0.05)
    assert (results / "atari.png").stat().st_size > 5000
    assert main(asked) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.json")} == kept


def scored(out: Path, name: str, score: float) -> None:
    path = out / "evaluations/Pong" / f"{name}-10.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"return_mean": score}))


def test_what_is_below_seven_tenths_of_the_player_is_said(tmp_path: Path) -> None:
    for name, score in (("expert", 20.0), ("random", -20.0), ("cfc-s1", 13.0), ("lstm-s1", 14.0), ("lstm-s2", 18.0)):
        scored(tmp_path, name, score)
    options = Arguments(out=tmp_path)
    (cfc,), (lstm,) = (list(study_atari._row(options, "Pong", cell)) for cell in ("cfc", "lstm"))
    assert "| 0.65 (0.65 to 0.65), below 0.7 | 13.0 | 20.0 | -20.0 |" in cfc
    assert "| Pong | lstm | 2 | 16.0 (14.0 to 18.0) | 0.80 (0.70 to 0.90) | 14.0 18.0 | 20.0 | -20.0 |" in lstm
    assert not list(study_atari._row(options, "Breakout", "cfc"))


def test_games_without_a_player_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    from neuroctl.launch.program import run

    assert run(main, ["--games", "Tetris"]) == 2
    assert "unknown game 'Tetris'; known: Breakout, Freeway, Pong, Seaquest" in capsys.readouterr().err
