import numpy as np

from neuroctl.agents.spiking.coding_kernels import filter_rewards, low_pass, poisson_spikes, weighted_sums
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


def test_rewards_filtered_by_paper_and_pencil():
    """Decay 0.5 of mean and variance: rewards 4, 1, 5.5 have means 4, 2, 4 and variances 0, 3 / 1.5, 6.75 / 1.75."""
    past, out, shown = np.zeros((4, 1)), np.empty(1), []
    for reward in (4.0, 1.0, 5.5):
        filter_rewards(np.array([1.0, 2.0, 0.001, 0.0, 0.5]), np.array([reward]), past, out)
        shown.append(out[0])
    np.testing.assert_allclose(shown, [0.0, -1 / np.sqrt(3 / 1.5), 1.5 / np.sqrt(6.75 / 1.75)], rtol=1e-15)
    np.testing.assert_array_equal(past[:, 0], [5.5, 1.75, 4.0, 6.75])
