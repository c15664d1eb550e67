import gymnasium as gym
import numpy as np
import pytest

from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.retina import LEVELS
from neuroctl.envs.shifts_image import Brightness, Contrast, Occlusion, PixelDropout, SaltPepper, draw_rectangle
from neuroctl.errors import NeuroctlError
from tests.envs.seer import HEIGHT, WIDTH, make_seer, watch


def see(shift, severity, leaf="image", steps=30):
    """Clean and shifted images."""
    clean = watch(make_seer(4, leaf), steps)
    return clean, watch(shift(make_seer(4, leaf), severity), steps)


def test_brightness_and_contrast_do_what_they_say():
    step = 0.5 / 255 + 1e-6
    clean, bright = see(Brightness, 2)
    assert np.abs(bright - np.clip(clean + 0.16, 0, 1)).max() <= step
    clean, flat = see(Contrast, 4)
    assert np.abs(flat - (0.5 + 0.3 * (clean - 0.5))).max() <= step
    assert np.isin(bright, LEVELS).all() and np.isin(flat, LEVELS).all()


def test_dropped_pixels_are_black_and_drawn_anew():
    clean, dropped = see(PixelDropout, 3)
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(dropped[dropped > 0], clean[dropped > 0])
    assert ((dropped[1:] == 0) & (dropped[:-1] == 0)).mean() == pytest.approx(0.2**2, abs=0.01)


def test_salt_and_pepper_are_alike_often():
    clean, shown = see(SaltPepper, 4)
    assert (shown == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (shown == 1).mean() == pytest.approx(0.1, abs=0.01)
    other = (shown > 0) & (shown < 1)
    assert np.array_equal(shown[other], clean[other])


@pytest.mark.parametrize("shift", [PixelDropout, SaltPepper])
def test_all_channels_of_a_pixel_are_lost_together(shift):
    clean, shown = see(shift, 4, "colour")
    lost = (shown == 0) | (shown == 255)
    assert lost.any()
    assert np.array_equal(lost.any(axis=-1), lost.all(axis=-1))
    assert shown.dtype == np.uint8


@pytest.mark.parametrize("shift", [Brightness, Contrast, PixelDropout, SaltPepper, Occlusion])
def test_bytes_and_floats_show_the_same(shift):
    colour, image = see(shift, 3, "colour")[1], see(shift, 3, "image")[1]
    assert np.array_equal(LEVELS[colour[..., 0]], image)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_a_rectangle_hides_its_share_for_a_whole_episode(severity):
    steps = 12
    clean, shown = see(Occlusion, severity, steps=4 * steps - 1)
    hidden = (shown == 0).reshape(4, steps, 4, HEIGHT, WIDTH)
    assert np.array_equal(shown[shown > 0], clean[shown > 0])
    assert (hidden == hidden[:, :1]).all(), "it stays where it is"
    masks = hidden[:, 0].reshape(16, HEIGHT, WIDTH)
    assert len(np.unique(masks, axis=0)) > 8, "each episode has its own"
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all(), "it is a rectangle"
    # whole pixels: a side of n pixels is exact to half a pixel
    assert masks.mean() == pytest.approx(Occlusion.level(severity), rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (84, 84), (16, 64)])
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_rectangles_lie_in_the_image(shape, share):
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(200):
        top, bottom, left, right = draw_rectangle(rng, shape, share)
        assert 0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]
        areas.append((bottom - top) * (right - left) / (shape[0] * shape[1]))
    if min(shape) >= 16:
        assert np.mean(areas) == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize("shift", [Brightness, Contrast, PixelDropout, SaltPepper, Occlusion])
def test_image_shifts_on_a_state_say_what_fits(shift):
    with pytest.raises(NeuroctlError, match="it needs an image .*; fitting: action-noise, frame-drop, ") as caught:
        shift(LaneFollowVector(1), 2)
    assert "\n" not in str(caught.value)
    assert shift.name not in str(caught.value).split("fitting:")[1]


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(0, 1, (8,), np.float32),
        gym.spaces.Box(0, 2, (8, 8), np.float32),
        gym.spaces.Box(0, 1, (8, 8), np.float64),
        gym.spaces.Box(0, 254, (8, 8), np.uint8),
        gym.spaces.Discrete(3),
    ],
)
def test_what_is_no_image_is_refused(space):
    reason = Brightness.fits(space, gym.spaces.Discrete(2))
    assert reason is not None and reason.startswith("it needs an image")
