"""A value that cannot be used is named, shown on one line, and answered with what is allowed."""

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.checks import (
    checked_first,
    checked_integer,
    checked_path,
    is_integer,
    is_number,
    shown,
    shown_space,
    whole_steps,
)
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


@pytest.mark.parametrize(
    ("space", "line"),
    [
        (gym.spaces.Box(-1, 1, (3,), np.float64), "Box(-1.0, 1.0, (3,), float64)"),
        (gym.spaces.Box(-np.arange(60.0), np.arange(60.0), dtype=np.float64), "Box(-59.0, 59.0, (60,), float64)"),
        (gym.spaces.Dict({"a": gym.spaces.Box(0, 255, (4, 4), np.uint8)}), "Dict(a: Box(0, 255, (4, 4), uint8))"),
        (gym.spaces.Discrete(5), "Discrete(5)"),
        (gym.spaces.Box(0, 1, (0,)), "Box([], [], (0,), float32)"),
    ],
)
def test_a_space_is_one_line_with_its_shape(space: Any, line: str) -> None:
    assert shown_space(space) == line


@pytest.mark.parametrize("value", [0, 1, -2.5, np.float32(1), np.int64(3), np.int8(-1), 10**300])
def test_numbers_are_finite_and_fit_a_float(value: Any) -> None:
    assert is_number(value)


@pytest.mark.parametrize(
    "value",
    [True, np.True_, None, "1", [1.0], 1j, 10**400, -(10**400), np.zeros(1), math.nan, math.inf],
    ids=lambda v: type(v).__name__,
)
def test_what_is_no_number_is_told_apart(value: Any) -> None:
    assert not is_number(value)


def test_integers_are_no_floats_and_no_truth_values() -> None:
    assert is_integer(np.uint8(3)) and is_integer(10**400)
    assert not any(map(is_integer, (1.0, True, np.True_, "1", None, np.ones(1, int))))


def test_a_path_is_a_string_or_a_path() -> None:
    assert checked_path("a run", "x/y") == checked_path("a run", Path("x/y")) == Path("x/y")
    values: list[Any] = [None, 3, b"x", ["x"]]
    for value in values:
        with pytest.raises(NeuroctlError, match=r"^a run must be a path, got "):
            checked_path("a run", value)


@pytest.mark.parametrize("first", [True, np.True_, [True, True], (True, True), np.ones(2, bool)])
def test_which_episodes_begin_is_said_by_one_truth_value_or_one_for_each(first: Any) -> None:
    mask = checked_first(first, 2)
    assert mask.dtype == np.bool_ and mask.tolist() == [True, True]
    assert checked_first(np.array([False, True]), 2).tolist() == [False, True]


@pytest.mark.parametrize(
    "first", ["no", "", 0.5, 1, None, [0, 1], ["x", "y"], [True], [[True, True]], [True, [True]], np.zeros(3, bool)]
)
def test_what_does_not_say_which_episodes_begin_is_refused(first: Any) -> None:
    message = r"^first is .*; allowed: True, False, or an array of them of shape \(2,\)$"
    with pytest.raises(NeuroctlError, match=message) as caught:
        checked_first(first, 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("duration", "step", "steps"),
    [(0.3, 0.1, 3), (0.0, 0.1, 0), (1.0, 0.02, 50), (0.05, 0.1, None), (0.25, 0.1, None), (1e6, 1e-3, 10**9)],
)
def test_a_duration_is_a_whole_number_of_steps_or_none(duration: float, step: float, steps: int | None) -> None:
    assert whole_steps(duration, step) == steps
