"""Run folders, and trained controllers loaded from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import registry
from .checkpoint import Checkpoints
from .checks import checked_first, checked_integer, checked_path
from .config import TrainConfig, to_json, train_config_from_json
from .contracts import Agent, Observation, Spaces, map_observation
from .errors import DamagedFileError, FormatVersionError, NeuroctlError
from .metrics import read_metrics
from .storage import atomic_write, encode_tree, is_unused, read_json
from .vector import make_env, spaces_of
from .versions import versions

FORMAT = 1


class Run:
    """A run folder: `config.json`, `metrics.jsonl`, TensorBoard events, `checkpoints/`, `data/`, `report.html`.

    Args:
        path: an existing run folder; see `create`.

    Raises:
        NeuroctlError: there is no run.
        FormatVersionError: written by a newer version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = checked_path("a run folder", path)
        if not (self.path / "config.json").is_file():
            raise NeuroctlError(f"no run at {self.path}: it holds no config.json")
        content = read_json(self.path / "config.json")
        keys = {"format", "config", "versions"}
        if not isinstance(content, dict) or not keys <= content.keys() or not isinstance(content["format"], int):
            raise DamagedFileError(f"{self.path / 'config.json'} is damaged: it needs format, config and versions")
        if content["format"] > FORMAT:
            raise FormatVersionError(
                f"{self.path} has run format {content['format']}; this neuroctl reads up to {FORMAT}: update it"
            )
        self.config = train_config_from_json(content["config"])
        self.versions: dict[str, str] = content["versions"]
        self.checkpoints = Checkpoints(self.path / "checkpoints", self.config.keep_checkpoints)

    @classmethod
    def create(cls, config: TrainConfig, out: Path | None = None) -> Run:
        """Make the folder (`runs/<preset>/<timestamp>-s<seed>` by default) and write the configuration.

        Raises:
            NeuroctlError: the folder is in use, or the configuration could not be read back (its preset is unknown).
        """
        written = to_json(config)
        try:
            read = json.loads(json.dumps(written))
        except (TypeError, ValueError) as error:
            raise NeuroctlError(f"this configuration cannot be written as JSON: {error}") from None
        if train_config_from_json(read) != config:
            raise NeuroctlError(
                f"this configuration cannot be written as one of preset {config.preset!r}; with an environment or "
                "agent of another kind it needs a registered preset of its own (CONTRIBUTING.md)"
            )
        stamp = time.strftime("%Y%m%d-%H%M%S")
        path = out or Path("runs") / config.preset / f"{stamp}-s{config.seed}"
        if not is_unused(path):
            go_on = f", or go on with --resume {path}" if (path / "config.json").is_file() else ""
            raise NeuroctlError(f"{path} is not empty; choose another --out{go_on}")
        path.mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, "config": written, "versions": versions()}
        atomic_write(path / "config.json", json.dumps(content, indent=1))
        return cls(path)

    def metrics(self) -> list[dict[str, float]]:
        """The lines of `metrics.jsonl`."""
        return read_metrics(self.path)

    def environment(self) -> tuple[str, dict[str, Any]]:
        """Id and options of the environment that the policy is evaluated in."""
        return self.config.env.id, self.config.evaluation_kwargs()


def make_agent(config: TrainConfig, spaces: Spaces, dataset: Any = None) -> Agent:
    """The agent of a configuration, with initial weights from its seed."""
    agent_class = registry.agents.load(config.agent.name)
    agent: Agent = agent_class(config.agent, spaces, seed=config.seed, device=config.device, dataset=dataset)
    return agent


def environment_spaces(config: TrainConfig) -> Spaces:
    """The spaces of the training environment."""
    env = make_env(config.env.id, 1, config.env.kwargs())
    spaces = spaces_of(env)
    env.close()
    return spaces


def agent_with(config: TrainConfig, spaces: Spaces, state: Mapping[str, Any]) -> Agent:
    """An agent on the CPU with the learned state `state`, ready to act but not to learn on."""
    agent = make_agent(dataclasses.replace(config, device="cpu"), spaces)
    try:
        agent.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        detail = str(error).strip().splitlines()[-1].strip()
        raise NeuroctlError(f"the checkpoint does not fit its configuration: {detail}") from None
    return agent


def tree_hash(tree: Any) -> str:
    """SHA-256 over nested state: structure, dtypes, shapes and bits."""
    arrays: dict[str, NDArray[Any]] = {}
    digest = hashlib.sha256(json.dumps(encode_tree(tree, arrays)).encode())
    for key, array in arrays.items():
        digest.update(f"{key}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class Controller:
    """A trained controller outside the loop: `controller.act(obs)` is all it takes.

    The recurrent state is kept between calls; `reset` (or `first=True`) begins a new episode.

    Attributes:
        config: the configuration it was trained with.
        spaces: spaces of one observation and one action.
    """

    def __init__(self, agent: Agent, config: TrainConfig, spaces: Spaces) -> None:
        self.agent = agent
        self.config = config
        self.spaces = spaces
        self._width = 0

    def reset(self) -> None:
        """The next observation is the first of an episode."""
        self._width = 0

    def act(self, obs: Observation, first: bool | NDArray[np.bool_] = False) -> NDArray[Any]:
        """Action for one observation, or `[B, ...]` actions for `[B, ...]` observations.

        Args:
            obs: one observation of `spaces.observation`, or a batch.
            first: an episode begins with this observation; `[B]` for a batch.

        Raises:
            NeuroctlError: the observation has another shape or other values than the controller was trained on, or
                `first` is no truth value, nor one for each observation.
        """
        single, width = _batch(obs, self.spaces.observation)
        batched = map_observation(_add_axis, obs) if single else obs
        _check_values(batched, self.spaces.observation)
        mask = checked_first(first, width)
        if width != self._width:
            self.agent.begin(width, self.config.seed)
            self._width, mask = width, checked_first(True, width)
        action = self.agent.act(batched, mask)
        return action[0] if single else action


def _batch(obs: Observation, space: gym.Space[Any]) -> tuple[bool, int]:
    """Whether `obs` is a single observation, and the batch width."""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(obs, dict) or not obs.keys() >= space.spaces.keys():
            raise NeuroctlError(f"the observation must be a dict with {', '.join(map(str, space.spaces))}")
        found = {_batch(obs[key], part) for key, part in space.spaces.items()}
        if len(found) > 1:
            raise NeuroctlError("the parts of the observation are batches of different width")
        return found.pop()
    try:
        shape = np.shape(obs)
    except ValueError:
        raise NeuroctlError("the observation is ragged: its rows have different lengths") from None
    expected = space.shape or ()
    if shape == expected:
        return True, 1
    if shape[1:] == expected and len(shape) == len(expected) + 1 and shape[0] > 0:
        return False, shape[0]
    raise NeuroctlError(f"observation has shape {shape}; expected {expected} or (B, {', '.join(map(str, expected))})")


def _add_axis(part: ArrayLike) -> NDArray[Any]:
    return np.asarray(part)[None]


def _check_values(obs: Observation, space: gym.Space[Any]) -> None:
    """Refuse observations that are not finite numbers within the bounds of the space.

    Raises:
        NeuroctlError: says the value and what is allowed.
    """
    if isinstance(space, gym.spaces.Dict):
        for key, part in space.spaces.items():
            _check_values(obs[key], part)
        return
    array = np.asarray(obs)
    if array.dtype.kind not in "fiub":
        raise NeuroctlError(f"observation has dtype {array.dtype}; expected numbers such as {space.dtype}")
    if not np.isfinite(array).all():
        raise NeuroctlError("the observation is not finite (NaN or infinity)")
    if isinstance(space, gym.spaces.Box) and (array.min() < space.low.min() or array.max() > space.high.max()):
        low, high = space.low.min(), space.high.max()
        raise NeuroctlError(f"observation lies in [{array.min()}, {array.max()}]; trained on values in [{low}, {high}]")


def load(path: str | Path, checkpoint: str | int = "latest", member: int = 0) -> Controller:
    """The trained controller of a run.

    Args:
        path: run folder.
        checkpoint: `"latest"`, `"best"` or a step.
        member: which agent, of a run that trained a population.

    Raises:
        NeuroctlError: there is no such run, checkpoint or member.
    """
    run = Run(path)
    _, trees = run.checkpoints.load(checkpoint)
    agent, state = registry.agents.load(run.config.agent.name), trees["agent"]
    member = checked_integer("member", member, 0, agent.members(state) - 1)
    spaces = environment_spaces(run.config)
    return Controller(agent_with(run.config, spaces, agent.member_state(state, member)), run.config, spaces)
