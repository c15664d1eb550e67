"""`neuroctl info`: versions and capabilities, for a bug report."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from neuroctl.launch.program import parse, run, table
from neuroctl.versions import versions


@dataclass(frozen=True)
class Arguments:
    """Print versions and what this machine can do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print them."""
    parse(Arguments, argv, "info")
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    rows = [*versions().items(), ("cores", os.cpu_count()), ("gpus", ", ".join(gpus) or "none"), ("opengl", _opengl())]
    sys.stdout.write(table(rows, ("what", "value")) + "\n")
    return 0


def _opengl() -> str:
    """Whether mujoco can render; the retina and videos by rays need none."""
    import mujoco

    model = mujoco.MjModel.from_xml_string("<mujoco/>")
    try:
        with mujoco.Renderer(model, 8, 8):
            return "yes"
    except Exception as error:  # noqa: BLE001 - GL loaders raise anything
        return f"no ({type(error).__name__}); Debian: libegl1 or libosmesa6, and MUJOCO_GL=egl or osmesa"


if __name__ == "__main__":
    sys.exit(run(main))
