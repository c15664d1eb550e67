"""A policy of three parts: encoder, cell, readout to the action distribution."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroctl import registry
from neuroctl.contracts import Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.interventions import Intervention
from neuroctl.policy import Policy, State, reset_state
from neuroctl.streams import derive_seed

from .cells import ELSTM, GRU, LRU, LSTM, LTC, RNN, RTU, Cell, CfC, FeedForward, Stacked, wired
from .cells.intervened import Intervened
from .connectivity import LowRankSparse, RecurrentWeights
from .encoders import Unencoded, make_encoder
from .heads import Head, make_head
from .policy_config import PolicyConfig
from .wiring import Wiring


class MotorReadout(nn.Module):
    """One gain and offset for each motor neuron: the motor neurons are the outputs.

    Args:
        motors: number of motor neurons.
    """

    def __init__(self, motors: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(motors))
        self.offset = nn.Parameter(torch.zeros(motors))

    def forward(self, y: Tensor) -> Tensor:
        """Motor neurons `[..., M]` -> outputs `[..., M]`."""
        return y * self.gain + self.offset


class CellPolicy(Policy):
    """obs -> encoder -> recurrent cell -> readout.

    Attributes:
        encoder: observations to features.
        cell: the recurrent core.
        head: action distribution over the outputs.
        readout: linear; of a cell with motor neurons, one gain and offset for each of them.

    Raises:
        NeuroctlError: the cell has motor neurons, but not one for each output of the head.
    """

    def __init__(self, encoder: nn.Module, cell: Cell, head: Head) -> None:
        super().__init__()
        self.encoder = encoder
        self.cell = cell
        self.head = head
        if cell.motors not in (None, head.outputs):
            raise NeuroctlError(
                f"the wiring has {cell.motors} motor neurons; it must have one for each of the {head.outputs} outputs"
            )
        self.readout: nn.Module
        self.readout = MotorReadout(cell.motors) if cell.motors else nn.Linear(cell.output_size, head.outputs)

    def initial_state(self, batch_size: int) -> State:
        """The cell's."""
        return self.cell.initial_state(batch_size)

    def step(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """One step; see `Policy.step`."""
        y, state = self.cell.step(self.encoder(obs), state, first)
        return self.readout(y), state

    def components(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, Tensor]:
        """The cell's maps of the features and of its units; see `Policy.components`."""
        weights = self.cell.local_form().weights
        states = reset_state(state, self.initial_state(len(first)), first)
        h = states if isinstance(states, Tensor) else states[0]
        of_x = F.linear(self.encoder(obs), weights["input"], weights["bias"])
        return of_x, F.linear(h, weights["recurrent"], weights.get("recurrent_bias"))

    def intervene(self, intervention: Intervention) -> None:
        """Silence and drive units of the cell, which are called `units`, for acting from now on.

        Raises:
            NeuroctlError: there are no such units.
        """
        size = self.cell.hidden_size
        intervention.check_names({"units": size})
        self.cell = Intervened(self.cell, *intervention.masks("units", size))

    def unroll(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """A sequence: encoder and readout are one product each over the whole of it."""
        return self.unroll_features(self.encoder(obs), state, first)

    def unroll_features(self, features: Tensor, state: State, first: Tensor) -> tuple[Tensor, State]:
        """A sequence of what the encoder made of observations, `[T, B, F]`."""
        y, state = self.cell.unroll(features, state, first)
        return self.readout(y), state


def _recurrent(config: PolicyConfig, seed: int) -> LowRankSparse | None:
    """The specification of the recurrent weights, or None when they are dense."""
    if config.rank is None and config.sparsity is None:
        return None
    rank = config.hidden_size if config.rank is None else config.rank
    return LowRankSparse(config.hidden_size, rank, config.sparsity or 0.0, seed=seed)


def make_cfc(config: PolicyConfig, seed: int) -> Cell:
    """CfC without a backbone."""
    mode, recurrent = config.cfc_mode or "default", _recurrent(config, seed)
    return CfC(config.features, config.hidden_size, mode=mode, backbone_units=0, recurrent=recurrent)


def make_lstm(config: PolicyConfig, seed: int) -> Cell:
    """LSTM."""
    return LSTM(config.features, config.hidden_size, recurrent=_recurrent(config, seed))


def make_gru(config: PolicyConfig, seed: int) -> Cell:
    """GRU."""
    return GRU(config.features, config.hidden_size, recurrent=_recurrent(config, seed))


def make_rnn(config: PolicyConfig, seed: int) -> Cell:
    """Plain recurrent network."""
    return RNN(config.features, config.hidden_size, recurrent=_recurrent(config, seed))


def make_ltc(config: PolicyConfig, seed: int) -> Cell:
    """LTC."""
    return LTC(config.features, config.hidden_size, recurrent=_recurrent(config, seed))


def make_ncp(config: PolicyConfig, seed: int, outputs: int) -> Cell:
    """CfC with the wiring of a neural circuit policy, which has a motor neuron for each output."""
    sparsity = 0.5 if config.sparsity is None else config.sparsity
    wiring = Wiring.auto(config.features, config.hidden_size, outputs, sparsity, seed)
    return wired(CfC, wiring, mode=config.cfc_mode or "default", backbone_units=0)


def make_elstm(config: PolicyConfig, seed: int) -> Cell:
    """Element-wise LSTM."""
    return ELSTM(config.features, config.hidden_size, forget_bias=config.forget_bias or 0.0)


def make_rtu(config: PolicyConfig, seed: int) -> Cell:
    """Recurrent trace units."""
    return RTU(config.features, config.hidden_size)


def make_lru(config: PolicyConfig, seed: int) -> Cell:
    """Linear recurrent units."""
    return LRU(config.features, config.hidden_size)


def make_mlp(config: PolicyConfig, seed: int) -> Cell:
    """Feed-forward layer over the last `frame_stack` inputs."""
    return FeedForward(config.features, config.hidden_size, frame_stack=config.frame_stack or 1)


def make_cell(config: PolicyConfig, seed: int, outputs: int) -> Cell:
    """The registered cell of a configuration.

    A factory is called as `make(config, seed)`; one with a parameter `outputs` also gets the number of outputs that
    the policy needs.
    """
    make = registry.cells.load(config.cell)
    options = {"outputs": outputs} if "outputs" in signature(make).parameters else {}
    cells: list[Cell] = [make(config, seed, **options)]
    for layer in range(1, config.layers):
        above = replace(config, features=cells[-1].output_size)
        cells.append(make(above, derive_seed(seed, f"layer {layer}"), **options))
    cell = cells[0] if config.layers == 1 else Stacked(cells)
    if config.recurrent_gain is not None:
        for module in cell.modules():
            if isinstance(module, RecurrentWeights):
                module.scale(config.recurrent_gain)
    if config.memory_steps is not None:
        cell.remember(config.memory_steps)
    return cell


def make_policy(config: PolicyConfig, spaces: Spaces, seed: int) -> CellPolicy:
    """The policy of a configuration for an environment's spaces."""
    head = make_head(spaces.action, config.head)
    encoder = make_encoder(spaces.observation, config.features)
    if isinstance(encoder, Unencoded):
        config = replace(config, features=encoder.size)
    return CellPolicy(encoder, make_cell(config, seed, head.outputs), head)
