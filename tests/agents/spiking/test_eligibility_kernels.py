"""The compiled rules equal the rules written down plainly, in float64, however steps are cut into calls."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import (
    NodePerturbation,
    NodePerturbationParameters,
    RewardModulatedSTDP,
    RewardModulatedSTDPParameters,
)
from tests.agents.spiking.plain_rules import PlainPerturbation, PlainSTDP

PRE, POST, STEPS = 9, 3, 330
COMMON: dict[str, float] = {"episode_length": 150.0, "weight_update_interval": 50.0, "max_weight": 2.0}
PERTURBATION = NodePerturbationParameters(learning_rate=5e-3, **COMMON)
PAIRED = RewardModulatedSTDPParameters(learning_rate=2e-3, tau_minus=33.0, **COMMON)
RULES: dict[str, Any] = {
    "perturbation": (NodePerturbation, PlainPerturbation, PERTURBATION),
    "r-stdp": (RewardModulatedSTDP, PlainSTDP, PAIRED),
}
MASK = np.random.default_rng(3).random((PRE, POST)) < 0.6
OPTIONS: dict[str, dict[str, Any]] = {"all pairs": {}, "half steps": {"dt_ms": 0.5}, "some pairs": {"exists": MASK}}


def history(steps=STEPS, batch=1, seed=1):
    """Bursts of spikes on both sides, a trace that follows no law, and a reward that jumps within an interval."""
    rng = np.random.default_rng(seed)
    pre = rng.poisson(0.06, (steps, batch, PRE)).astype(np.uint8)
    post = rng.poisson(0.05, (steps, batch, POST)).astype(np.uint8)
    pre[5, :, 0], post[6, :, 1], pre[100:280, :, 1] = 3, 2, 0
    reward = np.repeat(rng.normal(0, 1, (-(-steps // 10), batch)), 10, axis=0)[:steps]
    return pre, rng.normal(0, 0.3, (steps, batch, POST)), reward, post


def advance(rule, data, chunk=STEPS):
    for start in range(0, len(data[0]), chunk):
        pre, bap, reward, post = (array[start : start + chunk] for array in data)
        rule.advance(pre, bap, reward, spikes_post=post)


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
@pytest.mark.parametrize("name", RULES)
def test_rules_equal_their_plain_form(name, options):
    """All ways to cut the steps give the same bits; some weights end at a bound and some do not."""
    kind, plain, parameters = RULES[name]
    make = {"initial": (1.0, 0.4), "dtype": np.float64, **options}
    oracle = plain(kind(PRE, POST, parameters, **make).weight[0], parameters, **options)
    oracle.advance(*(array[:, 0] for array in history()))
    states = []
    for chunk in (1, 7, 50, 64, STEPS):
        rule = kind(PRE, POST, parameters, **make)
        advance(rule, history(), chunk)
        states.append(rule.state_dict())
        assert rule.weight[0] == pytest.approx(oracle.weight, rel=1e-10)
        assert rule.eligibility[0] == pytest.approx(np.where(rule.exists[0], oracle.e, 0), rel=1e-10, abs=1e-12)
        change = rule.state_dict()["change"][0].T
        assert change == pytest.approx(oracle.change, rel=1e-10, abs=1e-13)
    assert all(same(states[0], state) for state in states[1:])
    figures = rule.statistics()
    assert 0 < figures["at_min"][0] + figures["at_max"][0] < 0.9


@pytest.mark.parametrize("name", RULES)
def test_a_learning_rate_that_changes_within_an_interval_is_followed(name):
    kind, plain, parameters = RULES[name]
    rule = kind(PRE, POST, parameters, dtype=np.float64, initial=(1.0, 0.4))
    oracle = plain(rule.weight[0], parameters)
    for n, start in enumerate(range(0, STEPS, 20)):
        rule.learning_rate = oracle.rate = 1e-3 * (n % 3)
        part = [array[start : start + 20] for array in history()]
        advance(rule, part)
        oracle.advance(*(array[:, 0] for array in part))
    assert rule.weight[0] == pytest.approx(oracle.weight, rel=1e-10)
    assert not np.array_equal(rule.weight, kind(PRE, POST, parameters, dtype=np.float64, initial=(1.0, 0.4)).weight)


@pytest.mark.parametrize("name", RULES)
def test_single_precision_is_close(name):
    kind, _, parameters = RULES[name]
    single, double = (kind(PRE, POST, parameters, dtype=dtype) for dtype in (np.float32, np.float64))
    for rule in (single, double):
        advance(rule, history(), 20)
    assert single.eligibility.dtype == single.weight.dtype == np.float32
    assert single.eligibility == pytest.approx(double.eligibility, rel=1e-4, abs=1e-5)
    assert single.weight == pytest.approx(double.weight, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RULES)
def test_what_decays_ends_at_zero(name, dtype):
    """Not at a number too small for processors to be fast: two seconds of silence are sixty time constants or more."""
    kind, _, parameters = RULES[name]
    rule = kind(PRE, POST, replace(parameters, episode_length=10.0), dtype=dtype)
    advance(rule, history())
    assert rule.eligibility.all()
    silence = [np.zeros((2000, *array.shape[1:])) for array in history()]
    advance(rule, silence)
    state = rule.state_dict()
    for trace in state.keys() - {"settings", "exists", "weight"}:
        assert not state[trace].any(), trace
