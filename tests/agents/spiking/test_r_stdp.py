"""The window of a single pair, and what a reward makes of it."""

import numpy as np
import pytest

from neuroctl.agents.spiking import RewardModulatedSTDP, RewardModulatedSTDPParameters
from neuroctl.errors import NeuroctlError

P = RewardModulatedSTDPParameters(
    learning_rate=1e-3, episode_length=300.0, a_plus=0.8, a_minus=1.1, tau_plus=17.0, tau_minus=34.0, max_weight=100.0
)
LAGS = np.arange(-60, 61)
MIDDLE, STEPS = 70, 200


def pairs(rule, dt_ms=1.0, reward=0.0, pre=1, post=1):
    """Agent n sees a presynaptic spike in step 70 and a postsynaptic one LAGS[n] later."""
    agents = len(LAGS)
    spikes, fired = (np.zeros((STEPS, agents, 1), np.uint8) for _ in range(2))
    spikes[MIDDLE], fired[MIDDLE + LAGS, np.arange(agents)] = pre, post
    rewards = np.full((STEPS, agents), reward)
    rule.advance(spikes, np.zeros((STEPS, agents, 1)), rewards, spikes_post=fired)
    return rule


def made(**options):
    return RewardModulatedSTDP(1, 1, P, batch_size=len(LAGS), dtype=np.float64, initial=(50.0, 0.0), **options)


def window(lag_ms):
    """What a pair leaves: potentiation after causes, depression after what comes late, nothing in the same step."""
    return np.where(lag_ms > 0, 0.8 * np.exp(-lag_ms / 17), np.where(lag_ms < 0, -1.1 * np.exp(lag_ms / 34), 0.0))


@pytest.mark.parametrize("dt_ms", [1.0, 0.5])
def test_the_window_of_a_single_pair(dt_ms):
    """e is the window, decayed since the later of the two spikes."""
    complete = MIDDLE + np.maximum(LAGS, 0)
    since = (STEPS - 1 - complete) * dt_ms
    found = pairs(made(dt_ms=dt_ms)).eligibility[:, 0, 0]
    assert found == pytest.approx(window(LAGS * dt_ms) * np.exp(-since / 300), rel=1e-12)


def test_pairs_count_as_often_as_their_spikes():
    one, many = pairs(made()), pairs(made(), pre=3, post=2)
    assert many.eligibility == pytest.approx(6 * one.eligibility, rel=1e-12)


def test_a_constant_reward_turns_pairs_into_weights():
    """The sum of a decaying trace over all steps since the pair, of which the second update came last."""
    complete = MIDDLE + np.maximum(LAGS, 0)
    keep = np.exp(-1 / 300)
    summed = (1 - keep ** (STEPS - complete)) / (1 - keep)
    found = pairs(made(), reward=2.0).weight[:, 0, 0] - 50
    assert found == pytest.approx(1e-3 * 2 * window(LAGS) * summed, rel=1e-10)


def test_postsynaptic_spikes_are_needed():
    rule = RewardModulatedSTDP(3, 2)
    before = rule.state_dict()
    data = np.ones((150, 1, 3)), np.zeros((150, 1, 2)), np.ones((150, 1))
    with pytest.raises(NeuroctlError, match=r"RewardModulatedSTDP needs spikes_post of shape \(150, 1, 2\), got None"):
        rule.advance(*data)
    with pytest.raises(NeuroctlError, match=r"spikes_post must have shape \(150, 1, 2\), got \(1, 2\)"):
        rule.advance(*data, spikes_post=np.zeros((1, 2)))
    assert all(np.array_equal(before[name], array) for name, array in rule.state_dict().items())
