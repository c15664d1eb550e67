import numpy as np
import pytest

from neuroctl.envs.atari_kernels import area_weights, shrink


@pytest.mark.parametrize(("size_in", "size_out"), [(210, 84), (160, 84), (250, 84), (7, 3), (5, 5), (9, 1), (11, 10)])
def test_every_input_pixel_counts_by_the_area_that_it_covers(size_in, size_out):
    weights = area_weights(size_in, size_out)
    dense = np.zeros((size_out, size_in))
    for row, (first, share) in enumerate(zip(weights.first, weights.share, strict=True)):
        dense[row, first : first + len(share)] = share
    np.testing.assert_allclose(dense.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(dense.sum(axis=0), size_out / size_in, atol=1e-6)
    # finely sampled: where a point of the output lies in the input
    points = (np.arange(1000 * size_out) + 0.5) * size_in / (1000 * size_out)
    counted = np.zeros_like(dense)
    np.add.at(counted, (np.repeat(np.arange(size_out), 1000), points.astype(int)), 1e-3)
    np.testing.assert_allclose(dense, counted, atol=2e-3)


def shrunk(before, last, size):
    out = np.zeros((*size, before.shape[2]), np.uint8)
    shrink(before, last, area_weights(before.shape[0], size[0]), area_weights(before.shape[1], size[1]), out)
    return out


def test_frames_are_shrunk_after_the_maximum_of_two():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 6, 4, 3), dtype=np.uint8)
    blocks = np.maximum(a, b).reshape(3, 2, 2, 2, 3).astype(float)
    np.testing.assert_array_equal(shrunk(a, b, (3, 2)), np.rint(blocks.mean(axis=(1, 3))))


def test_a_frame_of_one_grey_stays_it_at_any_size():
    frame = np.full((210, 160, 1), 200, np.uint8)
    assert (shrunk(frame, frame, (84, 84)) == 200).all() and (shrunk(frame, frame, (210, 160)) == 200).all()
