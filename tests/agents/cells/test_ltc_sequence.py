"""The compiled sequence in single precision, and what it promises about rows; equality with the step is in test_ltc."""

import copy

import pytest
import torch

from neuroctl.agents.cells import LTC


def sample(units, inputs=17, length=20, batch_size=6):
    torch.manual_seed(0)
    cell, x = LTC(inputs, units), torch.randn(length, batch_size, inputs)
    first = torch.rand(length, batch_size) < 0.1
    return cell, x, first, torch.rand(length, batch_size) + 0.5


@pytest.mark.parametrize("units", [1, 19, 33])
def test_float32_is_the_float64_result_to_single_precision(units):
    cell, x, first, spans = sample(units)
    double = copy.deepcopy(cell).double()
    y, state = cell.unroll(x, None, first, spans)
    expected, _ = double.unroll(x.double(), None, first, spans.double())
    assert y.dtype == state.dtype == torch.float32
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=2e-6)
    y.square().sum().backward()
    expected.square().sum().backward()
    for (name, mine), true in zip(cell.named_parameters(), double.parameters(), strict=True):
        assert mine.grad is not None and true.grad is not None
        error = (mine.grad.double() - true.grad).abs().max() / true.grad.abs().max()
        assert float(error) < 1e-4, name


def test_the_bits_of_a_row_do_not_depend_on_its_neighbours():
    cell, x, first, spans = sample(19)
    y, _ = cell.unroll(x, None, first, spans)
    alone, _ = cell.unroll(x[:, 2:3], None, first[:, 2:3], spans[:, 2:3])
    assert torch.equal(y[:, 2:3], alone)


def test_backward_can_run_twice_on_one_graph_and_only_for_some():
    cell, x, first, _ = sample(5)
    cell.sigma.requires_grad_(False)
    y, _ = cell.unroll(x, None, first)
    once = torch.autograd.grad(y.sum(), cell.mu, retain_graph=True)
    assert torch.equal(torch.autograd.grad(y.sum(), cell.mu)[0], once[0])


def test_an_output_can_be_edited_without_harm_to_the_gradient():
    cell, x, first, _ = sample(5)
    truth = torch.autograd.grad(cell.unroll(x, None, first)[0].sum(), cell.mu)
    y, _ = cell.unroll(x, None, first)
    total = y.sum()
    with torch.no_grad():
        y.zero_()
    assert torch.equal(torch.autograd.grad(total, cell.mu)[0], truth[0])
