"""The plain recurrent network, with recurrent weights that may be low-rank and sparse."""

import torch
from torch import Tensor

from .cell import States
from .fused import FusedCell, kernel_options
from .memory import checked_steps


class RNN(FusedCell):
    """h' = tanh(W_x x + W_h h + b) (Elman 1990).

    The state is h, and it is also the output. Given equal weights the cell is equal to `torch.nn.RNN` (our `bias` is
    the sum of its two).
    """

    maps = ("hidden",)

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Half of the units begin with the identity, and no input: tanh alone makes them forget, the less the smaller.

        After Le et al. 2015, arXiv 1504.00941, who do so with all units of a rectified network.
        """
        checked_steps(steps)
        held = self.recurrent.hold("hidden", max(self.hidden_size // 2, 1))
        self.input_weight[held] = 0.0
        self.bias[held] = 0.0

    def _next(self, projected: Tensor, weight: Tensor, states: States) -> States:
        return self._solve(torch.addmm(projected, states[0], weight), states)

    def _solve(self, maps: Tensor, states: States) -> States:
        return (maps.tanh(),)

    def _kernel(self, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, States]:
        y, h = torch._VF.rnn_tanh(x, states[0], weights, *kernel_options())
        return y, (h,)
