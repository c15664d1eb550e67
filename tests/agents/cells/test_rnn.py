"""The RNN's one formula; the rest is in test_fused.py."""

import torch

from neuroctl.agents.cells import RNN

B, D, H = 4, 3, 5


def test_a_step_is_one_layer_of_tanh():
    cell, x, h = RNN(D, H), torch.randn(B, D), torch.randn(B, H)
    y, state = cell.step(x, h)
    expected = torch.tanh(x @ cell.input_weight.T + h @ cell.recurrent.weight().T + cell.bias)
    torch.testing.assert_close((y, state), (expected, expected))
