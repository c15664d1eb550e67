"""What the GRU has for itself, a second bias inside the reset gate; the rest is in test_fused.py."""

import torch

from neuroctl.agents.cells import GRU

B, D, H = 4, 3, 5


def test_the_reset_gate_acts_on_product_and_bias_of_the_candidate():
    cell, x, h = GRU(D, H), torch.randn(B, D), torch.randn(B, H)
    (w_r, w_z, w_n), (u_r, u_z, u_n) = cell.input_weight.chunk(3), cell.recurrent.weight().chunk(3)
    b_r, b_z, b_n = cell.bias.chunk(3)
    r, z = torch.sigmoid(x @ w_r.T + h @ u_r.T + b_r), torch.sigmoid(x @ w_z.T + h @ u_z.T + b_z)
    n = torch.tanh(x @ w_n.T + b_n + r * (h @ u_n.T + cell.candidate_bias))
    torch.testing.assert_close(cell.step(x, h)[0], (1 - z) * n + z * h)
    assert GRU.maps == ("reset_gate", "update_gate", "candidate")
