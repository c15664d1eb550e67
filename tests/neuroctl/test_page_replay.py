"""The page of an episode: its pictures are those that were observed, its film those that are rendered."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imageio.v3 import imread

import neuroctl
from neuroctl import page_replay
from neuroctl.errors import NeuroctlError
from neuroctl.launch.cli import main
from neuroctl.page_replay import replay_page
from neuroctl.recording import Recording
from neuroctl.video import replay_frames

LANE = "neuroctl/LaneFollow-v0"


def recorded(path: Path, **kwargs: Any) -> Recording:
    neuroctl.record("random", path, episodes=2, env_id=LANE, env_kwargs={"max_steps": 9, **kwargs})
    return Recording(path)


def films_of(path: Path) -> list[Any]:
    [content] = re.findall('id="episode">(.*?)</script>', path.read_text())
    return json.loads(content)["films"]


def pixels(url: str) -> Any:
    return imread(io.BytesIO(base64.b64decode(url.partition("base64,")[2])))


def test_pictures_are_those_of_the_episode(tmp_path: Path) -> None:
    recording = recorded(tmp_path / "d", observation="retina", retina_size=(8, 16))
    film, seen = films_of(replay_page(tmp_path / "d", 1, tmp_path / "new" / "page.html"))
    observed = np.rint(255 * recording.episode(1).obs).astype(np.uint8)
    assert seen["every"] == 1 and np.array_equal(observed, [pixels(url) for url in seen["frames"]])
    rendered = list(replay_frames(recording, 1))
    assert film["every"] == 1 and len(film["frames"]) == len(rendered)
    for url, frame in zip(film["frames"], rendered, strict=True):
        assert np.abs(pixels(url).astype(int) - frame).mean() < 8  # JPEG


def test_of_a_long_episode_every_so_many_frames_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(tmp_path / "d", observation="state")
    monkeypatch.setattr(page_replay, "MOST_FRAMES", 4)
    [film] = films_of(replay_page(tmp_path / "d", 0, tmp_path / "page.html"))
    rendered = list(replay_frames(recording, 0))[::3]
    assert film["every"] == 3 and len(film["frames"]) == len(rendered) == 3
    assert all(np.abs(pixels(u).astype(int) - f).mean() < 8 for u, f in zip(film["frames"], rendered, strict=True))


def test_images_of_counts_are_grey_where_nothing_was() -> None:
    counts = np.array([[[0.0, 3.0], [-6.0, 0.0]]], np.float32)
    [url] = page_replay._observed(counts)["frames"]
    assert pixels(url).tolist() == [[128, 192], [1, 128]]


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded(tmp_path / "d", observation="state")
    with pytest.raises(NeuroctlError, match=r"pages end in .html, not page.mp4"):
        replay_page(tmp_path / "d", 0, tmp_path / "page.mp4")
    assert main(["replay", str(tmp_path / "d"), "--episode", "7", "--page", str(tmp_path / "page.html")]) == 2
    assert "no episode 7 in" in capsys.readouterr().err and not (tmp_path / "page.html").exists()
    assert main(["replay", str(tmp_path / "d"), "--page", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out == f"page: {tmp_path / 'page.html'}\n"


def test_nothing_that_was_recorded_ends_a_script() -> None:
    assert page_replay._json({"a": "</script>"}) == '{"a": "<\\/script>"}'
