"""The expected update is the gradient of the expected reward."""

import math

import numpy as np
import pytest

from neuroctl.agents.spiking import NodePerturbation, NodePerturbationParameters

C2_HZ, C3_PER_MV = 300.0, 0.4
OUTCOMES = 40
"""Numbers of spikes 0 to 39; more than that have a probability below 1e-50."""
REWARD = np.sqrt(np.arange(OUTCOMES)) - 0.2 * np.arange(OUTCOMES) ** 2


def expected_reward(weights, potentials):
    """Of a neuron without dead time in one step of 1 ms, whose spikes are Poisson with the rate c2 exp(c3 V)."""
    mean = C2_HZ / 1000 * np.exp(C3_PER_MV * (weights @ potentials))
    terms = [np.exp(-mean) * mean**n / math.factorial(n) * REWARD[n] for n in range(OUTCOMES)]
    return sum(terms), mean


def test_the_expected_update_is_the_gradient_of_the_expected_reward():
    """Exactly, by enumeration: agent n is shown n spikes. The derivative is taken along the imaginary axis."""
    parameters = NodePerturbationParameters(
        learning_rate=0.7, weight_update_interval=1.0, min_weight=-1e9, max_weight=1e9
    )
    counts = np.array([1, 0, 3])
    potentials = counts * (math.exp(-1 / 20) - math.exp(-1 / 2)) * 20 / 18
    weights = np.array([0.9, 2.0, 1.1])
    _, mean = expected_reward(weights, potentials)
    rule = NodePerturbation(3, 1, parameters, batch_size=OUTCOMES, dtype=np.float64, initial=(0.0, 0.0))
    fired = np.arange(OUTCOMES).reshape(1, OUTCOMES, 1)
    rule.advance(np.tile(counts, (1, OUTCOMES, 1)), fired - mean, REWARD[None])
    probability = np.array([math.exp(-mean) * mean**n / math.factorial(n) for n in range(OUTCOMES)])
    update = C3_PER_MV * probability @ rule.weight[:, :, 0]
    gradient = [expected_reward(weights + 1e-30j * unit, potentials)[0].imag / 1e-30 for unit in np.eye(3)]
    assert np.abs(gradient).max() > 0.05
    assert update == pytest.approx(0.7 * np.array(gradient), rel=1e-12)


def test_a_reward_that_knows_nothing_moves_nothing_on_average():
    """800 neurons that fire by chance, a reward of 1: the mean change is 0 within 4.5 standard errors.

    So a fresh seed would fail with probability 7e-6 for each of four inputs.
    """
    rng, p, num_post = np.random.default_rng(4), 0.05, 800
    parameters = NodePerturbationParameters(min_weight=-10.0, max_weight=10.0)
    rule = NodePerturbation(4, num_post, parameters, dtype=np.float64, initial=(0.0, 0.0))
    spikes = rng.random((1000, 1, 4)) < 0.1
    rule.advance(spikes, (rng.random((1000, 1, num_post)) < p) - p, np.ones((1000, 1)))
    error = rule.weight[0].std(axis=1) / np.sqrt(num_post)
    assert (error > 0).all()
    assert (np.abs(rule.weight[0].mean(axis=1)) < 4.5 * error).all()
