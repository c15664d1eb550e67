"""`neuroctl export RUN --onnx FILE`: a trained controller as one file for another machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.launch.program import parse, run


@dataclass(frozen=True)
class Arguments:
    """Export a trained controller; neuroctl.agents.onnx_controller:OnnxController runs the file."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    onnx: Path
    """The file to write."""
    checkpoint: str = "latest"
    """latest, best, or a step."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file and say where it is."""
    options = parse(Arguments, argv, "export")
    from neuroctl.agents.export import export_onnx
    from neuroctl.errors import NeuroctlError
    from neuroctl.run import load

    controller = load(options.run, options.checkpoint)
    policy = getattr(controller.agent, "policy", None)
    if policy is None:
        raise NeuroctlError(f"agent {controller.config.agent.name!r} has no policy that could be exported")
    file = export_onnx(policy, controller.spaces.observation, options.onnx)
    sys.stdout.write(f"onnx: {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
