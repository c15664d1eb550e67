"""Running standardisation of observations; its statistics are buffers, so they are in every checkpoint."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .checks import checked_integer, shown
from .errors import NeuroctlError, NonFiniteError

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

    Raises:
        NeuroctlError: a size of `shape` that is no integer >= 1, or more entries than memory holds.

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
        zeros = _zeros(shape)
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))
        self.register_buffer("mean", zeros)
        self.register_buffer("variance", torch.ones_like(zeros))

    @torch.no_grad()
    def update(self, obs: Tensor) -> None:
        """Take in observations `[..., *shape]`.

        Raises:
            NeuroctlError: they have another shape.
            NonFiniteError: a value is not finite, or its square too large; nothing has changed.
        """
        self._check_shape(obs)
        values = obs.to(self.mean.dtype).reshape(-1, *self.mean.shape)
        if len(values) == 0:
            return
        mean = values.mean(0)
        square = ((values - mean) ** 2).sum(0)
        if not torch.isfinite(square).all():
            raise NonFiniteError("observations to standardise by are not finite, or too large to be squared")
        total = self.count + len(values)
        shift = mean - self.mean
        square = square + self.variance * self.count + shift**2 * (self.count * len(values) / total)
        self.mean += shift * (len(values) / total)
        self.variance.copy_(square / total)
        self.count.copy_(total)

    def forward(self, obs: Tensor) -> Tensor:
        """Standardised observations `[..., *shape]`, in their own dtype, clipped to +-10.

        Raises:
            NeuroctlError: they have another shape, or are no floats.
        """
        self._check_shape(obs)
        if not obs.is_floating_point():
            raise NeuroctlError(f"observations to standardise must be floats, got {obs.dtype}")
        mean, std = self.mean.to(obs.dtype), self.variance.sqrt().clamp(min=MIN_STD).to(obs.dtype)
        return ((obs - mean) / std).clamp(-CLIP, CLIP)

    def _check_shape(self, obs: Tensor) -> None:
        lead = obs.dim() - self.mean.dim()
        if lead < 0 or obs.shape[lead:] != self.mean.shape:
            expected = ", ".join(map(str, ("...", *self.mean.shape)))
            raise NeuroctlError(f"observations have shape {list(obs.shape)}; expected [{expected}]")


def _zeros(shape: tuple[int, ...]) -> Tensor:
    try:
        sizes = [checked_integer("a size in shape", size, 1) for size in shape]
    except TypeError:
        raise NeuroctlError(f"shape must be that of one observation, such as (12,), got {shown(shape)}") from None
    try:
        return torch.zeros(sizes, dtype=torch.float64)
    except (RuntimeError, OverflowError, TypeError):  # too large for memory, or for torch's integers
        raise NeuroctlError(f"observations of shape {shown(sizes)} do not fit in memory") from None
