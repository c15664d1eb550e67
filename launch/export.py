"""`neuroctl export RUN --onnx FILE`, `... DATASET --minari NAME`, `... DATASET --nwb FILE`: for other programs."""

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
    """Export a trained controller as an ONNX file, or a recording as a Minari dataset, or an episode of it as NWB."""

    source: tyro.conf.Positional[Path]
    """Run folder for --onnx, folder of the recording for --minari and --nwb."""
    onnx: Path | None = None
    """The file to write; neuroctl.agents.onnx_controller:OnnxController runs it (extra: onnx)."""
    checkpoint: str = "latest"
    """latest, best, or a step of the run."""
    minari: str | None = None
    """Name of the dataset, such as lane/expert-v0 (extra: export)."""
    nwb: Path | None = None
    """The file of Neurodata Without Borders to write (extra: nwb)."""
    episode: int = 0
    """Number of the episode that is written as NWB."""


def main(argv: Sequence[str] | None = None) -> int:
    """Write and say what was written."""
    options = parse(Arguments, argv, "export")
    if sum(each is not None for each in (options.onnx, options.minari, options.nwb)) != 1:
        raise NeuroctlError("say what to write: --onnx FILE of a run, --minari NAME or --nwb FILE of a recording")
    if options.onnx is None and options.checkpoint != "latest":
        raise NeuroctlError("--checkpoint has an effect with --onnx only")
    if options.nwb is None and options.episode != 0:
        raise NeuroctlError("--episode has an effect with --nwb only")
    if options.nwb is not None:
        from neuroctl.nwb_export import export_nwb

        sys.stdout.write(f"nwb: {export_nwb(options.source, options.episode, options.nwb)}\n")
        return 0
    if options.minari is not None:
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
