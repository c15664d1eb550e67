"""`PoissonDoubleExpNeurons` on a torch device: a loop over steps, each for all neurons of all agents at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from neuroctl.errors import NeuroctlError
from neuroctl.streams import derive_seed

from .neuron_kernels import CONDUCTANCE, I_E, SCALE_EXC, SCALE_INH
from .neurons import PoissonDoubleExpNeurons
from .plasticity import State
from .torch_numbers import TorchNumbers, as_array, torch_dtype

Floats = NDArray[np.floating]


class TorchNeurons:
    """The neurons of a population in B agents, with the equations, the order and the state of the compiled form.

    Args:
        neurons: what they begin as. They hold what is copied from and to the device, and are not stepped.
        device: where these live.
        seed: root of their random numbers.

    Raises:
        NeuroctlError: neurons without dead time, which would draw numbers of spikes.

    Attributes:
        name: of the population.
        size: N.
        parameters: of all of them.
        dt_ms: length of a step.
        numbers: what they draw from.
    """

    def __init__(self, neurons: PoissonDoubleExpNeurons, device: torch.device, seed: int) -> None:
        self._host, self._device = neurons, device
        self.name, self.size, self.dt_ms = neurons.name, neurons.size, neurons.dt_ms
        self.parameters = neurons.parameters
        self._dead_steps = self.parameters.dead_steps(self.dt_ms)
        if self._dead_steps == 0:
            raise NeuroctlError(f"neurons {self.name!r} on a torch device need dead_time_ms > 0, got 0")
        self.numbers = TorchNumbers(derive_seed(seed, f"torch/neurons/{self.name}"), device)
        table, kind = self.parameters.potential(self.dt_ms), torch_dtype(neurons.dtype)
        exc, inh = table[SCALE_EXC], table[SCALE_INH]
        self._decay = torch.tensor(table[:4], dtype=kind, device=device)[:, None]
        self._scale = torch.tensor([-exc, exc, -inh, inh], dtype=kind, device=device)[:, None]
        self._drive = table[CONDUCTANCE] * table[I_E]
        self.take()

    def take(self) -> None:
        """Take over the state of the neurons on the host."""
        state = self._host.state_dict()
        tensors = (torch.tensor(state[name], device=self._device) for name in ("psp", "v", "threshold", "refractory"))
        self._psp, self._v, self._threshold, self._refractory = tensors

    def advance(self, arrivals: Tensor) -> tuple[Tensor, Tensor]:
        """Simulate T steps.

        Args:
            arrivals: sum of the weights that arrive in each step, of excitation and inhibition `[B, T, 2, N]`.

        Returns:
            Number of spikes, uint8, and the back-propagating trace, each `[T, B, N]`.
        """
        B, T, _, N = arrivals.shape
        uniforms = self.numbers.uniforms(B, T, N)
        spikes = torch.empty((T, B, N), dtype=torch.uint8, device=self._device)
        bap = torch.empty((T, B, N), dtype=arrivals.dtype, device=self._device)
        for k in range(T):
            self._psp.mul_(self._decay).view(B, 2, 2, N).add_(arrivals[:, k, :, None])
            self._v = (self._psp * self._scale).sum(1).add_(self._drive)
            expected = self._expected()
            ready = self._refractory == 0
            fired = (uniforms[:, k] < expected) & ready
            spikes[k] = fired
            bap[k] = (fired.double() - expected) * ready
            self._refractory = torch.where(fired, self._dead_steps, (self._refractory - 1).clamp_(min=0))
            self._react(fired)
        return spikes, bap

    def _expected(self) -> Tensor:
        """The probability of a spike in this step `[B, N]`, float64."""
        p, step_s = self.parameters, self.dt_ms / 1000
        if p.target_adaptation_speed_mv > 0:
            self._threshold -= step_s * p.target_rate_hz * p.target_adaptation_speed_mv
        above = self._v.double() - self._threshold
        rate = p.c1_hz_per_mv * above
        if p.c2_hz != 0:  # an infinite rate is one; zero times infinity is none
            rate = torch.exp(p.c3_per_mv * above).mul_(p.c2_hz).add_(rate)
        return -torch.expm1(-rate.mul_(step_s).clamp_(min=0))

    def _react(self, fired: Tensor) -> None:
        """What a spike does to its neuron, besides the dead time."""
        if self.parameters.target_adaptation_speed_mv > 0:
            self._threshold.add_(fired, alpha=self.parameters.target_adaptation_speed_mv)
        if self.parameters.with_reset:
            self._psp.masked_fill_(fired[:, None], 0)
            self._v.masked_fill_(fired, 0)

    @property
    def v_mv(self) -> Floats:
        """Membrane potentials `[B, N]` after the last step, a copy."""
        return as_array(self._v)

    @property
    def psp_mv(self) -> Floats:
        """Rise and fall of the excitatory, then of the inhibitory potential `[B, 4, N]`, a copy."""
        return as_array(self._psp)

    @property
    def threshold_mv(self) -> NDArray[np.float64]:
        """Adaptive thresholds E `[B, N]`; a copy, may be set."""
        return as_array(self._threshold)

    @threshold_mv.setter
    def threshold_mv(self, value: ArrayLike) -> None:
        self._give()
        self._host.threshold_mv = np.asarray(value)
        self.take()

    @property
    def refractory_steps(self) -> NDArray[np.int32]:
        """Steps of silence that remain to each neuron `[B, N]`, a copy."""
        return as_array(self._refractory)

    def _give(self) -> None:
        """Copy the state to the neurons on the host."""
        own = {
            "psp": self.psp_mv,
            "v": self.v_mv,
            "threshold": self.threshold_mv,
            "refractory": self.refractory_steps,
        }
        self._host.load_state_dict({**self._host.state_dict(), **own})

    def state_dict(self) -> State:
        """The complete state, in the form of `PoissonDoubleExpNeurons`, with the state of the generator."""
        self._give()
        return {**self._host.state_dict(), "generator": self.numbers.state()}
