"""Workers that answer requests, in the order of the requests; one that fails is replaced, its request asked again.

A request must be idempotent: whoever answers it, and however often, the answer is the same. Then nothing that happens
to a worker changes a result, and nothing is counted twice.
"""

from __future__ import annotations

import importlib
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from .checks import shown
from .errors import NeuroctlError
from .run import tree_hash
from .versions import versions

RETRIES = 3
"""How often a request is asked again before it is given up."""
PATIENCE_S = 120.0
"""Time without a sign of life after which a worker counts as hung."""
START_S = 120.0
"""Time in which at least one worker must start; it takes seconds. Others may come later, or never."""
PULSE_S = 2.0
"""Between two looks at the workers."""
HEAD_TRIES = 3
"""How often, a second apart, the head of the cluster is called before it counts as gone."""
HEAD_S = 2.0
"""Time to answer such a call."""
DEPTH = 2
"""Requests at a worker: one in work, and one that is there when it ends."""
WINDOW = 4
"""Requests for each worker, in work or answered before their turn, beyond which `answers` asks no more."""
SAME = ("neuroctl", "numpy", "torch", "mujoco", "gymnasium", "numba")
"""Packages whose versions must be equal everywhere."""

Beat = Callable[[], None]
"""Called now and then by an answer in progress: a sign of life."""


class WorkerError(NeuroctlError):
    """A request failed on every try, no worker starts, or the head of the cluster has gone."""


class Worker:
    """What lives in a worker process.

    Args:
        answer: `answer(*request, beat)`, a nest of dicts, lists, numbers and arrays.
        expected: versions of packages where the requests come from.
    """

    def __init__(self, answer: Callable[..., Any], expected: dict[str, str]) -> None:
        self._answer, self._beats, here = answer, 0, versions()
        self._other = [
            f"{name} {here[name]} (there {there})" for name, there in expected.items() if here[name] != there
        ]

    def work(self, *request: Any) -> tuple[Any, str]:
        """The answer to a request, and its checksum.

        Raises:
            NeuroctlError: the packages here are of other versions.
        """
        if self._other:
            told = ", ".join(self._other)
            raise NeuroctlError(f"a worker of the cluster has {told}; install the same versions everywhere")
        self._beat()
        result = self._answer(*request, beat=self._beat)
        return result, tree_hash(result)

    def beats(self) -> int:
        """Signs of life so far; answered while `work` goes on."""
        return self._beats

    def _beat(self) -> None:
        self._beats += 1


@dataclass
class _Job:
    """A request and what became of it."""

    number: int
    request: tuple[Any, ...]
    failures: list[str] = field(default_factory=list)


class _Slot:
    """A worker, what it was asked, and when it last showed a sign of life; it is asked once it has shown one."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.jobs: deque[tuple[_Job, Any]] = deque()
        self.started = False
        self.beats = -1
        self.alive_at = time.monotonic()
        self.pulse: Any = None
        self.ask_pulse()

    def ask_pulse(self) -> None:
        """Ask for a sign of life."""
        self.pulse = self.actor.beats.options(concurrency_group="pulse").remote()

    def ask(self, job: _Job) -> None:
        """Give it a request."""
        if not self.jobs:
            self.alive_at = time.monotonic()
        self.jobs.append((job, self.actor.work.remote(*job.request)))


class Workers:
    """Ray actors in a cluster that is connected; a context manager, at whose end none of them is left.

    Args:
        count: how many, one CPU each.
        answer: see `Worker`; importable in the workers, or small enough to be sent.
        patience_s: time without a sign of life after which a worker is replaced.
        depth: requests at a worker: one in work, and others that are there when it ends.

    Attributes:
        faults: how often workers died, hung, raised, answered with a wrong checksum, or did not start.
    """

    def __init__(
        self, count: int, answer: Callable[..., Any], *, patience_s: float = PATIENCE_S, depth: int = DEPTH
    ) -> None:
        self._ray: Any = importlib.import_module("ray")
        self._head: str = self._ray.get_runtime_context().gcs_address
        self._patience_s, self._depth = patience_s, depth
        here = versions()
        self._arguments = answer, {name: here[name] for name in SAME}
        self._remote = self._ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={"pulse": 1})(Worker)
        self._slots = [self._start() for _ in range(count)]
        self._waiting: deque[_Job] = deque()
        self._answers: dict[int, Any] = {}
        self._shared: dict[int, tuple[Any, Any]] = {}
        self._asked = self._taken = 0
        self._looked_at = time.monotonic()
        self.faults: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._head_answers():  # without a head nobody can be told, and Ray would wait for a minute
            for slot in self._slots:
                self._ray.kill(slot.actor)
        self._slots.clear()

    def share(self, value: Any) -> Any:
        """What stands for `value` in requests: it is sent once, however many requests hold it."""
        if id(value) not in self._shared:
            self._shared[id(value)] = (value, self._ray.put(value))
        return self._shared[id(value)][1]

    def forget(self, value: Any) -> None:
        """`value` is in no request any more."""
        self._shared.pop(id(value), None)

    def ask(self, *request: Any) -> None:
        """Add a request."""
        self._waiting.append(_Job(self._asked, request))
        self._asked += 1
        self._hand_out()

    def take(self) -> Any:
        """The answer to the oldest request that was not taken yet.

        Raises:
            NeuroctlError: what the answer raised, when it was one of these.
            WorkerError: the request failed on every try, or there is nobody left to ask.
        """
        while self._taken not in self._answers:
            self._hand_out()
            self._settle_one()
            self._look_after()
        self._taken += 1
        return self._answers.pop(self._taken - 1)

    def answers(self, requests: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """The answer to each request, in their order; few are held at a time."""
        source = iter(requests)
        more = True
        while more or self._asked > self._taken:
            while more and self._asked - self._taken < WINDOW * len(self._slots):
                request = next(source, None)
                if request is None:
                    more = False
                else:
                    self.ask(*request)
            if self._asked > self._taken:
                yield self.take()

    # -- workers -----------------------------------------------------------------------------------------------

    def _start(self) -> _Slot:
        return _Slot(self._remote.remote(*self._arguments))

    def _hand_out(self) -> None:
        """Give waiting requests to those who have started and have the fewest."""
        started = [slot for slot in self._slots if slot.started]
        while self._waiting and started:
            slot = min(started, key=lambda slot: len(slot.jobs))
            if len(slot.jobs) >= self._depth:
                return
            slot.ask(self._waiting.popleft())

    def _settle_one(self) -> None:
        """Wait a while for an answer, and keep it if it is sound, or for a worker to start."""
        heads = {slot.jobs[0][1]: slot for slot in self._slots if slot.jobs}
        starting = {slot.pulse: slot for slot in self._slots if not slot.started}
        ready, _ = self._ray.wait([*heads, *starting], num_returns=1, timeout=PULSE_S)
        for reference in ready:
            if reference in starting:
                self._begin(starting[reference])
                continue
            slot = heads[reference]
            try:
                result, checksum = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, NeuroctlError):
                    raise error.cause from None
                self._raised(slot, shown(error.cause))
            except self._ray.exceptions.RayError as error:
                self._replace(slot, "died", type(error).__name__)
            else:
                job, _ = slot.jobs.popleft()
                slot.alive_at = time.monotonic()
                if tree_hash(result) == checksum:
                    self._answers[job.number] = result
                else:
                    self._failed(job, "damaged", "its answer was damaged")

    def _look_after(self) -> None:
        """Ask everybody for a sign of life now and then, and replace who gave none for too long."""
        now = time.monotonic()
        if now - self._looked_at < PULSE_S:
            return
        self._looked_at = now
        self._check_head()
        for slot in [slot for slot in self._slots if slot.started and slot.jobs]:
            ready, _ = self._ray.wait([slot.pulse], timeout=0)
            if ready:
                self._read_pulse(slot, now)
            if now - slot.alive_at > self._patience_s:
                self._replace(slot, "hung", f"no sign of life for {self._patience_s:g} s")
        if not any(slot.started or now - slot.alive_at < START_S for slot in self._slots):
            raise WorkerError(f"no worker started within {START_S:g} s")

    def _read_pulse(self, slot: _Slot, now: float) -> None:
        try:
            beats = self._ray.get(slot.pulse)
        except self._ray.exceptions.RayError:
            return  # it died, which its request will tell
        slot.ask_pulse()
        if beats != slot.beats:
            slot.beats, slot.alive_at = beats, now

    def _begin(self, slot: _Slot) -> None:
        """A worker has started, or failed to; then another one starts in its place, a few times."""
        try:
            slot.beats = self._ray.get(slot.pulse)
        except self._ray.exceptions.RayError as error:
            self.faults["not started"] += 1
            if self.faults["not started"] > RETRIES * len(self._slots):
                raise WorkerError(f"no worker starts: {shown(str(error).strip().splitlines()[-1])}") from None
            self._slots[self._slots.index(slot)] = self._start()
        else:
            slot.started, slot.alive_at = True, time.monotonic()
            slot.ask_pulse()

    def _raised(self, slot: _Slot, message: str) -> None:
        """A request ended in an exception; the worker goes on."""
        job, _ = slot.jobs.popleft()
        slot.alive_at = time.monotonic()
        self._failed(job, "raised", message)

    def _replace(self, slot: _Slot, fault: str, message: str) -> None:
        """Start another worker; its request failed, those behind it did not even begin."""
        self._check_head()
        self._ray.kill(slot.actor)
        (job, _), *others = slot.jobs
        self._waiting.extendleft(reversed([other for other, _ in others]))
        self._slots[self._slots.index(slot)] = self._start()
        self._failed(job, fault, message)

    def _check_head(self) -> None:
        for _ in range(HEAD_TRIES):
            if self._head_answers():
                return
            time.sleep(1)
        raise WorkerError(f"the head of the Ray cluster at {self._head} does not answer any more")

    def _head_answers(self) -> bool:
        host, _, port = self._head.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=HEAD_S).close()
        except OSError:
            return False
        return True

    def _failed(self, job: _Job, fault: str, message: str) -> None:
        self.faults[fault] += 1
        job.failures.append(message)
        if len(job.failures) > RETRIES:
            told = ", ".join(dict.fromkeys(job.failures))
            raise WorkerError(f"request {job.number} failed {len(job.failures)} times: {told}") from None
        self._waiting.appendleft(job)
