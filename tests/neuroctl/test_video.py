"""A recorded episode becomes an mp4 file with one frame for each of its observations but the last."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.rollouts import record
from neuroctl.video import FPS, replay_frames, replay_video, write_video
from tests.neuroctl.toys import POINT, Point


def test_an_episode_becomes_a_video_with_its_frames(tmp_path: Path) -> None:
    recording = record("random", tmp_path / "r", episodes=2, env_id=POINT, width=2)
    path = replay_video(tmp_path / "r", 1, tmp_path / "videos" / "one.mp4")
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(path))
    length = len(recording.episode(1))
    assert frames == length and seconds == pytest.approx(length / FPS, abs=0.02)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    decoded = subprocess.run(command, capture_output=True, check=True)
    assert b"Video: h264" in decoded.stderr and b"48x32" in decoded.stderr
    shown = np.frombuffer(decoded.stdout, np.uint8).reshape(-1, 32, 48, 3)
    for step, (frame, expected) in enumerate(zip(shown, replay_frames(recording, 1), strict=True)):
        assert expected[0, 0, 0] == 20 * step
        assert abs(frame.astype(int) - expected).mean() < 8


def test_a_lane_following_episode_becomes_a_video(tmp_path: Path) -> None:
    record("expert", tmp_path, episodes=1, env_id="neuroctl/LaneFollow-v0", env_kwargs={"max_steps": 8}, width=1)
    path = replay_video(tmp_path, 0, tmp_path / "lane.mp4")
    assert imageio_ffmpeg.count_frames_and_secs(str(path))[0] == 8


def test_what_cannot_be_shown_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record("zero", tmp_path / "r", episodes=1, env_id=POINT, width=1)
    with pytest.raises(NeuroctlError, match="no frames"):
        write_video(tmp_path / "a.mp4", [])
    with pytest.raises(NeuroctlError, match=r"no episode 3 in .*; episodes there: 0\.\.0"):
        replay_video(tmp_path / "r", 3, tmp_path / "a.mp4")
    monkeypatch.setattr(Point, "render", lambda self: None)
    with pytest.raises(NeuroctlError, match="Point renders nothing"):
        replay_video(tmp_path / "r", 0, tmp_path / "a.mp4")
    assert not (tmp_path / "a.mp4").exists()
