"""Quick checks of arrays say what looking at every number says."""

from typing import Any

import numpy as np
import pytest

from neuroctl.finite import all_bounded, all_finite


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_found_wherever_it_stands(dtype: Any, bad: float) -> None:
    values = np.linspace(-1, 1, 12).astype(dtype).reshape(2, 3, 2)
    assert all_finite(values) and all_finite(values[:, ::2]) and all_finite(values[:0])
    for place in range(12):
        wrong = values.copy()
        wrong.flat[place] = bad
        assert not all_finite(wrong)
        assert not all_finite(wrong.swapaxes(0, 2))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_numbers_whose_squares_overflow_are_finite(dtype: Any) -> None:
    huge = np.finfo(dtype).max
    assert all_finite(np.array([huge, -huge, huge]))
    assert not all_finite(np.array([huge, np.inf, huge], dtype))


def test_infinities_do_not_cancel() -> None:
    assert not all_finite(np.array([np.inf, -np.inf]))


@pytest.mark.parametrize("values", [[2**62, 2**62], [True, False], []])
def test_integers_are_finite(values: list[int]) -> None:
    assert all_finite(np.array(values, np.int64)) and all_finite(np.array(values, np.bool_))


@pytest.mark.parametrize("most", [0.3, 1.0, 1e10, 1e100, 3.7e-5])
def test_the_bound_itself_is_within_and_the_next_number_is_not(most: float) -> None:
    beyond = np.nextafter(most, np.inf)
    for filled in (0.0, most):
        for value in (most, -most):
            assert all_bounded(np.array([[filled, value], [0.0, filled]]), most)
        for value in (beyond, -beyond, np.inf, np.nan, 1e300):
            assert not all_bounded(np.array([[filled, value], [0.0, filled]]), most)
    assert all_bounded(np.full((50, 40), most), most)
