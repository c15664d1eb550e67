"""Tuning curves and linear decoding against cases that are worked out."""

import numpy as np
import pytest

from neuroctl.decoding import _fitted, decode, tuning_curves
from neuroctl.errors import NeuroctlError, NonFiniteError

RNG = np.random.default_rng(0)
T = 600
GROUPS = np.repeat(np.arange(12), 50)


def test_curves_are_means_in_bins() -> None:
    variable = np.array([0.0, 0.1, 0.9, 1.0, 1.0])
    found = tuning_curves([[1.0], [3.0], [5.0], [6.0], [7.0]], variable, bins=4)
    assert found.counts.tolist() == [2, 0, 0, 3]
    np.testing.assert_allclose(found.centres, [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(found.mean[:, 0], [2, np.nan, np.nan, 6])
    np.testing.assert_allclose(found.error[[0, 3], 0], [1.0, 1 / np.sqrt(3)])


def test_what_units_hold_is_read_off_and_what_they_do_not_hold_is_not() -> None:
    units = RNG.standard_normal((T, 6))
    linear = units @ RNG.standard_normal(6) + 3
    noisy = linear / linear.std() + RNG.standard_normal(T)
    other = RNG.standard_normal(T)
    share = decode(units, np.stack([linear, noisy, other, np.ones(T)], 1), GROUPS)
    assert share[0] > 0.9999 and 0.4 < share[1] < 0.6 and -0.1 < share[2] < 0.05 and np.isnan(share[3])


def test_what_only_tells_episodes_apart_is_not_read_off() -> None:
    per_episode = RNG.standard_normal(12)[GROUPS]
    units = np.eye(12)[GROUPS] + 0.01 * RNG.standard_normal((T, 12))
    assert decode(units, per_episode, GROUPS)[0] < 0.1
    assert decode(units, per_episode, RNG.integers(5, size=T))[0] > 0.9  # steps left out at random would find it


def test_the_fit_is_that_of_least_squares_with_rows_for_the_penalty() -> None:
    units, variable = 3 + 2 * RNG.standard_normal((T, 4)), RNG.standard_normal(T)
    fitted, out = GROUPS % 3 > 0, GROUPS % 3 == 0
    standard = (units - units[fitted].mean(0)) / units[fitted].std(0)
    rows = np.vstack([standard[fitted], np.sqrt(0.5 * fitted.sum()) * np.eye(4)])
    centre = variable[fitted].mean()
    weights, *_ = np.linalg.lstsq(rows, np.concatenate([variable[fitted] - centre, np.zeros(4)]), rcond=None)
    ours = _fitted(units[fitted], variable[fitted, None], units[out], 0.5)[:, 0]
    np.testing.assert_allclose(ours, standard[out] @ weights + centre, atol=1e-10)


def test_a_unit_that_never_fires_does_no_harm() -> None:
    units = RNG.standard_normal((T, 3))
    units[:, 1] = 0.0
    assert decode(units, units[:, 0], GROUPS)[0] > 0.999


def test_mistakes_are_said() -> None:
    units, variable = RNG.standard_normal((T, 3)), RNG.standard_normal(T)
    with pytest.raises(NeuroctlError, match=r"of as many steps are needed, got \(600, 3\) and \(599,\)"):
        tuning_curves(units, variable[1:])
    with pytest.raises(NeuroctlError, match="the variable is 2 in every step"):
        tuning_curves(units, np.full(T, 2.0))
    with pytest.raises(NeuroctlError, match="bins must be an integer >= 2, got 1"):
        tuning_curves(units, variable, bins=1)
    with pytest.raises(NonFiniteError, match="units or variable are not finite"):
        decode(units, np.full(T, np.nan), GROUPS)
    with pytest.raises(NeuroctlError, match="groups must be 600 numbers of at least 2 groups"):
        decode(units, variable, np.zeros(T))
    with pytest.raises(NeuroctlError, match="folds must be an integer >= 2, got 1"):
        decode(units, variable, GROUPS, folds=1)
    with pytest.raises(NeuroctlError, match="penalty must be >= 0, got -1"):
        decode(units, variable, GROUPS, penalty=-1)
