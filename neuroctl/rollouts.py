"""Episodes in shards of a fixed width: the unit of evaluation, recording and distribution.

Matrix products differ in their last bits between batch widths and thread counts. So episodes are always played in
shards of one width (padded when short) with one thread, and the result of a shard depends on nothing but the shard.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import registry
from .checks import checked_integer, checked_path, shown, shown_space
from .config import TrainConfig
from .contracts import Agent, Info, Listener, Observation, Step
from .errors import NeuroctlError
from .interventions import Intervention
from .labels import ExpertLabels
from .learning import record_learning
from .loop import ClosedLoop
from .progress import NoProgress, Progress
from .recorder import Recorder, dataset_info, scalar_columns
from .recording import Recording
from .run import Run, agent_with, environment_spaces, tree_hash
from .scripted import NAMES, ScriptedAgent
from .shift import shift_stack
from .storage import is_unused, removed_on_mistake
from .streams import derive_seed, episode_seed
from .vector import Vector, environment_options, make_env, spaces_of

WIDTH = 16
"""Rows of a shard, unless a recording says otherwise."""


@dataclass(frozen=True)
class Player:
    """Who plays: a scripted agent by name, or a trained agent by its configuration and learned state.

    Attributes:
        name: `"expert"`, `"random"`, `"zero"`, or the run folder.
        config: of the run.
        state: the agent's `state_dict`, of one member.
        checkpoint: the step it stems from.
        member: which agent of a population it is; None where there is but one.
        intervention: units that are silenced or driven; None for none.
    """

    name: str
    config: TrainConfig | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: int | None = None
    member: int | None = None
    intervention: Intervention | None = None

    def make(self, env: Vector) -> Agent:
        """The agent, for one environment."""
        if self.config is None:
            agent: Agent = ScriptedAgent(self.name, env)
            if self.intervention is not None:
                agent.intervene(self.intervention)
            return agent
        trained, here = environment_spaces(self.config), spaces_of(env)
        for kind in ("observation", "action"):
            there, found = getattr(trained, kind), getattr(here, kind)
            if (there.shape, there.dtype) != (found.shape, found.dtype):
                there, found = shown_space(there), shown_space(found)
                raise NeuroctlError(f"{self.name} was trained with {kind}s of {there}; the environment has {found}")
        agent = agent_with(self.config, trained, self.state)
        if self.intervention is not None:
            agent.intervene(self.intervention)
        return agent

    def shows_activity(self) -> bool:
        """Whether there is something to record of what goes on inside; see `Agent.activity`."""
        return self.config is not None and registry.agents.load(self.config.agent.name).activity is not Agent.activity

    def policy_hash(self) -> str:
        """SHA-256 of the learned state; empty for scripted agents."""
        return "" if self.config is None else tree_hash(self.state)


@dataclass(frozen=True)
class Shard:
    """`len(seeds)` episodes that are played side by side; the last may be padding.

    Attributes:
        env_id: Gymnasium id.
        env_kwargs: its options.
        shifts: the shift stack.
        seeds: seed of each row's episode.
        count: rows that count; the rest is padding.
        seed: root seed of the agent's streams.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    shifts: tuple[str, ...]
    seeds: tuple[int, ...]
    count: int
    seed: int


def shard_seed(seed: int, index: int) -> int:
    """Root seed of the agent's streams in shard `index` of an experiment with root seed `seed`."""
    return derive_seed(seed, f"shard/{index}")


def make_shards(
    env_id: str,
    env_kwargs: Mapping[str, Any],
    shifts: Sequence[str],
    episodes: int,
    seed: int,
    width: int = WIDTH,
) -> list[Shard]:
    """Episode i of root seed `seed` is row `i % width` of shard `i // width`, however many episodes follow it."""
    for name, value, least in (("episodes", episodes, 1), ("width", width, 1), ("seed", seed, 0)):
        checked_integer(name, value, least)
    return [
        Shard(
            env_id=env_id,
            env_kwargs=dict(env_kwargs),
            shifts=shift_stack(shifts),
            seeds=tuple(episode_seed(seed, start + row) for row in range(width)),
            count=min(width, episodes - start),
            seed=shard_seed(seed, start // width),
        )
        for start in range(0, episodes, width)
    ]


class EpisodeStatistics(Listener):
    """Return, length and last info of the first episode of each row.

    Attributes:
        returns: float64 `[B]`, summed in the order of the steps.
        lengths: int64 `[B]`.
        final: what the environment says of the finished episodes, such as `success`, each float64 `[B]`.
    """

    def on_begin(self, env: Vector, obs: Observation, info: Info) -> None:
        """Start counting."""
        self.returns = np.zeros(env.num_envs)
        self.lengths = np.zeros(env.num_envs, dtype=np.int64)
        self.final: dict[str, NDArray[np.float64]] = {}
        self._active = np.ones(env.num_envs, dtype=np.bool_)

    def on_step(self, step: Step) -> None:
        """Count the step in rows whose first episode goes on."""
        self.returns += np.where(self._active, step.reward, 0.0)
        self.lengths += self._active
        ended = self._active & step.done
        if ended.any():
            for key, value in scalar_columns(step.info.get("final_info", {})).items():
                self.final.setdefault(key, np.full(ended.shape, np.nan))[ended] = value[ended]
            self._active &= ~ended


@dataclass(frozen=True)
class ShardResult:
    """Outcome of the rows of a shard that count, each `[count]`."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]
    final: dict[str, NDArray[np.float64]]


def play_shard(shard: Shard, player: Player, listeners: Sequence[Listener] = (), label: bool = False) -> ShardResult:
    """Play the episodes of a shard, with one thread. A pure function: same arguments, same bits.

    Args:
        shard: what to play.
        player: who plays.
        listeners: who watches.
        label: listeners are told the expert's action for every observation.
    """
    env = make_env(shard.env_id, len(shard.seeds), shard.env_kwargs, shard.shifts)
    if label:
        env = ExpertLabels(env)
    statistics = EpisodeStatistics()
    try:
        with one_thread():
            agent = player.make(env)
            ClosedLoop(env, agent, [statistics, *listeners]).run_episodes(shard.seeds, shard.seed)
    finally:
        env.close()
    n = shard.count
    return ShardResult(statistics.returns[:n], statistics.lengths[:n], {k: v[:n] for k, v in statistics.final.items()})


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def trained_players(
    name: str, config: TrainConfig, state: Mapping[str, Any], checkpoint: int | None = None
) -> list[Player]:
    """The players in an agent's `state_dict`: one, or each member of a population."""
    agent = registry.agents.load(config.agent.name)
    count = agent.members(state)
    if count == 1:
        return [Player(name, config, state, checkpoint)]
    return [Player(name, config, agent.member_state(state, m), checkpoint, m) for m in range(count)]


def find_player(
    source: str | Path, checkpoint: str | int = "latest", member: int | None = None
) -> tuple[Player, Run | None]:
    """The player called `source`: `"expert"`, `"random"`, `"zero"` or a run folder.

    Args:
        source: its name.
        checkpoint: of the run: `"latest"`, `"best"` or a step.
        member: of a population; its first when None.

    Raises:
        NeuroctlError: as `find_players`, or there is no such member.
    """
    players, run = find_players(source, checkpoint)
    if member is None:
        return players[0], run
    if players[0].member is None:
        raise NeuroctlError(f"member {shown(member)} has no effect: {str(source)!r} is no population")
    return players[checked_integer("member", member, 0, len(players) - 1)], run


def find_players(source: str | Path, checkpoint: str | int = "latest") -> tuple[list[Player], Run | None]:
    """The player called `source`, or every member of the population that was trained in the run folder `source`.

    Raises:
        NeuroctlError: neither a name nor a run folder, or a checkpoint of a scripted agent.
    """
    source = checked_path("source", source)
    if str(source) in NAMES:
        if checkpoint != "latest":
            raise NeuroctlError(f"checkpoint {checkpoint!r} has no effect: {str(source)!r} is a scripted agent")
        return [Player(str(source))], None
    if not (Path(source) / "config.json").is_file():
        raise NeuroctlError(f"{str(source)!r} is neither a run folder nor one of {', '.join(NAMES)}")
    run = Run(source)
    step, trees = run.checkpoints.load(checkpoint)
    return trained_players(str(Path(source).resolve()), run.config, trees["agent"], step), run


def choose_env(run: Run | None, env_id: str | None, env_kwargs: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]]:
    """The environment asked for, or the one of the run, with options overridden one by one."""
    options = environment_options(env_kwargs)
    if run is None or (env_id is not None and env_id != run.environment()[0]):
        if env_id is None:
            raise NeuroctlError("a scripted agent needs an environment: give --env ID")
        return env_id, options
    own_id, own_kwargs = run.environment()
    return own_id, {**own_kwargs, **options}


def record(
    source: str | Path,
    out: str | Path,
    *,
    episodes: int,
    seed: int = 0,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    shifts: Sequence[str] = (),
    checkpoint: str | int = "latest",
    width: int | None = None,
    learn: bool = False,
    neural: bool = False,
    member: int | None = None,
    workers: int = 0,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Record episodes; a recording that was interrupted is completed, and damaged episodes are recorded again.

    Args:
        source: `"expert"`, `"random"`, `"zero"` or a run folder.
        out: folder of the recording.
        episodes: how many it shall hold.
        seed: root seed; episode i is the same whatever `episodes` is.
        env_id: Gymnasium id; the run's own when absent.
        env_kwargs: options of the environment.
        shifts: `"name:severity"` stack.
        checkpoint: of the run.
        width: rows that step together; 16 when None, 1 when the agent learns.
        learn: the agent goes on learning, from one episode to the next, and what it learned can be replayed.
        neural: the agent's activity is recorded too, such as recurrent states or spikes, and the synapses that learn.
        member: who plays of a run that trained a population; its first when None.
        workers: Ray workers; 0 is this process. The recording is the same.
        ray_address: `HOST:PORT` of a Ray cluster's head, or `"auto"`; None starts workers on this machine.
        progress: told of each finished episode.

    Raises:
        NeuroctlError: something asked for does not exist or does not fit; a new recording without episodes is removed.
    """
    player, run = find_player(source, checkpoint, member)
    env_id, kwargs = choose_env(run, env_id, env_kwargs)
    return record_player(
        player,
        out,
        env_id,
        kwargs,
        shifts,
        episodes=episodes,
        seed=seed,
        width=width,
        learn=learn,
        neural=neural,
        workers=workers,
        ray_address=ray_address,
        progress=progress,
    )


def record_player(
    player: Player,
    out: str | Path,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    shifts: Sequence[str],
    *,
    episodes: int,
    seed: int,
    width: int | None = None,
    label: bool = False,
    learn: bool = False,
    neural: bool = False,
    workers: int = 0,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> Recording:
    """`record`, for a player in memory; `label` adds the expert's action for every observation."""
    _check_recordable(player, width, learn, neural, workers)
    width = 1 if learn else WIDTH if width is None else width
    shards = make_shards(env_id, env_kwargs, shifts, episodes, seed, width)
    env = make_env(env_id, width, env_kwargs, shifts)
    info = dataset_info(
        env,
        env_id,
        env_kwargs,
        shifts,
        agent=player.name,
        policy_hash=player.policy_hash(),
        seed=seed,
        width=width,
        checkpoint=player.checkpoint,
        member=player.member,
        learning=learn,
        neural=neural,
    )
    is_new = is_unused(Path(out))
    recording = Recording.create(out, info)
    if label:
        env = ExpertLabels(env)
    progress = progress or NoProgress()
    try:
        with (
            recording.writing(),
            removed_on_mistake(recording.path, lambda: is_new and not recording.index),
            one_thread(),
        ):
            if workers or ray_address is not None:
                from .distributed import record_on_workers

                record_on_workers(recording, shards, player, label, workers, ray_address, progress)
                return recording
            agent = player.make(env)
            if learn:
                record_learning(agent, env, recording, shards, progress)
            else:
                _record_shards(agent, env, recording, shards, progress)
    finally:
        env.close()
    return recording


def _check_recordable(player: Player, width: int | None, learn: bool, neural: bool, workers: int) -> None:
    """Refuse what an agent cannot do, or not in this way."""
    if learn and width not in (None, 1):
        raise NeuroctlError(f"width is {width}; an agent that learns is recorded in one row: its updates read all rows")
    if learn and (player.config is None or registry.agents.load(player.config.agent.name).offline):
        raise NeuroctlError(f"the agent of {player.name!r} does not learn while it acts: record without learn")
    if neural and not player.shows_activity():
        raise NeuroctlError(f"{player.name!r} shows nothing of what goes on inside: record without neural")
    if learn and workers:
        raise NeuroctlError(f"workers is {workers}; an agent that learns is recorded by one: episode after episode")


def _record_shards(
    agent: Agent, env: Vector, recording: Recording, shards: Sequence[Shard], progress: Progress
) -> None:
    for shard, wanted in zip(shards, missing_rows(recording, shards), strict=True):
        if all(n is None for n in wanted):
            progress.skip(shard.count)
            continue
        recorder = Recorder(recording, wanted, shard.seeds, neural=recording.info.neural)
        ClosedLoop(env, agent, [recorder]).run_episodes(shard.seeds, shard.seed)
        progress.advance(shard.count)


def missing_rows(recording: Recording, shards: Sequence[Shard]) -> Iterator[list[int | None]]:
    """For each shard the episode numbers of its rows, None of those that do not count or are recorded already."""
    first = 0
    for shard in shards:
        numbers = range(first, first + len(shard.seeds))
        yield [n if n < first + shard.count and not recording.is_sound(n) else None for n in numbers]
        first += len(shard.seeds)
