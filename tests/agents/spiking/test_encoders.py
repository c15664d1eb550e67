import math
from bisect import bisect_right
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.encoders import PoissonEncoder, stamped_spikes
from neuroctl.envs.event_camera import EventCamera
from neuroctl.errors import NeuroctlError, NonFiniteError
from tests.agents.spiking.plain_random import PlainStream

EVENT = np.dtype([("t_s", np.float64), ("row", np.int16), ("column", np.int16), ("polarity", np.int8)])
SIGMAS = 5.0
"""A normal number exceeds them, of either sign, with probability 6e-7; the tests here compare less than a hundred."""


def plain_spikes(rates_hz, steps, dt_ms, seed, agent, calls):
    """The spikes of one agent, with a search for the place of each on the line of expected numbers."""
    edges = np.concatenate([[0.0], np.cumsum(rates_hz * steps * dt_ms / 1000)])
    random, out = PlainStream(seed, "encoder", agent), np.zeros((calls, steps, len(rates_hz)), int)
    for k in range(calls):
        place = 0.0
        while True:
            place -= math.log(((random.next() >> 11) + 1) / 2**53)
            if place >= edges[-1]:
                break
            n = bisect_right(edges, place) - 1
            out[k, int((place - edges[n]) / (edges[n + 1] - edges[n]) * steps), n] += 1
    return out


def as_normal(statistic, degrees):
    """A chi-square number as a nearly normal one (Wilson and Hilferty 1931)."""
    return ((statistic / degrees) ** (1 / 3) - 1 + 2 / (9 * degrees)) / math.sqrt(2 / (9 * degrees))


def many_counts(rates_hz, agents=100, calls=100, steps=10):
    """Counts of independent control steps `[agents x calls, T, N]`."""
    encoder = PoissonEncoder(len(rates_hz), steps, batch_size=agents, seed=7)
    rates = np.tile(np.asarray(rates_hz, float), (agents, 1))
    return np.concatenate([encoder.encode(rates).swapaxes(0, 1) for _ in range(calls)]).astype(float)


def test_equals_the_plain_search():
    rates = np.array([[0, 30, 0, 900, 0.5, 2500, 0], [5, 0, 0, 0, 0, 0, 70], [0, 0, 0, 0, 0, 0, 0]], float)
    encoder = PoissonEncoder(7, 8, batch_size=3, dt_ms=2.5, seed=3)
    spikes = np.stack([encoder.encode(rates) for _ in range(40)])
    assert spikes.dtype == np.uint8 and spikes[:, :, 0].max() > 10
    for b in range(3):
        np.testing.assert_array_equal(spikes[:, :, b], plain_spikes(rates[b], 8, 2.5, 3, b, 40))


def test_every_input_fires_at_its_rate_in_every_step():
    rates = np.array([3.0, 0.0, 40.0, 400.0, 1500.0])
    counts = many_counts(rates)
    expected = len(counts) * rates / 1000
    assert not counts[:, :, 1].any()
    for n in (0, 2, 3, 4):
        per_step = counts[:, :, n].sum(axis=0)
        assert abs(per_step.sum() - 10 * expected[n]) < SIGMAS * math.sqrt(10 * expected[n])
        assert abs(as_normal(((per_step - expected[n]) ** 2 / expected[n]).sum(), 10)) < SIGMAS


def test_counts_have_the_poisson_law():
    counts = many_counts([1500.0, 200.0])[:, :, 0].ravel()
    pmf = [math.exp(-1.5) * 1.5**k / math.factorial(k) for k in range(7)]
    expected = len(counts) * np.array([*pmf, 1 - sum(pmf)])
    seen = np.bincount(np.minimum(counts, 7).astype(int), minlength=8)
    assert abs(as_normal(((seen - expected) ** 2 / expected).sum(), 7)) < SIGMAS


def test_inputs_and_steps_and_agents_are_independent():
    """Products of standardised counts of two cells have mean 0 and variance 1."""
    rates = np.array([100.0, 700.0, 2000.0])
    counts = many_counts(rates)
    cells = ((counts - rates / 1000) / np.sqrt(rates / 1000)).reshape(len(counts), -1)
    pairs = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 4), (2, 5), (1, 28), (2, 29)]  # within a step, then between steps
    for i, j in pairs:
        assert abs((cells[:, i] * cells[:, j]).sum()) < SIGMAS * math.sqrt(len(cells))
    assert abs((cells[1:, 2] * cells[:-1, 2]).sum()) < SIGMAS * math.sqrt(len(cells))  # agents beside each other
    assert abs((cells[100:, 2] * cells[:-100, 2]).sum()) < SIGMAS * math.sqrt(len(cells))  # one agent, next call


def test_spikes_of_an_agent_do_not_depend_on_the_agents_beside_it():
    rates = np.random.default_rng(0).random((5, 30)) * 200
    many = PoissonEncoder(30, 20, batch_size=5, seed=4)
    few = PoissonEncoder(30, 20, batch_size=2, seed=4)
    for scale in (1.0, 3.0):
        spikes = many.encode(rates * scale)
        assert few.encode((rates * scale)[:2]).tobytes() == spikes[:, :2].tobytes()
    assert (spikes[:, 0] != spikes[:, 1]).any()
    assert (PoissonEncoder(30, 20, batch_size=5, seed=5).encode(rates) != many.encode(rates)).any()


def test_a_restored_encoder_goes_on_with_the_same_spikes():
    rates = np.full((2, 9), 300.0)
    first, second = PoissonEncoder(9, 5, batch_size=2, seed=1), PoissonEncoder(9, 5, batch_size=2, seed=2)
    first.encode(rates)
    state = first.state_dict()
    rest = first.encode(rates)
    second.load_state_dict(state)
    assert second.encode(rates).tobytes() == rest.tobytes()
    assert first.encode(rates).tobytes() == second.encode(rates).tobytes()


@pytest.mark.parametrize(
    ("rates", "error", "message"),
    [
        (np.zeros((2, 4)), NeuroctlError, r"rates_hz must be numbers of shape \(2, 3\), got float64 of shape \(2, 4\)"),
        (
            np.full((2, 3), -1.0),
            NeuroctlError,
            r"rates_hz must be from 0 to 50000, 100 spikes in a step of 2 ms, got -1",
        ),
        (np.full((2, 3), 50001.0), NeuroctlError, "rates_hz must be from 0 to 50000, .* got 50001"),
        (np.full((2, 3), np.nan), NonFiniteError, "rates_hz has a value that is not finite: nan"),
    ],
)
def test_rates_that_cannot_be_are_refused_and_draw_nothing(rates, error, message):
    first, second = (PoissonEncoder(3, 5, batch_size=2, dt_ms=2) for _ in range(2))
    with pytest.raises(error, match=message):
        first.encode(rates)
    highest = np.full((2, 3), 50000.0)
    assert first.encode(highest).tobytes() == second.encode(highest).tobytes()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state of an encoder has no array 'streams'"),
        ({"streams": np.ones((3, 4), np.uint64)}, r"streams in the state of an encoder is uint64 \(3, 4\)"),
        ({"streams": np.zeros((2, 4), np.uint64)}, "a stream of an encoder is all zeros"),
    ],
)
def test_damaged_states_are_refused(state, message):
    with pytest.raises(NeuroctlError, match=message):
        PoissonEncoder(3, 5, batch_size=2).load_state_dict(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_inputs": 0}, "num_inputs must be an integer >= 1, got 0"),
        ({"num_steps": 0}, "num_steps must be an integer >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"dt_ms": 0}, "dt_ms must be a number > 0, got 0"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_encoders_that_cannot_be_are_refused(options, message):
    with pytest.raises(NeuroctlError, match=message):
        PoissonEncoder(**({"num_inputs": 3, "num_steps": 5} | options))


def events(*rows: Any) -> np.ndarray:
    return np.array(list(rows), EVENT)


def test_each_event_is_a_spike_in_its_millisecond():
    stamped = events((0.0005, 0, 0, 1), (0.001, 0, 1, -1), (0.0011, 1, 2, 1), (0.003, 1, 2, -1), (0.0, 1, 0, 1))
    spikes = stamped_spikes(stamped, (2, 3), 3, 1.0)
    assert spikes.dtype == np.uint8
    assert spikes.tolist() == [[1, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 1]]
    apart = stamped_spikes(stamped, (2, 3), 3, 1.0, polarity=True)
    assert np.argwhere(apart).tolist() == [[0, 0], [0, 3], [0, 6], [1, 10], [2, 11]]


def test_ends_of_steps_are_met_whatever_their_rounding():
    for dt_ms in (1.0, 0.1, 2.5):
        ends = [((k + 1) * dt_ms / 1000, 0, 0, 1) for k in range(40)]
        assert (stamped_spikes(events(*ends), (1, 1), 40, dt_ms) == 1).all()


def test_windows_collect_their_pixels():
    rng = np.random.default_rng(0)
    stamped = np.zeros(5000, EVENT)
    stamped["t_s"], stamped["polarity"] = rng.random(5000) * 0.02, rng.choice([-1, 1], 5000)
    stamped["row"], stamped["column"] = rng.integers(0, 8, 5000), rng.integers(0, 12, 5000)
    expected = np.zeros((20, 2, 4, 2), int)
    for t_s, row, column, polarity in stamped.tolist():
        expected[math.ceil(t_s / 0.001) - 1, row // 4, column // 3, 0 if polarity > 0 else 1] += 1
    spikes = stamped_spikes(stamped, (8, 12), 20, 1.0, windows=(2, 4), polarity=True)
    np.testing.assert_array_equal(spikes, expected.reshape(20, -1))
    merged = stamped_spikes(stamped, (8, 12), 20, 1.0, windows=(2, 4))
    np.testing.assert_array_equal(merged, expected.sum(axis=3).reshape(20, -1))


@pytest.mark.parametrize("polarity", [False, True])
def test_spikes_of_a_control_step_are_the_counts_of_the_event_camera(polarity):
    camera = EventCamera((8, 12), (4, 6), model="log", polarity=polarity, time_stamps=True)
    images = np.random.default_rng(1).random((4, 8, 12)).astype(np.float32)
    memory = camera.start(images[:1])
    for image in images[1:]:
        camera.step(memory, image[None])
        spikes = stamped_spikes(camera.recall(memory)[0], (8, 12), 20, 1.0, windows=(4, 6), polarity=polarity)
        assert spikes.sum() > 100
        np.testing.assert_array_equal(spikes.sum(axis=0), memory["counts"][0].ravel())


def test_no_events_are_no_spikes():
    assert stamped_spikes(events(), (2, 2), 3, 1.0).tolist() == [[0] * 4] * 3


def test_more_than_255_events_at_once_are_255_spikes():
    assert stamped_spikes(events(*[(0.001, 0, 0, 1)] * 300), (1, 1), 1, 1.0).tolist() == [[255]]


ONE = events((0.001, 1, 2, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stamped_spikes(np.zeros(3), (2, 3), 5, 1), "fields t_s, row, column, polarity, got "),
        (lambda: stamped_spikes(ONE[["t_s", "row"]], (2, 3), 5, 1), "fields t_s, row, column, polarity, got "),
        (lambda: stamped_spikes(ONE, (1, 3), 5, 1), "every row of events must be from 0 to 0, got 1"),
        (lambda: stamped_spikes(ONE, (2, 2), 5, 1), "every column of events must be from 0 to 1, got 2"),
        (lambda: stamped_spikes(ONE, (2, 3), 5, 0.1), "times t_s must be from 0 to 0.0005 s, got 0.001"),
        (lambda: stamped_spikes(events((-1e-9, 0, 0, 1)), (2, 3), 5, 1), "times t_s must be from 0 to 0.005 s, got -1"),
        (lambda: stamped_spikes(events((np.nan, 0, 0, 1)), (2, 3), 5, 1), "times t_s must be .* got nan"),
        (lambda: stamped_spikes(events((0, 0, 0, 0)), (2, 3), 5, 1, polarity=True), "polarity .* 1 or -1, got 0"),
        (lambda: stamped_spikes(ONE, (2, 3), 5, 1, windows=(2, 2)), r"windows \(2, 2\) do not divide the sensor"),
        (lambda: stamped_spikes(ONE, (2, 3), 5, 1, windows=(0, 1)), "rows of windows must be an integer >= 1, got 0"),
        (lambda: stamped_spikes(ONE, 6, 5, 1), "shape must be rows and columns, got 6"),  # type: ignore[arg-type]
        (lambda: stamped_spikes(ONE, (2, 3), 0, 1), "num_steps must be an integer >= 1, got 0"),
        (lambda: stamped_spikes(ONE, (2, 3), 5, -1), "dt_ms must be a number > 0, got -1"),
    ],
)
def test_events_that_cannot_be_are_refused(call, message):
    with pytest.raises(NeuroctlError, match=message):
        call()
