"""LRU and RTU: their equations in real numbers, and their sequences against a loop of steps."""

from typing import Any

import pytest
import torch

from neuroctl.agents.cells import LRU, RTU
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import assert_gradients_are_those_of_steps

T, B, D, N = 6, 4, 3, 5
F64 = torch.float64
both = pytest.mark.parametrize("kind", [LRU, RTU])


@both
def test_a_step_turns_and_shrinks_pairs_of_real_numbers(kind: Any) -> None:
    cell, x, state = kind(D, N).double(), torch.randn(B, D, dtype=F64), torch.randn(B, 2 * N, dtype=F64)
    one, two = state.chunk(2, 1)
    r, angle = torch.exp(-torch.exp(cell.nu)), torch.exp(cell.theta)
    size = torch.exp(cell.gamma) if kind is LRU else torch.sqrt(1 - r**2)
    g, phi = r * torch.cos(angle), r * torch.sin(angle)
    new_one = g * one - phi * two + size * (x @ cell.W_re.T)
    new_two = g * two + phi * one + size * (x @ cell.W_im.T)
    if kind is LRU:
        wanted = new_one @ cell.C_re.T - new_two @ cell.C_im.T + x @ cell.D.T
    else:
        wanted = torch.cat((new_one, new_two), 1).clamp_min(0)
    y, after = cell.step(x, state)
    torch.testing.assert_close(after, torch.cat((new_one, new_two), 1))
    torch.testing.assert_close(y, wanted)
    assert y.shape == (B, cell.output_size)


@both
def test_gradients_of_a_sequence_are_those_of_a_loop_of_steps(kind: Any) -> None:
    x, state = torch.randn(T, B, D, dtype=F64), torch.randn(B, 2 * N, dtype=F64)
    assert_gradients_are_those_of_steps(kind(D, N).double(), x, state, torch.rand(T, B) < 0.3)


@both
def test_units_remember_as_long_as_the_ring_says(kind: Any) -> None:
    torch.manual_seed(0)
    sizes = kind(D, 4000, radii=(0.5, 0.9)).eigenvalues().abs()
    assert sizes.min() >= 0.5 and sizes.max() <= 0.9
    assert (sizes**2).mean().item() == pytest.approx((0.25 + 0.81) / 2, abs=0.01)  # uniform by area
    cell = kind(D, 4000)
    cell.remember(100)
    kept = cell.eigenvalues().abs().detach()
    assert kept.min() >= 0.49 and kept.max().item() == pytest.approx(0.99, abs=0.001)
    assert torch.isfinite(kind(D, 4000).nu).all()


@both
@pytest.mark.parametrize("radii", [(0.5, 0.5), (0.9, 0.1), (-0.1, 0.5), (0.5, 1.1), 0.5, (0.1, "1"), None])
def test_other_rings_are_refused(kind: Any, radii: Any) -> None:
    with pytest.raises(NeuroctlError, match="radii must be two numbers with 0 <= low < high <= 1, got"):
        kind(D, N, radii=radii)


@both
def test_a_state_of_half_the_size_is_refused(kind: Any) -> None:
    cell, x = kind(D, N), torch.zeros(B, D)
    for state in (torch.zeros(B, N), torch.zeros(B, 2 * N, dtype=F64), None):
        with pytest.raises(NeuroctlError, match="state (has|is)"):
            cell.step(x, state)
