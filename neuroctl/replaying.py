"""Replay: recorded actions through the rebuilt environment, recorded observations through the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contracts import Agent, Observation, map_observation
from .episode_codec import flatten
from .errors import DamagedFileError, NeuroctlError
from .learning import repeat_learning
from .progress import NoProgress, Progress
from .recorder import model_hash
from .recording import DatasetInfo, Episode, Recording
from .rollouts import Player, find_player, one_thread, shard_seed
from .vector import Vector, can_restore, current_obs, get_state, make_env, set_state

MODES = ("physics", "policy")


@dataclass(frozen=True)
class Difference:
    """The first place where a replay left the recording.

    Attributes:
        episode: number of the episode.
        step: control step in it, from 0.
        field: `obs`, `reward`, `terminated`, `truncated`, `action` or `state/...`.
        detail: recorded and replayed value.
    """

    episode: int
    step: int
    field: str
    detail: str

    def __str__(self) -> str:
        return f"episode {self.episode} differs first at step {self.step} in {self.field}: {self.detail}"


@dataclass(frozen=True)
class Replay:
    """Outcome of a replay.

    Attributes:
        exact: numbers of the episodes that replayed bit for bit.
        differences: one for each episode that did not.
        damaged: one line for each episode that could not be read.
        notes: what of the model, software or processor differs from when the recording was made.
    """

    exact: list[int]
    differences: list[Difference]
    damaged: list[str]
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Every episode was read and is exact."""
        return not self.differences and not self.damaged


def replay(
    dataset: str | Path,
    *,
    mode: str = "physics",
    episodes: Sequence[int] | None = None,
    source: str | Path | None = None,
    checkpoint: str | int | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replay a recording and compare bit for bit.

    Args:
        dataset: folder of the recording.
        mode: `"physics"`: recorded actions through the rebuilt environment and shift stack; `"policy"`: recorded
            observations through the policy at the recorded width, comparing actions; an agent that learned while it
            was recorded repeats its updates.
        episodes: numbers; all by default.
        source: run folder of the policy; the one that was recorded by default.
        checkpoint: of that run; the recorded one by default, the latest of another `source`.
        progress: told of each episode.

    Raises:
        NeuroctlError: no such recording, episode or mode, a recording that was not made by a policy, or a policy that
            is given where none plays.
    """
    if mode not in MODES:
        raise NeuroctlError(f"unknown replay mode {mode!r}; modes: {', '.join(MODES)}")
    for name, given in (("source", source), ("checkpoint", checkpoint)):
        if mode == "physics" and given is not None:
            raise NeuroctlError(f"{name} has no effect in mode physics: no policy plays")
    recording = Recording(dataset)
    numbers = recording.numbers() if episodes is None else list(episodes)
    if not numbers:
        raise NeuroctlError(f"{recording.path} holds no episodes" if episodes is None else "no episodes are asked for")
    unknown = [n for n in numbers if n not in recording.index]
    if unknown:
        recording.arrays(unknown[0])
    progress = progress or NoProgress()
    if mode == "physics":
        return _replay_physics(recording, numbers, progress)
    if checkpoint is None:
        recorded = recording.info.checkpoint if source is None else None
        checkpoint = "latest" if recorded is None else recorded
    player, _ = find_player(source or recording.info.agent, checkpoint, recording.info.member)
    return _replay_policy(recording, numbers, player, progress)


def _readable(
    recording: Recording, numbers: Sequence[int], damaged: list[str], progress: Progress
) -> Iterator[Episode]:
    for number in numbers:
        try:
            yield recording.episode(number)
        except DamagedFileError as error:
            damaged.append(str(error))
        progress.advance(1)


def _replay_physics(recording: Recording, numbers: Sequence[int], progress: Progress) -> Replay:
    info = recording.info
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    strays = [f"{name} is in the folder but not in the index" for name in recording.unindexed()]
    notes = [*_model_note(info), *recording.version_differences(), *strays]
    if info.learning:
        lost = [n for n in numbers if not recording.has_learning_state(n)]
        notes += [f"the learning state of episode {n} is missing or damaged: --policy cannot repeat it" for n in lost]
    exact, differences, damaged = [], [], list(recording.damaged_lines)
    try:
        for episode in _readable(recording, numbers, damaged, progress):
            difference = compare_physics(env, episode, info.state_every)
            if difference is None:
                exact.append(episode.number)
            else:
                differences.append(difference)
    finally:
        env.close()
    return Replay(exact, differences, damaged, notes)


def _model_note(info: DatasetInfo) -> list[str]:
    """What to say when the simulator's models, of as many rows as were recorded, are others here."""
    if not info.model_hash:
        return []
    env = make_env(info.env_id, info.width, info.env_kwargs, info.shifts)
    here = model_hash(env)
    env.close()
    same = here in ("", info.model_hash)
    return [] if same else [f"the model differs: recorded {info.model_hash[:12]}, here {here[:12]}"]


def start_episode(env: Vector, episode: Episode) -> Any:
    """Bring a one-row environment to the recorded start; its first observation."""
    obs, _ = env.reset(seed=[int(episode.info["seed"])])  # type: ignore[arg-type]
    if episode.states and can_restore(env):
        set_state(env, np.arange(1), _snapshot(episode, 0))
        obs = current_obs(env)
    return obs


def _snapshot(episode: Episode, index: int) -> dict[str, NDArray[Any]]:
    return {key: value[index : index + 1] for key, value in episode.states.items()}


def compare_physics(env: Vector, episode: Episode, state_every: int) -> Difference | None:
    """Play the recorded actions in a one-row environment; the first difference, or None."""
    obs = start_episode(env, episode)
    for step in range(len(episode)):
        if episode.states and step % state_every == 0:
            recorded = flatten("state", _snapshot(episode, step // state_every))
            found = _compare(episode, step, recorded, flatten("state", get_state(env)))
            if found:
                return found
        found = _compare(episode, step, _obs_at(episode, step), flatten("obs", obs))
        if found:
            return found
        obs, reward, terminated, truncated, info = env.step(episode.action[step : step + 1])
        last = step == len(episode) - 1
        ended = {"terminated": episode.terminated and last, "truncated": episode.truncated and last}
        recorded_outcome = {"reward": episode.reward[step : step + 1], **{k: np.array([v]) for k, v in ended.items()}}
        outcome = {"reward": reward.astype(np.float64), "terminated": terminated, "truncated": truncated}
        found = _compare(episode, step, recorded_outcome, outcome)
        if found:
            return found
    return _compare(episode, len(episode), _obs_at(episode, len(episode)), flatten("obs", info["final_obs"]))


def _obs_at(episode: Episode, step: int) -> dict[str, NDArray[Any]]:
    return {key: value[step : step + 1] for key, value in flatten("obs", episode.obs).items()}


def _compare(
    episode: Episode, step: int, recorded: dict[str, NDArray[Any]], replayed: dict[str, NDArray[Any]]
) -> Difference | None:
    """The first field whose bits differ."""
    for name, value in recorded.items():
        other = replayed.get(name)
        if other is None:
            return Difference(episode.number, step, name, "the environment here has no such field")
        if value.shape != other.shape or value.dtype != other.dtype:
            detail = f"recorded {value.dtype} {value.shape}, replayed {other.dtype} {other.shape}"
            return Difference(episode.number, step, name, detail)
        if np.ascontiguousarray(value).tobytes() != np.ascontiguousarray(other).tobytes():
            return Difference(episode.number, step, name, _first_difference(value, other))
    return None


def _first_difference(recorded: NDArray[Any], replayed: NDArray[Any]) -> str:
    bits = [np.ascontiguousarray(a).reshape(-1, 1).view(np.uint8) for a in (recorded, replayed)]
    place = int(np.flatnonzero((bits[0] != bits[1]).any(axis=1))[0])
    old, new = recorded.reshape(-1)[place], replayed.reshape(-1)[place]
    return f"element {place}: recorded {old!r}, replayed {new!r}"


def _replay_policy(recording: Recording, numbers: Sequence[int], player: Player, progress: Progress) -> Replay:
    info = recording.info
    if player.config is None:
        raise NeuroctlError(f"{recording.path} was recorded by {info.agent!r}, which is no policy; use mode physics")
    notes = recording.version_differences()
    if info.policy_hash != player.policy_hash():
        if info.learning:
            raise NeuroctlError(
                f"{player.name} is not the policy that was recorded: an agent that learned is replayed from its own "
                f"checkpoint ({info.checkpoint} of {info.agent})"
            )
        notes.insert(0, f"the policy differs: recorded {info.policy_hash[:12]}, here {player.policy_hash()[:12]}")
    env = make_env(info.env_id, 1, info.env_kwargs)
    exact, differences, damaged = [], [], list(recording.damaged_lines)
    with one_thread():
        agent = player.make(env)
        for episode in _readable(recording, numbers, damaged, progress):
            try:
                actions = _actions_again(agent, recording, episode)
            except DamagedFileError as error:
                damaged.append(f"episode {episode.number}: {error}")
                continue
            difference = None
            for step in range(len(episode)):
                recorded = {"action": episode.action[step]}
                difference = _compare(episode, step, recorded, {"action": actions[step]})
                if difference:
                    differences.append(difference)
                    break
            if difference is None:
                exact.append(episode.number)
    env.close()
    return Replay(exact, differences, damaged, notes)


def _actions_again(agent: Agent, recording: Recording, episode: Episode) -> NDArray[Any]:
    """The policy's actions `[T, ...]` for the recorded observations."""
    info = recording.info
    seed = shard_seed(info.seed, episode.number // info.width)
    if info.learning:
        return repeat_learning(agent, episode, recording.learning_state(episode.number), seed)
    return _recompute(agent, episode, info.width, seed)


def _recompute(agent: Agent, episode: Episode, width: int, seed: int) -> NDArray[Any]:
    """The policy's actions for the recorded observations, in the recorded row of a batch of the recorded width."""
    row = int(episode.info["row"])
    agent.begin(width, seed)
    actions = []
    for step in range(len(episode)):
        batch = _in_row(episode.obs, step, row, width)
        actions.append(agent.act(batch, np.full(width, step == 0))[row])
    return np.stack(actions)


def _in_row(obs: Observation, step: int, row: int, width: int) -> Observation:
    """The observation of one step in one row of a batch `[width, ...]` of zeros."""

    def place(part: NDArray[Any]) -> NDArray[Any]:
        batch = np.zeros((width, *part.shape[1:]), dtype=part.dtype)
        batch[row] = part[step]
        return batch

    return map_observation(place, obs)
