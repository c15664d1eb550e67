"""Derivatives of the steps of a chunk, of any cell that has a `LocalForm`."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from ..cells.cell import Cell, LocalForm, State, States


@dataclass(frozen=True)
class Slopes:
    """Derivatives of a chunk of T steps at the parameters that acted, for M states of N units and K maps.

    Attributes:
        of_x: d state / d of_x, `[M, T, B, K N]`, unit by unit.
        of_h: d state / d of_h, likewise; the same tensor where the maps add up.
        of_states: d state / d last state, `[M, M, T, B, N]`, new state first; what goes through the maps left out.
        alive: `[T, B]`, 0 where the state was reset before the step.
        input: W_x `[K N, D]`.
        recurrent: W_h `[K N, N]`.
        x: inputs `[T, B, D]`.
        h: the first state before each step, after resets, `[T, B, N]`.
    """

    of_x: Tensor
    of_h: Tensor
    of_states: Tensor
    alive: Tensor
    input: Tensor
    recurrent: Tensor
    x: Tensor
    h: Tensor

    @property
    def maps(self) -> int:
        """K."""
        return self.of_x.shape[3] // self.h.shape[2]

    @property
    def states(self) -> int:
        """M N, numbers in all states of a row."""
        return len(self.of_x) * self.h.shape[2]

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
        before, of_h, after = [], [], []
        for t in range(len(x)):
            states = tuple(part * alive[t].unsqueeze(1) for part in states)
            before.append(states)
            of_h.append(linear(states[0], weights["recurrent"], weights.get("recurrent_bias")))
            states = form.combine(of_x[t], of_h[t], states)
            after.append(states[0])
    entering = tuple(torch.stack(parts) for parts in zip(*before, strict=True))
    derivatives = _derivatives(form, of_x, torch.stack(of_h), entering)
    slopes = Slopes(*derivatives, alive, weights["input"], weights["recurrent"], x, entering[0])
    return slopes, torch.stack(after), states


def slopes_of_outputs(cell: Cell, x: Tensor, state: State, first: Tensor | None, outputs: Tensor) -> Slopes:
    """The slopes of a chunk that was run already, with outputs `[T, B, O]`."""
    if not isinstance(state, Tensor) or cell.output_size != cell.hidden_size:  # outputs are not all there is
        return local_slopes(cell, x, state, first)[0]
    x, alive = x.detach(), _alive(x, first)
    h = torch.cat((state.detach().unsqueeze(0), outputs.detach()[:-1])) * alive.unsqueeze(2)
    form = cell.local_form()
    weights = {name: weight.detach() for name, weight in form.weights.items()}
    of_x = linear(x, weights["input"], weights["bias"])
    of_h = linear(h, weights["recurrent"], weights.get("recurrent_bias"))
    return Slopes(*_derivatives(form, of_x, of_h, (h,)), alive, weights["input"], weights["recurrent"], x, h)


def _alive(x: Tensor, first: Tensor | None) -> Tensor:
    return torch.ones_like(x[:, :, 0]) if first is None else (~first).to(x.dtype)


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


@torch.enable_grad()
def mapped_gradients(cell: Cell, blocks: list[Tensor]) -> dict[str, Tensor]:
    """Gradients of parameters that are not frozen from those of the maps by `Slopes.features`, `[K N, F]` each."""
    weights = cell.local_form().weights
    D, N = weights["input"].shape[1], weights["recurrent"].shape[1]
    of_h = blocks[-1] if len(blocks) > 1 else blocks[0][:, D + 1 :]
    raw = {"input": blocks[0][:, :D], "bias": blocks[0][:, D], "recurrent": of_h[:, :N]}
    if "recurrent_bias" in weights:
        raw["recurrent_bias"] = of_h[:, N]
    learned = {name: parameter for name, parameter in cell.named_parameters() if parameter.requires_grad}
    reached = [name for name in raw if weights[name].requires_grad]
    effective, given = [weights[name] for name in reached], [raw[name] for name in reached]
    if not learned or not reached:
        return {}
    found = torch.autograd.grad(effective, list(learned.values()), given, allow_unused=True)
    return {name: gradient for name, gradient in zip(learned, found, strict=True) if gradient is not None}
