"""Figures of a matrix, compared with those worked out by hand."""

from typing import Any

import numpy as np
import pytest

from neuroctl.robustness_matrix import Cell, Matrix


def made(scores: dict[str, Any], scale: tuple[float, float] | None = (0.0, 1.0)) -> Matrix:
    """A matrix of returns by policy and condition, severities 1 and 5."""
    arrays = {p: {c: np.array(v, float).reshape(-1, 2) for c, v in by.items()} for p, by in scores.items()}
    cells = {
        (p, c): Cell(values, np.ones(values.shape, np.int64), None)
        for p, by in arrays.items()
        for c, values in by.items()
    }
    units = {p: tuple(f"{p}{k}" for k in range(len(by["clean"]))) for p, by in arrays.items()}
    return Matrix("env", {}, ("a", "b"), {}, (1, 5), (7, 8), cells, units, scale)


ONE = {"clean": [1.0, 0.8], "a:1": [0.6, 0.6], "a:5": [0.2, 0.0], "b:1": [1.0, 0.8], "b:5": [1.0, 0.8]}
TWO = {"clean": [1.0, 1.0], "a:1": [0.5, 0.5], "a:5": [0.1, 0.1], "b:1": [1.0, 0.8], "b:5": [1.0, 0.8]}


def test_area_headline_and_worst_episode_are_those_worked_out_by_hand() -> None:
    matrix = made({"one": ONE})
    # (1 + .6) / 2 over one severity, (.6 + .2) / 2 over four, in all over five
    np.testing.assert_allclose(matrix.area("one", "a"), [[(0.8 + 4 * 0.4) / 5, (0.7 + 4 * 0.3) / 5]])
    np.testing.assert_allclose(matrix.area("one", "b"), [[1.0, 0.8]])
    headline = matrix.headline("one")
    assert headline.value == pytest.approx(np.mean([(0.48 + 1.0) / 2, (0.38 + 0.8) / 2]))
    assert matrix.worst("one") == ("a:5", "one0", 1, 8, 0.0)
    scaled = made({"one": ONE}, scale=(-1.0, 1.0))
    np.testing.assert_allclose(scaled.scores("one", "a:5"), [[0.6, 0.5]])
    assert made({"one": ONE}, scale=None).scores("one", "a:5").tolist() == [[0.2, 0.0]]


def test_the_probability_of_improvement_pairs_episodes_and_counts_a_tie_half() -> None:
    matrix = made({"one": ONE, "two": TWO})
    # shift a: 0.48 against 0.39 and 0.38 against 0.39; shift b: 1 against 1 and 0.8 against 0.82
    assert matrix.improvement("one", "two") == pytest.approx((0.5 + 0.25) / 2)
    assert matrix.improvement("two", "one") == pytest.approx((0.5 + 0.75) / 2)


def test_units_are_compared_each_with_each() -> None:
    several = {c: [v, v, [0.0, 0.0]] for c, v in ONE.items()}
    matrix = made({"one": several, "two": TWO})
    # shift a: units 0.43, 0.43 and 0 against 0.39, the mean of two's episodes; shift b: 0.9, 0.9 and 0 against 0.91
    assert matrix.improvement("one", "two") == pytest.approx((2 / 3 + 0) / 2)
