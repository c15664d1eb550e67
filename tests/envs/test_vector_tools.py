"""What users hand in is checked once, and every mistake is one line."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.envs.vector_tools import (
    checked_actions,
    checked_count,
    is_default,
    is_integer,
    is_number,
    require,
    require_kinds,
    require_state,
)
from neuroctl.errors import NeuroctlError

HUGE = 10**400
"""An integer that no float can hold."""
ENDLESS = 10**5000
"""An integer that Python does not print."""


@pytest.mark.parametrize("value", [0, -3, 2.5, np.float32(1), np.int8(-1), 10**300])
def test_numbers_are_finite_and_fit_a_float(value):
    assert is_number(value)


@pytest.mark.parametrize("value", [HUGE, -HUGE, np.inf, np.nan, True, np.True_, "1", None, 1j, [1], np.ones(1)])
def test_other_values_are_no_numbers(value):
    assert not is_number(value)


def test_integers_are_no_floats_and_no_truth_values():
    assert is_integer(np.uint8(3)) and is_integer(HUGE)
    assert not any(map(is_integer, (1.0, True, np.True_, "1", None, np.ones(1, int))))


def test_a_default_is_recognised_and_an_array_never_is():
    assert is_default(0, 0.0) and is_default(None, None) and is_default("a", "a") and is_default(np.float32(0), 0.0)
    others: list[Any] = [1, None, "0", [0], np.zeros(1), np.zeros(2), {}, HUGE]
    assert not any(is_default(value, 0.0) for value in others)


def test_a_name_must_be_among_those_allowed():
    require("colour", "red", ("red", None))
    require("colour", None, ("red", None))
    for value in ("blue", 1, ["red"], np.array(["red"]), np.zeros((2, 2)), ENDLESS):
        with pytest.raises(NeuroctlError, match="^unknown colour .*; allowed: 'red', None$") as caught:
            require("colour", value, ("red", None))
        assert "\n" not in str(caught.value)
    with pytest.raises(NeuroctlError, match="unknown seen 1; allowed: True, False"):
        require("seen", 1, (True, False))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "rows is 0; it must be an integer of at least 1"),
        (1.0, "rows is 1.0; it must be an integer"),
        (np.ones(2, int), r"rows is array\(\[1, 1\]\); it must be an integer"),
        (2**63, "rows is 9223372036854775808; it must be below 2..63"),
        pytest.param(ENDLESS, "rows is a number of thousands of digits; it must be below", id="endless"),
    ],
)
def test_a_count_is_an_integer_with_room_in_64_bits(value, message):
    with pytest.raises(NeuroctlError, match=message):
        checked_count("rows", value)
    assert checked_count("rows", 2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([[1.0], [1.0, 2.0]], r"actions are ragged: \[\[1.0\], \[1.0, 2.0\]\]; expected shape \(2, 2\)"),
        (np.zeros(2), r"actions have shape \(2,\); expected \(2, 2\)"),
        ([[1, HUGE], [0, 0]], "actions must be finite numbers; got object"),
        ([[1, ENDLESS], [0, 0]], "actions must be finite numbers; got object"),
        (np.full((2, 2), np.nan), "actions must be finite numbers; got float64"),
    ],
)
def test_actions_of_another_form_are_named(actions, message):
    with pytest.raises(NeuroctlError, match=message):
        checked_actions(actions, gym.spaces.Box(-1, 1, (2,)), 2)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (5, "environment state is 5; expected what get_state"),
        ({}, r"environment state 'x': expected shape \(2,\), found nothing"),
        ({"x": np.zeros(3), "n": np.zeros(1)}, r"'x': expected shape \(2,\), found \(3,\)"),
        ({"x": [1, [1, 2]], "n": np.zeros(1)}, r"'x': expected shape \(2,\), found a ragged list"),
        ({"x": np.array([0, np.inf]), "n": np.zeros(1)}, "'x' holds values that are not finite numbers"),
        ({"x": np.zeros(2), "n": np.array(["a"])}, "'n' holds values that are not finite numbers"),
    ],
)
def test_a_state_that_does_not_fit_is_named(state: Any, message):
    with pytest.raises(NeuroctlError, match=message):
        require_state(state, {"x": (2,), "n": (1,)}, finite=("x",))
    require_state({"x": np.zeros(2), "n": np.full(1, np.nan), "more": None}, {"x": (2,), "n": (1,)}, finite=("x",))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"x": np.zeros(2), "y": np.zeros(1)},
            r"^unknown environment state 'y'; expected what get_state\(\) returned$",
        ),
        ({5: np.zeros(2)}, "unknown environment state 5"),
        ({"n": np.zeros(1)}, "^environment state 'n' is of type float64; expected int64$"),
        ({"w": np.zeros(1, np.int64)}, "'w' is of type int64; expected uint64"),
        ({"b": np.zeros(1, np.int64)}, "'b' is of type int64; expected bool"),
    ],
)
def test_arrays_of_another_kind_or_name_are_refused(state: Any, message):
    own = {"x": np.zeros(2), "n": np.zeros(1, np.int64), "w": np.zeros(1, np.uint64), "b": np.zeros(1, bool)}
    with pytest.raises(NeuroctlError, match=message):
        require_kinds(state, own)
    require_kinds(own | {"shift/gain/seeds": np.zeros(3)}, own)
    require_kinds({"x": np.zeros(2, np.float32), "n": [1], "w": np.zeros(1, np.uint8)}, own)
