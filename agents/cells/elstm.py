"""The LSTM whose recurrence is element-wise (eLSTM), of Irie et al., arXiv 2305.19044."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

from .cell import State, steps_with_reset
from .elementwise import ElementwiseCell, Influence
from .memory import chrono_biases

SPREAD = 0.1
"""Standard deviation of the recurrent weights and biases."""


class ELSTM(ElementwiseCell):
    """An LSTM with one gate for keeping and writing, whose memory cells see themselves and no other.

    With * element by element:

        f = sigma(F x + w_f * c + b_f)
        z = tanh(Z x + w_z * c + b_z)
        c' = f * c + (1 - f) * z
        h = sigma(O x + W_o c' + b_o) * c'

    The state is c `[B, N]`, the output h. The gate O has no memory: it sees the new c. Z and F are drawn from
    N(0, 1/D), so that inputs of size 1 move the gates however few they are (the code of the publication draws from
    N(0, 0.1^2), which is the same at D = 100); the other parameters of the recurrence from N(0, 0.1^2), those of the
    output gate from U(-1/sqrt(D + N), 1/sqrt(D + N)).

    Attributes:
        Z: `[N, D]`.
        F: `[N, D]`.
        w_z: `[N]`.
        w_f: `[N]`.
        b_z: `[N]`.
        b_f: `[N]`, the forget bias.
        O: `[N, D]`.
        W_o: `[N, N]`.
        b_o: `[N]`.
    """

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 0.0) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: N.
            forget_bias: mean of what is added to b_f, uniform from 0 to twice as much: a unit with bias b remembers
                about exp(b) steps.

        Raises:
            NeuroctlError: a size below 1, or a forget bias below 0.
        """
        super().__init__(input_size, hidden_size)
        if not (is_number(forget_bias) and 0 <= forget_bias <= MOST_BIAS):
            raise NeuroctlError(f"forget_bias must be from 0 to {MOST_BIAS:g}, got {shown(forget_bias)}")
        D, N = input_size, hidden_size
        self.Z, self.F = (nn.Parameter(D**-0.5 * torch.randn(N, D)) for _ in range(2))
        self.w_z, self.w_f, self.b_z, self.b_f = (nn.Parameter(SPREAD * torch.randn(N)) for _ in range(4))
        bound = (D + N) ** -0.5
        shapes = (N, D), (N, N), (N,)
        self.O, self.W_o, self.b_o = (nn.Parameter(torch.empty(*shape).uniform_(-bound, bound)) for shape in shapes)
        with torch.no_grad():
            self.b_f.add_(torch.rand(N), alpha=2 * forget_bias)

    @property
    def like(self) -> Tensor:
        """The forget bias."""
        return self.b_f

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Forget biases drawn by the chrono initialisation; see `chrono_biases`."""
        self.b_f.copy_(chrono_biases(self.hidden_size, steps))

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step; see `Cell.step`."""
        self.refuse_timespans(timespan)
        self.check_input(x, first, dims=2)
        self.check_state(state, x)
        c = state if first is None else state.masked_fill(first.unsqueeze(1), 0.0)
        z = torch.addcmul(F.linear(x, self.Z, self.b_z), self.w_z, c).tanh()
        f = torch.addcmul(F.linear(x, self.F, self.b_f), self.w_f, c).sigmoid()
        c = torch.lerp(z, c, f)
        return self._gated(x, c), c

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence as one autograd node, and the output gate of all steps at once; see `Cell.unroll`."""
        self.refuse_timespans(timespans)
        c, _, _ = self._cells(x, state, first)
        return self._gated(x, c), c[-1]

    def unroll_with_influence(
        self, x: Tensor, state: State | None = None, first: Tensor | None = None
    ) -> tuple[Tensor, State, Influence]:
        """See `ElementwiseCell.unroll_with_influence`."""
        c, activations, before = self._cells(x, state, first)
        with torch.no_grad():
            slopes, keep = _slopes(activations, before, first, torch.stack((self.w_z, self.w_f)))
            of_z, of_f = slopes.unbind(2)
            influence = Influence(
                keep=keep,
                x=x.detach(),
                matrices={"Z": of_z, "F": of_f},
                vectors={"w_z": of_z * before, "w_f": of_f * before, "b_z": of_z, "b_f": of_f},
            )
        return self._gated(x, c), c[-1], influence

    def parameter_gradients(self, effective: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same: the recurrence has no other parameters."""
        return effective

    def _cells(self, x: Tensor, state: State | None, first: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        self.check_input(x, first, dims=3)
        state = self.initial_state(x.shape[1]) if state is None else state
        self.check_state(state, x)
        projected = F.linear(x, torch.cat((self.Z, self.F)), torch.cat((self.b_z, self.b_f)))
        found: tuple[Tensor, Tensor, Tensor] = ELSTMSequence.apply(  # type: ignore[no-untyped-call]
            projected, state, first, torch.stack((self.w_z, self.w_f))
        )
        return found

    def _gated(self, x: Tensor, c: Tensor) -> Tensor:
        return (F.linear(x, self.O, self.b_o) + F.linear(c, self.W_o)).sigmoid() * c


MOST_BIAS = 20.0
"""Largest forget bias: float32 gates are 1 beyond."""


class ELSTMSequence(torch.autograd.Function):
    """Memory cells `[T, B, N]` of a sequence, backpropagation through time by hand.

    Beside them the activations z and f, `[T, B, 2, N]`, and the cells before each step `[T, B, N]`, without gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, state: Tensor, first: Tensor | None, w: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the steps.

        Args:
            ctx: autograd's context.
            projected: maps on x with their biases `[T, B, 2 N]`, z before f.
            state: `[B, N]`.
            first: `[T, B]`; where true, the state is 0 before that step.
            w: weights of a cell on its own gates `[2, N]`.
        """
        T, B, N = len(projected), *state.shape
        activations = projected.view(T, B, 2, N).clone()
        before, c = projected.new_empty(T, B, N), projected.new_empty(T, B, N)
        z, f = (part.unbind(0) for part in activations.unbind(2))
        resets = steps_with_reset(first, T)
        for t in range(T):
            last = before[t].copy_(c[t - 1] if t else state)
            if resets[t] and first is not None:
                last.masked_fill_(first[t].unsqueeze(1), 0.0)
            activations[t].addcmul_(last.unsqueeze(1), w)
            torch.lerp(z[t].tanh_(), last, f[t].sigmoid_(), out=c[t])
        ctx.save_for_backward(activations, before, w)
        ctx.first = first
        ctx.mark_non_differentiable(activations, before)
        return c, activations, before

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dc: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients of every argument of `forward`."""
        activations, before, w = ctx.saved_tensors
        slopes, keep = _slopes(activations, before, ctx.first, w)
        dc = dc.clone()
        for t in range(len(dc) - 1, 0, -1):
            dc[t - 1].addcmul_(keep[t], dc[t])
        slopes *= dc.unsqueeze(2)
        dw = (slopes * before.unsqueeze(2)).sum((0, 1))
        return slopes.flatten(2), keep[0] * dc[0], None, dw


def _slopes(activations: Tensor, before: Tensor, first: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes dc / d(maps of z, f) `[T, B, 2, N]`, and dc / d(last state) `[T, B, N]`, 0 where reset."""
    z, f = activations.unbind(2)
    rest = 1 - f
    slopes = torch.stack((rest * (1 - z * z), (before - z) * f * rest), dim=2)
    keep = torch.addcmul(f, slopes[:, :, 0], w[0]).addcmul_(slopes[:, :, 1], w[1])
    return slopes, keep if first is None else keep.masked_fill_(first.unsqueeze(2), 0.0)
