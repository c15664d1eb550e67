"""Agents whose spiking synapses learn from the reward at every control step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown, whole_steps
from neuroctl.contracts import Agent, Info, Observation, Spaces
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.finite import check_finite
from neuroctl.interventions import Intervention
from neuroctl.training_checks import check_device

from .spiking.controller import Encoder, Network, SpikingController
from .spiking.decoders import LowPass
from .spiking.encoders import PoissonEncoder
from .spiking.input_rates import with_exploration
from .spiking.member_rows import check_mapping
from .spiking.network import SpikingNetwork
from .spiking.reward_filters import RewardFilter, delayed, late_steps
from .spiking.schedules import Schedule
from .spore_coding import Rates, make_decoder, make_sense
from .spore_config import DT_MS, SporeConfig
from .spore_network import make_network

SILENCING_MV = -1e4
"""Current that keeps a neuron from firing."""
REPORT_S = 1.0
"""Simulated time between two reports of metrics."""


class SporeAgent(Agent):
    """One layer of plastic synapses from the senses to motor neurons, in B agents with weights of their own.

    Trained in B rows it is a population: row b is agent b, whose synapses and noise no other shares. What was learned
    by one of them may act in any number of rows (see `Agent.member_state`), with noise of its own in each. The reward
    of a control step is the reward signal during that step. An agent that is not told to `update` does not learn.

    Background: Kappel et al. 2018 (eNeuro 5(2) 0301-17.2018) and Kaiser et al. 2019 (arXiv 2003.01431).

    Args:
        config: its options.
        spaces: of the environment, with its control step.
        seed: unused; the streams come from the seed of `begin`.
        device: `"cpu"`, or a GPU such as `"cuda"`, which synaptic sampling alone can use and whose random numbers are
            others; what was learned there acts and learns on the CPU as well.
        dataset: None; it does not learn from recordings.

    Raises:
        NeuroctlError: the environment's spaces or control step do not fit, an option does not fit the environment, or
            there is no such device.
    """

    continues_across_episodes = True

    def __init__(
        self, config: SporeConfig, spaces: Spaces, *, seed: int, device: str = "cpu", dataset: object = None
    ) -> None:
        if device != "cpu":
            check_device(device)
            if config.rule != "synaptic-sampling":
                raise NeuroctlError(f"rule {config.rule!r} learns on the cpu only, not on device {device!r}")
        self.config, self.spaces, self.device = config, spaces, device
        self._num_steps, self._dt_s = _steps_of(spaces)
        self._num_senses, self._sense = make_sense(config, spaces.observation, self._dt_s)
        self._decoder = make_decoder(config, spaces.action)
        if config.reward_mean_s is not None and config.reward_mean_s < self._dt_s:
            least = f"the control step of {self._dt_s:g} s"
            raise NeuroctlError(f"agent.reward_mean_s must be at least {least}, got {shown(config.reward_mean_s)}")
        self._schedules = {
            "learning_rate": Schedule(config.learning_rate_schedule, config.learning_rate_half_life_s),
            "temperature": Schedule(config.temperature_schedule, config.temperature_half_life_s),
        }
        self._late_steps = late_steps("agent.reward_delay_s", config.reward_delay_s, self._dt_s)
        self._learned: Mapping[str, Any] | None = None
        self._begun = False
        self._intervention: Intervention | None = None
        self._make(1, 0)  # says what is wrong with the options

    # -- acting ------------------------------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The network of the rows that were begun; each `begin` makes a new one.

        Raises:
            NeuroctlError: none were begun.
        """
        if not self._begun:
            raise NeuroctlError("the agent has no network before it begins")
        return self._controller.network

    def begin(self, num_envs: int, seed: int) -> None:
        """New neurons in `num_envs` rows, with what the loaded state's one agent, or its agent of each row, learned.

        Raises:
            NeuroctlError: a population was loaded, and there are not as many rows.
        """
        controller = self._make(num_envs, seed)
        steps = 0
        if self._learned is not None:
            controller.adopt(self._learned["controller"], self._members_for(num_envs))
            steps = self._learned["steps"]
        if self._intervention is not None:
            self._inject(controller.network, self._intervention)
        self._start(controller, num_envs, steps)

    def intervene(self, intervention: Intervention) -> None:
        """See `Agent.intervene`; populations of neurons have the names of `activity`, and are driven by mV."""
        network = self._make(1, 0).network
        intervention.check_names({name: neurons.size for name, neurons in network.neurons.items()})
        self._intervention = intervention

    def _inject(self, network: Network, intervention: Intervention) -> None:
        """Currents such that silent neurons do not fire, and into driven ones; they stay what they are."""
        for name, neurons in network.neurons.items():
            keep, added = intervention.masks(name, neurons.size)
            currents = added + SILENCING_MV * (1 - keep)
            neurons.current_mv = np.tile(currents, (network.batch_size, 1))

    def _start(self, controller: SpikingController, num_envs: int, steps: int) -> None:
        self._controller, self._num_envs, self._steps, self._begun = controller, num_envs, steps, True
        self._reward = np.zeros(num_envs)
        self._late = np.zeros((self._late_steps, num_envs))
        self._sums = np.zeros(2)
        self._counted = _counts(controller.network)

    def _members_for(self, rows: int) -> list[int]:
        assert self._learned is not None
        count = self._learned["agents"]
        if "member" in self._learned or count == 1:
            return [self._learned.get("member", 0)] * rows
        if count != rows:
            raise NeuroctlError(f"{count} agents were trained; {rows} rows need one of them, or as many rows")
        return list(range(count))

    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """Actions `[B, ...]` after one control step of the network."""
        commands = self._controller.act(obs)
        return commands.astype(self.spaces.action.dtype, copy=False)

    def activity(self) -> dict[str, NDArray[Any]]:
        """Spikes of every neuron in the last control step, `[B, N]` by population."""
        return {name: spikes.sum(0, dtype=np.uint16) for name, spikes in self.network.activity.items()}

    def synapses(self) -> dict[str, NDArray[Any]]:
        """Weights of the synapses, by projection."""
        return {name: np.array(self.network.weight(name)) for name in self.network.rules}

    # -- learning ----------------------------------------------------------------------------------------------

    def observe(
        self,
        next_obs: Observation,
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: Info,
    ) -> None:
        """Keep the reward; an episode's end means nothing to the synapses."""
        self._reward = reward

    def update(self) -> dict[str, float]:
        """Learn from the last control step; once a second of simulated time the means over agents, else nothing."""
        every = max(round(REPORT_S / self._dt_s), 1)
        if self._steps % every == 0:
            self._schedule()
        self._controller.learn(delayed(self._reward, self._late, self._steps))
        self._steps += 1
        rates = self._controller.readout.rates_hz
        self._sums += np.add.reduce(self._reward) / self._num_envs, np.add.reduce(rates, axis=None) / rates.size
        return self._report(every) if self._steps % every == 0 else {}

    def _schedule(self) -> None:
        """Learning rate and temperature for the next second."""
        factors = {name: schedule.factor(self._steps * self._dt_s) for name, schedule in self._schedules.items()}
        for rule in self._controller.network.rules.values():
            rule.learning_rate = self.config.learning_rate_per_s / 1000 * factors["learning_rate"]
            if self.config.temperature is not None:
                rule.temperature = self.config.temperature * factors["temperature"]

    def _report(self, steps: int) -> dict[str, float]:
        """Means since the last report, and the state of the synapses; counts of changes are those since then."""
        reward, rate = self._sums / steps
        self._sums = np.zeros(2)
        network = self._controller.network
        before, self._counted = self._counted, _counts(network)
        changes = {name: count - before.get(name, 0) for name, count in self._counted.items()}
        figures = {name: float(values.mean()) for name, values in (_statistics(network) | changes).items()}
        for name, value in figures.items():
            if not math.isfinite(value):
                raise NonFiniteError(f"{name} of the synapses is {value:g}; learn at a lower rate")
        return {"reward": float(reward), "motor_rate_hz": float(rate), **figures}

    # -- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Synapses, neurons, traces, running means and random streams of all agents; save it after `update`.

        Raises:
            NonFiniteError: a number is NaN or infinite.
        """
        if not self._begun:
            return dict(self._learned) if self._learned is not None else {}
        controller = self._controller.state_dict()
        check_finite("the agents", controller)
        return {
            "agents": self._num_envs,
            "steps": self._steps,
            "controller": controller,
            "sums": self._sums.copy(),
            "late": self._late.copy(),
            "counted": {name: count.copy() for name, count in self._counted.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on bit for bit in the rows that were begun; without any, begin with what was learned.

        Raises:
            NeuroctlError: other rows were begun, or the state does not fit.
        """
        check_mapping("the agent", state)
        if self._begun:
            if "member" in state or state["agents"] != self._num_envs:
                raise NeuroctlError(f"the state is of {state['agents']} agents; {self._num_envs} rows were begun")
            self._controller.load_state_dict(state["controller"])
            self._steps, self._sums, self._late = state["steps"], state["sums"].copy(), state["late"].copy()
            # a state without them is of synapses that counted from the last report on
            self._counted = {name: count.copy() for name, count in state.get("counted", {}).items()}
        self._learned = state

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Begin with what was learned, and with the schedules from their start."""
        self._learned = {**state, "steps": 0}
        rows = self._num_envs if self._begun else self.members(state)
        controller = self._controller if self._begun else self._make(rows, 0)
        controller.adopt(state["controller"], self._members_for(rows))

    @classmethod
    def members(cls, state: Mapping[str, Any]) -> int:
        """Agents in a `state_dict`."""
        return 1 if "member" in state else int(state["agents"])

    @classmethod
    def member_state(cls, state: Mapping[str, Any], member: int) -> Mapping[str, Any]:
        """The state with a note whose synapses are meant."""
        return state if state["agents"] == 1 else {**state, "member": member}

    # -- parts -------------------------------------------------------------------------------------------------

    def _make(self, rows: int, seed: int) -> SpikingController:
        config = self.config
        network_form, encoder_form = forms_on(self.device)
        network = make_network(config, self._num_senses, network_form, batch_size=rows, seed=seed)
        return SpikingController(
            network,
            self._rates,
            encoder_form(network.num_inputs, self._num_steps, batch_size=rows, dt_ms=DT_MS, seed=seed),
            LowPass(config.motors, config.readout_ms, batch_size=rows, dt_ms=DT_MS),
            self._decoder,
            RewardFilter(
                config.reward_filter,
                config.reward_mean_s,
                config.reward_smoothing_s,
                batch_size=rows,
                control_dt_s=self._dt_s,
            ),
        )

    def _rates(self, obs: Observation) -> Rates:
        """Rates of all inputs, that of exploration last."""
        rates = self._sense(obs)
        if not self.config.exploration_hz:
            return rates
        inhibition = 0.2 if self.config.exploration_inhibition is None else self.config.exploration_inhibition
        return with_exploration(rates, rest_hz=self.config.exploration_hz, inhibition=inhibition)


def forms_on(device: str) -> tuple[Callable[..., Network], Callable[..., Encoder]]:
    """What makes networks and encoders: compiled loops on the CPU, else tensors on the device."""
    if device == "cpu":
        return SpikingNetwork, PoissonEncoder
    from .spiking.torch_encoder import TorchPoissonEncoder
    from .spiking.torch_network import TorchSpikingNetwork

    return partial(TorchSpikingNetwork, device=device), partial(TorchPoissonEncoder, device=device)


def _counts(network: Network) -> dict[str, NDArray[np.int64]]:
    """What all rules of a network have counted, together."""
    counts: dict[str, NDArray[np.int64]] = {}
    for rule in network.rules.values():
        for name, count in rule.counts().items():
            counts[name] = counts.get(name, 0) + count
    return counts


def _statistics(network: Network) -> dict[str, NDArray[np.float64]]:
    """Figures of the rules of a network, as means over them."""
    each = [rule.statistics() for rule in network.rules.values()]
    return {name: np.mean([figures[name] for figures in each], axis=0) for name in each[0]}


def _steps_of(spaces: Spaces) -> tuple[int, float]:
    """Network steps in a control step, and its length in s."""
    dt_s = spaces.control_dt_s
    if dt_s is None:
        raise NeuroctlError("the environment does not say its control step: it needs an attribute control_dt_s")
    if not is_number(dt_s):
        raise NeuroctlError(f"the environment's control step must be a number of seconds > 0, got {shown(dt_s)}")
    steps = whole_steps(1000 * dt_s, DT_MS)
    if not steps:
        raise NeuroctlError(f"the control step of {dt_s:g} s is no multiple of the network's step of {DT_MS:g} ms")
    return steps, dt_s
