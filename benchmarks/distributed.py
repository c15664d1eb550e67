"""Two workers against two plain processes that do the same, and what a request, new weights and a death cost.

Shards are lane following from its state with the expert, of about half a second. Processes are warm before the clock
starts. The ratio of throughputs is of alternating repeats.
"""

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from neuroctl.cluster import cluster
from neuroctl.distributed import _play
from neuroctl.rollouts import Player, Shard, make_shards, play_shard
from neuroctl.workers import Beat, Workers

EXPERT = Player("expert")


def shards(count: int, steps: int) -> list[Shard]:
    return make_shards("neuroctl/LaneFollow-v0", {"max_steps": steps}, (), 16 * count, 0)


def plain(first: int, count: int, steps: int) -> None:
    """A process of its own: warm up, say so, wait for a line, play, say so."""
    mine = shards(first + count, steps)[first:]
    play_shard(mine[0], EXPERT)
    for line in sys.stdin:
        if line == "go\n":
            for shard in mine:
                play_shard(shard, EXPERT)
        print("done", flush=True)


def tell(processes: list[Any], word: str) -> None:
    for process in processes:
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
    for process in processes:
        process.stdout.readline()


def seconds(function: Any) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def throughput(repeats: int, count: int, steps: int) -> None:
    """`count` shards for each of two."""
    arguments = [sys.executable, __file__, "--steps", str(steps), "--count", str(count), "--plain"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    two = [subprocess.Popen([*arguments, str(k * count)], **pipes) for k in range(2)]
    tell(two, "warm")
    jobs = [(shard, EXPERT) for shard in shards(2 * count, steps)]
    with cluster(2), Workers(2, _play) as crew:
        list(crew.answers(jobs[:4]))
        ratios = []
        for _ in range(repeats):
            alone = seconds(lambda: tell(two, "go"))
            ours = seconds(lambda: list(crew.answers(jobs)))
            ratios.append(alone / ours)
    for process in two:
        process.kill()
    share = statistics.median(ratios)
    print(f"two workers reach {share:.2f} of two plain processes ({min(ratios):.2f} to {max(ratios):.2f}); target 0.85")


def request(repeats: int, steps: int) -> None:
    """One worker against this process."""
    mine = shards(8, steps)
    with cluster(1), Workers(1, _play) as crew:
        list(crew.answers([(mine[0], EXPERT)]))
        play_shard(mine[0], EXPERT)
        costs, lengths = [], []
        for _ in range(repeats):
            here = seconds(lambda: [play_shard(shard, EXPERT) for shard in mine])
            there = seconds(lambda: list(crew.answers((shard, EXPERT) for shard in mine)))
            costs.append(there / here - 1)
            lengths.append(here / len(mine))
    print(
        f"a request of {statistics.median(lengths):.2f} s costs {100 * statistics.median(costs):.1f} % more than the "
        f"same here ({100 * min(costs):.1f} to {100 * max(costs):.1f}); target 5"
    )


def nothing(weights: Any, beat: Beat) -> int:
    return 0


def work(number: int, seconds: float, beat: Beat) -> dict[str, int]:
    time.sleep(seconds)
    return {"pid": os.getpid(), "number": number}


def weights(megabytes: int, repeats: int) -> None:
    """New weights for two workers."""
    with cluster(2), Workers(2, nothing) as crew:
        times: dict[int, list[float]] = {0: [], megabytes: []}
        list(crew.answers((None,) for _ in range(4)))
        for _ in range(repeats):
            for size, taken in times.items():
                tree = {"w": np.zeros(size * 250_000 + 1, np.float32)}

                def go(tree: Any = tree) -> None:
                    for _ in range(2):
                        crew.ask(crew.share(tree))
                    for _ in range(2):
                        crew.take()

                taken.append(seconds(go))
                crew.forget(tree)
    small, large = (1e3 * statistics.median(values) for values in times.values())
    print(f"new weights of {megabytes} MB at two workers: {large:.1f} ms, of nothing {small:.1f} ms")


def most_mb() -> float:
    """Memory of this process at its largest so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def answer(number: int, beat: Beat) -> dict[str, Any]:
    """What a shard's rollout weighs, and who made it."""
    return {"pid": os.getpid(), "mb": most_mb(), "rollout": np.full(12_500, number)}


def memory(count: int) -> None:
    """What is left of many requests, in the command and in each worker."""

    def asked(times: int) -> tuple[float, dict[int, float]]:
        found = {0: 0.0}
        took = seconds(lambda: found.update((a["pid"], a["mb"]) for a in crew.answers((n,) for n in range(times))))
        return took, found | {0: most_mb()}

    with cluster(2), Workers(2, answer) as crew:
        _, before = asked(500)
        took, after = asked(count)
        more = [after[place] - mb for place, mb in before.items()]
        print(
            f"{count} requests that are answered with 0.1 MB: {count / took:.0f} per second, "
            f"{more[0]:.1f} MB more in the command, {max(more[1:]):.1f} MB in a worker, at the most"
        )


def death(repeats: int) -> None:
    """From the death of a worker to the next answer of the one that takes its place."""
    times = []
    with cluster(1), Workers(1, work) as crew:
        for _ in range(repeats):
            crew.ask(0, 0.0)
            victim = crew.take()["pid"]
            crew.ask(1, 0.0)
            os.kill(victim, signal.SIGKILL)
            times.append(seconds(crew.take))
    print(f"after a death the next answer comes in {statistics.median(times):.1f} s ({max(times):.1f} at the most)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--steps", type=int, default=1250, help="of an episode; sets how long a shard takes")
    parser.add_argument("--count", type=int, default=6, help="shards for each of two processes")
    parser.add_argument("--requests", type=int, default=10_000, help="empty ones")
    parser.add_argument("--plain", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain is not None:
        plain(options.plain, options.count, options.steps)
        return
    throughput(options.repeats, options.count, options.steps)
    request(options.repeats, options.steps)
    weights(10, options.repeats)
    memory(options.requests)
    death(3)


if __name__ == "__main__":
    main()
