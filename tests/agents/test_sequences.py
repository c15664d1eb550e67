"""Training sequences: what is in a batch, where it begins, and that a resume repeats it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from neuroctl.agents.sequences import CarriedSequences, Sequences, random_windows
from neuroctl.errors import NeuroctlError
from neuroctl.frames import FrameWriter, frames_of
from neuroctl.recording import Recording


@dataclass
class Episode:
    obs: object
    label: np.ndarray


class Fake:
    """A recording of episodes whose observation is (episode, step) and whose label is 100 episode + step."""

    path = Path("fake")

    def __init__(self, lengths, start=0):
        self._lengths, self._start = lengths, start

    def numbers(self):
        return list(range(len(self._lengths)))

    def episode(self, number, *, unpack):
        steps = np.arange(self._lengths[number] + 1)
        episode = np.full_like(steps, number + self._start)
        obs = np.stack([episode, steps], 1).astype(np.float64)
        return Episode(obs, (100.0 * episode + steps)[:-1, None])


def sequences(*lengths):
    data = Sequences()
    data.add(cast(Recording, Fake(lengths)))
    return data


def test_the_final_observation_has_no_action_and_is_left_out():
    data = sequences(3, 5)
    assert len(data) == 2 and [data.length(k) for k in range(2)] == [3, 5]
    obs, label, n = data.window(1, 2, 99)
    assert obs[:, 1].tolist() == [2, 3, 4] and label[:, 0].tolist() == [102, 103, 104] and n == 3


def test_every_observation_that_has_an_action_is_handed_out_once():
    parts = list(sequences(3, 5).observations())
    assert [part[:, 1].tolist() for part in parts] == [[0, 1, 2], [0, 1, 2, 3, 4]]


@pytest.mark.parametrize("kind", [np.float32, np.uint8])
@pytest.mark.parametrize("memory_bytes", [1, 1 << 30])
def test_images_are_read_when_needed_and_come_back_as_the_policy_saw_them(kind, memory_bytes):
    rng = np.random.default_rng(0)
    films: list[Any] = [rng.integers(0, 256, (n, 4, 5)).astype(np.uint8) for n in (6, 100, 50)]
    films = films if kind is np.uint8 else [film.astype(np.float32) / np.float32(255) for film in films]
    read = []

    class Images(Fake):
        def episode(self, number, *, unpack):
            read.append(number)
            writer = FrameWriter()
            for image in films[number]:
                writer.add(image)
            return Episode(frames_of(writer.arrays("obs"))["obs"], np.zeros((len(films[number]) - 1, 1)))

    data = Sequences(memory_bytes=memory_bytes)
    data.add(cast(Recording, Images([5, 99, 49])))
    batch = data.empty_batch(3, 2)
    assert batch.obs.shape == (3, 2, 4, 5) and batch.obs.dtype == kind
    for episode, start, length in [(0, 1, 3), (1, 0, 99), (1, 30, 40), (2, 45, 9), (1, 96, 2), (0, 0, 1), (2, 31, 2)]:
        window, _, n = data.window(episode, start, length)
        assert window.dtype == kind and n == min(length, data.length(episode) - start)
        np.testing.assert_array_equal(window, films[episode][start : start + n])
    assert [len(part) for part in data.observations()] == [5, 99, 49]
    assert read[:3] == [0, 1, 2] and (len(read) > 6 if memory_bytes == 1 else len(read) == 3)


def test_recordings_of_other_shapes_are_refused():
    class Wide(Fake):
        def episode(self, number, *, unpack):
            return Episode(np.zeros((3, 7)), np.zeros((2, 1)))

    data = sequences(3)
    with pytest.raises(NeuroctlError, match=r"fake has observations of shape \(7,\), the recordings before \(2,\)"):
        data.add(cast(Recording, Wide([2])))


def test_dict_observations_are_refused():
    class Dicts(Fake):
        def episode(self, number, *, unpack):
            return Episode({"a": np.zeros((2, 1))}, np.zeros((1, 1)))

    with pytest.raises(NeuroctlError, match="fake: imitation from dict observations is not supported"):
        Sequences().add(cast(Recording, Dicts([1])))


# -- carried -----------------------------------------------------------------------------------------------------


def test_carried_streams_visit_whole_episodes_in_order_with_first_flags():
    data = sequences(3, 5, 8)
    carried = CarriedSequences(data, seed=0, width=4)
    batches = [carried.next(7) for _ in range(12)]
    obs = np.concatenate([batch.obs for batch in batches])
    first = np.concatenate([batch.first for batch in batches])
    label = np.concatenate([batch.label for batch in batches])
    visited = set()
    for b in range(4):
        starts = np.flatnonzero(first[:, b]).tolist()
        assert starts[0] == 0
        for start, end in zip(starts, starts[1:], strict=False):
            episode = int(obs[start, b, 0])
            visited.add(episode)
            assert (obs[start:end, b, 0] == episode).all()
            assert obs[start:end, b, 1].tolist() == list(range(data.length(episode)))
    np.testing.assert_array_equal(label[..., 0], 100 * obs[..., 0] + obs[..., 1])
    assert visited == {0, 1, 2}
    assert all((batch.weight == 1).all() for batch in batches)


def test_how_many_steps_are_taken_at_once_changes_no_stream():
    long, short = (CarriedSequences(sequences(3, 5, 8), seed=0, width=3) for _ in range(2))
    a = long.next(40)
    parts = [short.next(n) for n in (1, 9, 3, 20, 7)]
    np.testing.assert_array_equal(a.obs, np.concatenate([part.obs for part in parts]))
    np.testing.assert_array_equal(a.first, np.concatenate([part.first for part in parts]))


def test_streams_differ_and_follow_the_seed_alone():
    def obs(seed, width):
        return CarriedSequences(sequences(*[4] * 20), seed, width).next(40).obs

    np.testing.assert_array_equal(obs(0, 3), obs(0, 5)[:, :3])
    assert not np.array_equal(obs(0, 3), obs(1, 3))
    assert not np.array_equal(obs(0, 3)[:, 0], obs(0, 3)[:, 1])


def test_carried_streams_go_on_from_their_state_also_when_data_were_added():
    data = sequences(3, 5, 8)
    carried = CarriedSequences(data, seed=0, width=8)
    carried.next(9)
    data.add(Fake([4, 4, 4], start=3))
    carried.next(1)
    state = carried.state_dict()
    expected = carried.next(50)
    grown = sequences(3, 5, 8)
    grown.add(Fake([4, 4, 4], start=3))
    again = CarriedSequences(grown, seed=0, width=8)
    again.load_state_dict(state)
    got = again.next(50)
    np.testing.assert_array_equal(got.obs, expected.obs)
    np.testing.assert_array_equal(got.first, expected.first)
    assert (got.obs[..., 0] >= 3).any(), "the added episodes are never visited"


# -- windows -----------------------------------------------------------------------------------------------------


def test_windows_are_stretches_of_one_episode_padded_with_weight_zero():
    data = sequences(3, 20)
    lengths = set()
    for update in range(20):
        batch = random_windows(data, seed=0, update=update, length=6, width=4)
        assert batch.first[0].all() and not batch.first[1:].any()
        for b in range(4):
            n = int(batch.weight[:, b].sum())
            lengths.add(n)
            assert batch.weight[:, b].tolist() == [1] * n + [0] * (6 - n)
            episode, start = batch.obs[0, b]
            assert n == min(6, data.length(int(episode)))
            assert (batch.obs[:n, b, 0] == episode).all()
            assert batch.obs[:n, b, 1].tolist() == list(np.arange(start, start + n))
            assert batch.label[:n, b, 0].tolist() == (100 * episode + batch.obs[:n, b, 1]).tolist()
            assert (batch.obs[n:, b] == 0).all() and (batch.label[n:, b] == 0).all()
    assert lengths == {3, 6}


def test_windows_reach_both_ends_of_every_episode():
    data = sequences(8, 9)
    starts = set()
    for update in range(60):
        batch = random_windows(data, seed=1, update=update, length=6, width=4)
        starts |= {tuple(map(int, batch.obs[0, b])) for b in range(4)}
    assert starts == {(0, s) for s in range(3)} | {(1, s) for s in range(4)}


def test_windows_are_keyed_by_seed_and_update():
    def obs(seed, update):
        return random_windows(sequences(30, 40), seed, update, length=6, width=4).obs

    np.testing.assert_array_equal(obs(0, 5), obs(0, 5))
    assert not np.array_equal(obs(0, 5), obs(0, 6))
    assert not np.array_equal(obs(0, 5), obs(1, 5))
