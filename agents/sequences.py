"""Training sequences from recordings: batches `[T, B, ...]`, keyed by (seed, update), so that a resume repeats them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.frames import Frames
from neuroctl.last_used import LastUsed
from neuroctl.recording import Recording
from neuroctl.streams import stream

MEMORY_BYTES = 1 << 30
"""Of images that stay in memory compressed, and likewise unpacked."""


@dataclass(frozen=True)
class Batch:
    """Sequences of T steps.

    Attributes:
        obs: `[T, B, ...]`.
        label: the expert's actions, `[T, B, ...]`.
        first: `[T, B]`.
        weight: 0 where a sequence is padded, 1 elsewhere, `[T, B]`.
    """

    obs: NDArray[Any]
    label: NDArray[Any]
    first: NDArray[np.bool_]
    weight: NDArray[np.float32]

    def __getitem__(self, steps: slice) -> Batch:
        return Batch(self.obs[steps], self.label[steps], self.first[steps], self.weight[steps])


class Part(NamedTuple):
    """An episode to learn from.

    Attributes:
        recording: where it is.
        number: in the recording.
        obs: its observations `[T + 1, ...]`; None of images, which are read when they are needed.
        label: the expert's actions, `[T, ...]`.
    """

    recording: Recording
    number: int
    obs: NDArray[Any] | None
    label: NDArray[Any]


class Sequences:
    """The episodes to learn from.

    Images are read from the recording when they are needed: files, compressed, and parts of them, unpacked, stay in
    memory up to a limit, those that were used last.

    Args:
        encode: makes features `[T, F]` of an episode's observations, which take their place from its first use on.
        memory_bytes: of either kind.
    """

    def __init__(
        self, encode: Callable[[NDArray[Any]], NDArray[Any]] | None = None, memory_bytes: int = MEMORY_BYTES
    ) -> None:
        self._parts: list[Part] = []
        self._encode = encode
        self._encoded: dict[int, NDArray[Any]] = {}
        self._files = LastUsed[int, Frames](memory_bytes, lambda frames: frames.data.nbytes)
        self._blocks = LastUsed[tuple[int, int], NDArray[Any]](memory_bytes, lambda block: block.nbytes)

    def add(self, recording: Recording) -> None:
        """Take in the episodes of a recording.

        Raises:
            NeuroctlError: it has dict observations, or others than the recordings before.
        """
        for number in recording.numbers():
            episode = recording.episode(number, unpack=False)
            obs = episode.obs
            if isinstance(obs, dict):
                raise NeuroctlError(f"{recording.path}: imitation from dict observations is not supported")
            if not self._parts:
                self._shape, self._dtype = obs.shape[1:], obs.dtype
            if obs.shape[1:] != self._shape:
                raise NeuroctlError(
                    f"{recording.path} has observations of shape {obs.shape[1:]}, the recordings before {self._shape}"
                )
            kept = None if isinstance(obs, Frames) else obs
            if kept is None:
                self._files.put(len(self._parts), obs)
            self._parts.append(Part(recording, number, kept, episode.label))

    def __len__(self) -> int:
        return len(self._parts)

    def observations(self) -> Iterator[NDArray[Any]]:
        """The observations `[T, ...]` of each episode."""
        return (self._seen(k, 0, self.length(k)) for k in range(len(self)))

    def _seen(self, episode: int, start: int, stop: int) -> NDArray[Any]:
        """Observations of some steps as the policy saw them."""
        if self._encode is not None:
            return self._features(episode, self._encode)[start:stop]
        obs = self._parts[episode].obs
        if obs is not None:
            return obs[start:stop]
        frames = self._files.get(episode, lambda: self._read(episode))
        kept = self._blocks
        return frames.read(start, stop, lambda index: kept.get((episode, index), partial(frames.block, index)))

    def _features(self, episode: int, encode: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        if episode not in self._encoded:
            obs = self._parts[episode].obs
            self._encoded[episode] = encode(self._read(episode)[: self.length(episode)] if obs is None else obs)
        return self._encoded[episode]

    def _read(self, episode: int) -> Frames:
        part = self._parts[episode]
        frames: Frames = part.recording.episode(part.number, unpack=False).obs
        return frames

    def window(self, episode: int, start: int, length: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Observations and labels from `start`, at most `length` steps, and how many there are."""
        stop = min(start + length, self.length(episode))
        return self._seen(episode, start, stop), self._parts[episode].label[start:stop], stop - start

    def length(self, episode: int) -> int:
        """Steps of an episode."""
        return len(self._parts[episode].label)

    def empty_batch(self, length: int, width: int) -> Batch:
        """A batch of zeros."""
        label = self._parts[0].label
        shape, dtype = self._shape, self._dtype
        if self._encode is not None:
            features = self._features(0, self._encode)
            shape, dtype = features.shape[1:], features.dtype
        return Batch(
            np.zeros((length, width, *shape), dtype),
            np.zeros((length, width, *label.shape[1:]), label.dtype),
            np.zeros((length, width), np.bool_),
            np.zeros((length, width), np.float32),
        )


def random_windows(data: Sequences, seed: int, update: int, length: int, width: int) -> Batch:
    """`width` windows of `length` steps from random places; short episodes are padded with weight 0."""
    generator = stream(seed, "windows", update)
    batch = data.empty_batch(length, width)
    for b in range(width):
        episode = int(generator.integers(len(data)))
        start = int(generator.integers(max(data.length(episode) - length, 0) + 1))
        obs, label, n = data.window(episode, start, length)
        batch.obs[:n, b], batch.label[:n, b], batch.weight[:n, b] = obs, label, 1.0
        batch.first[0, b] = True
    return batch


class CarriedSequences:
    """`width` endless streams of episodes; each batch is the next `length` steps of every stream.

    Episode k of stream b is drawn from the stream keyed by (seed, b, k), so position alone is the state.

    Attributes:
        position: int64 `[B, 2]`: number of the episode in its stream and the step in it.
    """

    def __init__(self, data: Sequences, seed: int, width: int) -> None:
        self._data, self._seed = data, seed
        self.position = np.zeros((width, 2), dtype=np.int64)
        self._drawn: dict[int, tuple[int, int]] = {}

    def _episode(self, b: int, k: int) -> int:
        """The episode that stream `b` plays k-th; drawn among those known when it begins."""
        known = self._drawn.get(b)
        if known is None or known[0] != k:
            draw = float(stream(self._seed, f"carried/{b}", k).random())
            known = (k, int(draw * len(self._data)))
            self._drawn[b] = known
        return known[1]

    def next(self, length: int) -> Batch:
        """The next steps of every stream."""
        width = len(self.position)
        batch = self._data.empty_batch(length, width)
        for b in range(width):
            filled = 0
            while filled < length:
                k, t = self.position[b].tolist()
                episode = self._episode(b, k)
                obs, label, n = self._data.window(episode, t, length - filled)
                rows = slice(filled, filled + n)
                batch.obs[rows, b], batch.label[rows, b] = obs, label
                batch.first[filled, b] |= t == 0
                filled += n
                ended = t + n >= self._data.length(episode)
                self.position[b] = (k + 1, 0) if ended else (k, t + n)
        batch.weight[:] = 1.0
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Positions and the episodes being played."""
        drawn = {b: list(pair) for b, pair in self._drawn.items()}
        return {"position": self.position.copy(), "drawn": drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` returned."""
        self.position[:] = state["position"]
        self._drawn = {int(b): (int(pair[0]), int(pair[1])) for b, pair in state["drawn"].items()}
