"""Spiking agents on reaching and lane following: learning curves of populations, with controls and baselines.

`python launch/study_spore.py` trains what is missing and writes `docs/results/spore.*` from what there is; conditions
that were not run say so. Everything is kept in `--out`, so it can be stopped and started, and several processes with
different `--conditions` can share the work. The unit is the agent: a member of a population, one of the rows that
learn side by side, with synapses, noise and episodes of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import TrainConfig
from neuroctl.contracts import Agent, Observation, Spaces
from neuroctl.errors import UnknownNameError
from neuroctl.launch import presets
from neuroctl.launch.curves import CurveLog, play_episodes, read_curve
from neuroctl.launch.populations import (
    FROZEN_EPISODES,
    FROZEN_STEPS,
    PRESETS,
    TASKS,
    Task,
    duration_name,
    durations,
    environment,
    interval,
    run_folder,
)
from neuroctl.launch.program import parse, run, shown
from neuroctl.run import Run, agent_with, environment_spaces
from neuroctl.scripted import ScriptedAgent
from neuroctl.storage import atomic_write, read_json
from neuroctl.streams import stream
from neuroctl.vector import spaces_of
from neuroctl.versions import versions

CHANGES: dict[str, dict[str, Any]] = {
    "annealed": {},
    "constant": {"learning_rate_schedule": "constant", "learning_rate_half_life_s": None},
    "T 0": {"temperature": 0.0},
    "T 1": {"temperature": 1.0},
    "T annealed": {
        "temperature": 0.1,
        "temperature_schedule": "exponential",
        "temperature_half_life_s": presets.HALF_LIFE_S,
    },
    "raw reward": {"reward_filter": "raw"},
    "reward / mean": {"reward_filter": "ratio"},
    "z-scored reward": {"reward_filter": "zscore"},
    "reward late": {"reward_delay_s": 300.0},
    "untrained": {"learning_rate_per_s": 0.0},
    "r-stdp": {"rule": "r-stdp", "rule_options": (), "learning_rate_per_s": 1e-2},
    "node-perturbation": {"rule": "node-perturbation", "rule_options": (), "learning_rate_per_s": 1e-2},
}
"""Conditions that learn, as changes of the preset; the controls `reward late` and `untrained` among them."""
SCRIPTED = {"ball": ("expert", "random"), "sums": (), "lane": ("expert", "random", "straight")}
"""Players without a network: the task's expert, random commands that are held, and never to steer."""
HELD_STEPS = {"ball": 50, "lane": 10}
STRAIGHT = 2


@dataclass(frozen=True)
class Arguments:
    """Train populations of spiking agents; write docs/results/spore.md."""

    out: Path = Path("runs/study_spore")
    """Cache: runs, curves and evaluations."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    tasks: tuple[Task, ...] = tuple(TASKS)
    """Tasks to run."""
    conditions: tuple[str, ...] = ("annealed", "constant", "untrained")
    """Conditions to run; `all` is every one."""
    hours: float = 5.0
    """Simulated time of each agent, a multiple of half an hour."""
    agents: int = 16
    """Agents in a population."""
    seed: int = 100
    """Root seed of the populations."""
    what: Literal["all", "table"] = "all"
    """Train and evaluate, or only write the tables from the cache."""

    def __post_init__(self) -> None:
        """Refuse conditions that do not exist."""
        for name in self.conditions:
            if name not in (*CHANGES, "all"):
                raise UnknownNameError("condition", name, (*CHANGES, "all"))

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are asked for."""
        return tuple(CHANGES) if "all" in self.conditions else self.conditions


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "study_spore")
    if options.what == "all":
        for task in options.tasks:
            for name in SCRIPTED[task]:
                _play_scripted(options, task, name)
            for name in options.names:
                _train(options, task, name)
                _play_frozen(options, task, name)
    _write(options)
    return 0


# -- one condition ---------------------------------------------------------------------------------------------


def _config(options: Arguments, task: Task, name: str) -> TrainConfig:
    """The task's preset under a condition, saved every half hour."""
    made: Any = PRESETS[task]()
    changes = dict(CHANGES[name])
    if changes.get("learning_rate_per_s") == 0.0:
        changes |= {"learning_rate_schedule": "constant", "learning_rate_half_life_s": None}
    agent: SporeConfig = replace(made.agent, **changes)
    half = presets.SIMULATED_HOUR // 2
    steps = round(2 * options.hours) * half
    config: TrainConfig = replace(
        made,
        agent=agent,
        seed=options.seed,
        num_envs=options.agents,
        steps=steps,
        checkpoint_every=half,
        keep_checkpoints=steps // half + 1,
    )
    return config


def _folder(options: Arguments, task: Task, name: str) -> Path:
    return run_folder(options.out, task, name, options.seed)


def _train(options: Arguments, task: Task, name: str) -> None:
    """Train a population, or go on with one that was stopped."""
    from neuroctl import train

    config, path = _config(options, task, name), _folder(options, task, name)
    if (path / "checkpoints" / f"{config.steps:09d}").exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    log = CurveLog(path.with_suffix(".curve.jsonl"), config.checkpoint_every)
    sys.stderr.write(f"{path}\n")
    if (path / "config.json").exists():
        train(resume=path, progress=shown, listeners=[log])
    else:
        train(config, out=path, progress=shown, listeners=[log])


def _play_frozen(options: Arguments, task: Task, name: str) -> None:
    """What every member does with frozen synapses, at every checkpoint."""
    config, path = _config(options, task, name), _folder(options, task, name)
    found = path.with_suffix(".frozen.json")
    if found.exists():
        return
    run_folder, spaces, results = Run(path), environment_spaces(config), {}
    for step in range(0, config.steps + 1, config.checkpoint_every):
        if step == 0:
            continue
        _, trees = run_folder.checkpoints.load(step)
        env = environment(task, options.agents, FROZEN_STEPS)
        agent = agent_with(config, spaces, trees["agent"])
        results[str(step)] = play_episodes(env, agent, options.seed + 1, FROZEN_EPISODES[task])
        env.close()
    atomic_write(found, json.dumps(results))


class HeldRandom(Agent):
    """Random actions that are held for some steps, from a stream of each row."""

    def __init__(self, spaces: Spaces, held_steps: int) -> None:
        self._space, self._held = spaces.action, held_steps

    def begin(self, num_envs: int, seed: int) -> None:
        """New streams."""
        self._streams = [stream(seed, "held-random", row) for row in range(num_envs)]
        self._steps = 0

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """A direction at full speed, or a command."""
        if self._steps % self._held == 0:
            self._action = np.stack([self._draw(rng) for rng in self._streams])
        self._steps += 1
        return self._action

    def _draw(self, rng: np.random.Generator) -> NDArray[Any]:
        space: Any = self._space
        if hasattr(space, "n"):
            return np.asarray(rng.integers(space.n))
        angle = rng.uniform(0, 2 * np.pi)
        return np.array(space.high[0] * np.array([np.cos(angle), np.sin(angle)]), space.dtype)


class Straight(Agent):
    """Always the middle command."""

    def begin(self, num_envs: int, seed: int) -> None:
        """Nothing to prepare."""

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Straight ahead."""
        return np.full(len(obs), STRAIGHT)


def _play_scripted(options: Arguments, task: Task, name: str) -> None:
    path = options.out / task / f"{name}.json"
    if path.exists():
        return
    env = environment(task, options.agents, FROZEN_STEPS)
    agents = {
        "expert": lambda: ScriptedAgent("expert", env),
        "random": lambda: HeldRandom(spaces_of(env), HELD_STEPS[task]),
        "straight": Straight,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(play_episodes(env, agents[name](), options.seed + 1, 2 * FROZEN_EPISODES[task])))
    env.close()


# -- tables ----------------------------------------------------------------------------------------------------

HEAD = """# Spiking agents learn to reach and to follow a lane

Made by `python launch/study_spore.py`. Populations of {agents} agents (root seed {seed}), {hours:g} simulated hours;
the unit is the agent. A cell holds the mean over agents and the 95 % bootstrap interval of that mean. "learning" is the
last half hour of learning, "frozen" the same agents afterwards without learning. A trial of the ball ends at the goal
or after 60 s, one of the vehicle when it leaves the lane or after 120 s.

Machine: {cpu}; mujoco {mujoco}.
"""


def _write(options: Arguments) -> None:
    here = versions()
    tasks = [task for task in TASKS if any(options.out.glob(f"{task}/*"))]
    if not tasks:
        sys.stdout.write("nothing evaluated yet\n")
        return
    options.results.mkdir(parents=True, exist_ok=True)
    names = {key: here[key] for key in ("cpu", "mujoco")}
    lines = [HEAD.format(agents=options.agents, seed=options.seed, hours=options.hours, **names)]
    for task in tasks:
        lines += [f"## {TASKS[task]}\n", *_table(options, task), "", f"![learning curves](spore_{task}.png)", ""]
        _figure(options, task).savefig(options.results / f"spore_{task}.png", dpi=110)
    atomic_write(options.results / "spore.md", "\n".join(lines) + "\n")
    sys.stdout.write(f"results: {options.results / 'spore.md'}\n")


def _table(options: Arguments, task: Task) -> Iterator[str]:
    yield f"| condition | {duration_name(task)}, learning | frozen | success, %, frozen | reward, frozen |"
    yield "|---|---|---|---|---|"
    for name in SCRIPTED[task]:
        path = options.out / task / f"{name}.json"
        if path.exists():
            yield f"| {name} | | {_cells(read_json(path))} |"
    for name in CHANGES:
        folder = _folder(options, task, name)
        curve, frozen = folder.with_suffix(".curve.jsonl"), folder.with_suffix(".frozen.json")
        if not frozen.exists():
            yield f"| {name} | not run | | | |"
            continue
        last = {key: values[-1] for key, values in read_curve(curve).items()}
        yield f"| {name} | {interval(durations(last))} | {_cells(list(read_json(frozen).values())[-1])} |"


def _cells(fields: Any) -> str:
    trials = np.array(fields["trials"])
    success = 100 * np.array(fields["successes"])[trials > 0] / trials[trials > 0]
    return f"{interval(durations(fields))} | {interval(success)} | {interval(np.array(fields['reward']), 3)}"


def _figure(options: Arguments, task: Task) -> Any:
    """Duration of trials in each half hour, every agent thin and the mean thick, one panel for each condition."""
    from matplotlib.figure import Figure

    curves = {name: read_curve(_folder(options, task, name).with_suffix(".curve.jsonl")) for name in CHANGES}
    names = [name for name, curve in curves.items() if len(curve["step"])]
    figure = Figure(figsize=(3.2 * max(len(names), 1), 3.0), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, max(len(names), 1), sharey=True))
    for axis, name in zip(axes, names, strict=False):
        curve = curves[name]
        hours = curve["step"] / presets.SIMULATED_HOUR
        seconds = durations(curve)
        axis.plot(hours, seconds, color="C0", alpha=0.3, lw=0.8)
        axis.plot(hours, np.nanmean(seconds, axis=1), color="C0", lw=2.5)
        axis.set(title=name, xlabel="simulated hours", yscale="log")
        axis.grid(color="0.92")
    axes[0].set(ylabel=duration_name(task))
    return figure


if __name__ == "__main__":
    sys.exit(run(main))
