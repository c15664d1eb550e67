from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.retina import LEVELS
from neuroctl.envs.shifts_observation import FrameDrop, GaussianNoise, ObservationBias, ObservationDelay
from neuroctl.errors import NeuroctlError
from tests.envs.seer import SPACES, make_seer, watch


def test_gaussian_noise_has_its_standard_deviation_and_stays_in_the_space():
    clean, noisy = watch(make_seer(4, "state"), 300), watch(GaussianNoise(make_seer(4, "state"), 3), 300)
    assert (noisy - clean).std() == pytest.approx(0.1, rel=0.05)
    assert (noisy - clean).mean() == pytest.approx(0, abs=0.01)
    env: Any = GaussianNoise(LaneFollowVector(2), 5)
    env.single_observation_space.high[:] = 0.1
    env.reset(seed=0)
    assert all(env.step(np.zeros((2, 1)))[0].max() <= np.float32(0.1) for _ in range(20))


@pytest.mark.parametrize(("leaf", "levels"), [("image", LEVELS), ("colour", np.arange(256))])
def test_noisy_images_are_those_of_an_eight_bit_camera(leaf, levels):
    clean, noisy = watch(make_seer(4, leaf), 30), watch(GaussianNoise(make_seer(4, leaf), 3), 30)
    assert np.isin(noisy, levels).all() and noisy.dtype == clean.dtype
    inner = np.abs(clean / levels[255] - 0.5) < 0.1  # where nothing is clipped
    assert ((noisy.astype(float) - clean) / levels[255])[inner].std() == pytest.approx(0.1, rel=0.05)


def test_a_bias_of_sensors_stays_for_the_episode():
    clean, biased = (
        watch(env, 11, seed=3) for env in (make_seer(400, "state"), ObservationBias(make_seer(400, "state"), 3))
    )
    off = biased - clean
    np.testing.assert_allclose(off[1:], np.broadcast_to(off[0], off[1:].shape), atol=1e-4)
    assert off[0].std() == pytest.approx(0.1, rel=0.06)
    assert off[0].mean() == pytest.approx(0, abs=0.01)
    with pytest.raises(NeuroctlError, match="it needs observations that are a Box of floats and no image"):
        ObservationBias(make_seer(1, "image"), 1)


def test_event_counts_have_a_noise_of_their_own():
    with pytest.raises(
        NeuroctlError, match="event counts are whole numbers; event-noise is their noise; fitting: .*event-noise"
    ):
        GaussianNoise(make_seer(1, "events"), 1)


@pytest.mark.parametrize("leaf", sorted(SPACES))
def test_delayed_observations_are_the_earlier_ones(leaf):
    clean, late = watch(make_seer(2, leaf, 99), 40), watch(ObservationDelay(make_seer(2, leaf, 99), 3), 40)
    assert np.array_equal(late[4:], clean[:-4])
    assert all(np.array_equal(late[k], clean[0]) for k in range(4))


def test_lost_frames_repeat_the_last_that_was_shown():
    clean, shown = watch(make_seer(8, "image", 999), 400), watch(FrameDrop(make_seer(8, "image", 999), 3), 400)
    repeated = np.array([(shown[t] == shown[t - 1]).all(axis=(1, 2)) for t in range(1, 401)])
    fresh = np.array([(shown[t] == clean[t]).all(axis=(1, 2)) for t in range(1, 401)])
    assert (repeated ^ fresh).all(), "every frame is the new one or the last one"
    assert repeated.mean() == pytest.approx(0.5, abs=0.03)
    both = (repeated[1:] & repeated[:-1]).mean()
    assert both == pytest.approx(0.25, abs=0.03), "losses are independent"


def test_the_first_frame_of_an_episode_is_never_lost():
    clean, shown = watch(make_seer(8, "image", 5), 60), watch(FrameDrop(make_seer(8, "image", 5), 5), 60)
    assert np.array_equal(shown[::5], clean[::5])
    assert not np.array_equal(shown, clean)


@pytest.mark.parametrize("shift", [GaussianNoise, ObservationDelay, FrameDrop])
def test_what_has_no_numbers_is_refused(shift):
    reason = shift.fits(gym.spaces.MultiBinary(3), gym.spaces.Discrete(2))
    assert reason is not None and "not MultiBinary" in reason
    inside = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2,)), "b": gym.spaces.Discrete(2)})
    assert "not 'b' Discrete(2)" in str(shift.fits(inside, gym.spaces.Discrete(2)))
