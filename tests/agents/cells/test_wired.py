"""A wired cell has the synapses of its wiring and no others; ncps with its absent synapses cleared is the reference."""

from typing import Any

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch
from torch import nn

from neuroctl.agents.cells import GRU, LSTM, LTC, RNN, CfC, Stacked, wired
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import loop

T, B, D, H, MOTORS = 6, 3, 4, 14, 2
NCP = Wiring.auto(D, H, MOTORS, seed=3)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "cfc": (CfC, {"backbone_units": 0}),
    "cfc pure": (CfC, {"backbone_units": 0, "mode": "pure"}),
    "lstm": (LSTM, {}),
    "gru": (GRU, {}),
    "rnn": (RNN, {}),
    "ltc": (LTC, {}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind, wiring=NCP):
    torch.manual_seed(0)
    cell, options = KINDS[kind]
    return wired(cell, wiring, **options).double()


def reach(matrix, steps):
    """Whether there is a path of at most `steps` synapses, itself included."""
    path = np.eye(len(matrix), dtype=int)
    for _ in range(steps):
        path = path + (matrix != 0) @ path
    return path > 0


@every_kind
def test_unroll_equals_step_in_a_loop_and_the_motor_neurons_are_the_output(kind):
    cell, x = make(kind), torch.randn(T, B, D, dtype=torch.float64)
    first = torch.rand(T, B) < 0.3
    y, end = cell.unroll(x, None, first)
    torch.testing.assert_close((y, end), loop(cell, x, cell.initial_state(B), first), rtol=0, atol=1e-12)
    assert (cell.output_size, cell.motors, cell.hidden_size) == (MOTORS, MOTORS, H)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_every_map_of_a_cfc_lacks_the_absent_synapses(mode):
    wiring = Wiring.from_ncps(ncps.wirings.Random(H, MOTORS, 0.6), D)
    cell = CfC(D, H, mode=mode, backbone_units=0, wiring=wiring).double()
    x, h, span = (torch.rand(n, dtype=torch.float64) for n in (D, H, 1))
    jacobians = torch.autograd.functional.jacobian(lambda x, h: cell.step(x[None], h[None], None, span)[1][0], (x, h))
    for jacobian, exists in zip(jacobians, (wiring.sensory, wiring.recurrent), strict=True):
        assert torch.equal(jacobian != 0, torch.tensor(exists != 0))
    theirs = ncps.torch.CfC(D, ncps.wirings.Random(H, MOTORS, 0.6), mode=mode).double()
    leaky = torch.autograd.functional.jacobian(lambda h: theirs.rnn_cell(x[None], h[None], 1.0)[1][0], h)
    assert bool((leaky != 0).all()), "the defect that this guards against is gone from ncps"


@pytest.mark.parametrize("kind", ["cfc", "cfc pure", "lstm", "gru", "rnn"])
def test_signals_only_take_the_paths_of_the_ncp(kind):
    cell, x = make(kind), torch.randn(1, 1, D, dtype=torch.float64)
    of_x = torch.autograd.functional.jacobian(lambda x: cell.unroll(x)[0][0, 0], x)[:, 0, 0]
    through = reach(NCP.recurrent, H)[:MOTORS] @ (NCP.sensory != 0) > 0
    assert not bool((of_x != 0)[~torch.tensor(through)].any())
    assert bool((of_x != 0).any()), "an input reaches the motor neurons within one step"


def test_the_command_neurons_alone_remember_in_a_wired_cfc():
    cell: Any = make("cfc")
    assert isinstance(cell, Stacked)
    parts: Any = cell.cells
    for part, remembers in zip(parts, (False, True, False), strict=True):
        h = torch.rand(1, part.hidden_size, dtype=torch.float64)
        x = torch.rand(1, part.input_size, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(lambda h, x=x, part=part: part.step(x, h)[1], h)
        assert bool((jacobian != 0).any()) is remembers


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_equal_weights_equal_ncps_once_its_absent_synapses_are_cleared(mode):
    wiring = ncps.wirings.AutoNCP(H, MOTORS)
    ours: Any = wired(CfC, Wiring.from_ncps(wiring, D), mode=mode, backbone_units=0).double()
    theirs = ncps.torch.CfC(D, wiring, mode=mode, batch_first=False).double()
    parts = Wiring.from_ncps(ncps.wirings.AutoNCP(H, MOTORS), D).split()
    with torch.no_grad():
        for layer, mine, part in zip(theirs.rnn_cell._layers, ours.cells, parts, strict=True):
            exists = torch.tensor(np.concatenate([part.sensory, part.recurrent], 1) != 0)
            for name in mine.maps:
                getattr(layer, name).weight.mul_(exists)
            mine._copy_maps(
                *(torch.cat([getattr(getattr(layer, n), p) for n in mine.maps]) for p in ("weight", "bias"))
            )
            if mode == "pure":
                mine.A.copy_(layer.A[0])
                mine.w_tau.copy_(layer.w_tau[0])
    x = torch.randn(T, B, D, dtype=torch.float64)
    expected, last = theirs(x, torch.zeros(B, H, dtype=torch.float64))
    y, state = ours.unroll(x)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(torch.cat(state, 1), last, rtol=0, atol=1e-12)


@every_kind
def test_training_leaves_absent_synapses_absent(kind):
    cell, x = make(kind), torch.randn(T, B, D, dtype=torch.float64)
    optimiser = torch.optim.Adam(cell.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        (cell.unroll(x)[0] - 1).square().sum().backward()
        optimiser.step()
    parts = [NCP] if kind == "ltc" else NCP.split()
    weights = list(cell.recurrent_weights().values())
    each = len(weights) // len(parts)
    for k, weight in enumerate(weights):
        assert torch.equal(weight != 0, torch.tensor(parts[k // each].recurrent != 0))


@pytest.mark.parametrize(
    ("kind", "per_synapse", "per_neuron"), [("cfc", 4, 4), ("lstm", 4, 4), ("gru", 3, 4), ("rnn", 1, 1)]
)
def test_parameters_are_counted_as_by_hand(kind, per_synapse, per_neuron):
    cell = make(kind)
    assert cell.effective_parameters == per_synapse * NCP.synapses + per_neuron * H
    sizes = [(len(layer), inputs) for layer, inputs in zip(NCP.layers, (D, 8, 4), strict=True)]
    assert cell.stored_parameters == sum(per_synapse * (n * inputs + n * n) + per_neuron * n for n, inputs in sizes)


def test_one_layer_is_one_cell():
    wiring = Wiring.from_ncps(ncps.wirings.FullyConnected(5, 2), D)
    cell = wired(CfC, wiring, backbone_units=0)
    assert isinstance(cell, CfC) and cell.output_size == 2
    dense = CfC(D, 5, backbone_units=0)
    dense.load_state_dict(cell.state_dict(), strict=False)
    x = torch.randn(T, B, D)
    torch.testing.assert_close(cell.unroll(x)[0], dense.unroll(x)[0][..., :2])


def test_options_that_do_not_fit_are_refused_in_one_line():
    with pytest.raises(NeuroctlError, match="recurrent, factorised and wiring need backbone_units=0"):
        wired(CfC, NCP)
    for make_cell in (CfC, LTC):
        with pytest.raises(NeuroctlError, match="wiring must be a Wiring; got str; see Wiring.from_ncps"):
            wired(make_cell, "x")  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="the wiring has 4 inputs and 14 neurons"):
        LTC(D + 1, H, wiring=NCP)


def test_masks_are_buffers():
    for kind in KINDS:
        cell = make(kind)
        names = [name for name, _ in cell.named_parameters()]
        assert not any("mask" in name or "synapses" in name for name in names)
        assert any("mask" in name for name in cell.state_dict())
        assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in cell.parameters())
