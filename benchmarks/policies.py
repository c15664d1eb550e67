"""Policies that learn by imitation: parameters, time of a gradient step, latency of one decision (one thread)."""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuroctl import record, registry
from neuroctl.agents.policies import CellPolicy
from neuroctl.run import environment_spaces, make_agent

STEPS_OF_GAMES = 300
"""Of an episode, whose length is of no concern here."""


def effective_parameters(policy: CellPolicy) -> tuple[int, int]:
    """Trainable numbers of the whole policy, and of its recurrent cell."""
    count = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    return count, sum(p.numel() for p in policy.cell.parameters() if p.requires_grad)


def median_seconds(function, repeats: int) -> float:
    values = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        values.append(time.perf_counter() - start)
    return statistics.median(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'preset':16} {'parameters':>10} {'cell':>8} {'gradient step':>14} {'latency B=1':>12} {'B=16':>9}")
        for name in registry.presets.names():
            config = registry.presets.load(name)()
            if not registry.agents.load(config.agent.name).offline:
                continue  # see spiking_loop.py
            path = Path(folder) / name
            short = {"max_steps": STEPS_OF_GAMES} if "Atari" in config.env.id else {}
            kwargs = {**config.env.kwargs(), **short}
            data = [record("expert", path, episodes=16, env_id=config.env.id, env_kwargs=kwargs)]
            agent: Any = make_agent(replace(config, seed=1), environment_spaces(config), data)
            update = median_seconds(agent.update, options.repeats)
            latency = {}
            for width in (1, 16):
                shape = environment_spaces(config).observation.shape
                assert shape is not None
                obs = np.zeros((width, *shape), np.float32)
                agent.begin(width, 0)
                none = np.zeros(width, dtype=bool)
                latency[width] = median_seconds(lambda o=obs, f=none, a=agent: a.act(o, f), 20 * options.repeats)
            whole, cell = effective_parameters(agent.policy)
            print(
                f"{name:16} {whole:10d} {cell:8d} {1e3 * update:11.1f} ms {1e6 * latency[1]:9.0f} us"
                f" {1e6 * latency[16]:6.0f} us"
            )


if __name__ == "__main__":
    main()
