"""Running standardisation of observations; its statistics are buffers, so they are in every checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLIP = 10.0
"""Standardised values beyond this many standard deviations are clipped."""
MIN_STD = 1e-4
"""Entries that never varied are divided by this."""


class Normaliser(nn.Module):
    """Standardises observations by the mean and standard deviation of all that `update` was given.

    Moments of batches are merged exactly (Chan, Golub, LeVeque 1983), so that the order and size of the batches
    change nothing but rounding. Before the first `update` it changes nothing. `forward` never updates: acting does
    not learn.

    Args:
        shape: of one observation.

    Attributes:
        count: observations seen, float64.
        mean: `[*shape]`, float64.
        variance: of the population, `[*shape]`, float64.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(shape, dtype=torch.float64))

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Take in observations `[..., *shape]`."""
        values = obs.to(self.mean.dtype).reshape(-1, *self.mean.shape)
        if len(values) == 0:
            return
        mean = values.mean(0)
        square = ((values - mean) ** 2).sum(0)
        total = self.count + len(values)
        shift = mean - self.mean
        square = square + self.variance * self.count + shift**2 * (self.count * len(values) / total)
        self.mean += shift * (len(values) / total)
        self.variance.copy_(square / total)
        self.count.copy_(total)

    def forward(self, obs: Tensor) -> Tensor:
        """Standardised observations `[..., *shape]`, in their own dtype, clipped to +-10."""
        mean, std = self.mean.to(obs.dtype), self.variance.sqrt().clamp(min=MIN_STD).to(obs.dtype)
        return ((obs - mean) / std).clamp(-CLIP, CLIP)
