"""Files that are whole or absent: atomic writes, hashes, and nested state as safetensors + JSON (never pickle)."""

import contextlib
import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from .errors import DamagedFileError, InUseError, NeuroctlError


def sha256(data: bytes | Path) -> str:
    """Hexadecimal SHA-256 of bytes or of a file."""
    return hashlib.sha256(data.read_bytes() if isinstance(data, Path) else data).hexdigest()


def fsync_path(path: Path) -> None:
    """Force a file or folder to the device."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Replace `path` with `data`: after a crash the file is the old one or the new one, never a mixture."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        _remove(temporary)
        raise OSError(error.errno, error.strerror, str(path)) from None
    except BaseException:
        _remove(temporary)
        raise
    fsync_path(path.parent)


def atomic_create(path: Path, data: str) -> bool:
    """Write `path` as `atomic_write` does unless it exists, whoever else is trying; whether it was written."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    atomic_write(temporary, data)
    try:
        os.link(temporary, path)
    except (FileExistsError, FileNotFoundError):  # another process was first, or has tidied up since
        return False
    finally:
        _remove(temporary)
    fsync_path(path.parent)
    return True


@contextlib.contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """A file beside `path`, of the same ending, for a library to write; takes its place at the end of the block.

    Where the block raises, `path` stays what it was.
    """
    temporary = path.with_name(f".{path.stem}.tmp-{os.getpid()}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def only_writer(folder: Path, doing: str) -> Iterator[None]:
    """Inside the block no other process is in such a block for this folder.

    Raises:
        InUseError: another process is; `doing` says what it does with the folder.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        message = f"{folder} is being {doing} by another process: wait for it, or choose another folder"
        raise InUseError(message) from None
    finally:
        os.close(handle)


def _remove(temporary: Path) -> None:
    """Remove a temporary file, if the device lets us."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def is_unused(folder: Path) -> bool:
    """Nothing but what a kill may leave behind: no folder, or one of empty folders and temporary files."""
    if not folder.exists():
        return True
    return all(
        (part.is_dir() and is_unused(part)) or part.name.startswith(".") and ".tmp-" in part.name
        for part in folder.iterdir()
    )


@contextlib.contextmanager
def removed_on_mistake(folder: Path, is_useless: Callable[[], bool]) -> Iterator[None]:
    """A user's mistake that shows only inside the block takes `folder` with it, if that is useless by then."""
    try:
        yield
    except NeuroctlError:
        if is_useless():
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that becomes `path` when the block ends without an exception; `path` must not exist."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.iterdir():
            fsync_path(file)
        fsync_path(temporary)
        temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    fsync_path(path.parent)


def append_line(path: Path, line: str) -> None:
    """Append one line and force it to the device."""
    with path.open("ab") as file:
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DamagedFileError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from None


def whole_lines(path: Path) -> list[str]:
    """The complete lines of a text file; a last line that a crash cut short is left out."""
    if not path.exists():
        return []
    text = path.read_bytes()
    return text[: text.rfind(b"\n") + 1].decode(errors="replace").splitlines()


def cut_torn_line(path: Path) -> None:
    """Remove an incomplete last line, so that the next append starts a line of its own."""
    if path.exists():
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end != len(data):
            with path.open("r+b") as file:
                file.truncate(end)


def cut_lines(path: Path, step: int) -> None:
    """Remove the lines of a JSONL file beyond `step`, and damaged ones; without a file there is an empty one then."""
    lines = [line for line in whole_lines(path) if step_of(line) <= step]
    atomic_write(path, "".join(f"{line}\n" for line in lines))


def step_of(line: str) -> float:
    """The `step` of a line of JSON; infinity, beyond every step, where the line is damaged."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf


def _is_tensor(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def encode_tree(tree: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """Turn nested state into JSON, with every tensor and array moved to `arrays`.

    Raises:
        TypeError: a value is neither a dict, list, tuple, tensor, array nor a plain number, string or None, or a key
            is no plain number, string or None.
    """
    if _is_tensor(tree) or isinstance(tree, np.ndarray):
        key = f"{len(arrays):06d}"
        arrays[key] = np.ascontiguousarray(tree.detach().cpu().numpy() if _is_tensor(tree) else tree)
        return {"tensor" if _is_tensor(tree) else "array": key, "shape": list(tree.shape)}
    if isinstance(tree, Mapping):
        for key in tree:
            if key is not None and type(key) not in (str, int, float, bool):
                raise TypeError(f"key {key!r} of type {type(key).__name__} cannot be saved; use strings or numbers")
        return {"dict": [[key, encode_tree(value, arrays)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [encode_tree(value, arrays) for value in tree]}
    if isinstance(tree, np.generic):
        tree = tree.item()
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return {"value": tree}
    raise TypeError(f"state of type {type(tree).__name__} cannot be saved; use tensors, arrays, dicts, lists, numbers")


def decode_tree(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """The nested state that `encode_tree` encoded."""
    kind, content = next(iter(node.items()))
    if kind == "array":
        return arrays[content].reshape(node["shape"])
    if kind == "tensor":
        import torch

        return torch.from_numpy(arrays[content].reshape(node["shape"]).copy())
    if kind == "dict":
        return {key: decode_tree(value, arrays) for key, value in content}
    if kind in ("list", "tuple"):
        values = [decode_tree(value, arrays) for value in content]
        return tuple(values) if kind == "tuple" else values
    return content


def save_tree(folder: Path, name: str, tree: Any) -> None:
    """Write nested state as `name.json` and `name.safetensors` into `folder`."""
    arrays: dict[str, NDArray[Any]] = {}
    node = encode_tree(tree, arrays)
    (folder / f"{name}.json").write_text(json.dumps(node))
    (folder / f"{name}.safetensors").write_bytes(safetensors.numpy.save(arrays))


def load_tree(folder: Path, name: str) -> Any:
    """Read what `save_tree` wrote.

    Raises:
        DamagedFileError: a file is missing, is not what it should be, or holds a pickle.
    """
    path = folder / f"{name}.safetensors"
    try:
        data = path.read_bytes()
        arrays = safetensors.numpy.load(data)
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is missing") from None
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        pickled = data[:1] == b"\x80" or data[:2] == b"PK"
        hint = "; it looks like a pickle, and neuroctl never opens pickles" if pickled else ""
        raise DamagedFileError(f"{path} is not a safetensors file ({error}){hint}") from None
    try:
        return decode_tree(read_json(folder / f"{name}.json"), arrays)
    except (KeyError, StopIteration, AttributeError, TypeError, ValueError) as error:
        if isinstance(error, DamagedFileError):
            raise
        raise DamagedFileError(f"{folder / name}.json does not fit {path.name}: {error}") from None
