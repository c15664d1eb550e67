"""What a rollout by request costs each of those who take part, and from how many workers on one of them is the limit.

Of presets whose rollouts workers may collect: processor time of a worker for the rollout of a shard, of the command for
handing out the request and taking its answer in, of the learner for its steps; and what travels. Processor times of
single threads, so that other work on the machine shows little.

    python benchmarks/scaling.py
"""

import argparse
import pickle
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from neuroctl import registry
from neuroctl.cluster import cluster
from neuroctl.contracts import RolloutAgent
from neuroctl.run import environment_spaces, make_agent
from neuroctl.sharded_rollouts import Collector, _joined
from neuroctl.workers import Beat, Workers

PRESETS = ("rtrl-nonmatch", "rtrl-watermaze", "rtrl-watermaze-impala")
ROWS = 16
"""Environments of a shard."""
LEARNED = 8
"""Shards side by side in the update that is measured."""


@dataclass(frozen=True)
class Costs:
    """Of the rollout of one shard.

    Attributes:
        steps: T.
        worker_s: processor time to collect it.
        command_s: of the process that asks, to hand out the request and to take the answer.
        learner_s: of an update, divided by the shards in it.
        weights: bytes of a version.
        asked: bytes of a request but for the weights.
        answered: bytes of its answer.
    """

    steps: int
    worker_s: float
    command_s: float
    learner_s: float
    weights: int
    asked: int
    answered: int


def processor_s(function: Callable[[], Any], repeats: int) -> float:
    """Median processor time of this process."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def size(value: Any) -> int:
    """Bytes of it on its way."""
    return len(pickle.dumps(value, protocol=5))


def command_s(answer: Any, weights: Any, requests: int, repeats: int) -> float:
    """Processor time for a request whose answer is there at once."""

    def at_once(shard: int, weights: Any, state: Any, beat: Beat) -> Any:
        return answer

    with cluster(1), Workers(1, at_once) as crew:

        def go() -> None:
            shared = crew.share(weights)
            for _ in crew.answers((0, shared, answer["state"]) for _ in range(requests)):
                pass

        go()
        return processor_s(go, repeats) / requests


def costs(preset: str, repeats: int, requests: int) -> Costs:
    config = replace(registry.presets.load(preset)(), weight_lag=1, num_envs=ROWS * LEARNED)
    agent = make_agent(config, environment_spaces(config))
    assert isinstance(agent, RolloutAgent)
    agent.learning = True
    agent.begin(ROWS * LEARNED, 0)
    weights = agent.acting_weights()
    collect, answer = Collector(config, ROWS), None
    answers = []

    def one() -> None:
        nonlocal answer
        answer = collect(0, weights, None if answer is None else answer["state"], beat=lambda: None)
        answers.append(answer)

    worker_s = processor_s(one, repeats)
    rollout = _joined([answers[k % repeats]["rollout"] for k in range(LEARNED)])
    agent.learn(rollout)
    learner_s = processor_s(lambda: agent.learn(rollout), repeats) / LEARNED
    return Costs(
        agent.rollout_length,
        worker_s,
        command_s(answer, weights, requests, repeats),
        learner_s,
        size(weights),
        size(answers[-1]["state"]),
        size(answers[-1]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of rollouts by request, and what they mean for many workers.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--requests", type=int, default=200, help="to measure what the command does for one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"A rollout of a shard of {ROWS} environments: processor time in ms; kB on their way\n")
    print("| preset | steps | worker | command | learner | weights | request | answer |")
    print("|---|---|---|---|---|---|---|---|")
    found = {preset: costs(preset, options.repeats, options.requests) for preset in PRESETS}
    for preset, c in found.items():
        times = " | ".join(f"{1e3 * s:.2f}" for s in (c.worker_s, c.command_s, c.learner_s))
        print(
            f"| {preset} | {c.steps} | {times} | {c.weights / 1e3:.0f} | {c.asked / 1e3:.0f} | {c.answered / 1e3:.0f} |"
        )
    print("\nWorkers that one of each keeps busy, and environment steps per second then\n")
    print("| preset | learner, one thread | | command | | link of 10 Gbit/s | |")
    print("|---|---|---|---|---|---|---|")
    for preset, c in found.items():
        limits = (c.learner_s, c.command_s, 8 * (c.asked + c.answered) / 10e9)
        cells = " | ".join(f"{c.worker_s / limit:.0f} | {ROWS * c.steps / limit:,.0f}" for limit in limits)
        print(f"| {preset} | {cells} |")


if __name__ == "__main__":
    main()
