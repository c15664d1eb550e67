"""Options of a learning rule, given beside those of a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import parse_options

DEFAULT = "default"
"""Value of an option that is left to the rule."""


def over_preset(preset: SporeConfig, rule: str, given: Mapping[str, Any]) -> tuple[str, ...]:
    """What `rule_options` says when options are given to `rule`: its preset's otherwise, of another rule no others."""
    options = {**parse_options(preset.rule_options), **given} if rule == preset.rule else given
    return tuple(f"{name}={value!r}".replace(" ", "") for name, value in options.items() if value != DEFAULT)
