"""Motor adaptation of spiking agents: a turned cursor or a force field, washout, and the same again.

`python launch/study_spore_arm.py` trains a population on centre-out reaching, lets it meet each world once with frozen
synapses and once learning on, and writes `docs/results/spore_arm.md` and its figure from what there is. Everything is
kept in `--out`, so it can be stopped and started (a protocol that was interrupted begins again, with the same bits),
and several processes with different `--worlds` or `--modes` can share the work once the population is trained. The unit
is the agent: a member of the population, with synapses, noise and trials of its own.

The protocol is that of Shadmehr and Mussa-Ivaldi 1994 and Krakauer et al. 2000: a block of trials without perturbation,
one with it (adaptation), one without (after-effect and washout), one with it (savings).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.arm_tables import write_results
from neuroctl.launch.arm_trials import TrialLog
from neuroctl.launch.centre_out import ID, MAX_STEPS, preset, register
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.study import train_or_go_on
from neuroctl.launch.trained_agents import TrainedAgents
from neuroctl.loop import ClosedLoop
from neuroctl.run import Run
from neuroctl.storage import atomic_write, read_json
from neuroctl.streams import derive_seed
from neuroctl.vector import make_env

World = Literal["rotation", "force field", "nothing"]
Mode = Literal["plastic", "frozen"]
WORLDS: dict[World, dict[str, Any]] = {
    "rotation": {"perturbation": "rotation", "perturbation_strength": 30.0},
    "force field": {"perturbation": "force-field", "perturbation_strength": 6000.0},
    "nothing": {"perturbation": "rotation", "perturbation_strength": 0.0},
}
"""Perturbations; nothing is a control. The field is strong since velocity servos resist: it turns joint velocities by
about 33 degrees where the elbow is at a right angle."""
MODES: tuple[Mode, ...] = ("plastic", "frozen")
"""Learning whose schedules begin anew, or none."""
BLOCKS = 4
EVALUATION_TRIALS = 40
CHECKPOINT_MINUTES = 5.0
"""Simulated time between two checkpoints of training, each of which is measured."""


@dataclass(frozen=True)
class Arguments:
    """Perturb the reaching of spiking agents; write docs/results/spore_arm.md."""

    out: Path = Path("runs/study_spore_arm")
    """Cache: the population, evaluations, and trials of each protocol."""
    results: Path = Path("docs/results")
    """Where the tables and the figure are written."""
    worlds: tuple[World, ...] = tuple(WORLDS)
    """Worlds to meet."""
    modes: tuple[Mode, ...] = MODES
    """Whether agents learn on, or not."""
    minutes: float = 30.0
    """Simulated time of training, a multiple of 5."""
    trials: int = 600
    """Trials of 1 s in each of the four blocks."""
    agents: int = 16
    """Agents in the population."""
    seed: int = 100
    """Root seed of the population and of what it meets."""
    what: Literal["all", "table"] = "all"
    """Train and measure, or only write the results from the cache."""

    def __post_init__(self) -> None:
        """Refuse times between two checkpoints, and blocks too short to say how they begin and end."""
        points = self.minutes / CHECKPOINT_MINUTES
        if not (points >= 1 and points % 1 == 0):
            raise NeuroctlError(f"minutes is {self.minutes:g}; allowed: multiples of {CHECKPOINT_MINUTES:g}")
        if self.trials < 4:
            raise NeuroctlError(f"trials is {self.trials}; allowed: at least 4 in a block")
        if self.agents < 1:
            raise NeuroctlError(f"agents is {self.agents}; allowed: at least 1")

    @property
    def folder(self) -> Path:
        """The run of the population."""
        return self.out / f"training-{self.agents}-{self.minutes:g}min-s{self.seed}"

    @property
    def evaluation_path(self) -> Path:
        """What the population does with frozen synapses at each checkpoint."""
        return self.folder.with_suffix(".frozen.json")

    def protocol_path(self, world: World, mode: Mode) -> Path:
        """What it does in the four blocks."""
        name = f"{world.replace(' ', '-')}-{mode}-{self.agents}-{self.minutes:g}min-{self.trials}-s{self.seed}.json"
        return self.out / name


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_spore_arm.py")
    register()
    if options.what == "all":
        train_population(options)
        agents = TrainedAgents.load(options.folder)
        for world in options.worlds:
            for mode in options.modes:
                meet(options, agents, world, mode)
    paths = {world: {mode: options.protocol_path(world, mode) for mode in MODES} for world in WORLDS}
    about = {"agents": options.agents, "minutes": options.minutes, "trials": options.trials, "seed": options.seed}
    sys.stdout.write(f"{write_results(options.results, options.evaluation_path, paths, about)}\n")
    return 0


# -- training --------------------------------------------------------------------------------------------------


def train_population(options: Arguments) -> None:
    """Train, or go on with a training that was stopped; then measure the agents of every checkpoint."""
    config = _config(options)
    train_or_go_on(config, options.folder)
    if not options.evaluation_path.exists():
        checkpoints, found = Run(options.folder).checkpoints, {}
        for step in range(config.checkpoint_every, config.steps + 1, config.checkpoint_every):
            agents = TrainedAgents(config, checkpoints.load(step)[1]["agent"])
            found[str(step)] = _frozen(agents, {}, options.seed + 1, EVALUATION_TRIALS, "frozen")
        atomic_write(options.evaluation_path, json.dumps(found))


def _config(options: Arguments) -> TrainConfig:
    every = round(CHECKPOINT_MINUTES * presets.SIMULATED_HOUR / 60)
    points = round(options.minutes / CHECKPOINT_MINUTES)
    return replace(
        preset(),
        seed=options.seed,
        num_envs=options.agents,
        steps=points * every,
        checkpoint_every=every,
        keep_checkpoints=points + 1,
    )


# -- one protocol ----------------------------------------------------------------------------------------------


def meet(options: Arguments, agents: TrainedAgents, world: World, mode: Mode) -> None:
    """Four blocks in a world, unless these very agents were there; targets are the same in both modes."""
    path = options.protocol_path(world, mode)
    if path.exists() and read_json(path)["trained"] == agents.digest:
        return
    perturbed = {**WORLDS[world], "block_episodes": options.trials}
    seed, trials = derive_seed(options.seed, "protocol"), BLOCKS * options.trials
    measure = _frozen if mode == "frozen" else _learning
    found = measure(agents, perturbed, seed, trials, f"{world}, {mode}")
    atomic_write(path, json.dumps({"trained": agents.digest, **found}))


def _frozen(agents: TrainedAgents, world: dict[str, Any], seed: int, trials: int, label: str) -> dict[str, Any]:
    """`FIELDS` of trials with frozen synapses, each `[trials, B]`."""
    env, log = make_env(ID, agents.count, world), TrialLog(MAX_STEPS)
    loop = ClosedLoop(env, agents.player(env), [log])
    with shown(label, trials * MAX_STEPS, "steps") as progress:
        loop.begin(seed)
        for _ in range(trials * MAX_STEPS):
            loop.step()
            progress.advance()
    env.close()
    return _listed(log)


def _learning(agents: TrainedAgents, world: dict[str, Any], seed: int, trials: int, label: str) -> dict[str, Any]:
    """The same, of agents that learn on."""
    env, log = make_env(ID, agents.count, world), TrialLog(MAX_STEPS)
    with shown(label, trials * MAX_STEPS, "steps") as progress:
        agents.learned_on(env, seed, trials * MAX_STEPS, anew=True, listeners=[log], progress=progress)
    return _listed(log)


def _listed(log: TrialLog) -> dict[str, Any]:
    return {name: values.tolist() for name, values in log.trials.items()}


if __name__ == "__main__":
    sys.exit(run(main))
