"""The toys under the name that tests, subprocesses and Ray workers import them by, and the means to kill processes."""

import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TOYS = "tests.neuroctl.toys"


def _load_toys() -> None:
    spec = importlib.util.spec_from_file_location(TOYS, HERE / "toys.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[TOYS] = module
    spec.loader.exec_module(module)


if TOYS not in sys.modules:
    _load_toys()


@pytest.fixture(scope="session")
def plugin_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, on PYTHONPATH, makes the toys an installed plugin of neuroctl."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "tests" / "neuroctl").mkdir(parents=True)
    shutil.copy(HERE / "toys.py", folder / "tests" / "neuroctl")
    info = folder / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[neuroctl.plugins]\ntoys = {TOYS}\n")
    return folder


def _pythonpath(first: Path) -> str:
    return os.pathsep.join([str(first), *filter(None, [os.environ.get("PYTHONPATH")])])


RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_python(plugin_path: Path) -> RunPython:
    """`run_python(*arguments, path=...)`: a fresh interpreter that sees the toys, its output as text."""

    def run(*arguments: str, path: Path = plugin_path) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": _pythonpath(path)}
        return subprocess.run(
            [sys.executable, *arguments], env=env, capture_output=True, text=True, check=False, cwd=path, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def nursery(plugin_path: Path) -> Iterator[Any]:
    """A multiprocessing context whose processes start in milliseconds: a server with everything imported forks."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "neuroctl.rollouts", "neuroctl.checkpoint"])
    before = list(sys.path)
    sys.path.insert(0, str(plugin_path))  # handed to the children
    yield context
    sys.path[:] = before


Kill = Callable[..., None]


@pytest.fixture
def kill_at(nursery: Any) -> Kill:
    """`kill_at(victim, *arguments, started=..., after_s=...)`: SIGKILL `after_s` after `started()` became true."""

    def kill(victim: Callable[..., None], *arguments: Any, started: Callable[[], bool], after_s: float) -> None:
        process = nursery.Process(target=victim, args=arguments)
        process.start()
        try:
            deadline = time.monotonic() + 30
            while not started():
                assert process.is_alive() and time.monotonic() < deadline, f"{victim} did not start"
                time.sleep(0.0005)
            time.sleep(after_s)
            assert process.is_alive(), "the victim ended before it was killed"
        finally:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            process.close()

    return kill


@pytest.fixture(scope="session")
def ray_cluster(plugin_path: Path) -> Iterator[None]:
    """One local Ray cluster with two CPUs, whose workers load the toys as a plugin."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = _pythonpath(plugin_path)
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before
    yield
    ray.shutdown()
