"""Random streams keyed by (root seed, name, episode).

What an episode draws depends on its key and on nothing else: not on the episodes beside it, not on the order in
which streams were made, not on the process that runs it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .checks import shown
from .errors import NeuroctlError

STATE_WORDS = 13
"""uint64 words that hold one Philox generator: counter 4, key 2, buffer 4, buffer position, has-uint32, uint32."""


def stream(seed: int, name: str, episode: int = 0) -> np.random.Generator:
    """The generator of one purpose in one episode: Philox with a hash of the three as its key.

    Args:
        seed: root seed, any integer.
        name: what the numbers are for, such as `"reset"`.
        episode: number of the episode under this seed.
    """
    digest = hashlib.sha256(f"{seed}/{name}/{episode}".encode()).digest()
    return np.random.Generator(np.random.Philox(_Key(digest[:16])))  # type: ignore[arg-type]  # numpy takes any such


class _Key(np.random.bit_generator.ISeedSequence):
    """The key of a Philox generator; given as `key=` it costs four times as much, since entropy is fetched first."""

    def __init__(self, digest: bytes) -> None:
        self._words = np.frombuffer(digest, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[np.uint64]:
        """The two words, whatever is asked for: Philox asks for these."""
        return self._words


def episode_seed(root: int, index: int) -> int:
    """The seed, in [0, 2**31), with which episode `index` of an experiment with root seed `root` is reset."""
    return int(stream(root, "episode", index).integers(2**31))


def derive_seed(root: int, name: str) -> int:
    """A root seed in [0, 2**31) for one purpose under `root`, such as `"demonstrations"`."""
    return int(stream(root, name).integers(2**31))


def pack_generator(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The complete state of a Philox generator as uint64 `[STATE_WORDS]`."""
    state = generator.bit_generator.state
    return np.array(
        [
            *state["state"]["counter"],
            *state["state"]["key"],
            *state["buffer"],
            state["buffer_pos"],
            state["has_uint32"],
            state["uinteger"],
        ],
        dtype=np.uint64,
    )


def unpack_generator(words: NDArray[np.uint64]) -> np.random.Generator:
    """The generator whose state `pack_generator` returned.

    Raises:
        NeuroctlError: they are not uint64 `[STATE_WORDS]`, or no generator has such a state.
    """
    words = np.asarray(words)
    if words.dtype != np.uint64 or words.shape != (STATE_WORDS,):
        raise NeuroctlError(
            f"a random stream's state is {words.dtype} of shape {words.shape}; expected uint64 ({STATE_WORDS},)"
        )
    if words[10] > 4 or words[11] > 1 or words[12] >= 2**32:
        raise NeuroctlError(
            f"a random stream's state ends in {words[10:].tolist()}; allowed: at most [4, 1, 2**32 - 1]"
        )
    bits = np.random.Philox(0)
    bits.state = {
        "bit_generator": "Philox",
        "state": {"counter": words[0:4].copy(), "key": words[4:6].copy()},
        "buffer": words[6:10].copy(),
        "buffer_pos": int(words[10]),
        "has_uint32": int(words[11]),
        "uinteger": int(words[12]),
    }
    return np.random.Generator(bits)


def checked_seed(seed: Any) -> int:
    """A row's seed as an integer in [0, 2**63).

    Raises:
        NeuroctlError: it is anything else.
    """
    if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
        if 0 <= seed < 2**63:
            return int(seed)
        if seed < 0:
            raise NeuroctlError(f"seed {shown(seed)} is negative; seeds are integers from 0 to 2**63 - 1")
    raise NeuroctlError(f"seed {shown(seed)} cannot be used; seeds are integers from 0 to 2**63 - 1")


def _is_list(seed: Any) -> TypeGuard[Sequence[Any]]:
    if isinstance(seed, np.ndarray):
        return seed.ndim > 0
    return isinstance(seed, Sequence) and not isinstance(seed, (str, bytes))


class EpisodeStreams:
    """The random streams of the rows of a vector environment or wrapper.

    Row b has a seed and an episode counter; `self[name, b]` is the generator keyed by (seed of b, name, counter of b).
    `reset` follows Gymnasium: an integer seeds row b with `seed + b`, a list seeds each row, None goes on with the
    next episode. Start from unpredictable seeds by passing None first.

    Attributes:
        seeds: int64 `[B]`.
        episodes: int64 `[B]`, number of the current episode of each row under its seed.
    """

    def __init__(self, num_envs: int, names: Sequence[str]) -> None:
        self.num_envs = num_envs
        self.names = tuple(names)
        self.seeds = np.zeros(num_envs, np.int64)
        self.episodes = np.full(num_envs, -1, np.int64)
        self._generators: dict[tuple[str, int], np.random.Generator] = {}

    def __getitem__(self, key: tuple[str, int]) -> np.random.Generator:
        """The generator of `(name, row)`, made when first asked for."""
        if key not in self._generators:
            name, row = key
            self._generators[key] = stream(int(self.seeds[row]), name, int(self.episodes[row]))
        return self._generators[key]

    def reset(self, seed: int | Sequence[int | None] | None, rows: NDArray[np.intp] | None = None) -> None:
        """Start an episode in `rows` (all by default), under new seeds where `seed` gives them.

        Raises:
            NeuroctlError: a seed is not an integer in [0, 2**63), or a list has the wrong length; nothing has changed.
        """
        rows = np.arange(self.num_envs) if rows is None else rows
        seeds: Sequence[int | None]
        if seed is None:
            seeds = [None] * self.num_envs
        elif _is_list(seed):
            if len(seed) != self.num_envs:
                raise NeuroctlError(f"{len(seed)} seeds given for {self.num_envs} environments")
            seeds = [None if value is None else checked_seed(value) for value in seed]
        else:
            first = checked_seed(seed)
            seeds = [checked_seed(first + b) for b in range(self.num_envs)]
        for b in rows.tolist():
            value = seeds[b]
            if value is not None:
                self.seeds[b], self.episodes[b] = value, -1
            elif self.episodes[b] < 0:
                self.seeds[b] = int(np.random.SeedSequence().generate_state(1)[0])
        self.advance(rows)

    def advance(self, rows: NDArray[np.intp]) -> None:
        """Go on to the next episode in `rows`."""
        self.episodes[rows] += 1
        for name in self.names:
            for b in rows.tolist():
                self._generators.pop((name, b), None)

    def get_state(self, rows: NDArray[np.intp]) -> dict[str, NDArray[np.generic]]:
        """Seeds, counters and generator states of `rows`, each `[len(rows), ...]`."""
        state: dict[str, NDArray[np.generic]] = {"seeds": self.seeds[rows], "episodes": self.episodes[rows]}
        for name in self.names:
            words = [pack_generator(self[name, b]) for b in rows.tolist()]
            state[name] = np.array(words, np.uint64).reshape(len(rows), STATE_WORDS)
        return state

    def set_state(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[np.generic]]) -> None:
        """Put back what `get_state` returned, into `rows`.

        Raises:
            NeuroctlError: seeds or counters are no integers in [0, 2**63), or a generator has no such state; nothing
                has changed.
        """
        for name in ("seeds", "episodes"):
            numbers = np.asarray(state[name])
            if numbers.dtype.kind not in "iu" or (numbers.astype(np.int64) < 0).any():
                raise NeuroctlError(
                    f"{name} of random streams are {shown(numbers.tolist())}; allowed: integers from 0 to 2**63 - 1"
                )
        put = {(name, b): unpack_generator(state[name][i]) for name in self.names for i, b in enumerate(rows.tolist())}
        self.seeds[rows], self.episodes[rows] = state["seeds"], state["episodes"]
        self._generators |= put
