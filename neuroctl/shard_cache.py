"""What shards came to, kept by content: the same player, environment, shifts and seeds are never played twice."""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cache
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

PACKAGES = ("neuroctl", "numpy", "torch", "mujoco", "gymnasium", "numba", "ale-py", "envpool", "cpu")
"""Whose versions decide the bits of a result."""
SOURCES = ("neuroctl", "neuroctl.envs", "neuroctl.agents")
"""Packages whose code does; a version alone does not tell an editable install from the one before it."""


class ShardCache:
    """Results in a folder, one file for each shard and player, named by the SHA-256 of what was asked for.

    That is the player (learned state and options; of a scripted one, its name), the environment, shifts and seeds, the
    versions of packages and the code of this one. Python code of other people is never kept: nobody knows what it
    reads. Environments of other packages are known by their id and options alone.

    Args:
        folder: made when something is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = checked_path("cache", folder)
        here = versions()
        self._versions = {name: here[name] for name in PACKAGES} | {"code": _code_hash()}
        self._identities: dict[int, tuple[Player, str | None]] = {}

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
            return _decoded(path, self._request(shard, player))
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

    def play(
        self, jobs: Sequence[tuple[Shard, Player]], workers: int = 0, ray_address: str | None = None
    ) -> Iterator[ShardResult]:
        """What `play_shards` returns, of which only what is missing is played, and kept as it comes."""
        full = [(_full(shard), player) for shard, player in jobs]
        known = [self.get(*job) if self._identity(job[1]) is not None else None for job in full]
        missing = [job for job, result in zip(full, known, strict=True) if result is None]
        played = play_shards(missing, workers, ray_address)
        for (shard, player), job, found in zip(jobs, full, known, strict=True):
            result = found
            if result is None:
                result = next(played)
                if self._identity(player) is not None:
                    self.put(*job, result)
            yield _cut(result, shard.count)

    def _request(self, shard: Shard, player: Player) -> Any:
        """Everything that decides a result."""
        request = {"player": self._identity(player), **asdict(_full(shard)), "versions": self._versions}
        return json.loads(json.dumps(to_json(request), default=_plain))

    def _identity(self, player: Player) -> str | None:
        """`identity`, computed once for each player."""
        if id(player) not in self._identities:
            self._identities[id(player)] = (player, identity(player))
        return self._identities[id(player)][1]


def _full(shard: Shard) -> Shard:
    """The shard with all its rows, which are played and kept in any case, also those that do not count."""
    return replace(shard, count=len(shard.seeds))


def identity(player: Player) -> str | None:
    """SHA-256 of what a player is, or a scripted player's name; None where nobody can know it."""
    if player.config is None:
        return player.name if type(player) is Player else player.policy_hash() or None
    options = to_json({"agent": player.config.agent, "env": player.config.env})
    return sha256(f"{player.policy_hash()} {json.dumps(options, default=_plain, sort_keys=True)}".encode())


def _plain(value: Any) -> Any:
    """Arrays as lists; whatever else as text."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else repr(value)


@cache
def _code_hash() -> str:
    """SHA-256 of the source files of `SOURCES`."""
    digest = hashlib.sha256()
    for package in SOURCES:
        for folder in importlib.import_module(package).__path__:
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _cut(result: ShardResult, count: int) -> ShardResult:
    """The first rows."""
    final = {name: values[:count] for name, values in result.final.items()}
    return ShardResult(result.returns[:count], result.lengths[:count], final)


def _numbers(values: Any) -> list[float | None]:
    """Values as JSON has them, which knows no NaN."""
    return [None if value != value else value for value in np.asarray(values).tolist()]


def _digest(content: dict[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode())


def _decoded(path: Path, request: Any) -> ShardResult:
    """The result of a request in a file.

    Raises:
        DamagedFileError: it is not what was written.
    """
    found = read_json(path)
    content = found.get("result") if isinstance(found, dict) else None
    if not isinstance(content, dict) or found.get("sha256") != _digest(content):
        raise DamagedFileError(f"{path} is damaged: its content has another checksum")
    if found.get("request") != request or not {"returns", "lengths"} <= content.keys():
        raise DamagedFileError(f"{path} is damaged: it is the answer to something else")
    arrays = {name: np.array([np.nan if v is None else v for v in values]) for name, values in content.items()}
    final = {name.removeprefix("final/"): values for name, values in arrays.items() if name.startswith("final/")}
    return ShardResult(arrays["returns"], arrays["lengths"].astype(np.int64), final)
