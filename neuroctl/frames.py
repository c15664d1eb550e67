"""Images of an episode, compressed without loss in blocks of steps: written as they come, read from any step on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32
"""Steps of a block."""
LEVEL = 1
"""Of compression: the fastest. Higher ones save a tenth of the space at several times the time."""
BYTES, LEVELS, FLOATS = range(3)
"""What a block holds: an 8-bit camera's bytes k, bytes k that stand for float32 k/255, or float32."""
PARTS = ("data", "ends", "kinds", "shape")
"""Arrays in which an episode's images are kept."""


def is_image(row: NDArray[Any]) -> bool:
    """Whether one row of an observation is an image `[H, W, ...]`, uint8 or float32."""
    return row.ndim >= 2 and row.dtype in (np.uint8, np.float32)


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


class Frames:
    """The images `[T, H, W, ...]` of an episode, compressed; a slice of steps gives their array.

    Args:
        data: compressed blocks, one after the other, uint8.
        ends: where each ends.
        kinds: of each, see `BYTES`.
        shape: of all images together.

    Raises:
        ValueError: they do not fit together.
    """

    def __init__(
        self,
        data: NDArray[np.uint8],
        ends: NDArray[np.int64],
        kinds: NDArray[np.uint8],
        shape: NDArray[np.int64],
    ) -> None:
        self.data, self._ends, self._kinds = data, ends.tolist(), kinds.tolist()
        self.shape: tuple[int, ...] = tuple(shape.tolist())
        blocks = -(-self.shape[0] // BLOCK) if len(self.shape) >= 3 else 0
        if not 0 < blocks == len(self._ends) == len(self._kinds) or self._ends[-1] != len(data):
            raise ValueError(f"{len(self._ends)} blocks of images for shape {self.shape}")
        self.dtype = np.dtype(np.uint8 if self._kinds[0] == BYTES else np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def block(self, index: int) -> NDArray[Any]:
        """Images of a block, bytes where they stand for k/255.

        Raises:
            ValueError: it is damaged.
        """
        start = self._ends[index - 1] if index else 0
        length = min(BLOCK, len(self) - index * BLOCK)
        stored = np.float32 if self._kinds[index] == FLOATS else np.uint8
        try:
            content = zlib.decompress(self.data[start : self._ends[index]].tobytes())
        except zlib.error as error:
            raise ValueError(str(error)) from None
        return np.frombuffer(content, stored).reshape(length, *self.shape[1:])

    def read(self, start: int, stop: int, block_of: Callable[[int], NDArray[Any]]) -> NDArray[Any]:
        """Images of the steps from `start` to before `stop`, as they were; `block_of` gives what `block` does."""
        out = np.empty((max(stop - start, 0), *self.shape[1:]), self.dtype)
        for index in range(start // BLOCK, -(-stop // BLOCK)):
            first, last = max(start, index * BLOCK), min(stop, (index + 1) * BLOCK)
            part = block_of(index)[first - index * BLOCK : last - index * BLOCK]
            out[first - start : last - start] = unpack_image(part) if self._kinds[index] == LEVELS else part
        return out

    def __getitem__(self, steps: slice) -> NDArray[Any]:
        start, stop, _ = steps.indices(len(self))
        return self.read(start, stop, self.block)


class FrameWriter:
    """Compresses the images of an episode as they come."""

    def __init__(self) -> None:
        self._waiting: list[NDArray[Any]] = []
        self._blocks: list[bytes] = []
        self._kinds: list[int] = []
        self._steps = 0

    def add(self, image: NDArray[Any]) -> None:
        """Take in the next image, of the shape and type of the ones before."""
        self._waiting.append(image.copy())
        self._steps += 1
        if len(self._waiting) == BLOCK:
            self._compress()

    def _compress(self) -> None:
        images = np.stack(self._waiting)
        packed = pack_image(images)
        self._kinds.append(BYTES if images.dtype == np.uint8 else LEVELS if packed.dtype == np.uint8 else FLOATS)
        self._blocks.append(zlib.compress(packed.tobytes(), LEVEL))
        self._shape = images.shape[1:]
        self._waiting = []

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """What an episode keeps of all images under this name, see `frames_of`."""
        if self._waiting:
            self._compress()
        parts = (
            np.frombuffer(b"".join(self._blocks), np.uint8),
            np.cumsum([len(block) for block in self._blocks]),
            np.array(self._kinds, np.uint8),
            np.array([self._steps, *self._shape]),
        )
        return {f"frames-{part}:{name}": array for part, array in zip(PARTS, parts, strict=True)}


def frames_of(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Frames | NDArray[Any]]:
    """Arrays of an episode, in which `FrameWriter.arrays` have become `Frames` again.

    Raises:
        ValueError: they do not fit together.
        KeyError: a part of them is missing.
    """
    found: dict[str, Frames | NDArray[Any]] = {}
    for key, value in arrays.items():
        part, colon, name = key.partition(":")
        if colon and part == "frames-data":
            found[name] = Frames(*(arrays[f"frames-{other}:{name}"] for other in PARTS))
        elif not (colon and part.removeprefix("frames-") in PARTS):
            found[key] = value
    return found
