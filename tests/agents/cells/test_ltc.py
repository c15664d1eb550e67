"""The LTC equals ncps where ncps is right; its plain step is the oracle of the compiled sequence."""

from typing import Any

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch
from torch import nn

from neuroctl.agents.cells import LTC, wired
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import loop

T, B, D, H = 6, 4, 3, 5
SPEC = LowRankSparse(H, 2, 0.4, seed=1)
RANDOM = np.random.default_rng(0)
WIRING = Wiring(RANDOM.integers(-1, 2, (H, D)), RANDOM.integers(-1, 2, (H, H)), 2, (tuple(range(H)),))
KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low-rank": {"recurrent": SPEC},
    "wired": {"wiring": WIRING},
    "both": {"wiring": WIRING, "recurrent": SPEC, "unfolds": 2},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
timed = pytest.mark.parametrize("timed", [False, True], ids=["regular", "timed"])


def make(kind="dense"):
    torch.manual_seed(0)
    cell = LTC(D, H, **KINDS[kind]).double()
    for parameter in (cell.input_gain, cell.input_offset, cell.output_gain, cell.output_offset, cell.vleak):
        nn.init.uniform_(parameter, 0.5, 1.5)
    return cell


def data(timed=True, resets=True, batch_size=B):
    g = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    first = torch.rand(T, batch_size, generator=g) < 0.3 if resets else None
    spans = torch.rand(T, batch_size, generator=g, dtype=torch.float64) * 3 + 0.01 if timed else None
    return normal(T, batch_size, D), normal(batch_size, H), first, spans


def reference(units=H, **options):
    torch.manual_seed(3)
    module = ncps.torch.LTC(D, units, batch_first=False, **options).double()
    for parameter in module.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter)
    return module


@every_kind
@timed
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_unroll_equals_step_in_a_loop(kind, timed, resets):
    cell, sample = make(kind), data(timed, resets)
    torch.testing.assert_close(cell.unroll(*sample), loop(cell, *sample), rtol=0, atol=1e-12)


@every_kind
@timed
def test_gradients_of_unroll_equal_autograd_through_step(kind, timed):
    cell, (x, v, first, spans) = make(kind), data(timed)
    inputs = [x, v] + ([spans] if timed else [])
    wanted = [*(tensor.requires_grad_() for tensor in inputs), *cell.parameters()]
    weight = torch.randn(T, B, cell.output_size, dtype=torch.float64)

    def gradients(run):
        y, last = run(x, v, first, spans)
        return torch.autograd.grad((y * weight).sum() + last.square().sum(), wanted)

    truth = gradients(lambda *sample: loop(cell, *sample))
    assert all(bool(gradient.abs().max() > 1e-9) for gradient in truth)
    torch.testing.assert_close(gradients(cell.unroll), truth, rtol=1e-9, atol=1e-10)


def test_gradcheck_by_finite_differences():
    cell, (x, v, first, spans) = make("both"), data()
    inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in (x[:3], v, spans[:3]))
    assert torch.autograd.gradcheck(lambda x, v, spans: cell.unroll(x, v, first[:3], spans), inputs)


UNITS = {
    "units": lambda: H,
    "fully connected": lambda: ncps.wirings.FullyConnected(H),
    "two outputs": lambda: ncps.wirings.FullyConnected(H, 2, self_connections=False),
    "random": lambda: ncps.wirings.Random(H, 3, 0.5),
    "ncp": lambda: ncps.wirings.AutoNCP(9, 2),
}


@pytest.mark.parametrize("units", UNITS)
def test_equal_weights_have_the_outputs_states_and_gradients_of_ncps(units):
    theirs = reference(UNITS[units]())
    ours, x = LTC.from_ncps(theirs), data()[0].requires_grad_()
    v = torch.randn(B, theirs.state_size, dtype=torch.float64)
    expected, last = theirs(x, v)
    truth = torch.autograd.grad(expected.square().sum(), x)
    for y, state in (ours.unroll(x, v), loop(ours, x, v, None, None)):
        torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(state, last, rtol=0, atol=1e-10)
        torch.testing.assert_close(torch.autograd.grad(y.square().sum(), x), truth, rtol=1e-9, atol=1e-10)


def test_timespans_belong_to_rows_where_ncps_gives_them_to_units():
    theirs, (x, v, _, spans) = reference(), data(batch_size=H)
    y = LTC.from_ncps(theirs).unroll(x, v, None, spans)[0]
    in_full = theirs(x, v, spans.unsqueeze(2).expand(T, H, H))[0]
    torch.testing.assert_close(y, in_full, rtol=0, atol=1e-10)
    wrong = theirs(x, v, spans)[0]
    assert float((y - wrong).detach().abs().max()) > 1e-3, "the defect that this guards against is gone from ncps"


def test_the_solver_converges_to_the_differential_equation():
    cell = make()
    x, v, _, _ = data()
    sensory, recurrent = cell._sensory(), cell._recurrent()
    capacity, leak_num, leak_den = cell._neurons()

    def slope(v):
        def currents(source, synapses):
            sigma, offset, conductance, current = synapses
            s = torch.sigmoid(sigma * source.unsqueeze(1) - offset)
            return (s * current).sum(2), (s * conductance).sum(2)

        (a, b), (c, d) = currents(cell._mapped(x[0]), sensory), currents(v, recurrent)
        return (leak_num + a + c - (leak_den + b + d) * v) / capacity

    exact, step = v, 0.2 / 200
    for _ in range(200):  # Runge-Kutta of order 4
        k1 = slope(exact)
        k2 = slope(exact + step / 2 * k1)
        k3 = slope(exact + step / 2 * k2)
        exact = exact + step / 6 * (k1 + 2 * k2 + 2 * k3 + slope(exact + step * k3))
    errors = []
    for unfolds in (50, 100, 200):
        cell.unfolds = unfolds
        _, solved = cell.step(x[0], v, None, torch.full((B,), 0.2))
        errors.append(float((solved - exact).detach().abs().max()))
    assert errors[2] < 0.01
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.1), "of first order"
    assert errors[1] / errors[2] == pytest.approx(2, rel=0.1)


def test_potentials_stay_between_the_reversal_potentials():
    torch.manual_seed(0)
    cell = LTC(D, H)
    y, _ = cell.unroll(torch.randn(50, 8, D) * 100)
    assert float(y.detach().abs().max()) <= 1


def test_absent_synapses_have_no_influence_within_an_unfold():
    cell = LTC(D, H, wiring=WIRING, unfolds=1).double()
    v, x = torch.rand(H, dtype=torch.float64), torch.rand(D, dtype=torch.float64)
    of_x, of_v = torch.autograd.functional.jacobian(lambda x, v: cell.step(x[None], v[None])[1][0], (x, v))
    assert torch.equal(of_x != 0, torch.tensor(WIRING.sensory != 0))
    assert torch.equal(of_v != 0, torch.tensor(WIRING.recurrent != 0) | torch.eye(H, dtype=torch.bool))


def test_absent_parameters_have_no_gradient_and_the_mask_removes_whole_synapses():
    (x, _, _, _), cell = data(), make("low-rank")
    cell.unroll(x)[0].sum().backward()
    absent = cell.mask == 0
    assert 0 < int(absent.sum()) < H * H
    for parameter in (cell.sigma, cell.mu, cell.erev):
        assert parameter.grad is not None and torch.equal(parameter.grad == 0, absent)
    assert torch.equal(cell.recurrent_weights()["synapses"] == 0, absent)


def test_low_rank_conductances_have_their_rank_before_softplus():
    cell = LTC(D, H, recurrent=LowRankSparse(H, 2, 0.0)).double()
    raw = cell._recurrent()[2].expm1().log()
    assert int(torch.linalg.matrix_rank(raw, atol=1e-9)) == 2


def test_polarities_are_those_of_the_wiring():
    cell: Any = wired(LTC, WIRING)
    assert torch.equal(cell.erev.detach(), torch.tensor(WIRING.recurrent).float())
    assert torch.equal(cell.sensory_erev.detach(), torch.tensor(WIRING.sensory).float())
    signs = LTC(40, 60).erev.detach()
    assert set(signs.unique().tolist()) == {-1, 1}
    assert float((signs > 0).float().mean()) == pytest.approx(2 / 3, abs=0.05)


def test_initial_law_is_that_of_ncps():
    ours, theirs = LTC(17, 64), ncps.torch.LTC(17, 64).rnn_cell
    pairs = [(getattr(ours, n), getattr(theirs, n)) for n in ("sigma", "mu", "sensory_w", "gleak", "vleak", "cm")]
    for mine, his in [*pairs, (ours.recurrent.dense, theirs.w)]:
        for statistic in (torch.amin, torch.amax):
            gap = statistic(mine) - statistic(his)
            assert float(gap.detach().abs()) < 0.1 * float((his.amax() - his.amin()).detach())


def test_parameters_are_counted_as_by_hand():
    others = 3 * H + 2 * D
    assert make().stored_parameters == make().effective_parameters == 4 * (D * H + H * H) + others + 2 * H
    wired_cell = make("wired")
    assert wired_cell.stored_parameters == 4 * (D * H + H * H) + others + 2 * 2
    assert wired_cell.effective_parameters == 4 * WIRING.synapses + others + 2 * 2
    low, exist = make("low-rank"), int((make("low-rank").mask != 0).sum())
    assert low.stored_parameters == 4 * D * H + 3 * H * H + 2 * 2 * H + others + 2 * H
    assert low.effective_parameters == 4 * D * H + 3 * exist + min(exist, 2 * 2 * H) + others + 2 * H


def test_state_persists_across_calls():
    cell, (x, v, first, spans) = make(), data()
    start, middle = cell.unroll(x[:2], v, first[:2], spans[:2])
    end, last = cell.unroll(x[2:], middle, first[2:], spans[2:])
    whole = cell.unroll(x, v, first, spans)
    torch.testing.assert_close((torch.cat((start, end)), last), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("run", ["step", "unroll"])
def test_a_reset_row_forgets_even_a_broken_state(run):
    cell, (x, v, _, _) = make(), data()
    v[1] = torch.nan
    first = torch.zeros(T, B, dtype=torch.bool)
    first[0, 1] = True
    y = cell.unroll(x[:1], v, first[:1])[0][0] if run == "unroll" else cell.step(x[0], v, first[0])[0]
    torch.testing.assert_close(y[1], cell.unroll(x[:1])[0][0, 1], rtol=0, atol=1e-12)


def test_where_there_is_no_kernel_the_steps_run_one_by_one():
    cell = LTC(D, H).to(torch.bfloat16)
    x = torch.randn(T, B, D).to(torch.bfloat16)
    y, v = cell.unroll(x)
    torch.testing.assert_close((y, v), loop(cell, x, cell.initial_state(B), None, None))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: nn.Linear(2, 2), "takes an ncps.torch.LTC; got Linear"),
        (lambda: ncps.torch.CfC(D, H), "takes an ncps.torch.LTC; got CfC"),
        (lambda: ncps.torch.LTC(D, H, mixed_memory=True), "mixed_memory=True"),
        (lambda: ncps.torch.LTC(D, H, implicit_param_constraints=False), "this one has them explicit"),
        (lambda: ncps.torch.LTC(D, H, epsilon=1e-3), "epsilon=1e-08; this one has 0.001"),
    ],
)
def test_from_ncps_refuses_what_has_no_counterpart(module, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        LTC.from_ncps(module())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(T, B, D + 1)}, r"input has shape \[6, 4, 4\]; expected \[T, B, D\] with D = 3"),
        ({"x": torch.zeros(T, B, D).int()}, "input has dtype torch.int32; expected torch.float32"),
        ({"state": torch.zeros(B, H + 1)}, r"state has shape \[4, 6\]; expected \[4, 5\]"),
        ({"timespans": torch.zeros(T, B)}, "timespans must be > 0 and finite; got values from 0.0 to 0.0"),
        ({"timespans": torch.full((T, B), torch.nan)}, "timespans must be > 0 and finite"),
        ({"timespans": torch.full((T, B), torch.inf)}, "timespans must be > 0 and finite"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, message):
    arguments = {"x": torch.zeros(T, B, D), "state": None, "first": None, "timespans": None} | change
    with pytest.raises(NeuroctlError, match=message):
        LTC(D, H).unroll(**arguments)


def test_options_out_of_range_are_refused():
    with pytest.raises(NeuroctlError, match="unfolds must be an integer >= 1, got 0"):
        LTC(D, H, unfolds=0)
    with pytest.raises(NeuroctlError, match="recurrent.n must be hidden_size = 5; got 4"):
        LTC(D, H, recurrent=LowRankSparse(4, 2, 0.0))
