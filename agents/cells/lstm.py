"""The LSTM, with recurrent weights that may be low-rank and sparse."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroctl.errors import NeuroctlError

from ..connectivity import LowRankSparse, RecurrentWeights
from .cell import Cell, steps_with_reset, zeros_like_parameters

MAPS = ("input_gate", "forget_gate", "cell_gate", "output_gate")
"""In PyTorch's order of rows: i, f, g, o."""

LSTMState = tuple[Tensor, Tensor]


class LSTM(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    With i, f, o = sigma(W_x x + W_h h + b), g = tanh(W_x x + W_h h + b), one set of rows for each:

        c' = f * c + i * g
        h' = o * tanh(c')

    The state is (h, c), the output h'. Parameters are drawn from U(-1/sqrt(H), 1/sqrt(H)), as in `torch.nn.LSTM`,
    to which this cell is equal given equal weights (our `bias` is the sum of its two).

    Attributes:
        input_weight: `[4 H, D]`, rows in the order of `MAPS`.
        recurrent: the recurrent matrices `[4 H, H]`.
        bias: `[4 H]`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: LowRankSparse | None = None,
        factorised: Sequence[str] | None = None,
    ) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: H.
            recurrent: specification of the recurrent weights; dense when None. Each map has its own draw.
            factorised: which of `MAPS` follow it; all when None.

        Raises:
            NeuroctlError: a value outside its range.
        """
        super().__init__(input_size, hidden_size)
        self.input_weight = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.recurrent = RecurrentWeights(MAPS, hidden_size, recurrent, factorised)
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        bound = hidden_size**-0.5
        for parameter in (self.input_weight, self.bias, self.recurrent.dense):
            if parameter is not None:
                nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> LSTMState:
        """Zeros `[B, H]` for h and for c."""
        zeros = zeros_like_parameters(self, batch_size, self.hidden_size)
        return zeros, zeros.clone()

    def step(
        self, x: Tensor, state: LSTMState, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, LSTMState]:
        """One step; see `Cell.step`."""
        _refuse(timespan)
        self.check_input(x, first, dims=2)
        h, c = self._reset(state, x.shape[0], first)
        projected = F.linear(x, self.input_weight, self.bias)
        i, f, g, o = torch.addmm(projected, h, self.recurrent.weight().t()).chunk(4, 1)
        c = torch.addcmul(i.sigmoid() * g.tanh(), f.sigmoid(), c)
        h = o.sigmoid() * c.tanh()
        return h, (h, c)

    def unroll(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, LSTMState]:
        """A sequence, by PyTorch's fused kernel over each stretch without a reset; see `Cell.unroll`."""
        _refuse(timespans)
        self.check_input(x, first, dims=3)
        length, batch_size = x.shape[:2]
        h, c = self.initial_state(batch_size) if state is None else state
        resets = steps_with_reset(first, length)
        starts = [t for t in range(length) if t == 0 or resets[t]]
        weights = [self.input_weight, self.recurrent.weight(), self.bias, torch.zeros_like(self.bias)]
        outputs = []
        for start, end in zip(starts, [*starts[1:], length], strict=True):
            h, c = self._reset((h, c), batch_size, first[start] if first is not None else None)
            y, h, c = _fused(x[start:end], h, c, weights)
            outputs.append(y)
        return torch.cat(outputs), (h, c)

    def recurrent_weights(self) -> dict[str, Tensor]:
        """The recurrent matrix `[H, H]` of each gate."""
        return {name: self.recurrent.map_weight(name) for name in MAPS}

    def _reset(self, state: LSTMState, batch_size: int, first: Tensor | None) -> LSTMState:
        h, c = state
        self.check_state(h, batch_size)
        self.check_state(c, batch_size)
        if first is None:
            return h, c
        rows = first.unsqueeze(1)
        return h.masked_fill(rows, 0.0), c.masked_fill(rows, 0.0)


def _fused(x: Tensor, h: Tensor, c: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    # cuDNN keeps what backward needs only in "train" mode, so that flag follows autograd and not `module.training`.
    train = torch.is_grad_enabled()
    y, h, c = torch._VF.lstm(
        x, (h.unsqueeze(0), c.unsqueeze(0)), weights, True, 1, 0.0, train, False, False
    )  # has_biases, num_layers, dropout, train, bidirectional, batch_first
    return y, h.squeeze(0), c.squeeze(0)


def _refuse(timespans: Tensor | None) -> None:
    if timespans is not None:
        raise NeuroctlError("the LSTM has no continuous time: timespans must be None; CfC takes them")
