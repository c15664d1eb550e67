"""Options of the imitation learner. Imports no torch, so that `--help` is quick."""

import math
from dataclasses import dataclass
from typing import Literal

from neuroctl import registry
from neuroctl.config import AgentConfig
from neuroctl.errors import NeuroctlError, UnknownNameError

OURS = ("cfc", "lstm", "gru", "rnn", "ltc", "ncp", "mlp")
"""Cells whose options are known here; a registered cell may use any of them."""
MOST_UNITS = 2**14
"""Of a cell or an encoder: a matrix of a gigabyte."""


@dataclass(frozen=True)
class ImitationConfig(AgentConfig):
    """A recurrent policy that learns to do what the expert did."""

    name: str = "imitation"
    """Registered name of the agent."""
    cell: str = "cfc"
    """Recurrent cell by name: cfc, lstm, gru, rnn, ltc, ncp (a CfC wired as a neural circuit policy), mlp (no memory
    beyond its frame_stack), or a registered one."""
    hidden_size: int = 64
    """Units of the cell."""
    rank: int | None = None
    """Rank of the recurrent weights before masking; full when absent."""
    sparsity: float | None = None
    """Fraction of recurrent weights that a fixed random mask removes, none when absent; of an ncp, fraction of the
    synapses between its layers that are left out, half when absent."""
    cfc_mode: Literal["default", "no_gate", "pure"] | None = None
    """Form of the CfC, also in an ncp; default when absent."""
    frame_stack: int | None = None
    """Observations that the mlp sees at once; 1 when absent."""
    memory_steps: int | None = None
    """Steps that the cell remembers before it has learned (see `Cell.remember`); its usual start when absent."""
    features: int = 64
    """Outputs of the encoder below the cell."""
    head: Literal["gaussian", "squashed", "categorical"] | None = None
    """Action distribution; when absent gaussian for continuous and categorical for discrete actions."""
    sequence_length: int = 64
    """Steps per training sequence."""
    batch_size: int = 32
    """Sequences per gradient step."""
    burn_in: int | None = None
    """Steps before each sequence that only warm the state up; when absent the state is carried from batch to batch."""
    learning_rate: float = 2e-3
    """Adam's step size at the start."""
    half_life: int = 500
    """Gradient steps after which the learning rate has halved."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient."""

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
        for name in ("hidden_size", "features", "sequence_length", "batch_size", "half_life"):
            if getattr(self, name) < 1:
                raise NeuroctlError(f"agent.{name} must be >= 1, got {getattr(self, name)}")
        for name in ("hidden_size", "features"):
            if getattr(self, name) > MOST_UNITS:
                raise NeuroctlError(f"agent.{name} must be <= {MOST_UNITS}, got {getattr(self, name)}")
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise NeuroctlError(f"agent.{name} must be > 0 and finite, got {getattr(self, name)}")
        if self.burn_in is not None and self.burn_in < 0:
            raise NeuroctlError(f"agent.burn_in must be >= 0, got {self.burn_in}")
        if self.frame_stack is not None and self.frame_stack < 1:
            raise NeuroctlError(f"agent.frame_stack must be >= 1, got {self.frame_stack}")
        if self.memory_steps is not None and self.memory_steps < 2:
            raise NeuroctlError(f"agent.memory_steps must be >= 2, got {self.memory_steps}")
        if self.memory_steps is not None and self.cfc_mode not in (None, "default"):
            raise NeuroctlError(f"agent.memory_steps has no effect with cfc_mode {self.cfc_mode!r}; 'default' has it")
        for name, cells in (
            ("rank", "cfc lstm gru rnn ltc"),
            ("sparsity", "cfc lstm gru rnn ltc ncp"),
            ("cfc_mode", "cfc ncp"),
            ("frame_stack", "mlp"),
            ("memory_steps", "cfc lstm gru rnn ltc"),
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
