"""Runs that were never trained, and their page, served."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from neuroctl import registry
from neuroctl.run import Run


def make_run(path: Path, *lines: dict[str, float]) -> Run:
    run = Run.create(registry.presets.load("lane-mlp")(), path)
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def line(step: int, **values: float) -> dict[str, float]:
    return {"step": step, **values, "time_s": step / 50, "steps_per_s": 50.0}


@contextlib.contextmanager
def served(*runs: Path) -> Iterator[str]:
    """The page's address, in a process of its own, which Ctrl-C must end."""
    command = [sys.executable, "-P", "-m", "neuroctl.launch.view", *map(str, runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0
