"""From observations to features: a small CNN for images, an MLP for states. No BatchNorm: episodes are correlated."""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import Tensor, nn

from neuroctl.errors import NeuroctlError
from neuroctl.normaliser import Normaliser


class ImageEncoder(nn.Module):
    """Two strided convolutions and a linear layer for images `[H, W]` or `[H, W, C]` in [0, 1] or uint8.

    The first stride is 4: with 2, memory traffic makes training four times slower and the lane is kept no better.

    Args:
        shape: of one image.
        features: outputs.
        scale: factor that brings pixel values to [0, 1].
    """

    def __init__(self, shape: tuple[int, ...], features: int, scale: float = 1.0) -> None:
        super().__init__()
        if min(shape[:2]) < 4:
            raise NeuroctlError(f"images must have at least 4 rows and columns, got {shape[0]} x {shape[1]}")
        channels = shape[2] if len(shape) == 3 else 1
        self.dims = len(shape)
        self.scale = scale
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=4, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        flat = self.convolutions(torch.zeros(1, channels, *shape[:2])).shape[1]
        self.linear = nn.Linear(flat, features)

    def forward(self, obs: Tensor) -> Tensor:
        """Images `[..., H, W(, C)]` -> features `[..., F]`."""
        lead = obs.shape[: obs.dim() - self.dims]
        images = obs.reshape(-1, *obs.shape[obs.dim() - self.dims :]).to(self.linear.weight.dtype) * self.scale
        images = images.movedim(-1, 1) if self.dims == 3 else images[:, None]
        return torch.relu(self.linear(self.convolutions(images))).reshape(*lead, -1)


class StateEncoder(nn.Module):
    """Standardise, then one tanh layer, for vectors `[D]`.

    Args:
        size: D.
        features: outputs.

    Attributes:
        normaliser: running statistics; whoever trains the encoder updates them.
    """

    def __init__(self, size: int, features: int) -> None:
        super().__init__()
        self.normaliser = Normaliser((size,))
        self.linear = nn.Linear(size, features)

    def forward(self, obs: Tensor) -> Tensor:
        """States `[..., D]` -> features `[..., F]`."""
        obs = obs.to(self.linear.weight.dtype).flatten(obs.dim() - 1)
        return torch.tanh(self.linear(self.normaliser(obs)))


class Unencoded(nn.Module):
    """States `[D]` as they are, in the dtype of the policy.

    Args:
        size: D.
    """

    like: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("like", torch.zeros(()), persistent=False)

    def forward(self, obs: Tensor) -> Tensor:
        """States `[..., D]`."""
        return obs.to(self.like.dtype)


def make_encoder(space: spaces.Space[object], features: int) -> nn.Module:
    """The encoder that fits an observation space; with 0 features the state goes through as it is.

    Raises:
        NeuroctlError: no encoder fits; says which spaces have one.
    """
    if features == 0:
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise NeuroctlError(f"agent.features is 0: only a Box of 1 dimension goes unencoded, not {space}")
        return Unencoded(space.shape[0])
    if isinstance(space, spaces.Box) and len(space.shape) in (2, 3):
        scale = 1 / 255 if space.dtype == "uint8" else 1.0
        return ImageEncoder(space.shape, features, scale)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return StateEncoder(space.shape[0], features)
    raise NeuroctlError(f"no encoder for observations of {space}; Box of 1 (state), 2 or 3 (image) dimensions have one")
