"""Cells of different kinds and sizes on top of each other are one cell."""

import pytest
import torch

from neuroctl.agents.cells import GRU, LSTM, LTC, RNN, CfC, FeedForward, Stacked
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.errors import NeuroctlError
from neuroctl.policy import map_state
from tests.agents.cells.steps import loop

T, B, D = 6, 3, 4


def make():
    cells = [
        LSTM(D, 7),
        CfC(7, 5, backbone_units=0, recurrent=LowRankSparse(5, 2, 0.4)),
        FeedForward(5, 6, frame_stack=2),
        GRU(6, 2),
    ]
    return Stacked(cells).double()


def data():
    first = torch.rand(T, B) < 0.3
    first[0] = True
    return torch.randn(T, B, D, dtype=torch.float64), first


def test_unroll_equals_step_in_a_loop():
    cell, (x, first) = make(), data()
    y, end = cell.unroll(x, None, first)
    torch.testing.assert_close((y, end), loop(cell, x, cell.initial_state(B), first), rtol=0, atol=1e-12)
    assert y.shape == (T, B, cell.output_size) == (T, B, 2)


def test_it_is_each_cell_on_the_output_of_the_last():
    cell, (x, first) = make(), data()
    expected = x
    for part in cell.cells:
        expected, _ = part.unroll(expected, None, first)
    assert torch.equal(cell.unroll(x, None, first)[0], expected)


def test_state_persists_across_calls_and_is_batch_first():
    cell, (x, first) = make(), data()
    start, state = cell.unroll(x[:2], None, first[:2])
    end, _ = cell.unroll(x[2:], state, first[2:])
    torch.testing.assert_close(torch.cat((start, end)), cell.unroll(x, None, first)[0], rtol=0, atol=1e-12)
    map_state(lambda tensor: pytest.fail("not batch first") if len(tensor) != B else tensor, state)


def test_parameters_weights_and_units_are_those_of_the_parts():
    cell = make()
    assert cell.hidden_size == 7 + 5 + 6 + 2
    for count in ("stored_parameters", "effective_parameters"):
        assert getattr(cell, count) == sum(getattr(part, count) for part in cell.cells)
    assert cell.effective_parameters < cell.stored_parameters
    assert set(cell.recurrent_weights()) >= {"0.forget_gate", "1.time_a", "3.candidate"}


def test_timespans_reach_every_cell():
    cell, spans = Stacked([CfC(D, 5), LTC(5, 3)]), torch.rand(T, B) + 0.1
    x = torch.randn(T, B, D)
    assert not torch.equal(cell.unroll(x, timespans=spans)[0], cell.unroll(x)[0])
    with pytest.raises(NeuroctlError, match="the RNN has no continuous time"):
        Stacked([CfC(D, 5), RNN(5, 3)]).unroll(x, timespans=spans)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (lambda: [], "at least one cell"),
        (lambda: None, "takes a list of cells; got NoneType"),
        (lambda: RNN(D, 5), "takes a list of cells; got RNN"),
        (lambda: [1], "takes cells; got int"),
        (lambda: [RNN(D, 5), torch.nn.Linear(5, 2)], "takes cells; got Linear"),
        (lambda: [RNN(D, 5), RNN(4, 2)], "cell 0 has output_size 5, but cell 1 has input_size 4"),
    ],
)
def test_what_does_not_stack_is_refused_in_one_line(cells, message):
    with pytest.raises(NeuroctlError, match=message):
        Stacked(cells())


def test_cells_may_come_from_any_iterable():
    assert len(Stacked(RNN(D, D) for _ in range(3)).cells) == 3  # type: ignore[arg-type]


def test_a_state_of_another_stack_is_refused():
    x, _ = data()
    for state in (torch.zeros(B, 20), (torch.zeros(B, 7),)):
        with pytest.raises(NeuroctlError, match="the state of 4 stacked cells is a tuple of as many states"):
            make().unroll(x, state)
