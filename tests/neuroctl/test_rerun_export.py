"""What a file for Rerun holds, read back by Rerun itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl import rerun_export
from neuroctl.errors import NeuroctlError
from neuroctl.recording import Recording
from neuroctl.rerun_export import export_rerun
from tests.neuroctl.toys import POINT

BALL = "neuroctl/BallReach-v0"


def recorded(path: Path, env_id: str = BALL, **kwargs: Any) -> Recording:
    neuroctl.record("random", path, episodes=2, env_id=env_id, env_kwargs=kwargs)
    return Recording(path)


def read(file: Path) -> dict[str, list[Any]]:
    """Arrow batches by entity."""
    from rerun.chunk import RrdReader

    found: dict[str, list[Any]] = {}
    for chunk in RrdReader(file).stream():
        found.setdefault(str(chunk.entity_path), []).append(chunk.to_record_batch())
    return found


def column(batches: list[Any], name: str) -> Any:
    (batch,) = (batch for batch in batches if name in batch.schema.names)
    return batch.column(name)


def test_curves_are_those_of_the_episode(tmp_path: Path) -> None:
    episode = recorded(tmp_path / "data", max_steps=7).episode(1)
    found = read(export_rerun(tmp_path / "data", 1, tmp_path / "new" / "e.rrd"))
    for entity, values in (("/observation", episode.obs), ("/action", episode.action)):
        scalars = np.array(column(found[entity], "Scalars:scalars").to_pylist())
        np.testing.assert_array_equal(scalars, values.astype(np.float64))
    rewards = np.array(column(found["/reward"], "Scalars:scalars").to_pylist())[:, 0]
    np.testing.assert_array_equal(rewards, episode.reward)
    returns = np.array(column(found["/return"], "Scalars:scalars").to_pylist())[:, 0]
    assert returns[-1] == episode.reward.sum()
    assert column(found["/observation"], "step").to_pylist() == list(range(8))
    time_ns = [value.value for value in column(found["/observation"], "time")]
    np.testing.assert_allclose(time_ns, 2e7 * np.arange(8))  # control steps of 20 ms
    assert "/expert" not in found and "/about" in found


def test_images_are_those_that_were_seen(tmp_path: Path) -> None:
    episode = recorded(tmp_path / "data", observation="retina", max_steps=3).episode(0)
    found = read(export_rerun(tmp_path / "data", 0, tmp_path / "e.rrd"))["/observation"]
    pixels = np.array([row[0] for row in column(found, "Image:buffer").to_pylist()], np.uint8)
    np.testing.assert_array_equal(pixels.reshape(4, 16, 16), np.rint(255 * episode.obs).astype(np.uint8))
    form = column(found, "Image:format").to_pylist()[0][0]
    assert (form["width"], form["height"]) == (16, 16)


def test_dicts_and_stacks_are_logged_one_by_one(tmp_path: Path) -> None:
    recorded(tmp_path / "dict", POINT, image=True)
    found = read(export_rerun(tmp_path / "dict", 0, tmp_path / "dict.rrd"))
    assert {"/observation/image", "/observation/state"} <= set(found)
    assert "time" not in found["/action"][0].schema.names  # the toy does not say how long a step is
    recorded(tmp_path / "stack", "neuroctl/Atari-Pong-v0", size=(8, 8), max_steps=2)
    found = read(export_rerun(tmp_path / "stack", 0, tmp_path / "stack.rrd"))
    assert {f"/observation/{k}" for k in range(4)} <= set(found)
    recorded(tmp_path / "events", observation="events", max_steps=2)
    assert "/observation" in read(export_rerun(tmp_path / "events", 0, tmp_path / "events.rrd"))


def test_mistakes_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "data", max_steps=2)
    with pytest.raises(NeuroctlError, match="files for Rerun end in .rrd, not e.mp4"):
        export_rerun(tmp_path / "data", 0, tmp_path / "e.mp4")
    with pytest.raises(NeuroctlError, match="7"):
        export_rerun(tmp_path / "data", 7, tmp_path / "e.rrd")
    assert not list(tmp_path.glob("*.rrd")) and not list(tmp_path.glob(".*"))
    monkeypatch.setattr(rerun_export, "find_spec", lambda name: None)
    with pytest.raises(NeuroctlError, match="need the package rerun-sdk: pip install 'neuroctl.export.'"):
        export_rerun(tmp_path / "data", 0, tmp_path / "e.rrd")
