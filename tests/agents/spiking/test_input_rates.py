from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.input_rates import (
    event_rates,
    image_rates,
    place_rates,
    with_exploration,
)
from neuroctl.errors import NeuroctlError, NonFiniteError


def test_each_event_brings_the_expected_spikes_up_to_the_limit():
    counts = np.array([[[0, 1], [2, 3]]], np.float32)
    rates = event_rates(counts, gain=0.5, control_dt_s=0.02, limit_hz=60)
    assert rates.tolist() == [[0, 25, 50, 60]]
    assert rates.dtype == np.float64


def test_polarities_and_windows_are_flattened_in_their_order():
    counts = np.arange(2 * 4 * 3 * 2).reshape(2, 4, 3, 2)
    rates = event_rates(counts, gain=1, control_dt_s=1, limit_hz=1e6)
    assert rates.shape == (2, 24)
    assert rates[1, (2 * 3 + 1) * 2 + 1] == counts[1, 2, 1, 1]


def test_images_fire_in_proportion_to_intensity():
    assert image_rates(np.array([[[0, 0.25], [0.5, 1]]], np.float32), 80).tolist() == [[0, 20, 40, 80]]
    assert image_rates(np.array([[0, 51, 255]], np.uint8), 100).tolist() == [[0, 20, 100]]


def test_cells_of_a_place_code_follow_the_gaussian():
    values = np.random.default_rng(0).uniform([-1, 0], [1, 10], (6, 2)).astype(np.float32)
    rates = place_rates(values, [-1, 0], [1, 10], cells=5, max_rate_hz=90, width=0.7)
    expected = []
    for d, (low, high) in enumerate([(-1, 1), (0, 10)]):
        apart = values[:, d, None].astype(float) - np.linspace(low, high, 5)
        expected.append(90 * np.exp(-(apart**2) / (2 * (0.7 * (high - low) / 4) ** 2)))
    np.testing.assert_allclose(rates, np.concatenate(expected, axis=1), rtol=1e-12)


def test_a_grid_has_a_cell_for_each_place():
    values = np.random.default_rng(1).uniform(-2, 2, (4, 3))
    rates = place_rates(values, -2, 2, cells=4, max_rate_hz=50, grid=True)
    centres = np.linspace(-2, 2, 4)
    places = np.stack(np.meshgrid(centres, centres, centres, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = ((values[:, None] - places) ** 2).sum(axis=2) / (4 / 3) ** 2
    np.testing.assert_allclose(rates, 50 * np.exp(-distance / 2), rtol=1e-12)


@pytest.mark.parametrize("grid", [False, True])
def test_values_beyond_the_bounds_count_as_the_bounds(grid):
    far = place_rates([[9.0, -9.0]], -1, [1, 2], cells=3, max_rate_hz=10, grid=grid)
    assert far.tolist() == place_rates([[1.0, -1.0]], -1, [1, 2], cells=3, max_rate_hz=10, grid=grid).tolist()
    assert far.max() == 10


def test_bits_of_a_row_do_not_depend_on_the_rows_beside_it():
    values = np.random.default_rng(2).uniform(-1, 1, (7, 3))
    options: dict[str, Any] = {"cells": 6, "max_rate_hz": 33.3, "width": 0.9}
    for grid in (False, True):
        together = place_rates(values, -1, 1, grid=grid, **options)
        alone = [place_rates(values[b : b + 1], -1, 1, grid=grid, **options) for b in range(7)]
        assert together.tobytes() == np.concatenate(alone).tobytes()
    explored = with_exploration(together, rest_hz=30, inhibition=0.1)
    rows = [with_exploration(row[None], rest_hz=30, inhibition=0.1) for row in together]
    assert explored.tobytes() == np.concatenate(rows).tobytes()


def test_exploration_is_what_the_other_inputs_leave_of_it():
    rates = np.array([[[0.0, 0.0]], [[60.0, 40.0]], [[0.0, 499.0]], [[500.0, 0.0]], [[9000.0, 1.0]]])
    together = with_exploration(rates, rest_hz=100, inhibition=0.2)
    assert np.array_equal(together[:, :2], rates[:, 0])
    assert together[:, 2].tolist() == pytest.approx([100, 80, 0.2, 0, 0])
    assert with_exploration([[1e9]], rest_hz=7, inhibition=0).tolist() == [[1e9, 7]]


def test_arguments_are_left_as_they_are():
    image, counts = np.full((1, 2, 2), 0.5), np.ones((1, 4))
    image_rates(image, 10)[:] = 0
    event_rates(counts, gain=1, control_dt_s=1, limit_hz=5)[:] = 0
    assert image.tolist() == [[[0.5, 0.5], [0.5, 0.5]]]
    assert counts.tolist() == [[1, 1, 1, 1]]


ONES = np.ones((1, 2))
PLACE: dict[str, Any] = {"cells": 3, "max_rate_hz": 10.0}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: event_rates(-ONES, gain=1, control_dt_s=1, limit_hz=1),
            "event counts must be from 0 to 1e.100, got -1",
        ),
        (lambda: event_rates(ONES, gain=-1, control_dt_s=1, limit_hz=1), "gain must be a number >= 0, got -1"),
        (lambda: event_rates(ONES, gain=1, control_dt_s=0, limit_hz=1), "control_dt_s must be a number > 0, got 0"),
        (lambda: event_rates(ONES, gain=1, control_dt_s=1, limit_hz=-1), "limit_hz must be a number >= 0, got -1"),
        (lambda: event_rates(np.ones(3), gain=1, control_dt_s=1, limit_hz=1), r"must have shape \[B, ...\]"),
        (lambda: event_rates([["a"]], gain=1, control_dt_s=1, limit_hz=1), "event counts must be numbers"),
        (lambda: image_rates(2 * ONES, 10), "intensities must be from 0 to 1, got 2 to 2"),
        (lambda: image_rates(np.ones((1, 2), np.int64), 10), "an image must be floats from 0 to 1, or uint8, got int"),
        (lambda: image_rates(ONES, -1), "max_rate_hz must be a number >= 0, got -1"),
        (lambda: place_rates(np.ones((1, 2, 2)), 0, 1, **PLACE), r"must have shape \[B, D\], got \(1, 2, 2\)"),
        (lambda: place_rates(ONES, 1, 1, **PLACE), "low must be < high in every dimension, got 1 and 1"),
        (lambda: place_rates(ONES, [0, 0, 0], 1, **PLACE), "low must be a finite number, or one for each of 2"),
        (lambda: place_rates(ONES, 0, np.inf, **PLACE), "high must be a finite number, or one for each of 2, got inf"),
        (lambda: place_rates(ONES, 0, 1, cells=1, max_rate_hz=1), "cells must be an integer from 2 to 65536, got 1"),
        (lambda: place_rates(ONES, 0, 1, cells=300, max_rate_hz=1, grid=True), "300 cells in 2 dimensions are more"),
        (lambda: place_rates(ONES, 0, 1, width=0, **PLACE), "width must be a number > 0, got 0"),
        (lambda: place_rates(ONES, 0, 1, cells=3, max_rate_hz=-1), "max_rate_hz must be a number >= 0, got -1"),
        (lambda: with_exploration(ONES, rest_hz=-1, inhibition=1), "rest_hz must be a number >= 0, got -1"),
        (lambda: with_exploration(-ONES, rest_hz=1, inhibition=1), "rates_hz must be from 0 to"),
        (lambda: with_exploration(ONES, rest_hz=1, inhibition=-1), "inhibition must be a number >= 0, got -1"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(NeuroctlError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: event_rates(x, gain=1, control_dt_s=1, limit_hz=1),
        lambda x: image_rates(x, 1),
        lambda x: place_rates(x, 0, 1, **PLACE),
        lambda x: with_exploration(x, rest_hz=1, inhibition=1),
    ],
)
def test_numbers_that_are_not_finite_are_refused(call):
    with pytest.raises(NonFiniteError, match="must be finite, got nan"):
        call(np.array([[0.5, np.nan]]))
