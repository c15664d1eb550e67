"""The compiled sigmoid, whose arithmetic is ours."""

import numpy as np
import pytest
from numba import njit

from neuroctl.agents.cells.ltc_kernel import sigmoid


@njit(error_model="numpy")
def sigmoids(x):
    out = np.empty_like(x)
    for i in range(x.size):
        out[i] = sigmoid(x[i])
    return out


def test_float32_is_right_to_the_last_bits():
    x = np.linspace(-90, 90, 500_001).astype(np.float32)
    exact = 1 / (1 + np.exp(-x.astype(np.float64)))
    error = np.abs(sigmoids(x) - exact)
    assert error.max() < 2e-7
    normal = x > -85
    assert (error / exact)[normal].max() < 1e-5, "small values are right too"
    assert (np.diff(sigmoids(x)[::100]) >= 0).all()


def test_float64_is_the_library_function():
    x = np.linspace(-50, 50, 1001)
    np.testing.assert_allclose(sigmoids(x), 1 / (1 + np.exp(-x)), rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_saturate_and_nan_stays_visible(dtype):
    values = sigmoids(np.array([-np.inf, -1e30, 0, 1e30, np.inf, np.nan], dtype))
    np.testing.assert_allclose(values[:5], [0, 0, 0.5, 1, 1], atol=1e-37)
    assert np.isnan(values[5])


def test_the_interpreter_is_told_that_it_is_compiled_code():
    with pytest.raises(NotImplementedError, match="only inside compiled code"):
        sigmoid(1.0)
