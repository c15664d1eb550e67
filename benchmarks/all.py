"""`make bench`: every benchmark in turn. Ratios are taken within one run; absolute times depend on the machine.

`python benchmarks/all.py --write docs/results/benchmarks.md` keeps the output.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from neuroctl.versions import versions

HEAD = """# Benchmarks

Made by `python benchmarks/all.py --write docs/results/benchmarks.md` on {cpu}, two cores, nothing else running.
Ratios are medians of alternating repeats in one process; times alone say little beyond this machine.
Versions: {versions}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, help="also write the output to this file")
    options = parser.parse_args()
    here = versions()
    names = ("python", "torch", "mujoco", "gymnasium", "numpy", "numba")
    parts = [HEAD.format(cpu=here["cpu"], versions=", ".join(f"{name} {here[name]}" for name in names))]
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.name != "all.py":
            print(f"== {script.stem}", flush=True)
            done = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE, text=True)
            print(done.stdout, flush=True)
            lines = [line for line in done.stdout.rstrip().splitlines() if "(raylet)" not in line]  # of killed workers
            parts.append("\n".join([f"## `python benchmarks/{script.name}`", "", "```", *lines, "```", ""]))
    if options.write is not None:
        options.write.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
