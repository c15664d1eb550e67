"""The contract of a recurrent cell."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError

from ..connectivity import RecurrentWeights
from ..wiring import Wiring, checked_wiring

State = Any
"""A tensor `[B, H]`, or a tuple of states."""
States = tuple[Tensor, ...]
"""Tensors `[B, H]`; the first is the output."""


@dataclass(frozen=True)
class LocalForm:
    """A cell as affine maps of the input and of its first state, and then of each unit alone.

    With h the first of the states,

        of_x = W_x x + b,   of_h = W_h h (+ b_h),   states' = combine(of_x, of_h, states)

    where unit n of the new states depends on rows n of the K maps and on unit n of the states.

    Attributes:
        weights: with a graph to the parameters: `"input"` `[K N, D]`, `"bias"` `[K N]`, `"recurrent"` `[K N, N]`, and
            where there is one `"recurrent_bias"` `[K N]`.
        combine: takes of_x and of_h `[..., K N]` and states `[..., N]`.
        adds_up: whether the maps matter by of_x + of_h only.
    """

    weights: dict[str, Tensor]
    combine: Callable[[Tensor, Tensor, States], States]
    adds_up: bool


class Cell(nn.Module, ABC):
    """A recurrent cell with explicit state.

    Attributes:
        input_size: D.
        hidden_size: H, the number of units.
        output_size: O, the size of the output.
        motors: number of motor neurons of a wired cell, one for each output of a policy; they are the first units, and
            they alone are the output. None when all units are.
        input_mask: `[H, D]`, a buffer of zeros and ones: the inputs that each unit has; None when it has all.

    Args:
        input_size: D.
        hidden_size: H.
        wiring: the synapses that exist; all when None.

    Raises:
        NeuroctlError: a size below 1, or a wiring that does not fit.
    """

    motors: int | None
    input_mask: Tensor | None

    def __init__(self, input_size: int, hidden_size: int, wiring: Wiring | None = None) -> None:
        super().__init__()
        self.input_size = checked_integer("input_size", input_size, 1)
        self.hidden_size = checked_integer("hidden_size", hidden_size, 1)
        self.motors = None
        self.register_buffer("input_mask", None)
        if wiring is not None:
            wiring = checked_wiring(wiring)
            if (wiring.inputs, wiring.units) != (input_size, hidden_size):
                raise NeuroctlError(
                    f"the wiring has {wiring.inputs} inputs and {wiring.units} neurons; this cell has input_size = "
                    f"{input_size} and hidden_size = {hidden_size}"
                )
            self.motors = wiring.motors
            self.input_mask = torch.tensor(wiring.sensory != 0, dtype=torch.get_default_dtype())

    @property
    def output_size(self) -> int:
        """O: motor neurons where there are any, else all units."""
        return self.hidden_size if self.motors is None else self.motors

    @property
    def state_size(self) -> int:
        """Numbers in a state that is one tensor: H."""
        return self.hidden_size

    @property
    def like(self) -> Tensor:
        """Some parameter, for its dtype and device. Cells name one: looking for it costs as much as a small product."""
        return next(self.parameters())

    def initial_state(self, batch_size: int) -> State:
        """State before the first input, with the dtype and device of the parameters: zeros, here `[B, state_size]`."""
        return zeros_like_parameters(self, batch_size, self.state_size)

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Draw gates or time constants anew so that the cell remembers up to `steps` steps before it has learned.

        Raises:
            NeuroctlError: fewer than 2 steps, or the cell has nothing of the kind.
        """
        raise NeuroctlError(f"the {type(self).__name__} has no gates or time constants to remember {steps} steps with")

    @abstractmethod
    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step.

        Args:
            x: input `[B, D]`.
            state: the last state.
            first: `[B]` bool; where true, the state is reset to `initial_state` before it is used.
            timespan: time since the last input `[B]`, > 0; 1 when None. Cells without continuous time refuse it.

        Returns:
            Output `[B, O]` and the next state.
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
            timespans: `[T, B]`, > 0; 1 when None.

        Returns:
            Outputs `[T, B, O]` and the last state.
        """

    def outputs(self, x: Tensor, state: State | None = None, first: Tensor | None = None) -> Tensor:
        """Outputs `[T, B, O]` of `unroll`, where nobody asks for the last state."""
        return self.unroll(x, state, first)[0]

    def local_form(self) -> LocalForm:
        """The cell as exact gradients by chunks need it; see `LocalForm`.

        Raises:
            NeuroctlError: the cell has no such form.
        """
        raise NeuroctlError(f"the {type(self).__name__} is not made of affine maps of x and h and of units alone")

    def recurrent_weights(self) -> dict[str, Tensor]:
        """Recurrent matrices `[H, H]` by name, for figures; empty where there are none."""
        recurrent = getattr(self, "recurrent", None)
        if not isinstance(recurrent, RecurrentWeights):
            return {}
        return dict(zip(recurrent.maps, recurrent.weight().view(-1, recurrent.n, recurrent.n).unbind(0), strict=True))

    @property
    def stored_parameters(self) -> int:
        """Trainable numbers that are stored."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @property
    def effective_parameters(self) -> int:
        """Trainable numbers that the outputs can depend on: not those behind a mask, factors as far as they count."""
        count = self.stored_parameters
        for module in self.modules():
            if isinstance(module, RecurrentWeights):
                count += module.effective_parameters - module.stored_parameters
            if isinstance(module, Cell):
                count -= module.masked_parameters()
        return count

    def output(self, h: Tensor) -> Tensor:
        """What units `[..., H]` put out, `[..., O]`."""
        return h if self.output_size == self.hidden_size else h[..., : self.output_size]

    def masked_inputs(self, weight: Tensor) -> Tensor:
        """Maps on the inputs `[K H, D]` without the synapses that the wiring leaves out."""
        if self.input_mask is None:
            return weight
        return (weight.view(-1, *self.input_mask.shape) * self.input_mask).view_as(weight)

    def masked_parameters(self) -> int:
        """Trainable numbers of this cell, beside its `RecurrentWeights`, that a mask hides from the outputs."""
        weight = getattr(self, "input_weight", None)
        if self.input_mask is None or weight is None:
            return 0
        return int((self.input_mask == 0).sum()) * (len(weight) // self.hidden_size)

    def check_input(self, x: Tensor, first: Tensor | None = None, timespan: Tensor | None = None, *, dims: int) -> None:
        """Refuse arguments that do not fit: `x [..., D]` with `dims` dimensions, the others `[...]`.

        Raises:
            NeuroctlError: names the kind, shape, dtype or value given and the one expected.
        """
        form = "[T, B, D]" if dims == 3 else "[B, D]"
        if not isinstance(x, Tensor):
            raise NeuroctlError(f"input is a {type(x).__name__}; expected a tensor {form}")
        if x.dim() != dims or x.shape[-1] != self.input_size:
            raise NeuroctlError(f"input has shape {list(x.shape)}; expected {form} with D = {self.input_size}")
        if 0 in x.shape[:-1]:
            raise NeuroctlError(f"input has shape {list(x.shape)}; T and B must be >= 1")
        dtype = self.like.dtype
        if x.dtype != dtype:
            raise NeuroctlError(f"input has dtype {x.dtype}; expected {dtype}, that of the parameters")
        for name, value in (("first", first), ("timespans", timespan)):
            if value is None:
                continue
            if not isinstance(value, Tensor):
                raise NeuroctlError(f"{name} is a {type(value).__name__}; expected a tensor {list(x.shape[:-1])}")
            if value.shape != x.shape[:-1]:
                raise NeuroctlError(f"{name} has shape {list(value.shape)}; expected {list(x.shape[:-1])}")
        if first is not None and first.dtype != torch.bool:
            raise NeuroctlError(f"first has dtype {first.dtype}; expected torch.bool")
        if timespan is not None:
            # Listing the few values of one step costs less than the call of a reduction.
            values = timespan.tolist() if dims == 2 else [extreme.item() for extreme in timespan.detach().aminmax()]
            if not all(0 < value < math.inf for value in values):  # nor NaN
                raise NeuroctlError(f"timespans must be > 0 and finite; got values from {min(values)} to {max(values)}")

    def check_state(self, state: Tensor, x: Tensor) -> None:
        """Refuse a state that is not `[B, state_size]` in the dtype of the input `x [..., B, D]`.

        Raises:
            NeuroctlError: names what is given and what is expected.
        """
        expected = [x.shape[-2], self.state_size]
        if not isinstance(state, Tensor):
            raise NeuroctlError(f"state is a {type(state).__name__}; expected a tensor {expected}")
        if state.dim() != 2 or state.shape[0] != expected[0] or state.shape[1] != expected[1]:
            raise NeuroctlError(f"state has shape {list(state.shape)}; expected {expected}")
        if state.dtype != x.dtype:
            raise NeuroctlError(f"state has dtype {state.dtype}; expected {x.dtype}, that of the input")

    def refuse_timespans(self, timespans: Tensor | None) -> None:
        """For cells without continuous time.

        Raises:
            NeuroctlError: there are timespans.
        """
        if timespans is not None:
            name = type(self).__name__
            raise NeuroctlError(f"the {name} has no continuous time: timespans must be None; CfC and LTC take them")


def zeros_like_parameters(cell: Cell, batch_size: int, size: int) -> Tensor:
    """Zeros `[batch_size, size]` with the dtype and device of the cell's parameters.

    Raises:
        NeuroctlError: a batch size that is no integer >= 1.
    """
    batch_size = checked_integer("batch_size", batch_size, 1)
    return torch.zeros(batch_size, size, dtype=cell.like.dtype, device=cell.like.device)


def steps_with_reset(first: Tensor | None, length: int) -> list[bool]:
    """For each of `length` steps, whether any row of `first [T, B]` is reset; one transfer for all of them."""
    resets: list[bool] = [False] * length if first is None else first.any(1).tolist()
    return resets
