import numpy as np

from neuroctl.agents.spiking.coding_kernels import low_pass, poisson_spikes, weighted_sums
from neuroctl.agents.spiking.random_numbers import make_streams


def test_a_count_that_has_reached_255_stays_there():
    spikes = np.full((2, 1, 1), 250, np.uint8)
    poisson_spikes(make_streams(0, "x", 1), np.array([[1000.0]]), 0.1, spikes)
    assert spikes.ravel().tolist() == [255, 255]


def test_spikes_are_added_and_streams_go_on():
    streams, rates = make_streams(0, "x", 1), np.full((1, 5), 40.0)
    before, spikes = streams.copy(), np.ones((4, 1, 5), np.uint8)
    poisson_spikes(streams, rates, 0.5, spikes)
    assert spikes.min() >= 1 and spikes.sum() > 20
    assert (streams != before).any()


def test_sums_run_from_the_first_to_the_last():
    """Rounding tells the order: 1 is lost beside 1e16 when it is added after it, and not when before -1e16 and 1e16."""
    sums = np.empty((1, 2))
    weighted_sums(np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]), np.array([[1e16, 1.0, -1e16]]), sums)
    assert sums.tolist() == [[0.0, 0.0]]
    weighted_sums(np.ones((2, 3)), np.array([[1e16, -1e16, 1.0]]), sums)
    assert sums.tolist() == [[1.0, 1.0]]


def test_low_pass_of_two_steps_is_the_one_of_paper_and_pencil():
    activity = np.array([[8.0, 0.0]])
    low_pass(0.5, 10.0, np.array([[[1, 0]], [[0, 2]]], np.uint8), activity)
    assert activity.tolist() == [[7.0, 20.0]]
