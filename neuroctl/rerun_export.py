"""A recorded episode as a file for the Rerun viewer (extra: export)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import NeuroctlError
from .recording import Recording
from .vector import make_env, spaces_of

WHITE = 255


def export_rerun(dataset: str | Path, number: int, path: str | Path) -> Path:
    """Write an episode as `.rrd`: observations, actions, rewards, the expert's actions, on timelines `step` and `time`.

    Images are shown as such (the frames of a stack one by one), vectors and actions as curves. `rerun FILE` opens it.

    Args:
        dataset: folder of the recording.
        number: of the episode.
        path: the file.

    Raises:
        NeuroctlError: rerun-sdk is missing, there is no such episode, or the file has another ending.
    """
    if find_spec("rerun") is None:
        raise NeuroctlError("files for Rerun need the package rerun-sdk: pip install 'neuroctl[export]'")
    import rerun

    target = Path(path)
    if target.suffix != ".rrd":
        raise NeuroctlError(f"files for Rerun end in .rrd, not {target.name}")
    recording = Recording(dataset)
    episode = recording.episode(number)
    info = recording.info
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    dt_s = spaces_of(env).control_dt_s
    env.close()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.tmp-{os.getpid()}.rrd")
    stream = rerun.RecordingStream("neuroctl", recording_id=f"{recording.path.resolve()}#{number}")
    try:
        stream.save(temporary)
        _send(stream, "observation", episode.obs, dt_s)
        _send(stream, "action", episode.action, dt_s)
        if not np.array_equal(episode.label, episode.action, equal_nan=True):
            _send(stream, "expert", episode.label, dt_s)
        _send(stream, "reward", episode.reward, dt_s)
        _send(stream, "return", np.cumsum(episode.reward), dt_s)
        text = f"{info.env_id} {info.env_kwargs}, shifts {list(info.shifts)}, {info.agent}, episode {number}"
        stream.log("about", rerun.TextDocument(text), static=True)
        stream.disconnect()
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _send(stream: Any, name: str, values: Any, dt_s: float | None) -> None:
    """Log arrays `[T, ...]`, each at its steps."""
    import rerun

    for entity, series in _series(name, values):
        steps = np.arange(len(series))
        times = [rerun.TimeColumn("step", sequence=steps)]
        if dt_s is not None:
            times.append(rerun.TimeColumn("time", duration=steps * dt_s))
        if series.ndim <= 2:
            flat = series.reshape(len(series), -1).astype(np.float64)
            stream.send_columns(entity, indexes=times, columns=rerun.Scalars.columns(scalars=flat))
            continue
        height, width, *channels = series.shape[1:]
        form = rerun.components.ImageFormat(
            width=width,
            height=height,
            color_model="RGB" if channels else "L",
            channel_datatype="U8" if series.dtype == np.uint8 else "F32",
        )
        stream.log(entity, rerun.Image.from_fields(format=form), static=True)
        pixels = np.ascontiguousarray(series).view(np.uint8).reshape(len(series), -1)
        stream.send_columns(entity, indexes=times, columns=rerun.Image.columns(buffer=pixels))


def _series(name: str, values: Any) -> Iterator[tuple[str, NDArray[Any]]]:
    """What is logged by entity: numbers `[T]`, vectors `[T, D]`, images `[T, H, W]` or `[T, H, W, 3]`."""
    if isinstance(values, dict):
        for key, part in values.items():
            yield from _series(f"{name}/{key}", part)
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
