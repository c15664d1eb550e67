"""Shards on Ray workers, or in this process: equal bits either way."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence

import numpy as np

from .checks import checked_integer
from .errors import NeuroctlError
from .rollouts import Player, Shard, ShardResult, play_shard

RETRIES = 3


def play_shards(jobs: Sequence[tuple[Shard, Player]], workers: int = 0) -> Iterator[ShardResult]:
    """What each player does in its shard, in their order.

    A shard is an idempotent request: whoever plays it, and however often, the result is the same, so a worker that
    dies is replaced and its shard played again.

    Args:
        jobs: what to play, and who plays; a player is sent once.
        workers: Ray worker processes; 0 plays in this process and does not import Ray.

    Raises:
        NeuroctlError: `workers` is no integer >= 0, or a shard failed on every try.
    """
    workers = checked_integer("workers", workers, 0)
    if workers == 0:
        yield from (play_shard(shard, player) for shard, player in jobs)
        return
    yield from _play_on_ray(jobs, workers)


def _play_on_ray(jobs: Sequence[tuple[Shard, Player]], workers: int) -> Iterator[ShardResult]:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    started = not ray.is_initialized()
    if started:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(play_shard)
        shared = {id(player): ray.put(player) for player in {id(player): player for _, player in jobs}.values()}
        for reference in [remote.remote(shard, shared[id(player)]) for shard, player in jobs]:
            try:
                result: ShardResult = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                cause = error.cause if isinstance(error.cause, NeuroctlError) else None
                raise cause or NeuroctlError(f"a worker failed: {str(error).strip().splitlines()[-1]}") from None
            except ray.exceptions.RayError as error:
                raise NeuroctlError(f"a shard failed {RETRIES + 1} times: {type(error).__name__}") from None
            yield _owned(result)
    finally:
        if started:
            ray.shutdown()


def _owned(result: ShardResult) -> ShardResult:
    """Ray hands out read-only views of shared memory; copy them."""
    final = {key: np.array(value) for key, value in result.final.items()}
    return ShardResult(np.array(result.returns), np.array(result.lengths), final)
