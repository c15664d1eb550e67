"""From rates to spikes on a torch device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError
from neuroctl.streams import checked_seed, derive_seed

from .coding_kernels import all_within
from .neuron_kernels import MOST_EXPECTED, MOST_SPIKES
from .neurons import checked_signal
from .plasticity import State, checked_real
from .torch_numbers import TorchNumbers


class TorchPoissonEncoder:
    """B agents with N inputs that fire at given rates, as independent Poisson processes.

    The number of spikes of every input in every step is drawn from the Poisson distribution: the law of
    `PoissonEncoder`, at a cost that does not depend on the rates. The numbers are those of `TorchNumbers`.

    Args:
        num_inputs: N.
        num_steps: T, steps in one control step.
        batch_size: B.
        dt_ms: length of a step.
        seed: root of the random numbers.
        device: where spikes are drawn.

    Raises:
        NeuroctlError: a value out of range.

    Attributes:
        limit_hz: highest rate: 100 expected spikes in a step.
    """

    def __init__(
        self,
        num_inputs: int,
        num_steps: int,
        *,
        batch_size: int = 1,
        dt_ms: float = 1.0,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.num_inputs = checked_integer("num_inputs", num_inputs, 1)
        self.num_steps = checked_integer("num_steps", num_steps, 1)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
        self.limit_hz = 1000 * MOST_EXPECTED / self.dt_ms
        self._device = torch.device(device)
        self._numbers = TorchNumbers(derive_seed(checked_seed(seed), "torch/encoder"), self._device)

    def encode(self, rates_hz: ArrayLike) -> Tensor:
        """Number of spikes, uint8 `[T, B, N]` on the device, in the T steps of a control step, at rates `[B, N]`.

        Raises:
            NeuroctlError: another shape, or rates from outside 0 to `limit_hz`; nothing was drawn.
            NonFiniteError: NaN or infinity; nothing was drawn.
        """
        rates = checked_signal("rates_hz", rates_hz, (self.batch_size, self.num_inputs), np.float64)
        if not all_within(rates, self.limit_hz):
            raise NeuroctlError(f"rates_hz must be from 0 to {self.limit_hz:g}, got {rates.min():g} to {rates.max():g}")
        means = torch.tensor(rates * (self.dt_ms / 1000), dtype=torch.float32, device=self._device)
        counts = self._numbers.counts(means.expand(self.num_steps, -1, -1))
        return counts.clamp_(max=MOST_SPIKES).to(torch.uint8)

    def state_dict(self) -> State:
        """The complete state: that of the generator."""
        return {"generator": self._numbers.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of another kind of device, or damaged; nothing has changed.
        """
        self._numbers.take(self._numbers.restored("an encoder", state))
