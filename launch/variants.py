"""Variants of an experiment: lists of changes, read and written."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from neuroctl.config import TrainConfig, parse_options
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.launch.rule_options import DEFAULT, over_preset

SAME = "the preset"
"""What a variant without changes is called."""


def varied(config: TrainConfig, variant: str) -> TrainConfig:
    """An experiment under a list of changes.

    Raises:
        NeuroctlError: no such option, or a value that it does not take.
    """
    made: Any = config
    changes: dict[str, dict[str, Any]] = {"agent": {}, "env": {}, "rule": {}}
    for text in variant.split():
        part, dot, _ = text.partition("=")[0].rpartition(".")
        if dot and part not in ("rule", "env"):
            raise UnknownNameError("part of an experiment", part, ("rule", "env"))
        given = parse_options((text.removeprefix(f"{part}."),))
        if repeated := given.keys() & changes[part or "agent"].keys():
            raise NeuroctlError(f"option {repeated.pop()!r} is given twice in variant {variant!r}")
        changes[part or "agent"] |= given
    said = over_preset(made.agent, changes["agent"].get("rule", made.agent.rule), changes["rule"])
    varied_config: TrainConfig = replace(
        made,
        agent=_replaced(made.agent, {**changes["agent"], "rule_options": said}),
        env=_replaced(made.env, changes["env"]),
    )
    return varied_config


def _replaced(config: Any, changes: dict[str, Any]) -> Any:
    names = tuple(field.name for field in fields(config))
    for name in changes:
        if name not in names:
            raise UnknownNameError(f"option of {type(config).__name__}", name, names)
    return replace(config, **changes)


def differences(config: TrainConfig, preset: TrainConfig) -> str:
    """The variant that makes a preset into another experiment, as `varied` reads it; `SAME` where they agree."""
    ours, theirs = _options(config), _options(preset)
    changed = [f"{name}={ours.get(name, DEFAULT)}" for name in ours | theirs if ours.get(name) != theirs.get(name)]
    return " ".join(changed).replace(", ", ",") or SAME


def _options(config: Any) -> dict[str, Any]:
    """Every option of an experiment that a variant may change, by the name it has there."""
    agent = {field.name: getattr(config.agent, field.name) for field in fields(config.agent)}
    rule = parse_options(agent.pop("rule_options"))
    env = {field.name: getattr(config.env, field.name) for field in fields(config.env)}
    return agent | {f"rule.{n}": v for n, v in rule.items()} | {f"env.{n}": v for n, v in env.items()}
