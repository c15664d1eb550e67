"""Fixed points against those known analytically."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells import LSTM, CfC, FeedForward
from neuroctl.agents.encoders import Unencoded
from neuroctl.agents.heads import make_head
from neuroctl.agents.policies import CellPolicy
from neuroctl.errors import NeuroctlError
from neuroctl.fixed_points import fixed_points
from neuroctl.policy import State

from .test_analysis import Linear, Logistic

RNG = np.random.default_rng(0)


class Pitchfork(Linear):
    """x' = tanh(2 x), entry by entry: 0 is unstable, +-x* with x* = tanh(2 x*) are stable."""

    def step(self, obs: Tensor, state: State, first: Tensor) -> tuple[Tensor, State]:
        state = torch.tanh(2 * state)
        return state, state


def test_a_linear_system_has_one_and_its_eigenvalues_are_those_of_the_weights() -> None:
    weight = RNG.standard_normal((4, 4)) / 3
    obs = RNG.standard_normal(4)
    found = fixed_points(Linear(weight), obs, RNG.standard_normal((7, 4)))
    np.testing.assert_allclose(found.states, np.linalg.solve(np.eye(4) - weight, obs)[None], atol=1e-7)
    assert found.starts.tolist() == [7]
    expected = np.linalg.eigvals(weight)
    np.testing.assert_allclose(np.sort_complex(found.eigenvalues[0]), np.sort_complex(expected), atol=1e-9)
    assert found.stable.tolist() == [bool(np.abs(expected).max() < 1)]


def test_the_logistic_map_has_two_that_are_unstable() -> None:
    found = fixed_points(Logistic(np.eye(1)), np.zeros(1), [[-0.1], [0.1], [0.7], [0.8], [0.9]])
    points = sorted(
        (round(float(x[0]), 6), float(e[0].real)) for x, e in zip(found.states, found.eigenvalues, strict=True)
    )
    np.testing.assert_allclose(points, [(0.0, 4.0), (0.75, -2.0)], atol=1e-6)
    assert not found.stable.any() and found.starts.sum() == 5


def test_stable_and_unstable_points_are_told_apart() -> None:
    starts = [[x, y] for x in (-1.0, 0.01, 1.0) for y in (-1.0, 0.01, 1.0)]
    found = fixed_points(Pitchfork(np.eye(2)), np.zeros(2), starts)
    rest = 0.957504
    np.testing.assert_allclose(np.abs(found.states[np.abs(found.states) > 0.1]), rest, atol=1e-5)
    assert len(found.states) == 9 and found.stable.sum() == 4
    np.testing.assert_allclose(np.abs(found.eigenvalues[found.stable]), 2 * (1 - rest**2), atol=1e-4)


@pytest.mark.parametrize("make", [CfC, LSTM])
def test_a_step_leaves_them_where_they_are(make: Any) -> None:
    torch.manual_seed(0)
    policy = CellPolicy(Unencoded(3), make(3, 5), make_head(gym.spaces.Box(-1, 1, (2,))))
    pair = isinstance(policy.initial_state(1), tuple)
    obs = np.array([0.3, -0.2, 0.5], np.float32)
    found = fixed_points(policy, obs, RNG.uniform(-1, 1, (6, 10 if pair else 5)))
    assert len(found.states) >= 1
    point = torch.tensor(found.states)
    state: Any = tuple(torch.split(point, 5, dim=1)) if pair else point
    whole, seen = policy.double(), torch.tensor(obs).double().expand(len(point), 3)
    with torch.no_grad():
        _, state = whole.step(seen, state, torch.zeros(len(point), dtype=torch.bool))
    assert torch.allclose(torch.cat(state, dim=1) if pair else state, point, atol=1e-8)


def test_mistakes_are_said() -> None:
    with pytest.raises(NeuroctlError, match=r"starts must be \[K, 4\], got \[2, 3\]"):
        fixed_points(Linear(np.eye(4)), np.zeros(4), np.zeros((2, 3)))
    policy = CellPolicy(Unencoded(3), FeedForward(3, 5), make_head(gym.spaces.Box(-1, 1, (2,))))
    with pytest.raises(NeuroctlError, match="the policy has no state"):
        fixed_points(policy, np.zeros(3), np.zeros((2, 0)))


def test_where_there_is_none_none_is_found() -> None:
    found = fixed_points(Linear(np.eye(2)), np.ones(2), RNG.standard_normal((3, 2)))  # x' = x + 1
    assert found.states.shape == (0, 2) and found.eigenvalues.shape == (0, 2) and found.stable.shape == (0,)
