import math
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.reward_filters import KINDS, RewardFilter, delayed
from neuroctl.errors import NeuroctlError, NonFiniteError, UnknownNameError

DT_S = 0.02


def make(kind: Any = "difference", **options: Any) -> RewardFilter:
    return RewardFilter(kind, **({"control_dt_s": DT_S} | options))


def run(reward_filter, rewards):
    return np.array([reward_filter.filter(reward) for reward in rewards])


def some_rewards(steps=400, batch_size=3, seed=0):
    """Positive, as the ratio needs them, and with a level that moves."""
    rng = np.random.default_rng(seed)
    return rng.random((steps, batch_size)) + np.linspace(0, 2, steps)[:, None]


def plain_filter(kind, rewards, tau_s, smoothing_s):
    """One row, each step anew from all rewards so far and their weights."""
    smooth = [rewards[0]]
    for r in rewards[1:]:
        keep = math.exp(-DT_S / smoothing_s) if smoothing_s else 0.0
        smooth.append(keep * smooth[-1] + (1 - keep) * r)
    out = []
    for n in range(1, len(rewards) + 1):
        past = np.array(smooth[:n])
        weights = np.exp(-DT_S / tau_s * np.arange(n)[::-1])
        mean = np.average(past, weights=weights)
        sd = math.sqrt(np.average((past - mean) ** 2, weights=weights))
        out.append(
            {
                "raw": past[-1],
                "ratio": past[-1] / max(mean, 0.02),
                "difference": past[-1] - mean,
                "zscore": (past[-1] - mean) / max(sd, 1e-3),
            }[kind]
        )
    return np.array(out)


@pytest.mark.parametrize("smoothing_s", [0.0, 0.05])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_definition_at_every_step(kind, smoothing_s):
    rewards = some_rewards()
    options = {} if kind == "raw" else {"tau_s": 1.5}
    filtered = run(make(kind, smoothing_s=smoothing_s, batch_size=3, **options), rewards)
    for b in range(3):
        np.testing.assert_allclose(filtered[:, b], plain_filter(kind, rewards[:, b], 1.5, smoothing_s), atol=1e-11)


def test_mean_answers_a_step_as_computed_by_hand():
    before, after = 100, 300
    rewards = np.repeat([[0.0], [1.0]], [before, after], axis=0)
    k = np.arange(1, after + 1)
    mean = -np.expm1(-k * DT_S / 2.0) / -np.expm1(-(before + k) * DT_S / 2.0)
    np.testing.assert_allclose(run(make(tau_s=2.0), rewards)[before:, 0], 1 - mean, rtol=1e-12)


def test_low_pass_answers_a_step_as_computed_by_hand():
    rewards = np.repeat([[0.0], [1.0]], [1, 50], axis=0)
    answer = run(make("raw", smoothing_s=0.05), rewards)[1:, 0]
    np.testing.assert_allclose(answer, -np.expm1(-np.arange(1, 51) * DT_S / 0.05), rtol=1e-12)


def test_tau_is_50_s_where_none_is_given():
    rewards = some_rewards()
    assert run(make(batch_size=3), rewards).tobytes() == run(make(tau_s=50.0, batch_size=3), rewards).tobytes()


def test_the_first_reward_is_an_average_one():
    for reward in (0.3, -7.0):
        assert make("difference").filter([reward]).tolist() == [0.0]
        assert make("zscore").filter([reward]).tolist() == [0.0]
    assert make("ratio").filter([0.3]).tolist() == [1.0]


def test_the_second_reward_is_compared_with_the_plain_mean():
    """Not with a mean that begins at zero and takes tau_s to rise, nor with one that hardly leaves the first reward."""
    reward_filter = make()
    reward_filter.filter([1.0])
    assert reward_filter.filter([2.0])[0] == pytest.approx(0.5, abs=2e-4)


def test_a_constant_reward_teaches_nothing():
    rewards = np.full((200, 1), 0.1)
    assert not run(make("difference"), rewards).any()
    assert not run(make("zscore"), rewards).any()


def test_the_zscore_of_a_first_success_grows_with_the_failures_before_it():
    """It is sqrt(W - 1), where W is the sum of all weights."""
    for failures in (1, 50, 5000):
        rewards = np.repeat([[0.0], [1.0]], [failures, 1], axis=0)
        weights = np.exp(-DT_S / 50 * np.arange(failures + 1)).sum()
        assert run(make("zscore"), rewards)[-1, 0] == pytest.approx(math.sqrt(weights - 1), rel=1e-9)


def test_floors_bound_the_divisor():
    silence = np.zeros((1000, 1))
    for options, expected in (({}, 0.5 / 0.02), ({"floor": 0.1}, 0.5 / 0.1)):
        reward_filter = make("ratio", **options)
        run(reward_filter, silence)
        assert reward_filter.filter([0.5])[0] == pytest.approx(expected, rel=1e-12)
    reward_filter = make("zscore", floor=10.0)
    run(reward_filter, silence)
    assert reward_filter.filter([0.5])[0] == pytest.approx(0.05, rel=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_of_a_row_do_not_depend_on_the_rows_beside_it(kind):
    rewards = some_rewards(100, 5)
    together = run(make(kind, smoothing_s=0.1, batch_size=5), rewards)
    for b in range(5):
        assert together[:, b].tobytes() == run(make(kind, smoothing_s=0.1), rewards[:, b : b + 1]).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_filter_goes_on_bit_for_bit(kind):
    rewards = some_rewards(60)
    first, second = (make(kind, smoothing_s=0.1, batch_size=3) for _ in range(2))
    run(first, rewards[:30])
    state = first.state_dict()
    rest = run(first, rewards[30:])
    second.load_state_dict(state)
    for array in state.values():
        array[:] = 9
    assert run(second, rewards[30:]).tobytes() == rest.tobytes()


def test_what_is_returned_is_not_the_memory():
    first, second = make("raw", smoothing_s=1.0), make("raw", smoothing_s=1.0)
    rewards = np.array([1.0])
    returned = first.filter(rewards)
    second.filter([1.0])
    returned[:], rewards[:] = 9, 9
    assert first.filter([0.0]).tobytes() == second.filter([0.0]).tobytes()


def test_rows_are_taken_over_from_members():
    rewards = some_rewards(60)
    old, new = make(batch_size=3), make(batch_size=4)
    run(old, rewards[:30])
    new.adopt(old.state_dict(), np.array([2, 0, 0, 1]))
    np.testing.assert_array_equal(run(new, rewards[30:, [2, 0, 0, 1]]), run(old, rewards[30:])[:, [2, 0, 0, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(3)}, r"mean in the state of a reward filter is float64 \(3,\)"),
        ({"mean": np.array([0, np.nan])}, "mean in the state of a reward filter has an impossible value"),
        ({"weight": np.array([1.0, -1.0])}, "weight in the state of a reward filter has an impossible value"),
        ({"square": np.array([1.0, -1.0])}, "square in the state of a reward filter has an impossible value"),
        ({"smoothed": None}, "state of a reward filter has no array 'smoothed'"),
    ],
)
def test_damaged_states_are_refused_and_change_nothing(change, message):
    reward_filter = make(batch_size=2)
    run(reward_filter, some_rewards(10, 2))
    before = reward_filter.state_dict()
    with pytest.raises(NeuroctlError, match=message):
        reward_filter.load_state_dict(before | change)
    with pytest.raises(NeuroctlError):
        reward_filter.adopt(before | change, [0, 1])
    assert all((reward_filter.state_dict()[name] == before[name]).all() for name in before)


@pytest.mark.parametrize(
    ("reward", "error", "message"),
    [
        ([1.0], NeuroctlError, r"reward must be numbers of shape \(2,\)"),
        (["a", "b"], NeuroctlError, r"reward must be numbers of shape \(2,\)"),
        ([1.0, np.nan], NonFiniteError, "reward has a value that is not finite: nan"),
        ([1.0, -1e101], NeuroctlError, r"rewards must be from -1e\+100 to 1e\+100, got 1e\+101"),
    ],
)
def test_rewards_that_cannot_be_are_refused_and_change_nothing(reward, error, message):
    reward_filter = make(batch_size=2)
    reward_filter.filter([1.0, 2.0])
    before = reward_filter.state_dict()
    with pytest.raises(error, match=message):
        reward_filter.filter(reward)
    assert all((reward_filter.state_dict()[name] == before[name]).all() for name in before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "raw", "tau_s": 50.0}, "tau_s 50.0 has no effect on raw rewards"),
        ({"kind": "raw", "floor": 0.1}, "floor 0.1 has no effect on reward filter 'raw'; it is for ratio and zscore"),
        ({"kind": "difference", "floor": 0.1}, "floor 0.1 has no effect on reward filter 'difference'"),
        ({"kind": "ratio", "floor": 0}, "floor must be a number > 0, got 0"),
        ({"tau_s": 0.01}, "tau_s must be a number >= 0.02, got 0.01"),
        ({"smoothing_s": -1}, "smoothing_s must be a number >= 0, got -1"),
        ({"control_dt_s": 0}, "control_dt_s must be a number > 0, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
    ],
)
def test_filters_that_cannot_be_are_refused(options, message):
    with pytest.raises(NeuroctlError, match=message):
        make(**options)


def test_an_unknown_kind_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown reward filter 'diff'; .*known: difference, ratio, raw, zscore"):
        make("diff")


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_late_reward_is_that_of_so_many_steps_before(steps: int) -> None:
    rewards, late = some_rewards(30), np.zeros((steps, 3))
    shown = [delayed(reward, late, n) for n, reward in enumerate(rewards)]
    assert np.array_equal(shown, [*np.zeros((steps, 3)), *rewards[: 30 - steps]])
    again = [delayed(reward, late, 30 + n) for n, reward in enumerate(rewards)]
    assert np.array_equal(again, [*rewards[30 - steps :], *rewards[: 30 - steps]])
