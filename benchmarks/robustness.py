"""Episodes under a shift on two workers, against the ways in which they are played without them.

A CfC that was trained for a minute keeps the lane by its retina. It plays

- in shards of 16 on two workers, as `neuroctl robustness --workers 2`;
- in Gymnasium's `SyncVectorEnv` of the same width, with one call of the policy for all rows, in one process;
- in single environments, with a call of the policy in every step.

The last two play without shifts, which costs them nothing. Episodes per second, from alternating repeats; processes
are warm.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from neuroctl import registry, train
from neuroctl.cluster import cluster
from neuroctl.distributed import _play
from neuroctl.rollouts import find_player, make_shards
from neuroctl.run import agent_with, environment_spaces
from neuroctl.workers import Workers

WIDTH = 16
SHIFTS = ("gaussian-noise:3", "friction:3", "action-delay:2", "brightness:4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=500, help="of an episode, at most")
    parser.add_argument("--episodes", type=int, default=128)
    parser.add_argument("--training", type=int, default=600, help="gradient steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    preset = registry.presets.load("lane-cfc")()
    with tempfile.TemporaryDirectory() as folder:
        run = train(replace(preset, steps=options.training), out=Path(folder) / "run")
        player, _ = find_player(run.path)
    env_id, kwargs = run.environment()
    kwargs["max_steps"] = options.steps
    each = options.episodes // len(SHIFTS)
    jobs = [(shard, player) for shift in SHIFTS for shard in make_shards(env_id, kwargs, [shift], each, 0, WIDTH)]
    assert player.config is not None
    agent = agent_with(player.config, environment_spaces(player.config), player.state)

    def many() -> int:
        envs: Any = SyncVectorEnv([lambda: gym.make(env_id, **kwargs)] * WIDTH, autoreset_mode=AutoresetMode.SAME_STEP)
        agent.begin(WIDTH, 0)
        obs, _ = envs.reset(seed=0)
        first, finished = np.ones(WIDTH, np.bool_), 0
        while finished < options.episodes:
            obs, _, terminated, truncated, _ = envs.step(agent.act(obs, first))
            first = terminated | truncated
            finished += int(first.sum())
        return finished

    def single() -> int:
        env: Any = gym.make(env_id, **kwargs)
        agent.begin(1, 0)
        episodes: int = max(options.episodes // WIDTH, 1)
        for seed in range(episodes):
            obs, _ = env.reset(seed=seed)
            first = np.ones(1, np.bool_)
            while True:
                row = {name: part[None] for name, part in obs.items()} if isinstance(obs, dict) else obs[None]
                obs, _, terminated, truncated, _ = env.step(agent.act(row, first)[0])
                first = np.zeros(1, np.bool_)
                if terminated or truncated:
                    break
        return episodes

    with cluster(2), Workers(2, _play) as crew:

        def ours() -> int:
            answers = crew.answers((shard, crew.share(who)) for shard, who in jobs)
            finished: int = sum(len(answer["returns"]) for answer in answers)
            return finished

        found: dict[str, list[float]] = {"two workers": [], "SyncVectorEnv": [], "single environments": []}
        ours()
        for _ in range(options.repeats):
            for name, play in zip(found, (ours, many, single), strict=True):
                start = time.perf_counter()
                episodes = play()
                found[name].append(episodes / (time.perf_counter() - start))
    for name, target in (("SyncVectorEnv", 3), ("single environments", 8)):
        ratios = np.array(found["two workers"]) / np.array(found[name])
        print(
            f"two workers play {np.median(ratios):.1f} times as many episodes as {name} "
            f"({ratios.min():.1f} to {ratios.max():.1f}); target {target}"
        )
    print(f"episodes per second: {', '.join(f'{name} {statistics.median(v):.2f}' for name, v in found.items())}")


if __name__ == "__main__":
    main()
