"""A cell some of whose units are silenced or driven."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from neuroctl.errors import NeuroctlError
from neuroctl.policy import State, map_state

from .cell import Cell
from .elementwise import ElementwiseCell
from .feedforward import FeedForward
from .stacked import Stacked


class Intervened(Cell):
    """Another cell, whose units are multiplied by `keep` after every step, and then added to.

    What a unit holds beside its output (the cell state of an LSTM) is multiplied too. A unit at 0 is silent where
    others see its output by a product with weights; those of an LTC are held at 0. For acting only.

    Args:
        cell: the other.
        keep: `[H]`, 0 for a silent unit, else 1.
        added: `[H]`, to the outputs, which the other units see a step later.

    Raises:
        NeuroctlError: cells on top of each other, or whose units see their own past only.
    """

    keep: Tensor
    added: Tensor

    def __init__(self, cell: Cell, keep: ArrayLike, added: ArrayLike) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        if isinstance(cell, (Stacked, ElementwiseCell)):  # of the latter, units see one another within a step
            raise NeuroctlError(f"units of a {type(cell).__name__} cannot be silenced or driven one by one")
        self.cell, self.motors = cell, cell.motors
        for name, values in (("keep", keep), ("added", added)):
            self.register_buffer(name, torch.as_tensor(values).to(cell.like), persistent=False)

    def initial_state(self, batch_size: int) -> State:
        """That of the other."""
        return self.cell.initial_state(batch_size)

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step; see `Cell.step`."""
        y, state = self.cell.step(x, state, first, timespan)
        count = y.shape[-1]
        output = y * self.keep[:count] + self.added[:count]
        if isinstance(self.cell, FeedForward):  # its state are inputs
            return output, state

        def changed(part: Tensor) -> Tensor:
            kept = part * self.keep
            return kept + self.added if torch.equal(part[..., :count], y) else kept

        return output, map_state(changed, state)

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence; see `Cell.unroll`. Step by step."""
        state, outputs = self.initial_state(x.shape[1]) if state is None else state, []
        for t in range(len(x)):
            now = [part if part is None else part[t] for part in (first, timespans)]
            y, state = self.step(x[t], state, *now)
            outputs.append(y)
        return torch.stack(outputs), state
