"""What an episode holds, taken apart into what can be shown: curves and images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .recording import Episode, Recording
from .vector import make_env, spaces_of

WHITE = 255


def control_dt_s(recording: Recording) -> float | None:
    """Length of a control step of the environment that was recorded; None where it does not say."""
    info = recording.info
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    try:
        return spaces_of(env).control_dt_s
    finally:
        env.close()


def series_of(episode: Episode) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and values of all that is shown of an episode, see `series`; the expert's actions where they differ."""
    parts = {"observation": episode.obs, "action": episode.action}
    if not np.array_equal(episode.label, episode.action, equal_nan=True):
        parts["expert"] = episode.label
    parts |= {"reward": episode.reward, "return": np.cumsum(episode.reward)}
    parts |= {name: values.reshape(len(values), -1) for name, values in episode.neural.items()}
    for name, values in parts.items():
        yield from series(name, values)


def series(name: str, values: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """By name: numbers `[T]`, vectors `[T, D]`, images `[T, H, W]` or `[T, H, W, 3]`; frames of a stack one by one."""
    if isinstance(values, dict):
        for key, part in values.items():
            yield from series(f"{name}/{key}", part)
        return
    if values.ndim <= 2:
        yield name, values
    elif values.ndim == 3:
        yield name, _pixels(values)
    elif values.ndim == 4 and values.shape[-1] == 3 and values.dtype == np.uint8:
        yield name, values
    else:
        for index in np.ndindex(values.shape[3:]):
            channel = "-".join(map(str, index))
            yield f"{name}/{channel}", _pixels(values[(..., *index)])


def _pixels(images: NDArray[Any]) -> NDArray[Any]:
    """Images of an 8-bit camera as uint8, whatever else (event counts) as float32."""
    if images.dtype == np.uint8:
        return images
    grey = images * WHITE
    whole: NDArray[Any] = np.rint(grey)
    if images.min() >= 0 and images.max() <= 1 and np.allclose(grey, whole, atol=1e-3):
        return whole.astype(np.uint8)
    return images.astype(np.float32)
