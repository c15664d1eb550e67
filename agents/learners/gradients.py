"""The gradient of a loss over a sequence, by any of the rules."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, NonFiniteError

from ..cells.cell import Cell, State
from .rules import RULES, make_rule, refuse_other_cells

__all__ = ["RULES", "sequence_gradient"]

Loss = Callable[[Tensor, int], Tensor]
NO_LOSS = "the loss must be a real scalar tensor that depends on the outputs of its chunk"


def sequence_gradient(
    cell: Cell,
    x: Tensor,
    loss: Loss,
    rule: str = "rtrl",
    chunk: int = 50,
    first: Tensor | None = None,
    state: State | None = None,
) -> tuple[float, dict[str, Tensor]]:
    """Loss of a sequence and its gradient, at parameters that stay as they are.

    - `rtrl`: exact, whatever the chunk.
    - `snap1`: exact but for what one unit does to another, which is left out (SnAp-1, arXiv 2006.07232).
    - `bptt`: backpropagation within chunks, between which the state is carried.
    - `immediate`: no credit through time.

    Args:
        cell: the cell; its parameters' `grad` are not touched.
        x: inputs `[T, B, D]`.
        loss: of the outputs `[t, B, O]` of a chunk that starts at step `t0`, called `loss(y, t0)`; a scalar, and the
            sum over chunks is the loss of the sequence.
        rule: name of the rule.
        chunk: most steps in a chunk.
        first: `[T, B]` bool; where true, the state is reset before that step, and credit ends.
        state: before the first input; `initial_state` when None.

    Returns:
        The loss, and the gradient of each parameter by name; zeros for those without part in it.

    Raises:
        NeuroctlError: an unknown rule, one that is not defined for the cell, a chunk below 1, or other arguments that
            do not fit.
        NonFiniteError: the loss or a gradient is not finite.
    """
    chunk = checked_integer("chunk", chunk, 1)
    refuse_other_cells(cell)
    cell.check_input(x, first, dims=3)
    learner = make_rule(rule, cell, x.shape[1])
    parameters = dict(cell.named_parameters())
    before = {name: parameter.grad for name, parameter in parameters.items()}
    state = cell.initial_state(x.shape[1]) if state is None else _checked_state(state, cell, x.shape[1])
    total = 0.0
    try:
        for parameter in parameters.values():
            parameter.grad = None
        for start in range(0, len(x), chunk):
            part = slice(start, start + chunk)
            y, state = learner.unroll(x[part], state, None if first is None else first[part])
            seen = _watched(y)
            value = _checked_loss(loss(y, start), start)
            total += value.item()
            value.backward()  # type: ignore[no-untyped-call]
            if not seen:
                raise NeuroctlError(NO_LOSS)
            learner.add_carried()
            learner.advance()
        found = {
            name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            for name, parameter in parameters.items()
        }
    finally:
        for name, parameter in parameters.items():
            parameter.grad = before[name]
    for name, gradient in found.items():
        if not gradient.isfinite().all():
            raise NonFiniteError(f"the gradient of {name} is not finite")
    return total, found


def _watched(y: Tensor) -> list[bool]:
    """Not empty from when a gradient has come to the outputs."""
    seen: list[bool] = []
    if not y.requires_grad:  # of a cell whose parameters are all frozen
        y.requires_grad_()
    y.register_hook(lambda _: seen.append(True))  # type: ignore[no-untyped-call]
    return seen


def _checked_state(state: State, cell: Cell, batch_size: int) -> State:
    found, wanted = _form(state), _form(cell.initial_state(batch_size))
    if found != wanted:
        raise NeuroctlError(f"state is {found}; expected {wanted}, as of cell.initial_state({batch_size})")
    return state


def _form(state: Any) -> str:
    if isinstance(state, Tensor):
        return f"{list(state.shape)} {str(state.dtype).removeprefix('torch.')}"
    if isinstance(state, (tuple, list)):
        return f"({', '.join(map(_form, state))})"
    return f"a {type(state).__name__}"


def _checked_loss(value: Tensor, start: int) -> Tensor:
    if not isinstance(value, Tensor) or value.dim() != 0 or value.is_complex() or not value.requires_grad:
        raise NeuroctlError(NO_LOSS)
    if not value.isfinite():
        raise NonFiniteError(f"the loss of the chunk that starts at step {start} is {value.item()}")
    return value
