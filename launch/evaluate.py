"""`neuroctl evaluate RUN [--episodes 64] [--shift gaussian-noise:3 ...] [--workers N] [--json]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.config import parse_options
from neuroctl.launch.program import parse, run, shown


@dataclass(frozen=True)
class Arguments:
    """Evaluate a policy in the closed loop."""

    source: tyro.conf.Positional[str]
    """Run folder, or expert, random, zero."""
    episodes: int = 64
    """Episodes to play."""
    shift: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A distribution shift such as gaussian-noise:3; repeat to stack."""
    workers: int = 0
    """Ray workers; 0 plays in this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""
    seed: int = 0
    """Root seed of the episodes."""
    env: str | None = None
    """Gymnasium id; the run's own when absent."""
    option: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """An environment option such as blackout_s=0.8; repeat for more."""
    checkpoint: str = "latest"
    """latest, best, or a step."""
    member: int | None = None
    """Of a run that trained a population, the agent that plays; each plays all episodes when absent."""
    lesion: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Units that are silent, such as units:3,7 or units:25%; repeat for more."""
    stimulate: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Units that are driven, such as units:3=1.5, or neurons by mV, such as motor:0=5.0; repeat for more."""
    json: bool = False
    """Print the result as JSON, with every episode."""


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate and print."""
    options = parse(Arguments, argv, "evaluate")
    from neuroctl.evaluation import evaluate, save_evaluation
    from neuroctl.rollouts import find_players

    players = 1 if options.member is not None else len(find_players(options.source, options.checkpoint)[0])
    with shown("evaluating", players * options.episodes, "episodes") as progress:
        result = evaluate(
            options.source,
            episodes=options.episodes,
            shifts=options.shift,
            workers=options.workers,
            ray_address=options.ray_address,
            seed=options.seed,
            env_id=options.env,
            env_kwargs=parse_options(options.option),
            checkpoint=options.checkpoint,
            member=options.member,
            lesions=options.lesion,
            stimulations=options.stimulate,
            progress=progress,
        )
    summary = result.summary()
    if Path(options.source, "config.json").is_file():
        chosen = {"env": options.env, "checkpoint": options.checkpoint, "member": options.member, "seed": options.seed}
        default = {"env": None, "checkpoint": "latest", "member": None, "seed": 0}
        settings = [f"{name}={value}" for name, value in chosen.items() if value != default[name]]
        done = [f"{what}={units}" for what in ("lesion", "stimulate") for units in getattr(options, what)]
        save_evaluation(Path(options.source), summary, [*options.option, *settings, *done])
    if options.json:
        sys.stdout.write(json.dumps(summary, indent=1) + "\n")
        return 0
    shifts = f" under {', '.join(result.shifts)}" if result.shifts else ""
    members = len(summary.get("member_returns", ()))
    bounds = f" [{summary['return_iqm_low']:.2f}, {summary['return_iqm_high']:.2f}] ({summary['interval']})"
    if members == 1 or len(summary["returns"]) == 1:  # one value has no interval
        bounds = ""
    played = f", agent {summary['members'][0]}" if members == 1 else f", {members} agents" if members else ""
    sys.stdout.write(
        f"{result.source} in {result.env_id}{shifts}, {summary['episodes']} episodes{played}\n"
        f"return   {summary['return_mean']:.2f} mean, {summary['return_iqm']:.2f} IQM{bounds}\n"
        f"length   {summary['length_mean']:.1f} steps\n"
    )
    if "success_rate" in summary:
        sys.stdout.write(f"success  {summary['success_rate']:.1%}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
