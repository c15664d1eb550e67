"""Memory of long recordings: how much the process grows while it records 1,000 episodes from the retina."""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from neuroctl import record


def resident_mb() -> float:
    """Resident memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--max-steps", type=int, default=200)
    options = parser.parse_args()
    kwargs = {"observation": "retina", "track": "random", "max_steps": options.max_steps}
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {"env_id": "neuroctl/LaneFollow-v0", "env_kwargs": kwargs}
        record("expert", Path(folder) / "a", episodes=32, **settings)
        before = resident_mb()
        record("expert", Path(folder) / "b", episodes=options.episodes, **settings)
        after = resident_mb()
    print(f"{options.episodes} episodes of {options.max_steps} steps: grew from {before:.0f} to {after:.0f} MB")
    print(f"growth {after - before:.0f} MB; limit 50 MB")


if __name__ == "__main__":
    main()
