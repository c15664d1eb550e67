"""The LSTM, with recurrent weights that may be low-rank and sparse."""

import torch
from torch import Tensor

from .cell import States
from .fused import FusedCell, kernel_options
from .memory import chrono_biases

MAPS = ("input_gate", "forget_gate", "cell_gate", "output_gate")
"""In PyTorch's order of rows: i, f, g, o."""

LSTMState = tuple[Tensor, Tensor]


class LSTM(FusedCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    With i, f, o = sigma(W_x x + W_h h + b), g = tanh(W_x x + W_h h + b), one set of rows for each:

        c' = f * c + i * g
        h' = o * tanh(c')

    The state is (h, c), the output h'. Given equal weights the cell is equal to `torch.nn.LSTM` (our `bias` is the
    sum of its two).
    """

    maps = MAPS
    states = 2

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Forget gates drawn by the chrono initialisation, input gates opposite; see `chrono_biases`."""
        input_gate, forget_gate, *_ = self.bias.chunk(4)
        forget_gate.copy_(chrono_biases(self.hidden_size, steps))
        input_gate.copy_(-forget_gate)

    def _next(self, projected: Tensor, weight: Tensor, states: States) -> States:
        return self._solve(torch.addmm(projected, states[0], weight), states)

    def _solve(self, maps: Tensor, states: States) -> States:
        _, c = states
        i, f, g, o = maps.chunk(4, -1)
        c = torch.addcmul(i.sigmoid() * g.tanh(), f.sigmoid(), c)
        return o.sigmoid() * c.tanh(), c

    def _kernel(self, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, States]:
        y, h, c = torch._VF.lstm(x, states, weights, *kernel_options())
        return y, (h, c)
