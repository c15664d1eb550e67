"""Exact sensitivities of any cell that has a `LocalForm`, carried from chunk to chunk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from neuroctl.errors import NeuroctlError

from ..cells.cell import Cell, LocalForm, State, States

MOST_BYTES = 2 * 2**30
"""Sensitivities above this are refused: a learner keeps two copies."""

LEAST = 1e-30
"""A product of Jacobians below this is 0: with the smallest numbers of float32 processors are slow."""
CHECKED_EVERY = 8
"""Steps after which products are checked for that."""


@dataclass(frozen=True)
class Slopes:
    """Derivatives of a chunk of T steps at the parameters that acted, for M states of N units and K maps.

    Attributes:
        of_x: d state / d of_x, `[M, T, B, K N]`, unit by unit.
        of_h: d state / d of_h, likewise; the same tensor where the maps add up.
        of_states: d state / d last state, `[M, M, T, B, N]`, new state first; what goes through the maps left out.
        alive: `[T, B]`, 0 where the state was reset before the step.
        recurrent: W_h `[K N, N]`.
        x: inputs `[T, B, D]`.
        h: the first state before each step, after resets, `[T, B, N]`.
    """

    of_x: Tensor
    of_h: Tensor
    of_states: Tensor
    alive: Tensor
    recurrent: Tensor
    x: Tensor
    h: Tensor

    def features(self) -> list[Tensor]:
        """What the rows of the maps are multiplied with: [x, 1, h], or [x, 1] and [h, 1] where maps do not add up."""
        one = torch.ones_like(self.x[:, :, :1])
        if self.of_h is self.of_x:
            return [torch.cat((self.x, one, self.h), 2)]
        return [torch.cat((self.x, one), 2), torch.cat((self.h, one), 2)]


def local_slopes(cell: Cell, x: Tensor, state: State, first: Tensor | None) -> tuple[Slopes, Tensor, States]:
    """The slopes of a chunk by running it step by step, its first states `[T, B, N]`, and its last ones."""
    form = cell.local_form()
    weights = {name: weight.detach() for name, weight in form.weights.items()}
    states: States = tuple(part.detach() for part in (state if isinstance(state, (tuple, list)) else (state,)))
    x, alive = x.detach(), _alive(x, first)
    with torch.no_grad():
        of_x = linear(x, weights["input"], weights["bias"])
        before, after = [], []
        for t in range(len(x)):
            states = tuple(part * alive[t].unsqueeze(1) for part in states)
            before.append(states)
            of_h = linear(states[0], weights["recurrent"], weights.get("recurrent_bias"))
            states = form.combine(of_x[t], of_h, states)
            after.append(states[0])
    entering = tuple(torch.stack(parts) for parts in zip(*before, strict=True))
    return _slopes_at(form, x, entering, alive), torch.stack(after), states


def slopes_of_outputs(cell: Cell, x: Tensor, state: State, first: Tensor | None, outputs: Tensor) -> Slopes:
    """The slopes of a chunk that was run already, with outputs `[T, B, O]`."""
    if not isinstance(state, Tensor) or cell.output_size != cell.hidden_size:  # outputs are not all there is
        return local_slopes(cell, x, state, first)[0]
    x, alive = x.detach(), _alive(x, first)
    before = torch.cat((state.detach().unsqueeze(0), outputs.detach()[:-1])) * alive.unsqueeze(2)
    return _slopes_at(cell.local_form(), x, (before,), alive)


def _alive(x: Tensor, first: Tensor | None) -> Tensor:
    return torch.ones_like(x[:, :, 0]) if first is None else (~first).to(x.dtype)


def _slopes_at(form: LocalForm, x: Tensor, states: States, alive: Tensor) -> Slopes:
    """The slopes of steps that began with these states `[T, B, N]`, resets done."""
    weights = {name: weight.detach() for name, weight in form.weights.items()}
    of_x = linear(x, weights["input"], weights["bias"])
    of_h = linear(states[0], weights["recurrent"], weights.get("recurrent_bias"))
    return Slopes(*_derivatives(form, of_x, of_h, states), alive, weights["recurrent"], x, states[0])


def _derivatives(form: LocalForm, of_x: Tensor, of_h: Tensor, states: States) -> tuple[Tensor, Tensor, Tensor]:
    """Of every new state: each unit depends on its own arguments only, so the gradient of a sum has them all."""
    leaves = [of_x, *states] if form.adds_up else [of_x, of_h, *states]
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in leaves]
        new = form.combine(leaves[0], of_h if form.adds_up else leaves[1], tuple(leaves[-len(states) :]))
        found = [
            torch.autograd.grad(part.sum(), leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            for part in new
        ]
    by_leaf = [torch.stack(parts) for parts in zip(*found, strict=True)]
    return by_leaf[0], by_leaf[0 if form.adds_up else 1], torch.stack(by_leaf[-len(states) :], dim=1)


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
    the effective matrices: what factors and masks make of it comes last, at the parameters of then. Memory is
    M N x K N x (D + 1 + N) numbers for each row, and as much again as a buffer.

    Args:
        cell: its sizes and parameters.
        batch_size: B.

    Raises:
        NeuroctlError: the cell has no `LocalForm`, or S would be too large.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        form = cell.local_form()
        rows, D = form.weights["input"].shape
        N, state = cell.hidden_size, cell.initial_state(1)
        states = len(state) if isinstance(state, (tuple, list)) else 1
        features = D + 1 + N + ("recurrent_bias" in form.weights)
        size = batch_size * states * N * rows * features * cell.like.element_size()
        if size > MOST_BYTES:
            raise NeuroctlError(
                f"exact gradients of this {type(cell).__name__} take {size / 2**30:.1f} GiB of sensitivities for "
                f"{batch_size} rows, at most {MOST_BYTES / 2**30:g} are allowed; take fewer units or rows, or an "
                "element-wise cell (ELSTM, RTU, LRU)"
            )
        super().__init__(cell)
        self._spare: list[Tensor] = []

    @torch.no_grad()
    def gradients(self, d_state: State, rows: Tensor | None = None) -> dict[str, Tensor]:
        """dL/d states S_0 for every parameter, from dL/d states of some rows or all; nothing at the start."""
        if not self._blocks:
            return {}
        of_states = torch.cat(d_state, dim=1) if isinstance(d_state, (tuple, list)) else d_state
        blocks = [torch.einsum("bo,bokf->kf", of_states, block) for block in self.of_rows(rows)]
        return mapped_gradients(self._cell, blocks)

    @torch.no_grad()
    def advance(self, slopes: Slopes) -> None:
        """Go on to the end of a chunk."""
        M, T, B, rows = slopes.of_x.shape
        MN = M * slopes.h.shape[2]
        products = _products(_jacobians(slopes))
        after = []
        for k, (slope, features) in enumerate(zip((slopes.of_x, slopes.of_h), slopes.features(), strict=False)):
            added = self._spare[k] if self._spare else features.new_empty(B, MN, rows * features.shape[2])
            of_steps = features.new_empty(T, MN, rows)
            for b in range(B):  # a row at a time: what is worked on stays in the cache
                _write_adjoints(products[1:, b], slope[:, :, b], out=of_steps)
                torch.mm(of_steps.view(T, -1).T, features[:, b], out=added[b].view(MN * rows, -1))
                if self._blocks:
                    added[b].addmm_(products[0, b], self._blocks[k][b].view(MN, -1))
            after.append(added)
        self._spare = [block.view(B, MN, -1) for block in self._blocks]
        self._blocks = [block.view(B, MN, rows, -1) for block in after]


@torch.enable_grad()
def mapped_gradients(cell: Cell, blocks: list[Tensor]) -> dict[str, Tensor]:
    """Gradients of the cell's parameters from those of its maps by `Slopes.features`, `[K N, F]` each."""
    weights = cell.local_form().weights
    D, N = weights["input"].shape[1], weights["recurrent"].shape[1]
    of_h = blocks[-1] if len(blocks) > 1 else blocks[0][:, D + 1 :]
    raw = {"input": blocks[0][:, :D], "bias": blocks[0][:, D], "recurrent": of_h[:, :N]}
    if "recurrent_bias" in weights:
        raw["recurrent_bias"] = of_h[:, N]
    names, parameters = zip(*cell.named_parameters(), strict=True)
    effective = [weights[name] for name in raw]
    found = torch.autograd.grad(effective, parameters, list(raw.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}


def _jacobians(slopes: Slopes) -> Tensor:
    """J_t = d states_t / d states_{t-1}, `[T, B, M N, M N]`; 0 where the state was reset before the step."""
    M, T, B, rows = slopes.of_h.shape
    N = slopes.h.shape[2]
    K = rows // N
    alive = slopes.alive.unsqueeze(2)
    # through the maps to the first state: for each unit a product of its K slopes and its K rows of W_h
    of_h = (slopes.of_h * alive).view(M * T * B, K, N).permute(2, 0, 1)
    through_maps = torch.bmm(of_h, slopes.recurrent.view(K, N, N).transpose(0, 1)).view(N, M, T, B, N)
    whole = slopes.h.new_zeros(T, B, M, N, M, N)
    whole[:, :, :, :, 0] = through_maps.permute(2, 3, 1, 0, 4)
    whole.diagonal(dim1=3, dim2=5).add_((slopes.of_states * alive).permute(2, 3, 0, 1, 4))  # and unit by unit
    return whole.view(T, B, M * N, M * N)


def _products(jacobians: Tensor) -> Tensor:
    """P_t = J_T ... J_{t+1} for t = 0 to T, `[T + 1, B, M N, M N]`."""
    T, B, size, _ = jacobians.shape
    products = jacobians.new_empty(T + 1, B, size, size)
    products[T] = torch.eye(size, dtype=jacobians.dtype, device=jacobians.device)
    by_step, of_step = products.unbind(0), jacobians.unbind(0)
    for t in range(T - 1, -1, -1):
        torch.bmm(by_step[t + 1], of_step[t], out=by_step[t])
        if t % CHECKED_EVERY == 0:
            by_step[t].masked_fill_(by_step[t].abs() < LEAST, 0.0)
    return products


def _write_adjoints(products: Tensor, slope: Tensor, out: Tensor) -> None:
    """Derivatives of the last states by the maps of all steps of a row, `[T, M N, K N]`.

    Args:
        products: P_t of these steps, `[T, M N, M N]`.
        slope: d states_t / d maps_t `[M, T, K N]`, unit by unit.
        out: where they are written.
    """
    M, T, rows = slope.shape
    N = products.shape[2] // M
    by_state, by_map = products.unflatten(2, (M, 1, N)), out.view(T, M * N, rows // N, N)
    torch.mul(by_state[:, :, 0], slope[0].reshape(T, 1, -1, N), out=by_map)
    for m in range(1, M):
        by_map.addcmul_(by_state[:, :, m], slope[m].reshape(T, 1, -1, N))
