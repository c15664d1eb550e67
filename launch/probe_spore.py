"""How well a vehicle's event camera shows where to steer, and how clearly the reward shows it to spiking synapses.

`python launch/probe_spore.py` writes `docs/results/spore_probe.md`. Nothing is learned by the synapses here:

1. An expert drives, disturbed by random commands; the command it wants is predicted from the camera's counts, linearly.
2. The weights of that prediction are put into the synapses of a population, whose learning rate is 0. Their estimate g
   of the gradient, a mean over 50 s, should point along the prediction: from the turn's left to its right neurons. The
   table says how many times its standard deviation (over agents and time) its mean is, along that direction.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.agents.spore import SporeAgent
from neuroctl.agents.spore_network import SYNAPSES
from neuroctl.config import TrainConfig
from neuroctl.envs.lane_follow import CONTROL_DT_S
from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.populations import WITHOUT_LEARNING
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.variants import varied
from neuroctl.loop import ClosedLoop
from neuroctl.run import environment_spaces
from neuroctl.scripted import ScriptedAgent
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write
from neuroctl.streams import stream
from neuroctl.vector import make_env
from neuroctl.versions import versions

Floats = NDArray[np.float64]
SENSORS = ("env.event_model=linear", "env.event_model=log", "env.event_model=linear env.camera=far")
SETTINGS = (
    "",
    "event_gain=0.0625 rule.parameter_mapping_offset=4.4",
    "event_gain=0.015625 rule.parameter_mapping_offset=3.0",
    "readout_ms=25.0",
    "readout_ms=100.0",
    "readout_ms=200.0",
    "rule.episode_length=200",
    "rule.episode_length=1000",
    "rule.episode_length=2000",
    "drive_mv=2.0",
)
"""Changes of `excitatory`; the second and third let fewer spikes stand for the same input."""
MIDDLE = 2
"""The command straight ahead."""
SMOOTHING_S = 0.1
DISTURBED_S, DISTURBANCES_PER_S = 0.2, 2.0
BLOCK_S = 50.0
"""Of time between two looks at g."""
STRENGTH = 0.6
"""Size of the weights that are put in: difference in mV between left and right, for each command of the prediction."""


@dataclass(frozen=True)
class Arguments:
    """Measure what an event camera shows and what the reward says; write docs/results/spore_probe.md."""

    results: Path = Path("docs/results")
    """Where the table is written."""
    agents: int = 16
    """Agents in a population, and vehicles that the expert drives; 2 or more."""
    blocks: int = 4
    """Stretches of 50 simulated seconds in which a population is watched, 3 or more; the first one is not counted."""
    seed: int = 11
    """Root seed."""

    def __post_init__(self) -> None:
        """Refuse what leaves no other drives to predict, or no standard deviation over time."""
        for name, least in (("agents", 2), ("blocks", 3)):
            if getattr(self, name) < least:
                raise NeuroctlError(f"{name} is {getattr(self, name)}; allowed: from {least} on")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write both tables."""
    options = parse(Arguments, argv, "launch/probe_spore.py")
    names = {key: versions()[key] for key in ("cpu", "mujoco")}
    lines = [HEAD.format(agents=options.agents, seconds=int(BLOCK_S * (options.blocks - 1)), **names), SENSOR_HEAD]
    with shown("probes", len(SENSORS) + len(SETTINGS), "probes") as progress:
        for sensor in SENSORS:
            counts, wanted = disturbed_expert(varied(presets.spore_lane(), sensor), options)
            share = explained(counts, wanted)
            lines.append(f"| {sensor.replace('env.', '')} | {counts.sum(axis=2).mean():.0f} | {100 * share:.0f} |")
            progress.advance(1)
        prediction = fitted(*disturbed_expert(presets.spore_lane(), options))
        lines.append(SETTING_HEAD)
        for setting in SETTINGS:
            lines.append(clarity(varied(excitatory(), setting), setting, prediction, options))
            progress.advance(1)
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "spore_probe.md", "\n".join(lines) + "\n")
    sys.stdout.write(f"results: {options.results / 'spore_probe.md'}\n")
    return 0


def excitatory() -> TrainConfig:
    """The preset with the synapses that excite alone: one gradient for each input and motor neuron."""
    made: Any = presets.spore_lane()
    config: TrainConfig = replace(made, agent=replace(made.agent, inhibition=False, drive_mv=0.5))
    return config


HEAD = """# What a vehicle's event camera shows, and what the reward says to its synapses

Made by `python launch/probe_spore.py` ({agents} agents, {seconds} simulated seconds for each setting); see there.

Machine: {cpu}; mujoco {mujoco}.
"""
SENSOR_HEAD = """The command that the expert wants, predicted linearly from counts with a time constant of 0.1 s.

| sensor | events in a control step | variance explained on other drives, % |
|---|---|---|"""
SETTING_HEAD = """
Gradient along the prediction, with its weights in the synapses; 95 % bootstrap interval over agents. The settings are
changes of the preset without its synapses that inhibit (`inhibition=False drive_mv=0.5`).

| setting | mean over sd | motor rate, Hz | time on the lane, s |
|---|---|---|---|"""


# -- the sensor ------------------------------------------------------------------------------------------------


def disturbed_expert(config: TrainConfig, options: Arguments) -> tuple[Floats, Floats]:
    """Smoothed counts `[T, B, N]` and the commands `[T, B]` that the expert wants, straight ahead being 0."""
    made: Any = config.env
    dt_s, rows = 0.02, options.agents
    env: Any = make_env(made.id, rows, {**made.kwargs(), "crash_pause_s": 0.0, "start": "random"})
    expert = ScriptedAgent("expert", env)
    expert.begin(rows, options.seed)
    rng, held = stream(options.seed, "disturbance"), round(DISTURBED_S / dt_s)
    obs, _ = env.reset(seed=[options.seed + b for b in range(rows)])
    first, left, command = np.ones(rows, np.bool_), np.zeros(rows, int), np.zeros(rows, int)
    smooth, decay = np.zeros((rows, int(np.prod(obs.shape[1:])))), np.exp(-dt_s / SMOOTHING_S)
    counts, wanted = [], []
    for _ in range(round(BLOCK_S * options.blocks / 10 / dt_s)):
        smooth = decay * smooth + (1 - decay) * obs.reshape(rows, -1)
        action = expert.act(obs, first).copy()
        counts.append(smooth)
        wanted.append(action - float(MIDDLE))
        begins = (left == 0) & (rng.random(rows) < DISTURBANCES_PER_S * dt_s)
        left[begins], command[begins] = held, rng.integers(2 * MIDDLE + 1, size=rows)[begins]
        action[left > 0] = command[left > 0]
        left -= left > 0
        obs, _, terminated, truncated, _ = env.step(action)
        first = terminated | truncated
    env.close()
    return np.array(counts), np.array(wanted)


def fitted(counts: Floats, wanted: Floats) -> Floats:
    """Weights `[N]` of a ridge regression without a constant."""
    x, y = counts.reshape(-1, counts.shape[2]), wanted.reshape(-1)
    square = x.T @ x
    ridge = 0.01 * np.trace(square) / len(square) * np.eye(len(square))
    weights: Floats = np.linalg.solve(square + ridge, x.T @ y)
    return weights


def explained(counts: Floats, wanted: Floats) -> float:
    """Share of the variance of half of the drives that a fit to the other half explains."""
    half = counts.shape[1] // 2
    error = wanted[:, half:] - counts[:, half:] @ fitted(counts[:, :half], wanted[:, :half])
    return float(1 - error.var() / wanted[:, half:].var())


# -- the reward ------------------------------------------------------------------------------------------------


def clarity(config: TrainConfig, setting: str, prediction: Floats, options: Arguments) -> str:
    """A row of the table: mean over standard deviation of g along the prediction, motor rate, time on the lane."""
    made: Any = config
    still = replace(made.agent, **WITHOUT_LEARNING)
    env = make_env(made.env.id, options.agents, made.env.kwargs())
    agent = SporeAgent(still, environment_spaces(config), seed=options.seed)
    loop = ClosedLoop(env, agent)
    loop.begin(options.seed)
    network: Any = agent.network
    rule = network.rules[SYNAPSES]
    sides = np.repeat([1.0, -1.0], still.motors // 2)
    _put_in(rule, prediction / still.event_gain, sides)
    network.refresh_weights()
    direction = prediction[:, None] * sides / np.sqrt(len(sides) * (prediction**2).sum())
    along, spikes, ended = [], 0, 0
    steps = round(BLOCK_S / CONTROL_DT_S)
    for k in range(options.blocks * steps):
        ended += int(loop.step().done.sum())
        spikes += int(network.activity["motor"].sum())
        agent.update()
        if (k + 1) % steps == 0:
            along.append((rule.gradient * direction).sum(axis=(1, 2)))
    env.close()
    found = np.array(along[1:])  # [blocks, agents]

    def ratio(agents: Floats) -> float:
        chosen = found[:, agents.astype(int)]
        return float(chosen.mean() / chosen.std())

    clear = stratified_bootstrap(np.arange(options.agents), ratio)
    watched_s = options.agents * options.blocks * BLOCK_S
    name = setting or "as said"
    rate_hz = spikes / still.motors / watched_s
    cell = f"{clear.value:.2f} ({clear.low:.2f} to {clear.high:.2f})"
    return f"| {name} | {cell} | {rate_hz:.0f} | {watched_s / max(ended, 1):.1f} |"


def _put_in(rule: Any, weights: Floats, sides: Floats) -> None:
    """Add `STRENGTH` times the weights `[N]`, half of it to the neurons of each side, with their sign."""
    offset = rule.parameters.parameter_mapping_offset
    now = np.where(rule.theta >= 0, np.exp(rule.theta - offset), 0.0)
    changed = np.maximum(now + STRENGTH / 2 * weights[:, None] * sides, 1e-9)
    rule.theta = np.clip(np.log(changed) + offset, rule.parameters.min_param, rule.parameters.max_param)


if __name__ == "__main__":
    sys.exit(run(main))
