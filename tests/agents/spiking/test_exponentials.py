import math

import numpy as np
from numba import njit

from neuroctl.agents.spiking.exponentials import BLOCK, LEAST, MOST, buffers, exponentials


@njit
def exp_of(x, shift, count):
    powers, words, rest, out = buffers()
    exponentials(x, shift, count, powers, words, rest, out)
    return out[:count].copy()


def test_numbers_are_those_of_the_mathematical_library():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-3, 3, BLOCK // 2), rng.uniform(LEAST, MOST, BLOCK // 2 - 6)])
    x = np.concatenate([x, [0.0, -0.0, 1.0, 1e-300, LEAST, MOST]])
    for shift in (0.0, 3.0):
        expected = [math.exp(max(value - shift, LEAST)) for value in x]
        assert np.max(np.abs(exp_of(x, shift, len(x)) / expected - 1)) < 1e-15
    assert exp_of(np.zeros(1), 0.0, 1) == 1


def test_numbers_beyond_the_range_are_moved_to_its_ends():
    least, most = exp_of(np.array([LEAST - 100, MOST + 100]), 0.0, 2)
    assert math.isclose(least, math.exp(LEAST), rel_tol=1e-15) and math.isclose(most, math.exp(MOST), rel_tol=1e-15)


def test_a_number_does_not_depend_on_its_neighbours():
    x = np.random.default_rng(1).normal(0, 3, BLOCK)
    whole = exp_of(x, 1.0, BLOCK)
    for start in range(0, 40, 7):
        assert np.array_equal(exp_of(x[start:], 1.0, 23), whole[start : start + 23])
