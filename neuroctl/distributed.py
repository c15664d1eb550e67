"""Shards on Ray workers, or in this process: equal bits either way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import checked_integer
from .contracts import Listener, Step
from .crew import check_address, crew
from .progress import Progress
from .recorder import Recorder
from .recording import Recording, encoded
from .rollouts import Player, Shard, ShardResult, missing_rows, play_shard
from .workers import Beat, Workers


def play_shards(
    jobs: Sequence[tuple[Shard, Player]], workers: int = 0, ray_address: str | None = None
) -> Iterator[ShardResult]:
    """What each player does in its shard, in their order.

    A shard is an idempotent request: whoever plays it, and however often, the result is the same, so a worker that
    dies or hangs is replaced and its shard played again; at the end a warning says how often that happened.

    Args:
        jobs: what to play, and who plays; a player is sent once.
        workers: Ray worker processes; 0 plays in this process and does not import Ray.
        ray_address: of a cluster, see `cluster`.

    Raises:
        NeuroctlError: `workers` is no integer >= 0, there is no cluster, or a shard failed on every try.
    """
    workers = checked_integer("workers", workers, 0)
    check_address(workers, ray_address)
    if workers == 0 or not jobs:
        yield from (play_shard(shard, player) for shard, player in jobs)
        return
    with crew(min(workers, len(jobs)), _play, ray_address) as players:
        assert isinstance(players, Workers)
        yield from map(_owned, players.answers((shard, players.share(player)) for shard, player in jobs))


def record_on_workers(
    recording: Recording,
    shards: Sequence[Shard],
    player: Player,
    label: bool,
    workers: int,
    ray_address: str | None,
    progress: Progress,
) -> None:
    """Record what is missing of shards; `label` adds the expert's action. Workers play, this process writes.

    Raises:
        NeuroctlError: as `play_shards`.
    """
    checked_integer("workers", workers, 0)
    missing = list(zip(shards, missing_rows(recording, shards), strict=True))
    todo = [(shard, wanted) for shard, wanted in missing if any(number is not None for number in wanted)]
    progress.skip(sum(shard.count for shard, _ in missing) - sum(shard.count for shard, _ in todo))
    with crew(min(workers, max(len(todo), 1)), _record, ray_address) as players:
        assert isinstance(players, Workers)
        neural = recording.info.neural
        answers = players.answers((shard, players.share(player), wanted, label, neural) for shard, wanted in todo)
        for (shard, _), episodes in zip(todo, answers, strict=True):
            for number, data, summary in episodes:
                recording.add_encoded(number, data.tobytes(), summary)
            progress.advance(shard.count)


class _Episodes:
    """Takes the episodes of a recorder, each as number, file and summary."""

    learning = False

    def __init__(self) -> None:
        self.taken: list[tuple[int, NDArray[np.uint8], dict[str, Any]]] = []

    def add(self, number: int, arrays: Mapping[str, NDArray[Any]], summary: Mapping[str, Any]) -> None:
        """See `Recording.add`."""
        self.taken.append((number, np.frombuffer(encoded(arrays, summary), np.uint8), dict(summary)))


def _record(
    shard: Shard, player: Player, wanted: Sequence[int | None], label: bool, neural: bool, beat: Beat
) -> list[Any]:
    episodes = _Episodes()
    play_shard(shard, player, [Recorder(episodes, wanted, shard.seeds, neural=neural), _Pulse(beat)], label)
    return episodes.taken


class _Pulse(Listener):
    """Every step is a sign of life."""

    def __init__(self, beat: Beat) -> None:
        self._beat = beat

    def on_step(self, step: Step) -> None:
        self._beat()


def _play(shard: Shard, player: Player, beat: Beat) -> dict[str, Any]:
    return asdict(play_shard(shard, player, [_Pulse(beat)]))


def _owned(answer: dict[str, Any]) -> ShardResult:
    """Ray hands out read-only views of shared memory; copy them."""
    final = {key: np.array(value) for key, value in answer["final"].items()}
    return ShardResult(np.array(answer["returns"]), np.array(answer["lengths"]), final)
