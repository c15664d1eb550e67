import numpy as np

from neuroctl.agents.spiking.network_kernels import (
    END_SOURCE,
    FIRST_SOURCE,
    FIRST_TARGET,
    FIRST_WEIGHT,
    NUM_TARGETS,
    RECEPTOR,
    find_spikes,
    send,
)


def test_every_spike_is_found_in_order():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 1.0):
        counts = rng.integers(1, 256, (3, 2, 40)).astype(np.uint8) * (rng.random((3, 2, 40)) < share)
        counts, last = counts.astype(np.uint8), (rng.random((2, 9)) < share).astype(np.uint8)
        for t in range(3):
            for b in range(2):
                found = np.full(49, -1)
                number = find_spikes(b, t, counts, counts.view(np.uint64), last, found)
                expected = np.flatnonzero(np.r_[counts[t, b], last[b]])
                np.testing.assert_array_equal(found[:number], expected)


def test_a_spike_adds_its_row_of_weights_as_often_as_it_counts():
    weights = np.arange(40.0).reshape(2, 20)
    arrivals, projections = np.zeros((2, 3, 2, 8)), np.zeros((2, 7), np.int64)
    counts, last = np.zeros((1, 2, 8), np.uint8), np.zeros((2, 6), np.uint8)
    columns = [FIRST_SOURCE, END_SOURCE, FIRST_TARGET, NUM_TARGETS, RECEPTOR, FIRST_WEIGHT]
    projections[1, columns] = [10, 13, 2, 4, 1, 5]
    last[1], counts[0, 1] = [9, 9, 0, 1, 3, 9], 9
    found = np.array([3, 9, 11, 12, 13])
    send(1, 0, 2, projections, 1, 5, found, counts, last, weights, arrivals)
    expected = np.zeros_like(arrivals)
    expected[1, 2, 1, 2:6] = weights[1, 9:13] + 3 * weights[1, 13:17]
    np.testing.assert_array_equal(arrivals, expected)
