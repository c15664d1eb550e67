"""Images are compressed and come back with every bit, from any step on."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.frames import BLOCK, PARTS, Frames, FrameWriter, frames_of, is_image, pack_image, unpack_image


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def written(images: NDArray[Any]) -> dict[str, NDArray[Any]]:
    writer = FrameWriter()
    for image in images:
        writer.add(image)
    return writer.arrays("obs")


def frames(images: NDArray[Any]) -> Frames:
    found = frames_of(written(images))["obs"]
    assert isinstance(found, Frames)
    return found


def films() -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (2 * BLOCK + 5, 6, 4), dtype=np.uint8)
    seen = unpack_image(levels)
    mixed = seen.copy()
    mixed[BLOCK + 3, 2, 1] = -0.0  # a block that cannot be kept as bytes between two that can
    return {
        "bytes": levels,
        "levels": seen,
        "mixed": mixed,
        "floats": rng.standard_normal((3, 5, 5, 2)).astype(np.float32),
        "one block": levels[:BLOCK],
        "one image": levels[:1],
    }


def test_packing_changes_no_bit_of_any_image() -> None:
    levels = unpack_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert pack_image(levels).dtype == np.uint8 and same(unpack_image(pack_image(levels)), levels)
    for odd in (-0.0, np.nan, np.inf, 2.0, -1 / 255, 256 / 255, np.nextafter(np.float32(1), np.float32(0)), 1e-45):
        image = levels.copy()
        image[3, 4] = odd
        assert same(pack_image(image), image), odd
    for other in (levels.astype(np.float64), levels[0], np.ones((2, 2), np.int64), np.ones((2, 2), np.uint8)):
        assert pack_image(other) is other


@pytest.mark.parametrize("name", films())
def test_any_steps_come_back_with_every_bit(name: str) -> None:
    images = films()[name]
    kept = frames(images)
    assert len(kept) == len(images) and kept.shape == images.shape and kept.dtype == images.dtype
    assert same(kept[:], images)
    for start in range(len(images) + 2):
        for stop in (start, start + 1, start + BLOCK, len(images), len(images) + 9):
            assert same(kept[start:stop], images[start:stop]), (start, stop)


def test_equal_images_give_equal_bytes_and_the_writer_keeps_copies() -> None:
    images = films()["levels"]
    arrays, writer, buffer = written(images), FrameWriter(), np.empty_like(images[0])
    for image in images:
        buffer[:] = image
        writer.add(buffer)
    assert all(same(array, writer.arrays("obs")[name]) for name, array in arrays.items())
    assert set(arrays) == {f"frames-{part}:obs" for part in PARTS}


def test_a_still_scene_takes_little_room() -> None:
    scene = np.random.default_rng(0).integers(0, 256, (1, 84, 84), dtype=np.uint8)
    still = frames(np.repeat(scene, 10 * BLOCK, axis=0))
    assert still.data.nbytes < 0.1 * 10 * BLOCK * 84 * 84


def test_what_is_an_image() -> None:
    assert is_image(np.zeros((4, 4), np.uint8)) and is_image(np.zeros((4, 4, 3), np.float32))
    assert not is_image(np.zeros((4, 4))) and not is_image(np.zeros(4, np.uint8))


@pytest.mark.parametrize(
    "damage",
    [
        {"ends": np.array([5])},
        {"kinds": np.array([0], np.uint8)},
        {"shape": np.array([70, 6])},
        {"shape": np.array([0, 6, 4])},
        {"shape": np.array([200, 6, 4])},
        {"shape": np.array([69, 6, 5])},
        {"data": np.zeros(7, np.uint8)},
    ],
)
def test_parts_that_do_not_fit_are_noticed(damage: dict[str, NDArray[Any]]) -> None:
    arrays = written(films()["bytes"]) | {f"frames-{part}:obs": value for part, value in damage.items()}
    with pytest.raises(ValueError):
        found: Any = frames_of(arrays)["obs"]
        found[:]
    del arrays["frames-ends:obs"]
    with pytest.raises(KeyError):
        frames_of(arrays)


def test_a_damaged_block_is_noticed() -> None:
    kept = frames(films()["bytes"])
    kept.data = kept.data.copy()
    kept.data[10:60] = 0
    with pytest.raises(ValueError):
        kept[:1]
