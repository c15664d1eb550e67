"""The closed-form continuous-time cell (CfC) of Hasani et al. 2022, arXiv 2106.13898."""

from collections.abc import Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError

from ..connectivity import LowRankSparse, RecurrentWeights
from ..wiring import Wiring
from .cell import Cell, LocalForm, States, steps_with_reset
from .cfc_sequence import CfCSequence, Gated, Parts, Pure, Solution
from .memory import checked_steps, time_constants

MODES = ("default", "no_gate", "pure")


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
        wiring: Wiring | None = None,
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
            wiring: the synapses that exist, in every map, of a cell without backbone; all when None.

        Raises:
            NeuroctlError: a value outside its range, or an option that would do nothing.
        """
        super().__init__(input_size, hidden_size, wiring)
        if mode not in MODES:
            raise UnknownNameError("mode", mode, MODES)
        _check_backbone(backbone_units, backbone_layers, recurrent, factorised, wiring)
        self.mode = mode
        self._solution: Solution = Pure() if mode == "pure" else Gated(interpolate=mode == "default")
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
            self.recurrent = RecurrentWeights(self.maps, hidden_size, recurrent, factorised, wiring)
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

    @property
    def like(self) -> Tensor:
        """The bias."""
        bias = self.bias
        return cast(nn.Linear, self.heads).bias if bias is None else bias

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Half of the units begin as integrators that leak: ff1 hands their state on, the gate lets little of ff2 in.

        Their time constants go from 1 to `steps`; of low-rank sparse weights, no more units than their rank. The
        design is ours, as the counterpart of what `chrono_biases` does to an LSTM.

        Raises:
            NeuroctlError: fewer than 2 steps, a backbone, or a mode other than `default`.
        """
        if self.recurrent is None or self.mode != "default":
            found = f"mode {self.mode!r}" if self.recurrent else "a backbone"
            raise NeuroctlError(f"a CfC remembers in mode 'default' and without a backbone; this one has {found}")
        checked_steps(steps)
        held = self.recurrent.hold("ff1", max(self.hidden_size // 2, 1))
        cast(Tensor, self.input_weight)[held] = 0.0
        ff1, _, time_a, time_b = cast(Tensor, self.bias).chunk(4)
        ff1[held] = time_a[held] = 0.0
        time_b[held] = -time_constants(len(held), steps).log()

    def step(
        self, x: Tensor, state: Tensor, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step; see `Cell.step`."""
        self.check_input(x, first, timespan, dims=2)
        self.check_state(state, x)
        h = state if first is None else state.masked_fill(first.unsqueeze(1), 0.0)
        span = None if timespan is None else timespan.to(x.dtype).unsqueeze(1)
        recurrent = self.recurrent
        if recurrent is not None:
            projected = F.linear(x, self.masked_inputs(cast(Tensor, self.input_weight)), self.bias)
            pre = torch.addmm(projected, h, recurrent.weight().t())
        else:
            z = torch.cat((x, h), 1)
            for layer in self.backbone:
                z = _lecun_tanh(layer(z))
            pre = cast(nn.Linear, self.heads)(z)
        h = self._solution.solve(pre, span, self._constants())
        return self.output(h), h

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
        self.check_state(h, x)
        spans = None if timespans is None else timespans.to(x.dtype).unsqueeze(2)
        if self.recurrent is None:
            return self._unroll_backbone(x, h, first, spans)
        input_weight = self.masked_inputs(cast(Tensor, self.input_weight))
        weights = [input_weight, self.recurrent.weight(), cast(Tensor, self.bias)]
        if spans is None:
            weights = [self._solution.at_unit_span(rows) for rows in weights]
        y: Tensor = CfCSequence.apply(  # type: ignore[no-untyped-call]
            self._solution, x, h, *weights, first, spans, *self._constants()
        )
        return self.output(y), y[-1]

    def local_form(self) -> LocalForm:
        """The maps of a cell without backbone when every timespan is 1; see `Cell.local_form`.

        Raises:
            NeuroctlError: there is a backbone, or mode `pure`, whose constants are no maps.
        """
        solution = self._solution
        if self.recurrent is None or not isinstance(solution, Gated):
            found = "a backbone" if self.recurrent is None else f"mode {self.mode!r}"
            raise NeuroctlError(
                f"only a CfC of mode 'default' or 'no_gate' and without a backbone has this form: {found}"
            )
        weights = {
            "input": self.masked_inputs(cast(Tensor, self.input_weight)),
            "bias": cast(Tensor, self.bias),
            "recurrent": self.recurrent.weight(),
        }
        merged = {name: solution.at_unit_span(rows) for name, rows in weights.items()}

        def combine(of_x: Tensor, of_h: Tensor, states: States) -> States:
            return (solution.mixed(*(of_x + of_h).chunk(3, -1)),)

        return LocalForm(merged, combine, adds_up=True)

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


def _lecun_tanh(z: Tensor) -> Tensor:
    return 1.7159 * torch.tanh(0.666 * z)


def _check_backbone(
    units: int,
    layers: int,
    recurrent: LowRankSparse | None,
    factorised: Sequence[str] | None,
    wiring: Wiring | None,
) -> None:
    checked_integer("backbone_units", units, 0)
    checked_integer("backbone_layers", layers, 1)
    if units == 0 and layers != 1:
        raise NeuroctlError(f"backbone_layers={layers} does nothing without a backbone (backbone_units=0)")
    if units and not (recurrent is None and factorised is None and wiring is None):
        raise NeuroctlError(
            f"recurrent, factorised and wiring need backbone_units=0: a backbone leaves no [H, H] matrix; got {units}"
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
