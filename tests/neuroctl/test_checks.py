"""A value that cannot be used is named, shown on one line, and answered with what is allowed."""

import math
from typing import Any

import numpy as np
import pytest

from neuroctl.checks import checked_integer, is_number, shown
from neuroctl.errors import NeuroctlError


@pytest.mark.parametrize("value", [0, 7, np.int64(3), np.uint8(255), 10**400], ids=lambda v: type(v).__name__)
def test_integers_of_any_kind_become_pythons(value: Any) -> None:
    assert checked_integer("n", value, 0) == value
    assert type(checked_integer("n", value, 0)) is int


@pytest.mark.parametrize(
    "value",
    [-1, 8, 2.0, math.nan, math.inf, True, np.bool_(True), None, "3", [3], 10**5000],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_integer_in_range_is_refused_by_name(value: Any) -> None:
    with pytest.raises(NeuroctlError, match=r"^n must be an integer from 0 to 7, got ") as caught:
        checked_integer("n", value, 0, 7)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 130
    assert checked_integer("n", 0, 0, 7) == 0 and checked_integer("n", 7, 0, 7) == 7


def test_without_an_upper_limit_the_lower_one_is_named() -> None:
    with pytest.raises(NeuroctlError, match=r"^n must be an integer >= 2, got 1$"):
        checked_integer("n", 1, 2)


def test_a_value_is_shown_as_one_short_line() -> None:
    assert shown("a\tb") == "'a\\tb'"
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
    assert shown(list(range(1000)), 20) == "[0, 1, 2, 3, 4, 5..."
    assert shown(-(10**5000)) == "a number of thousands of digits"


@pytest.mark.parametrize("value", [1, -2.5, np.float32(1), np.int64(3), math.nan, math.inf])
def test_numbers_are_those_that_a_float_can_hold(value: Any) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, None, "1", [1.0], 1j, 10**400, np.zeros(1)], ids=lambda v: type(v).__name__)
def test_what_is_no_number_is_told_apart(value: Any) -> None:
    assert not is_number(value)
