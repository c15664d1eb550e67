"""`neuroctl sweep`: the program, what it writes, and mistakes."""

import csv
import sys
from pathlib import Path

import pytest

from neuroctl import sweep as sweep_module
from neuroctl.launch.cli import main

pytest.importorskip("optuna", reason="needs the extra sweep (optuna)")
QUICK = ["--num-envs", "2", "--steps", "4", "--log-every", "4", "--checkpoint-every", "4", "--agent.hidden-size", "4"]
QUICK += ["--agent.rollout-length", "2"]


def test_the_best_options_are_said_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep_module, "EPISODES", 16)
    words = ["--vary", "agent.learning_rate=log:1e-4..1e-1", "--vary", "agent.gradient=rtrl,bptt"]
    words = ["sweep", "rtrl-nonmatch", *QUICK, *words, "--trials", "3", "--batch", "2", "--out", str(tmp_path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "trials.csv").read_text().splitlines()))
    assert [row["trial"] for row in rows] == ["0", "1", "2"] and {row["state"] for row in rows} == {"complete"}
    assert {row["agent.gradient"] for row in rows} <= {"rtrl", "bptt"}
    best = max(rows, key=lambda row: (float(row["score"]), -int(row["trial"])))
    assert f"the best one: {best['run']}" in said
    assert said.splitlines()[1].split()[0] == best["trial"]
    assert "3 trials complete, 0 pruned, 0 failed" in said
    assert (tmp_path / "trials.png").read_bytes().startswith(b"\x89PNG")
    assert main(words) == 0  # everything is there
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the first argument must be a preset (arm-cfc"),
        (["rtrl-nonmach"], "unknown preset 'rtrl-nonmach'; did you mean 'rtrl-nonmatch'?"),
        (["rtrl-nonmatch"], "nothing varies: name at least one option, such as agent.learning_rate=log:1e-4..1e-2"),
        (["rtrl-nonmatch", "--vary", "agent.ran=1,2"], "unknown option 'agent.ran'"),
        (["rtrl-nonmatch", "--vary", "agent.discount=0.5..2.0"], "agent.discount must be >= 0 and <= 1, got 2.0"),
    ],
)
def test_mistakes_end_in_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *words, *(["--out", str(tmp_path / "out")] if words else [])]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_help_names_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "--help"]) == 0
    assert "rtrl-nonmatch" in capsys.readouterr().out


def test_without_optuna_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    words = ["sweep", "rtrl-nonmatch", "--vary", "agent.gradient=rtrl,bptt", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "a sweep needs Optuna: pip install 'neuroctl[sweep]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
