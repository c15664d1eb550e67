"""A Ray cluster: one of our own on this machine, or the one at an address."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
from collections.abc import Iterator
from typing import Any

from .checks import shown
from .errors import NeuroctlError

CONNECT_S = 5.0
"""How long an address may take to answer."""
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a connection begins with a head of Ray, which speaks gRPC: preface and empty settings (RFC 9113, 3.4)."""
HTTP2_SETTINGS = b"\x04"
"""The type of the first frame that comes back, its fourth byte."""


@contextlib.contextmanager
def cluster(workers: int, address: str | None = None) -> Iterator[None]:
    """Ray with room for `workers` processes: the session that is connected already, or one for the block.

    Args:
        workers: processes, one CPU each.
        address: `HOST:PORT` of a cluster's head, or `"auto"` for the one that runs here; None starts one here for the
            block, whose processes may be more than there are CPUs.

    Raises:
        NeuroctlError: no cluster answers there, or it has too few CPUs.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is not None:
        _check_address(address)
    ray: Any = importlib.import_module("ray")
    started = not ray.is_initialized()
    if started:
        _connect(ray, address, workers)
    try:
        there = int(ray.cluster_resources().get("CPU", 0))
        if workers > there:
            raise NeuroctlError(f"workers is {workers}; the Ray cluster has {there} CPUs")
        yield
    finally:
        if started:
            ray.shutdown()


def _connect(ray: Any, address: str | None, workers: int) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        # "local" for one of its own: Ray would else join what RAY_ADDRESS or a cluster of before has left
        ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
        return
    try:
        ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        detail = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        token = "a cluster with a token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here too"
        raise NeuroctlError(f"no connection to a Ray cluster at {address}: {detail}; {token}") from None


def _check_address(address: str) -> None:
    """Refuse at once what Ray would try to reach for a minute."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or not (port.isascii() and port.isdigit()) or "/" in host:
        raise NeuroctlError(f"ray_address is {shown(address)}; allowed: auto, or HOST:PORT of a cluster's head")
    try:
        with socket.create_connection((host, int(port)), CONNECT_S) as connection:
            connection.sendall(HTTP2_HELLO)
            answer = connection.recv(9)
    except (OSError, OverflowError, ValueError) as error:
        raise NeuroctlError(f"no Ray cluster answers at {address}: {error}") from None
    if answer[3:4] != HTTP2_SETTINGS:
        raise NeuroctlError(f"what answers at {address} is no Ray cluster")
