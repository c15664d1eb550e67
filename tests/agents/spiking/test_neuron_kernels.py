import math

import numpy as np
import pytest

from neuroctl.agents.spiking.neuron_kernels import MOST_EXPECTED, MOST_SPIKES, poisson


def probabilities(mean, most=400):
    """P(N = n) of the Poisson distribution, n = 0 ... most."""
    return np.array([math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(most + 1)])


@pytest.mark.parametrize("mean", [1e-6, 0.3, 7.0, MOST_EXPECTED])
def test_poisson_inverts_the_distribution(mean):
    """The count for u is the least n with P(N <= n) > u; checked between the jumps, where rounding decides nothing."""
    p = probabilities(mean)
    below = np.r_[0, np.cumsum(p)]
    likely = np.flatnonzero(p > 1e-9)
    assert len(likely) >= 2
    for n in likely.tolist():
        assert poisson(mean, below[n] + 0.01 * p[n]) == n
        assert poisson(mean, below[n] + 0.99 * p[n]) == n


def test_poisson_ends_and_fits_a_byte():
    assert poisson(MOST_EXPECTED, 1 - 2**-53) <= MOST_SPIKES < 256
    assert probabilities(MOST_EXPECTED)[MOST_SPIKES:].sum() < 1e-30
    assert poisson(0.0, 1 - 2**-53) == 0
