"""Options of the spiking agents. Imports no numba, so that `--help` is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from neuroctl import registry
from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.config import AgentConfig, parse_options
from neuroctl.errors import NeuroctlError, UnknownNameError

DT_MS = 1.0
"""Step of the network."""
MOST_DELAY_S = 3600.0
"""Of a late reward: every agent remembers the rewards of that time."""
MOST_MOTORS = 10_000
"""Each has synapses from every input."""


@dataclass(frozen=True)
class SporeConfig(AgentConfig):
    """Spiking motor neurons that drive the robot, and synapses onto them that learn from the reward at every step."""

    name: str = "spore"
    """Registered name of the agent."""
    rule: str = "synaptic-sampling"
    """Learning rule of the synapses, by name: synaptic-sampling, r-stdp, node-perturbation, or a registered one."""
    rule_options: tuple[str, ...] = ()
    """Its parameters that differ from its defaults, such as episode_length=300 or initial=(1.0,0.5)."""
    learning_rate_per_s: float = 1e-4
    """Speed of learning at the start; its unit is that of the rule's parameter, times 1/s."""
    learning_rate_schedule: Literal["constant", "exponential", "step"] = "constant"
    """How it falls."""
    learning_rate_half_life_s: float | None = None
    """Simulated time in which it halves; not with a constant."""
    temperature: float | None = None
    """Noise of the synapses at the start, of a rule that has any; the rule's own when absent."""
    temperature_schedule: Literal["constant", "exponential", "step"] = "constant"
    """How it falls."""
    temperature_half_life_s: float | None = None
    """Simulated time in which it halves; not with a constant."""
    synapses_per_pair: int = 1
    """Parallel synapses from each input to each motor neuron."""
    inhibition: bool = False
    """Whether every input also inhibits: a second set of synapses that learn likewise, with negative weights."""
    motors: int = 8
    """Motor neurons: their directions lie around the circle, or the first half of them steers to the left."""
    drive_mv: float = 0.0
    """Constant input of the motor neurons, which fire at exp(V) Hz."""
    dead_time_ms: float = 5.0
    """Silence of a motor neuron after a spike."""
    target_rate_hz: float | None = None
    """Mean rate that an adaptive threshold of each motor neuron brings about; thresholds are fixed when absent."""
    adaptation_mv: float | None = None
    """Rise of that threshold with each spike; 0.1 when absent. Only with target_rate_hz."""
    encoding: Literal["events", "image", "place"] = "events"
    """Rates of the inputs: for each event, with the brightness of each pixel, or bumps over each value of the state."""
    input_limit_hz: float = 400.0
    """Highest rate of an input: what many events reach, white, or the top of a bump."""
    event_gain: float | None = None
    """Expected spikes for each event; 1 when absent. Only with encoding events."""
    place_cells: int | None = None
    """Inputs for each value of the state; 8 when absent. Only with encoding place."""
    exploration_hz: float = 0.0
    """Rate of one more input, which excites all motor neurons when the other inputs are silent; 0 is none."""
    exploration_inhibition: float | None = None
    """By how much that rate sinks for each Hz of all other inputs together; 0.2 when absent."""
    exploration_mv: float | None = None
    """Weight of that input; 2 when absent."""
    readout_ms: float = 100.0
    """Time constant with which the rates of the motor neurons are read out."""
    readout_gain: float | None = None
    """Of a command in the plane: units of the action for each Hz; 0.05 when absent."""
    ratio_scale: float | None = None
    """Of five steering commands: the balance of left and right, -1 to 1, times this is cut at -10, -2.5, 2.5, 10; 20
    when absent."""
    reward_filter: Literal["raw", "ratio", "difference", "zscore"] = "difference"
    """What the synapses see of the reward r with its running mean m: r, r / m, r - m, or (r - m) / sd."""
    reward_mean_s: float | None = None
    """Time constant of that mean; 50 s when absent."""
    reward_smoothing_s: float = 0.0
    """Time constant of a low-pass on the reward before; 0 is none."""

    reward_delay_s: float = 0.0
    """By how much the synapses see the reward late, at most 3600; for a control experiment, 0 otherwise."""

    def __post_init__(self) -> None:
        """Refuse values out of range and options without effect; what depends on the robot is checked later."""
        if self.rule not in registry.rules.entries:
            raise UnknownNameError("learning rule", self.rule, registry.rules.names())
        for name in ("learning_rate", "temperature"):
            if name in parse_options(self.rule_options):
                raise NeuroctlError(f"agent.rule_options cannot set {name}; set {_OWN[name]}")
            self._check_schedule(name)
        self._check_number("learning_rate_per_s", 0.0)
        self._check_number("drive_mv", -math.inf)
        for name in ("dead_time_ms", "exploration_hz", "reward_smoothing_s", "reward_delay_s"):
            self._check_number(name, 0.0)
        self._check_number("input_limit_hz", 0.0, above=True)
        self._check_number("readout_ms", DT_MS)
        for name in ("temperature", "event_gain", "exploration_inhibition", "exploration_mv"):
            self._check_number(name, 0.0)
        for name in ("readout_gain", "ratio_scale", "reward_mean_s", "target_rate_hz", "adaptation_mv"):
            self._check_number(name, 0.0, above=True)
        if self.reward_delay_s > MOST_DELAY_S:
            raise NeuroctlError(
                f"agent.reward_delay_s must be from 0 to {MOST_DELAY_S:g}, got {shown(self.reward_delay_s)}"
            )
        checked_integer("agent.motors", self.motors, 2, MOST_MOTORS)
        checked_integer("agent.synapses_per_pair", self.synapses_per_pair, 1)
        if self.place_cells is not None:
            checked_integer("agent.place_cells", self.place_cells, 2)
        if not isinstance(self.inhibition, bool):
            raise NeuroctlError(f"agent.inhibition must be True or False, got {shown(self.inhibition)}")
        if self.inhibition and self.rule != "synaptic-sampling":
            raise NeuroctlError(f"agent.inhibition has no effect with rule {self.rule!r}; leave it out")
        self._check_effects()

    def _check_number(self, name: str, least: float, above: bool = False) -> None:
        value: Any = getattr(self, name)
        if value is None:
            return
        if not is_number(value) or not (value > least if above else value >= least):
            allowed = "a finite number" if least == -math.inf else f"a number {'>' if above else '>='} {least:g}"
            raise NeuroctlError(f"agent.{name} must be {allowed}, got {shown(value)}")

    def _check_schedule(self, name: str) -> None:
        kind, half_life = getattr(self, f"{name}_schedule"), getattr(self, f"{name}_half_life_s")
        if kind not in ("constant", "exponential", "step"):
            raise UnknownNameError(f"agent.{name}_schedule", str(kind), ("constant", "exponential", "step"))
        self._check_number(f"{name}_half_life_s", 0.0, above=True)
        if (half_life is None) != (kind == "constant"):
            need = "has no effect" if kind == "constant" else "is needed"
            raise NeuroctlError(f"agent.{name}_half_life_s {need} with {name}_schedule {kind!r}")

    def _check_effects(self) -> None:
        for name, choices in (
            ("encoding", ("events", "image", "place")),
            ("reward_filter", ("raw", "ratio", "difference", "zscore")),
        ):
            if getattr(self, name) not in choices:
                raise UnknownNameError(f"agent.{name}", str(getattr(self, name)), choices)
        for name, effective, where in (
            ("event_gain", self.encoding == "events", f"encoding {self.encoding!r}"),
            ("place_cells", self.encoding == "place", f"encoding {self.encoding!r}"),
            ("exploration_inhibition", self.exploration_hz > 0, "exploration_hz 0"),
            ("exploration_mv", self.exploration_hz > 0, "exploration_hz 0"),
            ("reward_mean_s", self.reward_filter != "raw", "reward_filter 'raw'"),
            ("adaptation_mv", self.target_rate_hz is not None, "target_rate_hz None"),
        ):
            if getattr(self, name) is not None and not effective:
                raise NeuroctlError(f"agent.{name} has no effect with {where}; set it to None")
        if self.target_rate_hz is not None and self.dead_time_ms > 0:
            most = 1000 / (DT_MS * (math.ceil(self.dead_time_ms / DT_MS) + 1))
            if self.target_rate_hz >= most:
                dead, rate = shown(self.dead_time_ms), shown(self.target_rate_hz)
                raise NeuroctlError(f"agent.target_rate_hz must be < {most:g} with dead_time_ms {dead}, got {rate}")


_OWN = {"learning_rate": "agent.learning_rate_per_s", "temperature": "agent.temperature"}
