"""The element-wise LSTM: its equations, a published-size golden case, and its sequence against a loop of steps."""

import pytest
import torch

from neuroctl.agents.cells import ELSTM
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import assert_gradients_are_those_of_steps

T, B, D, N = 6, 4, 3, 5


def double(cell: ELSTM) -> ELSTM:
    return cell.double()


def golden() -> ELSTM:
    """One unit and one input, with numbers that were computed by hand-written loops and central differences."""
    cell = double(ELSTM(1, 1))
    with torch.no_grad():
        for name, value in {"Z": 0.5, "F": -0.3, "w_z": 0.7, "w_f": 0.2, "b_z": 0.1, "b_f": 0.4}.items():
            getattr(cell, name).fill_(value)
    return cell


GOLDEN_X = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64).view(3, 1, 1)
GOLDEN_C = (0.6079421777042356, 0.3500078054732561, 0.4271925780372935)


def test_a_step_is_the_equations() -> None:
    cell, x, c = ELSTM(D, N), torch.randn(B, D), torch.randn(B, N)
    f = torch.sigmoid(x @ cell.F.T + cell.w_f * c + cell.b_f)
    z = torch.tanh(x @ cell.Z.T + cell.w_z * c + cell.b_z)
    new = f * c + (1 - f) * z
    h = torch.sigmoid(x @ cell.O.T + new @ cell.W_o.T + cell.b_o) * new
    y, state = cell.step(x, c)
    torch.testing.assert_close(state, new)
    torch.testing.assert_close(y, h)


def test_the_golden_case() -> None:
    cell, c = golden(), torch.full((1, 1), 0.5, dtype=torch.float64)
    for x, expected in zip(GOLDEN_X, GOLDEN_C, strict=True):
        _, c = cell.step(x, c)
        assert c.item() == pytest.approx(expected, rel=1e-14)
    assert cell.unroll(GOLDEN_X, torch.full((1, 1), 0.5, dtype=torch.float64))[1].item() == pytest.approx(GOLDEN_C[2])


def test_gradients_of_a_sequence_are_those_of_a_loop_of_steps() -> None:
    x, state = torch.randn(T, B, D, dtype=torch.float64), torch.randn(B, N, dtype=torch.float64)
    assert_gradients_are_those_of_steps(double(ELSTM(D, N)), x, state, torch.rand(T, B) < 0.3)


@pytest.mark.parametrize("inputs", [1, 5, 400])
def test_inputs_of_size_1_move_the_gates_however_few_they_are(inputs: int) -> None:
    torch.manual_seed(0)
    cell = ELSTM(inputs, 2000)
    for weights in (cell.Z, cell.F):
        assert weights.std().item() == pytest.approx(inputs**-0.5, rel=0.06)
    assert cell.w_f.std().item() == pytest.approx(0.1, rel=0.06)


def test_forget_biases_spread_up_to_twice_their_mean() -> None:
    torch.manual_seed(0)
    biases = ELSTM(D, 4000, forget_bias=2.0).b_f.detach()
    assert biases.mean().item() == pytest.approx(2.0, abs=0.1)
    assert biases.max().item() > 3.8
    cell = ELSTM(D, 4000)
    cell.remember(100)
    keep = cell.b_f.detach().sigmoid()
    assert keep.min() >= 0.5 and keep.max() == pytest.approx(0.99, abs=0.001)


@pytest.mark.parametrize("bias", [-1.0, 21.0, float("nan"), "2", None])
def test_other_forget_biases_are_refused(bias: object) -> None:
    with pytest.raises(NeuroctlError, match="forget_bias must be from 0 to 20, got"):
        ELSTM(D, N, forget_bias=bias)  # type: ignore[arg-type]
