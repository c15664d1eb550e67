"""What a sweep varies: options of a configuration, each over a range or a list."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .config import TrainConfig, parse_options, to_json, train_config_from_json
from .errors import DamagedFileError, NeuroctlError, UnknownNameError
from .training_checks import checked_agent

FIXED = ("seed", "preset", "steps", "checkpoint_every", "keep_checkpoints")
"""Options that cannot vary."""


@dataclass(frozen=True)
class Axis:
    """An option and its values: those of `choices`, or from `low` to `high`.

    Attributes:
        name: of the option, such as `agent.learning_rate`.
        choices: values; empty for a range.
        low, high: bounds, both included; whole numbers where both are integers.
        log: uniform in the logarithm.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def values(self) -> tuple[Any, ...]:
        """Those at which a configuration is checked: all of a list, the bounds of a range."""
        return self.choices or (self.low, self.high)

    def suggest(self, trial: Any) -> Any:
        """A value, from an Optuna trial."""
        if self.choices:  # Optuna keeps plain values only
            return self.choices[trial.suggest_categorical(self.name, list(range(len(self.choices))))]
        suggest = trial.suggest_int if isinstance(self.low, int) and isinstance(self.high, int) else trial.suggest_float
        return suggest(self.name, self.low, self.high, log=self.log)


def parse_axis(text: str) -> Axis:
    """`agent.rank=1,4,16`, `agent.learning_rate=log:1e-4..1e-2` or `agent.hidden_size=16..64`.

    Raises:
        NeuroctlError: another form, bounds that are no numbers or in the wrong order.
    """
    name, equals, values = text.partition("=")
    allowed = f"{name or 'NAME'}=A,B,..., {name or 'NAME'}=LOW..HIGH or {name or 'NAME'}=log:LOW..HIGH"
    if not equals or not name or not values:
        raise NeuroctlError(f"cannot vary {text!r}; allowed: {allowed}")
    log = values.startswith("log:")
    low, _, high = values.removeprefix("log:").partition("..")
    bounds = [parse_options([f"value={bound}"])["value"] for bound in (low, high)]
    if not all(type(bound) in (int, float) for bound in bounds):  # a path may hold two dots
        if log:
            raise NeuroctlError(f"cannot vary {text!r}; allowed: {allowed}")
        return Axis(name, choices=tuple(parse_options([f"value={part}"])["value"] for part in _split(values)))
    if not all(map(math.isfinite, bounds)) or not bounds[0] < bounds[1] or (log and bounds[0] <= 0):
        least = "0 < LOW < HIGH" if log else "numbers, LOW < HIGH"
        raise NeuroctlError(f"cannot vary {text!r}; a range needs {least}")
    return Axis(name, low=bounds[0], high=bounds[1], log=log)


def _split(text: str) -> list[str]:
    """At commas that are in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def with_values(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """The configuration with other values of options, by names such as `agent.rank`.

    Raises:
        UnknownNameError: there is no such option.
        NeuroctlError: a value is of the wrong kind or out of range.
    """
    content = to_json(config)
    known = sorted(_names(content))
    for name, value in values.items():
        if name not in known:
            raise UnknownNameError("option", name, known)
        *path, last = name.split(".")
        part = content
        for key in path:
            part = part[key]
        part[last] = to_json(value)
    try:
        return train_config_from_json(content)
    except DamagedFileError as error:
        raise NeuroctlError(str(error).removeprefix("config.")) from None


def _names(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Of all options, those in parts of the configuration with the part's name before."""
    return [
        leaf
        for key, value in content.items()
        for leaf in (_names(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"])
    ]


def check_axes(config: TrainConfig, axes: Sequence[Axis]) -> None:
    """Refuse options that do not exist or cannot have such values.

    Raises:
        NeuroctlError: names the option; also when one is given twice, none is, or it is the seed.
    """
    if not axes:
        raise NeuroctlError("nothing varies: name at least one option, such as agent.learning_rate=log:1e-4..1e-2")
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise NeuroctlError(f"{name} is varied twice")
        if name in FIXED:
            raise NeuroctlError(f"{name} cannot be varied: it is the same in all trials of a sweep")
    for axis in axes:
        for value in axis.values():
            checked_agent(with_values(config, {axis.name: value}))
