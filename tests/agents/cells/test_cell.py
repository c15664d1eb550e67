"""What every cell checks and counts is in the base class."""

from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.cells import ELSTM, GRU, LRU, LSTM, LTC, RNN, RTU, Cell, CfC, FeedForward
from neuroctl.errors import NeuroctlError

T, B, D, H = 3, 2, 4, 5
CELLS = {
    "cfc": lambda: CfC(D, H, backbone_units=0),
    "cfc with backbone": lambda: CfC(D, H),
    "lstm": lambda: LSTM(D, H),
    "gru": lambda: GRU(D, H),
    "rnn": lambda: RNN(D, H),
    "elstm": lambda: ELSTM(D, H),
    "lru": lambda: LRU(D, H),
    "rtu": lambda: RTU(D, H),
    "ltc": lambda: LTC(D, H),
    "mlp": lambda: FeedForward(D, H, frame_stack=3),
}
every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.uint8, torch.bool])
def test_inputs_of_another_dtype_are_refused(name, dtype):
    cell = CELLS[name]()
    x = torch.zeros(T, B, D, dtype=dtype)
    message = f"input has dtype {dtype}; expected torch.float32, that of the parameters"
    with pytest.raises(NeuroctlError, match=message):
        cell.unroll(x)
    with pytest.raises(NeuroctlError, match=message):
        cell.step(x[0], cell.initial_state(B))


@every_cell
@pytest.mark.parametrize(
    "first", [torch.zeros(B, T, dtype=torch.bool), torch.zeros(T, B), torch.zeros(T, B, dtype=torch.uint8)]
)
def test_resets_of_another_form_are_refused(name, first):
    with pytest.raises(NeuroctlError, match="first has (shape|dtype)"):
        CELLS[name]().unroll(torch.zeros(T, B, D), first=first)


@every_cell
def test_a_state_of_another_kind_is_refused_in_one_line(name):
    cell, x = CELLS[name](), torch.zeros(T, B, D)
    for state in (torch.zeros(B + 1, H), (torch.zeros(B, H),) * 3, torch.zeros(B, H, dtype=torch.float64)):
        with pytest.raises(NeuroctlError, match="state") as error:
            cell.unroll(x, state)
        assert "\n" not in str(error.value)


@every_cell
@pytest.mark.parametrize("array", [np.zeros((T, B, D), np.float32), [[[0.0] * D] * B] * T, None, 3])
def test_what_is_no_tensor_is_refused_in_one_line(name, array):
    cell = CELLS[name]()
    for call in (lambda: cell.unroll(array), lambda: cell.step(array, cell.initial_state(B))):
        with pytest.raises(NeuroctlError, match=rf"^input is a {type(array).__name__}; expected a tensor \["):
            call()
    if array is None:
        return
    x, message = torch.zeros(T, B, D), rf"is a {type(array).__name__}; expected a tensor"
    with pytest.raises(NeuroctlError, match=f"first {message}"):
        cell.unroll(x, first=array)
    with pytest.raises(NeuroctlError, match="state"):
        cell.step(x[0], array)
    if "cfc" in name or name == "ltc":
        with pytest.raises(NeuroctlError, match=f"timespans {message}"):
            cell.unroll(x, timespans=array)


@every_cell
@pytest.mark.parametrize("size", ["2", [2], np.zeros(2), None, 2.0, 0, -1, True])
def test_a_batch_size_that_is_none_is_refused(name, size):
    with pytest.raises(NeuroctlError, match="^batch_size must be an integer >= 1, got "):
        CELLS[name]().initial_state(size)


def test_sizes_are_integers_of_any_kind_but_truth_values():
    sizes: Any
    for sizes in ((True, H), (D, True), (D, 2.0), (0, H), (D, "5")):
        with pytest.raises(NeuroctlError, match="_size must be an integer >= 1, got "):
            RNN(*sizes)
    sizes = (np.int64(D), np.uint8(H))
    assert type(RNN(*sizes).hidden_size) is int


@pytest.mark.parametrize("name", ["cfc", "cfc with backbone", "ltc"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_one_timespan_out_of_range_is_refused(name, value):
    cell, spans = CELLS[name](), torch.ones(T, B)
    spans[1, 1] = value
    message = "timespans must be > 0 and finite; got values from"
    with pytest.raises(NeuroctlError, match=message):
        cell.unroll(torch.zeros(T, B, D), timespans=spans)
    with pytest.raises(NeuroctlError, match=message):
        cell.step(torch.zeros(B, D), cell.initial_state(B), timespan=spans[1])


@pytest.mark.parametrize("name", ["lstm", "elstm", "lru", "rtu", "gru", "rnn", "mlp"])
def test_cells_without_continuous_time_refuse_timespans(name):
    with pytest.raises(NeuroctlError, match="has no continuous time: timespans must be None; CfC and LTC take them"):
        CELLS[name]().unroll(torch.zeros(T, B, D), timespans=torch.ones(T, B))


@every_cell
def test_a_cell_without_masks_has_as_many_effective_as_stored_parameters(name):
    cell = CELLS[name]()
    assert cell.stored_parameters == sum(p.numel() for p in cell.parameters()) == cell.effective_parameters
    next(iter(cell.parameters())).requires_grad_(False)
    assert cell.stored_parameters < sum(p.numel() for p in cell.parameters())


@every_cell
def test_the_state_follows_the_dtype_of_the_cell(name):
    cell = CELLS[name]().double()
    assert cell.like.dtype == torch.float64 and isinstance(cell, Cell)
    y, _ = cell.unroll(torch.zeros(T, B, D, dtype=torch.float64), cell.initial_state(B))
    assert y.shape == (T, B, cell.output_size) and y.dtype == torch.float64
