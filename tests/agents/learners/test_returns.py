"""Returns against sums that are written out, step by step from the definitions."""

from typing import Any

import pytest
import torch

from neuroctl.agents.learners.returns import generalised_advantages, vtrace
from neuroctl.errors import NeuroctlError, NonFiniteError

T, B, GAMMA = 9, 4, 0.9


def rollout(seed: int = 0) -> dict[str, Any]:
    """Episodes that end in the middle, terminated (no value after it) or cut (a value)."""
    generator = torch.Generator().manual_seed(seed)
    draw = [torch.randn(T, B, generator=generator, dtype=torch.float64) for _ in range(3)]
    done = torch.rand(T, B, generator=generator) < 0.25
    terminated = done & (torch.rand(T, B, generator=generator) < 0.5)
    rewards, values, after = draw
    next_values = after.clone()
    next_values[:-1] = torch.where(done[:-1], after[:-1], values[1:])
    next_values[terminated] = 0.0
    return {"rewards": rewards, "values": values, "next_values": next_values, "continues": ~done}


def test_advantages_are_sums_of_discounted_surprises() -> None:
    given, trace = rollout(), 0.8
    r, V, after, continues = given.values()
    found = generalised_advantages(**given, discount=GAMMA, trace=trace)
    for b in range(B):
        for t in range(T):
            total, weight = 0.0, 1.0
            for k in range(t, T):
                total += weight * (r[k, b] + GAMMA * after[k, b] - V[k, b]).item()
                if not continues[k, b]:
                    break
                weight *= GAMMA * trace
            assert found.advantages[t, b].item() == pytest.approx(total, rel=1e-12)
    torch.testing.assert_close(found.values, V + found.advantages)


def test_vtrace_is_its_definition() -> None:
    """vs_s = V_s + sum_t gamma^(t-s) (prod of c) delta_t, remark 1 and section 4.1 of Espeholt et al. 2018."""
    given = rollout(1)
    r, V, after, continues = given.values()
    log_ratios = torch.randn(T, B, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = vtrace(log_ratios, **given, discount=GAMMA, most_ratio=1.5, most_trace=0.7)
    ratio = log_ratios.exp()
    for b in range(B):
        wanted = []
        for s in range(T):
            total, weight = V[s, b].item(), 1.0
            for t in range(s, T):
                rho = min(1.5, ratio[t, b].item())
                total += weight * rho * (r[t, b] + GAMMA * after[t, b] - V[t, b]).item()
                if not continues[t, b]:
                    break
                weight *= GAMMA * min(0.7, ratio[t, b].item())
            wanted.append(total)
        assert found.values[:, b].tolist() == pytest.approx(wanted, rel=1e-12)
        for s in range(T):
            goes_on = s + 1 < T and bool(continues[s, b])
            following = wanted[s + 1] if goes_on else after[s, b].item()
            advantage = min(1.5, ratio[s, b].item()) * (r[s, b].item() + GAMMA * following - V[s, b].item())
            assert found.advantages[s, b].item() == pytest.approx(advantage, rel=1e-12)


def test_on_its_own_actions_vtrace_is_the_n_step_return() -> None:
    given = rollout(3)
    r, V, after, continues = given.values()
    found = vtrace(torch.zeros(T, B), **given, discount=GAMMA)
    for b in range(B):
        for s in range(T):
            total, weight = 0.0, 1.0
            for t in range(s, T):
                total += weight * r[t, b].item()
                weight *= GAMMA
                if not continues[t, b] or t == T - 1:
                    total += weight * after[t, b].item()
                    break
            assert found.values[s, b].item() == pytest.approx(total, rel=1e-12)
    torch.testing.assert_close(found.values, generalised_advantages(**given, discount=GAMMA, trace=1.0).values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": torch.zeros(T)}, r"rewards must be \[T, B\]"),
        ({"rewards": torch.zeros(0, B)}, r"rewards must be \[T, B\]"),
        ({"values": torch.zeros(T, B + 1)}, r"rewards are \[9, 4\], but something beside them \[9, 5\]"),
        ({"discount": 1.1}, "discount must be from 0 to 1, got 1.1"),
        ({"discount": float("nan")}, "discount must be from 0 to 1, got nan"),
        ({"trace": -0.1}, "trace must be from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {**rollout(), "discount": GAMMA, "trace": 0.9, **change}
    with pytest.raises(NeuroctlError, match=message):
        generalised_advantages(**arguments)


def test_what_is_not_finite_is_refused() -> None:
    given = rollout()
    given["rewards"][3, 1] = float("nan")
    with pytest.raises(NonFiniteError, match="not finite"):
        vtrace(torch.zeros(T, B), **given, discount=GAMMA)
    with pytest.raises(NeuroctlError, match="most_ratio must be > 0, got 0"):
        vtrace(torch.zeros(T, B), **rollout(), discount=GAMMA, most_ratio=0.0)
