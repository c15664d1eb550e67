"""A spiking network between the observations of B robots and their commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.errors import NeuroctlError

from .decoders import LowPass
from .plasticity import PlasticityRule, State
from .reward_filters import RewardFilter


class Network(Protocol):
    """What is driven: a `SpikingNetwork`, or its form on a torch device."""

    batch_size: int
    dt_ms: float
    num_inputs: int
    rules: dict[str, PlasticityRule]
    activity: dict[str, NDArray[np.uint8]]

    @property
    def neurons(self) -> Mapping[str, Any]:
        """Of each population."""

    def weight(self, projection: str) -> NDArray[np.floating]:
        """What a spike transmits now `[B, num_pre, num_post]`."""

    def run(self, spikes_in: Any) -> NDArray[np.uint8]:
        """Spikes of the output `[T, B, N]` in T steps with what its encoder made."""

    def learn(self, reward: ArrayLike) -> None:
        """Learn from these steps, with the reward in each of them `[T, B]`."""

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with what members of another had learned."""

    def state_dict(self) -> State:
        """The complete state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it."""


class Encoder(Protocol):
    """Turns rates into spikes: a `PoissonEncoder`, or its form on a torch device."""

    num_steps: int

    def encode(self, rates_hz: ArrayLike) -> Any:
        """Spikes `[T, B, N]`, in the form its network takes, at rates `[B, N]` in Hz."""

    def state_dict(self) -> State:
        """The complete state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it."""


class Decoder(Protocol):
    """Turns the rates of motor neurons into commands."""

    def decode(self, rates_hz: ArrayLike) -> NDArray[Any]:
        """Commands `[B, ...]` of the rates `[B, N]` in Hz."""


class SpikingController:
    """Observation -> rates of inputs -> spikes -> rates of motor neurons -> command; and reward -> synapses.

    In a control step of T network steps, `act` turns observations into commands, and `learn`, which may follow, shows
    the rules what happened, with the reward of the step for all of it. Synapses and traces go on when an episode ends.

    Args:
        network: what is driven; its inputs are those of the rates.
        rates: observations `[B, ...]` -> rates of all inputs in Hz `[B, inputs]`.
        encoder: from these rates to spikes; of the network's agents and steps.
        readout: low-pass of the output's spikes.
        decoder: from its rates to commands.
        reward_filter: what the rules are shown of a reward.

    Raises:
        NeuroctlError: a rule changes weights within a control step.
    """

    def __init__(
        self,
        network: Network,
        rates: Callable[[Any], NDArray[np.float64]],
        encoder: Encoder,
        readout: LowPass,
        decoder: Decoder,
        reward_filter: RewardFilter,
    ) -> None:
        self.network, self.readout, self.reward_filter = network, readout, reward_filter
        self._rates, self._encoder, self._decoder = rates, encoder, decoder
        for name, rule in network.rules.items():
            if rule.steps_until_update % encoder.num_steps:
                interval_ms, step_ms = (n * network.dt_ms for n in (rule.steps_until_update, encoder.num_steps))
                raise NeuroctlError(
                    f"synapses {name} change after {interval_ms:g} ms; allowed: multiples of the control step of "
                    f"{step_ms:g} ms"
                )

    def act(self, obs: Any) -> NDArray[Any]:
        """Commands `[B, ...]` for observations `[B, ...]`, after one control step of the network."""
        spikes = self.network.run(self._encoder.encode(self._rates(obs)))
        return self._decoder.decode(self.readout.advance(spikes))

    def learn(self, reward: ArrayLike) -> None:
        """Learn from the last control step, whose reward is `[B]`.

        Raises:
            NeuroctlError: another shape, or nothing to learn from.
            NonFiniteError: NaN or infinity.
        """
        signal = np.empty((self._encoder.num_steps, self.network.batch_size))
        signal[:] = self.reward_filter.filter(reward)
        self.network.learn(signal)

    def adopt(self, state: Mapping[str, Any], members: Sequence[int]) -> None:
        """Begin with what agents of another controller had learned, one for each agent here.

        Synapses with their estimates of the gradient, adaptive thresholds, and the running mean of the reward; spikes,
        potentials, rates of the motor neurons and random streams begin anew.

        Raises:
            NeuroctlError: a network of another form, a damaged state, or no such members.
        """
        self.network.adopt(state["network"], members)
        self.reward_filter.adopt(state["reward"], members)

    def state_dict(self) -> State:
        """The complete state; what `act` did and `learn` was not told yet is not in it."""
        return {
            "network": self.network.state_dict(),
            "encoder": self._encoder.state_dict(),
            "readout": self.readout.state_dict(),
            "reward": self.reward_filter.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on bit for bit from what `state_dict` returned.

        Raises:
            NeuroctlError: a network of another form, or a damaged state.
        """
        self.network.load_state_dict(state["network"])
        self._encoder.load_state_dict(state["encoder"])
        self.readout.load_state_dict(state["readout"])
        self.reward_filter.load_state_dict(state["reward"])
