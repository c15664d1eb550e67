"""Speed of a spiking network that learns by synaptic sampling, against real time and against NEST.

512 inputs at 20 Hz, 32 outputs, a plastic synapse between each input and each output, steps of 1 ms, simulated in
slices of 20 ms as a control loop does. NEST has no synaptic sampling; what it has is `stdp_dopamine_synapse`, a rule
with an eligibility trace and a reward as well, between the same spikes and neurons of the same kind. It brings all of
its synapses up to date in an interval that is 1 ms by default and that a user may lengthen: to a slice, or to the
100 ms between two weight updates of synaptic sampling. The weights that it learns stay the same but for rounding, so
the longest is the fair comparison. Every repeat runs all of them one after the other, on one core.

    python benchmarks/spiking.py --repeats 9
"""

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from neuroctl.agents.spiking import (
    NeuronParameters,
    Population,
    Projection,
    SpikingNetwork,
    SynapticSampling,
    SynapticSamplingParameters,
)

INPUTS, OUTPUTS, RATE_HZ, SLICE_MS = 512, 32, 20.0, 20
SLICES = {1: 500, 16: 50}
"""In each repeat of a network of so many agents."""
INTERVALS_MS = {1: 50, SLICE_MS: 200, 100: 200}
"""In which NEST updates its synapses, and its slices in each repeat."""
DEAD_TIME_MS, POTENTIAL_MS = 5.0, 20.0

Run = Callable[[], int]
"""Simulates the slices of one repeat and returns the number of output spikes."""


def poisson(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Whether each of the inputs fires in each step."""
    return (rng.random(shape) < RATE_HZ / 1000).astype(np.uint8)


def sampling(batch_size: int) -> Run:
    """B agents with their own weights, almost all synapses active: a retracted one is cheaper."""
    neurons = NeuronParameters(i_e_mv=-15.0, c2_hz=1.0, c3_per_mv=1.0, dead_time_ms=DEAD_TIME_MS, with_reset=False)
    rule = partial(SynapticSampling, parameters=SynapticSamplingParameters(temperature=0.1), initial=(0.5, 0.2))
    network = SpikingNetwork(
        INPUTS,
        {"output": Population(OUTPUTS, neurons)},
        [Projection("input", "output", rule=rule)],
        "output",
        batch_size=batch_size,
    )
    rng = np.random.default_rng(0)
    spikes = poisson(rng, SLICES[batch_size], SLICE_MS, batch_size, INPUTS)
    rewards = np.repeat(rng.normal(0, 0.1, (SLICES[batch_size], 1, batch_size)), SLICE_MS, axis=1)
    return lambda: sum(int(network.step(*given).sum()) for given in zip(spikes, rewards, strict=True))


def dopamine(nest: Any, duration_ms: int) -> Callable[[int], Run]:
    """NEST's network, with input for so long; the function returned sets the interval of a repeat."""
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution, nest.local_num_threads = 1.0, 1
    trains = [
        {"spike_times": 1.0 + np.flatnonzero(row)} for row in poisson(np.random.default_rng(0), INPUTS + 1, duration_ms)
    ]
    inputs, reward = nest.Create("spike_train_injector", INPUTS), nest.Create("spike_train_injector")
    inputs.set(trains[:-1])
    reward.set(trains[-1])
    transmitter = nest.Create("volume_transmitter")
    nest.Connect(reward, transmitter)
    learning = {"volume_transmitter": transmitter, "A_plus": 1e-5, "A_minus": 1e-5, "Wmax": 1.0}
    nest.CopyModel("stdp_dopamine_synapse", "plastic", learning)
    rate = {"c_1": 0.0, "c_2": 1.0, "c_3": 1.0, "dead_time": DEAD_TIME_MS, "with_reset": False}
    potential = {"tau_m": POTENTIAL_MS, "C_m": POTENTIAL_MS, "I_e": -8.3}
    outputs = nest.Create("pp_psc_delta", OUTPUTS, params=rate | potential)
    nest.Connect(inputs, outputs, "all_to_all", {"synapse_model": "plastic", "weight": 0.05})
    recorder = nest.Create("spike_recorder")
    nest.Connect(outputs, recorder)

    def run(interval_ms: int) -> int:
        transmitter.deliver_interval = interval_ms
        before = int(recorder.n_events)
        with nest.RunManager():
            for _ in range(INTERVALS_MS[interval_ms]):
                nest.Run(SLICE_MS)
        return int(recorder.n_events) - before

    return lambda interval_ms: lambda: run(interval_ms)


def candidates(repeats: int) -> dict[str, tuple[Run, int, int]]:
    """What to run by name, the slices of one repeat, and the number of agents."""
    rows = {
        f"neuroctl, {agents} agent{'s'[: agents - 1]}": (sampling(agents), n, agents) for agents, n in SLICES.items()
    }
    if importlib.util.find_spec("nest") is not None:
        os.environ["PYNEST_QUIET"] = "1"
        import nest

        in_intervals = dopamine(nest, SLICE_MS * (repeats + 1) * sum(INTERVALS_MS.values()))
        for interval_ms, n in INTERVALS_MS.items():
            rows[f"NEST {nest.__version__}, update every {interval_ms} ms"] = (in_intervals(interval_ms), n, 1)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of synaptic sampling against real time and NEST.")
    parser.add_argument("--repeats", type=int, default=9, help="alternating repeats; the median is shown")
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats must be >= 1; got {repeats}")
    rows = candidates(repeats)
    speeds: dict[str, list[float]] = {name: [] for name in rows}
    spikes = dict.fromkeys(rows, 0)
    for repeat in range(repeats + 1):
        for name, (run, slices, agents) in rows.items():
            start = time.perf_counter()
            count = run()
            seconds = time.perf_counter() - start
            if repeat:  # the first compiles and settles
                speeds[name].append(agents * slices * SLICE_MS / 1000 / seconds)
                spikes[name] += count
    print(f"{INPUTS} inputs at {RATE_HZ:g} Hz, {OUTPUTS} outputs, all-to-all, slices of {SLICE_MS} ms, one core")
    print("(targets: 100 times real time, and 100 times NEST as it comes, which updates every 1 ms)\n")
    print("| simulator | outputs, Hz | times real time | one agent of ours against it |")
    print("|---|---|---|---|")
    ours = statistics.median(next(iter(speeds.values())))
    for name, (_, slices, agents) in rows.items():
        rate = spikes[name] / (repeats * agents * OUTPUTS * slices * SLICE_MS / 1000)
        speed = statistics.median(speeds[name])
        print(f"| {name} | {rate:.1f} | {speed:.3g} | {ours / speed:.3g} |")
    if len(rows) == len(SLICES):
        print("| NEST | not installed; it comes with the extra `peers` | | |")


if __name__ == "__main__":
    main()
