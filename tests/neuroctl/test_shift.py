from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl  # noqa: F401
from neuroctl.envs.event_camera import EventSpace
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.registry import shifts
from neuroctl.shift import MAX_SEVERITY, Shift, check_severity, parse_shift


def test_name_and_severity_are_parsed():
    assert parse_shift("gaussian-noise:3") == ("gaussian-noise", 3)
    assert parse_shift("gain:0") == ("gain", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian-noise", "shift 'gaussian-noise' has no severity; write gaussian-noise:0 to gaussian-noise:5"),
        ("gaussian-noise:6", "severity '6' of shift 'gaussian-noise'; allowed: 0 to 5"),
        ("gaussian-noise:-1", "allowed: 0 to 5"),
        ("gaussian-noise:2.5", "allowed: 0 to 5"),
        ("gaussian-noise:", "allowed: 0 to 5"),
        ("gaussian-noise:high", "severity 'high'"),
    ],
)
def test_bad_severities_are_named(text, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        parse_shift(text)
    assert "\n" not in str(caught.value)


def test_unknown_shift_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown shift 'gausian-noise'; did you mean 'gaussian-noise'"):
        parse_shift("gausian-noise:1")


@pytest.mark.parametrize("name", shifts.names())
def test_registered_shifts_declare_a_ladder(name):
    shift = shifts.load(name)
    assert issubclass(shift, Shift)
    assert shift.name == name
    assert shift.kind in ("wrapper", "dynamics", "options")
    assert len(shift.levels) == MAX_SEVERITY + 1
    assert list(shift.levels) in (sorted(shift.levels), sorted(shift.levels, reverse=True))
    assert len(set(shift.levels)) == MAX_SEVERITY + 1
    assert shift.dynamics(0) == {}
    assert bool(shift.dynamics(3)) == (shift.kind == "dynamics")
    with pytest.raises(NeuroctlError, match=f"severity 9 of shift '{name}'"):
        shift.level(9)


def test_whole_numbers_of_any_type_are_severities():
    assert check_severity("x", 3.0) == 3
    with pytest.raises(NeuroctlError):
        check_severity("x", None)


class Heavier(Shift):
    name, kind, levels = "heavier", "dynamics", (1, 2, 3, 4, 5, 6)

    @classmethod
    def dynamics(cls, severity):
        return {"mass": cls.level(severity)} if severity else {}


def test_a_shift_is_of_one_kind_where_it_does_not_say_otherwise():
    state, events = gym.spaces.Box(-1, 1, (4,), np.float32), EventSpace((6, 8))
    assert Heavier.kind_for(state) == Heavier.kind_for(events) == "dynamics"
    for name in shifts.names():
        shift = shifts.load(name)
        assert shift.kind_for(state) == shift.kind
        assert shift.kind_for(events) == ("options" if name == "brightness" else shift.kind)


def test_a_change_of_the_robot_is_merged_into_its_dynamics():
    given: dict[str, Any] = {"track": "loop", "dynamics": {"mass": [1.0, 2.0], "gain": 0.5}}
    merged = Heavier.options("any", given, 2)
    assert merged["dynamics"]["mass"].tolist() == [3.0, 6.0] and merged["dynamics"]["gain"] == 0.5
    assert merged["track"] == "loop" and given["dynamics"]["mass"] == [1.0, 2.0]
    assert Heavier.options("any", {"dynamics": None}, 1) == {"dynamics": {"mass": 2}}
    assert Heavier.options("any", given, 0) == given
    assert Heavier.options("any", {"dynamics": {"mass": 1e308}}, 5)["dynamics"]["mass"] == float("inf")


@pytest.mark.parametrize(
    "given", [[[1.0], [1.0, 2.0]], 10**400, "much", {}, [None], 10**5000], ids=lambda v: str(type(v))
)
def test_dynamics_that_are_no_numbers_are_shown_in_one_line(given):
    with pytest.raises(NeuroctlError, match=r"^dynamics 'mass' is .*; allowed: a number, or one per row$") as caught:
        Heavier.options("any", {"dynamics": {"mass": given}}, 2)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("severity", [10**400, float("inf"), float("nan"), -1, 2.5, "x"])
def test_a_severity_that_is_none_is_named(severity):
    with pytest.raises(NeuroctlError, match="^severity .* of shift 'heavier'; allowed: 0 to 5$"):
        Heavier.level(severity)
