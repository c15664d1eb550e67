"""Memory of training on many images: the peak of a process that imitates from a million frames of Breakout.

The frames are recorded episodes, each of them many times under numbers of its own.
"""

import argparse
import resource
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroctl import record, registry
from neuroctl.recording import Recording
from neuroctl.run import environment_spaces, make_agent

EPISODES, STEPS = 16, 1000


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def copies(source: Recording, path: Path, frames: int) -> Recording:
    """A recording with at least so many frames."""
    made = Recording.create(path, source.info)
    number = total = 0
    with made.writing():
        while total < frames:
            for original in source.numbers():
                entry = dict(source.index[original])
                data = (source.path / "episodes" / entry["file"]).read_bytes()
                summary = {key: value for key, value in entry.items() if key not in ("episode", "file", "sha256")}
                made.add_encoded(number, data, summary)
                number, total = number + 1, total + int(summary["length"])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--updates", type=int, default=100)
    options = parser.parse_args()
    made: Any = registry.presets.load("atari-cfc")()
    agent_config = replace(made.agent, sequence_length=4, batch_size=128, burn_in=0)  # windows from 128 places
    with tempfile.TemporaryDirectory() as folder:
        kwargs = {**made.env.kwargs(), "max_steps": STEPS}
        few = record("expert", Path(folder) / "few", episodes=EPISODES, env_id=made.env.id, env_kwargs=kwargs)
        many = copies(few, Path(folder) / "many", options.frames)
        frames = sum(int(entry["length"]) for entry in many.index.values())
        size = sum(path.stat().st_size for path in many.path.rglob("*")) / 1e6
        before = peak_mb()
        agent: Any = make_agent(replace(made, agent=agent_config), environment_spaces(made), [many])
        for _ in range(options.updates):
            agent.update()
    print(f"{frames} frames of 84 x 84, {size:.0f} MB on disk, {frames * 84 * 84 / 1e6:.0f} MB unpacked")
    print(f"peak before training {before:.0f} MB, with {options.updates} updates {peak_mb():.0f} MB; limit 4000 MB")


if __name__ == "__main__":
    main()
