"""What a learner asks of a gradient rule, and the rules that carry nothing from chunk to chunk.

for each chunk:
    y, next_state = rule.unroll(x, state, first)
    loss(y).backward()      # gradients of what is above and below the cell, and of the cell within the chunk
    rule.add_carried()      # those of the cell for what went before
    rule.advance()          # to the end of the chunk, at the parameters with which it was unrolled first
    optimiser.step()
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neuroctl.checks import checked_integer

from ..cells.cell import Cell, State


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

    def outputs(self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """Outputs of `unroll`, where nobody asks for the last state."""
        return self.unroll(x, state, first, rows)[0]

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

    def outputs(self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """See `GradientRule.outputs`."""
        return self.cell.outputs(x, detached(state), first)


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


def detached(state: State) -> State:
    """The same state without a graph."""
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(detached(part) for part in state)
