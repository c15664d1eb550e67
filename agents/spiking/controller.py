"""A spiking network between the observations of B robots and their commands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.errors import NeuroctlError

from .decoders import LowPass
from .member_rows import check_mapping
from .plasticity import PlasticityRule, State
from .reward_filters import RewardFilter

_ROUNDING = 1e-6


class Network(Protocol):
    """What is driven: a `SpikingNetwork`, or its form on a torch device."""

    batch_size: int
    dt_ms: float
    num_inputs: int
    num_outputs: int
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
    """Turns rates into spikes: a `PoissonEncoder`, or its form on a torch device.

    Where it has `num_inputs`, `batch_size` and `dt_ms`, they must be those of the network.
    """

    num_steps: int

    def encode(self, rates_hz: ArrayLike) -> Any:
        """Spikes `[T, B, N]`, in the form its network takes, at rates `[B, N]` in Hz."""

    def state_dict(self) -> State:
        """The complete state."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from it."""


class Decoder(Protocol):
    """Turns the rates of motor neurons into commands; of `num_neurons`, where it says so."""

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
        NeuroctlError: parts are of other sizes or time steps than the network, or a rule changes weights within a
            control step.
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
        self._check_sizes()
        for name, rule in network.rules.items():
            if rule.steps_until_update % encoder.num_steps:
                interval_ms, step_ms = (n * network.dt_ms for n in (rule.steps_until_update, encoder.num_steps))
                raise NeuroctlError(
                    f"synapses {name} change after {interval_ms:g} ms; allowed: multiples of the control step of "
                    f"{step_ms:g} ms; set weight_update_interval of the rule (in rule_options of an agent)"
                )

    def _check_sizes(self) -> None:
        """Refuse parts that do not fit the network; those of one's own need not tell their sizes."""
        network, control_dt_s = self.network, self._encoder.num_steps * self.network.dt_ms / 1000
        batch = {"batch_size": network.batch_size}
        for name, part, needed in (
            ("encoder", self._encoder, {"num_inputs": network.num_inputs, "dt_ms": network.dt_ms, **batch}),
            ("readout", self.readout, {"num_neurons": network.num_outputs, "dt_ms": network.dt_ms, **batch}),
            ("decoder", self._decoder, {"num_neurons": network.num_outputs}),
            ("reward_filter", self.reward_filter, {"control_dt_s": control_dt_s, **batch}),
        ):
            for size, right in needed.items():
                given = getattr(part, size, right)
                if not math.isclose(given, right, rel_tol=_ROUNDING):
                    raise NeuroctlError(f"{size} of the {name} must be {right:g}, to fit the network, got {given:g}")

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
        _check_parts(state)
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
        _check_parts(state)
        self.network.load_state_dict(state["network"])
        self._encoder.load_state_dict(state["encoder"])
        self.readout.load_state_dict(state["readout"])
        self.reward_filter.load_state_dict(state["reward"])


def _check_parts(state: Any) -> None:
    """Refuse what is no state of a controller; each part looks at its own."""
    check_mapping("a controller", state)
    missing = [name for name in ("network", "encoder", "readout", "reward") if name not in state]
    if missing:
        raise NeuroctlError(f"state of a controller has no {missing[0]!r}")
