"""How the arrays of an episode become bytes: names, 8-bit images, archives. Equal arrays give equal bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DamagedFileError

_BYTE = "u8:"
"""Prefix of an array of k/255 (an 8-bit camera's image) that is stored as the bytes k; decoding gives equal bits."""


def pack_image(array: NDArray[Any]) -> NDArray[Any]:
    """The bytes k of a float32 array of k/255; any other array unchanged."""
    if array.dtype != np.float32 or array.ndim < 2:
        return array
    with np.errstate(invalid="ignore"):
        packed = np.rint(array * np.float32(255)).astype(np.uint8)
    same = np.array_equal(unpack_image(packed).view(np.uint32), np.ascontiguousarray(array).view(np.uint32))
    return packed if same else array


def unpack_image(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 k/255 from bytes k."""
    return packed.astype(np.float32) / np.float32(255)


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


def decode_episode(data: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an `.npz`, images unpacked.

    Raises:
        DamagedFileError: not an archive of plain arrays.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from None
    return {k.removeprefix(_BYTE): unpack_image(v) if k.startswith(_BYTE) else v for k, v in arrays.items()}


def image_column(key: str, parts: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """One array from the rows of all steps, as bytes if every row was or can be packed."""
    packed = [part if part.dtype == np.uint8 else pack_image(part) for part in parts]
    if all(part.dtype == np.uint8 for part in packed) and parts[-1].dtype == np.float32:
        return {_BYTE + key: np.stack(packed)}
    if any(part.dtype == np.float32 for part in parts):
        return {key: np.stack([unpack_image(p) if p.dtype == np.uint8 else p for p in parts])}
    return {key: np.stack(parts)}
