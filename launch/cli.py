"""The `neuroctl` command: one word for each program in this folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from neuroctl.errors import UnknownNameError
from neuroctl.launch.program import run

PROGRAMS = {
    "list": "what exists: environments, presets, agents, shifts",
    "info": "versions and capabilities, for a bug report",
    "train": "train an experiment, or resume a run",
    "evaluate": "return, length and success of a policy, clean or under shifts",
    "robustness": "policies under every distribution shift and severity: tables and figures",
    "sweep": "search for good options of an experiment",
    "record": "record episodes that replay bit for bit",
    "replay": "verify a recording, compare a policy with it, make a video or a file for Rerun",
    "export": "a trained controller as an ONNX file, a recording as a Minari dataset",
    "report": "figures and tables of runs as one HTML page",
    "view": "the same page while runs train, in a browser on this machine",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Start a program by its name; the exit code."""
    return run(_dispatch, sys.argv[1:] if argv is None else list(argv))


def _dispatch(argv: Sequence[str] | None) -> int:
    name, *rest = argv or ["--help"]
    if name in ("-h", "--help"):
        width = max(map(len, PROGRAMS))
        lines = [f"  {program.ljust(width)}  {summary}" for program, summary in PROGRAMS.items()]
        sys.stdout.write("usage: neuroctl PROGRAM [options]\n\n" + "\n".join(lines) + "\n")
        return 0
    if name == "--version":
        from neuroctl import __version__

        sys.stdout.write(f"neuroctl {__version__}\n")
        return 0
    if name not in PROGRAMS:
        raise UnknownNameError("program", name, PROGRAMS)
    program = import_module(f"neuroctl.launch.{name}")
    return int(program.main(rest))


if __name__ == "__main__":
    sys.exit(main())
