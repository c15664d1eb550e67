"""`neuroctl record RUN|expert|random|zero --env ID --episodes 100 --out DIR`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.config import parse_options
from neuroctl.launch.program import parse, run, shown


@dataclass(frozen=True)
class Arguments:
    """Record episodes that replay bit for bit."""

    source: tyro.conf.Positional[str]
    """Run folder, or expert, random, zero."""
    out: Path
    """Folder of the recording; an interrupted recording is completed."""
    env: str | None = None
    """Gymnasium id; the run's own when absent."""
    episodes: int = 16
    """Episodes the recording shall hold."""
    seed: int = 0
    """Root seed of the episodes."""
    shift: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A distribution shift such as action-noise:3; repeat to stack."""
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An environment option such as observation=retina; repeat for more."""
    checkpoint: str = "latest"
    """latest, best, or a step."""
    member: int | None = None
    """Of a run that trained a population, the agent that plays; the first when absent."""
    workers: int = 0
    """Ray workers; 0 plays in this process. The recording is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""
    neural: bool = False
    """Record what goes on inside too: recurrent states, spikes, and the synapses that learn."""
    learn: bool = False
    """The agent goes on learning while it is recorded; replay --policy repeats its updates."""


def main(argv: Sequence[str] | None = None) -> int:
    """Record and say what was recorded."""
    options = parse(Arguments, argv, "record")
    from neuroctl.rollouts import record

    with shown("recording", options.episodes, "episodes") as progress:
        recording = record(
            options.source,
            options.out,
            episodes=options.episodes,
            seed=options.seed,
            env_id=options.env,
            env_kwargs=parse_options(options.option),
            shifts=options.shift,
            checkpoint=options.checkpoint,
            member=options.member,
            learn=options.learn,
            neural=options.neural,
            workers=options.workers,
            ray_address=options.ray_address,
            progress=progress,
        )
    returns = [entry["return"] for entry in recording.index.values()]
    sys.stdout.write(f"{len(recording)} episodes in {recording.path}, mean return {sum(returns) / len(returns):.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
