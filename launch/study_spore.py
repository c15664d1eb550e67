"""Spiking agents on reaching and lane following: learning curves of populations, with controls and baselines.

`python launch/study_spore.py --conditions all` trains what is missing and writes `docs/results/spore_*` from what there
is; conditions that were not run say so. Everything is kept in `--out`, so it can be stopped and started; `--workers 4`
does so many conditions side by side. The unit is the agent: a member of a population, one of the rows that learn side
by side, with synapses, noise and episodes of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import product

from neuroctl.contracts import Agent
from neuroctl.launch.curves import CurveLog, play_episodes
from neuroctl.launch.populations import FROZEN_EPISODES, Task, frozen_environment, root_seed
from neuroctl.launch.program import parse, run
from neuroctl.launch.scripted_players import HeldRandom, Straight
from neuroctl.launch.spore_plan import CONDITIONS, EVALUATIONS, SCRIPTED, Arguments
from neuroctl.launch.spore_tables import write_results
from neuroctl.launch.study import is_trained, train_or_go_on
from neuroctl.launch.study_workers import do_each
from neuroctl.launch.trained_agents import TrainedAgents
from neuroctl.run import Run
from neuroctl.scripted import ScriptedAgent
from neuroctl.storage import atomic_write
from neuroctl.vector import Vector, spaces_of

HELD_STEPS = {"ball": 50, "sums": 50, "lane": 10}


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_spore.py")
    if options.what == "all":
        for task, name in product(options.tasks, options.names):  # all are checked before any runs
            is_trained(options.config(task, name), options.folder(task, name), options.of_runs)
        for task in options.tasks:
            for evaluation, name in product(EVALUATIONS[task], SCRIPTED[task]):
                _play_scripted(options, task, name, evaluation)
        do_each(options, list(product(options.tasks, options.names)), _fill)
    sys.stdout.write(f"{write_results(options)}\n")
    return 0


def _fill(options: Arguments, cell: tuple[Task, str]) -> None:
    """Train a population, or go on with one; then let it play with frozen synapses."""
    task, name = cell
    config = options.config(task, name)
    log = CurveLog(options.curve(task, name), config.checkpoint_every)
    train_or_go_on(config, options.folder(task, name), [log], options.of_runs)
    for evaluation in EVALUATIONS[task]:
        _play_frozen(options, task, name, evaluation)


def _play_frozen(options: Arguments, task: Task, name: str, evaluation: str) -> None:
    """What every agent does with frozen synapses, at every checkpoint or at the last one."""
    path = options.evaluation(task, name, evaluation)
    run, results = Run(options.folder(task, name)), {}
    every, last = run.config.checkpoint_every, run.config.steps
    if path.exists() and path.stat().st_mtime_ns >= run.checkpoints.path(last).stat().st_mtime_ns:  # of these agents
        return
    repeated = evaluation == next(iter(EVALUATIONS[task]))
    for step in range(every, last + 1, every) if repeated else (last,):
        _, trees = run.checkpoints.load(step)
        agents = TrainedAgents(run.config, trees["agent"])
        env = frozen_environment(task, agents.count, **EVALUATIONS[task][evaluation])
        results[str(step)] = agents.measured(env, root_seed(task, options.seed) + 1, FROZEN_EPISODES[task])
    atomic_write(path, json.dumps(results))


def _play_scripted(options: Arguments, task: Task, name: str, evaluation: str) -> None:
    path = options.evaluation(task, name, evaluation)
    if path.exists():
        return
    env = frozen_environment(task, CONDITIONS["annealed"].agents, **EVALUATIONS[task][evaluation])
    path.parent.mkdir(parents=True, exist_ok=True)
    found = play_episodes(env, _player(env, task, name), root_seed(task, options.seed) + 1, 2 * FROZEN_EPISODES[task])
    atomic_write(path, json.dumps({"0": found}))
    env.close()


def _player(env: Vector, task: Task, name: str) -> Agent:
    if name == "straight":
        return Straight()
    return HeldRandom(spaces_of(env), HELD_STEPS[task]) if name == "random" else ScriptedAgent("expert", env)


if __name__ == "__main__":
    sys.exit(run(main))
