import cmath
import math
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.decoders import LeftRightRatio, LinearReadout, LowPass, PopulationVector
from neuroctl.errors import NeuroctlError, NonFiniteError

NOTHING: Any = None


def some_spikes(steps=60, batch_size=3, size=5, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (steps, batch_size, size)).astype(np.uint8)


def test_one_spike_decays_exponentially():
    low_pass = LowPass(1, 100.0, dt_ms=2.0)
    spikes = np.zeros((50, 1, 1), np.uint8)
    spikes[0] = 1
    seen = [low_pass.advance(spikes[k : k + 1])[0, 0] for k in range(50)]
    np.testing.assert_allclose(seen, 10 * np.exp(-2 * np.arange(50) / 100), rtol=1e-13)


def test_a_regular_neuron_has_its_rate():
    """One spike in every 20 steps: 50 Hz, times (dt / tau) / (1 - exp(-dt / tau)) for the steps."""
    spikes = np.zeros((20, 1, 1), np.uint8)
    spikes[0] = 1
    low_pass = LowPass(1, 100.0)
    seen = np.array([low_pass.advance(spikes[k : k + 1])[0, 0] for _ in range(200) for k in range(20)])
    assert seen[-20:].mean() == pytest.approx(50 * 0.01 / -math.expm1(-0.01), rel=1e-12)


def test_equals_the_sum_over_all_spikes():
    spikes = some_spikes()
    rates = LowPass(5, 30.0, batch_size=3, dt_ms=0.5).advance(spikes)
    ages_ms = 0.5 * np.arange(60)[::-1]
    expected = (1000 / 30 * np.exp(-ages_ms / 30)[:, None, None] * spikes).sum(axis=0)
    np.testing.assert_allclose(rates, expected, rtol=1e-13)


def test_bits_depend_neither_on_calls_nor_on_agents():
    spikes = some_spikes()
    whole, parts = LowPass(5, 30.0, batch_size=3), LowPass(5, 30.0, batch_size=3)
    rates = whole.advance(spikes)
    for lo, hi in ((0, 1), (1, 20), (20, 20), (20, 60)):
        last = parts.advance(spikes[lo:hi])
    assert last.tobytes() == rates.tobytes() == parts.rates_hz.tobytes()
    for b in range(3):
        assert LowPass(5, 30.0).advance(spikes[:, b : b + 1]).tobytes() == rates[b].tobytes()


def test_a_restored_low_pass_goes_on_and_members_are_taken_over():
    spikes = some_spikes()
    first, second, third = (LowPass(5, 30.0, batch_size=n) for n in (3, 3, 2))
    first.advance(spikes[:30])
    state = first.state_dict()
    before = state["activity"].copy()
    second.load_state_dict(state)
    third.adopt(state, np.array([2, 2]))
    rates = first.advance(spikes[30:])
    assert second.advance(spikes[30:]).tobytes() == rates.tobytes()
    assert third.advance(spikes[30:, [2, 2]]).tobytes() == rates[[2, 2]].tobytes()
    np.testing.assert_array_equal(state["activity"], before)


def test_what_is_returned_is_not_the_memory():
    low_pass = LowPass(5, 30.0, batch_size=3)
    rates, state = low_pass.advance(some_spikes()), low_pass.state_dict()
    before = rates.copy()
    rates[:], low_pass.rates_hz[:], state["activity"][:] = 0, 0, 0
    np.testing.assert_array_equal(low_pass.rates_hz, before)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state of a low-pass has no array 'activity'"),
        ({"activity": np.zeros((3, 4))}, r"activity in the state of a low-pass is float64 \(3, 4\); needed"),
        ({"activity": np.full((3, 5), np.nan)}, "activity in the state of a low-pass must be finite and >= 0"),
        ({"activity": np.full((3, 5), -1.0)}, "activity in the state of a low-pass must be finite and >= 0"),
    ],
)
def test_damaged_states_are_refused_and_change_nothing(state, message):
    low_pass = LowPass(5, 30.0, batch_size=3)
    before = low_pass.advance(some_spikes())
    with pytest.raises(NeuroctlError, match=message):
        low_pass.load_state_dict(state)
    with pytest.raises(NeuroctlError, match=message):
        low_pass.adopt(state, [0, 1, 2])
    np.testing.assert_array_equal(low_pass.rates_hz, before)


def test_each_neuron_pulls_in_its_direction():
    decoder = PopulationVector(8, gain=0.05, limit=4.0)
    pulls = decoder.decode(20 * np.eye(8))
    for k in range(8):
        assert complex(*pulls[k]) == pytest.approx(cmath.rect(1.0, 2 * math.pi * k / 8), abs=1e-15)
    assert decoder.decode(np.full((1, 8), 33.0)) == pytest.approx(np.zeros((1, 2)), abs=1e-13)


@pytest.mark.parametrize("size", [3, 8, 13])
def test_population_vector_is_the_complex_sum_cut_to_the_limit(size):
    rates = np.random.default_rng(1).random((200, size)) * 60
    commands = PopulationVector(size, gain=0.05, limit=2.0).decode(rates)
    cut = 0
    for row, command in zip(rates, commands, strict=True):
        v = 0.05 * sum(a * cmath.exp(2j * math.pi * k / size) for k, a in enumerate(row))
        cut += abs(v) > 2
        assert complex(*command) == pytest.approx(v if abs(v) <= 2 else 2 * v / abs(v), rel=1e-12, abs=1e-13)
    assert 10 < cut < 190


def test_no_component_leaves_the_limit():
    """Nor does it after rounding to the precision of actions."""
    limit = 0.3
    commands = PopulationVector(4, gain=1.0, limit=limit).decode(np.random.default_rng(2).random((500, 4)) * 1e4)
    assert np.abs(commands).max() <= limit
    assert np.abs(commands.astype(np.float32)).max() <= np.float32(limit)
    along = np.random.default_rng(3).random((500, 1)) * 1e4 * np.array([[1.0, 0, 0, 0]]) + np.array([[1.0, 0, 0, 0]])
    commands = PopulationVector(4, gain=1.0, limit=limit).decode(along)
    assert commands == pytest.approx(np.tile([limit, 0], (500, 1)), rel=1e-15)
    assert commands.max() == limit


def balance(x, size=8, scale=20.0):
    """Rates of left and right neurons whose balance times the scale is x."""
    left = (1 + x / scale) / 2
    return np.repeat([left, 1 - left], size // 2)[None] * 64


def test_the_balance_of_both_sides_selects_the_command():
    decoder = LeftRightRatio(8, 20.0)
    cases = {-20: 0, -10.5: 0, -9.5: 1, -3: 1, -2: 2, 0: 2, 2: 2, 3: 3, 9.5: 3, 10.5: 4, 20: 4}
    commands = decoder.decode(np.concatenate([balance(x) for x in cases]))
    assert commands.tolist() == list(cases.values())
    assert commands.dtype == np.int64


def test_a_balance_on_a_boundary_takes_the_command_below():
    decoder = LeftRightRatio(2, 32.0, boundaries=(-8.0, 8.0))
    assert decoder.decode(np.concatenate([balance(x, 2, 32.0) for x in (-8, 8)])).tolist() == [0, 1]


def test_silence_is_straight_ahead():
    assert LeftRightRatio(8, 20.0).decode(np.zeros((2, 8))).tolist() == [2, 2]
    assert LeftRightRatio(8, 20.0, boundaries=None).decode(np.zeros((1, 8))).tolist() == [[0.0]]


def test_a_continuous_command_is_the_scaled_ratio_of_sums():
    rates = np.random.default_rng(3).random((50, 6))
    left, right = rates[:, :3].sum(axis=1), rates[:, 3:].sum(axis=1)
    x = LeftRightRatio(6, 0.5, boundaries=None).decode(rates)
    np.testing.assert_allclose(x, (0.5 * (left - right) / (left + right))[:, None], rtol=1e-12)
    assert LeftRightRatio(2, 0.5, boundaries=None).decode([[9.0, 0.0], [0.0, 0.1]]).tolist() == [[0.5], [-0.5]]


def test_a_linear_readout_is_the_matrix_product():
    rng = np.random.default_rng(4)
    matrix, rates = rng.normal(size=(3, 7)).astype(np.float32), rng.random((5, 7))
    np.testing.assert_allclose(LinearReadout(matrix).decode(rates), rates @ matrix.T.astype(float), rtol=1e-13)


@pytest.mark.parametrize(
    "decoder",
    [
        PopulationVector(6, 0.1, 3.0),
        LeftRightRatio(6, 20.0, boundaries=None),
        LinearReadout(np.random.default_rng(5).normal(size=(4, 6))),
    ],
)
def test_bits_of_a_row_do_not_depend_on_the_rows_beside_it(decoder):
    rates = np.random.default_rng(6).random((9, 6)) * 50
    alone = [decoder.decode(rates[b : b + 1]) for b in range(9)]
    assert decoder.decode(rates).tobytes() == np.concatenate(alone).tobytes()


def test_decoders_do_not_change():
    matrix = np.ones((1, 2))
    readout = LinearReadout(matrix)
    matrix[:] = 5
    assert readout.decode([[1.0, 1.0]]).tolist() == [[2.0]]
    with pytest.raises(ValueError, match="read-only"):
        readout.matrix[0, 0] = 3
    with pytest.raises(FrozenInstanceError):
        PopulationVector(8, 1.0, 1.0).gain = 2.0  # type: ignore[misc]
    assert PopulationVector(8, 1, 2) == PopulationVector(8, 1.0, 2.0) != PopulationVector(8, 1.0, 3.0)


@pytest.mark.parametrize(
    ("rates", "error", "message"),
    [
        (np.ones((2, 5)), NeuroctlError, r"rates_hz must be numbers \[B, 8\], got float64 of \(2, 5\)"),
        (np.ones(8), NeuroctlError, r"rates_hz must be numbers \[B, 8\], got float64 of \(8,\)"),
        (np.full((1, 8), -0.5), NeuroctlError, "rates_hz must be >= 0, got -0.5"),
        (np.full((1, 8), np.inf), NonFiniteError, "rates_hz must be finite, got inf"),
    ],
)
def test_rates_that_cannot_be_are_refused(rates, error, message):
    for decoder in (PopulationVector(8, 1.0, 1.0), LeftRightRatio(8, 20.0), LinearReadout(np.ones((1, 8)))):
        with pytest.raises(error, match=message):
            decoder.decode(rates)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LowPass(0, 100), "num_neurons must be an integer >= 1, got 0"),
        (lambda: LowPass(1, 0), "tau_ms must be a number > 0, got 0"),
        (lambda: LowPass(1, 100, dt_ms=-1), "dt_ms must be a number > 0, got -1"),
        (lambda: LowPass(1, 100, batch_size=0), "batch_size must be an integer >= 1, got 0"),
        (lambda: LowPass(2, 100).advance(np.zeros((3, 1, 4))), r"spikes must be numbers of shape \(3, 1, 2\)"),
        (lambda: LowPass(2, 100).advance([[[0]], [[0, 1]]]), "spikes must be an array of numbers; its rows have diff"),
        (lambda: PopulationVector(3, 1.0, 1.0).decode([[0], [0, 1]]), "rates_hz must be an array of numbers; its rows"),
        (lambda: LowPass(2, 100).load_state_dict(NOTHING), "state of a low-pass must be a mapping, got None"),
        (lambda: LowPass(2, 100).advance(np.full((3, 1, 2), 0.5)), "spikes must be whole numbers from 0 to 255"),
        (lambda: PopulationVector(2, 1.0, 1.0), "num_neurons must be an integer >= 3, got 2"),
        (lambda: PopulationVector(8, 0, 1.0), "gain must be a number > 0, got 0"),
        (lambda: PopulationVector(8, 1.0, math.inf), "limit must be a number > 0, got inf"),
        (lambda: LeftRightRatio(7, 20.0), "num_neurons must be even, half for each side, got 7"),
        (lambda: LeftRightRatio(8, 0), "scale must be a number > 0, got 0"),
        (lambda: LeftRightRatio(8, 20.0, boundaries=(1.0, 1.0)), r"boundaries must increase, got \(1.0, 1.0\)"),
        (lambda: LeftRightRatio(8, 20.0, boundaries=()), r"boundaries must be one or more numbers, or None, got \(\)"),
        (lambda: LeftRightRatio(8, 5.0), "boundaries must lie within -5 and 5, the scale, got"),
        (lambda: LinearReadout(np.ones(3)), "matrix must be finite numbers"),
        (lambda: LinearReadout(np.full((1, 3), np.nan)), "matrix must be finite numbers"),
    ],
)
def test_decoders_that_cannot_be_are_refused(make: Any, message):
    with pytest.raises(NeuroctlError, match=message):
        make()
