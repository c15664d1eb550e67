import numpy as np
import pytest

from neuroctl.envs.disk_camera import axis_sums, disk_coverage, grey_images, quarter_area


def centres(n, limit, seed=0):
    return np.random.default_rng(seed).uniform(-limit, limit, (n, 2))


def sampled(centre, radius, half_side, pixels, fine=64):
    """Coverage by counting points: a second, slow way."""
    axis = (np.arange(pixels * fine) + 0.5) * (2 * half_side / (pixels * fine)) - half_side
    inside = (axis[None] - centre[0]) ** 2 + (axis[::-1, None] - centre[1]) ** 2 < radius**2
    return inside.reshape(pixels, fine, pixels, fine).mean(axis=(1, 3))


def test_a_whole_disk_covers_pi_r_squared():
    cover = disk_coverage(centres(500, 8.0), 2.0, 10.0, 16)
    assert cover.sum(axis=(1, 2)) * 1.25**2 == pytest.approx(np.full(500, 4 * np.pi), rel=1e-13)
    assert cover.min() == 0
    assert cover.max() == 1


@pytest.mark.parametrize(("radius", "half_side", "pixels"), [(2.0, 10.0, 16), (0.2, 1.0, 3), (7.0, 10.0, 5)])
def test_every_pixel_agrees_with_counted_points(radius, half_side, pixels):
    """Disks across the border and disks inside one pixel too."""
    places = centres(12, half_side * 1.2, seed=1)
    cover = disk_coverage(places, radius, half_side, pixels)
    expected = np.stack([sampled(place, radius, half_side, pixels) for place in places])
    assert np.abs(cover - expected).max() < 0.02
    assert (cover - expected).mean() == pytest.approx(0, abs=1e-3)


def test_a_disk_outside_is_not_seen():
    assert not disk_coverage(np.array([[13.0, 0.0], [0.0, -12.5], [1e9, -1e9]]), 2.0, 10.0, 16).any()


def test_rows_run_from_the_greatest_y_and_columns_from_the_smallest_x():
    cover = disk_coverage(np.array([[-8.0, 8.0]]), 2.0, 10.0, 16)[0]
    assert np.argwhere(cover > 0).max() == 3
    assert cover[1, 1] == 1


def test_the_area_below_a_corner_is_that_of_known_parts():
    for x, y, share in [(0, 0, 1 / 4), (3, 0, 1 / 2), (0, 9, 1 / 2), (3, 3, 1), (-3, 0, 0), (2, 2, 1)]:
        assert quarter_area(float(x), float(y), 2.0) == pytest.approx(share * 4 * np.pi, abs=1e-12)
    segment = 4 * np.arccos(1 / 2) - 1 * np.sqrt(3)
    assert quarter_area(-1.0, 5.0, 2.0) == pytest.approx(segment)
    assert quarter_area(1.0, 5.0, 2.0) == pytest.approx(4 * np.pi - segment)


def test_greys_are_those_of_an_8_bit_camera():
    greys = grey_images(np.linspace(0, 1, 101).reshape(1, 1, -1), 1.0, 25 / 255)[0, 0]
    assert greys.dtype == np.float32
    assert (greys[0], greys[-1]) == (np.float32(1), np.float32(25 / 255))
    assert np.abs(greys - np.linspace(1, 25 / 255, 101)).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(greys * 255, np.round(greys * 255))


def test_sums_run_along_rows_then_columns():
    images = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    sums = axis_sums(images)
    assert sums.dtype == np.float32
    assert sums[:, :4] == pytest.approx(images.sum(axis=2))
    assert sums[:, 4:] == pytest.approx(images.sum(axis=1))
