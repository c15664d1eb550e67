"""The liquid time-constant cell (LTC) of Hasani et al. 2021, arXiv 2006.04439, with its semi-implicit solver."""

from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError

from ..connectivity import LowRankSparse, RecurrentWeights
from ..wiring import Wiring
from .cell import Cell
from .ltc_sequence import run
from .memory import time_constants

EPSILON = 1e-8
"""Keeps the solver's denominator from zero."""

RANGES = {
    "gleak": (0.001, 1),
    "vleak": (-0.2, 0.2),
    "cm": (0.4, 0.6),
    "w": (0.001, 1),
    "sigma": (3, 8),
    "mu": (0.3, 0.8),
}
"""Initial values are uniform in these, as in ncps 1.0.1."""


class LTC(Cell):
    """Neurons with leak and conductance synapses; the time constant of each depends on its input.

    The potential v_j of a neuron with capacity C_j, leak (g_j, v_leak_j) and synapses from inputs and neurons i obeys

        C_j dv_j/dt = g_j (v_leak_j - v_j) + sum_i w_ij s_ij (e_ij - v_j),   s_ij = sigma(sigma_ij (v_i - mu_ij))

    A step of length ts is `unfolds` steps of length d = ts / unfolds of the fused semi-implicit solver, in which
    the inputs and, within each, the s_ij are constant:

        v_j <- (C_j / d v_j + g_j v_leak_j + sum_i w_ij s_ij e_ij) / (C_j / d + g_j + sum_i w_ij s_ij)

    C, g and w are softplus of their parameters, and so positive. Inputs and outputs pass through one gain and offset
    each. The state is v `[B, H]`, the output its affine image (motor neurons only, if there is a wiring).

    Matrices are `[to, from]`. Low-rank sparse recurrence is a design of this package, not of the papers: the factors
    make the parameter of the conductance w before its softplus, (W1 W2), whose rank bounds how conductances vary
    about softplus(0); the mask removes whole synapses, with w, sigma, mu and e. A wiring does the same, and gives the
    initial polarities e.

    Attributes:
        unfolds: solver steps per step.
        gleak, vleak, cm: parameters of the neurons, each `[H]`.
        sensory_w, sensory_sigma, sensory_mu, sensory_erev: of the synapses from the inputs, each `[H, D]`.
        recurrent: of the conductances between neurons, `[H, H]`.
        sigma, mu, erev: of the synapses between neurons, each `[H, H]`.
        mask: `[H, H]`, a buffer: the synapses between neurons that exist; None when all do.
        input_gain, input_offset: `[D]`.
        output_gain, output_offset: `[O]`.
    """

    mask: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: LowRankSparse | None = None,
        wiring: Wiring | None = None,
        unfolds: int = 6,
    ) -> None:
        """Draw the parameters.

        Args:
            input_size: D.
            hidden_size: H.
            recurrent: specification of the conductances between neurons; dense when None.
            wiring: the synapses that exist, and their polarities; all, two thirds of them excitatory, when None.
            unfolds: solver steps per step.

        Raises:
            NeuroctlError: a value outside its range.
        """
        super().__init__(input_size, hidden_size, wiring)
        self.unfolds = checked_integer("unfolds", unfolds, 1)
        D, H = input_size, hidden_size
        self.gleak, self.vleak, self.cm = (_uniform(name, H) for name in ("gleak", "vleak", "cm"))
        self.sensory_w, self.sensory_sigma, self.sensory_mu = (_uniform(name, H, D) for name in ("w", "sigma", "mu"))
        self.sigma, self.mu = _uniform("sigma", H, H), _uniform("mu", H, H)
        self.sensory_erev = _polarities(None if wiring is None else wiring.sensory, H, D)
        self.erev = _polarities(None if wiring is None else wiring.recurrent, H, H)
        self.recurrent = RecurrentWeights(("w",), H, recurrent, wiring=wiring)
        if self.recurrent.dense is not None:
            nn.init.uniform_(self.recurrent.dense, *RANGES["w"])
        masks = [m for m in (self.recurrent.mask, self.recurrent.synapses) if m is not None]
        self.register_buffer("mask", torch.stack([m.view(H, H) for m in masks]).prod(0) if masks else None)
        self.input_gain, self.input_offset = nn.Parameter(torch.ones(D)), nn.Parameter(torch.zeros(D))
        self.output_gain = nn.Parameter(torch.ones(self.output_size))
        self.output_offset = nn.Parameter(torch.zeros(self.output_size))

    @classmethod
    def from_ncps(cls, module: nn.Module) -> Self:
        """Our cell with the weights, synapses, dtype and device of an `ncps.torch.LTC`, wired or not.

        Args:
            module: an `ncps.torch.LTC` without mixed memory.

        Raises:
            NeuroctlError: the module is something else.
        """
        theirs = _convertible(module)
        masks = theirs.sparsity_mask, theirs.sensory_sparsity_mask
        exists, sensory_exists = (mask.detach().cpu().numpy().T != 0 for mask in masks)
        H, D = sensory_exists.shape
        wiring = None
        if not (exists.all() and sensory_exists.all() and theirs.motor_size == H):
            wiring = Wiring(sensory_exists, exists, theirs.motor_size, (tuple(range(H)),))
        ours = cls(D, H, wiring=wiring, unfolds=theirs._ode_unfolds)
        ours.to(theirs.w)
        with torch.no_grad():
            for name in ("gleak", "vleak", "cm"):
                getattr(ours, name).copy_(getattr(theirs, name))
            for name in ("sensory_w", "sensory_sigma", "sensory_mu", "sensory_erev", "sigma", "mu", "erev"):
                getattr(ours, name).copy_(getattr(theirs, name).t())
            assert ours.recurrent.dense is not None
            ours.recurrent.dense.copy_(theirs.w.t())
            for mine, name in (
                (ours.input_gain, "input_w"),
                (ours.input_offset, "input_b"),
                (ours.output_gain, "output_w"),
                (ours.output_offset, "output_b"),
            ):
                if hasattr(theirs, name):
                    mine.copy_(getattr(theirs, name))
        return ours

    @property
    def like(self) -> Tensor:
        """The capacities."""
        return self.cm

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Half of the units get the capacity for time constants from 1 to `steps`, with their synapses half open."""
        constants = time_constants(max(self.hidden_size // 2, 1), steps)
        half = slice(len(constants))
        conductance = (self._sensory()[2].sum(1) + self._recurrent()[2].sum(1)) / 2 + F.softplus(self.gleak)
        capacity = constants * conductance[half]
        self.cm[half] = capacity + torch.log(-torch.expm1(-capacity))  # softplus brings it back

    def step(
        self, x: Tensor, state: Tensor, first: Tensor | None = None, timespan: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step, in plain PyTorch; see `Cell.step`."""
        self.check_input(x, first, timespan, dims=2)
        self.check_state(state, x)
        rate = self._rate(x, timespan)
        v = self._solve(self._mapped(x), state, first, rate, self._neurons(), self._sensory(), self._recurrent())
        return self._outputs(v), v

    def unroll(
        self,
        x: Tensor,
        state: Tensor | None = None,
        first: Tensor | None = None,
        timespans: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """A sequence; see `Cell.unroll`.

        On the CPU, in float32 and float64, forward and backward through time are one compiled autograd node (first
        derivatives only); elsewhere the steps run one by one.
        """
        self.check_input(x, first, timespans, dims=3)
        v = self.initial_state(x.shape[1]) if state is None else state
        self.check_state(v, x)
        x, rate = self._mapped(x), self._rate(x, timespans)
        parameters = self._neurons(), self._sensory(), self._recurrent()
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            y = run(x, v, first, rate, *parameters, self.unfolds)
            return self._outputs(y), y[-1]
        path = []
        for t in range(len(x)):
            v = self._solve(x[t], v, None if first is None else first[t], rate[t], *parameters)
            path.append(v)
        return self._outputs(torch.stack(path)), v

    def recurrent_weights(self) -> dict[str, Tensor]:
        """Conductance times reversal potential of each synapse `[H, H]`."""
        return {"synapses": self._recurrent()[3]}

    def masked_parameters(self) -> int:
        """Four numbers of each absent synapse, w of those between neurons excepted."""
        absent = [0 if mask is None else int((mask == 0).sum()) for mask in (self.input_mask, self.mask)]
        return 4 * absent[0] + 3 * absent[1]

    def _solve(
        self,
        x: Tensor,
        v: Tensor,
        first: Tensor | None,
        rate: Tensor,
        neurons: Tensor,
        sensory: Tensor,
        recurrent: Tensor,
    ) -> Tensor:
        """The potentials `[B, H]` one step later, from mapped inputs `[B, D]` and unfolds per unit of time `[B]`."""
        if first is not None:
            v = v.masked_fill(first.unsqueeze(1), 0.0)
        capacity, leak_num, leak_den = neurons.unbind(0)
        capacity = capacity * rate.unsqueeze(1)
        num_in, den_in = _currents(x, sensory)
        num_in, den_in = num_in + leak_num, den_in + leak_den + capacity
        for _ in range(self.unfolds):
            num, den = _currents(v, recurrent)
            v = (capacity * v + num_in + num) / (den_in + den)
        return v

    def _mapped(self, x: Tensor) -> Tensor:
        return x * self.input_gain + self.input_offset

    def _outputs(self, v: Tensor) -> Tensor:
        return self.output(v) * self.output_gain + self.output_offset

    def _rate(self, x: Tensor, timespans: Tensor | None) -> Tensor:
        if timespans is None:
            return torch.full(x.shape[:-1], float(self.unfolds), dtype=x.dtype, device=x.device)
        return self.unfolds / timespans.to(x.dtype)

    def _neurons(self) -> Tensor:
        """Capacity, numerator and denominator of the leak `[3, H]`."""
        gleak = F.softplus(self.gleak)
        return torch.stack((F.softplus(self.cm), gleak * self.vleak, gleak + EPSILON))

    def _sensory(self) -> Tensor:
        return _synapses(self.sensory_w, self.sensory_sigma, self.sensory_mu, self.sensory_erev, self.input_mask)

    def _recurrent(self) -> Tensor:
        return _synapses(self.recurrent.weight(), self.sigma, self.mu, self.erev, self.mask)


def _synapses(w: Tensor, sigma: Tensor, mu: Tensor, erev: Tensor, mask: Tensor | None) -> Tensor:
    """sigma, sigma mu, conductance, conductance times reversal potential `[4, H, S]`."""
    conductance = F.softplus(w)
    if mask is not None:
        conductance = conductance * mask
    return torch.stack((sigma, sigma * mu, conductance, conductance * erev))


def _currents(v: Tensor, synapses: Tensor) -> tuple[Tensor, Tensor]:
    """What sources `v [B, S]` add to numerator and denominator, each `[B, H]`."""
    sigma, offset, conductance, current = synapses.unbind(0)
    s = torch.sigmoid(sigma * v.unsqueeze(1) - offset)
    return (s * current).sum(2), (s * conductance).sum(2)


def _uniform(name: str, *shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape).uniform_(*RANGES[name]))


def _polarities(wired: Any, *shape: int) -> nn.Parameter:
    if wired is not None:
        return nn.Parameter(torch.tensor(wired, dtype=torch.get_default_dtype()))
    return nn.Parameter(torch.where(torch.rand(shape) < 2 / 3, 1.0, -1.0))


def _convertible(module: nn.Module) -> Any:
    """The cell inside an `ncps.torch.LTC` that has a counterpart here."""
    import ncps.torch

    if not isinstance(module, ncps.torch.LTC):
        raise NeuroctlError(f"from_ncps takes an ncps.torch.LTC; got {type(module).__name__}")
    if module.use_mixed:
        raise NeuroctlError("from_ncps takes an LTC without mixed memory; this one has mixed_memory=True")
    cell = module.rnn_cell
    if not cell._implicit_param_constraints:
        raise NeuroctlError("from_ncps takes an LTC whose constraints are implicit; this one has them explicit")
    if cell._epsilon != EPSILON:
        raise NeuroctlError(f"from_ncps takes an LTC with epsilon={EPSILON}; this one has {cell._epsilon}")
    return cell
