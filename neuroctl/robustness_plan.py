"""Policies against distribution shifts: every policy under every shift and severity, in the same episodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import registry
from .checks import checked_integer, shown
from .config import to_json
from .errors import NeuroctlError
from .guests import guest
from .progress import NoProgress, Progress
from .robustness_matrix import CLEAN, Cell, Matrix, conditions_of
from .rollouts import WIDTH, Player, Shard, ShardResult, choose_env, find_players, make_shards
from .run import Run
from .scripted import NAMES
from .shard_cache import ShardCache, identity
from .shift import check_severity, shift_stack
from .storage import read_json
from .vector import expert_action, make_env

DEMONSTRATED = ("env_id", "env_kwargs", "shifts", "agent")
"""What a recording is, but for its seed."""
REFERENCES = ("zero", "expert")
"""Players whose clean returns are 0 and 1 on the scale of scores, where the environment has an expert."""

Source = str | Path | Callable[..., Any] | object


@dataclass(frozen=True)
class Entrant:
    """A policy of the matrix.

    Attributes:
        name: in tables.
        players: its units.
        units: their names.
    """

    name: str
    players: tuple[Player, ...]
    units: tuple[str, ...] = field(default=())


def robustness(
    *sources: Source,
    cache: str | Path = "runs/robustness/cache",
    workers: int = 0,
    ray_address: str | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Matrix:
    """Play every policy under every shift and severity, in the same episodes.

    What was played before, with the same weights, environment, shift, seed and versions, is taken from the cache.

    Args:
        sources: see `plan`.
        cache: folder of the results of shards.
        workers: Ray workers; 0 is this process. The result is the same.
        ray_address: `HOST:PORT` of a Ray cluster's head, or `"auto"`; None starts workers on this machine.
        progress: told of finished episodes.
        choices: further arguments of `plan`: shifts, severities, episodes, seed, env_id, env_kwargs, checkpoint.

    Raises:
        NeuroctlError: something asked for does not exist or does not fit, or runs of several environments.
    """
    return plan(*sources, **choices).play(cache, workers, ray_address, progress)


@dataclass(frozen=True)
class Plan:
    """A matrix that is to be played.

    Attributes:
        env_id, env_kwargs: where.
        entrants: who plays under every condition.
        references: who plays without a shift, for the scale of scores; none without an expert.
        shifts: those that fit.
        unfit: why others do not.
        severities: of each shift.
        episodes: of each unit under each condition.
        seed: root seed of the episodes.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    entrants: tuple[Entrant, ...]
    references: tuple[Entrant, ...]
    shifts: tuple[str, ...]
    unfit: Mapping[str, str]
    severities: tuple[int, ...]
    episodes: int
    seed: int

    @property
    def total(self) -> int:
        """Episodes in all."""
        return self.episodes * sum(len(entrant.players) for entrant, _ in self._asked())

    def _asked(self) -> list[tuple[Entrant, str]]:
        """Who plays under which condition, the references last."""
        conditions = conditions_of(self.shifts, self.severities)
        asked = [(entrant, condition) for entrant in self.entrants for condition in conditions]
        return asked + [(entrant, CLEAN) for entrant in self.references]

    def play(
        self,
        cache: str | Path,
        workers: int = 0,
        ray_address: str | None = None,
        progress: Progress | None = None,
    ) -> Matrix:
        """Play what the cache does not hold; see `robustness`."""
        asked = self._asked()
        stacks = [self._shards(condition) for _, condition in asked]
        jobs = [
            (shard, player)
            for (entrant, _), shards in zip(asked, stacks, strict=True)
            for player in entrant.players
            for shard in shards
        ]
        progress, results = progress or NoProgress(), []
        for (shard, _), result in zip(jobs, ShardCache(cache).play(jobs, workers, ray_address), strict=True):
            results.append(result)
            progress.advance(shard.count)
        cells, place = [], 0
        for (entrant, _), shards in zip(asked, stacks, strict=True):
            count = len(entrant.players) * len(shards)
            cells.append(_joined(results[place : place + count], (len(entrant.players), self.episodes)))
            place += count
        last = len(asked) - len(self.references)
        return Matrix(
            env_id=self.env_id,
            env_kwargs=self.env_kwargs,
            shifts=self.shifts,
            unfit=self.unfit,
            severities=self.severities,
            seeds=tuple(s for shard in stacks[0] for s in shard.seeds[: shard.count]),
            cells={(e.name, condition): cell for (e, condition), cell in zip(asked[:last], cells[:last], strict=True)},
            units={entrant.name: entrant.units for entrant in self.entrants},
            scale=_scale(cells[last:]),
        )

    def _shards(self, condition: str) -> list[Shard]:
        shifts = () if condition == CLEAN else (condition,)
        return make_shards(self.env_id, self.env_kwargs, shifts, self.episodes, self.seed)


def _joined(results: Sequence[ShardResult], shape: tuple[int, int]) -> Cell:
    """The results of the shards of U units, one unit after the other."""
    success = [r.final.get("success", np.full(len(r.returns), np.nan)) for r in results]
    return Cell(
        np.concatenate([r.returns for r in results]).reshape(shape),
        np.concatenate([r.lengths for r in results]).reshape(shape),
        np.concatenate(success).reshape(shape) if any("success" in r.final for r in results) else None,
    )


def _scale(references: Sequence[Cell]) -> tuple[float, float] | None:
    """Mean returns of doing nothing and of the expert; None without them, or where the expert is no better."""
    if not references:
        return None
    low, high = (float(cell.returns.mean()) for cell in references)
    return (low, high) if high > low else None


def plan(
    *sources: Source,
    shifts: Sequence[str] | str = "all",
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    episodes: int = 64,
    seed: int = 0,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    checkpoint: str | int = "latest",
) -> Plan:
    """What a matrix of these policies takes.

    Runs that differ in nothing but their seed are one policy, whose interval is over these seeds.

    Args:
        sources: run folders, `"expert"`, `"random"`, `"zero"`, ONNX files, `"module:name"`, or controllers in memory:
            objects with `act(obs[B, ...], first[B])`, classes of such objects, functions from observations to actions.
        shifts: names, or `"all"` that fit the environment.
        severities: from 1 to 5; the clean environment is played in any case.
        episodes: of each policy under each condition.
        seed: root seed of the episodes.
        env_id: environment; that of the runs when absent.
        env_kwargs: options that differ from the runs' own.
        checkpoint: of the runs.

    Raises:
        NeuroctlError: something asked for does not exist or does not fit, or runs of several environments.
    """
    if not sources:
        raise NeuroctlError("name at least one policy: a run folder, expert, random, zero, an ONNX file, module:name")
    checked_integer("episodes", episodes, 1)
    found = [_players(source, checkpoint) for source in sources]
    if checkpoint != "latest" and all(run is None for _, run in found):
        raise NeuroctlError(f"checkpoint {checkpoint!r} has no effect: none of the policies is a run")
    env_id, kwargs = _environment([run for _, run in found if run is not None], env_id, env_kwargs)
    fitting, unfit = _fitting(env_id, kwargs, shifts)
    if not fitting:
        raise NeuroctlError(f"no shift to play: {'; '.join(f'{n} {why}' for n, why in unfit.items()) or 'none named'}")
    references = [Entrant(name, (Player(name),)) for name in REFERENCES] if _has_expert(env_id, kwargs) else []
    return Plan(
        env_id=env_id,
        env_kwargs=kwargs,
        entrants=tuple(_entrants(found)),
        references=tuple(references),
        shifts=tuple(fitting),
        unfit=unfit,
        severities=tuple(_checked_severities(severities)),
        episodes=episodes,
        seed=checked_integer("seed", seed, 0),
    )


# -- who plays, and where --------------------------------------------------------------------------------------


def _players(source: Source, checkpoint: str | int) -> tuple[list[Player], Run | None]:
    if not isinstance(source, (str, Path)) or (str(source) not in NAMES and not Path(source).is_dir()):
        found = guest(source)
        if found is not None:
            return [found], None
    return find_players(source, checkpoint if str(source) not in NAMES else "latest")  # type: ignore[arg-type]


def _environment(
    runs: Sequence[Run], env_id: str | None, env_kwargs: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """The environment of all runs.

    Raises:
        NeuroctlError: it is not the same, and none was asked for.
    """
    chosen = [choose_env(run, env_id, env_kwargs) for run in runs] or [choose_env(None, env_id, env_kwargs)]
    for run, other in zip(runs[1:], chosen[1:], strict=True):
        if to_json(other) != to_json(chosen[0]):
            how = "name it with env" if env_id is None else "name the options that differ"
            raise NeuroctlError(
                f"{runs[0].path} plays {_described(chosen[0], other)} and {run.path} {_described(other, chosen[0])}: "
                f"a matrix has one environment; {how}"
            )
    return chosen[0]


def _described(one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]]) -> str:
    """An environment, as far as it differs from another."""
    options = [f"{name}={shown(value)}" for name, value in one[1].items() if other[1].get(name, None) != value]
    return " with ".join(filter(None, (one[0], ", ".join(options) if one[0] == other[0] else "")))


def _entrants(found: Sequence[tuple[list[Player], Run | None]]) -> list[Entrant]:
    """The policies: runs that differ in their seed alone are units of one.

    Raises:
        NeuroctlError: a policy is named twice.
    """
    groups: list[tuple[Any, str, list[Player]]] = []
    known: dict[str, str] = {}
    for players, run in found:
        for player in players:
            who = identity(player)
            if who in known:
                raise NeuroctlError(f"{known[who]} and {player.name} are the same policy; name it once")
            if who is not None:
                known[who] = player.name
        key = None if run is None else _but_for_the_seed(run)
        same = next((group for group in groups if key is not None and group[0] == key), None)
        if same is None:
            same = (key, players[0].name if run is None else run.path.resolve().name, [])
            groups.append(same)
        same[2].extend(players)
    names = _distinct([(name, players[0].name) for _, name, players in groups])
    return [
        Entrant(name, tuple(players), tuple(map(_unit, players)))
        for name, (_, _, players) in zip(names, groups, strict=True)
    ]


def _unit(player: Player) -> str:
    return player.name if player.member is None else f"{player.name}, member {player.member}"


def _but_for_the_seed(run: Run) -> Any:
    """The configuration of a run, with what its demonstrations are in place of where they lie."""
    config: Any = to_json(replace(run.config, seed=0))
    path = run.config.demonstrations.path
    if path is not None:
        config["demonstrations"]["path"] = str(path)
        if (path / "dataset.json").exists():
            described = read_json(path / "dataset.json")
            config["demonstrations"]["path"] = [
                described.get(name) for name in ("env_id", "env_kwargs", "shifts", "agent")
            ]
    return config


def _distinct(names: Sequence[tuple[str, str]]) -> list[str]:
    """The short name of each, or the long one where the short one is not alone."""
    short = [name for name, _ in names]
    chosen = [name if short.count(name) == 1 else long for name, long in names]
    return [
        name if chosen.count(name) == 1 else f"{name} ({chosen[: k + 1].count(name)})" for k, name in enumerate(chosen)
    ]


def _fitting(env_id: str, kwargs: Mapping[str, Any], shifts: Sequence[str] | str) -> tuple[list[str], dict[str, str]]:
    """The shifts that fit, and of all others why they do not.

    Raises:
        NeuroctlError: an unknown shift, or one that was asked for by name and does not fit.
    """
    everything = shifts == "all" or list(shifts) == ["all"]
    names = registry.shifts.names() if everything else list(dict.fromkeys(shift_stack(shifts)))
    rows = _rows(kwargs)
    make_env(env_id, rows, kwargs).close()
    fitting, unfit = [], {}
    for name in names:
        registry.shifts.load(name)
        try:
            make_env(env_id, rows, kwargs, [f"{name}:1"]).close()
            fitting.append(name)
        except NeuroctlError as error:
            if not everything:
                raise
            unfit[name] = str(error).partition(": ")[2].partition("; fitting")[0]
    return fitting, unfit


def _rows(kwargs: Mapping[str, Any]) -> int:
    """Rows of an environment that is made to look at it: one, or those of a shard where each has its own dynamics."""
    dynamics = kwargs.get("dynamics")
    values = dynamics.values() if isinstance(dynamics, Mapping) else ()
    return WIDTH if any(isinstance(value, (Sequence, np.ndarray)) for value in values) else 1


def _checked_severities(severities: Sequence[int]) -> list[int]:
    found = sorted({check_severity("a matrix", severity) for severity in severities} - {0})
    if not found:
        raise NeuroctlError(f"severities are {shown(tuple(severities))}; allowed: some of 1 to 5")
    return found


def _has_expert(env_id: str, kwargs: Mapping[str, Any]) -> bool:
    env = make_env(env_id, _rows(kwargs), kwargs)
    try:
        env.reset(seed=0)
        expert_action(env)
    except NeuroctlError:
        return False
    finally:
        env.close()
    return True
