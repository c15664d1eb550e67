"""Progress of long work: a bar on a terminal, plain lines elsewhere, nothing in a library call."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

LINE_EVERY_S = 10.0


class Progress(Protocol):
    """What long work tells of itself."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """`amount` more units are done; `note` is shown beside."""

    def skip(self, amount: int) -> None:
        """`amount` units were done by earlier work that this one goes on from."""


class NoProgress:
    """Says nothing."""

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Ignore it."""

    def skip(self, amount: int) -> None:
        """Ignore it."""


class ShownProgress:
    """A rich bar with rate and time left on a terminal; without one, a plain line now and then on stderr.

    Args:
        label: what is going on.
        total: units of work.
        unit: their name.
    """

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = self._skipped = 0
        self._bar = _bar() if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        self._start = self._last = time.monotonic()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, unit=self._unit, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            self._line("")

    def advance(self, amount: int = 1, note: str = "") -> None:
        """`amount` more units are done."""
        self._done += amount
        if self._bar is not None:
            self._bar.update(self._task, advance=amount, note=note)
        elif time.monotonic() - self._last > LINE_EVERY_S:
            self._last = time.monotonic()
            self._line(note)

    def skip(self, amount: int) -> None:
        """`amount` units were done earlier: they count as done, not for the rate."""
        self._skipped += amount
        self._done += amount
        if self._bar is not None:
            self._bar.update(self._task, advance=amount)

    def _line(self, note: str) -> None:
        elapsed = max(time.monotonic() - self._start, 1e-9)
        rate = (self._done - self._skipped) / elapsed
        pace = f", {_pace(rate)}, {(self._total - self._done) / rate:.0f} s left" if rate > 0 else ""
        text = f"{self._label}: {self._done}/{self._total} {self._unit}{pace} {note}"
        sys.stderr.write(text.rstrip() + "\n")
        sys.stderr.flush()


def _pace(rate: float) -> str:
    """Units per second, or what takes longer than that, seconds for one."""
    return f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_pace(task.speed) if task.speed else "")  # None before the first unit is done

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), "{task.fields[unit]}")
    note = "{task.fields[note]}"
    return RichProgress(*columns, Rate(), TimeRemainingColumn(), note, console=Console(stderr=True))
