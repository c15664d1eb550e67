"""How far back the gradient of a recurrent cell sees: rules by name, used alone or by a learner.

rule = make_rule("rtrl", cell, batch_size=B)
for each chunk:
    y, next_state = rule.unroll(x, state, first)
    loss(y).backward()      # gradients of what is above and below the cell, and of the cell within the chunk
    rule.add_carried()      # those of the cell for what went before
    rule.advance()          # to the end of the chunk, at the parameters with which it was unrolled first
    optimiser.step()
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError

from ..cells.cell import Cell, State
from ..cells.elementwise import ElementwiseCell, Influence
from .elementwise_sensitivity import ElementwiseSensitivity
from .generic_sensitivity import GenericSensitivity, Slopes, local_slopes


class GradientRule(ABC):
    """What the gradient of a chunk knows of the steps before it.

    Args:
        cell: the recurrent cell.
        batch_size: B, rows with a past of their own.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        self.cell, self.batch_size = cell, checked_integer("batch_size", batch_size, 1)

    @abstractmethod
    def unroll(self, x: Tensor, state: State, first: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs of a chunk `[T, B, O]` with a graph, and the last state without one; see `Cell.unroll`."""

    def add_carried(self) -> None:
        """After `backward` of the last `unroll`: add to `grad` of the parameters what earlier chunks have part in."""
        return

    def advance(self) -> None:
        """Go on to the end of the chunk, once for each chunk."""
        return


class Truncated(GradientRule):
    """Backpropagation within the chunk; the state that enters it is taken as given (TBPTT)."""

    def unroll(self, x: Tensor, state: State, first: Tensor | None = None) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        y, last = self.cell.unroll(x, detached(state), first)
        return y, detached(last)


class Immediate(GradientRule):
    """No credit through time: in every step the last state is taken as given. A control."""

    def unroll(self, x: Tensor, state: State, first: Tensor | None = None) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        outputs = []
        for t, now in enumerate(x):
            y, state = self.cell.step(now, detached(state), None if first is None else first[t])
            outputs.append(y)
        return torch.stack(outputs), detached(state)


class RTRL(GradientRule):
    """Exact real-time recurrent learning, by chunks; see `ElementwiseSensitivity` and `GenericSensitivity`.

    It is exact while parameters stay as they are. When they change between chunks, what is carried stays that of the
    parameters that acted ("stale").

    Attributes:
        sensitivity: what is carried.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        super().__init__(cell, batch_size)
        self._pending: Influence | Slopes | None = None
        self._entering: tuple[Tensor, ...] | None = None
        self.sensitivity: Any = (
            ElementwiseSensitivity(cell, self.batch_size)
            if isinstance(cell, ElementwiseCell)
            else GenericSensitivity(cell, self.batch_size)
        )

    def unroll(self, x: Tensor, state: State, first: Tensor | None = None) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        cell, entering = self.cell, _leaves(state)
        pending: Influence | Slopes
        if isinstance(cell, ElementwiseCell):
            y, last, pending = cell.unroll_with_influence(x, entering, first)
        else:
            y, last = cell.unroll(x, entering, first)
            pending = local_slopes(cell, x, state, first) if self._pending is None else self._pending
        if self._pending is None:
            self._pending = pending
        self._entering = entering if isinstance(entering, tuple) else (entering,)
        return y, detached(last)

    def add_carried(self) -> None:
        """See `GradientRule.add_carried`."""
        if self._entering is None or all(part.grad is None for part in self._entering):
            raise NeuroctlError("there is no gradient to complete: call unroll, and backward of a loss of its outputs")
        d_state = tuple(torch.zeros_like(part) if part.grad is None else part.grad for part in self._entering)
        for name, gradient in self.sensitivity.gradients(d_state if len(d_state) > 1 else d_state[0]).items():
            parameter = self.cell.get_parameter(name)
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        self._entering = None

    def advance(self) -> None:
        """See `GradientRule.advance`."""
        if self._pending is None:
            raise NeuroctlError("there is no chunk to go on by: call unroll first")
        self.sensitivity.advance(self._pending)
        self._pending = None


RULES: dict[str, Callable[[Cell, int], GradientRule]] = {"bptt": Truncated, "rtrl": RTRL, "immediate": Immediate}
"""How to make a rule for a cell and a number of rows, by name."""


def make_rule(name: str, cell: Cell, batch_size: int) -> GradientRule:
    """The rule of this name.

    Raises:
        NeuroctlError: an unknown name, or a rule that is not defined for this cell.
    """
    if name not in RULES:
        raise UnknownNameError("gradient rule", name, RULES)
    if not isinstance(cell, Cell):
        raise NeuroctlError(f"a gradient rule takes a cell; got {type(cell).__name__}")
    return RULES[name](cell, batch_size)


def detached(state: State) -> State:
    """The same state without a graph."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detached(part) for part in state)


def _leaves(state: State) -> State:
    if isinstance(state, Tensor):
        return state.detach().requires_grad_()
    return tuple(_leaves(part) for part in state)
