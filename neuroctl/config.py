"""Configuration: frozen dataclasses. The docstring under a field is its help text on the command line."""

from __future__ import annotations

import ast
import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from . import registry
from .checks import checked_integer, shown
from .errors import DamagedFileError, NeuroctlError


@dataclass(frozen=True)
class EnvConfig:
    """Which environment. Subclasses add the environment's own options as typed fields."""

    id: str
    """Gymnasium id."""

    def kwargs(self) -> dict[str, Any]:
        """The options handed to the environment: every field but `id`."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "id"}


@dataclass(frozen=True)
class AgentConfig:
    """Which agent. Subclasses add the agent's own options as typed fields."""

    name: str
    """Registered name of the agent."""


@dataclass(frozen=True)
class DemonstrationsConfig:
    """Where an imitation learner's data come from."""

    path: Path | None = None
    """A recording to learn from; when absent, the scripted expert is recorded into the run folder first."""
    episodes: int | None = None
    """Episodes to record (60 when absent), or to use of the recording at path (all when absent)."""
    shifts: tuple[str, ...] = ()
    """Shifts under which the expert is recorded, such as action-noise:3, so that it shows recoveries; of no concern
    with path."""
    dagger_every: int = 0
    """Gradient steps between two rounds of DAgger (Ross et al. 2011, arXiv 1011.0686); 0 is plain cloning."""
    dagger_episodes: int = 16
    """Episodes the policy plays, labelled by the expert, in a round of DAgger."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        for name, least in (("episodes", 1), ("dagger_every", 0), ("dagger_episodes", 1)):
            if getattr(self, name) is not None:
                checked_integer(f"demonstrations.{name}", getattr(self, name), least)


@dataclass(frozen=True)
class TrainConfig:
    """An experiment. `config.json` of a run holds exactly this."""

    env: EnvConfig
    """The robot and its task."""
    agent: AgentConfig
    """Policy and learner."""
    preset: Annotated[str, tyro.conf.Suppress] = ""
    """Name of the preset this started from; loading a run starts from it again."""
    demonstrations: DemonstrationsConfig = field(default_factory=DemonstrationsConfig)
    """Data of an imitation learner."""
    evaluation_options: tuple[str, ...] = ()
    """Environment options that differ in evaluation, such as track_seeds=(1000,1100) for held-out roads."""
    seed: int = 0
    """Root seed: data, initial weights, batches, everything."""
    steps: int = 1000
    """Environment steps; gradient steps for imitation."""
    num_envs: int | None = None
    """Environments that step together while an agent learns in the loop; 16 when absent."""
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    keep_checkpoints: int = 3
    """How many of the newest checkpoints to keep; the best is kept besides."""
    evaluate_every: int = 0
    """Steps between evaluations (16 episodes); 0 is never. The best return decides the best checkpoint."""
    num_threads: int = 1
    """Threads of the learner; recorded, because sums differ in the last bits between thread counts."""
    device: str = "cpu"
    """Torch device of the learner."""
    weight_lag: int | None = None
    """Collect rollouts in shards of 16 rows, on as many workers as are given, with weights that are so many updates
    old; when absent, all rows act in one loop with those of now."""
    warm_start: Path | None = None
    """A run whose policy parameters this run starts from."""

    def evaluation_kwargs(self) -> dict[str, Any]:
        """Options of the environment that the policy is evaluated in."""
        return {**self.env.kwargs(), **parse_options(self.evaluation_options)}

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        parse_options(self.evaluation_options)
        for name in ("steps", "num_envs", "log_every", "checkpoint_every", "keep_checkpoints", "num_threads"):
            if getattr(self, name) is not None or name != "num_envs":
                checked_integer(name, getattr(self, name), 1)
        checked_integer("seed", self.seed, 0, 2**63 - 1)
        checked_integer("evaluate_every", self.evaluate_every, 0)
        if self.weight_lag is not None:
            checked_integer("weight_lag", self.weight_lag, 0, 100)


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """`("blackout_s=0.5", "camera=far")` as `{"blackout_s": 0.5, "camera": "far"}`.

    Values are Python literals, in which `nan` and `inf` are numbers; what is none is a string.

    Raises:
        NeuroctlError: not of the form `name=value`, or a name that is given twice.
    """
    parsed: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or not name.isidentifier():
            raise NeuroctlError(f"option {option!r} is not of the form name=value")
        if name in parsed:
            raise NeuroctlError(f"option {name!r} is given twice: {shown(parsed[name])} and {text}")
        parsed[name] = _literal(text)
    return parsed


class _NameNumbers(ast.NodeTransformer):
    """Turns the names `nan` and `inf` into the numbers, for which Python has no literals."""

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802 - the name decides what is visited
        """The number, or the name as it was."""
        return ast.Constant(float(node.id)) if node.id.lower() in ("nan", "inf", "infinity") else node


def _literal(text: str) -> Any:
    """The Python literal `text`, or else `text` itself."""
    try:
        return ast.literal_eval(_NameNumbers().visit(ast.parse(text.lstrip(" \t"), mode="eval")))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval may raise
        return text


def to_json(value: Any) -> Any:
    """A dataclass as nested dicts and lists that JSON can hold; numbers of numpy become Python's."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def train_config_from_json(content: Mapping[str, Any]) -> TrainConfig:
    """The configuration that `to_json` wrote; types come from the preset it names, never from the file.

    Raises:
        UnknownNameError: its preset is not registered here.
        DamagedFileError: a field does not exist or has a value of the wrong kind.
    """
    default: TrainConfig = registry.presets.load(str(content.get("preset", "")))()
    result = _like(default, content, "config")
    assert isinstance(result, TrainConfig)
    return result


def _like(default: Any, content: Mapping[str, Any], where: str) -> Any:
    """A dataclass of the type of `default` with the values of `content`."""
    hints = typing.get_type_hints(type(default))  # Annotated is stripped
    names = {f.name for f in dataclasses.fields(default)}
    unknown = sorted(set(content) - names)
    if unknown:
        raise DamagedFileError(f"{where} has no option {unknown[0]!r}; options: {', '.join(sorted(names))}")
    values = {k: _value(getattr(default, k), hints[k], v, f"{where}.{k}") for k, v in content.items()}
    return dataclasses.replace(default, **values)


def _value(default: Any, hint: Any, content: Any, where: str) -> Any:
    """`content` as a value of type `hint`."""
    if isinstance(content, Mapping) and dataclasses.is_dataclass(default):
        return _like(default, content, where)
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    for option in typing.get_args(hint) if is_union else (hint,):
        origin, parts = typing.get_origin(option) or option, typing.get_args(option)
        if origin is Any or (origin is typing.Literal and content in parts):
            return content
        if origin is Path and isinstance(content, str):
            return Path(content)
        if origin is tuple and isinstance(content, list):
            kinds = parts[:1] * len(content) if parts[1:] == (...,) else parts
            if len(kinds) == len(content):
                pairs = enumerate(zip(kinds, content, strict=True))
                return tuple(_value(None, kind, part, f"{where}[{n}]") for n, (kind, part) in pairs)
        if isinstance(origin, type) and type(content) is origin:
            return content
        if origin is float and type(content) is int:
            return float(content)
    raise DamagedFileError(f"{where} is {content!r}, which is not of type {getattr(hint, '__name__', hint)}")
