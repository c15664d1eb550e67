"""The cells of a study one after the other, or many at once on Ray workers."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from neuroctl.checks import checked_integer
from neuroctl.crew import check_address, crew
from neuroctl.errors import InUseError
from neuroctl.launch.program import shown
from neuroctl.workers import Beat

PATIENCE_S = 1800.0
"""Time without work after which a worker counts as hung."""
LOCKED_S = 60.0
"""For how long a cell may be held by a worker that was given up."""
WATCHED_S = 5.0
"""Between two looks at a worker's processor time."""
WORKED = 0.05
"""Share of a processor above which a worker works."""


@dataclass(frozen=True, kw_only=True)
class OnWorkers:
    """Options of a study whose cells may be done on workers; each study says where its `out` is."""

    out: Path = Path("runs")
    """Cache of the study."""
    workers: int = 0
    """Ray workers that do cells of the study side by side; 0 is this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent. All nodes share --out."""

    def __post_init__(self) -> None:
        """Refuse numbers of workers and addresses that cannot be."""
        checked_integer("workers", self.workers, 0)
        check_address(self.workers, self.ray_address)


Options = TypeVar("Options", bound=OnWorkers)
Cell = TypeVar("Cell")


def do_each(options: Options, cells: Sequence[Cell], do: Callable[[Options, Cell], None]) -> None:
    """Do every cell: whatever is done of one is kept below `out` and not done again, so any worker may go on with it.

    Args:
        options: of the study; workers get them with a whole path.
        cells: what to do, small.
        do: does one.

    Raises:
        NeuroctlError: as `do`, or as `crew`.
    """
    if not (options.workers and cells):
        for cell in cells:
            do(options, cell)
        return
    doing = _Doing(partial(do, replace(options, out=options.out.absolute())))
    settings = {"patience_s": PATIENCE_S, "depth": 1}
    with (
        crew(min(options.workers, len(cells)), doing, options.ray_address, **settings) as workers,
        shown("study", len(cells), "cells") as progress,
    ):
        for cell in cells:
            workers.ask(cell)
        for _ in cells:
            workers.take()
            progress.advance(1)


class _Doing:
    """Does a cell in a worker, as an answer to a request."""

    def __init__(self, do: Callable[[Any], None]) -> None:
        self._do = do

    def __call__(self, cell: Any, beat: Beat) -> dict[str, Any]:
        deadline = time.monotonic() + LOCKED_S
        with _work_is_life(beat):
            while True:
                try:
                    self._do(cell)
                    return {}
                except InUseError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)


@contextlib.contextmanager
def _work_is_life(beat: Beat) -> Iterator[None]:
    """In the block, processor time that passes is a sign of life."""
    over = threading.Event()

    def watch() -> None:
        before = time.process_time()
        while not over.wait(WATCHED_S):
            now = time.process_time()
            if now - before > WORKED * WATCHED_S:
                beat()
            before = now

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()
