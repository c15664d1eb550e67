"""Shards on Ray workers, or in this process: equal bits either way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .checks import checked_integer
from .contracts import Listener, Step
from .crew import check_address, crew
from .rollouts import Player, Shard, ShardResult, play_shard
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
