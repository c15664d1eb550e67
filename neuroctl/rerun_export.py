"""A recorded episode as a file for the Rerun viewer (extra: export)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .episode_series import control_dt_s, series_of
from .errors import NeuroctlError
from .recording import Recording
from .storage import written_beside


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
    dt_s = control_dt_s(recording)
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(target) as temporary:
        stream = rerun.RecordingStream("neuroctl", recording_id=f"{recording.path.resolve()}#{number}")
        stream.save(temporary)
        for entity, values in series_of(episode):
            _send(stream, entity, values, dt_s)
        text = f"{info.env_id} {info.env_kwargs}, shifts {list(info.shifts)}, {info.agent}, episode {number}"
        stream.log("about", rerun.TextDocument(text), static=True)
        stream.disconnect()
    return target


def _send(stream: Any, entity: str, values: NDArray[Any], dt_s: float | None) -> None:
    """Log an array `[T, ...]`, each entry at its step."""
    import rerun

    steps = np.arange(len(values))
    times = [rerun.TimeColumn("step", sequence=steps)]
    if dt_s is not None:
        times.append(rerun.TimeColumn("time", duration=steps * dt_s))
    if values.ndim <= 2:
        flat = values.reshape(len(values), -1).astype(np.float64)
        stream.send_columns(entity, indexes=times, columns=rerun.Scalars.columns(scalars=flat))
        return
    height, width, *channels = values.shape[1:]
    form = rerun.components.ImageFormat(
        width=width,
        height=height,
        color_model="RGB" if channels else "L",
        channel_datatype="U8" if values.dtype == np.uint8 else "F32",
    )
    stream.log(entity, rerun.Image.from_fields(format=form), static=True)
    pixels = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
    stream.send_columns(entity, indexes=times, columns=rerun.Image.columns(buffer=pixels))
