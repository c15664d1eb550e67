"""Clusters at an address: two nodes on this machine, and addresses that lead nowhere."""

import socket
from typing import Any

import pytest

from neuroctl import cluster as cluster_module
from neuroctl.cluster import cluster
from neuroctl.errors import NeuroctlError


@pytest.mark.parametrize("address", ["here", "ray://here:1", ":80", "http://here:80", "here:port", "", "here:²"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(NeuroctlError, match=r"ray_address is '.*'; allowed: auto, or HOST:PORT of a cluster's head"):
        cluster(1, address).__enter__()


def test_an_address_where_nothing_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for listening in (False, True):  # nobody there, then somebody who says nothing
            if listening:
                silent.listen()
            with pytest.raises(NeuroctlError, match=rf"no Ray cluster answers at 127.0.0.1:{port}: "):
                cluster(1, f"127.0.0.1:{port}").__enter__()
    for address in ("127.0.0.1:99999", "a..b:6379"):
        with pytest.raises(NeuroctlError, match=rf"no Ray cluster answers at {address}: "):
            cluster(1, address).__enter__()


def test_a_server_of_another_kind_is_refused() -> None:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NeuroctlError, match=f"what answers at {address} is no Ray cluster"):
            cluster(1, address).__enter__()
        thread.join()


@pytest.mark.usefixtures("ray_cluster")
def test_more_workers_than_the_cluster_has_cpus_are_refused() -> None:
    with pytest.raises(NeuroctlError, match="workers is 3; the Ray cluster has 2 CPUs"):
        cluster(3).__enter__()


def test_two_nodes_of_a_cluster_give_the_same_bits(run_python: Any) -> None:
    code = """
import os
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
nodes.add_node(num_cpus=1)
from neuroctl import evaluate
one = dict(env_id="toys/Point-v0", episodes=40)
here = evaluate("random", **one)
there = evaluate("random", **one, workers=2, ray_address=nodes.address)
assert here.returns.tobytes() == there.returns.tobytes()
nodes.shutdown()
"""
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr[-2000:]


def test_without_an_address_workers_are_processes_of_their_own_whatever_else_is_there() -> None:
    asked: list[Any] = []

    class Ray:
        """Writes down how it is started."""

        def init(self, address: str | None = None, **options: Any) -> None:
            asked.append((address, options["num_cpus"]))

    cluster_module._connect(Ray(), None, 3)
    assert asked == [("local", 3)]  # None would join the cluster of RAY_ADDRESS, or one that runs here


def test_a_cluster_that_loses_its_head_ends_the_work_in_one_line(run_python: Any) -> None:
    code = """
import os, time
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
from ray.cluster_utils import Cluster
from neuroctl.cluster import cluster
from neuroctl.workers import Workers, WorkerError

def slow(seconds, beat):
    time.sleep(seconds)
    return seconds

nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
address = nodes.address
try:
    with cluster(1, address), Workers(1, slow) as crew:
        crew.ask(0.0)
        assert crew.take() == 0.0
        crew.ask(1000.0)
        nodes.head_node.kill_gcs_server()
        start = time.monotonic()
        crew.take()
except WorkerError as error:
    assert str(error) == f"the head of the Ray cluster at {address} does not answer any more", error
    assert time.monotonic() - start < 30  # Ray itself would end this process after a minute
else:
    raise AssertionError
"""
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr[-2000:]
