"""A policy of three parts: encoder, cell, linear readout to the action distribution."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from neuroctl.contracts import Spaces
from neuroctl.policy import Policy, State

from .cells import LSTM, CfC
from .cells.cell import Cell
from .cells.feedforward import FeedForward
from .connectivity import LowRankSparse
from .encoders import make_encoder
from .heads import make_head
from .imitation_config import ImitationConfig


class CellPolicy(Policy):
    """obs -> encoder -> recurrent cell -> linear readout.

    Attributes:
        encoder: observations to features.
        cell: the recurrent core.
        head: action distribution over the outputs.
    """

    def __init__(self, encoder: nn.Module, cell: Cell, head: nn.Module, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.cell = cell
        self.head = head
        self.readout = nn.Linear(cell.hidden_size, outputs)

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


def make_cell(config: ImitationConfig, seed: int) -> Cell:
    """The cell of a configuration; its mask and factors are keyed by `seed`."""
    if config.cell == "mlp":
        return FeedForward(config.features, config.hidden_size, frame_stack=config.frame_stack or 1)
    recurrent = None
    if config.rank is not None or config.sparsity is not None:
        recurrent = LowRankSparse(
            config.hidden_size, config.rank or config.hidden_size, config.sparsity or 0.0, seed=seed
        )
    if config.cell == "lstm":
        return LSTM(config.features, config.hidden_size, recurrent=recurrent)
    mode = config.cfc_mode or "default"
    return CfC(config.features, config.hidden_size, mode=mode, backbone_units=0, recurrent=recurrent)


def make_policy(config: ImitationConfig, spaces: Spaces, seed: int) -> CellPolicy:
    """The policy of a configuration for an environment's spaces."""
    head = make_head(spaces.action, config.head)
    encoder = make_encoder(spaces.observation, config.features)
    return CellPolicy(encoder, make_cell(config, seed), head, head.outputs)
