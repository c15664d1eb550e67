"""`neuroctl export RUN --onnx FILE`, `neuroctl export DATASET --minari NAME`: for other machines and programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import parse, run, shown


@dataclass(frozen=True)
class Arguments:
    """Export a trained controller as an ONNX file, or a recording as a Minari dataset."""

    source: tyro.conf.Positional[Path]
    """Run folder for --onnx, folder of the recording for --minari."""
    onnx: Path | None = None
    """The file to write; neuroctl.agents.onnx_controller:OnnxController runs it (extra: onnx)."""
    checkpoint: str = "latest"
    """latest, best, or a step of the run."""
    minari: str | None = None
    """Name of the dataset, such as lane/expert-v0 (extra: export)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write and say what was written."""
    options = parse(Arguments, argv, "export")
    if (options.onnx is None) == (options.minari is None):
        raise NeuroctlError("say what to write: --onnx FILE of a run, or --minari NAME of a recording")
    if options.minari is not None:
        if options.checkpoint != "latest":
            raise NeuroctlError("--checkpoint has no effect with --minari")
        from neuroctl.minari_export import export_minari
        from neuroctl.recording import Recording

        with shown("exporting", len(Recording(options.source)), "episodes") as progress:
            name = export_minari(options.source, options.minari, progress=progress)
        sys.stdout.write(f"minari: {name}\n")
        return 0
    from neuroctl.agents.export import export_onnx
    from neuroctl.run import load

    controller = load(options.source, options.checkpoint)
    policy = getattr(controller.agent, "policy", None)
    if policy is None:
        raise NeuroctlError(f"agent {controller.config.agent.name!r} has no policy that could be exported")
    assert options.onnx is not None
    sys.stdout.write(f"onnx: {export_onnx(policy, controller.spaces.observation, options.onnx)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
