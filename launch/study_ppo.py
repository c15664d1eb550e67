"""PPO of ours beside that of Stable-Baselines3 on Gymnasium's tasks: final scores at equal steps and options.

`python launch/study_ppo.py` trains what is missing and writes `docs/results/ppo.md` from what there is (extra: peers).
Everything is kept in `--out`, so it can be stopped and started; `--workers 4` does so much side by side. The unit is
the training seed; each trained policy plays 100 episodes without exploration.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.launch import memory_presets
from neuroctl.launch.populations import difference, interval
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once, train_or_go_on
from neuroctl.launch.study_workers import OnWorkers, do_each
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

Task = Literal["cartpole", "pendulum", "reacher"]


class TaskPlan(NamedTuple):
    """A task: our preset, and Gymnasium's name of it."""

    preset: Callable[[], TrainConfig]
    gymnasium_id: str


TASKS: dict[Task, TaskPlan] = {
    "cartpole": TaskPlan(memory_presets.ppo_cartpole, "CartPole-v1"),
    "pendulum": TaskPlan(memory_presets.ppo_pendulum, "Pendulum-v1"),
    "reacher": TaskPlan(memory_presets.ppo_reacher, "Reacher-v5"),
}
EPISODES = 100


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train PPO and its peer; write docs/results/ppo.md."""

    out: Path = Path("runs/study_ppo")
    """Cache: runs and evaluations."""
    results: Path = Path("docs/results")
    """Where the table is written."""
    tasks: tuple[Task, ...] = tuple(TASKS)
    """Tasks to run."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds."""
    what: Literal["all", "table"] = "all"
    """Train and evaluate, or only write the table from the cache."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the table."""
    options = parse(Arguments, argv, "launch/study_ppo.py")
    if options.what == "all":
        do_each(options, list(product(options.tasks, options.seeds)), _fill)
    sys.stdout.write(f"{_write(options)}\n")
    return 0


def _fill(options: Arguments, cell: tuple[Task, int]) -> None:
    _ours(options, *cell)
    _theirs(options, *cell)


def _path(options: Arguments, task: Task, who: str, seed: int) -> Path:
    return options.out / task / f"{who}-s{seed}.json"


def _ours(options: Arguments, task: Task, seed: int) -> None:
    config, path = replace(TASKS[task].preset(), seed=seed), _path(options, task, "neuroctl", seed)
    folder = path.with_suffix("")
    train_or_go_on(config, folder)
    evaluate_once(path, folder, config.env.id, config.evaluation_kwargs(), episodes=EPISODES)


def _theirs(options: Arguments, task: Task, seed: int) -> None:
    """The peer with the options of our preset: as many environments and steps, minibatches of as many steps."""
    path = _path(options, task, "sb3", seed)
    if path.exists():
        return
    try:
        from stable_baselines3 import PPO
        from stable_baselines3.common.env_util import make_vec_env
        from stable_baselines3.common.evaluation import evaluate_policy
    except ImportError:
        raise NeuroctlError("stable-baselines3 is not installed; it comes with the extra 'peers'") from None
    made: Any = TASKS[task].preset()
    agent, rows = made.agent, made.num_envs
    total, updates = made.steps * rows, made.steps // agent.rollout_length
    annealed = agent.anneal_updates is not None
    model = PPO(
        "MlpPolicy",
        make_vec_env(TASKS[task].gymnasium_id, rows, seed=seed),
        learning_rate=(lambda left: left * agent.learning_rate) if annealed else agent.learning_rate,
        n_steps=agent.rollout_length,
        batch_size=agent.rollout_length * rows // agent.minibatches,
        n_epochs=agent.epochs,
        gamma=agent.discount,
        gae_lambda=agent.of_ppo("trace"),
        ent_coef=agent.entropy_cost,
        max_grad_norm=agent.gradient_clip,
        device="cpu",
        seed=seed,
    )
    sys.stderr.write(f"{path}: {updates} rollouts\n")
    model.learn(total)
    world = make_vec_env(TASKS[task].gymnasium_id, 1, seed=10_000 + seed)
    returns, _ = evaluate_policy(model, world, n_eval_episodes=EPISODES, return_episode_rewards=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({"return_mean": float(np.mean(returns))}))


# -- the table -------------------------------------------------------------------------------------------------

HEAD = """# PPO beside Stable-Baselines3

Made by `python launch/study_ppo.py`. Both learn for as many steps, from as many environments, with the same learning
rate, discount, epochs and size of minibatches, taken from the presets `ppo-cartpole`, `ppo-pendulum` and `ppo-reacher`.
Ours has one network of two layers of 64 units for policy and critic and standardises observations; the peer has two
networks of two layers and does not. A cell holds the mean over seeds and its 95 % bootstrap interval; every policy
played {episodes} episodes without exploration. Five seeds are few: exploratory.
How fast PPO on an LSTM is: [benchmarks](benchmarks.md).

Machine: {cpu}; torch {torch}.

| task | steps | seeds | neuroctl | Stable-Baselines3 | difference |
|---|---|---|---|---|---|"""


def _write(options: Arguments) -> str:
    rows = [row for task in TASKS for row in _row(options, task)]
    if not rows:
        return "nothing evaluated yet"
    here = versions()
    head = HEAD.format(episodes=EPISODES, cpu=here["cpu"], torch=here["torch"])
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "ppo.md", "\n".join([head, *rows, ""]))
    return f"results: {options.results / 'ppo.md'}"


def _row(options: Arguments, task: Task) -> Iterator[str]:
    """The line of a task; none where one of the two was not run."""
    there = [s for s in options.seeds if all(_path(options, task, who, s).exists() for who in ("neuroctl", "sb3"))]
    if not there:
        return
    ours, theirs = (
        np.array([read_json(_path(options, task, who, seed))["return_mean"] for seed in there])
        for who in ("neuroctl", "sb3")
    )
    config = TASKS[task].preset()
    total = config.steps * (config.num_envs or 1)
    cells = f"{interval(ours, 1)} | {interval(theirs, 1)} | {difference(ours, theirs, 1)}"
    yield f"| {task} | {total} | {len(there)} | {cells} |"


if __name__ == "__main__":
    sys.exit(run(main))
