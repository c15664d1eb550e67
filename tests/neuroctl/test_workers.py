"""Workers that die, hang, raise or answer wrongly change nothing but the time, and every fault is counted."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import workers
from neuroctl.errors import NeuroctlError
from neuroctl.run import tree_hash
from neuroctl.versions import versions
from neuroctl.workers import DEPTH, RETRIES, WINDOW, Worker, WorkerError, Workers
from tests.neuroctl import toys

pytestmark = pytest.mark.usefixtures("ray_cluster")
REQUESTS = 12


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look after workers often: tests are short."""
    monkeypatch.setattr(workers, "PULSE_S", 0.1)


def crew(count: int = 2, patience_s: float = 60.0, depth: int = DEPTH) -> Workers:
    return Workers(count, toys.answer_with_faults, patience_s=patience_s, depth=depth)


def asked(folder: Path, plan: dict[str, list[str]] | None = None, count: int = REQUESTS) -> list[tuple[Any, ...]]:
    return [(number, plan or {}, str(folder)) for number in range(count)]


def tries(folder: Path) -> dict[int, int]:
    """How often each number was begun."""
    return dict(sorted(Counter(int(path.name.partition("-")[0]) for path in folder.iterdir()).items()))


def squares(answers: Any) -> list[float]:
    return [float(answer["square"][0]) for answer in answers]


def damage(monkeypatch: pytest.MonkeyPatch, plan: dict[str, list[str]], folder: Path) -> None:
    """On this side, the checksums of the answers that the plan calls damaged come out different."""

    def seen(answer: Any) -> str:
        number = answer["number"]
        faults, attempt = plan.get(str(number), []), tries(folder)[number] - 1
        return "damaged" if attempt < len(faults) and faults[attempt] == "damaged" else tree_hash(answer)

    monkeypatch.setattr(workers, "tree_hash", seen)


def drawn_plan(seed: int) -> dict[str, list[str]]:
    """Which try of which request goes wrong, and how."""
    rng = np.random.default_rng(seed)
    kinds = ["died", "raised", "damaged", "died", "damaged", "raised"]
    plan: dict[str, list[str]] = {}
    for number, kind in zip(rng.integers(0, REQUESTS, len(kinds)), kinds, strict=True):
        plan.setdefault(str(number), []).append(kind)
    return plan


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (2, 1)])
def test_faults_of_a_drawn_plan_change_no_answer_and_are_counted(
    count: int, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request at a worker: of two, the first one's answer can be lost with the worker that the second one kills."""
    plan = drawn_plan(seed)
    damage(monkeypatch, plan, tmp_path)
    with crew(count, depth=1) as there:
        assert squares(there.answers(asked(tmp_path, plan))) == [n**2 for n in range(REQUESTS)]
    assert there.faults == {"died": 2, "raised": 2, "damaged": 2}
    assert tries(tmp_path) == {n: 1 + len(plan.get(str(n), [])) for n in range(REQUESTS)}


def test_faults_change_no_answer_where_requests_wait_at_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = drawn_plan(1)
    damage(monkeypatch, plan, tmp_path)
    with crew(2) as there:
        assert squares(there.answers(asked(tmp_path, plan))) == [n**2 for n in range(REQUESTS)]
    assert there.faults["died"] == 2


@pytest.mark.parametrize("fault", ["hung", "stopped"])
def test_a_worker_without_a_sign_of_life_is_replaced(fault: str, tmp_path: Path) -> None:
    plan = {"3": [fault]}
    start = time.monotonic()
    with crew(patience_s=1.0) as there:
        assert squares(there.answers(asked(tmp_path, plan))) == [n**2 for n in range(REQUESTS)]
    assert there.faults == {"hung": 1}
    assert tries(tmp_path)[3] == 2
    assert time.monotonic() - start < 25


@pytest.mark.parametrize(
    ("fault", "told"),
    [("died", "ActorDiedError"), ("raised", "RuntimeError.*in 2"), ("damaged", "its answer was damaged")],
)
def test_a_request_that_always_fails_ends_in_one_error(
    fault: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = {"2": [fault] * 99}
    damage(monkeypatch, plan, tmp_path)
    with crew(1) as there, pytest.raises(WorkerError, match=rf"request 2 failed {RETRIES + 1} times: .*{told}"):
        list(there.answers(asked(tmp_path, plan)))
    assert tries(tmp_path)[2] == RETRIES + 1
    assert there.faults == {fault: RETRIES + 1}


def test_a_mistake_of_the_user_is_not_repeated(tmp_path: Path) -> None:
    with crew(1) as there, pytest.raises(NeuroctlError, match="^the robot is on fire$"):
        list(there.answers(asked(tmp_path, {"0": ["mistake"] * 99})))
    assert tries(tmp_path)[0] == 1


def test_few_requests_are_ahead_of_the_answers(tmp_path: Path) -> None:
    drawn = []

    def requests() -> Iterator[tuple[Any, ...]]:
        for request in asked(tmp_path, count=40):
            drawn.append(request)
            yield request

    with crew() as there:
        for taken, answer in enumerate(there.answers(requests())):
            assert answer["number"] == taken
            assert len(drawn) <= taken + 2 * WINDOW
            if taken == 5:  # whoever does not take answers is not sent more
                time.sleep(0.5)
                assert len(list(tmp_path.iterdir())) <= taken + 1 + 2 * WINDOW


def test_no_worker_is_left_afterwards() -> None:
    with Workers(2, process) as there:
        found = {int(answer["pid"]) for answer in there.answers([()] * 6)}
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in found):
        assert time.monotonic() < deadline, "workers are still there"
        time.sleep(0.05)
    assert os.getpid() not in found


def process(beat: Any) -> dict[str, int]:
    return {"pid": os.getpid()}


def test_it_goes_on_with_the_workers_that_start(tmp_path: Path) -> None:
    """Three are asked for where there is room for two: the third one never starts, and nobody waits for it."""
    with crew(3) as there:
        there._slots.reverse()
        assert squares(there.answers(asked(tmp_path))) == [n**2 for n in range(REQUESTS)]
    assert there.faults == {}


def test_workers_that_never_start_end_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with crew(2) as first:
        list(first.answers(asked(tmp_path)))  # they hold both CPUs
        monkeypatch.setattr(workers, "START_S", 0.5)
        with crew(1) as second, pytest.raises(WorkerError, match="no worker started within 0.5 s"):
            list(second.answers(asked(tmp_path)))


def test_workers_that_cannot_be_made_end_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with Workers(1, Unloadable()) as there, pytest.raises(WorkerError, match="no worker starts: .*not on this machine"):
        list(there.answers([()]))
    assert there.faults == {"not started": RETRIES + 1}


class Unloadable:
    """An answer that no worker can load."""

    def __reduce__(self) -> Any:
        return not_here, ()

    def __call__(self, beat: Any) -> int:
        return 0


def not_here() -> None:
    raise ImportError("not on this machine")


def test_what_is_shared_is_sent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    weights, puts, put = {"w": np.arange(4.0)}, list[Any](), ray.put

    def counted(value: Any) -> Any:
        puts.append(value)
        return put(value)

    monkeypatch.setattr(ray, "put", counted)
    with Workers(1, total) as there:
        assert [a["total"] for a in there.answers((there.share(weights), n) for n in range(5))] == [6, 7, 8, 9, 10]
        assert puts == [weights]
        there.forget(weights)
        there.share(weights)
    assert len(puts) == 2


def total(weights: dict[str, Any], number: int, beat: Any) -> dict[str, float]:
    return {"total": float(weights["w"].sum()) + number}


def test_workers_with_other_versions_are_refused() -> None:
    worker = Worker(total, {"numpy": "0.1", "torch": versions()["torch"]})
    with pytest.raises(NeuroctlError, match=r"a worker of the cluster has numpy \d.* \(there 0\.1\); install the same"):
        worker.work({"w": np.zeros(1)}, 1)
