"""What the studies share: trainings and evaluations that are done once and kept, and table cells."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroctl.config import TrainConfig
from neuroctl.contracts import Listener
from neuroctl.launch.program import shown
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write, read_json
from neuroctl.training import EPISODES

EVALUATION_SEED = 0


def train_once(config: TrainConfig, path: Path, demonstrations: Path) -> None:
    """Train a policy into `path` unless that is done; one that was interrupted goes on.

    Args:
        config: the experiment, its seed, steps and number of demonstrations included.
        path: run folder.
        demonstrations: recording of the expert, made if it is not there; policies of one seed share it.
    """
    from neuroctl import record

    if is_trained(config, path):
        return
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
    train_or_go_on(replace(config, demonstrations=replace(source, path=demonstrations, shifts=())), path)


def is_trained(config: TrainConfig, path: Path) -> bool:
    """Whether the run in `path` has come to its end."""
    return (path / "checkpoints" / f"{config.steps:09d}").exists()


def train_or_go_on(config: TrainConfig, path: Path, listeners: Sequence[Listener] = ()) -> None:
    """Train into `path` unless that is done; a run that was interrupted goes on.

    Args:
        config: the experiment.
        path: run folder.
        listeners: watch the loop of an agent that learns in it.
    """
    from neuroctl import train

    if is_trained(config, path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.write(f"{path}\n")
    if (path / "config.json").exists():
        train(resume=path, progress=shown, listeners=listeners)
    else:
        train(config, out=path, progress=shown, listeners=listeners)


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
