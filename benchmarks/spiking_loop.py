"""Speed of the whole closed loop with spiking agents that learn: simulated seconds per second, on one core.

Robot, event camera, spikes, plasticity and the loop itself, at every control step of 20 ms; summed over the agents of
a population. Beside it what the environment alone takes, with the actions of a recorded stretch, in turns.

    python benchmarks/spiking_loop.py
"""

import statistics
import time

from neuroctl import registry
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent
from neuroctl.vector import make_env, spaces_of

PRESETS = {"spore-ball": 200, "spore-ball-sums": 300, "spore-lane": 150}
"""And the target for 16 agents, times real time."""
REPEATS, STEPS = 7, 500


def stretches(preset: str, agents: int) -> tuple[list[float], list[float]]:
    """Times of so many steps of the closed loop, and of the environment alone."""
    config = registry.presets.load(preset)()
    envs = [make_env(config.env.id, agents, config.env.kwargs()) for _ in range(2)]
    agent = make_agent(config, spaces_of(envs[0]))
    loop = ClosedLoop(envs[0], agent)
    loop.begin(1)
    envs[1].reset(seed=1)
    whole, alone = [], []
    for repeat in range(REPEATS + 1):
        actions = []
        start = time.perf_counter()
        for _ in range(STEPS):
            actions.append(loop.step().action)
            agent.update()
        middle = time.perf_counter()
        for action in actions:
            envs[1].step(action)
        if repeat:  # the first compiles and settles
            whole.append(middle - start)
            alone.append(time.perf_counter() - middle)
    for env in envs:
        env.close()
    return whole, alone


def main() -> None:
    print("| preset | agents | times real time | target | us per agent and step | of these the environment |")
    print("|---|---|---|---|---|---|")
    for preset, target in PRESETS.items():
        for agents in (1, 16):
            whole, alone = (statistics.median(times) / (STEPS * agents) for times in stretches(preset, agents))
            wanted = f"{target}" if agents > 1 else ""
            print(f"| {preset} | {agents} | {0.02 / whole:.0f} | {wanted} | {1e6 * whole:.0f} | {1e6 * alone:.0f} |")


if __name__ == "__main__":
    main()
