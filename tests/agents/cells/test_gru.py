"""The GRU equals `torch.nn.GRU`; what it shares with the others is in test_fused.py."""

import pytest
import torch

from neuroctl.agents.cells import GRU
from neuroctl.agents.connectivity import LowRankSparse

T, B, D, H = 7, 4, 3, 5


def twins(**options):
    """Our cell and `torch.nn.GRU` with the same weights."""
    cell, theirs = GRU(D, H, **options).double(), torch.nn.GRU(D, H).double()
    second = torch.cat((torch.zeros(2 * H), cell.candidate_bias))
    with torch.no_grad():
        weights = (cell.input_weight, cell.recurrent.weight(), cell.bias, second)
        for mine, value in zip(theirs.parameters(), weights, strict=True):
            mine.copy_(value)
    return cell, theirs


@pytest.mark.parametrize("options", [{}, {"recurrent": LowRankSparse(H, 2, 0.3)}], ids=["dense", "low-rank"])
def test_equal_weights_have_the_outputs_and_gradients_of_torch(options):
    cell, theirs = twins(**options)
    x, h = torch.randn(T, B, D, dtype=torch.float64, requires_grad=True), torch.randn(B, H, dtype=torch.float64)
    expected, last = theirs(x, h[None])
    for run in (cell.unroll, by_steps(cell)):
        y, state = run(x, h)
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(state, last[0], rtol=0, atol=1e-12)
        truth = torch.autograd.grad(theirs(x, h[None])[0].square().sum(), x)
        torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x), truth, rtol=0, atol=1e-10)


def by_steps(cell):
    def run(x, h):
        outputs = []
        for now in x:
            y, h = cell.step(now, h)
            outputs.append(y)
        return torch.stack(outputs), h

    return run


def test_initial_law_is_that_of_torch():
    for parameter in GRU(17, 64).parameters():
        assert float(parameter.detach().abs().max()) == pytest.approx(64**-0.5, rel=0.05)


def test_the_recurrent_matrices_have_names_and_ranks():
    weights = GRU(D, H, recurrent=LowRankSparse(H, 2, 0.0)).recurrent_weights()
    assert tuple(weights) == GRU.maps and len(weights) == 3
    assert all(int(torch.linalg.matrix_rank(weight)) == 2 for weight in weights.values())
