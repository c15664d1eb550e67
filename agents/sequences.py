"""Training sequences from recordings: batches `[T, B, ...]`, keyed by (seed, update), so that a resume repeats them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.episode_codec import pack_image, unpack_image
from neuroctl.errors import NeuroctlError
from neuroctl.recording import Recording
from neuroctl.streams import stream


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


class Sequences:
    """The episodes to learn from, in memory (images as bytes)."""

    def __init__(self) -> None:
        self._obs: list[NDArray[Any]] = []
        self._packed: list[bool] = []
        self._labels: list[NDArray[Any]] = []

    def add(self, recording: Recording) -> None:
        """Take in the episodes of a recording.

        Raises:
            NeuroctlError: it has dict observations.
        """
        for number in recording.numbers():
            episode = recording.episode(number)
            if isinstance(episode.obs, dict):
                raise NeuroctlError(f"{recording.path}: imitation from dict observations is not supported")
            self._obs.append(pack_image(episode.obs[:-1]))
            self._packed.append(self._obs[-1].dtype != episode.obs.dtype)
            self._labels.append(episode.label)

    def __len__(self) -> int:
        return len(self._obs)

    def observations(self) -> Iterator[NDArray[Any]]:
        """The observations `[T, ...]` of each episode."""
        return (self._seen(k) for k in range(len(self._obs)))

    def _seen(self, episode: int, steps: slice = slice(None)) -> NDArray[Any]:
        """Observations as the policy saw them: floats that were packed are unpacked, an 8-bit camera's stay bytes."""
        obs = self._obs[episode][steps]
        return unpack_image(obs) if self._packed[episode] else obs

    def window(self, episode: int, start: int, length: int) -> tuple[NDArray[Any], NDArray[Any], int]:
        """Observations and labels from `start`, at most `length` steps, and how many there are."""
        obs = self._seen(episode, slice(start, start + length))
        return obs, self._labels[episode][start : start + length], len(obs)

    def length(self, episode: int) -> int:
        """Steps of an episode."""
        return len(self._obs[episode])

    def empty_batch(self, length: int, width: int) -> Batch:
        """A batch of zeros."""
        obs = np.zeros((length, width, *self._obs[0].shape[1:]), dtype=self._seen(0, slice(1)).dtype)
        label = np.zeros((length, width, *self._labels[0].shape[1:]), dtype=self._labels[0].dtype)
        first = np.zeros((length, width), dtype=np.bool_)
        return Batch(obs, label, first, np.zeros((length, width), dtype=np.float32))


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
