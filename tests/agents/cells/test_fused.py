"""LSTM, GRU and RNN keep the `Cell` contract and equal the modules of PyTorch; plain steps are the kernel's oracle."""

from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.cells import GRU, LSTM, RNN
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError
from neuroctl.policy import map_state
from tests.agents.cells.steps import loop

T, B, D, H = 7, 4, 3, 5
SPEC = LowRankSparse(H, 2, 0.3, seed=1)
RANDOM = np.random.default_rng(0)
WIRING = Wiring(RANDOM.integers(-1, 2, (H, D)), RANDOM.integers(-1, 2, (H, H)), 2, (tuple(range(H)),))
KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low-rank": {"recurrent": SPEC},
    "wired": {"wiring": WIRING},
    "both": {"wiring": WIRING, "recurrent": SPEC},
}
CELLS: dict[str, Any] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
THEIRS: dict[str, Any] = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
every_cell = pytest.mark.parametrize("name", CELLS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(name, kind="dense"):
    torch.manual_seed(0)
    return CELLS[name](D, H, **KINDS[kind]).double()


def data(name, resets=True):
    g = torch.Generator().manual_seed(0)
    x, *states = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((T, B, D), (B, H), (B, H)))
    state = tuple(states) if name == "lstm" else states[0]
    return x, state, torch.rand(T, B, generator=g) < 0.3 if resets else None


@every_cell
@every_kind
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_unroll_and_its_gradients_equal_step_in_a_loop(name, kind, resets):
    cell, (x, state, first) = make(name, kind), data(name, resets)
    y, end = cell.unroll(x, state, first)
    expected, last = loop(cell, x, state, first)
    torch.testing.assert_close((y, end), (expected, last), rtol=0, atol=1e-12)
    torch.testing.assert_close(cell.outputs(x, state, first), y, rtol=0, atol=1e-12)
    wanted = [x.requires_grad_(), *cell.parameters()]
    truth = torch.autograd.grad(loop(cell, x, state, first)[0].square().sum(), wanted)
    gradients = torch.autograd.grad(cell.unroll(x, state, first)[0].square().sum(), wanted)
    torch.testing.assert_close(gradients, truth, rtol=0, atol=1e-10)
    assert all(bool(gradient.abs().max() > 0) for gradient in truth)


def twin(name, cell):
    """PyTorch's module with the weights of our cell."""
    theirs, second = THEIRS[name](D, H).double(), torch.zeros_like(cell.bias)
    with torch.no_grad():
        if name == "gru":
            second[2 * H :] = cell.candidate_bias
        weights = (cell.input_weight, cell.recurrent.weight(), cell.bias, second)
        for mine, value in zip(theirs.parameters(), weights, strict=True):
            mine.copy_(value)
    return theirs


@every_cell
@pytest.mark.parametrize("kind", ["dense", "low-rank"])
def test_equal_weights_have_the_outputs_states_and_gradients_of_torch(name, kind):
    cell, (x, state, _) = make(name, kind), data(name)
    theirs, start = twin(name, cell), map_state(lambda part: part[None], state)
    expected, last = theirs(x.requires_grad_(), start)
    truth = torch.autograd.grad(expected.square().sum(), x)
    for y, end in (cell.unroll(x, state), loop(cell, x, state)):
        torch.testing.assert_close((y, end), (expected, map_state(lambda part: part[0], last)), rtol=0, atol=1e-12)
        torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x), truth, rtol=0, atol=1e-10)


@every_cell
def test_initial_law_is_that_of_torch(name):
    for parameter in CELLS[name](17, 64).parameters():
        assert float(parameter.detach().abs().max()) == pytest.approx(64**-0.5, rel=0.05)


@every_cell
def test_the_recurrent_matrices_have_names_and_ranks(name):
    weights = CELLS[name](D, H, recurrent=LowRankSparse(H, 2, 0.0)).recurrent_weights()
    assert tuple(weights) == CELLS[name].maps and len(weights) == {"lstm": 4, "gru": 3, "rnn": 1}[name]
    assert all(int(torch.linalg.matrix_rank(weight)) == 2 for weight in weights.values())


@every_cell
def test_state_persists_across_calls(name):
    cell, (x, state, first) = make(name), data(name)
    start, middle = cell.unroll(x[:4], state, first[:4])
    end, last = cell.unroll(x[4:], middle, first[4:])
    whole, final = cell.unroll(x, state, first)
    torch.testing.assert_close((torch.cat((start, end)), last), (whole, final), rtol=0, atol=1e-12)


@every_cell
def test_a_reset_row_forgets_even_a_broken_state(name):
    cell, (x, state, _) = make(name), data(name)
    for part in state if name == "lstm" else (state,):
        part[1] = torch.nan
    first = torch.zeros(T, B, dtype=torch.bool)
    first[0, 1] = True
    y, _ = cell.unroll(x, state, first)
    torch.testing.assert_close(y[:, 1], cell.unroll(x[:, 1:2])[0][:, 0], rtol=0, atol=1e-12)


@every_cell
def test_absent_synapses_have_no_influence_and_motor_neurons_are_the_output(name):
    cell, (x, state, _) = make(name, "wired"), data(name)
    assert cell.step(x[0], state)[0].shape == (B, cell.output_size) == (B, WIRING.motors)

    def units(x, h):
        rest = (state[1][:1],) if name == "lstm" else ()
        _, after = cell.step(x[None], (h[None], *rest) if rest else h[None])
        return (after[0] if rest else after)[0]

    h = (state[0] if name == "lstm" else state)[0]
    of_x, of_h = torch.autograd.functional.jacobian(units, (x[0, 0], h))
    own = torch.eye(H, dtype=torch.bool) if name == "gru" else torch.zeros(H, H, dtype=torch.bool)
    assert torch.equal(of_x != 0, torch.tensor(WIRING.sensory != 0))
    assert torch.equal(of_h != 0, torch.tensor(WIRING.recurrent != 0) | own), "the GRU also keeps its own state"


@every_cell
def test_parameters_are_counted_as_by_hand(name):
    maps = len(CELLS[name].maps)
    bias = maps * H + (H if name == "gru" else 0)
    assert make(name).stored_parameters == make(name).effective_parameters == maps * (D * H + H * H) + bias
    low = make(name, "low-rank")
    assert low.stored_parameters == maps * (D * H + 2 * 2 * H) + bias
    nonzeros = sum(min(2 * 2 * H, int((m != 0).sum())) for m in low.recurrent_weights().values())
    assert low.effective_parameters == maps * D * H + nonzeros + bias
    wired = make(name, "wired")
    assert wired.stored_parameters == maps * (D * H + H * H) + bias
    assert wired.effective_parameters == maps * WIRING.synapses + bias
    assert not any("mask" in n or "synapses" in n for n, _ in wired.named_parameters())


@every_cell
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(T, B, D, dtype=torch.int64)}, "input has dtype torch.int64; expected torch.float32"),
        ({"x": torch.zeros(T, B, D, dtype=torch.float64)}, "input has dtype torch.float64; expected torch.float32"),
        ({"x": torch.zeros(T, B)}, r"expected \[T, B, D\]"),
        ({"state": "double"}, "state has dtype torch.float64; expected torch.float32"),
        ({"state": "wide"}, r"state has shape \[4, 6\]; expected \[4, 5\]"),
        ({"state": ()}, "state"),
        ({"timespans": torch.ones(T, B)}, "has no continuous time: timespans must be None; CfC and LTC take them"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, change, message):
    cell = CELLS[name](D, H)
    if change.get("state") in ("double", "wide"):
        bad = torch.zeros(B, H, dtype=torch.float64) if change["state"] == "double" else torch.zeros(B, H + 1)
        change = {"state": (bad, bad) if name == "lstm" else bad}
    with pytest.raises(NeuroctlError, match=message) as error:
        cell.unroll(**({"x": torch.zeros(T, B, D)} | change))
    assert "\n" not in str(error.value)


@every_cell
def test_a_wiring_of_another_size_is_refused(name):
    with pytest.raises(NeuroctlError, match="the wiring has 3 inputs and 5 neurons; this cell has input_size = 4"):
        CELLS[name](D + 1, H, wiring=WIRING)
    with pytest.raises(NeuroctlError, match="wiring must be a Wiring; got int; see Wiring.from_ncps"):
        CELLS[name](D, H, wiring=3)
