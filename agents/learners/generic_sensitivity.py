"""Exact sensitivities of any cell that has a `LocalForm`, and of stacks of them, carried from chunk to chunk."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from neuroctl.errors import NeuroctlError

from ..cells.cell import Cell, States
from ..cells.stacked import Stacked
from .slopes import Slopes, mapped_gradients

MOST_BYTES = 2 * 2**30
"""Sensitivities above this are refused: a learner keeps two copies."""

LEAST = 1e-30
"""A product of Jacobians below this is 0: with the smallest numbers of float32 processors are slow."""
CHECKED_EVERY = 8
"""Steps after which products are checked for that."""


class Blocks:
    """Sensitivities of the maps of a cell's `LocalForm`, a tensor `[B, ...]` for each of `Slopes.features`.

    Args:
        cell: its parameters give dtype and device.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._blocks: list[Tensor] = []

    def of_rows(self, rows: Tensor | None) -> list[Tensor]:
        """Those of some rows or all; empty at the start."""
        return self._blocks if rows is None else [block[rows] for block in self._blocks]

    def state_dict(self) -> dict[str, Any]:
        """Copies."""
        return {"blocks": [block.clone() for block in self._blocks]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self._blocks = [block.to(self._cell.like.device).clone() for block in state["blocks"]]


class GenericSensitivity(Blocks):
    """S = d states / d(maps), for each row, where the states are those that enter a chunk.

    With J_t = d states_t / d states_{t-1} and the product P_t = J_T ... J_{t+1}, over a chunk at frozen parameters

        S_T = P_0 S_0 + sum_t P_t (d states_t / d maps_t) [x_t, 1, h_{t-1}]

    The J_t are formed at once, P goes backwards through the chunk, and the sum is one matrix product. S is that of
    the effective matrices: what factors and masks make of it comes last, at the parameters of then. The states of
    stacked cells are one: an upper one's depend on the maps of those below, in the same step and before. Memory is
    M N x K N x (D + 1 + N) numbers for each row (of a stack, all its M N for the maps of each cell), and as much again
    as a buffer.

    Args:
        cell: its sizes and parameters; a `Stacked` is as good if the cells in it are.
        batch_size: B.

    Raises:
        NeuroctlError: a cell has no `LocalForm`, or S would be too large.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        sizes = [_sizes(layer) for layer in layers_of(cell)]
        numbers = batch_size * sum(states for states, _ in sizes) * sum(entries for _, entries in sizes)
        size = numbers * cell.like.element_size()
        if size > MOST_BYTES:
            raise NeuroctlError(
                f"exact gradients of this {type(cell).__name__} take {size / 2**30:.1f} GiB of sensitivities for "
                f"{batch_size} rows, at most {MOST_BYTES / 2**30:g} are allowed; take fewer units or rows, or an "
                "element-wise cell (ELSTM, RTU, LRU)"
            )
        super().__init__(cell)
        self._spare: list[Tensor] = []

    @torch.no_grad()
    def gradients(self, d_states: States, rows: Tensor | None = None) -> dict[str, Tensor]:
        """dL/d states S_0 for every parameter, from dL/d states of some rows or all; nothing at the start."""
        if not self._blocks:
            return {}
        of_states = torch.cat(d_states, dim=1)
        sums = iter([torch.einsum("bo,bokf->kf", of_states, block) for block in self.of_rows(rows)])
        layers, found = layers_of(self._cell), dict[str, Tensor]()
        for k, layer in enumerate(layers):
            blocks = [next(sums) for _ in range(1 if layer.local_form().adds_up else 2)]
            prefix = f"cells.{k}." if isinstance(self._cell, Stacked) else ""
            found |= {f"{prefix}{name}": value for name, value in mapped_gradients(layer, blocks).items()}
        return found

    @torch.no_grad()
    def advance(self, chunk: Sequence[Slopes]) -> None:
        """Go on to the end of a chunk, whose slopes are those of each cell of the stack."""
        T, B, size, _ = (jacobians := _jacobians(chunk)).shape
        products = _products(jacobians)
        after: list[Tensor] = []
        for slopes, seen in zip(chunk, _seen_from_the_end(products[1:], chunk), strict=True):
            for slope, features in zip((slopes.of_x, slopes.of_h), slopes.features(), strict=False):
                rows, k = slope.shape[3], len(after)
                added = self._spare[k] if self._spare else features.new_empty(B, size, rows * features.shape[2])
                of_steps = features.new_empty(T, size, rows)
                for b in range(B):  # a row at a time: what is worked on stays in the cache
                    _write_of_maps(seen[:, b], slope[:, :, b], out=of_steps)
                    torch.mm(of_steps.view(T, -1).T, features[:, b], out=added[b].view(size * rows, -1))
                    if self._blocks:
                        added[b].addmm_(products[0, b], self._blocks[k][b].view(size, -1))
                after.append(added)
        self._spare = [block.view(B, size, -1) for block in self._blocks]
        rows_of = [slopes.of_x.shape[3] for slopes in chunk for _ in slopes.features()]
        self._blocks = [block.view(B, size, rows, -1) for block, rows in zip(after, rows_of, strict=True)]


def layers_of(cell: Cell) -> list[Cell]:
    """The cells of a stack from the input upwards, or the cell itself."""
    return list(cell.cells) if isinstance(cell, Stacked) else [cell]  # type: ignore[arg-type]


def _sizes(cell: Cell) -> tuple[int, int]:
    """Numbers in the states of a row, and in the maps with their biases."""
    weights, state = cell.local_form().weights, cell.initial_state(1)
    states = len(state) if isinstance(state, (tuple, list)) else 1
    return states * cell.hidden_size, sum(weight.numel() for weight in weights.values())


def _jacobians(chunk: Sequence[Slopes]) -> Tensor:
    """J_t = d states_t / d states_{t-1} of all cells, `[T, B, size, size]`; 0 where they were reset before the step."""
    T, B = chunk[0].alive.shape
    size, end = sum(slopes.states for slopes in chunk), 0
    whole = chunk[0].h.new_zeros(T, B, size, size)
    for k, slopes in enumerate(chunk):
        own = slice(end, end + slopes.states)
        whole[:, :, own, own] = _own_jacobians(slopes)
        if k:  # what came before the step reaches an upper cell through the output of the one below
            below, below_end = end - chunk[k - 1].states, end
            outputs = slice(below, below + slopes.x.shape[2])
            whole[:, :, own, :below_end] = (
                _through(slopes, slopes.of_x, slopes.input) @ whole[:, :, outputs, :below_end]
            )
        end = own.stop
    return whole


def _own_jacobians(slopes: Slopes) -> Tensor:
    """Those of one cell whose inputs are given, `[T, B, M N, M N]`."""
    M, T, B, _ = slopes.of_h.shape
    N, alive = slopes.h.shape[2], slopes.alive.unsqueeze(2)
    own = slopes.h.new_zeros(T, B, M * N, M * N)
    own[:, :, :, :N] = _through(slopes, slopes.of_h * alive, slopes.recurrent)
    by_unit = own.view(T, B, M, N, M, N).diagonal(dim1=3, dim2=5)
    by_unit.add_((slopes.of_states * alive).permute(2, 3, 0, 1, 4))
    return own


def _through(slopes: Slopes, slope: Tensor, weight: Tensor) -> Tensor:
    """What slopes `[M, T, B, K N]` make of maps `[K N, F]`: d states / d features, `[T, B, M N, F]`."""
    M, T, B, _ = slope.shape
    K, N = slopes.maps, slopes.h.shape[2]
    by_unit = slope.reshape(M * T * B, K, N).permute(2, 0, 1)  # for each unit a product of its K slopes and K rows
    found = torch.bmm(by_unit, weight.view(K, N, -1).transpose(0, 1)).view(N, M, T, B, -1)
    return found.permute(2, 3, 1, 0, 4).reshape(T, B, M * N, -1)


def _products(jacobians: Tensor) -> Tensor:
    """P_t = J_T ... J_{t+1} for t = 0 to T, `[T + 1, B, size, size]`."""
    T, B, size, _ = jacobians.shape
    products = jacobians.new_empty(T + 1, B, size, size)
    products[T] = torch.eye(size, dtype=jacobians.dtype, device=jacobians.device)
    by_step, of_step = products.unbind(0), jacobians.unbind(0)
    for t in range(T - 1, -1, -1):
        torch.bmm(by_step[t + 1], of_step[t], out=by_step[t])
        if t % CHECKED_EVERY == 0:
            by_step[t].masked_fill_(by_step[t].abs() < LEAST, 0.0)
    return products


def _seen_from_the_end(products: Tensor, chunk: Sequence[Slopes]) -> list[Tensor]:
    """For each cell d last states of all / d its states of a step, through those above as well, `[T, B, size, M N]`."""
    ends = torch.tensor([slopes.states for slopes in chunk]).cumsum(0).tolist()
    seen: list[Tensor] = []
    for k in range(len(chunk) - 1, -1, -1):
        own = products[:, :, :, ends[k] - chunk[k].states : ends[k]]
        if seen:
            above = chunk[k + 1]
            own = own.clone()
            own[:, :, :, : above.x.shape[2]] += seen[0] @ _through(above, above.of_x, above.input)
        seen.insert(0, own)
    return seen


def _write_of_maps(seen: Tensor, slope: Tensor, out: Tensor) -> None:
    """Derivatives of the last states by the maps of all steps of a row.

    Args:
        seen: by the states of these steps, `[T, size, M N]`.
        slope: d states_t / d maps_t `[M, T, K N]`, unit by unit.
        out: where they are written, `[T, size, K N]`.
    """
    M, T, rows = slope.shape
    size, N = seen.shape[1], seen.shape[2] // M
    by_map, of_maps = out.view(T, size, rows // N, N), slope.reshape(M, T, 1, rows // N, N)
    torch.mul(seen[:, :, None, :N], of_maps[0], out=by_map)
    for m in range(1, M):
        by_map.addcmul_(seen[:, :, None, m * N : (m + 1) * N], of_maps[m])
