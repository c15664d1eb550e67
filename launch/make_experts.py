"""Trains the experts of Gymnasium's MuJoCo tasks and writes the networks that are shipped with the package.

`python launch/make_experts.py` trains what is missing, keeps the best seed of each task and writes it to
`envs/experts/` and a table to `docs/results/mujoco_experts.md`. Runs are kept in `--out`: it can be stopped and
started, and `--workers 2` does so many trainings side by side.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

import neuroctl
from neuroctl import registry
from neuroctl.config import TrainConfig
from neuroctl.errors import UnknownNameError
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once, is_trained, train_or_go_on
from neuroctl.launch.study_workers import OnWorkers, do_each
from neuroctl.normaliser import MIN_STD
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

PRESETS = {"HalfCheetah-v5": "ppo-halfcheetah", "Walker2d-v5": "ppo-walker2d"}
ZOO = {"HalfCheetah-v5": (5819.1, 663.5), "Walker2d-v5": (3478.8, 821.7)}
"""Return of PPO in RL Baselines3 Zoo after a million steps, on version 3 of the tasks, and its standard deviation."""
OTHERS = 1
"""Root seed of the episodes in the table."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train experts of MuJoCo tasks; write them to envs/experts."""

    tasks: tuple[str, ...] = tuple(PRESETS)
    """Tasks to train on."""
    seeds: tuple[int, ...] = (1, 2, 3)
    """Root seeds, of which the best is kept."""
    episodes: int = 32
    """Episodes by which the best is found, and others for its return in the table."""
    out: Path = Path("runs/make_experts")
    """Cache: runs and evaluations."""
    experts: Path = Path("envs/experts")
    """Where the networks are written."""
    results: Path = Path("docs/results")
    """Where the table is written."""

    def __post_init__(self) -> None:
        """Refuse tasks without a preset."""
        super().__post_init__()
        for task in self.tasks:
            if task not in PRESETS:
                raise UnknownNameError("task", task, PRESETS)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, choose, write."""
    options = parse(Arguments, argv, "launch/make_experts.py")
    asked = [config(task, seed) for task in options.tasks for seed in options.seeds]
    for each in asked:  # all are checked before any runs
        is_trained(each, folder(options, each))
    do_each(options, asked, _fill)
    for task in options.tasks:
        write_expert(options.experts / f"{task}.safetensors", folder(options, _best(options, task)))
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "mujoco_experts.md", "\n".join(_page(options)) + "\n")
    return 0


def _fill(options: Arguments, each: TrainConfig) -> None:
    train_or_go_on(each, folder(options, each))
    evaluate_once(_returns(options, each), folder(options, each), each.env.id, {}, episodes=options.episodes)


def config(task: str, seed: int) -> TrainConfig:
    """The preset of a task, with a seed."""
    made: TrainConfig = replace(registry.presets.load(PRESETS[task])(), seed=seed, keep_checkpoints=1)
    return made


def folder(options: Arguments, config: TrainConfig) -> Path:
    """Where a run is kept."""
    return options.out / f"{config.preset}-s{config.seed}"


def _returns(options: Arguments, config: TrainConfig) -> Path:
    return options.out / f"{config.preset}-s{config.seed}-e{options.episodes}.json"


def _mean(options: Arguments, config: TrainConfig) -> float:
    return float(np.mean(read_json(_returns(options, config))["returns"]))


def _best(options: Arguments, task: str) -> TrainConfig:
    return max((config(task, seed) for seed in options.seeds), key=lambda each: _mean(options, each))


# -- the network ---------------------------------------------------------------------------------------------------


def write_expert(path: Path, run: Path) -> None:
    """Write the policy of a run as an expert; how it came about stands in the file."""
    controller = neuroctl.load(run)
    agent: Any = controller.agent
    policy = agent.policy
    tensors = _layers(policy) | {"low": policy.head.low.numpy(), "high": policy.head.high.numpy()}
    about = {"preset": controller.config.preset, "seed": controller.config.seed, "steps": controller.config.steps}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, safetensors.numpy.save(tensors, {"made_by": json.dumps(about)}))


def _layers(policy: Any) -> dict[str, NDArray[Any]]:
    """Standardisation and the three layers of a policy whose encoder, cell and readout are one each."""
    normaliser = policy.encoder.normaliser
    tensors = {"mean": normaliser.mean.numpy(), "std": normaliser.variance.sqrt().clamp(min=MIN_STD).numpy()}
    for n, layer in enumerate((policy.encoder.linear, policy.cell.layer, policy.readout)):
        tensors |= {f"weight{n}": layer.weight.detach().numpy(), f"bias{n}": layer.bias.detach().numpy()}
    return tensors


# -- the table -----------------------------------------------------------------------------------------------------

HEAD = """# Experts of Gymnasium's MuJoCo tasks

Made by `python launch/make_experts.py`: PPO, feed-forward, 3 million steps (presets `ppo-halfcheetah` and
`ppo-walker2d`), seeds {seeds}. "of each seed" are means over {episodes} episodes; the best of them is the one that
`neuroctl record expert --env neuroctl/HalfCheetah-v5` plays. Its return is that of {episodes} other episodes, with
the 95 % bootstrap interval over episodes. Beside it PPO of RL Baselines3 Zoo, one run of a million steps, on
version 3 of the tasks: for orientation.

Machine: {cpu}; mujoco {mujoco}.

| task | of each seed | expert | worst episode | Zoo |
|---|---|---|---|---|"""


def _page(options: Arguments) -> Iterator[str]:
    here = versions()
    yield HEAD.format(
        seeds=", ".join(map(str, options.seeds)), episodes=options.episodes, cpu=here["cpu"], mujoco=here["mujoco"]
    )
    for task, (mean, deviation) in ZOO.items():
        if task not in options.tasks:
            continue
        seeds = ", ".join(f"{_mean(options, config(task, seed)):.0f}" for seed in options.seeds)
        result = neuroctl.evaluate(folder(options, _best(options, task)), episodes=options.episodes, seed=OTHERS)
        found = stratified_bootstrap(result.returns, lambda values: float(values.mean()))
        expert = f"{found.value:.0f} ({found.low:.0f} to {found.high:.0f})"
        yield f"| {task} | {seeds} | {expert} | {result.returns.min():.0f} | {mean:.0f} +- {deviation:.0f} |"


if __name__ == "__main__":
    sys.exit(run(main))
