"""mp4 videos of episodes, written with the ffmpeg binary that imageio-ffmpeg brings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import NeuroctlError
from .recording import Recording
from .replaying import start_episode
from .storage import written_beside
from .vector import make_env

FPS = 50


def write_video(path: Path, frames: Iterable[NDArray[np.uint8]], fps: float = FPS) -> None:
    """Encode frames `[H, W, 3]` as H.264.

    Raises:
        NeuroctlError: there are no frames, or the file cannot be written.
    """
    import imageio_ffmpeg

    iterator = iter(frames)
    frame = next(iterator, None)
    if frame is None:
        raise NeuroctlError("no frames to write a video of")
    if path.suffix != ".mp4":
        raise NeuroctlError(f"videos are .mp4 files, not {path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frame.shape[:2]
    try:
        with written_beside(path) as temporary:
            writer = imageio_ffmpeg.write_frames(
                str(temporary), (width, height), fps=fps, macro_block_size=2, ffmpeg_log_level="quiet"
            )
            writer.send(None)
            while frame is not None:
                writer.send(np.ascontiguousarray(frame))
                frame = next(iterator, None)
            writer.close()
    except OSError as error:
        raise NeuroctlError(f"{path} could not be written: {str(error).strip().splitlines()[0]}") from None


def replay_frames(recording: Recording, number: int, every: int = 1) -> Iterable[NDArray[np.uint8]]:
    """Frames of a recorded episode, rendered while its actions are played again, before every so many of its steps.

    Raises:
        NeuroctlError: the environment cannot be rendered.
    """
    info = recording.info
    episode = recording.episode(number)
    env = make_env(info.env_id, 1, {**info.env_kwargs, "render_mode": "rgb_array"}, info.shifts)
    try:
        start_episode(env, episode)
        yield _frame(env)
        for step in range(len(episode) - 1):
            env.step(episode.action[step : step + 1])
            if (step + 1) % every == 0:
                yield _frame(env)
    finally:
        env.close()


def _frame(env: Any) -> NDArray[np.uint8]:
    frames = env.unwrapped.render()
    if frames is None:
        raise NeuroctlError(f"{type(env.unwrapped).__name__} renders nothing")
    return np.asarray(frames[0], dtype=np.uint8)


def replay_video(dataset: str | Path, number: int, path: str | Path) -> Path:
    """Write the video of a recorded episode.

    Args:
        dataset: folder of the recording.
        number: episode.
        path: the mp4 file.
    """
    write_video(Path(path), replay_frames(Recording(dataset), number))
    return Path(path)
