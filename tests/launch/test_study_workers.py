"""Cells of a study on workers: each is done, whatever happens to who does it."""

import importlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from neuroctl.errors import InUseError, NeuroctlError
from neuroctl.launch import study_workers
from neuroctl.launch.study_workers import OnWorkers, do_each


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Of a study."""


@pytest.fixture(scope="module")
def two_cpus() -> Iterator[None]:
    ray: Any = pytest.importorskip("ray")
    started = not ray.is_initialized()
    if started:
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    if started:
        ray.shutdown()


def make_do() -> Any:
    """A function that workers are sent as a whole."""

    def do(options: OnWorkers, cell: str) -> None:
        assert not options.workers or options.out.is_absolute()
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / cell
        tries = path.read_text() if path.exists() else ""
        path.write_text(tries + "x")
        if cell == "killed" and not tries:
            os.kill(os.getpid(), signal.SIGKILL)
        if cell == "in use" and len(tries) < 2:
            raise InUseError("another process is at it")
        if cell == "wrong":
            raise NeuroctlError("wrong is no cell")

    return do


def found(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_cells_are_done_in_order_in_this_process(tmp_path: Path) -> None:
    seen: list[Any] = []
    do_each(Arguments(out=tmp_path), [3, 1], lambda options, cell: seen.append((options, cell)))
    assert seen == [(Arguments(out=tmp_path), 3), (Arguments(out=tmp_path), 1)]
    do_each(Arguments(out=tmp_path, workers=2), [], lambda options, cell: seen.append(cell))  # nothing is started
    assert len(seen) == 2


@pytest.mark.usefixtures("two_cpus")
def test_workers_that_die_or_find_a_cell_in_use_begin_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(RuntimeWarning, match="their work was done again: 1 died"):
        do_each(Arguments(out=Path("cells"), workers=2), ["a", "killed", "in use", "b"], make_do())
    assert found(tmp_path / "cells") == {"a": "x", "b": "x", "killed": "xx", "in use": "xxx"}


@pytest.mark.usefixtures("two_cpus")
def test_a_mistake_of_the_user_ends_the_study_in_its_line(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match=r"^wrong is no cell$"):
        do_each(Arguments(out=tmp_path, workers=1), ["a", "wrong"], make_do())
    assert found(tmp_path) == {"a": "x", "wrong": "x"}


def test_what_is_in_use_for_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_workers, "LOCKED_S", 0.3)
    tries = []

    def held(cell: str) -> None:
        tries.append(cell)
        raise InUseError("another process is at it")

    with pytest.raises(InUseError):
        study_workers._Doing(held)("a", beat=lambda: None)
    assert 2 <= len(tries) <= 3


def test_work_is_a_sign_of_life_and_waiting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_workers, "WATCHED_S", 0.05)

    def beats(work: Any) -> int:
        found = []
        with study_workers._work_is_life(lambda: found.append(1)):
            work()
        return len(found)

    def compute() -> None:
        end = time.process_time() + 0.3
        while time.process_time() < end:
            pass

    assert beats(compute) >= 2
    assert beats(lambda: time.sleep(0.3)) == 0


@pytest.mark.parametrize(
    ("program", "do"),
    [
        ("explore_spore", "_train"),
        ("make_experts", "_fill"),
        ("study_atari", "_fill"),
        ("study_lowrank", "_fill"),
        ("study_lowrank", "_share"),
        ("study_ppo", "_fill"),
        ("study_procgen", "_fill"),
        ("study_rtrl", "_fill"),
        ("study_spore", "_fill"),
    ],
)
def test_what_programs_do_can_be_sent_to_workers(program: str, do: str) -> None:
    from ray import cloudpickle

    module = importlib.import_module(f"neuroctl.launch.{program}")
    options = module.Arguments("ball") if program == "explore_spore" else module.Arguments()
    assert isinstance(options, OnWorkers)
    sent = cloudpickle.loads(cloudpickle.dumps(partial(getattr(module, do), replace(options, out=Path("/cache")))))
    assert sent.args[0] == replace(options, out=Path("/cache"))
    with pytest.raises(NeuroctlError, match="workers must be an integer >= 0, got -1"):
        replace(options, workers=-1)
    with pytest.raises(NeuroctlError, match="ray_address 'auto' has no effect without workers"):
        replace(options, ray_address="auto")
