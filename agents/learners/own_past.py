"""SnAp-1: credit through a unit's own past only, and the sensitivities that go with it."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..cells.cell import Cell, LocalForm, States
from .generic_sensitivity import Blocks
from .slopes import Slopes, mapped_gradients

NAMES = ("input", "bias", "recurrent", "recurrent_bias")


class OwnPastSensitivity(Blocks):
    """The entries of S = d states / d(maps) where state and map belong to one unit, all others taken as 0.

    SnAp-1 of Menick et al. 2021 (arXiv 2006.07232): of the Jacobian of a step only what leads from a unit to itself
    is kept. With its M states, that is a block D_t `[M, M]` for each unit, and a chunk changes S as in
    `GenericSensitivity`, unit by unit. For a cell whose units see their own past only it is exact.

    Args:
        cell: it has a `LocalForm`.

    Raises:
        NeuroctlError: the cell has no such form.
    """

    def __init__(self, cell: Cell) -> None:
        cell.local_form()
        super().__init__(cell)

    @torch.no_grad()
    def gradients(self, d_states: States, rows: Tensor | None = None) -> dict[str, Tensor]:
        """dL/d states S_0 for every parameter, from dL/d states of some rows or all; nothing at the start."""
        if not self._blocks:
            return {}
        parts = torch.stack(d_states, dim=1)
        sums = [torch.einsum("bmn,bmknf->knf", parts, block).flatten(0, 1) for block in self.of_rows(rows)]
        return mapped_gradients(self._cell, sums)

    @torch.no_grad()
    def advance(self, slopes: Slopes) -> None:
        """Go on to the end of a chunk."""
        M, T, B, rows = slopes.of_x.shape
        N = slopes.h.shape[2]
        own, features = own_jacobians(slopes), slopes.features()
        product = torch.eye(M).to(own).view(M, M, 1, 1).expand(M, M, B, N)  # d last states / d states, unit by unit
        adjoints = [slopes.of_x.new_empty(M, T, B, rows) for _ in features]
        for t in range(T - 1, -1, -1):
            for out, slope in zip(adjoints, (slopes.of_x, slopes.of_h), strict=False):
                per_map = slope[:, t].view(M, B, rows // N, N)
                out[:, t] = torch.einsum("ombn,mbkn->obkn", product, per_map).flatten(2)
            product = torch.einsum("ombn,mlbn->olbn", product, own[:, :, t])
        after = []
        for k, (out, feature) in enumerate(zip(adjoints, features, strict=True)):
            added = torch.einsum("otbr,tbf->borf", out, feature).view(B, M, rows // N, N, -1)
            if self._blocks:
                added += torch.einsum("ombn,bmknf->boknf", product, self._blocks[k])
            after.append(added)
        self._blocks = after


def own_jacobians(slopes: Slopes) -> Tensor:
    """D_t `[M, M, T, B, N]`: new state of a unit by its own last state, 0 where that was reset."""
    M, T, B, rows = slopes.of_h.shape
    N = slopes.h.shape[2]
    on_itself = slopes.recurrent.view(rows // N, N, N).diagonal(dim1=1, dim2=2)
    own = slopes.of_states.clone()
    own[:, 0] += (slopes.of_h.view(M, T, B, rows // N, N) * on_itself).sum(3)
    return own * slopes.alive.unsqueeze(2)


class OwnPastSequence(torch.autograd.Function):
    """Outputs that are given, with credit through each unit's own past."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, slopes: Slopes, x: Tensor, *others: Tensor) -> Tensor:
        """The outputs.

        Args:
            ctx: autograd's context.
            outputs: the first states `[T, B, N]`.
            slopes: of these steps.
            x: inputs `[T, B, D]`.
            *others: M entering states `[B, N]`, then the weights of the form in the order of `NAMES`.
        """
        ctx.slopes, ctx.input_weight = slopes, others[len(slopes.of_x)].detach()
        return outputs.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of x, states and weights."""
        slopes: Slopes = ctx.slopes
        M, T, B, rows = slopes.of_x.shape
        N = dy.shape[2]
        own = own_jacobians(slopes)
        credit = dy.new_zeros(T, M, B, N)
        credit[:, 0] = dy
        for t in range(T - 1, 0, -1):
            credit[t - 1] += torch.einsum("mbn,mlbn->lbn", credit[t], own[:, :, t])
        entering = torch.einsum("mbn,mlbn->lbn", credit[0], own[:, :, 0])
        sums = [_credited(credit, slope, N) for slope in (slopes.of_x, slopes.of_h)]
        of_x, of_h = (part.flatten(0, 1) for part in sums)
        weights = [of_x.T @ slopes.x.flatten(0, 1), of_x.sum(0), of_h.T @ slopes.h.flatten(0, 1), of_h.sum(0)]
        needed = len(ctx.needs_input_grad) - 3 - M
        return None, None, sums[0] @ ctx.input_weight, *entering.unbind(0), *weights[:needed]


def _credited(credit: Tensor, slope: Tensor, N: int) -> Tensor:
    """Gradient of the maps `[T, B, K N]` from that of the states `[T, M, B, N]`."""
    M, T, B, rows = slope.shape
    return torch.einsum("tmbn,mtbkn->tbkn", credit, slope.view(M, T, B, rows // N, N)).flatten(2)


def weights_in_order(form: LocalForm) -> list[Tensor]:
    """The weights of the form in the order of `NAMES`."""
    return [form.weights[name] for name in NAMES if name in form.weights]
