"""The view of the wall, against rays that are followed step by step."""

import numpy as np
import pytest

from neuroctl.envs.pool_view import CUE_RAD, FIELD_DEG, PoolRetina, draw_pool, wall_grey
from neuroctl.errors import NeuroctlError

POSES = np.array([[0.0, 0.0, 0.0], [0.5, -0.6, 2.0], [-0.93, 0.1, 3.1], [0.2, 0.3, -40.0]])


def marched(pose, radius_m, cues, size):
    """The image `[rows, columns]` by steps of 1/1000 radius along each ray, without averaging."""
    rows, columns = size
    image = np.zeros(size)
    steps = np.arange(0, 2.1, 1 / 1000) * radius_m
    for c in range(columns):
        angle = pose[2] + np.deg2rad(FIELD_DEG / 2 - FIELD_DEG * (c + 0.5) / columns)
        x, y = pose[0] + steps * np.cos(angle), pose[1] + steps * np.sin(angle)
        k = int(np.argmax(np.hypot(x, y) >= radius_m))
        height = 0.75 * (1 - (np.arange(rows) + 0.5) / rows) * steps[k] / (radius_m / 2)
        image[:, c] = np.where(height < 1, wall_grey(np.arctan2(y[k], x[k]), height, cues), 77 / 255)
    return image


@pytest.mark.parametrize(("radius_m", "cues"), [(1.0, 4), (2.5, 2)])
def test_every_pixel_sees_what_its_ray_meets(radius_m, cues):
    poses = POSES * [radius_m, radius_m, 1]
    seen = PoolRetina((32, 128), radius_m, cues).render(poses)
    for image, pose in zip(seen, poses, strict=True):
        expected = marched(pose, radius_m, cues, (32, 128))
        # Edges of patterns may fall to either side of a pixel's centre.
        assert (np.abs(image - expected) < 1e-6).mean() > 0.95
        assert set(np.unique(np.round(255 * image))) <= {0, 77, 153, 255}


def test_the_cue_in_the_west_has_five_stripes():
    around = np.pi + np.linspace(-0.999, 0.999, 1000) * CUE_RAD
    greys = wall_grey(around, np.full(1000, 0.5), 4)
    ends = np.flatnonzero(np.diff(greys)) + 1
    assert ends == pytest.approx([200, 400, 600, 800], abs=2)
    assert set(greys) == {0.0, 1.0}


def test_smaller_images_are_averages():
    whole, small = (PoolRetina(size, 1.0, 4).render(POSES) for size in ((32, 128), (8, 32)))
    assert small.shape == (4, 8, 32)
    assert small == pytest.approx(whole.reshape(4, 8, 4, 32, 4).mean(axis=(2, 4)), abs=0.5 / 255 + 1e-6)


def test_the_view_tells_where_the_swimmer_is_and_where_it_looks():
    """Nearest of 1500 views of other poses: its place is near. Without cues, the heading at the centre is unknown."""
    rng = np.random.default_rng(0)
    poses = rng.uniform([-0.6, -0.6, -np.pi], [0.6, 0.6, np.pi], (1520, 3))
    views = PoolRetina((8, 32), 1.0, 4).render(poses).reshape(len(poses), -1)
    errors = []
    for view, pose in zip(views[:20], poses[:20], strict=True):
        nearest = poses[20 + np.argmin(((views[20:] - view) ** 2).sum(axis=1))]
        errors.append(np.hypot(*(nearest - pose)[:2]))
    assert np.median(errors) < 0.2
    turned = np.array([[0.0, 0.0, angle] for angle in (0.0, 1.0, 2.5)])
    blank, cued = (PoolRetina((8, 32), 1.0, cues).render(turned) for cues in (0, 4))
    assert (blank == blank[0]).all()
    assert np.abs(cued[1] - cued[0]).max() > 0.3


def test_the_map_shows_the_swimmer_the_platform_and_the_cues():
    frame = draw_pool(np.array([0.5, -0.4, np.pi]), np.array([-0.3, 0.2]), 1.0, 4).astype(int)
    assert frame.shape == (240, 320, 3)
    side = 2.3 / 240

    def centre(mask):
        row, column = np.argwhere(mask).mean(axis=0) + 0.5
        return [(column - 160) * side, (120 - row) * side], mask.sum() * side**2

    place, area = centre(frame[..., 1] - frame[..., 0] > 100)
    assert place == pytest.approx([-0.3, 0.2], abs=0.01)
    assert area == pytest.approx(np.pi * 0.12**2, rel=0.05)
    place, _ = centre((frame == 60).all(axis=-1))
    assert place == pytest.approx([0.51, -0.4], abs=0.02)
    assert (frame[120, 160 + 109] == 0).all() and (frame[120 - 109, 160] == 255).all()


@pytest.mark.parametrize("cues", [-1, 5, 2.0, True])
def test_the_number_of_cues_is_checked(cues):
    with pytest.raises(NeuroctlError, match="^cues must be an integer from 0 to 4, got "):
        PoolRetina((8, 32), 1.0, cues)
