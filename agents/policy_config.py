"""Options of a recurrent policy, which learners share. Imports no torch, so that `--help` is quick."""

import math
from dataclasses import dataclass
from typing import Literal

from neuroctl import registry
from neuroctl.checks import checked_integer
from neuroctl.config import AgentConfig
from neuroctl.errors import NeuroctlError, UnknownNameError

OURS = ("cfc", "lstm", "gru", "rnn", "ltc", "ncp", "elstm", "rtu", "lru", "mlp")
"""Cells whose options are known here; a registered cell may use any of them."""
MOST_UNITS = 2**14
"""Of a cell or an encoder: a matrix of a gigabyte."""
MOST_FORGET_BIAS = 20.0
"""That of `ELSTM`."""


@dataclass(frozen=True)
class PolicyConfig(AgentConfig):
    """A policy of encoder, recurrent cell and readout."""

    cell: str = "cfc"
    """Recurrent cell by name: cfc, lstm, gru, rnn, ltc, ncp (a CfC wired as a neural circuit policy), elstm, rtu, lru
    (units that see their own past only), mlp (no memory beyond its frame_stack), or a registered one."""
    hidden_size: int = 64
    """Units of the cell."""
    layers: int = 1
    """Cells on top of each other, of these units each."""
    rank: int | None = None
    """Rank of the recurrent weights before masking; full when absent."""
    sparsity: float | None = None
    """Fraction of recurrent weights that a fixed random mask removes, none when absent; of an ncp, fraction of the
    synapses between its layers that are left out, half when absent."""
    recurrent_gain: float | None = None
    """Factor of the recurrent weights before they have learned; 1 when absent."""
    cfc_mode: Literal["default", "no_gate", "pure"] | None = None
    """Form of the CfC, also in an ncp; default when absent."""
    frame_stack: int | None = None
    """Observations that the mlp sees at once; 1 when absent."""
    memory_steps: int | None = None
    """Steps that the cell remembers before it has learned (see `Cell.remember`); its usual start when absent."""
    forget_bias: float | None = None
    """Mean forget bias of an elstm, spread from 0 to twice as much (see `ELSTM`); 0 when absent."""
    features: int = 64
    """Outputs of the encoder below the cell; 0 for no encoder: the cell sees the observed state as it is."""
    head: Literal["gaussian", "squashed", "categorical"] | None = None
    """Action distribution; when absent gaussian for continuous and categorical for discrete actions."""

    def __post_init__(self) -> None:
        """Refuse values out of range and options without effect."""
        if self.cell not in registry.cells.entries:
            raise UnknownNameError("cell", self.cell, registry.cells.names())
        for name, choices in (
            ("cfc_mode", (None, "default", "no_gate", "pure")),
            ("head", (None, "gaussian", "squashed", "categorical")),
        ):
            if getattr(self, name) not in choices:
                raise UnknownNameError(f"agent.{name}", str(getattr(self, name)), filter(None, choices))
        self.check_counts("hidden_size", "layers")
        checked_integer("agent.features", self.features, 0)
        if self.layers > 1 and self.cell in ("ncp", "mlp"):
            raise NeuroctlError(f"agent.layers must be 1 with cell {self.cell!r}, got {self.layers}")
        for name in ("hidden_size", "features"):
            if getattr(self, name) > MOST_UNITS:
                raise NeuroctlError(f"agent.{name} must be <= {MOST_UNITS}, got {getattr(self, name)}")
        if self.frame_stack is not None and self.frame_stack < 1:
            raise NeuroctlError(f"agent.frame_stack must be >= 1, got {self.frame_stack}")
        if self.memory_steps is not None and self.memory_steps < 2:
            raise NeuroctlError(f"agent.memory_steps must be >= 2, got {self.memory_steps}")
        if self.forget_bias is not None and not 0 <= self.forget_bias <= MOST_FORGET_BIAS:
            raise NeuroctlError(f"agent.forget_bias must be from 0 to {MOST_FORGET_BIAS:g}, got {self.forget_bias}")
        if self.forget_bias is not None and self.memory_steps is not None:
            raise NeuroctlError("agent.forget_bias and agent.memory_steps both set the forget bias: give one")
        if self.memory_steps is not None and self.cfc_mode not in (None, "default"):
            raise NeuroctlError(f"agent.memory_steps has no effect with cfc_mode {self.cfc_mode!r}; 'default' has it")
        if self.recurrent_gain is not None and not 0 < self.recurrent_gain < math.inf:
            raise NeuroctlError(f"agent.recurrent_gain must be > 0 and finite, got {self.recurrent_gain}")
        for name, cells in (
            ("recurrent_gain", "cfc lstm gru rnn"),
            ("rank", "cfc lstm gru rnn ltc"),
            ("sparsity", "cfc lstm gru rnn ltc ncp"),
            ("cfc_mode", "cfc ncp"),
            ("frame_stack", "mlp"),
            ("memory_steps", "cfc lstm gru rnn ltc elstm rtu lru"),
            ("forget_bias", "elstm"),
        ):
            if getattr(self, name) is not None and self.cell in OURS and self.cell not in cells.split():
                raise NeuroctlError(
                    f"agent.{name} has no effect with cell {self.cell!r}; leave it out, or set it to None"
                )
        if self.rank is not None and not 1 <= self.rank <= self.hidden_size:
            raise NeuroctlError(f"agent.rank must be in 1..{self.hidden_size} (hidden_size), got {self.rank}")
        least = 0.1 if self.cell == "ncp" else 0  # that of ncps.wirings.AutoNCP
        if self.sparsity is not None and not least <= self.sparsity < 1:
            raise NeuroctlError(f"agent.sparsity must be in [{least}, 1) with cell {self.cell!r}, got {self.sparsity}")

    def check_counts(self, *names: str) -> None:
        """Refuse counts that are not whole numbers from 1 on."""
        for name in names:
            checked_integer(f"agent.{name}", getattr(self, name), 1)
