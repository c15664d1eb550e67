"""The contract of a recurrent cell."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from neuroctl.errors import NeuroctlError

State = Any
"""A tensor or a tuple of tensors, each `[B, H]`."""


class Cell(nn.Module, ABC):
    """A recurrent cell with explicit state.

    Attributes:
        input_size: D.
        hidden_size: H.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(value, int) or value < 1:
                raise NeuroctlError(f"{name} must be an integer >= 1, got {value!r}")
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """State before the first input, zeros, with the dtype and device of the parameters."""

    @abstractmethod
    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step.

        Args:
            x: input `[B, D]`.
            state: the last state.
            first: `[B]` bool; where true, the state is reset to `initial_state` before it is used.
            timespan: time since the last input `[B]`; 1 when None. Cells without continuous time refuse it.

        Returns:
            Output `[B, H]` and the next state.
        """

    @abstractmethod
    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence; equals `step` in a loop.

        Args:
            x: inputs `[T, B, D]`.
            state: state before the first input; `initial_state` when None.
            first: `[T, B]` bool; where true, the state is reset before that step.
            timespans: `[T, B]`; 1 when None.

        Returns:
            Outputs `[T, B, H]` and the last state.
        """

    def recurrent_weights(self) -> dict[str, Tensor]:
        """Recurrent matrices `[H, H]` by name, for figures; empty where there are none."""
        return {}

    def check_input(self, x: Tensor, first: Tensor | None = None, timespan: Tensor | None = None, *, dims: int) -> None:
        """Refuse arguments whose shapes do not fit: `x [..., D]` with `dims` dimensions, the others `[...]`.

        Raises:
            NeuroctlError: names the shape given and the one expected.
        """
        if x.dim() != dims or x.shape[-1] != self.input_size:
            form = "[T, B, D]" if dims == 3 else "[B, D]"
            raise NeuroctlError(f"input has shape {list(x.shape)}; expected {form} with D = {self.input_size}")
        if x.shape[0] == 0:
            raise NeuroctlError(f"input has shape {list(x.shape)}; T and B must be >= 1")
        for name, value in (("first", first), ("timespans", timespan)):
            if value is not None and value.shape != x.shape[:-1]:
                raise NeuroctlError(f"{name} has shape {list(value.shape)}; expected {list(x.shape[:-1])}")
        if first is not None and first.dtype != torch.bool:
            raise NeuroctlError(f"first has dtype {first.dtype}; expected torch.bool")

    def check_state(self, state: Tensor, batch_size: int) -> None:
        """Refuse a state that is not `[B, H]`.

        Raises:
            NeuroctlError: names the shape given and the one expected.
        """
        if state.dim() != 2 or state.shape[0] != batch_size or state.shape[1] != self.hidden_size:
            expected = [batch_size, self.hidden_size]
            raise NeuroctlError(f"state has shape {list(state.shape)}; expected {expected}")


def zeros_like_parameters(cell: nn.Module, batch_size: int, size: int) -> Tensor:
    """Zeros `[batch_size, size]` with the dtype and device of the cell's parameters."""
    like = next(cell.parameters())
    return torch.zeros(batch_size, size, dtype=like.dtype, device=like.device)


def steps_with_reset(first: Tensor | None, length: int) -> list[bool]:
    """For each of `length` steps, whether any row of `first [T, B]` is reset; one transfer for all of them."""
    resets: list[bool] = [False] * length if first is None else first.any(1).tolist()
    return resets
