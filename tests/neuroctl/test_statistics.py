"""Interquartile means and intervals are those of rliable, and intervals cover what they say."""

from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.statistics import Interval, iqm, stratified_bootstrap

PEERS = "rliable is not installed; it comes with the extra 'peers'"
SHAPES = [(10,), (7,), (11,), (5,), (64,), (7, 3), (10, 26), (1,), (2, 2), (4, 1)]


def scores(shape: tuple[int, ...], seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return generator.gamma(2.0, size=shape) * generator.choice([0.1, 1.0, 30.0], size=shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_iqm_agrees_with_rliable(shape: tuple[int, ...]) -> None:
    metrics = pytest.importorskip("rliable.metrics", reason=PEERS)
    data = scores(shape)
    table = data.reshape(len(data), -1)
    assert iqm(data) == pytest.approx(metrics.aggregate_iqm(table), rel=1e-12, abs=1e-12)


# arch, which rliable resamples with, announces another argument for its generator.
@pytest.mark.filterwarnings("ignore:random_state is deprecated:FutureWarning")
@pytest.mark.parametrize("shape", [(64,), (5, 3)])
def test_intervals_agree_with_rliable(shape: tuple[int, ...]) -> None:
    rliable = pytest.importorskip("rliable.library", reason=PEERS)
    metrics = pytest.importorskip("rliable.metrics", reason=PEERS)
    data, repetitions = scores(shape, seed=2), 4000
    table = data.reshape(len(data), -1)
    ours = stratified_bootstrap(data, iqm, repetitions=repetitions)
    points, intervals = rliable.get_interval_estimates(
        {"us": table}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=repetitions,
        random_state=np.random.RandomState(0),
    )  # fmt: skip
    assert ours.value == pytest.approx(points["us"][0], rel=1e-12)
    ends = [ours.low, ours.high]
    spread = np.std([bounds(table, repetitions, seed) for seed in range(1, 9)], axis=0, ddof=1)
    assert (np.abs(np.array(ends) - intervals["us"][:, 0]) < 5 * np.sqrt(2) * spread).all()
    assert (5 * np.sqrt(2) * spread < 0.2 * (ours.high - ours.low)).all(), "the tolerance would hide an error"


def bounds(table: Any, repetitions: int, seed: int) -> tuple[float, float]:
    interval = stratified_bootstrap(table, iqm, repetitions=repetitions, seed=seed)
    return interval.low, interval.high


def test_iqm_is_the_mean_of_the_middle_half() -> None:
    assert iqm([1, 2, 3, 4]) == 2.5
    assert iqm([-1000, 1, 2, 3, 4, 5, 6, 1000]) == 3.5
    assert iqm([7]) == 7 and iqm([[1, 5], [3, 100]]) == 4
    assert iqm(np.array([1, 2, 2, 9], np.float32)) == 2


def test_runs_are_resampled_within_each_task() -> None:
    # Between the tasks lies everything, within them nothing: resampling over tasks would spread the interval.
    data = np.tile([0.0, 100.0], (10, 1))
    interval = stratified_bootstrap(data, lambda x: float(x.mean()))
    assert (interval.low, interval.value, interval.high) == (50, 50, 50)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for trial in range(300):
        data = np.random.default_rng(trial).normal(size=40)
        interval = stratified_bootstrap(data, lambda x: float(x.mean()), repetitions=300, level=0.8)
        hits += interval.low <= 0 <= interval.high
    assert 0.73 < hits / 300 < 0.85


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    data = scores((20,))
    first = stratified_bootstrap(data, repetitions=200, seed=1)
    assert first == stratified_bootstrap(data, repetitions=200, seed=1)
    assert first != stratified_bootstrap(data, repetitions=200, seed=2)
    assert isinstance(first, Interval) and (first.count, first.level) == (20, 0.95)
    assert stratified_bootstrap(scores((20, 3)), repetitions=20).count == 20


def test_one_run_has_no_spread() -> None:
    assert stratified_bootstrap([3.0], repetitions=10) == Interval(3.0, 3.0, 3.0, 1)


@pytest.mark.parametrize("data", [[], np.zeros((0, 3)), np.zeros((2, 2, 2)), 3.0])
def test_scores_of_no_meaning_are_refused(data: Any) -> None:
    with pytest.raises(NeuroctlError, match=r"scores have shape .*; expected \[runs\] or \[runs, tasks\]"):
        stratified_bootstrap(data)
    with pytest.raises(NeuroctlError, match="no scores"):
        iqm([])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 95}, "level must be between 0 and 1, got 95"),
        ({"level": 0.0}, "level must be between 0 and 1, got 0.0"),
        ({"level": float("nan")}, "level must be between 0 and 1, got nan"),
        ({"repetitions": 0}, "repetitions must be an integer >= 1, got 0"),
    ],
)
def test_an_interval_of_no_meaning_is_refused(options: Any, message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        stratified_bootstrap([1.0, 2.0, 3.0], **options)


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(NeuroctlError, match="2 of 5 scores are NaN"):
        iqm([1.0, float("nan"), 2.0, float("nan"), 3.0])
