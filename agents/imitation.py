"""Behaviour cloning of recurrent policies on recorded sequences, and DAgger (Ross et al. 2011, arXiv 1011.0686)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroctl.contracts import Agent, Observation, Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.interventions import Intervention
from neuroctl.policy import State, map_state
from neuroctl.recording import Recording

from .encoders import StateEncoder
from .imitation_config import ImitationConfig
from .policies import make_policy
from .sequences import Batch, CarriedSequences, Sequences, random_windows

ENCODER = "encoder."
"""Parameters of a policy's encoder begin with this."""
ENCODED = 512
"""Observations that are encoded at once."""


class ImitationAgent(Agent):
    """A recurrent policy trained to repeat the expert's actions; it acts with the mode of its distribution.

    Args:
        config: its options.
        spaces: of the environment.
        seed: root seed of initial weights, masks and batches.
        device: torch device.
        dataset: recordings to learn from; None for an agent that only acts.
    """

    offline = True

    def __init__(
        self,
        config: ImitationConfig,
        spaces: Spaces,
        *,
        seed: int,
        device: str = "cpu",
        dataset: Sequence[Recording] | None = None,
    ) -> None:
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = make_policy(config, spaces, seed).to(self.device)
        self.policy.encoder.requires_grad_(not config.freeze_encoder)
        self._learned = [p for p in self.policy.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self._learned, lr=config.learning_rate)
        self.updates = 0
        self.data = Sequences(self._features if config.freeze_encoder else None)
        for recording in dataset or ():
            self.data.add(recording)
        if dataset:
            if not config.freeze_encoder:
                self._standardise()
            longest = max(map(self.data.length, range(len(self.data))))
            if longest <= (config.burn_in or 0):
                raise NeuroctlError(f"agent.burn_in is {config.burn_in}; the longest episode has {longest} steps")
        self._carried = CarriedSequences(self.data, seed, config.batch_size)
        self._train_state: State = self.policy.initial_state(config.batch_size)

    def _standardise(self) -> None:
        encoder = self.policy.encoder
        if isinstance(encoder, StateEncoder):
            for obs in self.data.observations():
                encoder.normaliser.update(self._tensor(obs))

    @torch.no_grad()
    def _features(self, obs: NDArray[Any]) -> NDArray[np.float32]:
        """What the encoder makes of observations `[T, ...]`: `[T, F]`."""
        parts = [self.policy.encoder(self._tensor(obs[t : t + ENCODED])) for t in range(0, len(obs), ENCODED)]
        features: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
        return features

    def add_data(self, recording: Recording) -> None:
        """Learn from the episodes of `recording` too."""
        self.data.add(recording)

    # -- acting ------------------------------------------------------------------------------------------------

    def begin(self, num_envs: int, seed: int) -> None:
        """Initial recurrent state for `num_envs` rows."""
        self._state = self.policy.initial_state(num_envs)

    @torch.no_grad()
    def act(self, obs: Observation, first: NDArray[np.bool_]) -> NDArray[Any]:
        """The mode of the action distribution, `[B, ...]`."""
        now = torch.as_tensor(np.asarray(obs), device=self.device)
        features, begins = self.policy.encoder(now), torch.tensor(first, device=self.device)
        self._units, self._state = self.policy.cell.step(features, self._state, begins)
        action: NDArray[Any] = self.policy.head.mode(self.policy.readout(self._units)).cpu().numpy()
        return action

    def activity(self) -> dict[str, NDArray[Any]]:
        """The cell's units, `[B, H]`."""
        return {"units": self._units.cpu().numpy()}

    def intervene(self, intervention: Intervention) -> None:
        """See `Agent.intervene`; the cell's units are called `units`."""
        self.policy.intervene(intervention)

    def recurrent_weights(self) -> dict[str, NDArray[Any]]:
        """The cell's recurrent matrices; none for a cell without recurrence."""
        return {name: weight.detach().cpu().numpy() for name, weight in self.policy.cell.recurrent_weights().items()}

    # -- learning ----------------------------------------------------------------------------------------------

    def update(self) -> dict[str, float]:
        """One gradient step on a batch of sequences."""
        batch, state = self._next_batch()
        output, state = self._unroll(batch, state)
        weight = self._tensor(batch.weight)
        losses = self.policy.head.imitation_loss(output, self._tensor(batch.label)) * weight
        loss = losses.sum() / weight.sum().clamp(min=1)  # a batch of nothing but short episodes teaches nothing
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * 0.5 ** (self.updates / self.config.half_life)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self._learned, self.config.gradient_clip)
        self.optimiser.step()
        self.updates += 1
        if self.config.burn_in is None:
            self._train_state = map_state(Tensor.detach, state)
        return {"loss": loss.item(), "gradient_norm": norm.item()}

    def _next_batch(self) -> tuple[Batch, State]:
        """The next sequences and the state they start from."""
        config = self.config
        if config.burn_in is None:
            return self._carried.next(config.sequence_length), self._train_state
        length = config.burn_in + config.sequence_length
        batch = random_windows(self.data, self.seed, self.updates, length, config.batch_size)
        state = self.policy.initial_state(config.batch_size)
        if config.burn_in == 0:
            return batch, state
        k = config.burn_in
        with torch.no_grad():
            _, state = self._unroll(batch[:k], state)
        return batch[k:], state

    def _unroll(self, batch: Batch, state: State) -> tuple[Tensor, State]:
        """Outputs `[T, B, ...]` for a batch, and the state after it."""
        unroll = self.policy.unroll_features if self.config.freeze_encoder else self.policy.unroll
        return unroll(self._tensor(batch.obs), state, self._tensor(batch.first))

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=self.device)

    # -- state -------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Policy, optimiser, position in the data, carried state."""
        return {
            "policy": {k: v.detach().clone() for k, v in self.policy.state_dict().items()},
            "optimiser": self.optimiser.state_dict(),
            "updates": self.updates,
            "carried": self._carried.state_dict(),
            "train_state": self._train_state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.policy.load_state_dict(state["policy"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.updates = state["updates"]
        self._carried.load_state_dict(state["carried"])
        self._train_state = map_state(lambda t: t.to(self.device), state["train_state"])

    def load_policy(self, state: Mapping[str, Any]) -> None:
        """Start from the policy parameters of another agent, or with `freeze_encoder` from those of its encoder."""
        if not self.config.freeze_encoder:
            self.policy.load_state_dict(state["policy"])
            return
        encoder = {name: value for name, value in state["policy"].items() if name.startswith(ENCODER)}
        self.policy.encoder.load_state_dict({name.removeprefix(ENCODER): value for name, value in encoder.items()})
