"""What sensitivities are worth that were carried while parameters changed."""

import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells import ELSTM, GRU
from neuroctl.agents.learners.rules import make_rule
from neuroctl.errors import NeuroctlError

F64 = torch.float64


def cosine(one: list[Tensor], other: list[Tensor]) -> float:
    a, b = (torch.cat([part.flatten() for part in parts]) for parts in (one, other))
    return float(torch.dot(a, b) / (a.norm() * b.norm()))


def last_gradients(forget_bias: float, chunk: int, rate: float = 1e-3) -> dict[str, list[Tensor]]:
    """Regression on a leaky mean of the inputs in 1000 steps by stale gradients; the last one, three ways."""
    torch.manual_seed(0)
    cell = ELSTM(8, 32, forget_bias=forget_bias).double()
    optimiser = torch.optim.RMSprop(cell.parameters(), lr=rate)
    x = torch.randn(1000, 4, 8, dtype=F64)
    target, mean = [], torch.zeros(4, 8, dtype=F64)
    for now in x:
        mean = 0.98 * mean + 0.02 * now
        target.append(mean.repeat(1, 4))
    wanted = torch.stack(target)
    rules = {"stale": make_rule("rtrl", cell, 4), "now": make_rule("rtrl", cell, 4, recompute=True)}
    rules["truncated"] = make_rule("bptt", cell, 4)
    state, found = cell.initial_state(4), dict[str, list[Tensor]]()
    for start in range(0, 1000, chunk):
        part, last = slice(start, start + chunk), start + chunk >= 1000
        # only the last gradient is taken three ways: recomputing is slow
        for name, rule in rules.items():
            optimiser.zero_grad()
            y, after = rule.unroll(x[part], state)
            (10 * y - wanted[part]).square().mean().backward()
            if last or name == "stale":
                rule.add_carried()
            if last:
                found[name] = [p.grad.clone() for p in cell.parameters() if p.grad is not None]
            if name == "stale":
                carried = [p.grad.clone() for p in cell.parameters() if p.grad is not None]
        for rule in rules.values():
            rule.advance()
        for parameter, gradient in zip(cell.parameters(), carried, strict=True):
            parameter.grad = gradient
        optimiser.step()
        state = after
    return found


@pytest.mark.parametrize("forget_bias", [2.0, 4.0])
def test_stale_sensitivities_cost_little_and_truncation_much(forget_bias: float) -> None:
    found = last_gradients(forget_bias, chunk=10)
    stale, truncated = (cosine(found[name], found["now"]) for name in ("stale", "truncated"))
    assert 0.999 < stale < 1.0
    assert truncated < 0.95


@pytest.mark.parametrize("rule", ["rtrl", "snap1"])
def test_recomputed_is_carried_while_parameters_stay(rule: str) -> None:
    torch.manual_seed(0)
    cell = GRU(3, 4).double()
    x, first = torch.randn(30, 2, 3, dtype=F64), torch.zeros(30, 2, dtype=torch.bool)
    first[[7, 22], 0] = True
    found = []
    for recompute in (False, True):
        cell.zero_grad()
        learner, state = make_rule(rule, cell, 2, recompute=recompute), torch.ones(2, 4, dtype=F64)
        for start in (0, 10, 20):
            part = slice(start, start + 10)
            if start == 10:
                learner.prepare(x[part], state, first[part])
            y, state = learner.unroll(x[part], state, first[part])
            y.square().sum().backward()
            learner.add_carried()
            learner.advance()
        found.append([p.grad.clone() for p in cell.parameters() if p.grad is not None])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_what_carries_nothing_has_nothing_to_recompute() -> None:
    with pytest.raises(NeuroctlError, match="gradient rule 'bptt' has nothing to recompute"):
        make_rule("bptt", GRU(3, 4), 2, recompute=True)
    with pytest.raises(NeuroctlError, match="recompute=True is a check that is not saved"):
        make_rule("rtrl", GRU(3, 4), 2, recompute=True).state_dict()
