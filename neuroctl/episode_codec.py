"""How the arrays of an episode become bytes: names and archives. Equal arrays give equal bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DamagedFileError
from .frames import Frames, frames_of, unpack_image

_BYTE = "u8:"
"""Prefix, in format 1 of recordings, of images k/255 that are stored as the bytes k."""


def flatten(name: str, value: Any) -> dict[str, NDArray[Any]]:
    """Nested dicts of arrays as one level with `/` between the names."""
    if isinstance(value, Mapping):
        return {k: v for key, part in value.items() for k, v in flatten(f"{name}/{key}", part).items()}
    return {name: np.asarray(value)}


def unflatten(arrays: Mapping[str, NDArray[Any]], name: str) -> Any:
    """What `flatten` flattened under `name`: an array or nested dicts."""
    if name in arrays:
        return arrays[name]
    tree: dict[str, Any] = {}
    for key, value in arrays.items():
        if key.startswith(f"{name}/"):
            *path, last = key[len(name) + 1 :].split("/")
            node = tree
            for part in path:
                node = node.setdefault(part, {})
            node[last] = value
    return tree


def encode_episode(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of an `.npz`: equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def decode_episode(data: bytes, path: Path, *, unpack: bool = True) -> dict[str, Any]:
    """Arrays of an `.npz`, images unpacked.

    Args:
        data: the bytes.
        path: where they are from, for messages.
        unpack: whether compressed images become arrays, or stay `Frames`.

    Raises:
        DamagedFileError: not an archive of plain arrays.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays: dict[str, Any] = frames_of({key: archive[key] for key in archive.files})
        if unpack:
            arrays = {key: value[:] if isinstance(value, Frames) else value for key, value in arrays.items()}
    except (ValueError, OSError, zipfile.BadZipFile, KeyError, EOFError) as error:
        reason = "it is no archive of plain arrays" if "pickle" in str(error) else error  # which NumPy would advise
        raise DamagedFileError(f"{path} is damaged: {reason}") from None
    return {k.removeprefix(_BYTE): unpack_image(v) if k.startswith(_BYTE) else v for k, v in arrays.items()}
