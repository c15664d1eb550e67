"""`neuroctl train PRESET [options]`, `neuroctl train --resume RUN`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from neuroctl import registry
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import TrainConfig, parse_options
from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.rule_options import over_preset

USAGE = """usage: neuroctl train PRESET [options]     train an experiment
       neuroctl train PRESET --help        show its options
       neuroctl train --resume RUN         go on with a run that was stopped

presets: {presets}"""


@dataclass(frozen=True)
class Arguments:
    """Train an agent."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    out: Path | None = None
    """Run folder; runs/<preset>/<timestamp>-s<seed> when absent."""
    workers: int = 0
    """Ray workers that collect rollouts, with weight_lag; 0 is this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""


@dataclass(frozen=True)
class ResumeArguments:
    """Go on with a run that was stopped."""

    resume: Path
    """Run folder."""
    workers: int = 0
    """Ray workers that collect rollouts, with weight_lag; 0 is this process. The result is the same."""
    ray_address: str | None = None
    """HOST:PORT of a Ray cluster's head, or auto; workers run on this machine when absent."""


def main(argv: Sequence[str] | None = None) -> int:
    """Train and say where the run is."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    presets = ", ".join(registry.presets.names())
    if arguments[:1] in (["-h"], ["--help"]):
        sys.stdout.write(USAGE.format(presets=presets) + "\n")
        return 0
    if any(a.partition("=")[0] == "--resume" for a in arguments):
        options = parse(ResumeArguments, arguments, "train")
        return _train(None, options, resume=options.resume)
    if not arguments or arguments[0].startswith("-"):
        raise NeuroctlError(f"the first argument must be a preset ({presets}) or --resume RUN")
    preset, *rest = arguments
    default = registry.presets.load(preset)()
    parsed = parse(Arguments, rest, f"train {preset}", Arguments(default))
    return _train(_with_rule_options(parsed.config, default), parsed, out=parsed.out)


def _with_rule_options(config: TrainConfig, default: TrainConfig) -> TrainConfig:
    """The options of a learning rule given beside those of the preset; another rule begins with none."""
    agent, preset = config.agent, default.agent
    if not isinstance(agent, SporeConfig) or not isinstance(preset, SporeConfig):
        return config
    if not agent.rule_options or agent == preset:
        return config
    given = {} if agent.rule_options == preset.rule_options else parse_options(agent.rule_options)
    return replace(config, agent=replace(agent, rule_options=over_preset(preset, agent.rule, given)))


def _train(
    config: TrainConfig | None,
    options: Arguments | ResumeArguments,
    *,
    resume: Path | None = None,
    out: Path | None = None,
) -> int:
    from neuroctl.training import TrainingInterruptedError, train

    try:
        finished = train(
            config,
            resume=resume,
            out=out,
            progress=shown,
            workers=options.workers,
            ray_address=options.ray_address,
        )
    except TrainingInterruptedError as error:
        sys.stderr.write(f"{error}\n")
        return 130
    sys.stdout.write(f"run: {finished.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
