"""What all tests share."""

import os
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Two cores run two workers: torch must not take both."""
    torch.set_num_threads(1)
    yield


@pytest.fixture(autouse=True)
def one_seed() -> None:
    """A test draws the same numbers every time, alone or after others."""
    torch.manual_seed(0)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where optional packages are installed on purpose, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and os.environ.get("NEUROCTL_FORBID_SKIPS") and skipped:
        reporter.write_line(f"{len(skipped)} skipped tests, and NEUROCTL_FORBID_SKIPS is set", red=True)
        session.exitstatus = 1
