"""Arrays become bytes and come back with every bit."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.episode_codec import decode_episode, encode_episode, flatten, unflatten


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_equal_episodes_give_equal_bytes_and_nested_names_survive(tmp_path: Path) -> None:
    tree = {"a": np.arange(3), "b": {"c": np.array([[-0.0]], np.float32), "d": {"e": np.array(True)}}}
    arrays = flatten("obs", tree)
    assert set(arrays) == {"obs/a", "obs/b/c", "obs/b/d/e"}
    assert encode_episode(arrays) == encode_episode(dict(arrays))
    back = unflatten(decode_episode(encode_episode(arrays), tmp_path), "obs")
    assert same(back["b"]["c"], tree["b"]["c"]) and same(back["b"]["d"]["e"], np.array(True))  # type: ignore[index]
