"""Linear recurrent units with a complex eigenvalue each: LRU and RTU."""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

from .cell import State, steps_with_reset
from .elementwise import ElementwiseCell, Influence
from .memory import chrono_biases


class ComplexUnits(ElementwiseCell):
    """N complex numbers that turn, shrink, and take in the input.

        c' = lam * c + scale * (W x),   lam = exp(-exp(nu) + i exp(theta))

    The state is `[B, 2 N]`, real parts before imaginary ones. |lam| is drawn uniformly by area from the ring between
    `radii`, the angle from (0, 2 pi), both parts of W from N(0, 1 / (2 D)), as in the public code of Orvieto et al.
    2023 (arXiv 2303.06349).

    Attributes:
        nu: `[N]`, how fast a unit forgets.
        theta: `[N]`, how fast it turns: log of radians per step.
        W_re: `[N, D]`.
        W_im: `[N, D]`.
    """

    def __init__(self, input_size: int, hidden_size: int, *, radii: tuple[float, float] = (0.0, 1.0)) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: N.
            radii: of the ring, from 0 to 1.

        Raises:
            NeuroctlError: a size below 1, or no such ring.
        """
        super().__init__(input_size, hidden_size)
        low, high = _checked_radii(radii)
        areas = low**2 + (high**2 - low**2) * torch.rand(hidden_size).clamp(1e-6, 1 - 1e-6)
        self.nu = nn.Parameter(torch.log(-0.5 * torch.log(areas)))
        self.theta = nn.Parameter(torch.log(2 * math.pi * torch.rand(hidden_size).clamp_min(1e-6)))
        spread = (2 * input_size) ** -0.5
        self.W_re, self.W_im = (nn.Parameter(spread * torch.randn(hidden_size, input_size)) for _ in range(2))

    @property
    def like(self) -> Tensor:
        """What forgets."""
        return self.nu

    @property
    def state_size(self) -> int:
        """2 N."""
        return 2 * self.hidden_size

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """|lam| = 1 - 1/T with T as in the chrono initialisation; see `chrono_biases`."""
        self.nu.copy_(torch.log(-F.logsigmoid(chrono_biases(self.hidden_size, steps))))

    def eigenvalues(self) -> Tensor:
        """lam, complex `[N]`."""
        return torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))

    @abstractmethod
    def scale(self) -> Tensor:
        """How strongly the input counts `[N]`."""

    @abstractmethod
    def put_out(self, c: Tensor, x: Tensor) -> Tensor:
        """The output from the states, complex `[..., N]`, and the inputs `[..., D]`."""

    def step(
        self, x: Tensor, state: State, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """One step; see `Cell.step`."""
        self.refuse_timespans(timespan)
        self.check_input(x, first, dims=2)
        self.check_state(state, x)
        c = _complex(state if first is None else state.masked_fill(first.unsqueeze(1), 0.0))
        c = self.eigenvalues() * c + self.scale() * self._mapped(x)
        return self.put_out(c, x), _real(c)

    def unroll(
        self,
        x: Tensor,
        state: State | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A sequence as one autograd node, and the outputs of all steps at once; see `Cell.unroll`."""
        self.refuse_timespans(timespans)
        c, _, _ = self._states(x, state, first)
        return self.put_out(c, x), _real(c[-1])

    def unroll_with_influence(
        self, x: Tensor, state: State | None = None, first: Tensor | None = None
    ) -> tuple[Tensor, State, Influence]:
        """See `ElementwiseCell.unroll_with_influence`; everything in it but the inputs is complex."""
        c, before, mapped = self._states(x, state, first)
        with torch.no_grad():
            keep = self.eigenvalues().expand_as(before)
            if first is not None:
                keep = keep.masked_fill(first.unsqueeze(2), 0.0)
            scale = self.scale().to(before.dtype).expand_as(before)
            influence = Influence(keep, x.detach(), {"W": scale}, {"lam": before, "scale": mapped.detach()})
        return self.put_out(c, x), _real(c[-1]), influence

    def state_gradient(self, gradient: Tensor) -> Tensor:
        """dL/d Re c + i dL/d Im c."""
        return _complex(gradient)

    def parameter_gradients(self, effective: dict[str, Tensor]) -> dict[str, Tensor]:
        """From those of lam, scale and W: conj(dL/d state) dc/d(parameter), complex."""
        of_lam, of_scale, of_W = effective["lam"], effective["scale"], effective["W"]
        of_W_alone = {"W_re": of_W.real, "W_im": -of_W.imag}
        names = [name for name, part in self.named_parameters() if part.requires_grad and name not in of_W_alone]
        if not names:
            return of_W_alone
        with torch.enable_grad():
            lam = self.eigenvalues()
            surrogate = (of_lam.real * lam.real - of_lam.imag * lam.imag + of_scale.real * self.scale()).sum()
            found = torch.autograd.grad(surrogate, [self.get_parameter(name) for name in names], allow_unused=True)
        others = {name: gradient for name, gradient in zip(names, found, strict=True) if gradient is not None}
        return {**of_W_alone, **others}

    def _mapped(self, x: Tensor) -> Tensor:
        return _complex(F.linear(x, torch.cat((self.W_re, self.W_im))))

    def _states(self, x: Tensor, state: State | None, first: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """States `[T, B, N]`, those before each step after resets, and W x; complex."""
        self.check_input(x, first, dims=3)
        state = self.initial_state(x.shape[1]) if state is None else state
        self.check_state(state, x)
        mapped = self._mapped(x)
        c, before = TurningSequence.apply(  # type: ignore[no-untyped-call]
            self.scale() * mapped, _complex(state), first, self.eigenvalues()
        )
        return c, before, mapped


class RTU(ComplexUnits):
    """Recurrent trace units (Elelimy et al. 2024, arXiv 2409.01449), in the variant with a linear recurrence.

    scale = sqrt(1 - |lam|^2); the output is relu([Re c, Im c]), `[B, 2 N]`.
    """

    @property
    def output_size(self) -> int:
        """2 N."""
        return 2 * self.hidden_size

    def scale(self) -> Tensor:
        """See `ComplexUnits.scale`."""
        return torch.sqrt(-torch.expm1(-2 * torch.exp(self.nu)))

    def put_out(self, c: Tensor, x: Tensor) -> Tensor:
        """See `ComplexUnits.put_out`."""
        return _real(c).relu()


class LRU(ComplexUnits):
    """Linear recurrent units (Orvieto et al. 2023, arXiv 2303.06349).

    scale = exp(gamma), which starts at sqrt(1 - |lam|^2) and is trained; the output is Re(C c) + D x, `[B, N]`.

    Attributes:
        gamma: `[N]`.
        C_re: `[N, N]`.
        C_im: `[N, N]`.
        D: `[N, D]`.
    """

    def __init__(self, input_size: int, hidden_size: int, *, radii: tuple[float, float] = (0.0, 1.0)) -> None:
        """Draw the parameters; see `ComplexUnits`."""
        super().__init__(input_size, hidden_size, radii=radii)
        with torch.no_grad():
            gamma = 0.5 * torch.log(-torch.expm1(-2 * torch.exp(self.nu)))
        self.gamma = nn.Parameter(gamma)
        spread = hidden_size**-0.5
        self.C_re, self.C_im = (nn.Parameter(spread * torch.randn(hidden_size, hidden_size)) for _ in range(2))
        self.D = nn.Parameter(torch.randn(hidden_size, input_size) * input_size**-0.5)

    def scale(self) -> Tensor:
        """See `ComplexUnits.scale`."""
        return torch.exp(self.gamma)

    def put_out(self, c: Tensor, x: Tensor) -> Tensor:
        """See `ComplexUnits.put_out`."""
        return F.linear(_real(c), torch.cat((self.C_re, -self.C_im), dim=1)) + F.linear(x, self.D)


class TurningSequence(torch.autograd.Function):
    """States `[T, B, N]` of complex units, backpropagation through time by hand; beside them those before each step."""

    @staticmethod
    def forward(ctx: Any, taken_in: Tensor, state: Tensor, first: Tensor | None, lam: Tensor) -> tuple[Tensor, Tensor]:
        """Run the steps.

        Args:
            ctx: autograd's context.
            taken_in: what each step adds, complex `[T, B, N]`.
            state: complex `[B, N]`.
            first: `[T, B]`; where true, the state is 0 before that step.
            lam: eigenvalues `[N]`.
        """
        c, before = taken_in.clone(), torch.empty_like(taken_in)
        resets = steps_with_reset(first, len(c))
        for t in range(len(c)):
            last = before[t].copy_(c[t - 1] if t else state)
            if resets[t] and first is not None:
                last.masked_fill_(first[t].unsqueeze(1), 0.0)
            c[t].addcmul_(last, lam)
        ctx.save_for_backward(before, lam)
        ctx.first = first
        ctx.mark_non_differentiable(before)
        return c, before

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dc: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Gradients of every argument of `forward`; for complex numbers dL/d Re + i dL/d Im, as in PyTorch."""
        before, lam = ctx.saved_tensors
        keep = lam.conj().resolve_conj().expand_as(dc)
        if ctx.first is not None:
            keep = keep.masked_fill(ctx.first.unsqueeze(2), 0.0)
        dc = dc.clone()
        for t in range(len(dc) - 1, 0, -1):
            dc[t - 1].addcmul_(keep[t], dc[t])
        return dc, keep[0] * dc[0], None, (dc * before.conj()).sum((0, 1))


def _complex(parts: Tensor) -> Tensor:
    real, imaginary = parts.chunk(2, -1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def _real(c: Tensor) -> Tensor:
    return torch.cat((c.real, c.imag), dim=-1)


def _checked_radii(radii: Any) -> tuple[float, float]:
    pair = isinstance(radii, (tuple, list)) and len(radii) == 2 and all(is_number(value) for value in radii)
    if not (pair and 0 <= radii[0] < radii[1] <= 1):
        raise NeuroctlError(f"radii must be two numbers with 0 <= low < high <= 1, got {shown(radii)}")
    return float(radii[0]), float(radii[1])
