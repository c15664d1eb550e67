"""What an episode draws depends on its key and on nothing else."""

import hashlib
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.streams import (
    STATE_WORDS,
    EpisodeStreams,
    derive_seed,
    episode_seed,
    pack_generator,
    stream,
    unpack_generator,
)

ALL = np.arange(3)


def draws(generator: np.random.Generator, n: int = 4) -> tuple[int, ...]:
    return tuple(generator.integers(2**62, size=n).tolist())


def test_equal_keys_give_equal_numbers_and_the_numbers_are_pinned() -> None:
    assert draws(stream(3, "reset", 5)) == draws(stream(3, "reset", 5))
    # Pinned: recorded seeds must mean the same in every later version.
    assert (episode_seed(0, 0), episode_seed(0, 1), derive_seed(7, "shard/0")) == PINNED


PINNED = (631213340, 2145419047, 1802495503)


def test_nearby_keys_never_share_a_stream() -> None:
    seeds = (-1, 0, 1, 2, 11, 12, 2**32, 2**64, 2**64 + 1)
    names = ("", "a", "b", "ab", "a/1", "1/a", "1", "/")
    keys = list(product(seeds, names, (0, 1, 2, 11, 12)))
    assert len({draws(stream(*key)) for key in keys}) == len(keys)


def test_the_order_in_which_streams_are_made_does_not_matter() -> None:
    forward = [draws(stream(1, "x", e)) for e in range(5)]
    backward = [draws(stream(1, "x", e)) for e in reversed(range(5))]
    assert forward == backward[::-1]


def test_episode_seeds_of_two_experiments_do_not_overlap() -> None:
    first, second = ({episode_seed(root, i) for i in range(2000)} for root in (0, 1))
    assert len(first) == len(second) == 2000
    assert len(first & second) <= 1  # 2000 * 2000 / 2**31 are expected
    assert all(0 <= seed < 2**31 for seed in first)


@pytest.mark.parametrize("drawn", range(9))
def test_a_packed_generator_goes_on_exactly_also_with_half_a_word_pending(drawn: int) -> None:
    generator = stream(1, "pack")
    generator.integers(2**31, size=drawn, dtype=np.int32)  # an odd number leaves 32 bits pending
    assert generator.bit_generator.state["has_uint32"] == drawn % 2
    words = pack_generator(generator)
    copy = unpack_generator(words)
    assert words.dtype == np.uint64 and words.shape == (STATE_WORDS,)
    assert np.array_equal(
        generator.integers(2**31, size=50, dtype=np.int32), copy.integers(2**31, size=50, dtype=np.int32)
    )
    assert np.array_equal(generator.normal(size=50), copy.normal(size=50))
    assert np.array_equal(pack_generator(unpack_generator(words)), words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (np.zeros(STATE_WORDS), "state is float64 of shape"),
        (np.zeros(STATE_WORDS, np.int64), "state is int64 of shape"),
        (np.zeros(STATE_WORDS - 1, np.uint64), r"of shape \(12,\); expected uint64 \(13,\)"),
        (np.array([0] * 10 + [5, 0, 0], np.uint64), r"ends in \[5, 0, 0\]; allowed: at most"),
        (np.array([0] * 10 + [4, 2, 0], np.uint64), r"ends in \[4, 2, 0\]"),
        (np.array([0] * 10 + [4, 1, 2**32], np.uint64), r"ends in \[4, 1, 4294967296\]"),
    ],
)
def test_words_that_are_no_generator_are_refused(words: NDArray[np.generic], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        unpack_generator(words)  # type: ignore[arg-type]


def test_unpacking_does_not_alias_the_words() -> None:
    words = pack_generator(stream(1, "alias"))
    before = words.copy()
    unpack_generator(words).normal(size=100)
    assert np.array_equal(words, before)


def test_seeds_are_taken_as_gymnasium_takes_them() -> None:
    streams = EpisodeStreams(3, ("a",))
    streams.reset(10)
    assert streams.seeds.tolist() == [10, 11, 12] and streams.episodes.tolist() == [0, 0, 0]
    streams.reset([7, None, 9])
    assert streams.seeds.tolist() == [7, 11, 9] and streams.episodes.tolist() == [0, 1, 0]
    streams.reset(None)
    assert streams.seeds.tolist() == [7, 11, 9] and streams.episodes.tolist() == [1, 2, 1]
    assert draws(streams["a", 1]) == draws(stream(11, "a", 2))


def test_without_any_seed_each_start_is_unpredictable() -> None:
    first, second = EpisodeStreams(3, ("a",)), EpisodeStreams(3, ("a",))
    first.reset(None)
    second.reset(None)
    assert len({*first.seeds.tolist(), *second.seeds.tolist()}) == 6
    before = first.seeds.copy()
    first.reset(None)
    assert np.array_equal(first.seeds, before) and first.episodes.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("seed", "message"), [([1, 2], "2 seeds given for 3"), ([1, -2, 3], "seed -2 is negative")])
def test_wrong_seeds_are_refused(seed: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpisodeStreams(3, ("a",)).reset(seed)


def test_a_row_draws_the_same_whatever_its_neighbours_draw() -> None:
    quiet, busy = EpisodeStreams(3, ("a", "b")), EpisodeStreams(3, ("a", "b"))
    for streams in (quiet, busy):
        streams.reset(5)
    busy["a", 0].normal(size=100)
    busy["b", 1].normal(size=3)
    busy.advance(np.array([0, 2]))
    assert draws(busy["a", 1]) == draws(quiet["a", 1])


def test_only_the_rows_asked_for_go_on() -> None:
    streams = EpisodeStreams(3, ("a",))
    streams.reset(0)
    kept = streams["a", 0]
    streams.reset(None, rows=np.array([1]))
    streams.advance(np.array([1, 2]))
    assert streams.episodes.tolist() == [0, 2, 1]
    assert streams["a", 0] is kept


def test_state_restored_in_mid_episode_goes_on_exactly() -> None:
    streams = EpisodeStreams(3, ("a", "b"))
    streams.reset([4, 5, 6])
    streams.advance(ALL)
    streams["a", 1].integers(2**31, size=3, dtype=np.int32)
    state = streams.get_state(ALL)
    expected = [draws(streams[name, b]) for name in ("a", "b") for b in range(3)]

    other = EpisodeStreams(3, ("a", "b"))
    other.reset(0)
    other.set_state(ALL, state)
    assert [draws(other[name, b]) for name in ("a", "b") for b in range(3)] == expected
    for each in (streams, other):
        each.advance(ALL)
    assert draws(streams["b", 2]) == draws(other["b", 2]) == draws(stream(6, "b", 2))


def test_state_of_one_row_can_be_put_into_another() -> None:
    streams = EpisodeStreams(3, ("a",))
    streams.reset([4, 5, 6])
    streams["a", 2].normal(size=7)
    streams.set_state(np.array([0]), streams.get_state(np.array([2])))
    assert draws(streams["a", 0]) == draws(streams["a", 2])
    assert streams.seeds.tolist() == [6, 5, 6]


@pytest.mark.parametrize(
    ("name", "value"), [("seeds", [1, -1, 2]), ("episodes", [0.0, 1.0, 2.0]), ("seeds", [2**64 - 1] * 3)]
)
def test_impossible_seeds_and_counters_are_refused_and_change_nothing(name: str, value: list[int]) -> None:
    streams = EpisodeStreams(3, ("a",))
    streams.reset(3)
    state = streams.get_state(ALL)
    with pytest.raises(NeuroctlError, match=f"^{name} of random streams are .*; allowed: integers from 0 to"):
        streams.set_state(ALL, state | {name: np.array(value)})
    with pytest.raises(NeuroctlError, match="random stream's state is float64"):
        streams.set_state(ALL, state | {"seeds": np.zeros(3, np.int64), "a": np.zeros((3, STATE_WORDS))})
    assert all(np.array_equal(part, state[key]) for key, part in streams.get_state(ALL).items())


def test_the_state_of_no_rows_is_empty() -> None:
    streams = EpisodeStreams(3, ("a",))
    streams.reset(3)
    none = streams.get_state(ALL[:0])
    assert {key: value.shape for key, value in none.items()} == {
        "seeds": (0,),
        "episodes": (0,),
        "a": (0, STATE_WORDS),
    }
    streams.set_state(ALL[:0], none)


def test_a_stream_is_philox_with_the_hash_as_its_key() -> None:
    for seed, name, episode in ((0, "reset", 0), (-5, "", 7), (2**70, "actions", 2**40)):
        digest = hashlib.sha256(f"{seed}/{name}/{episode}".encode()).digest()
        wanted = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
        found = stream(seed, name, episode)
        assert pack_generator(found).tolist() == pack_generator(wanted).tolist()
        assert found.random(5).tolist() == wanted.random(5).tolist()
