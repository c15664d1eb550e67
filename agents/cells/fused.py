"""What the cells share that PyTorch has a fused kernel for: LSTM, GRU, RNN."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroctl.errors import NeuroctlError

from ..connectivity import LowRankSparse, RecurrentWeights
from ..wiring import Wiring
from .cell import Cell, LocalForm, State, States, zeros_like_parameters
from .episodes import run_episodes


class FusedCell(Cell):
    """K affine maps of x and h, whose sequences run in a kernel of PyTorch.

    The kernel knows no resets, so `unroll` runs the episodes between them, side by side. The state is a tensor, or a
    tuple where there are several. Parameters are drawn from U(-1/sqrt(H), 1/sqrt(H)), as in PyTorch.

    Attributes:
        maps: names of the K maps, in PyTorch's order of rows.
        states: number of tensors in the state.
        input_weight: the maps on x `[K H, D]`.
        recurrent: the maps on h `[K H, H]`.
        bias: `[K H]`.
    """

    maps: ClassVar[tuple[str, ...]]
    states: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: LowRankSparse | None = None,
        factorised: Sequence[str] | None = None,
        wiring: Wiring | None = None,
    ) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: H.
            recurrent: specification of the recurrent weights; dense when None. Each map has its own draw.
            factorised: which of the maps follow it; all when None.
            wiring: the synapses that exist, in every map; all when None.

        Raises:
            NeuroctlError: a value outside its range.
        """
        super().__init__(input_size, hidden_size, wiring)
        rows = len(self.maps) * hidden_size
        self.input_weight = nn.Parameter(torch.empty(rows, input_size))
        self.recurrent = RecurrentWeights(self.maps, hidden_size, recurrent, factorised, wiring)
        self.bias = nn.Parameter(torch.empty(rows))
        for parameter in (self.input_weight, self.bias, self.recurrent.dense):
            if parameter is not None:
                self._draw(parameter)

    @property
    def like(self) -> Tensor:
        """The bias."""
        return self.bias

    def initial_state(self, batch_size: int) -> State:
        """Zeros `[B, H]`, for each tensor of the state."""
        return self._pack(tuple(zeros_like_parameters(self, batch_size, self.hidden_size) for _ in range(self.states)))

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step; see `Cell.step`."""
        self.refuse_timespans(timespan)
        self.check_input(x, first, dims=2)
        states = self._reset(self._unpack(state, x), first)
        projected = F.linear(x, self.masked_inputs(self.input_weight), self.bias)
        states = self._next(projected, self.recurrent.weight().t(), states)
        return self.output(states[0]), self._pack(states)

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence, by PyTorch's fused kernel, which runs episodes side by side; see `Cell.unroll`."""
        self.refuse_timespans(timespans)
        y, states = self._run(x, state, first, ends=True)
        return y, self._pack(states)

    def outputs(self, x: Tensor, state: State | None = None, first: Tensor | None = None) -> Tensor:
        """See `Cell.outputs`: without last states, more can be run at once."""
        return self._run(x, state, first, ends=False)[0]

    def _run(self, x: Tensor, state: State | None, first: Tensor | None, ends: bool) -> tuple[Tensor, States]:
        self.check_input(x, first, dims=3)
        states = self._unpack(self.initial_state(x.shape[1]) if state is None else state, x)
        weights = [self.masked_inputs(self.input_weight), self.recurrent.weight(), self.bias, self._recurrent_bias()]

        def kernel(x: Tensor, states: States) -> tuple[Tensor, States]:
            y, last = self._kernel(x, tuple(h.unsqueeze(0) for h in states), weights)
            return y, tuple(h.squeeze(0) for h in last)

        y, states = kernel(x, states) if first is None else run_episodes(kernel, x, states, first, ends)
        return self.output(y), states

    def local_form(self) -> LocalForm:
        """See `Cell.local_form`."""
        weights = {
            "input": self.masked_inputs(self.input_weight),
            "bias": self.bias,
            "recurrent": self.recurrent.weight(),
        }
        return LocalForm(weights, lambda of_x, of_h, states: self._solve(of_x + of_h, states), adds_up=True)

    def _solve(self, maps: Tensor, states: States) -> States:
        """The next states from the maps `[..., K H]`, where those of x and h add up."""
        raise NotImplementedError

    @abstractmethod
    def _next(self, projected: Tensor, weight: Tensor, states: States) -> States:
        """The next states from the maps of x `[B, K H]`, bias included, and the recurrent weights `[H, K H]`."""

    @abstractmethod
    def _kernel(self, x: Tensor, states: States, weights: list[Tensor]) -> tuple[Tensor, States]:
        """Outputs and last states `[1, B, H]` of a stretch, by PyTorch's kernel."""

    def _recurrent_bias(self) -> Tensor:
        """PyTorch's second bias `[K H]`."""
        return torch.zeros_like(self.bias)

    def _draw(self, parameter: Tensor) -> None:
        bound = self.hidden_size**-0.5
        nn.init.uniform_(parameter, -bound, bound)

    def _unpack(self, state: State, x: Tensor) -> States:
        states = (state,) if self.states == 1 else state
        if not isinstance(states, (tuple, list)) or len(states) != self.states:
            raise NeuroctlError(f"the state of the {type(self).__name__} is a tuple of {self.states} tensors [B, H]")
        for part in states:
            self.check_state(part, x)
        return tuple(states)

    def _pack(self, states: States) -> State:
        return states if self.states > 1 else states[0]

    @staticmethod
    def _reset(states: States, first: Tensor | None) -> States:
        if first is None:
            return states
        rows = first.unsqueeze(1)
        return tuple(state.masked_fill(rows, 0.0) for state in states)


def kernel_options() -> tuple[bool, int, float, bool, bool, bool]:
    """has_biases, num_layers, dropout, train, bidirectional, batch_first.

    cuDNN keeps what backward needs only in "train" mode, so that flag follows autograd and not `module.training`.
    """
    return True, 1, 0.0, torch.is_grad_enabled(), False, False
