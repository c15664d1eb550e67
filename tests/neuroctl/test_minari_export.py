"""What a Minari dataset holds, loaded by Minari itself."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import minari_export
from neuroctl.errors import NeuroctlError
from neuroctl.minari_export import export_minari
from neuroctl.recording import Recording
from tests.neuroctl.toys import POINT

BALL = "neuroctl/BallReach-v0"


@pytest.fixture(autouse=True)
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Minari keeps them."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def recorded(path: Path, env_id: str = BALL, shifts: tuple[str, ...] = (), **kwargs: Any) -> Recording:
    neuroctl.record("random", path, episodes=3, env_id=env_id, env_kwargs=kwargs, shifts=shifts)
    return Recording(path)


@pytest.mark.parametrize("observation", ["state", "retina"])
def test_every_episode_is_loaded_as_it_was_recorded(tmp_path: Path, observation: str) -> None:
    import minari

    before = dict(gym.spec(BALL).kwargs)
    shifts = ("gaussian-noise:1",)
    recording = recorded(tmp_path / "data", shifts=shifts, observation=observation, max_steps=6)
    assert export_minari(tmp_path / "data", "ball/random-v0") == "ball/random-v0"
    dataset = minari.load_dataset("ball/random-v0")
    assert dataset.total_episodes == 3 and dataset.total_steps == 18
    for number, there in enumerate(dataset.iterate_episodes()):
        here = recording.episode(number)
        np.testing.assert_array_equal(there.observations, here.obs)
        np.testing.assert_array_equal(there.actions, here.action)
        np.testing.assert_array_equal(there.rewards, here.reward)
        assert there.terminations.tolist() == [False] * 6
        assert there.truncations.tolist() == [False] * 5 + [True]
    env: Any = dataset.recover_environment()
    assert env.spec.id == BALL and env.unwrapped.vector.max_steps == 6
    assert gym.spec(BALL).kwargs == before  # Gymnasium's own description stays as it is


def test_a_killed_export_leaves_nothing_behind(tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import minari

    recorded(tmp_path / "data", max_steps=2)

    def killed(*arguments: Any, **options: Any) -> None:
        made = minari_create(*arguments, **options)
        assert (Path(made.storage.data_path)).is_dir()
        raise KeyboardInterrupt

    minari_create = minari.create_dataset_from_buffers
    monkeypatch.setattr(minari, "create_dataset_from_buffers", killed)
    with pytest.raises(KeyboardInterrupt):
        export_minari(tmp_path / "data", "lane/ball-v0")
    assert not minari.list_local_datasets() and not list(datasets.iterdir())
    monkeypatch.setattr(minari, "create_dataset_from_buffers", minari_create)
    export_minari(tmp_path / "data", "lane/ball-v0")
    assert list(minari.list_local_datasets()) == ["lane/ball-v0"]
    assert minari.load_dataset("lane/ball-v0").total_episodes == 3


def test_observations_may_be_dicts(tmp_path: Path) -> None:
    import minari

    recording = recorded(tmp_path / "data", POINT, image=True)
    export_minari(tmp_path / "data", "point-v1")
    there = next(minari.load_dataset("point-v1").iterate_episodes([0]))
    here = recording.episode(0)
    for key in ("image", "state"):
        np.testing.assert_array_equal(there.observations[key], here.obs[key])


def test_mistakes_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded(tmp_path / "data", max_steps=2)
    for name in ("ball", "k/x-v0", "../ball-v0"):
        with pytest.raises(NeuroctlError, match=f"'{name}' is no name of a Minari dataset; allowed are such as"):
            export_minari(tmp_path / "data", name)
    export_minari(tmp_path / "data", "ball-v0")
    with pytest.raises(NeuroctlError, match="there is a Minari dataset ball-v0 already"):
        export_minari(tmp_path / "data", "ball-v0")
    index = tmp_path / "data" / "index.jsonl"
    lines = index.read_text().splitlines()
    index.write_text("\n".join([lines[0], "garbage", lines[2]]) + "\n")
    with pytest.raises(NeuroctlError, match="index.jsonl line 2 is damaged; its episode would be missing"):
        export_minari(tmp_path / "data", "other-v0")
    monkeypatch.setattr(minari_export, "find_spec", lambda name: None)
    with pytest.raises(NeuroctlError, match="need the package minari.hdf5.: pip install 'neuroctl.export.'"):
        export_minari(tmp_path / "data", "other-v0")
