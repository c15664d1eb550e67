"""Steps per second of `neuroctl/ArmReach-v0` (planar2) against Gymnasium's Reacher-v5, both 64 wide with autoreset.

python benchmarks/arm.py

The peers alternate, so that a change of the machine's speed meets both; the ratio is the median over the repeats.
"""

import argparse
import statistics
import time

import gymnasium as gym
import numpy as np

import neuroctl  # noqa: F401

WIDTH = 64


def seconds(env, actions):
    """Time of one step of the whole vector."""
    start = time.perf_counter()
    for action in actions:
        env.step(action)
    return (time.perf_counter() - start) / len(actions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    peers = {
        "neuroctl/ArmReach-v0": gym.make_vec("neuroctl/ArmReach-v0", num_envs=WIDTH),
        "Reacher-v5": gym.make_vec("Reacher-v5", num_envs=WIDTH, vectorization_mode="sync"),
    }
    shape = (options.steps, WIDTH, 2)
    actions = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    for env in peers.values():
        env.reset(seed=0)
        seconds(env, actions)
    times: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(options.repeats):
        for name, env in peers.items():
            times[name].append(seconds(env, actions))
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:22} {WIDTH / median:9.0f} steps/s  {1e6 * median / WIDTH:7.2f} us per row and step")
    ours, theirs = (np.array(values) for values in times.values())
    print(f"ratio {statistics.median(theirs / ours):.1f}; target 5.0")


if __name__ == "__main__":
    main()
