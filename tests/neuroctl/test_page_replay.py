"""The page of an episode: its pictures are those that were observed, its film those that are rendered."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bokeh.models import DataRange1d
from imageio.v3 import imread

import neuroctl
from neuroctl import page_replay
from neuroctl.errors import NeuroctlError
from neuroctl.launch.cli import main
from neuroctl.page_replay import replay_page
from neuroctl.progress import NoProgress
from neuroctl.recording import Recording
from neuroctl.video import replay_frames

LANE = "neuroctl/LaneFollow-v0"


def recorded(path: Path, **kwargs: Any) -> Recording:
    neuroctl.record("random", path, episodes=2, env_id=LANE, env_kwargs={"max_steps": 9, **kwargs})
    return Recording(path)


def films_of(path: Path) -> list[Any]:
    [content] = re.findall('id="episode">(.*?)</script>', path.read_text())
    films: list[Any] = json.loads(content)["films"]
    return films


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


class Told(NoProgress):
    steps = 0

    def advance(self, count: int = 1, note: str = "") -> None:
        self.steps += count


def test_of_a_long_episode_every_so_many_frames_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(tmp_path / "d", observation="state")
    monkeypatch.setattr(page_replay, "MOST_FRAMES", 4)
    told = Told()
    [film] = films_of(replay_page(tmp_path / "d", 0, tmp_path / "page.HTML", told))
    rendered = list(replay_frames(recording, 0))[::3]
    assert film["every"] == 3 and len(film["frames"]) == len(rendered) == 3 and told.steps == 9
    assert all(np.abs(pixels(u).astype(int) - f).mean() < 8 for u, f in zip(film["frames"], rendered, strict=True))


def test_observed_images_are_thinned_like_the_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = recorded(tmp_path / "d", observation="retina", retina_size=(8, 16))
    monkeypatch.setattr(page_replay, "MOST_FRAMES", 5)
    film, seen = films_of(replay_page(tmp_path / "d", 0, tmp_path / "page.html"))
    assert film["every"] == seen["every"] == 2 and (len(film["frames"]), len(seen["frames"])) == (5, 5)
    observed = np.rint(255 * recording.episode(0).obs).astype(np.uint8)[::2]
    assert np.array_equal(observed, [pixels(url) for url in seen["frames"]])


def test_of_a_stack_the_newest_frame_is_shown() -> None:
    names = ["observation/0", "observation/1", "observation/2", "eye1", "eye2", "both/left", "both/right"]
    assert page_replay._newest(names) == {"observation/2", "eye1", "eye2", "both/left", "both/right"}


def test_vectors_are_curves_and_long_ones_a_map_of_colours_with_time_to_the_right() -> None:
    values = np.random.default_rng(0).normal(size=(7, 3))
    lines = page_replay._figure(values, DataRange1d()).renderers
    assert [line.name for line in lines] == ["0", "1", "2"]
    for d, line in enumerate(lines):
        np.testing.assert_array_equal(line.data_source.data["x"], np.arange(7))
        np.testing.assert_array_equal(line.data_source.data["y"], values[:, d])
    many = np.random.default_rng(0).normal(size=(7, 9))
    [drawn] = page_replay._figure(many, DataRange1d()).renderers
    np.testing.assert_array_equal(drawn.data_source.data["image"][0], many.T)
    assert (drawn.glyph.dw, drawn.glyph.dh) == (7, 9)


def test_images_of_counts_are_grey_where_nothing_was() -> None:
    counts = np.array([[[0.0, 3.0], [-6.0, 0.0]]], np.float32)
    [url] = page_replay._observed(counts, 1)["frames"]
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
