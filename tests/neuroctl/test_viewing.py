"""The served page: what it says of a run, whom it answers, and how it ends."""

import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.page_curves import learning_curves, points
from neuroctl.viewing import progress_of, serve, state_of

from .pages import line, make_run, served


def test_progress_is_said_in_words_and_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    steps = run.config.steps
    assert progress_of(run) == {"step": 0, "steps": steps, "said": f"0 of {steps} steps; no metrics yet"}
    run = make_run(tmp_path / "later", line(100, loss=0.5), line(200, loss=0.4))
    os.utime(run.path / "metrics.jsonl", (1000.0, 1000.0))
    said = f"200 of {steps} steps; {(steps - 200) / 50:.0f} s left at 50 steps/s; last line 7 s ago"
    assert progress_of(run, now=1007.0) == {"step": 200, "steps": steps, "said": said}
    run = make_run(tmp_path / "ended", line(steps, loss=0.1))
    assert progress_of(run)["said"] == f"{steps} of {steps} steps"


def test_points_are_those_of_the_lines_the_most_looked_at_first() -> None:
    runs = {"a": [line(1, zeal=1.0, loss=3.0), line(2, loss=2.0)], "b": [line(5, loss=1.0, **{"episode/return": 4.0})]}
    found = points(runs)
    assert list(found) == ["episode/return", "loss", "zeal"]
    assert found["loss"] == {"a": {"x": [1, 2], "y": [3.0, 2.0]}, "b": {"x": [5], "y": [1.0]}}
    assert found["zeal"]["b"] == {"x": [], "y": []}
    assert "No metrics yet" in learning_curves({"a": []}).body


def test_names_in_a_page_are_only_text() -> None:
    curves = learning_curves({"<b>": [line(1, loss=3.0), line(2, loss=2.0)], 'x"': [line(1, loss=1.0)]})
    assert (
        "<b>" not in curves.body and 'aria-label="loss against step: &lt;b&gt; 3 to 2, x&quot; 1 to 1"' in curves.body
    )
    assert "</script><b>" not in learning_curves({"</script><b>": [line(1, loss=3.0)]}).scripts


def test_the_page_and_what_moves_on_it_are_served_to_this_machine_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", line(100, loss=0.5))
    with served(run.path) as address:
        assert address.startswith("http://127.0.0.1:")
        page = urllib.request.urlopen(address).read().decode()
        assert "<h2>Learning</h2>" in page and '<progress id="progress-0"' in page
        with (run.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line(200, loss=0.25)) + "\n")
        now = json.loads(urllib.request.urlopen(f"{address}now").read())
        assert now["curves"] == {"loss of run": {"x": [100, 200], "y": [0.5, 0.25]}} == state_of([run])["curves"]
        assert now["progress"][0]["step"] == 200
        stranger = urllib.request.Request(f"{address}now", headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(stranger)
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "metrics.jsonl"]


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            NeuroctlError, match=rf"port {port} cannot be used \(Address already in use\); choose anoth"
        ):
            serve([run.path], port)
    with pytest.raises(NeuroctlError, match="port must be an integer from 0 to 65535, got 99999"):
        serve([run.path], 99_999)
    with pytest.raises(NeuroctlError, match="no run at"):
        serve([tmp_path / "none"])
    with pytest.raises(NeuroctlError, match="name at least one run folder"):
        serve([])
