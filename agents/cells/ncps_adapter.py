"""Modules of the package ncps as cells."""

from typing import Any

import torch
from torch import Tensor, nn

from neuroctl.errors import NeuroctlError

from .cell import Cell, State, zeros_like_parameters


class NcpsCell(Cell):
    """An `ncps.torch.CfC` or `ncps.torch.LTC` of any mode and wiring, with or without mixed memory or projection.

    The module's own loop is not used but that of its cell, with resets within sequences and one timespan per row.
    (Given timespans `[B, T]`, ncps 1.0.1 fails, or where B equals the number of units takes them for one per unit.)
    So `batch_first` and `return_sequences` have no effect here. The state is h `[B, H]`, or with mixed memory (h, c).

    It computes what ncps computes: absent synapses of a wired CfC act through its time gates, for example. `CfC`,
    `LTC` and `wired` do not, and are faster. The constraints of an LTC with `implicit_param_constraints=False` are its
    owner's business.

    Attributes:
        module: the module; its parameters are the cell's.
    """

    def __init__(self, module: nn.Module) -> None:
        """Take `module` as it is.

        Raises:
            NeuroctlError: it is of another kind, or cannot run.
        """
        import ncps.torch

        if not isinstance(module, (ncps.torch.CfC, ncps.torch.LTC)):
            raise NeuroctlError(f"NcpsCell takes an ncps.torch.CfC or ncps.torch.LTC; got {type(module).__name__}")
        super().__init__(module.input_size, int(module.state_size))
        self.module: Any = module
        self._output_size = self._measured_output()

    @property
    def output_size(self) -> int:
        """O: motor neurons of a wiring, or the size of the projection."""
        return self._output_size

    def initial_state(self, batch_size: int) -> State:
        """Zeros `[B, H]` for h and, with mixed memory, for c."""
        zeros = zeros_like_parameters(self, batch_size, self.hidden_size)
        return (zeros, zeros.clone()) if self.module.use_mixed else zeros

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step; see `Cell.step`."""
        self.check_input(x, first, timespan, dims=2)
        self._check(state, x)
        return self._next(x, state, first, timespan)

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence, step by step; see `Cell.unroll`."""
        self.check_input(x, first, timespans, dims=3)
        state = self.initial_state(x.shape[1]) if state is None else state
        self._check(state, x)
        outputs = []
        for t in range(len(x)):
            now = (None if tensor is None else tensor[t] for tensor in (first, timespans))
            y, state = self._next(x[t], state, *now)
            outputs.append(y)
        return torch.stack(outputs), state

    def _next(self, x: Tensor, state: State, first: Tensor | None, timespan: Tensor | None) -> tuple[Tensor, State]:
        mixed = self.module.use_mixed
        h, c = state if mixed else (state, None)
        if first is not None:
            rows = first.unsqueeze(1)
            h, c = h.masked_fill(rows, 0.0), None if c is None else c.masked_fill(rows, 0.0)
        if mixed:
            h, c = self.module.lstm(x, (h, c))
        y, h = self.module.rnn_cell(x, h, 1.0 if timespan is None else timespan.to(x.dtype).unsqueeze(1))
        y = getattr(self.module, "fc", nn.Identity())(y)  # only the CfC has a projection
        return y, (h, c) if mixed else h

    def _check(self, state: State, x: Tensor) -> None:
        if self.module.use_mixed and (not isinstance(state, (tuple, list)) or len(state) != 2):
            raise NeuroctlError("the state of an ncps module with mixed memory is a tuple of two tensors [B, H]")
        for part in state if self.module.use_mixed else (state,):
            self.check_state(part, x)

    @torch.no_grad()
    def _measured_output(self) -> int:
        # ncps announces another size than it puts out for single-layer wirings with fewer outputs than units.
        try:
            y, _ = self._next(self.like.new_zeros(1, self.input_size), self.initial_state(1), None, None)
        except RuntimeError as error:
            raise NeuroctlError(f"this ncps module cannot run: {str(error).splitlines()[0]}") from None
        return int(y.shape[1])
