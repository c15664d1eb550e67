"""Evaluation in the closed loop: return, length and success of fixed episodes, with intervals."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import is_integer, is_number, shown
from .distributed import play_shards
from .errors import DamagedFileError
from .interventions import intervention
from .progress import NoProgress, Progress
from .rollouts import Player, choose_env, find_player, find_players, make_shards
from .statistics import Interval, iqm, stratified_bootstrap
from .storage import atomic_write, read_json


@dataclass(frozen=True)
class Evaluation:
    """What E episodes came to; of a population, each member's N episodes, one member after the other.

    Attributes:
        source: who played.
        checkpoint: step of the run's checkpoint; None for scripted agents.
        env_id: where.
        shifts: under which shifts.
        seeds: seed each episode was reset with, `[E]`.
        returns: sum of rewards, `[E]`.
        lengths: control steps, `[E]`.
        final: what the environment says of the finished episodes, such as `success`, each `[E]`.
        members: which member of a population played each episode, `[E]`; None where there is but one policy.
    """

    source: str
    checkpoint: int | None
    env_id: str
    shifts: tuple[str, ...]
    seeds: tuple[int, ...]
    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    final: dict[str, NDArray[np.float64]]
    members: NDArray[np.int64] | None = None

    def interval(self) -> Interval:
        """Interquartile mean of the return with a 95 % bootstrap interval.

        Over episodes of the one policy, or over the mean returns of the members of a population.
        """
        return stratified_bootstrap(self.of_members(self.returns), iqm)

    def of_members(self, values: NDArray[Any]) -> NDArray[Any]:
        """`values` `[E]`, or their mean over the episodes of each member of a population, without NaN, `[M]`."""
        if self.members is None:
            return values
        return np.array([np.nanmean(values[self.members == m]) for m in np.unique(self.members)])

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, for JSON and tables. `success` is absent where the task defines none."""
        interval, unit = self.interval(), "episodes of one policy" if self.members is None else "members of one run"
        result: dict[str, Any] = {
            "source": self.source,
            "checkpoint": self.checkpoint,
            "env": self.env_id,
            "shifts": list(self.shifts),
            "episodes": len(self.returns),
            "return_mean": float(self.returns.mean()),
            "return_iqm": interval.value,
            "return_iqm_low": interval.low,
            "return_iqm_high": interval.high,
            "interval": f"{interval.level:.0%} bootstrap over {interval.count} {unit}",
            "length_mean": float(self.lengths.mean()),
        }
        if "success" in self.final:
            result["success_rate"] = float(np.nanmean(self.final["success"]))
        if self.members is not None:
            result["members"] = self.members.tolist()
            result["member_returns"] = self.of_members(self.returns).tolist()
            if "success" in self.final:
                result["member_success_rates"] = self.of_members(self.final["success"]).tolist()
        result["returns"] = self.returns.tolist()
        result["lengths"] = self.lengths.tolist()
        result["seeds"] = list(self.seeds)
        return result


def save_evaluation(run: Path, summary: Mapping[str, Any], options: Sequence[str] = ()) -> Path:
    """Keep a summary in the run folder, where reports find it; one file for each condition.

    Args:
        run: run folder.
        summary: of `Evaluation.summary`.
        options: whatever else differed from the run's own environment, as `name=value`.
    """
    condition = [*(s.replace(":", "-") for s in summary["shifts"]), *options] or ["clean"]
    name = re.sub(r"[^A-Za-z0-9.=,_-]", "_", "+".join(condition))
    path = run / "evaluations" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    atomic_write(path, json.dumps({**summary, "options": list(options)}, indent=1))
    return path


def saved_evaluations(run: Path) -> dict[str, dict[str, Any]]:
    """What `save_evaluation` left in a run folder, by the names of the files.

    Raises:
        DamagedFileError: one of them is damaged.
    """
    found = {}
    for path in sorted((run / "evaluations").glob("*.json")):
        found[path.stem] = read_json(path)
        if wrong := _not_a_summary(found[path.stem]):
            raise DamagedFileError(f"{path} is damaged: {wrong}; delete it, and evaluate again")
    return found


def _not_a_summary(content: Any) -> str | None:
    """What of a file's content is no summary; None where all is."""
    if not isinstance(content, dict):
        return "it is no summary of an evaluation"
    returns, members = content.get("returns"), content.get("members")
    if not (_all(is_number, returns) and returns):
        return f"returns is {shown(returns)}"
    if members is not None and not (_all(is_integer, members) and len(members) == len(returns)):
        return f"members is {shown(members)}"
    for name in ("shifts", "options"):
        if not _all(lambda each: isinstance(each, str), content.get(name)):
            return f"{name} is {shown(content.get(name))}"
    for name in ("episodes", "return_iqm", "return_iqm_low", "return_iqm_high", "return_mean"):
        if not is_number(content.get(name)):
            return f"{name} is {shown(content.get(name))}"
    checkpoint = content.get("checkpoint")
    return None if checkpoint is None or is_integer(checkpoint) else f"checkpoint is {shown(checkpoint)}"


def _all(fits: Callable[[Any], bool], values: Any) -> bool:
    return isinstance(values, list) and all(map(fits, values))


def evaluate(
    source: str | Path,
    *,
    episodes: int = 64,
    shifts: Sequence[str] = (),
    workers: int = 0,
    ray_address: str | None = None,
    seed: int = 0,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    checkpoint: str | int = "latest",
    member: int | None = None,
    lesions: Sequence[str] = (),
    stimulations: Sequence[str] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """Play `episodes` fixed episodes and report them.

    Every environment plays equally many episodes, so short ones are not over-represented. Episodes are the same for
    every player, for every member of a population, and for any number of workers.

    Args:
        source: a run folder, `"expert"`, `"random"` or `"zero"`.
        episodes: how many.
        shifts: `"name:severity"` stack.
        workers: Ray workers; 0 is this process.
        ray_address: `HOST:PORT` of a Ray cluster's head, or `"auto"`; None starts workers on this machine.
        seed: root seed of the episodes.
        env_id: environment; the run's own when absent.
        env_kwargs: options that differ from the run's own.
        checkpoint: `"latest"`, `"best"` or a step.
        member: of a run that trained a population, the one that plays; each plays all episodes when None.
        lesions: units that are silent, such as `"units:3,7"` or `"units:25%"`; see `neuroctl.interventions`.
        stimulations: units that are driven, such as `"units:3=1.5"`.
        progress: told of finished episodes.

    Raises:
        NeuroctlError: something asked for does not exist or does not fit.
    """
    done = intervention(lesions, stimulations)
    if member is None:
        players, run = find_players(source, checkpoint)
    else:
        player, run = find_player(source, checkpoint, member)
        players = [player]
    env_id, kwargs = choose_env(run, env_id, env_kwargs)
    return evaluate_players(
        [replace(player, intervention=done) for player in players],
        env_id,
        kwargs,
        shifts,
        episodes=episodes,
        workers=workers,
        ray_address=ray_address,
        seed=seed,
        progress=progress,
    )


def evaluate_players(
    players: Sequence[Player],
    env_id: str,
    env_kwargs: Mapping[str, Any],
    shifts: Sequence[str] = (),
    *,
    episodes: int,
    seed: int = 0,
    workers: int = 0,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """`evaluate`, for a player or the members of a population in memory."""
    jobs = [(s, player) for player in players for s in make_shards(env_id, env_kwargs, shifts, episodes, seed)]
    progress = progress or NoProgress()
    results = []
    for (shard, _), result in zip(jobs, play_shards(jobs, workers, ray_address), strict=True):
        results.append(result)
        progress.advance(shard.count)
    keys = sorted({key for result in results for key in result.final})  # some are said of some episodes only
    final = {k: np.concatenate([r.final.get(k, np.full(len(r.returns), np.nan)) for r in results]) for k in keys}
    members = [player.member for _, player in jobs]
    counts = [shard.count for shard, _ in jobs]
    return Evaluation(
        source=players[0].name,
        checkpoint=players[0].checkpoint,
        env_id=env_id,
        shifts=tuple(shifts),
        seeds=tuple(s for shard, _ in jobs for s in shard.seeds[: shard.count]),
        returns=np.concatenate([r.returns for r in results]),
        lengths=np.concatenate([r.lengths for r in results]),
        final=final,
        members=None if None in members else np.repeat(np.array(members, np.int64), counts),
    )
