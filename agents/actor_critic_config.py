"""Options of the actor-critic learner. Imports no torch, so that `--help` is quick."""

import math
from dataclasses import dataclass
from typing import Literal

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError, UnknownNameError

from .policy_config import PolicyConfig

GRADIENTS = ("rtrl", "layerwise", "bptt", "snap1", "immediate")
CHOICES = {
    "gradient": GRADIENTS,
    "objective": ("vtrace", "ppo"),
    "optimiser": ("adam", "rmsprop"),
    "rewards": ("raw", "clip", "normalise"),
    "loss": ("mean", "sum"),
}
PPO_ONLY = {"trace": 0.95, "epochs": 4, "minibatches": 4, "ratio_clip": 0.2}
"""Options of PPO and their values when absent."""
MAY_BE_ABSENT = (*PPO_ONLY, "anneal_updates")
"""Numbers that may be None."""


@dataclass(frozen=True)
class ActorCriticConfig(PolicyConfig):
    """A recurrent policy and critic that learn from reward."""

    name: str = "actor-critic"
    """Registered name of the agent."""
    cell: str = "elstm"
    """Recurrent cell by name; see `neuroctl list`."""
    gradient: Literal["rtrl", "layerwise", "bptt", "snap1", "immediate"] = "rtrl"
    """How far back the gradient of the cell sees: all of the past (rtrl), of several layers each its own (layerwise),
    the rollout (bptt), each unit's own past (snap1), or the step (immediate)."""
    objective: Literal["vtrace", "ppo"] = "vtrace"
    """Advantage actor-critic with V-trace returns, one update for a rollout; or PPO, several."""
    rollout_length: int = 10
    """Steps between updates."""
    discount: float = 0.99
    """Factor of the reward of a step later."""
    trace: float | None = None
    """Lambda of generalised advantages; 0.95 when absent. PPO only."""
    epochs: int | None = None
    """Passes over a rollout; 4 when absent. PPO only."""
    minibatches: int | None = None
    """Parts of the rows in a pass, an update each; 4 when absent, or as many as there are rows. PPO only."""
    ratio_clip: float | None = None
    """Change of an action's probability beyond which nothing is gained; 0.2 when absent. PPO only."""
    optimiser: Literal["adam", "rmsprop"] = "adam"
    """Adam, or RMSprop with its mean of squares decaying by 0.99 in an update and 0.01 added to their root."""
    learning_rate: float = 1e-3
    """Step size at the start."""
    anneal_updates: int | None = None
    """Rollouts after which the learning rate has sunk to 0, linearly; constant when absent."""
    loss: Literal["mean", "sum"] = "mean"
    """Over the steps and rows of an update; a sum, as in IMPALA, changes what gradient_clip and the 0.01 of RMSprop
    mean."""
    gradient_clip: float = 1.0
    """Largest norm of the gradient of all parameters."""
    value_cost: float = 0.5
    """Weight of the critic's squared error, half of it."""
    entropy_cost: float = 0.01
    """Weight of the entropy that is rewarded."""
    rewards: Literal["raw", "clip", "normalise"] = "raw"
    """As they are, cut to [-1, 1], or divided by the standard deviation of discounted returns so far."""
    initial_std: float = 0.6
    """Of continuous actions, where their range is [-1, 1]."""

    def __post_init__(self) -> None:
        """Refuse values out of range and options without effect."""
        super().__post_init__()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UnknownNameError(f"agent.{name}", str(getattr(self, name)), choices)
        for name in PPO_ONLY:
            if getattr(self, name) is not None and self.objective != "ppo":
                raise NeuroctlError(f"agent.{name} has no effect with objective {self.objective!r}; leave it out")
        for name in ("rollout_length", "epochs", "minibatches", "anneal_updates"):
            if getattr(self, name) is not None or name not in MAY_BE_ABSENT:
                checked_integer(f"agent.{name}", getattr(self, name), 1)
        for name in ("discount", "trace"):
            self._check(name, 0.0, 1.0)
        for name in ("value_cost", "entropy_cost"):
            self._check(name, 0.0)
        for name in ("learning_rate", "gradient_clip", "initial_std", "ratio_clip"):
            self._check(name, 0.0, above=True)

    def _check(self, name: str, least: float, most: float = math.inf, above: bool = False) -> None:
        value = getattr(self, name)
        if value is None and name in MAY_BE_ABSENT:
            return
        fits = is_number(value) and math.isfinite(value) and (value > least if above else value >= least)
        if not (fits and value <= most):
            sign = ">" if above else ">="
            upper = f" and <= {most:g}" if most < math.inf else " and finite"
            raise NeuroctlError(f"agent.{name} must be {sign} {least:g}{upper}, got {shown(value)}")

    def of_ppo(self, name: str) -> float:
        """An option of PPO, or its value when absent."""
        value = getattr(self, name)
        return float(PPO_ONLY[name] if value is None else value)
