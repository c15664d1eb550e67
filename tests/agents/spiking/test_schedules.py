import pytest

from neuroctl.agents.spiking.schedules import Schedule
from neuroctl.errors import NeuroctlError, UnknownNameError


def test_a_constant_is_one_for_ever():
    assert {Schedule().factor(t) for t in (0, 1, 1e9)} == {1.0}


def test_exponential_halves_in_every_half_life():
    schedule = Schedule("exponential", 1800)
    assert [schedule.factor(1800 * k) for k in range(5)] == [1, 0.5, 0.25, 0.125, 0.0625]
    for t in (0.0, 700.0, 5000.0):
        slope = (schedule.factor(t + 1e-3) - schedule.factor(max(t - 1e-3, 0))) / (1e-3 + min(t, 1e-3))
        assert slope == pytest.approx(-0.6931471805599453 / 1800 * schedule.factor(t), rel=1e-6)


def test_steps_halve_at_once_at_the_end_of_each_half_life():
    schedule = Schedule("step", 2.0)
    assert [schedule.factor(t) for t in (0, 1.999, 2, 3.999, 4, 7)] == [1, 1, 0.5, 0.5, 0.25, 0.125]


@pytest.mark.parametrize("kind", ["exponential", "step"])
def test_the_factor_ends_at_zero_without_error(kind):
    assert Schedule(kind, 1e-300).factor(1e308) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"half_life_s": 5.0}, "half_life_s 5.0 has no effect on a constant schedule; leave it out, or choose 'expo"),
        ({"kind": "exponential"}, "schedule 'exponential' needs half_life_s, a number > 0"),
        ({"kind": "step"}, "schedule 'step' needs half_life_s"),
        ({"kind": "step", "half_life_s": 0}, "half_life_s must be a number > 0, got 0"),
        ({"kind": "step", "half_life_s": float("inf")}, "half_life_s must be a number > 0, got inf"),
        ({"kind": "step", "half_life_s": "1h"}, "half_life_s must be a number > 0, got '1h'"),
    ],
)
def test_schedules_that_cannot_be_are_refused(options, message):
    with pytest.raises(NeuroctlError, match=message):
        Schedule(**options)


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown schedule 'exponental'; did you mean 'exponential'"):
        Schedule("exponental", 1.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("time_s", [-1.0, float("nan")])
def test_times_that_cannot_be_are_refused(time_s):
    with pytest.raises(NeuroctlError, match="time_s must be a number >= 0"):
        Schedule("step", 1.0).factor(time_s)
