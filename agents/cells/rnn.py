"""The plain recurrent network, with recurrent weights that may be low-rank and sparse."""

import torch
from torch import Tensor

from .fused import FusedCell, States, kernel_options


class RNN(FusedCell):
    """h' = tanh(W_x x + W_h h + b) (Elman 1990).

    The state is h, and it is also the output. Given equal weights the cell is equal to `torch.nn.RNN` (our `bias` is
    the sum of its two).
    """

    maps = ("hidden",)

    def _next(self, projected: Tensor, weight: Tensor, states: States) -> States:
        return (torch.addmm(projected, states[0], weight).tanh(),)

    def _kernel(self, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, States]:
        y, h = torch._VF.rnn_tanh(x, states[0], weights, *kernel_options())
        return y, (h,)
