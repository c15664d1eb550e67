"""What shards came to, kept by content: the same player, environment, shifts and seeds are never played twice."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .checks import checked_path
from .config import to_json
from .distributed import play_shards
from .errors import DamagedFileError
from .rollouts import Player, Shard, ShardResult
from .storage import atomic_write, read_json, sha256
from .versions import versions

PACKAGES = ("neuroctl", "numpy", "torch", "mujoco", "gymnasium", "cpu")
"""Whose versions decide the bits of a result."""


class ShardCache:
    """Results in a folder, one file for each shard and player, named by the SHA-256 of what was asked for.

    A player whose behaviour has no hash (an expert or a function) is known by its name.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = checked_path("cache", folder)
        here = versions()
        self._versions = {name: here[name] for name in PACKAGES}
        self._identities: dict[int, tuple[Player, str]] = {}

    def path(self, shard: Shard, player: Player) -> Path:
        """Where the result of a shard is kept."""
        digest = sha256(json.dumps(self._request(shard, player), sort_keys=True).encode())
        return self.folder / digest[:2] / f"{digest}.json"

    def get(self, shard: Shard, player: Player) -> ShardResult | None:
        """The result of a shard; None where there is none, or a damaged one, which is said in a warning."""
        path = self.path(shard, player)
        if not path.exists():
            return None
        try:
            return _decoded(path)
        except DamagedFileError as error:
            warnings.warn(f"{error}; it is played again", stacklevel=2)
            return None

    def put(self, shard: Shard, player: Player, result: ShardResult) -> None:
        """Keep a result."""
        path = self.path(shard, player)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {"returns": result.returns, "lengths": result.lengths}
        arrays |= {f"final/{name}": values for name, values in result.final.items()}
        content = {name: _numbers(values) for name, values in arrays.items()}
        request = self._request(shard, player)
        atomic_write(path, json.dumps({"sha256": _digest(content), "result": content, "request": request}))

    def play(self, jobs: Sequence[tuple[Shard, Player]], workers: int = 0) -> Iterator[ShardResult]:
        """What `play_shards` returns, of which only what is missing is played, and kept as it comes."""
        known = [self.get(shard, player) for shard, player in jobs]
        missing = [job for job, result in zip(jobs, known, strict=True) if result is None]
        played = play_shards(missing, workers)
        for (shard, player), result in zip(jobs, known, strict=True):
            if result is None:
                result = next(played)
                self.put(shard, player, result)
            yield result

    def _request(self, shard: Shard, player: Player) -> dict[str, Any]:
        """Everything that decides a result."""
        request: dict[str, Any] = to_json(
            {"player": self._identity(player), **asdict(shard), "versions": self._versions}
        )
        return request

    def _identity(self, player: Player) -> str:
        """The hash of a player, computed once, or else its name."""
        if id(player) not in self._identities:
            self._identities[id(player)] = (player, player.policy_hash() or player.name)
        return self._identities[id(player)][1]


def _numbers(values: Any) -> list[float | None]:
    """Values as JSON has them, which knows no NaN."""
    return [None if value != value else value for value in np.asarray(values).tolist()]


def _digest(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode())


def _decoded(path: Path) -> ShardResult:
    """The result in a file.

    Raises:
        DamagedFileError: it is not what was written.
    """
    found = read_json(path)
    content = found.get("result") if isinstance(found, dict) else None
    if not isinstance(content, dict) or found.get("sha256") != _digest(content):
        raise DamagedFileError(f"{path} is damaged: its content has another checksum")
    arrays = {name: np.array([np.nan if v is None else v for v in values]) for name, values in content.items()}
    final = {name.removeprefix("final/"): values for name, values in arrays.items() if name.startswith("final/")}
    return ShardResult(arrays["returns"], arrays["lengths"].astype(np.int64), final)
