"""Dynamics against what is known analytically: linear networks, maps with known exponents, finite differences."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells import GRU, LSTM, RNN, CfC
from neuroctl.agents.encoders import Unencoded
from neuroctl.agents.heads import make_head
from neuroctl.agents.policies import CellPolicy
from neuroctl.analysis import (
    components_along,
    effective_rank,
    eigenvalues,
    gradient_by_lag,
    jacobians,
    lyapunov_exponents,
    participation_ratio,
    spectral_norm,
    spectral_radius,
    states_along,
    weight_change,
)
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.policy import Policy, State, reset_state

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 4)) / 2


class Linear(Policy):
    """state' = W state + obs."""

    def __init__(self, weight: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))

    def initial_state(self, batch_size: int) -> State:
        return torch.zeros(batch_size, len(self.weight), dtype=self.weight.dtype)

    def step(self, obs: Tensor, state: State, first: Tensor) -> tuple[Tensor, State]:
        state = reset_state(state, self.initial_state(len(obs)), first) @ self.weight.T + obs
        return state, state


class Logistic(Linear):
    """x' = 4 x (1 - x), which is chaotic with the exponent ln 2."""

    def step(self, obs: Tensor, state: State, first: Tensor) -> tuple[Tensor, State]:
        state = torch.where(first[:, None], obs, state)
        return state, 4 * state * (1 - state)


def cell_policy(make: Any) -> CellPolicy:
    torch.manual_seed(0)
    return CellPolicy(Unencoded(3), make(3, 5), make_head(gym.spaces.Box(-1, 1, (2,)))).double()


def test_spectra_of_matrices() -> None:
    rotation = 0.9 * np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    blocks = np.block([[rotation, np.zeros((2, 1))], [np.zeros((1, 2)), np.array([[-2.0]])]])
    np.testing.assert_allclose(eigenvalues(blocks)[0], -2)
    np.testing.assert_allclose(np.abs(eigenvalues(blocks)), [2, 0.9, 0.9])
    assert spectral_radius(blocks) == pytest.approx(2) and spectral_norm([[3.0, 4.0]]) == pytest.approx(5)
    shear = np.array([[0.0, 5.0], [0.0, 0.0]])
    assert spectral_norm(shear) == pytest.approx(5) and spectral_radius(shear) == 0
    assert effective_rank(np.eye(6)) == pytest.approx(6) and effective_rank(np.ones((5, 7))) == pytest.approx(1)
    assert weight_change([[3.0, 0.0]], [[3.0, 1.5]]) == pytest.approx(0.5)


def test_a_linear_network_has_its_weights_as_jacobian() -> None:
    obs = RNG.standard_normal((7, 3, 4))
    first = np.zeros((7, 3), np.bool_)
    first[0], first[4, 1] = True, True
    jacobian = jacobians(Linear(WEIGHT), obs, first)
    for t in range(7):
        for b in range(3):
            np.testing.assert_allclose(jacobian[t, b], 0 if first[t, b] else WEIGHT, atol=1e-15)
    states = states_along(Linear(WEIGHT), obs, first)
    np.testing.assert_allclose(states[4, 1], obs[4, 1])
    np.testing.assert_allclose(states[3], states[2] @ WEIGHT.T + obs[3])


@pytest.mark.parametrize("make", [CfC, GRU, LSTM, RNN])
def test_jacobians_of_cells_are_finite_differences(make: Any) -> None:
    policy, obs = cell_policy(make), RNG.standard_normal((4, 2, 3))
    jacobian, states = jacobians(policy, obs), states_along(policy, obs)
    assert states.shape[2] == jacobian.shape[2] == jacobian.shape[3] in (5, 10)
    first = torch.zeros(2, dtype=torch.bool)
    parts = policy.initial_state(2)
    sizes = [5] if isinstance(parts, Tensor) else [part.shape[1] for part in parts]

    def after(state: Any, t: int) -> Any:
        pieces = torch.tensor(state).split(sizes, dim=1)
        with torch.no_grad():
            _, new = policy.step(torch.tensor(obs[t]), pieces[0] if len(pieces) == 1 else tuple(pieces), first)
        return (new if isinstance(new, Tensor) else torch.cat(new, dim=1)).numpy()

    for t in range(1, 4):
        for k in range(states.shape[2]):
            step = np.zeros(states.shape[2])
            step[k] = 1e-6
            slope = (after(states[t - 1] + step, t) - after(states[t - 1] - step, t)) / 2e-6
            np.testing.assert_allclose(jacobian[t, :, :, k], slope, atol=1e-8)


def test_lyapunov_exponents_of_a_linear_network_are_logarithms_of_its_eigenvalues() -> None:
    obs = RNG.standard_normal((4000, 1, 4))
    jacobian = jacobians(Linear(WEIGHT), obs)[1:]
    expected = np.log(np.abs(np.linalg.eigvals(WEIGHT)))
    found = lyapunov_exponents(jacobian, control_dt_s=0.02, burn_in=100)[0]
    np.testing.assert_allclose(found * 0.02, -np.sort(-expected), atol=2e-3)


def test_the_logistic_map_doubles_small_differences() -> None:
    start = np.zeros((5000, 2, 1))
    start[0] = [[0.3], [0.123]]
    jacobian = jacobians(Logistic(np.eye(1)), start)[1:]
    np.testing.assert_allclose(lyapunov_exponents(jacobian)[:, 0], np.log(2), atol=0.01)


def test_a_reset_loses_every_direction() -> None:
    jacobian = jacobians(Linear(WEIGHT), np.zeros((3, 1, 4)))
    assert (lyapunov_exponents(jacobian) == -np.inf).all()


def test_gradients_by_lag() -> None:
    jacobian = jacobians(Linear(WEIGHT), np.zeros((9, 2, 4)))[1:]
    norms = gradient_by_lag(jacobian, [0, 1, 3, 8])
    for row, lag in zip(norms, [0, 1, 3, 8], strict=True):
        np.testing.assert_allclose(row, np.linalg.norm(np.linalg.matrix_power(WEIGHT, lag)) / 2)
    changing = RNG.standard_normal((3, 1, 2, 2))
    expected = [np.linalg.norm(changing[t + 1, 0] @ changing[t, 0]) / np.sqrt(2) for t in range(2)]
    np.testing.assert_allclose(gradient_by_lag(changing, [2]), [[np.mean(expected)]])


def test_participation_ratio_counts_dimensions() -> None:
    corners = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)])
    assert participation_ratio(corners + 5) == pytest.approx(2)
    assert participation_ratio(corners * [1, 0, 0]) == pytest.approx(1)
    assert participation_ratio((corners * [2, 1, 0])[None]) == pytest.approx(25 / 17)
    assert participation_ratio(np.ones((4, 3))) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: eigenvalues(np.ones((2, 3))), r"must have shape \[N, N\], got \(2, 3\)"),
        (lambda: spectral_norm(np.ones(3)), r"must have shape \[M, N\], got \(3,\)"),
        (lambda: spectral_norm([[np.nan]]), "must be finite"),
        (lambda: weight_change(np.ones((2, 2)), np.ones((2, 3))), "cannot be compared"),
        (lambda: jacobians(Linear(WEIGHT), np.zeros((0, 1, 4))), "with T and B from 1 on"),
        (
            lambda: jacobians(Linear(WEIGHT), np.zeros((2, 1, 4)), np.zeros((2, 2), bool)),
            r"first must be bool \(2, 1\)",
        ),
        (lambda: lyapunov_exponents(np.zeros((2, 1, 3, 4))), r"shape \[T, B, S, S\]"),
        (lambda: lyapunov_exponents(np.ones((2, 1, 1, 1)), control_dt_s=0), "control_dt_s must be > 0, got 0"),
        (lambda: lyapunov_exponents(np.ones((2, 1, 1, 1)), burn_in=2), "burn_in must be an integer from 0 to 1, got 2"),
        (lambda: lyapunov_exponents(np.full((2, 1, 1, 1), np.inf)), "Jacobians must be finite"),
        (lambda: gradient_by_lag(np.ones((2, 1, 1, 1)), [3]), "lag must be an integer from 0 to 2, got 3"),
        (lambda: participation_ratio(np.ones(3)), "at least two of them"),
        (lambda: participation_ratio([[np.nan], [1.0]]), "states must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    with pytest.raises((NeuroctlError, NonFiniteError), match=message):
        call()


@pytest.mark.parametrize("make", [CfC, RNN, LSTM, GRU])
def test_the_parts_of_what_drives_units_are_the_maps_of_inputs_and_of_the_last_units(make: Any) -> None:
    policy = cell_policy(lambda d, h: make(d, h, backbone_units=0) if make is CfC else make(d, h))
    obs = RNG.standard_normal((6, 2, 3))
    first = np.zeros((6, 2), np.bool_)
    first[0], first[3, 1] = True, True
    outside, own = components_along(policy, obs, first)
    weights = {name: value.detach().numpy() for name, value in policy.cell.local_form().weights.items()}
    assert np.allclose(outside, obs @ weights["input"].T + weights["bias"], rtol=1e-12, atol=0)
    units = states_along(policy, obs, first)[..., :5]
    before = np.concatenate((np.zeros((1, 2, 5)), units[:-1])) * ~first[..., None]
    expected = before @ weights["recurrent"].T + weights.get("recurrent_bias", 0.0)
    assert np.allclose(own, expected, rtol=1e-12, atol=1e-15)


def test_of_a_plain_network_the_next_units_are_tanh_of_both_parts_together() -> None:
    policy = cell_policy(RNN)
    obs = RNG.standard_normal((6, 2, 3))
    outside, own = components_along(policy, obs)
    assert np.allclose(np.tanh(outside + own), states_along(policy, obs), rtol=1e-12, atol=0)


def test_a_policy_whose_parts_do_not_come_apart_says_so() -> None:
    with pytest.raises(NeuroctlError, match="the Linear does not tell what comes from outside from what recurs"):
        components_along(Linear(WEIGHT), np.zeros((2, 1, 4)))
