from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroctl.agents.spiking import SynapticSampling, SynapticSamplingParameters
from neuroctl.agents.spiking.torch_synapses import TorchSynapticSampling
from neuroctl.errors import NeuroctlError
from tests.agents.spiking.plain_synapse import PlainSynapse
from tests.agents.spiking.torch_peer import DEVICES

STILL = SynapticSamplingParameters(
    temperature=0, learning_rate=1e-3, weight_update_interval=50, episode_length=80, integration_time=500
)


def made(parameters, device="cpu", agents=1, pre=2, post=1, initial=(1.0, 0.0), seed=3, **options):
    rule = SynapticSampling(pre, post, parameters, batch_size=agents, initial=initial, dtype=np.float64, **options)
    return TorchSynapticSampling(rule, torch.device(device), seed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dt_ms", [1.0, 2.5])
def test_a_synapse_equals_the_plain_one(dt_ms, device):
    parameters = replace(STILL, direct_gradient_rate=0.3, psp_cutoff_amplitude=0.02, gradient_scale=3.0)
    rule, plain = made(parameters, device, dt_ms=dt_ms), PlainSynapse(1.0, parameters, dt_ms)
    rng = np.random.default_rng(1)
    spikes, bap, reward = (rng.random(600) < 0.02) * 2, rng.normal(0, 0.5, 600), rng.normal(0, 1, 600)
    for k in range(600):
        plain.step(spikes[k], bap[k], reward[k])
        if (k + 1) % round(50 / dt_ms) == 0:
            plain.update()
    for k in range(0, 600, 23):
        now = slice(k, k + 23)
        silent = np.zeros_like(spikes[now])
        both = np.stack([spikes[now], silent], 1)[:, None]
        rule.advance(both, bap[now, None, None], reward[now, None])
    one = [float(values[0, 0, 0]) for values in (rule.theta, rule.weight, rule.eligibility, rule.gradient)]
    assert one == pytest.approx([plain.theta, plain.w, plain.e, plain.g], rel=1e-10)
    assert abs(plain.theta - 1) > 0.1 and rule.eligibility[0, 1, 0] == 0


@pytest.mark.parametrize("device", DEVICES)
def test_noise_has_the_strength_of_the_temperature(device):
    """Mean and variance of 20,000 increments within 5 standard errors: 1 false alarm in 9e5."""
    rule = made(replace(STILL, temperature=0.2, prior_precision=0.0), device, agents=4, pre=100, post=50)
    before = rule.theta
    rule.advance(np.zeros((50, 4, 100), np.uint8), np.zeros((50, 4, 50)), np.zeros((50, 4)))
    step, n = (rule.theta - before).ravel(), 20_000
    variance = 2 * 0.2 * 1e-3 * 50
    assert abs(step.mean()) < 5 * (variance / n) ** 0.5
    assert abs(step.var() - variance) < 5 * variance * (2 / n) ** 0.5


def test_synapses_that_do_not_exist_never_move():
    exists = np.array([[True, False], [False, True]])
    rule = made(replace(STILL, temperature=0.5), pre=2, post=2, exists=exists)
    before = rule.theta[0].copy()
    rule.advance(np.ones((200, 1, 2), np.uint8), np.ones((200, 1, 2)), np.ones((200, 1)))
    assert np.array_equal(rule.theta[0] != before, exists)
    assert np.array_equal(rule.weight[0] != 0, exists)
    assert rule.statistics()["active"] == 1 and rule.num_active == 2


def test_state_goes_on_bit_for_bit_and_a_damaged_one_changes_nothing():
    noisy = replace(STILL, temperature=0.5, gradient_noise=0.1)
    rule, other = made(noisy, agents=2), made(noisy, agents=2, seed=4)
    rng = np.random.default_rng(0)
    data = (rng.integers(0, 2, (70, 2, 2)), rng.normal(0, 1, (70, 2, 1)), rng.normal(0, 1, (70, 2)))
    rule.advance(*data)
    state = rule.state_dict()
    for wrong, message in (
        ({**state, "synapses/theta": state["synapses/theta"][:1]}, "'synapses/theta' of the state"),
        ({name: state[name] for name in state if name != "turnover"}, "lacks 'turnover'"),
    ):
        before = other.state_dict()
        with pytest.raises(NeuroctlError, match=message):
            other.load_state_dict(wrong)
        assert all(np.array_equal(before[name], array) for name, array in other.state_dict().items())
    other.load_state_dict(state)
    for r in (rule, other):
        r.advance(*data)
    assert np.array_equal(rule.theta, other.theta) and rule.steps_until_update == 10
    with pytest.raises(NeuroctlError, match="reward must have shape"):
        rule.advance(data[0], data[1], data[2][1:])


def test_learning_rate_and_temperature_may_be_set_and_theta_keeps_its_traces():
    rule = made(STILL)
    rule.advance(np.ones((30, 1, 2), np.uint8), np.ones((30, 1, 1)), np.ones((30, 1)))
    e, g = rule.eligibility, rule.gradient
    rule.learning_rate = 0.0
    rule.theta = [[[1.0], [-1.0]]]
    assert rule.weight[0, :, 0] == pytest.approx([np.exp(-2), 0])
    assert (rule.eligibility[0, 0], rule.gradient[0, 0]) == (e[0, 0], g[0, 0]) and e[0, 0] > 0
    assert rule.eligibility[0, 1] == 0 and rule.steps_until_update == 20
    rule.advance(np.ones((20, 1, 2), np.uint8), np.ones((20, 1, 1)), np.ones((20, 1)))
    assert rule.theta[0, :, 0].tolist() == [1.0, -1.0]
    assert not rule.counts()["retractions"].any()
