"""Options of the imitation learner. Imports no torch, so that `--help` is quick."""

import math
from dataclasses import dataclass

from neuroctl.errors import NeuroctlError

from .policy_config import PolicyConfig


@dataclass(frozen=True)
class ImitationConfig(PolicyConfig):
    """A recurrent policy that learns to do what the expert did."""

    name: str = "imitation"
    """Registered name of the agent."""
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
    freeze_encoder: bool = False
    """Whether the encoder is that of warm_start and does not learn; the rest is new. Observations are encoded once."""

    def __post_init__(self) -> None:
        """Refuse values out of range and options without effect."""
        super().__post_init__()
        self.check_counts("sequence_length", "batch_size", "half_life")
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise NeuroctlError(f"agent.{name} must be > 0 and finite, got {getattr(self, name)}")
        if self.freeze_encoder and not self.features:
            raise NeuroctlError("agent.freeze_encoder has no effect with features 0: there is no encoder")
        if self.burn_in is not None and self.burn_in < 0:
            raise NeuroctlError(f"agent.burn_in must be >= 0, got {self.burn_in}")
