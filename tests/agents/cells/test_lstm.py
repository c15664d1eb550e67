"""The LSTM keeps the `Cell` contract; that it equals `torch.nn.LSTM` is in test_fused.py."""

import copy
from typing import Any

import pytest
import torch

from neuroctl.agents.cells import LSTM
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import loop

T, B, D, H = 7, 4, 3, 5
SPEC = LowRankSparse(H, 2, 0.3, seed=1)
KINDS: dict[str, dict[str, Any]] = {
    "dense": {},
    "low-rank": {"recurrent": SPEC},
    "mixed": {"recurrent": SPEC, "factorised": ["cell_gate", "output_gate"]},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind="dense"):
    torch.manual_seed(0)
    return LSTM(D, H, **KINDS[kind]).double()


def data(resets=True):
    g = torch.Generator().manual_seed(0)
    x, h, c = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((T, B, D), (B, H), (B, H)))
    return x, (h, c), torch.rand(T, B, generator=g) < 0.3 if resets else None


@every_kind
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_unroll_equals_step_in_a_loop(kind, resets):
    cell, sample = make(kind), data(resets)
    torch.testing.assert_close(cell.unroll(*sample), loop(cell, *sample), rtol=0, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(cell.unroll(*sample), loop(cell, *sample), rtol=0, atol=1e-12)


@every_kind
@pytest.mark.parametrize("resets", [False, True], ids=["whole", "resets"])
def test_gradients_of_unroll_equal_autograd_through_step(kind, resets):
    cell, (x, state, first) = make(kind), data(resets)
    wanted = [*(tensor.requires_grad_() for tensor in (x, *state)), *cell.parameters()]
    expected = torch.autograd.grad(loop(cell, x, state, first)[0].square().sum(), wanted)
    gradients = torch.autograd.grad(cell.unroll(x, state, first)[0].square().sum(), wanted)
    for gradient, true in zip(gradients, expected, strict=True):
        assert bool(true.abs().max() > 0)
        torch.testing.assert_close(gradient, true, rtol=0, atol=1e-10)


def test_gradients_do_not_need_training_mode():
    cell, sample = make().eval(), data()
    expected = torch.autograd.grad(cell.unroll(*sample)[0].sum(), cell.bias)
    torch.testing.assert_close(torch.autograd.grad(cell.train().unroll(*sample)[0].sum(), cell.bias), expected)


@every_kind
def test_resets_inside_a_sequence_equal_separate_sequences(kind):
    cell, (x, state, _) = make(kind), data()
    first = torch.zeros(T, B, dtype=torch.bool)
    first[3] = True
    joined = cell.unroll(x, state, first)[0]
    parts = cell.unroll(x[:3], state)[0], cell.unroll(x[3:])[0]
    torch.testing.assert_close(joined, torch.cat(parts), rtol=0, atol=1e-12)


def test_a_reset_row_forgets_even_a_broken_state():
    cell, (x, (h, c), _) = make(), data()
    h[1] = c[1] = torch.nan
    first = torch.zeros(T, B, dtype=torch.bool)
    first[0, 1] = True
    y, _ = cell.unroll(x, (h, c), first)
    torch.testing.assert_close(y[:, 1], cell.unroll(x[:, 1:2])[0][:, 0], rtol=0, atol=1e-12)


def test_a_row_does_not_depend_on_its_neighbours():
    cell, (x, (h, c), first) = make(), data()
    alone = cell.unroll(x[:, 2:3], (h[2:3], c[2:3]), first[:, 2:3])[0]
    torch.testing.assert_close(cell.unroll(x, (h, c), first)[0][:, 2:3], alone, rtol=0, atol=1e-12)


@every_kind
def test_a_step_without_grad_sees_a_fused_optimiser_step(kind):
    cell, (x, state, _) = make(kind), data()
    with torch.no_grad():
        old = cell.step(x[0], state)[0]
    for parameter in cell.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.Adam(cell.parameters(), lr=0.1, fused=True).step()
    fresh = copy.deepcopy(cell)
    with torch.no_grad():
        new = cell.step(x[0], state)[0]
    assert float((new - old).abs().max()) > 1e-3
    assert torch.equal(new, fresh.step(x[0], state)[0])


def test_low_rank_counts_are_those_of_the_formula():
    cell = LSTM(256, 64, recurrent=LowRankSparse(64, 5, 0.0))
    assert sum(p.numel() for p in cell.parameters()) == 68_352 == 4 * (256 * 64 + 2 * 64 * 5 + 64)


def test_timespans_are_refused_in_one_line():
    cell, (x, state, _) = make(), data()
    message = "the LSTM has no continuous time: timespans must be None; CfC and LTC take them"
    with pytest.raises(NeuroctlError, match=message):
        cell.unroll(x, timespans=torch.ones(T, B))
    with pytest.raises(NeuroctlError, match=message):
        cell.step(x[0], state, timespan=torch.ones(B))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(T, B, D + 1)}, r"input has shape \[7, 4, 4\]"),
        ({"state": (torch.zeros(B, H), torch.zeros(1, H))}, r"state has shape \[1, 5\]; expected \[4, 5\]"),
        ({"first": torch.zeros(T, B + 1, dtype=torch.bool)}, r"first has shape \[7, 5\]; expected \[7, 4\]"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_in_one_line(change, message):
    with pytest.raises(NeuroctlError, match=message):
        LSTM(D, H).unroll(**({"x": torch.zeros(T, B, D)} | change))


def test_a_map_that_does_not_exist_is_refused_in_one_line():
    with pytest.raises(NeuroctlError, match="unknown map 'output'; did you mean 'output_gate'"):
        LSTM(D, H, recurrent=SPEC, factorised=["output"])


def test_a_size_below_one_is_refused():
    with pytest.raises(NeuroctlError, match="hidden_size must be an integer >= 1, got 0"):
        LSTM(D, 0)
