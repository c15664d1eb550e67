"""Action distributions over the outputs of a policy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError


class Head(nn.Module, ABC):
    """Reads an action distribution from outputs `[..., outputs]`.

    Attributes:
        outputs: numbers the policy must produce.
    """

    outputs: int

    @abstractmethod
    def mode(self, output: Tensor) -> Tensor:
        """The most probable action, `[..., A]` (no action axis when discrete)."""

    def sample(self, output: Tensor, noise: Tensor) -> Tensor:
        """An action made from noise; see `Head.noise`."""
        return self.action(self.draw(output, noise))

    @abstractmethod
    def noise(self, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """What `rows` actions are drawn with: standard normal `[rows, A]`, or uniform in [0, 1) where discrete."""

    @abstractmethod
    def draw(self, output: Tensor, noise: Tensor) -> Tensor:
        """What an action is made from, before it is brought into the space: a normal vector, or a number."""

    @abstractmethod
    def action(self, drawn: Tensor) -> Tensor:
        """The action in the space."""

    @abstractmethod
    def drawn_log_prob(self, output: Tensor, drawn: Tensor) -> Tensor:
        """Log density or probability of what was drawn, `[...]`: ratios of it are those of the actions."""

    @abstractmethod
    def entropy(self, output: Tensor) -> Tensor:
        """Entropy of what is drawn, nats, `[...]`."""

    @abstractmethod
    def log_prob(self, output: Tensor, action: Tensor) -> Tensor:
        """Log density or probability of `action`, `[...]`."""

    def imitation_loss(self, output: Tensor, action: Tensor) -> Tensor:
        """What cloning minimises, `[...]`; of a softmax the cross entropy."""
        return -self.log_prob(output, action)


class ContinuousHead(Head):
    """Normal vectors that are brought into a bounded Box, with one learned deviation for each entry."""

    low: Tensor
    high: Tensor

    def __init__(self, space: spaces.Box) -> None:
        super().__init__()
        if len(space.shape) != 1 or not space.is_bounded():
            raise NeuroctlError(f"continuous actions must be a bounded vector, got {space}")
        self.outputs = int(space.shape[0])
        self.register_buffer("low", torch.as_tensor(space.low, dtype=torch.float32))
        self.register_buffer("high", torch.as_tensor(space.high, dtype=torch.float32))
        self.log_std = nn.Parameter(torch.full((self.outputs,), math.log(0.3)))

    def _scale(self, unit: Tensor) -> Tensor:
        """From [-1, 1] to [low, high]."""
        scaled = self.low + (self.high - self.low) * 0.5 * (unit.clamp(-1, 1) + 1)
        return scaled.clamp(self.low, self.high)  # rounding may go beyond a bound

    def noise(self, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Standard normal `[rows, A]`."""
        return rng.standard_normal((rows, self.outputs), np.float32)

    def draw(self, output: Tensor, noise: Tensor) -> Tensor:
        """Mean + std * noise, before clip or tanh."""
        return output + self.log_std.exp() * noise

    def drawn_log_prob(self, output: Tensor, drawn: Tensor) -> Tensor:
        """That of the normal."""
        return self._normal_log_prob(output, drawn)

    def entropy(self, output: Tensor) -> Tensor:
        """That of the normal, before clip or tanh: the deviations are the same everywhere."""
        total = (self.log_std + 0.5 * math.log(2 * math.pi * math.e)).sum()
        return total.expand(output.shape[:-1])

    def _unit(self, action: Tensor) -> Tensor:
        return 2 * (action - self.low) / (self.high - self.low) - 1

    def _normal_log_prob(self, mean: Tensor, value: Tensor) -> Tensor:
        z = (value - mean) / self.log_std.exp()
        return (-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi)).sum(-1)


class GaussianHead(ContinuousHead):
    """Normal in units where the action range is [-1, 1], one learned deviation per action; clipped to the range."""

    def mode(self, output: Tensor) -> Tensor:
        """Mean, clipped."""
        return self._scale(output)

    def action(self, drawn: Tensor) -> Tensor:
        """Clipped."""
        return self._scale(drawn)

    def log_prob(self, output: Tensor, action: Tensor) -> Tensor:
        """Density of the unclipped normal, in the units where the range is [-1, 1]."""
        return self._normal_log_prob(output, self._unit(action))

    def imitation_loss(self, output: Tensor, action: Tensor) -> Tensor:
        """Squared error in units where the action range is [-1, 1]."""
        return (output - self._unit(action)).square().sum(-1)


class SquashedHead(ContinuousHead):
    """tanh of a normal (Haarnoja et al. 2018, arXiv 1801.01290): never outside the range."""

    def mode(self, output: Tensor) -> Tensor:
        """Tanh of the mean."""
        return self._scale(torch.tanh(output))

    def action(self, drawn: Tensor) -> Tensor:
        """Its tanh."""
        return self._scale(torch.tanh(drawn))

    def log_prob(self, output: Tensor, action: Tensor) -> Tensor:
        """Density in the units where the range is [-1, 1]."""
        unit = self._unit(action).clamp(-1 + 1e-6, 1 - 1e-6)
        return self._normal_log_prob(output, torch.atanh(unit)) - torch.log1p(-unit * unit).sum(-1)

    def imitation_loss(self, output: Tensor, action: Tensor) -> Tensor:
        """Squared error in units where the action range is [-1, 1]."""
        return (torch.tanh(output) - self._unit(action)).square().sum(-1)


class CategoricalHead(Head):
    """Softmax over the commands of a Discrete space."""

    def __init__(self, space: spaces.Discrete) -> None:
        super().__init__()
        self.outputs = int(space.n)
        self.start = int(space.start)

    def mode(self, output: Tensor) -> Tensor:
        """The command with the largest output."""
        return output.argmax(-1) + self.start

    def noise(self, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Uniform `[rows]`."""
        return rng.random(rows, np.float32)

    def draw(self, output: Tensor, noise: Tensor) -> Tensor:
        """Inverse of the cumulative probability at `noise`."""
        cumulative = output.softmax(-1).cumsum(-1)
        index = (cumulative <= noise[..., None]).sum(-1)
        return index.clamp(max=self.outputs - 1)

    def action(self, drawn: Tensor) -> Tensor:
        """The command with this number."""
        return drawn + self.start

    def drawn_log_prob(self, output: Tensor, drawn: Tensor) -> Tensor:
        """Log softmax."""
        return self.log_prob(output, drawn + self.start)

    def entropy(self, output: Tensor) -> Tensor:
        """Of the softmax."""
        log_p = output.log_softmax(-1)
        return -(log_p.exp() * log_p).sum(-1)

    def log_prob(self, output: Tensor, action: Tensor) -> Tensor:
        """Log softmax."""
        index = (action.long() - self.start)[..., None]
        return output.log_softmax(-1).gather(-1, index)[..., 0]


class MultiCategoricalHead(Head):
    """A softmax for each entry of a MultiDiscrete space, drawn independently."""

    def __init__(self, space: spaces.MultiDiscrete) -> None:
        super().__init__()
        if space.nvec.ndim != 1:
            raise NeuroctlError(f"discrete actions must be a number or a vector, got {space}")
        starts = space.start.tolist()
        entries = [spaces.Discrete(n, start=start) for n, start in zip(space.nvec.tolist(), starts, strict=True)]
        self._heads = [CategoricalHead(entry) for entry in entries]
        self.outputs = sum(head.outputs for head in self._heads)

    def _parts(self, output: Tensor) -> Iterator[tuple[CategoricalHead, Tensor]]:
        return zip(self._heads, torch.split(output, [head.outputs for head in self._heads], dim=-1), strict=True)

    def mode(self, output: Tensor) -> Tensor:
        """The command with the largest output, entry by entry."""
        return torch.stack([head.mode(part) for head, part in self._parts(output)], dim=-1)

    def noise(self, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Uniform `[rows, A]`."""
        return rng.random((rows, len(self._heads)), np.float32)

    def draw(self, output: Tensor, noise: Tensor) -> Tensor:
        """As the categorical head, entry by entry."""
        drawn = [head.draw(part, noise[..., k]) for k, (head, part) in enumerate(self._parts(output))]
        return torch.stack(drawn, dim=-1)

    def action(self, drawn: Tensor) -> Tensor:
        """The commands with these numbers."""
        return torch.stack([head.action(drawn[..., k]) for k, head in enumerate(self._heads)], dim=-1)

    def drawn_log_prob(self, output: Tensor, drawn: Tensor) -> Tensor:
        """Sum of log softmax over the entries."""
        return self.log_prob(output, self.action(drawn))

    def entropy(self, output: Tensor) -> Tensor:
        """Sum over the entries."""
        return torch.stack([head.entropy(part) for head, part in self._parts(output)]).sum(0)

    def log_prob(self, output: Tensor, action: Tensor) -> Tensor:
        """Sum of log softmax over the entries."""
        return torch.stack(
            [head.log_prob(part, action[..., k]) for k, (head, part) in enumerate(self._parts(output))]
        ).sum(0)


def make_head(space: spaces.Space[object], kind: str | None = None) -> Head:
    """The head called `kind`, or the one that suits the action space.

    Raises:
        NeuroctlError: the space has no head, or not of this kind.
    """
    if isinstance(space, spaces.Discrete) and kind in (None, "categorical"):
        return CategoricalHead(space)
    if isinstance(space, spaces.MultiDiscrete) and kind in (None, "categorical"):
        return MultiCategoricalHead(space)
    if isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating) and kind != "categorical":
        return SquashedHead(space) if kind == "squashed" else GaussianHead(space)
    raise NeuroctlError(
        f"no {f'{kind} ' if kind else ''}head for actions of {shown(space)}; Box has gaussian and squashed, Discrete "
        "and MultiDiscrete have categorical"
    )
