"""Random numbers on a torch device, one generator for all agents of a part of a network; and tensors as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroctl.errors import NeuroctlError


class TorchNumbers:
    """What the neurons, synapses or inputs of B agents draw.

    The same seed, sizes and kind of device give the same bits. The numbers are not those of the compiled form, and
    those of agent b depend on B: an agent with a stream of its own would draw alone, and a device is fast at drawing
    for all at once.

    Args:
        seed: of the generator.
        device: where it draws.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def uniforms(self, *shape: int) -> Tensor:
        """Numbers from [0, 1), float64."""
        return torch.rand(shape, generator=self._generator, device=self._device, dtype=torch.float64)

    def normals(self, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Numbers of the standard normal distribution."""
        return torch.randn(shape, generator=self._generator, device=self._device, dtype=dtype)

    def counts(self, means: Tensor) -> Tensor:
        """Numbers of the Poisson distributions with these means, of their dtype."""
        return torch.poisson(means, generator=self._generator)

    def state(self) -> NDArray[np.uint8]:
        """The state of the generator, whose length depends on the kind of device."""
        return self._generator.get_state().numpy().copy()

    def restored(self, owner: str, state: Mapping[str, Any]) -> torch.Generator:
        """A generator in the state that `owner` keeps as `"generator"`; nothing has changed yet, see `take`.

        Raises:
            NeuroctlError: there is none, or it is of another kind of device.
        """
        words, needed = state.get("generator"), len(self.state())
        if not isinstance(words, np.ndarray) or words.dtype != np.uint8 or words.shape != (needed,):
            raise NeuroctlError(
                f"state of {owner} has no generator of device {self._device}: it was saved by another kind of device, "
                "from which the synapses can be adopted"
            )
        generator = torch.Generator(self._device)
        try:
            generator.set_state(torch.from_numpy(words.copy()))
        except RuntimeError as error:
            raise NeuroctlError(f"the generator in the state of {owner} is damaged: {error}") from None
        return generator

    def take(self, generator: torch.Generator) -> None:
        """Draw from this generator from now on."""
        self._generator = generator


def torch_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    """The torch dtype of float32 or float64."""
    return torch.float32 if dtype == np.float32 else torch.float64


def as_array(tensor: Tensor) -> NDArray[Any]:
    """A copy of the tensor as an array on the host."""
    array: NDArray[Any] = tensor.cpu().numpy().copy()
    return array
