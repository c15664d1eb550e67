import numpy as np
import pytest

from neuroctl.envs.event_camera import MOST_EVENTS
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.shifts_events import EventLoss, EventNoise
from neuroctl.errors import NeuroctlError
from tests.envs.seer import make_seer, watch


def see(shift, severity, steps=200):
    """Clean and shifted counts, `[T, B, ...]`."""
    clean = watch(make_seer(4, "events"), steps)
    return clean, watch(shift(make_seer(4, "events"), severity), steps)


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_noise_events_are_poisson_and_come_on_top(severity):
    clean, shown = see(EventNoise, severity)
    extra, rate = shown - clean, EventNoise.level(severity)
    spread = 5 * np.sqrt(rate / extra.size)
    assert (extra >= 0).all() and (extra == np.rint(extra)).all()
    assert extra.mean() == pytest.approx(rate, abs=spread)
    assert extra.var() == pytest.approx(rate, rel=0.05), "variance and mean of a Poisson number are the same"
    assert (extra == 0).mean() == pytest.approx(np.exp(-rate), abs=spread)
    assert abs(np.corrcoef(extra[1:].ravel(), extra[:-1].ravel())[0, 1]) < 0.02, "noise is drawn anew each step"


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_events_are_lost_binomially(severity):
    clean, shown = see(EventLoss, severity)
    loss = EventLoss.level(severity)
    assert ((shown >= 0) & (shown <= clean)).all() and (shown == np.rint(shown)).all()
    assert shown.sum() / clean.sum() == pytest.approx(1 - loss, rel=0.01)
    residue = (shown - (1 - loss) * clean)[clean > 0]
    expected = (clean * loss * (1 - loss))[clean > 0].mean()
    assert residue.var() == pytest.approx(expected, rel=0.05), "the variance of a binomial number"


def test_counts_stay_in_their_space():
    env = EventNoise(make_seer(1, "events"), 5)
    full = np.full((2, 6, 8, 2), MOST_EVENTS, np.float32)
    env.reset(seed=0)
    assert np.array_equal(env._perturb_rows(full, np.array([0, 0]), env.single_observation_space), full)


def test_noise_and_loss_compose():
    clean, noisy = see(EventNoise, 5)
    both = watch(EventLoss(EventNoise(make_seer(4, "events"), 5), 3), 200)
    assert both.mean() == pytest.approx(0.5 * noisy.mean(), rel=0.01)
    assert not np.array_equal(both, np.minimum(both, clean)), "noise events survive too"


@pytest.mark.parametrize("shift", [EventNoise, EventLoss])
def test_event_shifts_on_a_state_say_what_fits(shift):
    with pytest.raises(
        NeuroctlError, match=r"event-\w+' does not fit: it needs the counts of an event camera"
    ) as caught:
        shift(LaneFollowVector(1), 2)
    fitting = "action-bias, action-noise, frame-drop, gaussian-noise, observation-bias, observation-delay"
    assert str(caught.value).endswith(f"fitting: {fitting}")
