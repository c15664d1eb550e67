"""Gradient rules that carry from chunk to chunk how the state depends on the parameters."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from neuroctl.errors import NeuroctlError

from ..cells.cell import Cell, State, States
from ..cells.elementwise import ElementwiseCell
from ..cells.stacked import Stacked
from .elementwise_sensitivity import ElementwiseSensitivity
from .generic_sensitivity import GenericSensitivity, layers_of
from .gradient_rule import GradientRule, detached
from .own_past import OwnPastSensitivity, OwnPastSequence, weights_in_order
from .slopes import local_slopes, slopes_of_outputs


class Sensitivity(Protocol):
    """How the states that enter a chunk depend on the parameters."""

    def gradients(self, d_states: States, rows: Tensor | None = None) -> dict[str, Tensor]:
        """Gradients of parameters by name, from those of the entering states, of some rows or all."""

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
        self._entering: States | None = None
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
        self._entering = _flat(entering)
        return y, detached(last)

    def fresh(self) -> Self:
        """The same rule at the beginning."""
        return type(self)(self.cell, self.batch_size)

    def add_carried(self) -> None:
        """See `GradientRule.add_carried`."""
        if self._entering is None or all(part.grad is None for part in self._entering):
            raise NeuroctlError("there is no gradient to complete: call unroll, and backward of a loss of its outputs")
        d_states = tuple(torch.zeros_like(part) if part.grad is None else part.grad for part in self._entering)
        for name, gradient in self.sensitivity.gradients(d_states, self._rows).items():
            parameter = self.cell.get_parameter(name)
            if not parameter.requires_grad:
                continue
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
    """Exact real-time recurrent learning of any cell that has a `LocalForm`, or of a stack of them, at some cost."""

    def _new_sensitivity(self) -> Sensitivity:
        return GenericSensitivity(self.cell, self.batch_size)

    def _run(self, x: Tensor, state: State, first: Tensor | None) -> tuple[Tensor, State, Any]:
        if self._pending is not None:
            return *self.cell.unroll(x, state, first), self._pending
        lasts, chunk = [], []
        for cell, entering in zip(layers_of(self.cell), _by_layer(self.cell, state), strict=True):
            y, last = cell.unroll(x, entering, first)
            chunk.append(slopes_of_outputs(cell, x, entering, first, y))
            lasts.append(last)
            x = y
        return x, tuple(lasts) if isinstance(self.cell, Stacked) else lasts[0], chunk


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


class Layerwise(GradientRule):
    """Exact within each cell of a stack; that a cell's past reached it through the ones below is left out.

    A chunk carries the credit of a cell's own past only; within the chunk it goes through all cells. In chunks of one
    step this is the rule of Zucchet et al. 2023 (arXiv 2305.15947) for layers of element-wise cells. Of a cell that
    is no stack it is `rtrl`.
    """

    def __init__(self, cell: Cell, batch_size: int) -> None:
        super().__init__(cell, batch_size)
        self.rules = [rtrl(layer, batch_size) for layer in layers_of(cell)]

    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        lasts = []
        for rule, entering in zip(self.rules, _by_layer(self.cell, state), strict=True):
            x, last = rule.unroll(x, entering, first, rows)
            lasts.append(last)
        return x, tuple(lasts) if isinstance(self.cell, Stacked) else lasts[0]

    @torch.no_grad()
    def prepare(self, x: Tensor, state: State, first: Tensor | None = None) -> None:
        """See `GradientRule.prepare`."""
        for rule, entering in zip(self.rules, _by_layer(self.cell, state), strict=True):
            rule.prepare(x, entering, first)
            x, _ = rule.cell.unroll(x, entering, first)

    def add_carried(self) -> None:
        """See `GradientRule.add_carried`."""
        for rule in self.rules:
            rule.add_carried()

    def advance(self) -> None:
        """See `GradientRule.advance`."""
        for rule in self.rules:
            rule.advance()

    def state_dict(self) -> dict[str, Any]:
        """See `GradientRule.state_dict`."""
        return {"rules": [rule.state_dict() for rule in self.rules]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `GradientRule.load_state_dict`."""
        for rule, kept in zip(self.rules, state["rules"], strict=True):
            rule.load_state_dict(kept)


def rtrl(cell: Cell, batch_size: int) -> GradientRule:
    """Exact real-time recurrent learning of a cell."""
    return (ElementwiseRTRL if isinstance(cell, ElementwiseCell) else GenericRTRL)(cell, batch_size)


def snap1(cell: Cell, batch_size: int) -> GradientRule:
    """Credit through each unit's own past; for an element-wise cell that is `rtrl`."""
    return (ElementwiseRTRL if isinstance(cell, ElementwiseCell) else OwnPast)(cell, batch_size)


def _by_layer(cell: Cell, state: State) -> tuple[State, ...]:
    """The state of each of `layers_of(cell)`."""
    return tuple(state) if isinstance(cell, Stacked) else (state,)


def _flat(state: State) -> States:
    return (state,) if isinstance(state, Tensor) else tuple(tensor for part in state for tensor in _flat(part))


def _leaves(state: State) -> State:
    if isinstance(state, Tensor):
        return state.detach().requires_grad_()
    return tuple(_leaves(part) for part in state)
