"""`neuroctl robustness`: the program, its cache, and a controller of one's own."""

import json
import sys
from pathlib import Path

import pytest

from neuroctl.launch.cli import main

BALL = ["--env", "neuroctl/BallReach-v0", "--option", "max_steps=30"]
ASKED = ["--shifts", "gain", "--severities", "5", "--episodes", "3"]


def test_a_matrix_is_played_written_and_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["robustness", "expert", "zero", *BALL, *ASKED, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "expert" in said and f"page: {out / 'robustness.md'}" in said
    kept = {path: path.stat().st_mtime_ns for path in (out / "cache").rglob("*.json")}
    assert len(kept) == 2 * 2  # clean and one shift, of two who are the references too
    content = json.loads((out / "robustness.json").read_text())
    assert content["policies"]["expert"]["area"]["mean"] > content["policies"]["zero"]["area"]["mean"]
    more = ["--shifts", "gain", "friction", *ASKED[2:]]
    assert main(["robustness", "expert", *BALL, *more, "--out", str(out)]) == 0
    now = {path: path.stat().st_mtime_ns for path in (out / "cache").rglob("*.json")}
    assert len(now) == len(kept) + 1 and kept.items() <= now.items()


def test_a_python_function_is_a_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lazy_controller.py").write_text(
        "import numpy as np\ndef act(obs):\n    return np.zeros((len(obs), 2))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert main(["robustness", "lazy_controller:act", "zero", *BALL, *ASKED, "--out", str(tmp_path / "out")]) == 0
    finally:
        sys.modules.pop("lazy_controller", None)
    policies = json.loads((tmp_path / "out/robustness.json").read_text())["policies"]
    mine, zero = (policies[name]["conditions"]["gain:5"]["returns"] for name in ("lazy_controller:act", "zero"))
    assert mine == zero


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", *BALL], "'nobody' is neither a run folder"),
        (["zero", *BALL, "--shifts", "fog"], "unknown shift 'fog'"),
        (["zero", *BALL, "--severities", "9"], "severity 9"),
        (["zero"], "a scripted agent needs an environment"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robustness", *arguments]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and message in error[0]
