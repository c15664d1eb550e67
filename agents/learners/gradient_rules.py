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
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError

from ..cells.cell import Cell, State
from ..cells.elementwise import ElementwiseCell
from .elementwise_sensitivity import ElementwiseSensitivity
from .generic_sensitivity import GenericSensitivity, local_slopes, slopes_of_outputs
from .own_past import OwnPastSensitivity, OwnPastSequence, weights_in_order


class GradientRule(ABC):
    """What the gradient of a chunk knows of the steps before it.

    Args:
        cell: the recurrent cell.
        batch_size: B, rows with a past of their own.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        self.cell, self.batch_size = cell, checked_integer("batch_size", batch_size, 1)

    @abstractmethod
    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Outputs of a chunk `[T, B, O]` with a graph, and the last state without one; see `Cell.unroll`.

        Args:
            x: inputs `[T, B, D]`.
            state: the state that enters the chunk.
            first: `[T, B]` bool; where true, the state is reset before that step.
            rows: where the arguments are those of some rows only, which; `prepare` must have seen them all.
        """

    def prepare(self, x: Tensor, state: State, first: Tensor | None = None) -> None:
        """Before updates for parts of a chunk: remember what `advance` needs, at the parameters that acted."""
        return

    def add_carried(self) -> None:
        """After `backward` of the last `unroll`: add to `grad` of the parameters what earlier chunks have part in."""
        return

    def advance(self) -> None:
        """Go on to the end of the chunk, once for each chunk."""
        return

    def state_dict(self) -> dict[str, Any]:
        """What is carried between chunks; a rule that loads it goes on bit for bit."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        return


class Truncated(GradientRule):
    """Backpropagation within the chunk; the state that enters it is taken as given (TBPTT)."""

    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        y, last = self.cell.unroll(x, detached(state), first)
        return y, detached(last)


class Immediate(GradientRule):
    """No credit through time: in every step the last state is taken as given. A control."""

    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        outputs = []
        for t, now in enumerate(x):
            y, state = self.cell.step(now, detached(state), None if first is None else first[t])
            outputs.append(y)
        return torch.stack(outputs), detached(state)


class Sensitivity(Protocol):
    """How the states that enter a chunk depend on the parameters."""

    def gradients(self, d_state: State, rows: Tensor | None = None) -> dict[str, Tensor]:
        """Gradients of parameters by name, from that of the entering state, of some rows or all."""

    def advance(self, chunk: Any) -> None:
        """Go on to the end of a chunk."""

    def state_dict(self) -> dict[str, Any]:
        """All of it."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what `state_dict` returned."""


class Carrying(GradientRule):
    """A rule that carries sensitivities from chunk to chunk.

    While parameters stay as they are it is as exact as they are. When parameters change between chunks, what is carried
    stays that of the parameters that acted ("stale").

    Attributes:
        sensitivity: what is carried.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        super().__init__(cell, batch_size)
        self.sensitivity = self._new_sensitivity()
        self._pending: Any = None
        self._entering: tuple[Tensor, ...] | None = None
        self._rows: Tensor | None = None

    @abstractmethod
    def _new_sensitivity(self) -> Sensitivity:
        """That of the beginning."""

    @abstractmethod
    def _run(self, x: Tensor, state: State, first: Tensor | None) -> tuple[Tensor, State, Any]:
        """Outputs and last state, with a graph to parameters and the state, and what `Sensitivity.advance` needs."""

    def prepare(self, x: Tensor, state: State, first: Tensor | None = None) -> None:
        """See `GradientRule.prepare`."""
        self._pending = None
        with torch.no_grad():
            *_, self._pending = self._run(x.detach(), detached(state), first)

    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        if rows is not None and self._pending is None:
            raise NeuroctlError("some rows of a chunk cannot go before all of them: call prepare first")
        entering = _leaves(state)
        y, last, chunk = self._run(x, entering, first)
        if self._pending is None:
            self._pending = chunk
        self._rows = rows
        self._entering = entering if isinstance(entering, tuple) else (entering,)
        return y, detached(last)

    def add_carried(self) -> None:
        """See `GradientRule.add_carried`."""
        if self._entering is None or all(part.grad is None for part in self._entering):
            raise NeuroctlError("there is no gradient to complete: call unroll, and backward of a loss of its outputs")
        d_state = tuple(torch.zeros_like(part) if part.grad is None else part.grad for part in self._entering)
        whole = d_state if len(d_state) > 1 else d_state[0]
        for name, gradient in self.sensitivity.gradients(whole, self._rows).items():
            parameter = self.cell.get_parameter(name)
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        self._entering = None

    def advance(self) -> None:
        """See `GradientRule.advance`."""
        if self._pending is None:
            raise NeuroctlError("there is no chunk to go on by: call unroll first")
        self.sensitivity.advance(self._pending)
        self._pending = None

    def state_dict(self) -> dict[str, Any]:
        """See `GradientRule.state_dict`; between chunks."""
        return self.sensitivity.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `GradientRule.load_state_dict`."""
        self.sensitivity.load_state_dict(state)
        self._pending = self._entering = None


class ElementwiseRTRL(Carrying):
    """Exact real-time recurrent learning of a cell whose units see their own past only."""

    cell: ElementwiseCell

    def _new_sensitivity(self) -> Sensitivity:
        return ElementwiseSensitivity(self.cell)

    def _run(self, x: Tensor, state: State, first: Tensor | None) -> tuple[Tensor, State, Any]:
        if self._pending is not None:
            return *self.cell.unroll(x, state, first), self._pending
        return self.cell.unroll_with_influence(x, state, first)


class GenericRTRL(Carrying):
    """Exact real-time recurrent learning of any cell that has a `LocalForm`, at some cost."""

    def _new_sensitivity(self) -> Sensitivity:
        return GenericSensitivity(self.cell, self.batch_size)

    def _run(self, x: Tensor, state: State, first: Tensor | None) -> tuple[Tensor, State, Any]:
        y, last = self.cell.unroll(x, state, first)
        if self._pending is not None:
            return y, last, self._pending
        return y, last, slopes_of_outputs(self.cell, x, state, first, y)


class OwnPast(Carrying):
    """SnAp-1 of a cell that has a `LocalForm`: credit through each unit's own past only."""

    def _new_sensitivity(self) -> Sensitivity:
        return OwnPastSensitivity(self.cell)

    def _run(self, x: Tensor, state: State, first: Tensor | None) -> tuple[Tensor, State, Any]:
        slopes, outputs, last = local_slopes(self.cell, x, state, first)
        states = state if isinstance(state, tuple) else (state,)
        h: Tensor = OwnPastSequence.apply(  # type: ignore[no-untyped-call]
            outputs, slopes, x, *states, *weights_in_order(self.cell.local_form())
        )
        return self.cell.output(h), last if len(last) > 1 else last[0], slopes


def _rtrl(cell: Cell, batch_size: int) -> GradientRule:
    return (ElementwiseRTRL if isinstance(cell, ElementwiseCell) else GenericRTRL)(cell, batch_size)


def _snap1(cell: Cell, batch_size: int) -> GradientRule:
    return (ElementwiseRTRL if isinstance(cell, ElementwiseCell) else OwnPast)(cell, batch_size)


RULES: dict[str, Callable[[Cell, int], GradientRule]] = {
    "bptt": Truncated,
    "rtrl": _rtrl,
    "snap1": _snap1,
    "immediate": Immediate,
}
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
