"""Spiking networks for the cue tasks: those of the examples beside NEST's SPORE module (2018), built from our parts.

Pattern matching has one layer: 50 inputs, 20 output neurons, two potential synapses for every pair. Lever press and
center-out have a recurrent network of 40 hidden and 20 control neurons, all of them excitatory and plastic, with up to
ten potential synapses for a pair, and 20 inhibitory neurons with static synapses. The inputs reach 30 hidden neurons,
which are a population of their own, `"receiving"`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.agents.spiking import (
    NeuronParameters,
    PoissonEncoder,
    Population,
    Projection,
    RewardFilter,
    Schedule,
    SpikingNetwork,
    SynapticSampling,
    SynapticSamplingParameters,
)
from neuroctl.agents.spiking.neurons import check_arrays, checked_signal
from neuroctl.agents.spiking.plasticity import State, checked_real
from neuroctl.agents.spiking.reward_filters import RewardFilterKind, delayed, late_steps
from neuroctl.agents.spore_config import MOST_DELAY_S
from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.launch.cue_tasks import CONTROL_DT_S, NUM_INPUTS, NUM_OUTPUTS

Form = Literal["layer", "recurrent"]
FORMS: tuple[Form, ...] = get_args(Form)
RewardForm = Literal["module", "raw", "ratio", "difference", "zscore"]
REWARD_FORMS: tuple[RewardForm, ...] = get_args(RewardForm)
RECEIVING, HIDDEN, INHIBITORY = 30, 10, 20
EXCITATORY = ("receiving", "hidden", "control")
SCHEDULE_EVERY_S = 1.0
"""How often the learning rate follows its schedule."""


@dataclass(frozen=True)
class CueAgentConfig:
    """Settings of neurons, synapses and reward; the defaults are those of the examples.

    Raises:
        NeuroctlError: a value out of range (here, or when the agent is made).
    """

    learning_rate_per_s: float = 5e-5
    """beta at the start, 1/s."""
    half_life_s: float | None = None
    """Time in which it halves; constant where None."""
    anew_s: float | None = None
    """Time after which it is that of the start again, and again; never where None."""
    temperature: float = 0.1
    """T."""
    gradient_scale: float = 1.0
    """c_g."""
    prior_precision: float = 0.25
    """c_p."""
    episode_length_ms: float = 1000.0
    """tau_e of the eligibility trace."""
    initial: tuple[float, float] = (-0.5, 0.5)
    """Mean and standard deviation of theta at the start."""
    reward: RewardForm = "module"
    """What the synapses are shown of the reward: `ModuleReward`, or a kind of `RewardFilter`."""
    reward_tau_s: float = 50.0
    """Time constant of its running mean."""
    reward_delay_s: float = 0.0
    """How late they are shown it, in s."""
    drive_mv: float = -3.0
    """Constant input of all neurons."""
    target_rate_hz: float = 5.0
    """Rate to which the adaptive thresholds of excitatory neurons lead."""
    adaptation_mv: float = 0.1
    """Rise of a threshold with each spike; 0 is no adaptation."""

    def __post_init__(self) -> None:
        """Check what nothing else does."""
        if self.reward not in REWARD_FORMS:
            raise UnknownNameError("form of reward", str(self.reward), REWARD_FORMS)
        checked_real("learning_rate_per_s", self.learning_rate_per_s, 0.0)
        if checked_real("reward_delay_s", self.reward_delay_s, 0.0) > MOST_DELAY_S:
            raise NeuroctlError(f"reward_delay_s must be at most {MOST_DELAY_S:g}, got {self.reward_delay_s:g}")
        if self.anew_s is not None:
            checked_real("anew_s", self.anew_s, SCHEDULE_EVERY_S)

    @property
    def schedule(self) -> Schedule:
        """Factor of the learning rate over time."""
        return Schedule() if self.half_life_s is None else Schedule("exponential", self.half_life_s)


class RewardSignal(Protocol):
    """Turns rewards into what synapses are shown."""

    def filter(self, reward: ArrayLike) -> NDArray[np.float64]:
        """The signal `[B]` of the rewards `[B]` of a control interval."""

    def state_dict(self) -> State:
        """The complete state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""


class ModuleReward:
    """The reward over its running mean, as in the examples.

    With G = exp(-dt / tau), and m = 0 at first:

        m <- max(G m + (1 - G) r, floor)
        the result is r / m + floor where r > 0, otherwise floor

    The examples compute G for 1 ms and apply it every 15 ms, which makes their 50 s 750 s; here tau is what it says.
    Other than the kind `"ratio"` of `RewardFilter`, m begins at the floor, so that early rewards count for much, and
    the signal is never 0.

    Args:
        batch_size: B.
        tau_s: tau, > 0.
        floor: least mean, > 0.
        control_dt_s: dt.

    Raises:
        NeuroctlError: a value out of range.
    """

    def __init__(
        self, batch_size: int = 1, tau_s: float = 50.0, floor: float = 0.02, *, control_dt_s: float = CONTROL_DT_S
    ) -> None:
        self._mean = np.zeros(checked_integer("batch_size", batch_size, 1))
        dt_s = checked_real("control_dt_s", control_dt_s, 0.0, above=True)
        self._keep = math.exp(-dt_s / checked_real("tau_s", tau_s, 0.0, above=True))
        self._floor = checked_real("floor", floor, 0.0, above=True)

    def filter(self, reward: ArrayLike) -> NDArray[np.float64]:
        """The signal `[B]` of rewards `[B]`.

        Raises:
            NeuroctlError: another shape; nothing has changed.
            NonFiniteError: NaN or infinity; nothing has changed.
        """
        r = checked_signal("reward", reward, self._mean.shape, np.float64)
        self._mean = np.maximum(self._keep * self._mean + (1 - self._keep) * r, self._floor)
        return np.where(r > 0, r / self._mean, 0.0) + self._floor

    def state_dict(self) -> State:
        """The complete state, as a copy."""
        return {"mean": self._mean.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of another number of agents, or damaged.
        """
        check_arrays("a reward", state, {"mean": self._mean})
        self._mean = state["mean"].copy()


class CueAgent:
    """B agents: input rates -> spikes of the output neurons, and rewards -> synapses.

    Args:
        form: `"layer"` for pattern matching, `"recurrent"` for lever and cursor.
        config: settings.
        batch_size: B.
        seed: root of the random streams; agent b does not depend on B.
        control_dt_s: control interval, in whole ms.

    Raises:
        NeuroctlError: an unknown form, or a value out of range.

    Attributes:
        network: the network.
        config: as given.
    """

    def __init__(
        self,
        form: Form,
        config: CueAgentConfig,
        *,
        batch_size: int = 1,
        seed: int = 0,
        control_dt_s: float = CONTROL_DT_S,
    ) -> None:
        if form not in FORMS:
            raise UnknownNameError("form of a network", str(form), FORMS)
        self.config, self._dt_s, self._clock = config, control_dt_s, 0
        make = _layer if form == "layer" else _recurrent
        self.network: SpikingNetwork = make(config, batch_size, seed)
        steps = round(1000 * control_dt_s)
        self._encoder = PoissonEncoder(NUM_INPUTS, steps, batch_size=batch_size, seed=seed)
        self._signal = np.empty((steps, batch_size))
        self._reward = _reward_signal(config, batch_size, control_dt_s)
        self._late = np.zeros((late_steps("reward_delay_s", config.reward_delay_s, control_dt_s), batch_size))
        self._every = max(round(SCHEDULE_EVERY_S / control_dt_s), 1)

    def act(self, rates_hz: ArrayLike) -> NDArray[np.uint8]:
        """Spikes of the output neurons `[T, B, 20]` in a control interval with the input rates `[B, 50]`."""
        return self.network.run(self._encoder.encode(rates_hz))

    def learn(self, reward: NDArray[np.float64]) -> None:
        """Learn from the interval of the last `act`, whose reward is `[B]`."""
        if self._clock % self._every == 0:
            self._follow_schedule()
        self._signal[:] = self._reward.filter(delayed(reward, self._late, self._clock))
        self.network.learn(self._signal)
        self._clock += 1

    def _follow_schedule(self) -> None:
        now_s = self._clock * self._dt_s
        factor = self.config.schedule.factor(now_s if self.config.anew_s is None else now_s % self.config.anew_s)
        for rule in self.network.rules.values():
            rule.learning_rate = self.config.learning_rate_per_s / 1000 * factor

    def state_dict(self) -> State:
        """The complete state between `learn` and `act`."""
        return {
            "clock": self._clock,
            "network": self.network.state_dict(),
            "encoder": self._encoder.state_dict(),
            "reward": self._reward.state_dict(),
            "late": self._late.copy(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on bit for bit from what `state_dict` of an agent with the same arguments returned.

        Raises:
            NeuroctlError: it is of another one, or damaged.
        """
        check_arrays("a cue agent", state, {"late": self._late})
        self.network.load_state_dict(state["network"])
        self._encoder.load_state_dict(state["encoder"])
        self._reward.load_state_dict(state["reward"])
        self._late[:] = state["late"]
        self._clock = checked_integer("clock", state.get("clock"), 0)


def _reward_signal(config: CueAgentConfig, batch_size: int, control_dt_s: float) -> RewardSignal:
    if config.reward == "module":
        return ModuleReward(batch_size, config.reward_tau_s, control_dt_s=control_dt_s)
    kind: RewardFilterKind = config.reward
    tau_s = None if kind == "raw" else config.reward_tau_s
    return RewardFilter(kind, tau_s, batch_size=batch_size, control_dt_s=control_dt_s)


def _layer(config: CueAgentConfig, batch_size: int, seed: int) -> SpikingNetwork:
    return SpikingNetwork(
        inputs={"cue": NUM_INPUTS},
        populations={"control": Population(NUM_OUTPUTS, _excitatory(config))},
        projections=[Projection("cue", "control", rule=_plastic(config), synapses_per_pair=2)],
        output="control",
        batch_size=batch_size,
        seed=seed,
    )


def _recurrent(config: CueAgentConfig, batch_size: int, seed: int) -> SpikingNetwork:
    plastic = partial(Projection, rule=_plastic(config), synapses_per_pair=10, probability=0.5)
    excites = partial(Projection, target="inhibitory", weight=_clipped_normal(0.5, 0.1), probability=0.575)
    inhibits = partial(Projection, "inhibitory", weight=_clipped_normal(-1.0, 0.2), receptor="inh")
    neurons, inhibitory = _excitatory(config), NeuronParameters(dead_time_ms=2.0, **_fires(config))
    return SpikingNetwork(
        inputs={"cue": NUM_INPUTS},
        populations={
            "receiving": Population(RECEIVING, neurons),
            "hidden": Population(HIDDEN, neurons),
            "control": Population(NUM_OUTPUTS, neurons),
            "inhibitory": Population(INHIBITORY, inhibitory),
        },
        projections=[
            plastic("cue", "receiving"),
            *(plastic(source, target) for source in EXCITATORY for target in EXCITATORY),
            *(excites(source) for source in EXCITATORY),
            *(inhibits(target, probability=0.6) for target in EXCITATORY),
            inhibits("inhibitory", probability=0.55),
        ],
        output="control",
        batch_size=batch_size,
        seed=seed,
    )


def _fires(config: CueAgentConfig) -> dict[str, Any]:
    """What all neurons have in common: they fire at exp(V - E) Hz."""
    return {"with_reset": False, "i_e_mv": config.drive_mv, "c1_hz_per_mv": 0.0, "c2_hz": 1.0, "c3_per_mv": 1.0}


def _excitatory(config: CueAgentConfig) -> NeuronParameters:
    return NeuronParameters(
        dead_time_ms=5.0,
        target_rate_hz=config.target_rate_hz,
        target_adaptation_speed_mv=config.adaptation_mv,
        **_fires(config),
    )


def _plastic(config: CueAgentConfig) -> Any:
    parameters = SynapticSamplingParameters(
        learning_rate=config.learning_rate_per_s / 1000,
        temperature=config.temperature,
        gradient_scale=config.gradient_scale,
        prior_precision=config.prior_precision,
        episode_length=config.episode_length_ms,
    )
    return partial(SynapticSampling, parameters=parameters, initial=config.initial)


def _clipped_normal(mean: float, sd: float) -> Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]:
    """Draws normal weights, again and again until all have the sign of the mean."""

    def draw(rng: np.random.Generator, sizes: tuple[int, int]) -> NDArray[np.float64]:
        weights = rng.normal(mean, sd, sizes)
        while (wrong := weights * mean <= 0).any():
            weights[wrong] = rng.normal(mean, sd, wrong.sum())
        return weights

    return draw
