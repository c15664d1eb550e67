"""What the studies share: trainings and evaluations that are done once and kept, and table cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from neuroctl.config import TrainConfig, parse_options, to_json
from neuroctl.contracts import Listener
from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import shown
from neuroctl.run import Run
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write, read_json
from neuroctl.training import EPISODES

EVALUATION_SEED = 0
OF_NO_CONCERN = ("keep_checkpoints", "log_every", "demonstrations.path")
"""Fields of a configuration that change nothing of what a run learns."""
NONE_MEANS = {"demonstrations.episodes": EPISODES}
"""Fields whose value may be left out or said."""


class Option(NamedTuple):
    """What a program calls a field of the configuration."""

    name: str
    """On the command line."""
    unit: int = 1
    """What one of it is in the field."""
    given: bool = True
    """Whether a value was asked for; if not, a run that is there may have another one."""


NOT_NAMED: Mapping[str, Option] = {}


def train_once(config: TrainConfig, path: Path, demonstrations: Path) -> None:
    """Train a policy into `path` unless that is done; one that was interrupted goes on.

    Args:
        config: the experiment, its seed, steps and number of demonstrations included.
        path: run folder.
        demonstrations: recording of the expert, made if it is not there; policies of one seed share it.
    """
    learner = learning_from(config, demonstrations)
    if not is_trained(learner, path):
        record_once(config, demonstrations)
    train_or_go_on(learner, path)


def learning_from(config: TrainConfig, demonstrations: Path) -> TrainConfig:
    """The experiment as it learns from a recording that was made before; shifts were the recording's."""
    return replace(config, demonstrations=replace(config.demonstrations, path=demonstrations, shifts=()))


def record_once(config: TrainConfig, demonstrations: Path) -> None:
    """Record the expert for an experiment into `demonstrations`, or what is missing there."""
    from neuroctl import record

    source = config.demonstrations
    episodes = source.episodes or EPISODES
    with shown(f"demonstrations {demonstrations}", episodes, "episodes") as progress:
        record(
            "expert",
            demonstrations,
            episodes=episodes,
            seed=config.seed,
            env_id=config.env.id,
            env_kwargs=config.env.kwargs(),
            shifts=source.shifts,
            progress=progress,
        )


def train_or_go_on(
    config: TrainConfig, path: Path, listeners: Sequence[Listener] = (), options: Mapping[str, Option] = NOT_NAMED
) -> None:
    """Train into `path` unless that is done; a run that was interrupted goes on.

    Args:
        config: the experiment.
        path: run folder.
        listeners: watch the loop of an agent that learns in it.
        options: of the program, by the field that they set.

    Raises:
        NeuroctlError: the folder holds another experiment.
    """
    from neuroctl import train

    if is_trained(config, path, options):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"{path}\n")
    if (path / "config.json").exists():
        train(resume=path, progress=shown, listeners=listeners)
    else:
        train(config, out=path, progress=shown, listeners=listeners)


def is_trained(config: TrainConfig, path: Path, options: Mapping[str, Option] = NOT_NAMED) -> bool:
    """Whether `path` holds a run of this experiment that has come to its end.

    Args:
        config: the experiment.
        path: run folder.
        options: of the program, by the field that they set.

    Raises:
        NeuroctlError: the folder holds another experiment; says the first field that differs and both values.
    """
    if not (path / "config.json").exists():
        return False
    there = Run(path).config
    refuse_another(path, to_json(there), to_json(config), options)
    return (path / "checkpoints" / f"{there.steps:09d}").exists()


def refuse_another(
    path: Path, there: Mapping[str, Any], asked: Mapping[str, Any], options: Mapping[str, Option] = NOT_NAMED
) -> None:
    """Raise unless the configuration of a run is the one that is asked for; both are nested dicts.

    Raises:
        NeuroctlError: says the folder, the first field that differs and both values.
    """
    found, wanted = dict(_fields(there)), dict(_fields(asked))
    for field in wanted | found:
        option = options.get(field, Option(field))
        here, wish = (fields.get(field, "default") for fields in (found, wanted))
        if here != wish and option.given and field not in OF_NO_CONCERN:
            if option.unit != 1:
                here, wish = (f"{value / option.unit:.12g}" for value in (here, wish))
            raise NeuroctlError(f"{path} holds a run with {option.name} {here}, asked is {wish}; choose another --out")


def _fields(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested dicts as `part.field`; those of options are compared as values, not as text."""
    for key, value in content.items():
        if key.endswith("_options"):
            value = parse_options(value)
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", NONE_MEANS.get(f"{prefix}{key}") if value is None else value


def evaluate_once(
    path: Path,
    source: str | Path,
    env_id: str,
    env_kwargs: Mapping[str, Any],
    *,
    episodes: int,
    shifts: Sequence[str] = (),
) -> None:
    """Evaluate a run or a scripted agent into the JSON file `path` unless it is there."""
    from neuroctl import evaluate

    if path.exists():
        return
    result = evaluate(
        source, episodes=episodes, seed=EVALUATION_SEED, shifts=shifts, env_id=env_id, env_kwargs=env_kwargs
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(result.summary()))


def values_of(paths: Sequence[Path], name: str) -> list[float]:
    """The number `name` of each evaluation that was made."""
    return [float(read_json(path)[name]) for path in paths if path.exists()]


def cell(values: Sequence[float], unit: float, seeds: int) -> str:
    """Mean and every seed, as percentages of `unit`."""
    if not values:
        return "not run"
    share = [100 * v / unit for v in values]
    points = " ".join(f"{v:.1f}" for v in share)
    note = "" if len(values) == seeds else f" ({len(values)} of {seeds} seeds)"
    return f"{np.mean(share):.1f} ({points}){note}"


def interval(values: Sequence[float]) -> str:
    """The 95 % bootstrap interval of the mean over seeds, in per cent."""
    if not values:
        return ""
    found = stratified_bootstrap([100 * value for value in values], lambda scores: float(scores.mean()))
    return f"{found.low:.1f} to {found.high:.1f}"
