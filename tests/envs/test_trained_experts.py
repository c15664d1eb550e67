"""Trained experts: the network equals PyTorch's, rows are alone, options that change the observation are refused."""

import numpy as np
import pytest
import torch

import neuroctl
from neuroctl.envs.trained_experts import TrainedExpert, expert_of, made_by, trained
from neuroctl.errors import NeuroctlError
from neuroctl.vector import expert_action, make_env

TASKS = ["HalfCheetah-v5", "Walker2d-v5"]
WORST = {"HalfCheetah-v5": 300.0, "Walker2d-v5": 300.0}
"""Return of 200 steps, far above chance."""


def layers(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    weights = [rng.normal(size=(out, into)).astype(np.float32) for into, out in pairs]
    return weights, [rng.normal(size=out).astype(np.float32) for _, out in pairs]


def expert(weights, biases, size=5, actions=2):
    mean, std = np.arange(size, dtype=np.float64), np.linspace(0.5, 2, size)
    low, high = np.full(actions, -2.0, np.float32), np.full(actions, 1.0, np.float32)
    return TrainedExpert(mean, std, weights, biases, low, high)


def test_the_network_is_that_of_torch():
    weights, biases = layers(5, 7, 6, 2)
    made = expert(weights, [0.1 * bias for bias in biases])
    obs = np.random.default_rng(1).normal(size=(40, 5)) * 3
    obs[0] = 1e4  # cut at 10 standard deviations
    x = torch.tensor((obs - made.mean) / made.std).clamp(-10, 10)
    for n, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = x @ torch.tensor(weight).double().T + 0.1 * torch.tensor(bias).double()
        x = torch.tanh(x) if n < 2 else x
    expected = -2 + 3 * (x.clamp(-1, 1) + 1) / 2
    found = made.act(obs)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found.dtype == np.float32 and found.min() >= -2 and found.max() <= 1 and len(np.unique(found)) > 10


def test_a_row_does_not_depend_on_its_neighbours():
    made = expert(*layers(5, 64, 64, 2))
    obs = np.random.default_rng(1).normal(size=(33, 5))
    assert np.array_equal(made.act(obs), np.concatenate([made.act(obs[n : n + 1]) for n in range(33)]))


@pytest.mark.parametrize("task", TASKS)
def test_the_expert_that_is_shipped_runs(task):
    assert task in trained()
    for kwargs in ({"max_steps": 200}, {"max_steps": 200, "observe_velocity": False}):
        found = neuroctl.evaluate("expert", env_id=f"neuroctl/{task}", env_kwargs=kwargs, episodes=4)
        assert found.returns.min() > WORST[task]
    about = made_by(task)
    assert int(about["steps"]) > 0 and set(about) == {"preset", "seed", "steps"}


def test_other_tasks_and_observations_are_refused():
    with pytest.raises(NeuroctlError, match=r"Ant-v5 has no expert; of these tasks HalfCheetah-v5, Walker2d-v5 have"):
        expert_of("Ant-v5")
    env = make_env("neuroctl/HalfCheetah-v5", 1, {"exclude_current_positions_from_observation": False})
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="observations of 17 numbers, the task's options give 18"):
        expert_action(env)
