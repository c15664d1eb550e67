"""Shards give the same bits in this process and on any number of workers, also when workers are killed."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.distributed import play_shards
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.recording import Recording
from neuroctl.rollouts import Player, ShardResult, make_shards, record, record_player
from neuroctl.workers import RETRIES
from tests.neuroctl.toys import CART, POINT, linear_player

on_ray = pytest.mark.usefixtures("ray_cluster")
LANE = "neuroctl/LaneFollow-v0"


def play(player: Player, workers: int, env_id: str = POINT, shifts: tuple[str, ...] = (), **kwargs: Any) -> Any:
    shards = make_shards(env_id, kwargs, shifts, 11, 3, width=4)
    return list(play_shards([(shard, player) for shard in shards], workers))


def bits(results: list[ShardResult]) -> list[Any]:
    return [
        (r.returns.tobytes(), r.lengths.tobytes(), {k: v.tobytes() for k, v in sorted(r.final.items())})
        for r in results
    ]


@on_ray
@pytest.mark.parametrize(
    ("player", "counts", "env_id", "shifts", "kwargs"),
    [
        (linear_player(), (1, 2), POINT, ("gaussian-noise:3", "action-noise:2"), {}),
        (Player("random"), (1,), CART, (), {}),
        (Player("expert"), (2,), LANE, ("friction:2", "action-noise:3"), {"max_steps": 60}),
    ],
    ids=["policy", "foreign", "lane"],
)
def test_results_are_equal_for_any_number_of_workers(
    player: Player, counts: tuple[int, ...], env_id: str, shifts: Any, kwargs: Any
) -> None:
    here = play(player, 0, env_id, shifts, **kwargs)
    assert [len(r.returns) for r in here] == [4, 4, 3]
    for workers in counts:
        assert bits(play(player, workers, env_id, shifts, **kwargs)) == bits(here)


@on_ray
def test_a_worker_killed_in_the_middle_of_a_shard_is_replaced(tmp_path: Path) -> None:
    doom = tmp_path / "doom"
    here = play(linear_player(), 0, suicide=str(doom))  # there is no such file yet
    doom.touch()
    with pytest.warns(RuntimeWarning, match="workers failed and their work was done again: 1 died"):
        assert bits(play(linear_player(), 2, suicide=str(doom))) == bits(here)
    assert not doom.exists(), "no worker was killed"


@on_ray
def test_an_exception_in_a_worker_becomes_one_line() -> None:
    with pytest.raises(NeuroctlError) as caught:
        play(Player("zero"), 2, fail="bug")
    message = str(caught.value)
    told = rf"request \d failed {RETRIES + 1} times: RuntimeError\('a bug\\nof two lines'\)"
    assert re.fullmatch(told, message)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


@on_ray
def test_a_mistake_of_the_user_reads_the_same_from_a_worker() -> None:
    for arguments in ({"fail": "NeuroctlError"}, {"colour": "red"}, {"shifts": ("fog:3",)}):
        messages = []
        for workers in (0, 1):
            with pytest.raises(NeuroctlError) as caught:
                play(Player("zero"), workers, **arguments)
            messages.append((type(caught.value), str(caught.value)))
        assert messages[0] == messages[1]
    assert messages[0][0] is UnknownNameError


@on_ray
def test_results_from_workers_may_be_written_to() -> None:
    for result in play(Player("random"), 1):
        for array in (result.returns, result.lengths, *result.final.values()):
            array += 1
            assert np.isfinite(array).all()


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(NeuroctlError, match="workers must be an integer >= 0, got -1"):
        play(Player("zero"), -1)
    with pytest.raises(NeuroctlError, match="workers must be an integer >= 0, got 1.5"):
        play(Player("zero"), 1.5)  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="ray_address 'auto' has no effect without workers"):
        list(play_shards([], 0, "auto"))


def test_without_workers_ray_is_not_imported(run_python: Any) -> None:
    code = (
        "import sys\nfrom neuroctl import evaluate\n"
        f"evaluate('zero', env_id={POINT!r}, episodes=2)\nassert 'ray' not in sys.modules"
    )
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr


def test_a_cluster_of_its_own_is_shut_down_and_leaves_no_process(run_python: Any) -> None:
    code = f"""
import os, subprocess
from neuroctl import evaluate
here = evaluate('random', env_id={POINT!r}, episodes=20)
there = evaluate('random', env_id={POINT!r}, episodes=20, workers=1)
assert here.returns.tobytes() == there.returns.tobytes()
import ray
assert not ray.is_initialized()
children = [p for p in os.listdir('/proc') if p.isdigit() and
            f'\\nPPid:\\t{{os.getpid()}}\\n' in open(f'/proc/{{p}}/status').read()]
assert not children, children
"""
    result = run_python("-W", "error::ResourceWarning", "-c", code)
    assert result.returncode == 0, result.stderr[-2000:]


def files(recording: Recording) -> dict[str, bytes]:
    """Everything but the order of the lines in the index, which is that in which episodes end."""
    found = {path.name: path.read_bytes() for path in (recording.path / "episodes").iterdir()}
    return found | {"index": json.dumps(sorted(recording.index.items())).encode()}


@on_ray
def test_a_recording_of_workers_has_the_same_files(tmp_path: Path) -> None:
    def make(name: str, workers: int, player: Player) -> Recording:
        shifts = ("action-noise:2",)
        out = tmp_path / name
        return record_player(
            player, out, POINT, {"image": True}, shifts, episodes=11, seed=3, width=4, label=True, workers=workers
        )

    here = make("here", 0, linear_player(image=True))
    there = make("there", 2, linear_player(image=True))
    assert sorted(there.index) == list(range(11))
    assert files(there) == files(here)
    assert there.check() == [] and there.unindexed() == []
    (there.path / "episodes/000005.npz").write_bytes(b"damaged")
    assert files(make("there", 1, linear_player(image=True))) == files(here), "what is damaged is recorded again"


@on_ray
def test_a_worker_killed_while_it_records_loses_nothing(tmp_path: Path) -> None:
    doom = tmp_path / "doom"
    one: Any = {"episodes": 11, "env_id": POINT, "env_kwargs": {"suicide": str(doom)}}
    here = record("random", tmp_path / "here", **one)
    doom.touch()
    with pytest.warns(RuntimeWarning, match="workers failed and their work was done again: 1 died"):
        there = record("random", tmp_path / "there", **one, workers=2)
    assert files(there) == files(here)


def test_workers_that_cannot_record_are_refused(tmp_path: Path) -> None:
    for more, message in (
        ({"workers": -1}, "workers must be an integer >= 0, got -1"),
        ({"ray_address": "auto"}, "ray_address 'auto' has no effect without workers"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            record("zero", tmp_path / "out", episodes=1, env_id=POINT, **more)
        assert not (tmp_path / "out").exists()
