"""A whole sequence of an LTC as one autograd node, on the CPU."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from . import ltc_kernel

Array = NDArray[Any]


def run(
    x: Tensor,
    state: Tensor,
    first: Tensor | None,
    rate: Tensor,
    neurons: Tensor,
    sensory: Tensor,
    recurrent: Tensor,
    unfolds: int,
) -> Tensor:
    """Potentials `[T, B, H]` after each step of a sequence; arguments as of `LTCSequence.forward`."""
    # The compiled loops are vectorised from 32 sources on, and have no remainder at multiples of 8.
    D, H = ((0, max(32, -(-size // 8) * 8) - size) for size in (x.shape[2], state.shape[1]))
    padded = F.pad(x, D), F.pad(state, H), first, rate, F.pad(neurons, H, value=1.0)
    y: Tensor = LTCSequence.apply(  # type: ignore[no-untyped-call]
        *padded, F.pad(sensory, D + H), F.pad(recurrent, H + H), unfolds
    )
    return y[:, :, : state.shape[1]]


class LTCSequence(torch.autograd.Function):
    """Potentials `[T, B, H]` after each step of a sequence.

    Forward keeps the potentials of all unfolds. Backward computes the activations of the synapses again: they are H
    times as many.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        state: Tensor,
        first: Tensor | None,
        rate: Tensor,
        neurons: Tensor,
        sensory: Tensor,
        recurrent: Tensor,
        unfolds: int,
    ) -> Tensor:
        """Potentials after each step.

        Args:
            ctx: autograd's context.
            x: mapped inputs `[T, B, D]`.
            state: potentials before the first step `[B, H]`.
            first: `[T, B]`; where true, the potentials are 0 before that step.
            rate: unfolds per unit of time `[T, B]`.
            neurons: capacity, numerator and denominator of the leak `[3, H]`.
            sensory: sigma, offset, conductance, current of the synapses from the inputs `[4, H, D]`.
            recurrent: the same of those between neurons `[4, H, H]`.
            unfolds: steps of the solver per step.
        """
        if first is None:
            first = torch.zeros(x.shape[:2], dtype=torch.bool)
        tensors = x, state, first, rate, neurons, sensory, recurrent
        arrays = [_array(tensor) for tensor in tensors]
        shape = (*x.shape[:2], unfolds, state.shape[1])
        saved = np.empty(shape, arrays[0].dtype), np.empty(shape, arrays[0].dtype)
        ltc_kernel.forward(tuple(arrays[:4]), tuple(arrays[4]), _transposed(arrays[5]), _transposed(arrays[6]), saved)
        ctx.save_for_backward(*tensors)
        ctx.saved = saved
        return torch.from_numpy(saved[0][:, :, -1].copy())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of every argument of `forward`."""
        arrays = [_array(tensor) for tensor in ctx.saved_tensors]
        gradients = [np.zeros_like(array) for array in arrays]
        dx, dstate, _, drate, *stacks = gradients
        groups = tuple(arrays[:4]), *map(tuple, arrays[4:]), ctx.saved, _array(dy), (dx, dstate, drate)
        ltc_kernel.backward(*groups, *map(tuple, stacks))
        of_x, of_state, _, *others = map(torch.from_numpy, gradients)
        return of_x, of_state, None, *others, None


def _transposed(matrices: Array) -> tuple[Array, ...]:
    return tuple(np.ascontiguousarray(matrices.transpose(0, 2, 1)))


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.detach().contiguous().numpy()
    return array
