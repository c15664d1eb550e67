"""`make bench`: every benchmark in turn. Ratios are taken within one run; absolute times depend on the machine."""

import subprocess
import sys
from pathlib import Path


def main() -> None:
    folder = Path(__file__).parent
    for script in sorted(folder.glob("*.py")):
        if script.name != "all.py":
            print(f"== {script.stem}", flush=True)
            subprocess.run([sys.executable, str(script)], check=True)


if __name__ == "__main__":
    main()
