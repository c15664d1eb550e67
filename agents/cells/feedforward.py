"""The case without recurrence: a layer over the last few inputs."""

import torch
from torch import Tensor, nn

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError

from .cell import Cell, zeros_like_parameters


class FeedForward(Cell):
    """`y_t = tanh(W [x_t, x_{t-1}, ..., x_{t-k+1}] + b)`.

    The state holds the last k - 1 inputs, `[B, k - 1, D]`. Before the first input of an episode they are copies of it,
    as in Gymnasium's FrameStackObservation.

    Args:
        input_size: D.
        hidden_size: H.
        frame_stack: k.
    """

    def __init__(self, input_size: int, hidden_size: int, *, frame_stack: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        self.frame_stack = checked_integer("frame_stack", frame_stack, 1)
        self.layer = nn.Linear(self.frame_stack * self.input_size, self.hidden_size)

    @property
    def like(self) -> Tensor:
        """The bias."""
        return self.layer.bias

    def initial_state(self, batch_size: int) -> Tensor:
        """Zeros `[B, k - 1, D]`; replaced at the first input."""
        size = (self.frame_stack - 1) * self.input_size
        return zeros_like_parameters(self, batch_size, size).reshape(batch_size, -1, self.input_size)

    def _push(self, x: Tensor, past: Tensor, first: Tensor | None) -> Tensor:
        """The window `[B, k, D]`, newest first."""
        if first is not None:
            past = torch.where(first[:, None, None], x[:, None].expand_as(past), past)
        return torch.cat([x[:, None], past], dim=1)

    def step(
        self, x: Tensor, state: Tensor, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step; see `Cell.step`."""
        self.refuse_timespans(timespan)
        self.check_input(x, first, dims=2)
        self._check_past(state, x.shape[0])
        window = self._push(x, state, first)
        return torch.tanh(self.layer(window.flatten(1))), window[:, : self.frame_stack - 1]

    def unroll(
        self,
        x: Tensor,
        state: Tensor | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """A sequence; see `Cell.unroll`. Windows are gathered at once, the layer is one product."""
        self.refuse_timespans(timespans)
        self.check_input(x, first, dims=3)
        past = self.initial_state(x.shape[1]) if state is None else state
        self._check_past(past, x.shape[1])
        if self.frame_stack == 1:
            return torch.tanh(self.layer(x)), past
        windows = self._windows(x, past, first)
        return torch.tanh(self.layer(windows.flatten(2))), windows[-1, :, : self.frame_stack - 1]

    def _windows(self, x: Tensor, past: Tensor, first: Tensor | None) -> Tensor:
        """The windows `[T, B, k, D]` of inputs `[T, B, D]`, newest first; none reaches beyond the last reset."""
        length, batch_size, older = len(x), x.shape[1], self.frame_stack - 1
        time = torch.arange(length, device=x.device).view(-1, 1, 1)
        index = (time - torch.arange(self.frame_stack, device=x.device)).expand(length, batch_size, -1)
        if first is not None:
            resets = torch.where(first.unsqueeze(2), time, -older)
            index = index.maximum(resets.cummax(0).values)
        frames = torch.cat([past.flip(1).transpose(0, 1), x])
        return frames[index + older, torch.arange(batch_size, device=x.device).unsqueeze(1)]

    def _check_past(self, past: Tensor, batch_size: int) -> None:
        expected = [batch_size, self.frame_stack - 1, self.input_size]
        if not isinstance(past, Tensor) or list(past.shape) != expected:
            given = list(past.shape) if isinstance(past, Tensor) else type(past).__name__
            raise NeuroctlError(f"state has shape {given}; expected {expected}")
