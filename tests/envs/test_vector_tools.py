"""What users hand in is checked once, and every mistake is one line."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.envs.vector_tools import (
    checked_actions,
    is_default,
    require,
    require_kinds,
    require_state,
)
from neuroctl.errors import NeuroctlError

HUGE = 10**400
"""An integer that no float can hold."""
ENDLESS = 10**5000
"""An integer that Python does not print."""


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


def test_commands_of_a_discrete_space_lie_within_it():
    space = gym.spaces.Discrete(3, start=-1)
    assert checked_actions([-1, 1], space, 2).tolist() == [-1, 1]
    for wrong in ([-2, 0], [0, 2], [0.0, 1.0]):
        with pytest.raises(NeuroctlError, match=r"are not in Discrete\(3, start=-1\)"):
            checked_actions(wrong, space, 2)


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
        ({"shift/gain/seeds": np.zeros(3)}, "unknown environment state 'shift/gain/seeds'"),
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
    require_kinds({"x": np.zeros(2, np.float32), "n": [1], "w": np.zeros(1, np.uint8)}, own)
