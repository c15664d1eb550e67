"""The CfC keeps the `Cell` contract, has the gradients of its plain step, and equals ncps where ncps is right.

`step` under autograd is the oracle of `unroll`; ncps 1.0.1 is the independent reference of both.
"""

import copy
import pickle
from typing import Any

import ncps.torch
import ncps.wirings
import pytest
import torch
from torch import nn

from neuroctl.agents.cells import CfC
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import loop

T, B, D, H = 7, 4, 3, 5
MODES = ("default", "no_gate", "pure")
SPEC = LowRankSparse(H, 2, 0.3, seed=1)

KINDS: dict[str, dict[str, Any]] = {
    "dense": {"backbone_units": 0},
    "low-rank": {"backbone_units": 0, "recurrent": SPEC},
    "full-rank": {"backbone_units": 0, "recurrent": LowRankSparse(H, H, 0.5)},
    "mixed": {"backbone_units": 0, "recurrent": SPEC, "factorised": ["ff1"]},
    "backbone": {"backbone_units": 6},
    "deep": {"backbone_units": 6, "backbone_layers": 2},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_mode = pytest.mark.parametrize("mode", MODES)
timed = pytest.mark.parametrize("timed", [False, True], ids=["regular", "timed"])


def make(kind="dense", mode="default", **options):
    torch.manual_seed(0)
    cell = CfC(D, H, mode=mode, **(KINDS[kind] | options)).double()
    if cell.w_tau is not None:  # away from its kink and from the symmetric start
        assert cell.A is not None
        nn.init.uniform_(cell.w_tau, -1, 1)
        nn.init.uniform_(cell.A, 0.5, 1.5)
    return cell


def data(timed=True, resets=True, batch_size=B, seed=0):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    first = torch.rand(T, batch_size, generator=g) < 0.3 if resets else None
    spans = torch.rand(T, batch_size, generator=g, dtype=torch.float64) * 3 if timed else None
    return normal(T, batch_size, D), normal(batch_size, H), first, spans


def reference(mode, layers, dtype=torch.float64):
    torch.manual_seed(3)
    module = ncps.torch.CfC(D, H, mode=mode, backbone_units=6, backbone_layers=layers, batch_first=False).to(dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@every_kind
@every_mode
@timed
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_unroll_equals_step_in_a_loop(kind, mode, timed, resets):
    cell, sample = make(kind, mode), data(timed, resets)
    y, state = cell.unroll(*sample)
    expected, last = loop(cell, *sample)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(cell.unroll(*sample)[0], expected, rtol=0, atol=1e-12)


@every_kind
@every_mode
@timed
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_gradients_of_unroll_equal_autograd_through_step(kind, mode, timed, resets):
    cell, (x, h, first, spans) = make(kind, mode), data(timed, resets)
    inputs = [x, h] + ([spans] if timed else [])
    wanted = [*(tensor.requires_grad_() for tensor in inputs), *cell.parameters()]
    weight = torch.randn(T, B, H, dtype=torch.float64)

    def gradients(run):
        y, last = run(x, h, first, spans)
        return torch.autograd.grad((y * weight).sum() + last.square().sum(), wanted)

    expected = gradients(lambda *sample: loop(cell, *sample))
    assert all(bool(gradient.abs().max() > 1e-8) for gradient in expected)
    for gradient, true in zip(gradients(cell.unroll), expected, strict=True):
        torch.testing.assert_close(gradient, true, rtol=0, atol=1e-10)


@every_mode
@timed
def test_gradcheck_by_finite_differences(mode, timed):
    cell, (x, h, first, spans) = make("low-rank", mode), data(timed)
    inputs = (x[:3], h, spans[:3]) if timed else (x[:3], h)
    inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in inputs)

    def run(x, h, spans=None):
        return cell.unroll(x, h, first[:3], spans)

    assert torch.autograd.gradcheck(run, inputs)


def test_gradients_are_right_when_only_some_are_wanted():
    cell, (x, h, first, _) = make(), data()
    cell.input_weight.requires_grad_(False)
    cell.bias.requires_grad_(False)
    wanted = [cell.recurrent.dense]
    expected = torch.autograd.grad(loop(cell, x, h, first, None)[0].sum(), wanted)
    torch.testing.assert_close(torch.autograd.grad(cell.unroll(x, h, first)[0].sum(), wanted), expected)


def test_backward_can_run_twice_on_one_graph():
    cell, sample = make(), data()
    y = cell.unroll(*sample)[0]
    once = torch.autograd.grad(y.sum(), cell.bias, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), cell.bias), once)


@every_kind
@every_mode
def test_resets_inside_a_sequence_equal_separate_sequences(kind, mode):
    cell, (x, h, _, spans) = make(kind, mode), data()
    first = torch.zeros(T, B, dtype=torch.bool)
    first[3] = True
    joined = cell.unroll(x, h, first, spans)[0]
    parts = cell.unroll(x[:3], h, None, spans[:3])[0], cell.unroll(x[3:], None, None, spans[3:])[0]
    torch.testing.assert_close(joined, torch.cat(parts), rtol=0, atol=1e-12)


@every_kind
def test_a_reset_row_forgets_even_a_broken_state(kind):
    cell, (x, h, _, _) = make(kind), data()
    h[1] = torch.nan
    first = torch.zeros(T, B, dtype=torch.bool)
    first[0, 1] = True
    y, _ = cell.unroll(x, h, first)
    torch.testing.assert_close(y[:, 1], cell.unroll(x[:, 1:2])[0][:, 0], rtol=0, atol=1e-12)
    assert bool(cell.step(x[0], h, first[0])[0].isfinite().all())


@every_kind
@every_mode
def test_a_row_does_not_depend_on_its_neighbours(kind, mode):
    cell, (x, h, first, spans) = make(kind, mode), data()
    together = cell.unroll(x, h, first, spans)[0]
    alone = cell.unroll(x[:, 2:3], h[2:3], first[:, 2:3], spans[:, 2:3])[0]
    torch.testing.assert_close(together[:, 2:3], alone, rtol=0, atol=1e-12)


@every_kind
def test_a_sequence_in_two_chunks_equals_the_whole(kind):
    cell, (x, h, first, spans) = make(kind), data()
    start, state = cell.unroll(x[:4], h, first[:4], spans[:4])
    end, _ = cell.unroll(x[4:], state, first[4:], spans[4:])
    torch.testing.assert_close(torch.cat((start, end)), cell.unroll(x, h, first, spans)[0], rtol=0, atol=1e-12)


@every_mode
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_equal_weights_equal_ncps(mode, layers):
    theirs, (x, h, _, _) = reference(mode, layers), data()
    ours = CfC.from_ncps(theirs)
    expected, last = theirs(x, h)
    y, state = ours.unroll(x, h)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(state, last, rtol=0, atol=1e-10)
    torch.testing.assert_close(loop(ours, x, h, None, None)[0], expected, rtol=0, atol=1e-10)


@every_mode
@pytest.mark.parametrize("layers", [0, 1])
def test_equal_weights_have_the_gradients_of_ncps(mode, layers):
    theirs, (x, h, _, _) = reference(mode, layers), data()
    ours = CfC.from_ncps(theirs)
    x.requires_grad_()
    expected = torch.autograd.grad(theirs(x, h)[0].square().sum(), x)
    torch.testing.assert_close(torch.autograd.grad(ours.unroll(x, h)[0].square().sum(), x), expected)


@every_mode
@pytest.mark.parametrize("layers", [0, 1])
def test_timespans_equal_ncps_in_the_only_form_it_takes(mode, layers):
    theirs, (x, h, _, spans) = reference(mode, layers), data()
    expected, _ = theirs(x, h, spans.unsqueeze(2).expand(T, B, H))
    torch.testing.assert_close(CfC.from_ncps(theirs).unroll(x, h, None, spans)[0], expected, rtol=0, atol=1e-10)


@every_mode
@pytest.mark.parametrize("layers", [0, 1])
def test_timespans_belong_to_rows_where_ncps_gives_them_to_units(mode, layers):
    theirs, (x, h, _, spans) = reference(mode, layers), data(batch_size=H)
    wrong, _ = theirs(x, h, spans)
    rowwise = [theirs(x[:, b : b + 1], h[b : b + 1], spans[:, b : b + 1])[0] for b in range(H)]
    y = CfC.from_ncps(theirs).unroll(x, h, None, spans)[0]
    torch.testing.assert_close(y, torch.cat(rowwise, 1), rtol=0, atol=1e-10)
    assert float((y - wrong).detach().abs().max()) > 1e-3


def test_unit_timespans_are_the_default():
    cell, (x, h, first, _) = make(), data()
    ones = torch.ones(T, B, dtype=torch.float64)
    torch.testing.assert_close(cell.unroll(x, h, first, ones), cell.unroll(x, h, first), rtol=0, atol=1e-12)


def test_from_ncps_keeps_the_dtype():
    assert next(CfC.from_ncps(reference("default", 0, torch.float32)).parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Linear(2, 2), "takes an ncps.torch.CfC; got Linear"),
        (lambda: ncps.torch.CfC(D, ncps.wirings.AutoNCP(8, 2)), "unwired"),
        (lambda: ncps.torch.CfC(D, H, mixed_memory=True), "mixed_memory=True"),
        (lambda: ncps.torch.CfC(D, H, proj_size=2), "proj_size=2"),
        (lambda: ncps.torch.CfC(D, H, activation="relu"), "lecun_tanh layers; this one has ReLU"),
        (lambda: ncps.torch.CfC(D, H, backbone_layers=2, backbone_dropout=0.1), "this one has Dropout"),
    ],
)
def test_from_ncps_refuses_what_has_no_counterpart(module, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        CfC.from_ncps(module())
    assert "\n" not in str(error.value)


def edit_in_place(cell):
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(1.5)


def edit_data(cell):
    for parameter in cell.parameters():
        parameter.data.mul_(1.5)


def replace_data(cell):
    for parameter in cell.parameters():
        parameter.data = parameter.data * 1.5


def load(cell):
    cell.load_state_dict({name: value * 1.5 for name, value in cell.state_dict().items()})


def load_assign(cell):
    cell.load_state_dict({name: value * 1.5 for name, value in cell.state_dict().items()}, assign=True)


def optimise(cell, **options):
    for parameter in cell.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.Adam(cell.parameters(), lr=0.1, **options).step()


def optimise_fused(cell):
    optimise(cell, fused=True)


@every_kind
@pytest.mark.parametrize("edit", [edit_in_place, edit_data, replace_data, load, load_assign, optimise, optimise_fused])
def test_a_step_without_grad_sees_every_change_of_the_weights(kind, edit):
    cell, (x, h, _, _) = make(kind), data()
    with torch.no_grad():
        old = cell.step(x[0], h)[0]
        cell.step(x[0], h)
    edit(cell)
    fresh = copy.deepcopy(cell)
    with torch.no_grad():
        new = cell.step(x[0], h)[0]
    assert float((new - old).abs().max()) > 1e-3
    torch.testing.assert_close(new, fresh.step(x[0], h)[0].detach(), rtol=0, atol=1e-12)


@every_kind
def test_a_step_follows_the_dtype_of_the_cell(kind):
    cell, (x, h, _, _) = make(kind), data()
    with torch.no_grad():
        expected = cell.step(x[0], h)[0]
        single = cell.float().step(x[0].float(), h.float())[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-5)


@every_kind
def test_copies_and_pickles_are_equal_and_independent(kind):
    cell, sample = make(kind), data()
    expected = cell.unroll(*sample)[0].detach()
    twins = [copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))]
    edit_in_place(cell)
    for twin in twins:
        assert torch.equal(twin.unroll(*sample)[0], expected)


@every_kind
@every_mode
def test_float32_unroll_is_the_float64_one_to_single_precision(kind, mode):
    cell, (x, h, first, spans) = make(kind, mode), data()
    expected = cell.unroll(x, h, first, spans)[0]
    y = cell.float().unroll(x.float(), h.float(), first, spans.float())[0]
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "backbone"])
def test_pure_starts_from_a_of_one_and_w_tau_of_zero_and_can_leave_both(kind):
    cell = CfC(D, H, mode="pure", **KINDS[kind]).double()
    assert cell.A is not None and cell.w_tau is not None
    assert bool((cell.A == 1).all()) and bool((cell.w_tau == 0).all())
    x, h, _, _ = data()
    for y in (cell.unroll(x)[0], cell.step(x[0], h)[0]):
        for gradient in torch.autograd.grad(y.sum(), (cell.A, cell.w_tau)):
            assert bool((gradient != 0).all())


def test_each_factorised_map_has_its_own_mask_and_factors():
    cell = make("low-rank")
    assert cell.recurrent.factorised == ("ff1", "ff2", "time_a", "time_b") and cell.recurrent.dense is None
    weights = [cell.recurrent.map_weight(name) for name in cell.maps]
    assert all(not torch.equal(weights[i], weights[j]) for i in range(4) for j in range(i))


def test_low_rank_counts_are_those_of_the_formula():
    cell = CfC(256, 64, backbone_units=0, recurrent=LowRankSparse(64, 5, 0.0))
    assert sum(p.numel() for p in cell.parameters()) == 4 * (256 * 64 + 2 * 64 * 5 + 64)
    assert sum(p.numel() for p in CfC(256, 64, backbone_units=0).parameters()) == 82_176


def test_the_specification_is_not_a_part_of_the_cell():
    names = [name for name, _ in make("low-rank").named_parameters()]
    assert names == ["input_weight", "bias", "recurrent.W1", "recurrent.W2"]


def test_initial_law_is_that_of_ncps():
    torch.manual_seed(0)
    ours, theirs = CfC(17, 64, backbone_units=0), ncps.torch.CfC(17, 64, backbone_layers=0)
    assert ours.recurrent is not None and ours.recurrent.dense is not None
    assert ours.input_weight is not None and ours.bias is not None
    bound = float(theirs.rnn_cell.ff1.weight.detach().abs().max())
    assert float(ours.recurrent.dense.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(ours.input_weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert float(ours.bias.detach().abs().max()) == pytest.approx(81**-0.5, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "defualt"}, "unknown mode 'defualt'; did you mean 'default'"),
        ({"backbone_units": -1}, "backbone_units must be an integer >= 0"),
        ({"backbone_units": True}, "backbone_units must be an integer >= 0, got True"),
        ({"backbone_units": 0, "factorised": 3}, "factorised must be a list of maps such as ..ff1..; got 3"),
        ({"backbone_layers": 0}, "backbone_layers must be an integer >= 1"),
        ({"backbone_units": 0, "backbone_layers": 2}, "backbone_layers=2 does nothing"),
        ({"recurrent": SPEC}, "need backbone_units=0"),
        ({"factorised": ["ff1"]}, "need backbone_units=0"),
        ({"backbone_units": 0, "factorised": ["ff1"]}, "needs recurrent="),
        ({"backbone_units": 0, "recurrent": SPEC, "mode": "pure", "factorised": ["ff2"]}, "unknown map 'ff2'"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(arguments, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        CfC(D, H, **arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(T, B, D + 1)}, r"input has shape \[7, 4, 4\]; expected \[T, B, D\] with D = 3"),
        ({"x": torch.zeros(B, D)}, r"expected \[T, B, D\]"),
        ({"x": torch.zeros(0, B, D)}, "T and B must be >= 1"),
        ({"state": torch.zeros(B, H + 1)}, r"state has shape \[4, 6\]; expected \[4, 5\]"),
        ({"first": torch.zeros(B, T, dtype=torch.bool)}, r"first has shape \[4, 7\]; expected \[7, 4\]"),
        ({"first": torch.zeros(T, B)}, "first has dtype torch.float32; expected torch.bool"),
        ({"timespans": torch.ones(T, B, 1)}, r"timespans has shape \[7, 4, 1\]; expected \[7, 4\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_one_line(change, message):
    arguments = {"x": torch.zeros(T, B, D), "state": None, "first": None, "timespans": None} | change
    with pytest.raises(NeuroctlError, match=message):
        CfC(D, H, backbone_units=0).unroll(**arguments)
