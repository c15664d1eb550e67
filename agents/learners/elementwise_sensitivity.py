"""Exact sensitivities of an element-wise cell, carried from chunk to chunk."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..cells.cell import States
from ..cells.elementwise import ElementwiseCell, Influence
from .generic_sensitivity import LEAST


class ElementwiseSensitivity:
    """S = dc / dtheta for every effective parameter, one for each row, where c is the state that enters a chunk.

    Over a chunk of T steps at frozen parameters, with `keep` and sources as in `Influence`,

        S_T = (prod_t keep_t) S_0 + sum_s (prod_{k > s} keep_k) source_s

    so a chunk costs one matrix product for each matrix and row, instead of T passes over S. The exact gradient of a
    loss is that of backpropagation within the chunk plus dL/dc_0 S_0. (Irie et al., arXiv 2305.19044, carry S step by
    step; Schmidhuber 1992, Neural Computation 4, 243, has the idea of chunks for fully recurrent networks.)

    Args:
        cell: its parameters give sizes, dtype and device.

    Attributes:
        matrices: `[B, N, D]` by name.
        vectors: `[B, N]` by name.
    """

    def __init__(self, cell: ElementwiseCell) -> None:
        self._cell = cell
        self.matrices: dict[str, Tensor] = {}
        self.vectors: dict[str, Tensor] = {}

    @torch.no_grad()
    def gradients(self, d_states: States, rows: Tensor | None = None) -> dict[str, Tensor]:
        """dL/dc_0 S_0 for every parameter, from the gradient of the state of some rows or all; nothing at the start."""
        (d_state,) = d_states
        dc = self._cell.state_gradient(d_state).conj()
        effective = {name: torch.einsum("bn,bnd->nd", dc, _of(S, rows)) for name, S in self.matrices.items()}
        effective |= {name: (dc * _of(s, rows)).sum(0) for name, s in self.vectors.items()}
        return self._cell.parameter_gradients(effective) if effective else {}

    @torch.no_grad()
    def advance(self, influence: Influence) -> None:
        """Go on to the end of a chunk."""
        keep = influence.keep
        after = torch.ones_like(keep)  # the product of keep over later steps
        for t in range(len(keep) - 1, 0, -1):
            torch.mul(after[t], keep[t], out=after[t - 1])
        after.masked_fill_(after.abs() < LEAST, 0.0)
        whole = after[0] * keep[0]
        x = influence.x.transpose(0, 1).to(keep.dtype)
        for name, source in influence.matrices.items():
            weighted = (after * source).permute(1, 2, 0)
            old = self.matrices.get(name)
            self.matrices[name] = weighted @ x if old is None else old.mul_(whole.unsqueeze(2)).baddbmm_(weighted, x)
        for name, source in influence.vectors.items():
            total = (after * source).sum(0)
            self.vectors[name] = total if name not in self.vectors else self.vectors[name].mul_(whole).add_(total)

    def state_dict(self) -> dict[str, Any]:
        """Copies; complex numbers as pairs of real ones."""
        return {
            kind: {name: _paired(value).clone() for name, value in values.items()}
            for kind, values in (("matrices", self.matrices), ("vectors", self.vectors))
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        device = self._cell.like.device
        self.matrices, self.vectors = (
            {name: _unpaired(value.to(device), dims) for name, value in state[kind].items()}
            for kind, dims in (("matrices", 3), ("vectors", 2))
        )


def _paired(value: Tensor) -> Tensor:
    return torch.view_as_real(value) if value.is_complex() else value


def _unpaired(value: Tensor, dims: int) -> Tensor:
    return torch.view_as_complex(value.clone()) if value.dim() > dims else value.clone()


def _of(sensitivity: Tensor, rows: Tensor | None) -> Tensor:
    return sensitivity if rows is None else sensitivity[rows]
