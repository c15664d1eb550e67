"""Who answers requests: workers, or this process."""

from __future__ import annotations

import contextlib
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .cluster import cluster
from .errors import NeuroctlError
from .workers import Workers


class InProcess:
    """What `Workers` do, in this process: a request is answered when its answer is taken.

    Args:
        answer: see `Worker`.
    """

    def __init__(self, answer: Callable[..., Any]) -> None:
        self._answer = answer
        self._waiting: deque[tuple[Any, ...]] = deque()

    def share(self, value: Any) -> Any:
        """The value."""
        return value

    def forget(self, value: Any) -> None:
        """Nothing is kept of it."""

    def ask(self, *request: Any) -> None:
        """Add a request."""
        self._waiting.append(request)

    def take(self) -> Any:
        """The answer to the oldest request that was not taken yet; raises what it raises."""
        return self._answer(*self._waiting.popleft(), beat=lambda: None)


Crew = Workers | InProcess


@contextlib.contextmanager
def crew(count: int, answer: Callable[..., Any], ray_address: str | None = None, **options: Any) -> Iterator[Crew]:
    """`count` workers, or this process where there are none; at the end a warning says how often workers failed.

    Args:
        count: workers.
        answer: see `Worker`.
        ray_address: of a cluster, see `cluster`.
        options: further arguments of `Workers`.

    Raises:
        NeuroctlError: an address without workers, or as `cluster`.
    """
    check_address(count, ray_address)
    if count == 0:
        yield InProcess(answer)
        return
    with cluster(count, ray_address), Workers(count, answer, **options) as workers:
        yield workers
    if workers.faults:
        told = ", ".join(f"{count} {fault}" for fault, count in sorted(workers.faults.items()))
        warnings.warn(f"workers failed and their work was done again: {told}", RuntimeWarning, stacklevel=4)


def check_address(workers: int, ray_address: str | None) -> None:
    """Refuse an address without workers.

    Raises:
        NeuroctlError: says so.
    """
    if workers == 0 and ray_address is not None:
        raise NeuroctlError(f"ray_address {ray_address!r} has no effect without workers")
