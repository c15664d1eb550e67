"""What was reported as saved can be loaded; damage is found and named; nothing in a checkpoint can run code."""

import errno
import json
import os
import pickle
import random
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from neuroctl.checkpoint import MANIFEST, Checkpoints, read_checkpoint, verify_checkpoint, write_checkpoint
from neuroctl.errors import DamagedFileError, FormatVersionError, NeuroctlError
from neuroctl.storage import sha256
from tests.neuroctl.toys import checkpoint_tree, save_checkpoints

Kill = Callable[..., None]


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    """Steps 1, 2 and 3; 2 is the best."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for step in (1, 2, 3):
        checkpoints.save(step, checkpoint_tree(step), best=step == 2)
    return checkpoints


def names(checkpoints: Checkpoints) -> list[str]:
    return sorted(p.name for p in checkpoints.folder.iterdir())


def assert_holds(loaded: tuple[int, dict[str, Any]], step: int) -> None:
    assert loaded[0] == step
    assert loaded[1]["agent"]["step"] == step
    assert np.array_equal(loaded[1]["agent"]["weights"], np.full(20_000, step, np.float32))


def set_hash(path: Path, name: str) -> None:
    """Put the present hash of a file into the manifest."""
    manifest = json.loads((path / MANIFEST).read_text())
    manifest["files"][name] = sha256(path / name)
    (path / MANIFEST).write_text(json.dumps(manifest))


@pytest.mark.parametrize("trial", range(10))
def test_killed_while_saving_the_latest_checkpoint_loads(tmp_path: Path, kill_at: Kill, trial: int) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    wait = random.Random(trial).uniform(0, 0.03)
    kill_at(save_checkpoints, tmp_path, started=(tmp_path / "latest").exists, after_s=wait)
    pointed = int((tmp_path / "latest").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is damaged: what has a name is whole
        step, trees = checkpoints.load()
    assert_holds((step, trees), step)
    assert step in (pointed, pointed + 1)
    assert_holds(read_checkpoint(checkpoints.find("latest")), pointed)
    checkpoints.save(step + 1, checkpoint_tree(step + 1))
    assert not list(tmp_path.glob(".*")), "what the kill left behind is cleaned up"


def test_a_run_killed_again_and_again_still_goes_on(tmp_path: Path, kill_at: Kill) -> None:
    checkpoints, before = Checkpoints(tmp_path, keep=2), 0
    for trial in range(5):
        known = set(tmp_path.glob("0*"))
        kill_at(save_checkpoints, tmp_path, started=lambda k=known: set(tmp_path.glob("0*")) - k, after_s=trial / 300)
        step, trees = checkpoints.load()
        assert_holds((step, trees), step)
        assert step > before
        before = step


def test_an_altered_byte_anywhere_is_found_and_its_file_named(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    for file in sorted(path.iterdir()):
        if file.name == MANIFEST:
            continue
        sound = file.read_bytes()
        for place in random.Random(0).sample(range(len(sound)), 10):
            file.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
            with pytest.raises(DamagedFileError, match=file.name):
                read_checkpoint(path)
        file.write_bytes(sound)
    assert_holds(read_checkpoint(path), 3)


def test_a_manifest_with_any_byte_altered_is_named_or_means_the_same(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    manifest = path / MANIFEST
    sound = manifest.read_bytes()
    for place in range(sound.index(b'"versions"')):  # beyond are the versions, which are only shown
        for flip in (1, 8):
            manifest.write_bytes(sound[:place] + bytes([sound[place] ^ flip]) + sound[place + 1 :])
            try:
                assert_holds(read_checkpoint(path), 3)
            except (DamagedFileError, FormatVersionError) as error:
                assert str(path) in str(error)


@pytest.mark.parametrize("name", ["agent.safetensors", "agent.json", "trainer.json", MANIFEST])
@pytest.mark.parametrize("left", [0, 10, None])
def test_a_truncated_or_missing_file_is_named(checkpoints: Checkpoints, name: str, left: int | None) -> None:
    file = checkpoints.find("latest") / name
    if left is None:
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(DamagedFileError, match=f"{name} is {'missing' if left is None else 'damaged'}"):
        verify_checkpoint(file.parent)


def test_a_file_that_does_not_belong_is_named(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    (path / "extra.bin").write_bytes(b"x")
    with pytest.raises(DamagedFileError, match=r"extra\.bin does not belong to the checkpoint"):
        read_checkpoint(path)


def test_a_newer_format_is_refused_and_never_passed_over(checkpoints: Checkpoints) -> None:
    manifest = checkpoints.find("latest") / MANIFEST
    content = {**json.loads(manifest.read_text()), "format": 2}
    del content["files"]  # a newer format may have another form
    manifest.write_text(json.dumps(content))
    for which in ("latest", "3"):
        with pytest.raises(FormatVersionError, match=r"checkpoint format 2; this neuroctl reads up to 1"):
            checkpoints.load(which)


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("name", ["agent.safetensors", "agent.json", "optimizer.pkl", "optimizer.pt"])
@pytest.mark.parametrize("writer", ["pickle", "torch", "npy"])
@pytest.mark.parametrize("hashed", [False, True])
def test_a_pickle_is_refused_and_never_run(
    checkpoints: Checkpoints, tmp_path: Path, name: str, writer: str, hashed: bool
) -> None:
    path, trace = checkpoints.find("latest"), tmp_path / "exploded"
    bomb = Bomb(trace)
    if writer == "pickle":
        (path / name).write_bytes(pickle.dumps(bomb))
    elif writer == "torch":
        torch.save({"weights": bomb}, path / name)
    else:
        with (path / name).open("wb") as file:
            np.save(file, np.array([bomb], dtype=object), allow_pickle=True)
    if hashed:
        set_hash(path, name)
    with pytest.raises(DamagedFileError, match=r"agent|optimizer"):
        read_checkpoint(path)
    assert not trace.exists()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert_holds(checkpoints.load(), 2)
    assert any("going on from" in str(w.message) for w in caught) and not trace.exists()


def test_the_message_says_that_a_pickle_is_a_pickle(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    (path / "agent.safetensors").write_bytes(pickle.dumps({"a": 1}))
    set_hash(path, "agent.safetensors")
    with pytest.raises(DamagedFileError, match="it looks like a pickle, and neuroctl never opens pickles"):
        read_checkpoint(path)


def test_arrays_exchanged_together_with_their_hash_do_not_crash(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    (path / "agent.safetensors").write_bytes(safetensors.numpy.save({"other": np.zeros(3)}))
    set_hash(path, "agent.safetensors")
    with pytest.raises(DamagedFileError, match=r"agent\.json does not fit agent\.safetensors"):
        read_checkpoint(path)


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 8):
        checkpoints.save(step, checkpoint_tree(step), best=step == 3)
    assert names(checkpoints) == ["000000003", "000000006", "000000007", "best", "latest"]
    assert_holds(checkpoints.load("best"), 3)
    assert_holds(checkpoints.load(), 7)
    assert_holds(checkpoints.load("6"), 6)


def test_an_unknown_checkpoint_is_answered_with_those_that_exist(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for which in ("4", "newest", ""):
        with pytest.raises(NeuroctlError, match=rf"no checkpoint '{which}' in .*; steps there: 1, 2, 3"):
            checkpoints.load(which)
    with pytest.raises(NeuroctlError, match="no checkpoint in"):
        Checkpoints(tmp_path / "nowhere").load()


@pytest.mark.parametrize("which", ["\u00b2", "9" * 200, "-1", "..."])
def test_a_step_that_is_no_number_is_no_checkpoint(checkpoints: Checkpoints, which: str) -> None:
    with pytest.raises(NeuroctlError, match="no checkpoint .*; steps there: "):
        checkpoints.find(which)


def test_leading_zeros_do_not_make_another_step(checkpoints: Checkpoints) -> None:
    step = int(checkpoints.all()[-1].name)
    assert checkpoints.find(step) == checkpoints.find(f"000000000000{step}") == checkpoints.all()[-1]


def test_no_checkpoint_at_all_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="keep must be an integer >= 1, got 0"):
        Checkpoints(tmp_path, keep=0)


def test_a_failed_save_keeps_what_there_was(checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.read_bytes() for p in checkpoints.folder.rglob("*") if p.is_file()}
    count = len(list(checkpoints.find("latest").iterdir()))
    write = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        write(self, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.save(4, checkpoint_tree(4), best=True)
    for failing in range(count + 2):  # every file, the folder, its parent
        calls, fsync = iter(range(100)), os.fsync

        def sync(handle: int, calls: Any = calls, fsync: Any = fsync, failing: int = failing) -> None:
            if next(calls) == failing:
                raise OSError(errno.ENOSPC, "No space left on device")
            fsync(handle)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", sync)
            with pytest.raises(OSError, match="No space left"):
                checkpoints.save(4, checkpoint_tree(4), best=True)
        shutil.rmtree(checkpoints.path(4), ignore_errors=True)  # the last failure comes after the rename
        assert {p: p.read_bytes() for p in checkpoints.folder.rglob("*") if p.is_file()} == before
    assert_holds(checkpoints.load(), 3)
    assert_holds(checkpoints.load("best"), 2)


def test_state_that_cannot_be_saved_leaves_nothing_behind(checkpoints: Checkpoints) -> None:
    before = names(checkpoints)
    with pytest.raises(TypeError, match="cannot be saved"):
        checkpoints.save(4, {"agent": {"w": np.zeros(2)}, "trainer": {"bad": object()}})
    assert names(checkpoints) == before


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_is_used(checkpoints: Checkpoints) -> None:
    file = checkpoints.find("latest") / "agent.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.warns(RuntimeWarning, match=r"000000003/agent\.safetensors is damaged.*going on from .*000000002"):
        assert_holds(checkpoints.load(), 2)
    with pytest.raises(DamagedFileError, match="agent.safetensors"):
        checkpoints.load("3")
    for step in (1, 2):
        (checkpoints.path(step) / MANIFEST).unlink()
    with pytest.raises(DamagedFileError, match="000000003.*000000002.*000000001"):
        checkpoints.load()


def test_checkpoints_that_a_training_takes_away_meanwhile_are_no_damage(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Any:
        if checkpoints.all()[-1].name == "000000003":
            shutil.rmtree(checkpoints.folder)
            checkpoints.save(9, checkpoint_tree(9))
        return read_checkpoint(path)

    monkeypatch.setattr("neuroctl.checkpoint.read_checkpoint", read)
    assert_holds(checkpoints.load(), 9)


def test_saving_a_step_again_replaces_it_only_when_it_is_damaged(checkpoints: Checkpoints) -> None:
    path = checkpoints.find("latest")
    inode = (path / MANIFEST).stat().st_ino
    checkpoints.save(3, checkpoint_tree(3))
    assert (path / MANIFEST).stat().st_ino == inode
    (path / "agent.json").write_text("{}")
    checkpoints.save(3, checkpoint_tree(3))
    assert_holds(checkpoints.load(), 3)


def test_the_manifest_says_what_wrote_the_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "one", 5, {"agent": {"a": 1}})
    manifest = json.loads((tmp_path / "one" / MANIFEST).read_text())
    assert manifest["format"] == 1 and manifest["step"] == 5
    assert set(manifest["files"]) == {"agent.json", "agent.safetensors"}
    assert {"neuroctl", "torch", "numpy", "mujoco", "cpu", "python"} <= set(manifest["versions"])
