"""An episode that stands in the index survives a kill, is what happened bit for bit, and its damage is named."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.episode_codec import decode_episode, encode_episode
from neuroctl.errors import DamagedFileError, FormatVersionError, NeuroctlError
from neuroctl.frames import Frames
from neuroctl.recording import Recording
from neuroctl.rollouts import record
from neuroctl.storage import is_unused
from tests.neuroctl.toys import POINT, record_points

Kill = Callable[..., None]


def make(path: Path, episodes: int = 6, **options: Any) -> Recording:
    return record("expert", path, episodes=episodes, seed=7, env_id=POINT, width=4, **options)


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_images_are_stored_compressed_and_read_exactly(tmp_path: Path) -> None:
    recording = make(tmp_path, 1, env_kwargs={"image": True, "min_steps": 12})
    with np.load(tmp_path / "episodes" / "000000.npz") as archive:
        stored = archive["frames-data:obs/image"]
    image = recording.episode(0).obs["image"]
    assert image.dtype == np.float32 and same(image, np.rint(image * 255).astype(np.float32) / np.float32(255))
    assert stored.nbytes < image.size  # less than a byte for each value
    frames = recording.arrays(0, unpack=False)["obs/image"]
    assert isinstance(frames, Frames) and same(frames[:], image)


def test_images_of_recordings_of_format_1_are_read(tmp_path: Path) -> None:
    levels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    arrays = decode_episode(encode_episode({"u8:obs": levels, "reward": np.ones(2)}), tmp_path)
    assert same(arrays["obs"], levels.astype(np.float32) / np.float32(255)) and same(arrays["reward"], np.ones(2))


@pytest.mark.parametrize("trial", range(6))
def test_an_indexed_episode_survives_sigkill(tmp_path: Path, kill_at: Kill, trial: int) -> None:
    index = tmp_path / "r" / "index.jsonl"
    wait = random.Random(trial).uniform(0, 0.1)
    started = lambda: index.exists() and index.stat().st_size > 0  # noqa: E731
    kill_at(record_points, tmp_path / "r", 10_000, 0.0005, started=started, after_s=wait)
    recording = Recording(tmp_path / "r")
    assert len(recording) > 0 and recording.check() == []
    whole = record("expert", tmp_path / "whole", episodes=len(recording) + 8, seed=7, env_id=POINT, width=4)
    for number in recording.numbers()[:20]:
        if number in whole.index:
            assert same(recording.episode(number).reward, whole.episode(number).reward)


def test_a_recording_killed_again_and_again_is_completed_to_equal_bytes(tmp_path: Path, kill_at: Kill) -> None:
    index = tmp_path / "r" / "index.jsonl"
    for lines in (1, 6, 15):
        started = lambda lines=lines: index.exists() and index.read_bytes().count(b"\n") >= lines  # noqa: E731
        kill_at(record_points, tmp_path / "r", 200, 0.0005, started=started, after_s=0.01)
    assert 15 <= len(Recording(tmp_path / "r")) < 200
    record_points(tmp_path / "r", 200, 0.0005)
    record_points(tmp_path / "whole", 200, 0.0005)
    assert contents(tmp_path / "r") == contents(tmp_path / "whole")


@pytest.mark.parametrize("lines", range(11))
def test_a_recording_cut_after_any_episode_is_completed_to_equal_bytes(tmp_path: Path, lines: int) -> None:
    whole = contents(make(tmp_path / "whole", 10).path)
    make(tmp_path / "r", 10)
    index = tmp_path / "r" / "index.jsonl"
    kept = index.read_bytes().splitlines(keepends=True)[:lines]
    index.write_bytes(b"".join(kept) + b'{"episode": 9, "fi')
    for entry in set(range(10)) - {json.loads(line)["episode"] for line in kept}:
        (tmp_path / "r" / "episodes" / f"{entry:06d}.npz").write_bytes(b"written, not indexed")
    (tmp_path / "r" / "episodes" / ".000005.npz.tmp-1").write_bytes(b"left by a kill")
    make(tmp_path / "r", 10)
    assert contents(tmp_path / "r") == whole


def test_the_same_episodes_follow_whatever_number_was_recorded_before(tmp_path: Path) -> None:
    make(tmp_path / "r", 3)
    grown, whole = make(tmp_path / "r", 10), make(tmp_path / "whole", 10)
    assert grown.index == whole.index
    assert contents(grown.path / "episodes") == contents(whole.path / "episodes")


def test_a_torn_index_line_costs_only_itself(tmp_path: Path) -> None:
    make(tmp_path, 3)
    with (tmp_path / "index.jsonl").open("ab") as file:
        file.write(b'{"episode": 3, "file": "0000')
    recording = Recording(tmp_path)
    assert recording.numbers() == [0, 1, 2] and recording.check() == []
    assert make(tmp_path, 5).numbers() == Recording(tmp_path).numbers() == [0, 1, 2, 3, 4]


def test_a_flipped_byte_anywhere_in_an_episode_is_named_and_the_rest_loads(tmp_path: Path) -> None:
    recording = make(tmp_path, 3)
    path = tmp_path / "episodes" / "000001.npz"
    sound = path.read_bytes()
    for place in random.Random(0).sample(range(len(sound)), 40):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
        with pytest.raises(DamagedFileError, match=r"episode 1: .*000001\.npz is damaged"):
            recording.episode(1)
        assert len(recording.check()) == 1
    assert len(recording.episode(0)) and len(recording.episode(2))


@pytest.mark.parametrize("left", [0, 100, -1])
def test_a_truncated_or_missing_episode_is_named_and_the_rest_loads(tmp_path: Path, left: int) -> None:
    recording = make(tmp_path, 3)
    path = tmp_path / "episodes" / "000001.npz"
    path.write_bytes(path.read_bytes()[:left])
    (tmp_path / "episodes" / "000002.npz").unlink()
    one, two = recording.check()
    assert "episode 1" in one and "damaged" in one and "episode 2" in two and "missing" in two
    assert len(recording.episode(0))


def test_a_flipped_byte_anywhere_in_the_index_is_named_and_the_rest_loads(tmp_path: Path) -> None:
    make(tmp_path, 2)
    index = tmp_path / "index.jsonl"
    sound = index.read_bytes()
    before = Recording(tmp_path).index
    for place in range(len(sound)):
        flip = (1, 2, 8)[place % 3]
        index.write_bytes(sound[:place] + bytes([sound[place] ^ flip]) + sound[place + 1 :])
        recording = Recording(tmp_path)
        same_meaning = recording.index == before and not recording.damaged_lines
        torn = place == len(sound) - 1  # without its line end, the last line is as a kill would leave it
        assert recording.check() or same_meaning or torn, index.read_bytes()
        assert all(recording.episode(n) for n in recording.numbers() if recording.index[n] == before.get(n))


def test_an_archive_with_a_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    recording = make(tmp_path / "r", 1)
    trace = tmp_path / "exploded"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(trace),)

    path = tmp_path / "r" / "episodes" / "000000.npz"
    with path.open("wb") as file:
        np.savez(file, allow_pickle=True, obs=np.array([Bomb()], dtype=object))
    with pytest.raises(DamagedFileError, match=r"000000\.npz is damaged"):
        recording.arrays(0)
    with pytest.raises(DamagedFileError, match=r"000000\.npz is damaged"):
        decode_episode(path.read_bytes(), path)
    with pytest.raises(DamagedFileError, match="is damaged"):
        decode_episode(b"\x80\x04" + path.read_bytes(), path)
    assert not trace.exists()


def test_recording_into_a_folder_with_other_settings_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "r", 2)
    before = contents(tmp_path / "r")
    with pytest.raises(NeuroctlError, match=r"other settings \(seed: 7 there, 8 asked\); choose another folder"):
        record("expert", tmp_path / "r", episodes=4, seed=8, env_id=POINT, width=4)
    with pytest.raises(NeuroctlError, match=r"env_kwargs: \{\} there, \{'friction': 2.0\} asked; model_hash: "):
        make(tmp_path / "r", 4, env_kwargs={"friction": 2.0})
    assert contents(tmp_path / "r") == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(NeuroctlError, match="is not empty and holds no recording"):
        make(tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    make(tmp_path, 1)
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 3, "new_field": 1}))
    with pytest.raises(FormatVersionError, match=r"recording format 3; this neuroctl reads up to 2"):
        Recording(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'"a"', b"{}", b'{"format": "1"}', b'{"shifts": 3}'])
def test_a_damaged_description_is_named(tmp_path: Path, content: bytes | None) -> None:
    make(tmp_path, 1)
    path = tmp_path / "dataset.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"dataset\.json is (missing|damaged)"):
        Recording(tmp_path)


def test_a_flipped_bit_of_the_description_is_found(tmp_path: Path) -> None:
    make(tmp_path, 1)
    path = tmp_path / "dataset.json"
    sound = path.read_bytes()
    for place in range(0, len(sound), 7):
        altered = bytearray(sound)
        altered[place] ^= 1
        path.write_bytes(altered)
        try:
            same = json.loads(altered) == json.loads(sound)
        except ValueError:
            same = False
        if not same:
            with pytest.raises((DamagedFileError, FormatVersionError)):
                Recording(tmp_path)


def test_what_does_not_exist_is_answered_with_what_does(tmp_path: Path) -> None:
    recording = make(tmp_path / "r", 3)
    with pytest.raises(NeuroctlError, match=r"no episode 9 in .*; episodes there: 0\.\.2"):
        recording.episode(9)
    with pytest.raises(NeuroctlError, match="no such folder"):
        Recording(tmp_path / "nowhere")
    with pytest.raises(NeuroctlError, match="holds 3 episodes; 4 are asked for"):
        recording.head(4)
    assert recording.head(2).numbers() == [0, 1] and len(recording) == 3


def test_no_space_left_while_recording_keeps_what_is_indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, 4)
    fsync = os.fsync
    left = iter(range(9))

    def full(handle: int) -> None:
        if next(left, None) is None:
            raise OSError(28, "No space left on device")
        fsync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            make(tmp_path, 40)
    recording = Recording(tmp_path)
    assert len(recording) >= 6 and recording.check() == []
    assert make(tmp_path, 12).check() == []


def test_a_kill_before_anything_was_recorded_leaves_a_folder_that_can_be_recorded_into(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    (folder / "episodes").mkdir(parents=True)
    (folder / ".dataset.json.tmp-123").write_text("{")
    assert is_unused(folder) and is_unused(tmp_path / "absent")
    (folder / "episodes" / "000000.npz").write_bytes(b"x")
    assert not is_unused(folder)
