"""Where the time of spiking agents that learn goes: of a network of many synapses, and of the whole closed loop.

What a part takes is the median over stretches, in microseconds for each agent and control step of 20 ms. Beside the
work on synapses stands its limit: to read and write what it has to, once, by plain copies of as many bytes.

    python benchmarks/spiking_parts.py
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from spiking import INPUTS, OUTPUTS, SLICES, sampling  # type: ignore[import-not-found]  # beside this file
from spiking_loop import PRESETS  # type: ignore[import-not-found]

from neuroctl import registry
from neuroctl.agents.spiking import network, synaptic_kernels, synaptic_sampling
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent
from neuroctl.vector import make_env, spaces_of

REPEATS, STEPS = 9, 500
SLICES_PER_UPDATE = 5
FLOAT32, FLOAT64 = 4, 8
KERNELS: dict[str, tuple[Any, str, int]] = {
    "neurons and spikes on their way": (network, "run_network", 0),
    "traces": (synaptic_kernels, "advance_traces", 5 * FLOAT32),
    "normal draws": (synaptic_sampling, "fill_normals", FLOAT32),
    "theta": (synaptic_kernels, "update_theta", 2 * FLOAT64 + 2 * FLOAT32),
    "weights": (synaptic_kernels, "map_weights", FLOAT64 + 2 * FLOAT32),
}
"""Where a compiled part is looked up, and the bytes that it reads and writes for each synapse in an update interval."""


class Clock:
    """Times of functions by name, summed since the last `stretch`."""

    def __init__(self) -> None:
        self._now: dict[str, float] = {}
        self._stretches: list[dict[str, float]] = []

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """Put a function that adds up its time in the place of `owner.attribute`."""
        function = getattr(owner, attribute)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self._now[name] = self._now.get(name, 0.0) + time.perf_counter() - start
            return result

        setattr(owner, attribute, timed)

    def stretch(self, run: Callable[[], Any], counts: bool) -> None:
        """Run; the times count, or not while everything settles."""
        self._now = {}
        start = time.perf_counter()
        run()
        self._now["all"] = time.perf_counter() - start
        if counts:
            self._stretches.append(self._now)

    def medians(self, per: float) -> dict[str, float]:
        """Microseconds for each of `per`; what nobody watched is `rest`."""
        found = {
            name: 1e6 / per * statistics.median(times[name] for times in self._stretches) for name in self._stretches[0]
        }
        return {**found, "rest": 2 * found["all"] - sum(found.values())}


def copy_us(size: int) -> float:
    """The time to read half of so many bytes and write the other half."""
    source = np.ones(max(size // 2, 1), np.uint8)
    target, times = source.copy(), []
    for _ in range(50):
        start = time.perf_counter()
        np.copyto(target, source)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def of_the_network(agents: int) -> None:
    clock = Clock()
    kept = {name: getattr(module, attribute) for name, (module, attribute, _) in KERNELS.items()}
    for name, (module, attribute, _) in KERNELS.items():
        clock.watch(module, attribute, name)
    run = sampling(agents)
    for repeat in range(REPEATS + 1):
        clock.stretch(run, repeat > 0)
    for name, (module, attribute, _) in KERNELS.items():
        setattr(module, attribute, kept[name])
    found, synapses = clock.medians(SLICES[agents] * agents), agents * INPUTS * OUTPUTS
    for name, (_, _, size) in KERNELS.items():
        limit = f"{copy_us(size * synapses) / agents / SLICES_PER_UPDATE:.1f}" if size else ""
        print(f"| {agents} | {name} | {found[name]:.1f} | {limit} |")
    print(f"| {agents} | checks and calls | {found['rest']:.1f} | |")
    print(f"| {agents} | together | {found['all']:.1f} | |")


def of_the_loop(preset: str, agents: int) -> None:
    config = registry.presets.load(preset)()
    env: Any = make_env(config.env.id, agents, config.env.kwargs())
    agent = make_agent(config, spaces_of(env))
    clock = Clock()
    for owner, attribute, name in (
        (env, "step", "robot and camera"),
        (agent, "act", "act"),
        (agent, "update", "learn"),
    ):
        clock.watch(owner, attribute, name)
    loop = ClosedLoop(env, agent)
    loop.begin(1)

    def run() -> None:
        for _ in range(STEPS):
            loop.step()
            agent.update()

    for repeat in range(REPEATS + 1):
        clock.stretch(run, repeat > 0)
    env.close()
    found = clock.medians(STEPS * agents)
    cells = (f"{found[name]:.0f}" for name in ("all", "robot and camera", "act", "learn", "rest"))
    print(f"| {preset} | {agents} | {' | '.join(cells)} |")


def main() -> None:
    print(f"{INPUTS} inputs, {OUTPUTS} outputs, all-to-all: us per agent and 20 ms\n")
    print("| agents | part | us | limit |")
    print("|---|---|---|---|")
    for agents in SLICES:
        of_the_network(agents)
    print("\nThe whole closed loop: us per agent and control step\n")
    print("| preset | agents | together | robot and camera | encode, neurons, read out | learn | rest |")
    print("|---|---|---|---|---|---|---|")
    for preset in PRESETS:
        for agents in (1, 16):
            of_the_loop(preset, agents)


if __name__ == "__main__":
    main()
