"""How far back a cell remembers before it has learned anything: draws for gates and time constants.

As they are usually drawn, gates are half open, and what a cell saw is gone after a few steps, its gradient with it.
"""

import torch
from torch import Tensor

from neuroctl.checks import checked_integer

MOST_STEPS = 10**6


def chrono_biases(units: int, steps: int) -> Tensor:
    """Biases `[units]` of gates that keep a fraction 1 - 1/T of the state, T uniform in [2, steps].

    The chrono initialisation of Tallec and Ollivier 2018, arXiv 1804.11188: log U[1, steps - 1].

    Raises:
        NeuroctlError: see `checked_steps`.
    """
    return torch.log(1 + (checked_steps(steps) - 2) * torch.rand(units))


def time_constants(units: int, steps: int) -> Tensor:
    """From 1 to `steps` in equal ratios, `[units]`.

    Raises:
        NeuroctlError: see `checked_steps`.
    """
    return torch.logspace(0, 1, units, base=checked_steps(steps))


def checked_steps(steps: int) -> int:
    """`steps`, if a memory can span them.

    Raises:
        NeuroctlError: no integer from 2 to a million.
    """
    return checked_integer("the steps that a memory spans", steps, 2, MOST_STEPS)
