"""The closed loop against its parts: how much of 1 / (t_env + t_policy + t_record) is left.

Each part is measured alone in the same run, on lane following from the retina (B = 16, one thread).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroctl import registry
from neuroctl.contracts import Listener, Step
from neuroctl.loop import ClosedLoop
from neuroctl.recorder import Recorder, dataset_info
from neuroctl.recording import Recording
from neuroctl.run import make_agent
from neuroctl.streams import episode_seed
from neuroctl.vector import make_env, spaces_of

WIDTH = 16
SEEDS = [episode_seed(0, b) for b in range(WIDTH)]


class Keep(Listener):
    """Keeps the steps."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def on_begin(self, env, obs, info) -> None:  # noqa: D102
        self.begin = (env, obs, info)

    def on_step(self, step: Step) -> None:  # noqa: D102
        self.steps.append(step)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = registry.presets.load("lane-cfc")()
    kwargs = {**config.env.kwargs(), "max_steps": options.steps}
    env: Any = make_env(config.env.id, WIDTH, kwargs)
    agent = make_agent(config, spaces_of(env))
    keep = Keep()
    ClosedLoop(env, agent, [keep]).run_episodes(SEEDS, 0)
    info = dataset_info(env, config.env.id, kwargs, (), agent="bench", policy_hash="", seed=0, width=WIDTH)
    folders = tempfile.TemporaryDirectory()
    count = 0

    def recorder() -> Recorder:
        nonlocal count
        count += 1
        recording = Recording.create(Path(folders.name) / str(count), info)
        return Recorder(recording, list(range(WIDTH)), SEEDS)

    def run_env() -> None:
        env.reset(seed=SEEDS)
        for step in keep.steps:
            env.step(step.action)

    def run_policy() -> None:
        agent.begin(WIDTH, 0)
        for step in keep.steps:
            agent.act(step.obs, step.first)

    def run_record() -> None:
        listener = recorder()
        listener.on_begin(*keep.begin)
        for step in keep.steps:
            listener.on_step(step)

    def run_loop() -> None:
        ClosedLoop(env, agent, [recorder()]).run_episodes(SEEDS, 0)

    parts = {"environment": run_env, "policy": run_policy, "recording": run_record, "closed loop": run_loop}
    times: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(options.repeats):
        for name, function in parts.items():
            times[name].append(seconds(function))
    rows = len(keep.steps) * WIDTH
    median = {name: statistics.median(values) for name, values in times.items()}
    for name, value in median.items():
        print(f"{name:12}  {1e6 * value / rows:7.1f} us per row and step")
    alone = np.array([times["environment"], times["policy"], times["recording"]]).sum(axis=0)
    share = statistics.median(alone / np.array(times["closed loop"]))
    print(f"closed loop reaches {share:.2f} of 1 / (t_env + t_policy + t_record); target 0.80")
    print(f"frames per second: {rows / median['closed loop']:.0f}")
    folders.cleanup()


if __name__ == "__main__":
    main()
