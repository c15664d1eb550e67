"""Metrics of a run: `metrics.jsonl`, always, and TensorBoard events."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .checks import is_number
from .errors import NonFiniteError
from .storage import append_line, cut_lines, step_of, whole_lines

TIME_FIELDS = ("time_s", "steps_per_s")
"""Fields that differ between two runs of the same configuration; every other field is bit-identical."""


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The lines of a run's `metrics.jsonl`; damaged ones are left out, and values that are no finite numbers."""
    return numbers_of(whole_lines(path / "metrics.jsonl"))


def numbers_of(lines: Iterable[str]) -> list[dict[str, float]]:
    """The finite numbers of each line that has a step."""
    parsed = (json.loads(line) for line in lines if math.isfinite(step_of(line)))
    return [{key: value for key, value in line.items() if is_number(value) and math.isfinite(value)} for line in parsed]


class Metrics:
    """Averages what an agent reports between two lines and writes the lines.

    Args:
        path: run folder.
        step: the step the run goes on from; lines beyond it are cut.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._file = path / "metrics.jsonl"
        cut_lines(self._file, step)
        self._board = SummaryWriter(str(path / "tensorboard"), purge_step=step + 1)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._start, self._start_step = time.monotonic(), step

    def add(self, values: dict[str, float], step: int) -> None:
        """Take in what one update reported.

        Raises:
            NonFiniteError: a value is NaN or infinite.
        """
        for key, value in values.items():
            if not math.isfinite(value):
                raise NonFiniteError(f"{key} is {value} at step {step}")
            self._sums[key] = self._sums.get(key, 0.0) + value
            self._counts[key] = self._counts.get(key, 0) + 1

    def write(self, step: int, extra: dict[str, float] | None = None) -> dict[str, float]:
        """Write the means since the last line, and `extra`, as the line of `step`."""
        elapsed = time.monotonic() - self._start
        means = {key: self._sums[key] / self._counts[key] for key in self._sums}
        line = {"step": step, **means, **(extra or {})}
        line |= {"time_s": elapsed, "steps_per_s": (step - self._start_step) / max(elapsed, 1e-9)}
        append_line(self._file, json.dumps(line))
        for key, value in line.items():
            self._board.add_scalar(key, value, step)
        self._sums, self._counts = {}, {}
        return line

    def state_dict(self) -> dict[str, Any]:
        """The means that are not yet written."""
        return {"sums": self._sums, "counts": self._counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])

    def close(self) -> None:
        """Flush the TensorBoard events."""
        self._board.close()
