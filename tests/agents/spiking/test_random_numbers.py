import math

import numpy as np
import pytest

from neuroctl.agents.spiking.random_numbers import (
    AREA,
    EDGES,
    TAIL,
    checked_streams,
    fill_normals,
    fill_uniforms,
    make_streams,
)
from neuroctl.errors import NeuroctlError
from tests.agents.spiking.plain_random import PlainStream

SIGMAS = 5.0
"""A right generator leaves one of some twenty statistics by more with one seed in 80,000."""


def test_words_follow_the_published_reference_values():
    """First outputs of xoshiro256++ from the state 1, 2, 3, 4, as its authors' C code gives them."""
    stream = PlainStream(0, "x")
    stream.words = [1, 2, 3, 4]
    assert [stream.next() for _ in range(4)] == [41943041, 58720359, 3588806011781223, 3591011842654386]


def test_uniform_numbers_are_those_of_the_plain_generator():
    streams, out = make_streams(3, "x", 2), np.empty((2, 200))
    fill_uniforms(streams, out)
    for agent in range(2):
        assert np.array_equal(out[agent], PlainStream(3, "x", agent).random(200))


def test_cutting_changes_nothing():
    for fill in (fill_uniforms, fill_normals):
        whole, parts = np.empty((3, 1000)), np.empty((3, 1000))
        fill(make_streams(5, "x", 3), whole)
        streams = make_streams(5, "x", 3)
        for lo, hi in ((0, 1), (1, 500), (500, 1000)):
            fill(streams, parts[:, lo:hi])
        assert np.array_equal(whole, parts)


def test_an_agent_draws_the_same_whatever_is_beside_it():
    assert np.array_equal(make_streams(1, "x", 5)[:2], make_streams(1, "x", 2))
    words = np.concatenate([make_streams(seed, name, 2) for seed in (1, 2) for name in "xy"])
    assert len(np.unique(words)) == words.size


def test_the_layers_of_the_ziggurat_have_equal_area():
    def height(x):
        return math.exp(-0.5 * x * x)

    assert math.isclose(height(EDGES[-2]) + AREA / EDGES[-2], 1, rel_tol=1e-6)  # the top one ends at the top
    beyond = math.sqrt(math.pi / 2) * math.erfc(TAIL / math.sqrt(2))
    assert math.isclose(TAIL * height(TAIL) + beyond, AREA, rel_tol=1e-9)


def test_normal_numbers_have_the_normal_distribution():
    n = 4_000_000
    drawn = np.empty((2, n // 2))
    fill_normals(make_streams(11, "x", 2), drawn)
    z = drawn.ravel()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < SIGMAS * math.sqrt(variance / n)
    for sign in (-1, 1):
        for limit in (0.1, 0.3, 0.7, 1.2, 2.0, 2.8, 3.3, TAIL, 3.8, 4.3):
            p = math.erfc(limit / math.sqrt(2)) / 2
            assert abs((sign * z > limit).sum() - n * p) < SIGMAS * math.sqrt(n * p)
    assert abs((z[1:] * z[:-1]).mean()) < SIGMAS / math.sqrt(n)
    assert abs((abs(z[1:]) * abs(z[:-1])).mean() - 2 / math.pi) < SIGMAS / math.sqrt(n)


def test_float32_numbers_are_the_same_rounded():
    one, other = np.empty((1, 5000)), np.empty((1, 5000), np.float32)
    fill_normals(make_streams(1, "x", 1), one)
    fill_normals(make_streams(1, "x", 1), other)
    assert np.array_equal(one.astype(np.float32), other)


def test_states_of_other_streams_are_refused():
    good = make_streams(1, "x", 2)
    copy = checked_streams("the synapses", good, 2)
    assert np.array_equal(copy, good) and copy is not good
    with pytest.raises(NeuroctlError, match=r"streams of the synapses are uint64 \(2, 4\); needed: uint64 \(3, 4\)"):
        checked_streams("the synapses", good, 3)
    with pytest.raises(NeuroctlError, match="are float64"):
        checked_streams("the synapses", good.astype(float), 2)
    good[1] = 0
    with pytest.raises(NeuroctlError, match="all zeros"):
        checked_streams("the synapses", good, 2)
