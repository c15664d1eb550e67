"""The closed-form continuous-time cell (CfC) of Hasani et al. 2022, arXiv 2106.13898."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from neuroctl.errors import NeuroctlError, UnknownNameError

from ..connectivity import LowRankSparse, RecurrentWeights
from .cell import Cell, steps_with_reset, zeros_like_parameters

MODES = ("default", "no_gate", "pure")

Parts = tuple[Tensor, ...]

_BLOCK = 16
"""Steps whose derivatives are computed together: few enough that what they need stays in the cache."""


class CfC(Cell):
    """The closed-form continuous-time cell.

    With z = [x, h], or z = backbone([x, h]), the time ts since the last input, and affine maps ff1, ff2, time_a
    and time_b:

    - `default`: h' = (1 - g) tanh(ff1(z)) + g tanh(ff2(z)), g = sigma(time_a(z) ts + time_b(z))
    - `no_gate`: h' = tanh(ff1(z)) + g tanh(ff2(z))
    - `pure`: h' = A - A exp(-ts (|w_tau| + |ff1(z)|)) ff1(z)

    The backbone is `backbone_layers` layers of `backbone_units` units, 1.7159 tanh(0.666 (W z + b)).
    `backbone_units=0` leaves it out: the maps then act on [x, h], and only then is there a recurrent matrix `[H, H]`
    per map that `recurrent` can make low-rank and sparse.

    The state is h `[B, H]`, and it is also the output. Affine maps are drawn as in ncps 1.0.1 (Glorot uniform over
    [x, h], biases U(-1/sqrt(fan), 1/sqrt(fan))), low-rank sparse matrices as `LowRankSparse` says. Mode `pure`
    starts from A = 1 and w_tau = 0, where ncps draws both at random.

    Attributes:
        mode: one of `MODES`.
        maps: names of the K affine maps, in the order of all stacked rows.
        backbone: the linear maps of the backbone, the first acts on [x, h]; empty when there is none.
        heads: the maps on the backbone's output `[K H, backbone_units]`; None without backbone.
        input_weight: the maps on x `[K H, D]`; None with a backbone.
        recurrent: the maps on h `[K H, H]`; None with a backbone.
        bias: `[K H]`; None with a backbone.
        A: `[H]`, the resting state of mode `pure`; None in the others.
        w_tau: `[H]`, the input-independent rate of mode `pure`; None in the others.
    """

    heads: nn.Linear | None
    recurrent: RecurrentWeights | None
    input_weight: nn.Parameter | None
    bias: nn.Parameter | None
    A: nn.Parameter | None
    w_tau: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        mode: str = "default",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        recurrent: LowRankSparse | None = None,
        factorised: Sequence[str] | None = None,
    ) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: H.
            mode: one of `MODES`.
            backbone_units: width of the backbone; 0 for none.
            backbone_layers: depth of the backbone.
            recurrent: specification of the recurrent weights of a cell without backbone; dense when None. Each map
                has its own draw.
            factorised: which of the maps (ff1, ff2, time_a, time_b; ff1 alone in mode `pure`) follow it; all when
                None.

        Raises:
            NeuroctlError: a value outside its range, or an option that would do nothing.
        """
        super().__init__(input_size, hidden_size)
        if mode not in MODES:
            raise UnknownNameError("mode", mode, MODES)
        _check_backbone(backbone_units, backbone_layers, recurrent, factorised)
        self.mode = mode
        self._solution: _Solution = _Pure() if mode == "pure" else _Gated(interpolate=mode == "default")
        self.maps = self._solution.maps
        rows = len(self.maps) * hidden_size
        self.backbone = nn.ModuleList()
        self.heads = self.recurrent = None
        for name in ("input_weight", "bias", "A", "w_tau"):
            self.register_parameter(name, None)
        if backbone_units:
            widths = [input_size + hidden_size] + [backbone_units] * backbone_layers
            self.backbone.extend(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
            self.heads = nn.Linear(backbone_units, rows)
        else:
            self.input_weight = nn.Parameter(torch.empty(rows, input_size))
            self.recurrent = RecurrentWeights(self.maps, hidden_size, recurrent, factorised)
            self.bias = nn.Parameter(torch.empty(rows))
        if mode == "pure":
            self.A = nn.Parameter(torch.ones(hidden_size))
            self.w_tau = nn.Parameter(torch.zeros(hidden_size))
        self._draw()

    @classmethod
    def from_ncps(cls, module: nn.Module) -> Self:
        """Our cell with the weights, dtype and device of an `ncps.torch.CfC`.

        The layout options `batch_first` and `return_sequences` have no counterpart: ours is time-major and returns
        the sequence.

        Args:
            module: an unwired `ncps.torch.CfC` without mixed memory, projection or dropout, with the default
                activation `lecun_tanh`.

        Raises:
            NeuroctlError: the module is something else.
        """
        theirs = _convertible(module)
        linear = [layer for layer in theirs.backbone or () if isinstance(layer, nn.Linear)]
        ours = cls(
            theirs.input_size,
            theirs.hidden_size,
            mode=theirs.mode,
            backbone_units=linear[0].out_features if linear else 0,
            backbone_layers=len(linear) or 1,
        )
        ours.to(theirs.ff1.weight)
        weight = torch.cat([getattr(theirs, name).weight for name in ours.maps])
        bias = torch.cat([getattr(theirs, name).bias for name in ours.maps])
        with torch.no_grad():
            for mine, layer in zip(ours.backbone, linear, strict=True):
                mine.load_state_dict(layer.state_dict())
            if ours.heads is not None:
                ours.heads.weight.copy_(weight)
                ours.heads.bias.copy_(bias)
            else:
                ours._copy_maps(weight, bias)
            if ours.A is not None and ours.w_tau is not None:
                ours.A.copy_(theirs.A[0])
                ours.w_tau.copy_(theirs.w_tau[0])
        return ours

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros `[B, H]`."""
        return zeros_like_parameters(self, batch_size, self.hidden_size)

    def step(
        self, x: Tensor, state: Tensor, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step; see `Cell.step`."""
        self.check_input(x, first, timespan, dims=2)
        self.check_state(state, x.shape[0])
        h = state if first is None else state.masked_fill(first.unsqueeze(1), 0.0)
        span = None if timespan is None else timespan.to(x.dtype).unsqueeze(1)
        recurrent = self.recurrent
        if recurrent is not None:
            projected = F.linear(x, cast(Tensor, self.input_weight), self.bias)
            pre = torch.addmm(projected, h, recurrent.weight().t())
        else:
            z = torch.cat((x, h), 1)
            for layer in self.backbone:
                z = _lecun_tanh(layer(z))
            pre = cast(nn.Linear, self.heads)(z)
        h = self._solution.solve(pre, span, self._constants())
        return h, h

    def unroll(
        self,
        x: Tensor,
        state: Tensor | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """A sequence; see `Cell.unroll`.

        Without a backbone, forward and backward through time are one autograd node (first derivatives only); with
        one, the input part of its first layer is hoisted out of the loop.
        """
        self.check_input(x, first, timespans, dims=3)
        h = self.initial_state(x.shape[1]) if state is None else state
        self.check_state(h, x.shape[1])
        spans = None if timespans is None else timespans.to(x.dtype).unsqueeze(2)
        if self.recurrent is None:
            return self._unroll_backbone(x, h, first, spans)
        weights = [cast(Tensor, self.input_weight), self.recurrent.weight(), cast(Tensor, self.bias)]
        if spans is None:
            weights = [self._solution.at_unit_span(rows) for rows in weights]
        y: Tensor = _Sequence.apply(  # type: ignore[no-untyped-call]
            self._solution, x, h, *weights, first, spans, *self._constants()
        )
        return y, y[-1]

    def _unroll_backbone(
        self, x: Tensor, h: Tensor, first: Tensor | None, spans: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        entry, heads = cast(nn.Linear, self.backbone[0]), cast(nn.Linear, self.heads)
        projected = F.linear(x, entry.weight[:, : self.input_size], entry.bias)
        recurrent = entry.weight[:, self.input_size :].t()
        resets, constants, outputs = steps_with_reset(first, len(x)), self._constants(), []
        for t, u in enumerate(projected.unbind(0)):
            if first is not None and resets[t]:
                h = h.masked_fill(first[t].unsqueeze(1), 0.0)
            z = _lecun_tanh(torch.addmm(u, h, recurrent))
            for layer in self.backbone[1:]:
                z = _lecun_tanh(layer(z))
            h = self._solution.solve(heads(z), None if spans is None else spans[t], constants)
            outputs.append(h)
        return torch.stack(outputs), h

    def _constants(self) -> Parts:
        return (cast(Tensor, self.A), cast(Tensor, self.w_tau)) if self.mode == "pure" else ()

    def _draw(self) -> None:
        # Glorot's bound is that of one map, not of the stack.
        if self.recurrent is not None:
            fan_in = self.input_size + self.hidden_size
            bound = (6 / (fan_in + self.hidden_size)) ** 0.5
            for weight in (self.input_weight, self.recurrent.dense):
                if weight is not None:
                    nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(cast(Tensor, self.bias), -(fan_in**-0.5), fan_in**-0.5)
            return
        for layer in self.backbone:
            nn.init.xavier_uniform_(cast(nn.Linear, layer).weight)
        for rows in cast(nn.Linear, self.heads).weight.chunk(len(self.maps)):
            nn.init.xavier_uniform_(rows)

    def _copy_maps(self, weight: Tensor, bias: Tensor) -> None:
        """Copy affine maps on [x, h], `[K H, D + H]` and `[K H]`, into a cell with dense recurrence."""
        assert self.recurrent is not None and self.recurrent.dense is not None
        cast(Tensor, self.input_weight).copy_(weight[:, : self.input_size])
        self.recurrent.dense.copy_(weight[:, self.input_size :])
        cast(Tensor, self.bias).copy_(bias)


class _Solution(ABC):
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


class _Gated(_Solution):
    """Modes `default` (interpolate) and `no_gate`; activations are tanh, tanh, [rate,] gate."""

    maps = ("ff1", "ff2", "time_a", "time_b")

    def __init__(self, *, interpolate: bool) -> None:
        self.interpolate = interpolate

    def at_unit_span(self, rows: Tensor) -> Tensor:
        """ff1, ff2, time_a + time_b: one linear gate."""
        ff1, ff2, time_a, time_b = rows.chunk(4)
        return torch.cat((ff1, ff2, time_a + time_b))

    def solve(self, pre: Tensor, span: Tensor | None, constants: Parts) -> Tensor:
        """See `_Solution`."""
        ff1, ff2, time_a, time_b = pre.chunk(4, 1)
        gate = time_a + time_b if span is None else torch.addcmul(time_b, time_a, span)
        f1, f2, g = ff1.tanh(), ff2.tanh(), gate.sigmoid()
        return torch.lerp(f1, f2, g) if self.interpolate else torch.addcmul(f1, g, f2)

    def parts(self, pre: Tensor, constants: Parts) -> Iterable[Parts]:
        """Both tanh maps as one view, then f1, f2, the gate, and the rate where it is a map of its own."""
        maps = [pre[:, :, :2], *(pre[:, :, k] for k in (0, 1, -1, 2)[: pre.shape[2]])]
        return zip(*(part.unbind(0) for part in maps), strict=True)

    def advance(self, parts: Parts, span: Tensor | None, constants: Parts, out: Tensor) -> None:
        """See `_Solution`."""
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
        """See `_Solution`."""
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
        """See `_Solution`."""
        return (None if spans is None else (dpre[:, :, 3] * acts[:, :, 2]).sum(-1, keepdim=True),)


class _Pure(_Solution):
    """Mode `pure`; the only activation is the map itself, the constants are A and w_tau."""

    maps = ("ff1",)

    def solve(self, pre: Tensor, span: Tensor | None, constants: Parts) -> Tensor:
        """See `_Solution`."""
        A, w_tau = constants
        return torch.addcmul(A, A, _decay(pre, _modulus(w_tau), span) * pre, value=-1)

    def parts(self, pre: Tensor, constants: Parts) -> Iterable[Parts]:
        """The map and |w_tau|."""
        floor = _modulus(constants[1])
        return ((f, floor) for f in pre.squeeze(2).unbind(0))

    def advance(self, parts: Parts, span: Tensor | None, constants: Parts, out: Tensor) -> None:
        """See `_Solution`."""
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
        """See `_Solution`."""
        A, w_tau = constants
        f, floor = acts.squeeze(2), _modulus(w_tau)
        decayed = _decay(f, floor, spans) * f
        d_exponent = dh * A * decayed
        d_spans = None if spans is None else (d_exponent * (floor + f.abs())).sum(-1, keepdim=True)
        d_floor = (d_exponent if spans is None else d_exponent * spans).sum((0, 1))
        return d_spans, (dh * (1 - decayed)).sum((0, 1)), torch.where(w_tau < 0, -d_floor, d_floor)


class _Sequence(torch.autograd.Function):
    """A whole sequence of a CfC without backbone: states `[T, B, H]`, backpropagation through time by hand.

    Forward is one product for the inputs and one per step for the states, in buffers allocated once. Backward first
    computes d h' / d pre of all steps at once; what is left in its loop is linear, one multiplication and one
    product per step. Weight gradients are single products over all T B rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        solution: _Solution,
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


def _lecun_tanh(z: Tensor) -> Tensor:
    return 1.7159 * torch.tanh(0.666 * z)


def _modulus(w_tau: Tensor) -> Tensor:
    """|w_tau| with slope 1 at 0, the initial value: the slope 0 of `torch.abs` would keep w_tau there for ever."""
    return torch.where(w_tau < 0, -w_tau, w_tau)


def _decay(f: Tensor, floor: Tensor, span: Tensor | None) -> Tensor:
    rate = floor + f.abs()
    return torch.exp(-rate if span is None else -rate * span)


def _check_backbone(units: int, layers: int, recurrent: LowRankSparse | None, factorised: Sequence[str] | None) -> None:
    if not isinstance(units, int) or units < 0:
        raise NeuroctlError(f"backbone_units must be an integer >= 0 (0 for no backbone); got {units!r}")
    if not isinstance(layers, int) or layers < 1:
        raise NeuroctlError(f"backbone_layers must be an integer >= 1; got {layers!r}")
    if units == 0 and layers != 1:
        raise NeuroctlError(f"backbone_layers={layers} does nothing without a backbone (backbone_units=0)")
    if units and (recurrent is not None or factorised is not None):
        raise NeuroctlError(
            f"recurrent and factorised need backbone_units=0: a backbone leaves no [H, H] matrix; got {units}"
        )


def _convertible(module: nn.Module) -> Any:
    """The cell inside an `ncps.torch.CfC` that has a counterpart here."""
    import ncps.torch
    from ncps.torch.cfc_cell import CfCCell, LeCun

    if not isinstance(module, ncps.torch.CfC):
        raise NeuroctlError(f"from_ncps takes an ncps.torch.CfC; got {type(module).__name__}")
    cell = module.rnn_cell
    if not isinstance(cell, CfCCell) or cell.sparsity_mask is not None:
        raise NeuroctlError("from_ncps takes an unwired CfC; this one has a wiring")
    if module.use_mixed:
        raise NeuroctlError("from_ncps takes a CfC without mixed memory; this one has mixed_memory=True")
    if module.proj_size is not None:
        raise NeuroctlError(f"from_ncps takes a CfC without projection; this one has proj_size={module.proj_size}")
    for layer in cell.backbone or ():
        if not isinstance(layer, (nn.Linear, LeCun)):
            raise NeuroctlError(f"from_ncps takes a backbone of lecun_tanh layers; this one has {type(layer).__name__}")
    return cell
