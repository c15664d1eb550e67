"""The GRU, with recurrent weights that may be low-rank and sparse."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..connectivity import LowRankSparse
from ..wiring import Wiring
from .cell import LocalForm, States
from .fused import FusedCell, kernel_options
from .memory import chrono_biases

MAPS = ("reset_gate", "update_gate", "candidate")
"""In PyTorch's order of rows: r, z, n."""


class GRU(FusedCell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), in the form of PyTorch and cuDNN.

    With r, z = sigma(W_x x + W_h h + b), one set of rows for each:

        n = tanh(W_x x + b + r * (W_h h + b_h))
        h' = (1 - z) * n + z * h

    The reset gate acts after the product with W_h, which is what lets one product serve all maps. The state is h, and
    it is also the output. Given equal weights the cell is equal to `torch.nn.GRU` (our `bias` is the sum of its two
    for r and z).

    Attributes:
        candidate_bias: b_h `[H]`.
    """

    maps = MAPS

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: LowRankSparse | None = None,
        factorised: Sequence[str] | None = None,
        wiring: Wiring | None = None,
    ) -> None:
        """Draw the parameters; see `FusedCell`."""
        super().__init__(input_size, hidden_size, recurrent=recurrent, factorised=factorised, wiring=wiring)
        self.candidate_bias = nn.Parameter(torch.empty(hidden_size))
        self._draw(self.candidate_bias)

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Update gates drawn by the chrono initialisation; see `chrono_biases`."""
        self.bias.chunk(3)[1].copy_(chrono_biases(self.hidden_size, steps))

    def _next(self, projected: Tensor, weight: Tensor, states: States) -> States:
        of_r, of_z, of_n = (states[0] @ weight).chunk(3, 1)
        return self._gated(projected, of_r, of_z, of_n + self.candidate_bias, states)

    def local_form(self) -> LocalForm:
        """See `Cell.local_form`."""
        weights = {**super().local_form().weights, "recurrent_bias": self._recurrent_bias()}
        return LocalForm(weights, self._combined, adds_up=False)

    def _combined(self, of_x: Tensor, of_h: Tensor, states: States) -> States:
        of_r, of_z, of_n = of_h.chunk(3, -1)
        return self._gated(of_x, of_r, of_z, of_n, states)

    @staticmethod
    def _gated(projected: Tensor, of_r: Tensor, of_z: Tensor, of_n: Tensor, states: States) -> States:
        (h,) = states
        r, z, n = projected.chunk(3, -1)
        r, z = (r + of_r).sigmoid(), (z + of_z).sigmoid()
        n = torch.addcmul(n, r, of_n).tanh()
        return (torch.lerp(n, h, z),)

    def _kernel(self, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, States]:
        y, h = torch._VF.gru(x, states[0], weights, *kernel_options())
        return y, (h,)

    def _recurrent_bias(self) -> Tensor:
        return torch.cat((self.bias.new_zeros(2 * self.hidden_size), self.candidate_bias))
