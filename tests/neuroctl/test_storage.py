"""Files are whole or absent, nested state survives the disk bit for bit, and nothing unknown is written or read."""

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.errors import DamagedFileError, NeuroctlError
from neuroctl.storage import (
    append_line,
    atomic_folder,
    atomic_write,
    cut_lines,
    cut_torn_line,
    load_tree,
    read_json,
    removed_on_mistake,
    save_tree,
    whole_lines,
)
from tests.neuroctl.toys import overwrite, texts

Kill = Callable[..., None]


def round_trip(folder: Path, tree: Any) -> Any:
    save_tree(folder, "state", tree)
    return load_tree(folder, "state")


def assert_same(old: Any, new: Any) -> None:
    assert type(new) is type(old)
    if isinstance(old, dict):
        assert list(old) == list(new) and [type(k) for k in old] == [type(k) for k in new]
        for key in old:
            assert_same(old[key], new[key])
    elif isinstance(old, (list, tuple)):
        assert len(old) == len(new)
        for a, b in zip(old, new, strict=True):
            assert_same(a, b)
    elif isinstance(old, torch.Tensor):
        assert old.dtype == new.dtype and old.shape == new.shape
        assert old.detach().numpy().tobytes() == new.numpy().tobytes()
    elif isinstance(old, np.ndarray):
        assert old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes()
    else:
        assert old == new or (math.isnan(old) and math.isnan(new))


@pytest.mark.parametrize("after_ms", random.Random(0).sample(range(60), 16))
def test_a_file_killed_while_it_is_replaced_is_the_old_or_the_new_one(
    tmp_path: Path, kill_at: Kill, after_ms: int
) -> None:
    path = tmp_path / "file"
    kill_at(overwrite, path, started=path.exists, after_s=after_ms / 1000)
    pairs = texts()
    assert path.read_text() in {next(pairs), next(pairs)}


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic_write(tmp_path / "file", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "file", "new")
    with pytest.raises(OSError, match="No space left"), atomic_folder(tmp_path / "folder") as folder:
        (folder / "a").write_text("a")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "old"


def test_data_reach_the_device_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def logged_fsync(handle: int) -> None:
        events.append("sync " + Path(os.readlink(f"/proc/self/fd/{handle}")).name.partition(".tmp-")[0])
        fsync(handle)

    def logged_replace(self: Path, target: Path) -> Path:
        events.append(f"rename {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(Path, "replace", logged_replace)
    atomic_write(tmp_path / "file", "x")
    assert events == ["sync .file", "rename file", f"sync {tmp_path.name}"]
    events.clear()
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "a").write_text("a")
    assert events == ["sync a", "sync .folder", "rename folder", f"sync {tmp_path.name}"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyError), atomic_folder(tmp_path / "folder") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "folder").exists()
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_a_mistake_removes_what_is_useless_and_nothing_else(tmp_path: Path) -> None:
    def mistake(useless: bool, error: BaseException) -> bool:
        folder = tmp_path / "folder"
        (folder / "part").mkdir(parents=True, exist_ok=True)
        with pytest.raises(type(error)), removed_on_mistake(folder, lambda: useless):
            raise error
        return folder.exists()

    assert mistake(False, NeuroctlError("no")) and mistake(True, OSError("full")) and mistake(True, KeyboardInterrupt())
    assert not mistake(True, NeuroctlError("no"))


def test_a_torn_last_line_is_left_out_and_the_next_append_starts_a_line(tmp_path: Path) -> None:
    path = tmp_path / "index.jsonl"
    assert whole_lines(path) == []
    cut_torn_line(path)
    for line in ("one", "two"):
        append_line(path, line)
    with path.open("ab") as file:
        file.write(b"torn")
    assert whole_lines(path) == ["one", "two"]
    cut_torn_line(path)
    append_line(path, "three")
    assert whole_lines(path) == ["one", "two", "three"]
    path.write_bytes(b"only torn")
    assert whole_lines(path) == []
    cut_torn_line(path)
    assert path.read_bytes() == b""


def test_lines_up_to_a_step_are_kept_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    kept = ['{"step": 5, "a": 0.1}', '{"a":[1,  2], "step":10}']
    damaged = ["{", "[5]", "3", '{"a": 5}', '{"step": null}', '{"step": "one"}', '{"step": NaN}']
    path.write_text("".join(f"{line}\n" for line in (*kept, *damaged, '{"step": 10.5}', '{"step": 11}')) + '{"step": 1')
    cut_lines(path, 10)
    assert path.read_text().splitlines() == kept
    append_line(path, '{"step": 11}')
    assert whole_lines(path) == [*kept, '{"step": 11}']
    cut_lines(path, 4)
    assert path.read_bytes() == b""
    path.unlink()
    cut_lines(path, 4)
    assert path.read_bytes() == b"" and list(tmp_path.iterdir()) == [path]


def test_a_failed_cut_leaves_all_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text(text := '{"step": 1}\n{"step": 2}\n{"st')

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cut_lines(path, 1)
    assert path.read_text() == text


def test_nested_state_survives_bit_for_bit(tmp_path: Path) -> None:
    grid = np.arange(12.0, dtype=np.float32).reshape(3, 4)
    tree = {
        "arrays": [grid.T, grid[:, ::2], grid[::-1], np.array([0.0, -0.0, np.nan, np.inf, 1e-45], np.float32)],
        "scalars": (np.array(3, np.uint64), np.array(True), np.zeros((0, 3)), np.array([2**64 - 1], np.uint64)),
        "kinds": [np.arange(3).astype(k) for k in ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "f2", "f8", "?")],
        "tensors": {
            0: torch.arange(6.0).reshape(2, 3).T,
            1: torch.tensor(2.5, dtype=torch.float64),
            2: torch.zeros(0, 4),
            -3: torch.tensor([True, False]),
            4: torch.nn.Parameter(torch.randn(3, generator=torch.Generator().manual_seed(0))).data,
        },
        "plain": [
            None,
            True,
            False,
            0,
            -1,
            10**30,
            0.1,
            -0.0,
            math.nan,
            math.inf,
            "text: \u00e4\u2028\n",
            "",
            {},
            [],
            (),
        ],
        "keys": {"a": 1, 2: 3, 2.5: 4, True: 5, None: 6, "2": 7},
    }
    assert_same(tree, round_trip(tmp_path, tree))


def test_numbers_of_numpy_become_plain_ones_of_equal_value(tmp_path: Path) -> None:
    tree = {"f": np.float32(0.1), "u": np.uint64(2**64 - 1), "b": np.bool_(True)}
    assert round_trip(tmp_path, tree) == {"f": float(np.float32(0.1)), "u": 2**64 - 1, "b": True}


def test_a_parameter_that_needs_gradients_can_be_saved(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.ones(2, 2))
    loaded = round_trip(tmp_path, {"w": weight})["w"]
    assert torch.equal(loaded, weight) and not loaded.requires_grad


def test_loaded_state_may_be_written_to(tmp_path: Path) -> None:
    loaded = round_trip(tmp_path, {"a": np.ones(3), "t": torch.ones(3)})
    loaded["a"][0] = loaded["t"][0] = 7
    assert loaded["a"][0] == 7 and loaded["t"][0] == 7


class Custom:
    """Of no kind that can be saved."""


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", Custom(), 1j, lambda: 0, {(1, 2): 3}, {np.int64(1): 2}, {b"k": 1}])
def test_state_of_an_unknown_type_is_refused_when_it_is_saved(tmp_path: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="cannot be saved"):
        save_tree(tmp_path, "state", {"a": [value]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("array", [np.array([Custom()]), np.array(["text"]), np.zeros(2, [("a", "i4")])])
def test_arrays_that_hold_no_numbers_are_refused_when_they_are_saved(tmp_path: Path, array: Any) -> None:
    with pytest.raises(Exception, match="dtype"):
        save_tree(tmp_path, "state", {"a": array})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": tru}'])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(DamagedFileError, match=r"config\.json is missing"):
        read_json(path)
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"config\.json is damaged"):
        read_json(path)


NODES: list[Any] = [
    [],
    3,
    {},
    {"array": "000007", "shape": [1]},
    {"array": "000000"},
    {"array": "000000", "shape": [5]},
    {"dict": [1]},
    {"dict": [[[1], {"value": 2}]]},
    {"tuple": 4},
]


@pytest.mark.parametrize("node", NODES)
def test_json_that_does_not_fit_the_arrays_is_named(tmp_path: Path, node: Any) -> None:
    save_tree(tmp_path, "state", {"a": np.zeros(3)})
    (tmp_path / "state.json").write_text(json.dumps(node))
    with pytest.raises(DamagedFileError, match=r"state\.json"):
        load_tree(tmp_path, "state")
