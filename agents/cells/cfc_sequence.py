"""How a CfC without a backbone runs through time: the three modes, and a whole sequence as one autograd node."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .cell import steps_with_reset

Parts = tuple[Tensor, ...]

_BLOCK = 16
"""Steps whose derivatives are computed together: few enough that what they need stays in the cache."""


class Solution(ABC):
    """How the K maps `pre [..., K, H]` of a step make the next state; the three modes differ in nothing else.

    `span` is the time since the last input, broadcast over units; None means 1. `constants` are the parameters of
    the mode beside its maps.
    """

    maps: tuple[str, ...]

    def at_unit_span(self, rows: Tensor) -> Tensor:
        """Stacked rows of the maps `[K H, ...]` with those merged that add up when every timespan is 1."""
        return rows

    @abstractmethod
    def solve(self, pre: Tensor, span: Tensor | None, constants: Parts) -> Tensor:
        """The next state `[B, H]` from the maps `pre [B, K H]` and `span [B, 1]`, for autograd."""

    @abstractmethod
    def parts(self, pre: Tensor, constants: Parts) -> Iterable[Parts]:
        """For each step of `pre [T, B, K, H]` the views that `advance` needs; made all at once they cost less."""

    @abstractmethod
    def advance(self, parts: Parts, span: Tensor | None, constants: Parts, out: Tensor) -> None:
        """Turn the maps of one step into activations in place and write the next state to `out [B, H]`."""

    @abstractmethod
    def slopes(self, acts: Tensor, spans: Tensor | None, constants: Parts, out: Tensor) -> None:
        """Write dh'/dpre `[T, B, K, H]` to `out`, from the activations that `advance` left behind."""

    @abstractmethod
    def other_gradients(
        self, dh: Tensor, dpre: Tensor, acts: Tensor, spans: Tensor | None, constants: Parts
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the spans `[T, B, 1]` and of each constant, given those of the states and of the maps."""


class Gated(Solution):
    """Modes `default` (interpolate) and `no_gate`; activations are tanh, tanh, [rate,] gate."""

    maps = ("ff1", "ff2", "time_a", "time_b")

    def __init__(self, *, interpolate: bool) -> None:
        self.interpolate = interpolate

    def at_unit_span(self, rows: Tensor) -> Tensor:
        """ff1, ff2, time_a + time_b: one linear gate."""
        ff1, ff2, time_a, time_b = rows.chunk(4)
        return torch.cat((ff1, ff2, time_a + time_b))

    def solve(self, pre: Tensor, span: Tensor | None, constants: Parts) -> Tensor:
        """See `Solution`."""
        ff1, ff2, time_a, time_b = pre.chunk(4, 1)
        gate = time_a + time_b if span is None else torch.addcmul(time_b, time_a, span)
        return self.mixed(ff1, ff2, gate)

    def mixed(self, ff1: Tensor, ff2: Tensor, gate: Tensor) -> Tensor:
        """The next state from three maps."""
        f1, f2, g = ff1.tanh(), ff2.tanh(), gate.sigmoid()
        return torch.lerp(f1, f2, g) if self.interpolate else torch.addcmul(f1, g, f2)

    def parts(self, pre: Tensor, constants: Parts) -> Iterable[Parts]:
        """Both tanh maps as one view, then f1, f2, the gate, and the rate where it is a map of its own."""
        maps = [pre[:, :, :2], *(pre[:, :, k] for k in (0, 1, -1, 2)[: pre.shape[2]])]
        return zip(*(part.unbind(0) for part in maps), strict=True)

    def advance(self, parts: Parts, span: Tensor | None, constants: Parts, out: Tensor) -> None:
        """See `Solution`."""
        both, f1, f2, gate, *rate = parts
        both.tanh_()
        if span is not None:
            gate.addcmul_(rate[0], span)
        gate.sigmoid_()
        if self.interpolate:
            torch.lerp(f1, f2, gate, out=out)
        else:
            torch.addcmul(f1, gate, f2, out=out)

    def slopes(self, acts: Tensor, spans: Tensor | None, constants: Parts, out: Tensor) -> None:
        """See `Solution`."""
        f1, f2, g = acts[:, :, 0], acts[:, :, 1], acts[:, :, -1]
        rest = 1 - g
        slope = torch.mul(f1, f1).neg_().add_(1)
        torch.mul(slope, rest if self.interpolate else 1, out=out[:, :, 0])
        torch.mul(torch.mul(f2, f2).neg_().add_(1), g, out=out[:, :, 1])
        torch.mul(rest.mul_(g), f2 - f1 if self.interpolate else f2, out=out[:, :, -1])
        if spans is not None:
            torch.mul(out[:, :, 3], spans, out=out[:, :, 2])

    def other_gradients(
        self, dh: Tensor, dpre: Tensor, acts: Tensor, spans: Tensor | None, constants: Parts
    ) -> tuple[Tensor | None, ...]:
        """See `Solution`."""
        return (None if spans is None else (dpre[:, :, 3] * acts[:, :, 2]).sum(-1, keepdim=True),)


class Pure(Solution):
    """Mode `pure`; the only activation is the map itself, the constants are A and w_tau."""

    maps = ("ff1",)

    def solve(self, pre: Tensor, span: Tensor | None, constants: Parts) -> Tensor:
        """See `Solution`."""
        A, w_tau = constants
        return torch.addcmul(A, A, _decay(pre, _modulus(w_tau), span) * pre, value=-1)

    def parts(self, pre: Tensor, constants: Parts) -> Iterable[Parts]:
        """The map and |w_tau|."""
        floor = _modulus(constants[1])
        return ((f, floor) for f in pre.squeeze(2).unbind(0))

    def advance(self, parts: Parts, span: Tensor | None, constants: Parts, out: Tensor) -> None:
        """See `Solution`."""
        (f, floor), A = parts, constants[0]
        torch.addcmul(A, A, _decay(f, floor, span).mul_(f), value=-1, out=out)

    def slopes(self, acts: Tensor, spans: Tensor | None, constants: Parts, out: Tensor) -> None:
        """d/df of -A exp(-ts (|w_tau| + |f|)) f is -A exp(..) (1 - ts |f|)."""
        A, w_tau = constants
        f = acts.squeeze(2)
        scaled = f.abs() if spans is None else f.abs() * spans
        torch.mul(A * _decay(f, _modulus(w_tau), spans), scaled - 1, out=out.squeeze(2))

    def other_gradients(
        self, dh: Tensor, dpre: Tensor, acts: Tensor, spans: Tensor | None, constants: Parts
    ) -> tuple[Tensor | None, ...]:
        """See `Solution`."""
        A, w_tau = constants
        f, floor = acts.squeeze(2), _modulus(w_tau)
        decayed = _decay(f, floor, spans) * f
        d_exponent = dh * A * decayed
        d_spans = None if spans is None else (d_exponent * (floor + f.abs())).sum(-1, keepdim=True)
        d_floor = (d_exponent if spans is None else d_exponent * spans).sum((0, 1))
        return d_spans, (dh * (1 - decayed)).sum((0, 1)), torch.where(w_tau < 0, -d_floor, d_floor)


class CfCSequence(torch.autograd.Function):
    """A whole sequence of a CfC without backbone: states `[T, B, H]`, backpropagation through time by hand.

    Forward is one product for the inputs and one per step for the states, in buffers allocated once. Backward first
    computes d h' / d pre of all steps at once; what is left in its loop is linear, one multiplication and one
    product per step. Weight gradients are single products over all T B rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        solution: Solution,
        x: Tensor,
        state: Tensor,
        input_weight: Tensor,
        recurrent_weight: Tensor,
        bias: Tensor,
        first: Tensor | None,
        spans: Tensor | None,
        *constants: Tensor,
    ) -> Tensor:
        """States after each step.

        Args:
            ctx: autograd's context.
            solution: the mode.
            x: `[T, B, D]`.
            state: h before the first step `[B, H]`.
            input_weight: `[K H, D]`.
            recurrent_weight: `[K H, H]`.
            bias: `[K H]`.
            first: `[T, B]`; where true, h is 0 before that step.
            spans: `[T, B, 1]`; 1 when None, and then maps that add up are merged.
            *constants: parameters of the mode.
        """
        length, batch_size, size = len(x), x.shape[1], state.shape[1]
        pre = F.linear(x, input_weight, bias)
        acts = pre.view(length, batch_size, -1, size)
        y = pre.new_empty(length, batch_size, size)
        resets, weight, h = steps_with_reset(first, length), recurrent_weight.t().contiguous(), state
        steps = zip(pre.unbind(0), solution.parts(acts, constants), y.unbind(0), strict=True)
        for t, (maps, parts, out) in enumerate(steps):
            if first is not None and resets[t]:
                h = h.masked_fill(first[t].unsqueeze(1), 0.0)
            maps.addmm_(h, weight)
            solution.advance(parts, None if spans is None else spans[t], constants, out)
            h = out
        ctx.solution, ctx.resets = solution, resets
        ctx.save_for_backward(x, state, input_weight, recurrent_weight, first, spans, acts, y, *constants)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of every argument of `forward`."""
        x, state, input_weight, recurrent_weight, first, spans, acts, y, *constants = ctx.saved_tensors
        dpre = torch.empty_like(acts)
        for t in range(0, len(acts), _BLOCK):
            block = slice(t, t + _BLOCK)
            span = None if spans is None else spans[block]
            ctx.solution.slopes(acts[block], span, constants, dpre[block])
        dh = torch.cat((torch.zeros_like(state).unsqueeze(0), dy))
        _backpropagate(dpre, dh, recurrent_weight, first, ctx.resets)
        before = torch.cat((state.unsqueeze(0), y[:-1]))
        if first is not None:
            before.masked_fill_(first.unsqueeze(2), 0.0)
        rows = dpre.view(-1, recurrent_weight.shape[0])
        needs = ctx.needs_input_grad
        others: tuple[Tensor | None, ...] = (None,) * (1 + len(constants))
        if any(needs[7:]):
            others = ctx.solution.other_gradients(dh[1:], dpre, acts, spans, constants)
        return (
            None,
            (rows @ input_weight).view_as(x) if needs[1] else None,
            dh[0] if needs[2] else None,
            rows.t() @ x.reshape(-1, x.shape[2]) if needs[3] else None,
            rows.t() @ before.view(-1, before.shape[2]) if needs[4] else None,
            rows.sum(0) if needs[5] else None,
            None,
            *others,
        )


def _backpropagate(
    dpre: Tensor, dh: Tensor, recurrent_weight: Tensor, first: Tensor | None, resets: list[bool]
) -> None:
    """Run backward through time, in place.

    Args:
        dpre: d h' / d pre `[T, B, K, H]`; becomes the gradient of the maps.
        dh: `[T + 1, B, H]`, at t + 1 the gradient of the output of step t; becomes that of the states.
        recurrent_weight: `[K H, H]`.
        first: `[T, B]`; no gradient passes where it is true.
        resets: for each step, whether any row of `first` is true.
    """
    maps, rows = dpre.unbind(0), dpre.flatten(2).unbind(0)
    states, broadcast = dh.unbind(0), dh.unsqueeze(2).unbind(0)
    for t in range(len(resets) - 1, -1, -1):
        maps[t].mul_(broadcast[t + 1])
        if first is not None and resets[t]:
            states[t].add_((rows[t] @ recurrent_weight).masked_fill_(first[t].unsqueeze(1), 0.0))
        else:
            states[t].addmm_(rows[t], recurrent_weight)


def _modulus(w_tau: Tensor) -> Tensor:
    """|w_tau| with slope 1 at 0, the initial value: the slope 0 of `torch.abs` would keep w_tau there for ever."""
    return torch.where(w_tau < 0, -w_tau, w_tau)


def _decay(f: Tensor, floor: Tensor, span: Tensor | None) -> Tensor:
    rate = floor + f.abs()
    return torch.exp(-rate if span is None else -rate * span)
