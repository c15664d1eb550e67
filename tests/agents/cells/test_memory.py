"""Cells that begin with a memory: what they keep of an input after many steps, before any training."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.cells import GRU, LSTM, LTC, RNN, CfC, FeedForward, Stacked
from neuroctl.agents.cells.memory import chrono_biases, time_constants
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError, UnknownNameError

STEPS = 100
CELLS = {
    "cfc": lambda: CfC(4, 32, backbone_units=0),
    "cfc-low-rank": lambda: CfC(4, 32, backbone_units=0, recurrent=LowRankSparse(32, 8, 0.5)),
    "lstm": lambda: LSTM(4, 32),
    "gru": lambda: GRU(4, 32),
    "rnn": lambda: RNN(4, 32),
    "ltc": lambda: LTC(4, 32),
}


def trace(make, remember):
    """How much the states after 60 steps of silence still depend on the state that the cell began with."""
    torch.manual_seed(0)
    cell = make()
    if remember:
        cell.remember(STEPS)
    like = cell.initial_state(2)
    far = torch.zeros(2, 32)
    far[1] = 0.3
    state = (like[0], far) if isinstance(like, tuple) else far
    _, last = cell.unroll(torch.zeros(60, 2, 4), state)
    last = last[1] if isinstance(last, tuple) else last
    return (last[1] - last[0]).norm().item()


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_remembers_what_it_would_otherwise_have_forgotten(name):
    before, after = trace(CELLS[name], False), trace(CELLS[name], True)
    assert after > 0.1 > 0.01 > before


def test_the_gates_of_an_lstm_keep_for_as_long_as_was_asked():
    torch.manual_seed(0)
    cell = LSTM(4, 4096)
    cell.remember(STEPS)
    kept = cell.bias.chunk(4)[1].sigmoid()
    spans = 1 / (1 - kept)
    assert 2 <= spans.min() < 2.2
    assert 99 < spans.max() <= STEPS
    assert spans.mean().item() == pytest.approx((2 + STEPS) / 2, rel=0.02)
    assert torch.equal(cell.bias.chunk(4)[0], -cell.bias.chunk(4)[1])


@pytest.mark.parametrize("unit", [0, 8, 15])
def test_a_unit_of_a_cfc_decays_with_its_time_constant(unit):
    cell: Any = CfC(4, 32, backbone_units=0)
    cell.remember(STEPS)
    with torch.no_grad():
        cell.recurrent.dense[32:] = 0.0  # what the other maps add
        cell.bias[32:64] = 0.0
    state = torch.zeros(1, 32)
    state[0, unit] = 1e-3  # where tanh is a line
    _, last = cell.step(torch.zeros(1, 4), state)
    span = STEPS ** (unit / 15)
    assert last[0, unit].item() == pytest.approx(1e-3 * (1 - 1 / (1 + span)), rel=1e-4)


@pytest.mark.parametrize("unit", [0, 8, 15])
def test_a_neuron_of_an_ltc_decays_with_its_time_constant(unit):
    cell = LTC(4, 32, unfolds=100)
    cell.remember(STEPS)
    with torch.no_grad():
        for w in (cell.sigma, cell.sensory_sigma):
            w.zero_()  # every synapse is half open
        for current in (cell.erev, cell.sensory_erev, cell.vleak):
            current.zero_()
    state = torch.zeros(1, 32)
    state[0, unit] = 1.0
    _, last = cell.step(torch.zeros(1, 4), state)
    assert last[0, unit].item() == pytest.approx(math.exp(-1 / STEPS ** (unit / 15)), rel=0.01)


def test_low_rank_weights_hold_units_whose_synapse_exists_and_no_more_than_their_rank():
    cell: Any = CfC(4, 32, backbone_units=0, recurrent=LowRankSparse(32, 8, 0.5))
    mask = cell.recurrent.mask[0]
    cell.remember(STEPS)
    expected = torch.diag((mask.diagonal() * (mask.diagonal().cumsum(0) <= 8)).float())
    assert expected.sum() == 8
    assert torch.equal(cell.recurrent.map_weight("ff1"), expected)


def test_a_sparse_matrix_of_full_rank_keeps_its_other_rows():
    cell = RNN(4, 32, recurrent=LowRankSparse(32, 32, 0.5))
    before = cell.recurrent.map_weight("hidden").detach().clone()
    held = cell.recurrent.hold("hidden", 4)
    after = cell.recurrent.map_weight("hidden")
    others = [unit for unit in range(32) if unit not in held]
    assert torch.equal(after[held], torch.eye(32)[held])
    assert torch.equal(after[others], before[others])


def test_only_neurons_with_a_synapse_onto_themselves_hold():
    own = np.array([0, 1, 0, 1, 1])
    wiring = Wiring(np.ones((5, 3), int), np.diag(own), 5, (tuple(range(5)),))
    cell: Any = CfC(3, 5, backbone_units=0, wiring=wiring)
    assert cell.recurrent.hold("ff1", 2).tolist() == [1, 3]


def test_where_no_unit_can_hold_that_is_said():
    wiring = Wiring(np.ones((5, 3), int), np.zeros((5, 5), int), 5, (tuple(range(5)),))
    for cell in (RNN(3, 5, wiring=wiring), RNN(3, 5, recurrent=LowRankSparse(5, 2, 0.999))):
        with pytest.raises(NeuroctlError, match="no unit has a synapse onto itself in 'hidden'"):
            cell.remember(STEPS)
    with pytest.raises(UnknownNameError, match="unknown map 'x'"):
        cell.recurrent.hold("x", 2)
    with pytest.raises(NeuroctlError, match="most must be an integer >= 1, got -1"):
        cell.recurrent.hold("hidden", -1)


@pytest.mark.parametrize("make", [CfC, LTC, RNN])
def test_a_cell_of_one_unit_remembers(make):
    cell = make(5, 1, backbone_units=0) if make is CfC else make(5, 1)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    cell.remember(STEPS)
    assert any(not torch.equal(value, before[name]) for name, value in cell.state_dict().items())


def test_stacked_cells_remember_each():
    cell = Stacked([GRU(3, 4), RNN(4, 6)])
    cell.remember(STEPS)
    below, above = cell.recurrent_weights(), dict(cell.named_parameters())
    assert above["cells.0.bias"].chunk(3)[1].min() >= 0
    assert torch.equal(below["1.hidden"][:3], torch.eye(6)[:3])


def test_what_is_not_held_is_as_it_was_drawn():
    torch.manual_seed(0)
    cell: Any = CfC(4, 32, backbone_units=0)
    before = {name: value.clone() for name, value in cell.state_dict().items()}
    cell.remember(STEPS)
    after = cell.state_dict()
    assert torch.equal(after["recurrent.dense"][16:], before["recurrent.dense"][16:])
    assert torch.equal(after["input_weight"][16:], before["input_weight"][16:])
    assert torch.equal(after["bias"][32:64], before["bias"][32:64])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CfC(4, 8), "in mode 'default' and without a backbone; this one has a backbone"),
        (lambda: CfC(4, 8, backbone_units=0, mode="no_gate"), "this one has mode 'no_gate'"),
        (lambda: FeedForward(4, 8), "the FeedForward has no gates or time constants to remember 100 steps with"),
    ],
)
def test_a_cell_that_has_nothing_to_remember_with_says_so(make, message):
    with pytest.raises(NeuroctlError, match=message):
        make().remember(STEPS)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("steps", [1, 2.5, True, "9", 10**6 + 1, 10**400])
def test_a_span_that_is_no_number_of_steps_is_refused(name, steps):
    with pytest.raises(NeuroctlError, match="the steps that a memory spans must be an integer from 2 to 1000000"):
        CELLS[name]().remember(steps)


def test_the_shortest_span_is_two_steps():
    assert chrono_biases(3, 2).tolist() == [0.0, 0.0, 0.0]
    assert time_constants(2, 2).tolist() == [1.0, 2.0]
