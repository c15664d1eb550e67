"""A policy of three parts: encoder, cell, linear readout to the action distribution."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from neuroctl import registry
from neuroctl.contracts import Spaces
from neuroctl.policy import Policy, State

from .cells import LSTM, CfC
from .cells.cell import Cell
from .cells.feedforward import FeedForward
from .connectivity import LowRankSparse
from .encoders import make_encoder
from .heads import Head, make_head
from .imitation_config import ImitationConfig


class CellPolicy(Policy):
    """obs -> encoder -> recurrent cell -> linear readout.

    Attributes:
        encoder: observations to features.
        cell: the recurrent core.
        head: action distribution over the outputs.
    """

    def __init__(self, encoder: nn.Module, cell: Cell, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.cell = cell
        self.head = head
        self.readout = nn.Linear(cell.hidden_size, head.outputs)

    def initial_state(self, batch_size: int) -> State:
        """The cell's."""
        return self.cell.initial_state(batch_size)

    def step(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """One step; see `Policy.step`."""
        y, state = self.cell.step(self.encoder(obs), state, first)
        return self.readout(y), state

    def unroll(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """A sequence: encoder and readout are one product each over the whole of it."""
        y, state = self.cell.unroll(self.encoder(obs), state, first)
        return self.readout(y), state


def _recurrent(config: ImitationConfig, seed: int) -> LowRankSparse | None:
    """The specification of the recurrent weights, or None when they are dense."""
    if config.rank is None and config.sparsity is None:
        return None
    rank = config.hidden_size if config.rank is None else config.rank
    return LowRankSparse(config.hidden_size, rank, config.sparsity or 0.0, seed=seed)


def make_cfc(config: ImitationConfig, seed: int) -> Cell:
    """CfC without a backbone."""
    mode, recurrent = config.cfc_mode or "default", _recurrent(config, seed)
    return CfC(config.features, config.hidden_size, mode=mode, backbone_units=0, recurrent=recurrent)


def make_lstm(config: ImitationConfig, seed: int) -> Cell:
    """LSTM."""
    return LSTM(config.features, config.hidden_size, recurrent=_recurrent(config, seed))


def make_mlp(config: ImitationConfig, seed: int) -> Cell:
    """Feed-forward layer over the last `frame_stack` inputs."""
    return FeedForward(config.features, config.hidden_size, frame_stack=config.frame_stack or 1)


def make_policy(config: ImitationConfig, spaces: Spaces, seed: int) -> CellPolicy:
    """The policy of a configuration for an environment's spaces."""
    head = make_head(spaces.action, config.head)
    encoder = make_encoder(spaces.observation, config.features)
    cell: Cell = registry.cells.load(config.cell)(config, seed)
    return CellPolicy(encoder, cell, head)
