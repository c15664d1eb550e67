"""Speed of many spiking agents side by side on a GPU: simulated seconds of all agents per second.

Network alone: 256 inputs at 20 Hz, 8 outputs, a plastic synapse between each of them, control steps of 20 ms, spikes
drawn on the device. Closed loop: `spore-ball-sums` with its robots, which are simulated on one core, and the agents on
the GPU.

    python benchmarks/spiking_gpu.py --repeats 5
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from neuroctl import registry
from neuroctl.agents.spiking import NeuronParameters, Population, Projection
from neuroctl.agents.spiking.rules import synaptic_sampling
from neuroctl.agents.spiking.torch_encoder import TorchPoissonEncoder
from neuroctl.agents.spiking.torch_network import TorchSpikingNetwork
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent
from neuroctl.vector import make_env, spaces_of

AGENTS = (16, 256, 4096)
INPUTS, OUTPUTS, RATE_HZ = 256, 8, 20.0
STEP_S, STEPS = 0.02, 50
"""Of a control step, and their number in each repeat."""


def network(agents: int, device: str) -> Callable[[], None]:
    """One control step of the network alone."""
    neurons = NeuronParameters(c2_hz=1.0, c3_per_mv=1.0, dead_time_ms=5.0, with_reset=False)
    layer = TorchSpikingNetwork(
        INPUTS,
        {"output": Population(OUTPUTS, neurons)},
        [Projection("input", "output", rule=synaptic_sampling(initial=(0.5, 0.5)))],
        "output",
        batch_size=agents,
        device=device,
    )
    encoder = TorchPoissonEncoder(INPUTS, round(1000 * STEP_S), batch_size=agents, device=device)
    rates = np.full((agents, INPUTS), RATE_HZ)
    reward = np.random.default_rng(0).normal(0, 0.1, (encoder.num_steps, agents))

    def step() -> None:
        layer.run(encoder.encode(rates))
        layer.learn(reward)

    return step


def closed_loop(agents: int, device: str) -> Callable[[], None]:
    """One control step of robots and agents."""
    config = dataclasses.replace(registry.presets.load("spore-ball-sums")(), device=device)
    env = make_env(config.env.id, agents, config.env.kwargs())
    agent = make_agent(config, spaces_of(env))
    loop = ClosedLoop(env, agent)
    loop.begin(1)

    def step() -> None:
        loop.step()
        agent.update()

    return step


def times_real_time(step: Callable[[], None], agents: int, repeats: int) -> float:
    """The median over repeats, after one that compiles and settles."""
    seconds = []
    for _ in range(repeats + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return agents * STEPS * STEP_S / statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of many spiking agents side by side on a GPU.")
    parser.add_argument("--repeats", type=int, default=5, help="of each size; the median is shown")
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats must be >= 1; got {repeats}")
    if not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device on this machine")
        return
    print(f"{torch.cuda.get_device_name()}; agents times real time\n")
    print("| agents | network alone | spore-ball-sums, robots on one core |")
    print("|---|---|---|")
    for agents in AGENTS:
        alone, whole = (times_real_time(make(agents, "cuda"), agents, repeats) for make in (network, closed_loop))
        print(f"| {agents} | {alone:.3g} | {whole:.3g} |", flush=True)


if __name__ == "__main__":
    main()
