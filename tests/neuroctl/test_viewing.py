"""The served page: what it says of a run, whom it answers, and how it ends."""

import json
import os
import shutil
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.page_curves import learning_curves, points
from neuroctl.run import Run
from neuroctl.storage import cut_lines
from neuroctl.viewing import Watched, progress_of, serve, state_of

from .pages import line, make_run, served


def looked_at(run: Run) -> Watched:
    watched = Watched(run)
    watched.look()
    return watched


def test_progress_is_said_in_words_and_numbers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    steps = run.config.steps
    nothing = {"step": 0, "steps": steps, "said": f"0 of {steps} steps; no metrics yet"}
    (run.path / "metrics.jsonl").unlink()
    assert progress_of(looked_at(run)) == nothing
    run = make_run(tmp_path / "later", line(100, loss=0.5), line(200, loss=0.4))
    os.utime(run.path / "metrics.jsonl", (1000.0, 1000.0))
    said = f"200 of {steps} steps; {(steps - 200) / 50:.0f} s left at 50 steps/s; last line 7 s ago"
    assert progress_of(looked_at(run), now=1007.0) == {"step": 200, "steps": steps, "said": said}
    run = make_run(tmp_path / "ended", line(steps, loss=0.1))
    watched = looked_at(run)
    assert progress_of(watched)["said"] == f"{steps} of {steps} steps"
    shutil.rmtree(run.path)
    watched.look()
    assert watched.lines == [] and progress_of(watched)["said"] == f"0 of {steps} steps; the run folder is gone"


def test_what_was_read_is_not_read_again_and_what_was_cut_is_forgotten(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", line(1, loss=3.0), line(2, loss=2.0))
    file = run.path / "metrics.jsonl"
    watched = looked_at(run)
    assert watched.lines == run.metrics()
    with file.open("a") as more:
        more.write(json.dumps(line(3, loss=1.0)) + '\n{"step": 4, "lo')
    kept = watched.lines[0]
    watched.look()
    assert [each["step"] for each in watched.lines] == [1, 2, 3] and watched.lines[0] is kept
    with file.open("a") as more:
        more.write('ss": 0.5}\n')
    watched.look()
    assert watched.lines == run.metrics() and watched.lines[-1] == {"step": 4, "loss": 0.5}
    cut_lines(file, 2)  # as a run does that is resumed
    watched.look()
    assert [each["step"] for each in watched.lines] == [1, 2]


def test_values_that_are_no_numbers_leave_gaps(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", line(1, loss=3.0))
    with (run.path / "metrics.jsonl").open("a") as more:
        more.write('{"step": 2, "loss": NaN, "zeal": 1.0}\n{"step": 3, "loss": "abc"}\n{"step": 4, "loss": null}\n')
        more.write('{"step": 5, "loss": Infinity}\n[]\nnonsense\n{"loss": 2.0}\n')
    assert points({"run": run.metrics()})["loss"]["run"] == {"x": [1], "y": [3.0]}
    assert json.loads(json.dumps(state_of([Watched(run)]), allow_nan=False))["progress"][0]["step"] == 5


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


def listening(of: str = "") -> str:
    """Local addresses `HEX:PORT` of TCP sockets that listen (Linux)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    found = [line.split()[1] for line in lines if line.split()[3] == "0A"]
    return " ".join(f"{address} " for address in found if of in f"{address} ")


def test_the_page_and_what_moves_on_it_are_served_to_this_machine_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", line(100, loss=0.5))
    with served(run.path) as address:
        assert address.startswith("http://127.0.0.1:")
        page = urllib.request.urlopen(address).read().decode()
        assert "<h2>Learning</h2>" in page and '<progress id="progress-0"' in page
        with (run.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line(200, loss=0.25)) + "\n")
        now = json.loads(urllib.request.urlopen(f"{address}now").read())
        assert (
            now["curves"] == {"loss of run": {"x": [100, 200], "y": [0.5, 0.25]}} == state_of([Watched(run)])["curves"]
        )
        assert now["progress"][0]["step"] == 200
        port = int(address.rstrip("/").rpartition(":")[2])
        assert f":{port:04X} " in listening() and "00000000" not in listening(f":{port:04X} ")
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
    with pytest.raises(NeuroctlError, match="run is named twice"):
        serve([run.path, tmp_path / "." / "run"])
    with pytest.raises(NeuroctlError, match="name at least one run folder"):
        serve([])
