"""Arrays become bytes and come back with every bit."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.episode_codec import decode_episode, encode_episode, flatten, pack_image, unflatten, unpack_image


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_packing_changes_no_bit_of_any_image() -> None:
    levels = unpack_image(np.arange(256, dtype=np.uint8).reshape(16, 16))
    assert pack_image(levels).dtype == np.uint8 and same(unpack_image(pack_image(levels)), levels)
    for odd in (-0.0, np.nan, np.inf, 2.0, -1 / 255, 256 / 255, np.nextafter(np.float32(1), np.float32(0)), 1e-45):
        image = levels.copy()
        image[3, 4] = odd
        assert same(pack_image(image), image), odd
    for other in (levels.astype(np.float64), levels[0], np.ones((2, 2), np.int64), np.ones((2, 2), np.uint8)):
        assert pack_image(other) is other


def test_equal_episodes_give_equal_bytes_and_nested_names_survive(tmp_path: Path) -> None:
    tree = {"a": np.arange(3), "b": {"c": np.array([[-0.0]], np.float32), "d": {"e": np.array(True)}}}
    arrays = flatten("obs", tree)
    assert set(arrays) == {"obs/a", "obs/b/c", "obs/b/d/e"}
    assert encode_episode(arrays) == encode_episode(dict(arrays))
    back = unflatten(decode_episode(encode_episode(arrays), tmp_path), "obs")
    assert same(back["b"]["c"], tree["b"]["c"]) and same(back["b"]["d"]["e"], np.array(True))  # type: ignore[index]
