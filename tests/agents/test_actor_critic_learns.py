"""Learning that only credit beyond the rollout makes possible, with fixed seeds."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl.agents.actor_critic import ActorCriticAgent
from neuroctl.agents.actor_critic_config import ActorCriticConfig
from neuroctl.contracts import Spaces

ROWS, LAST = 16, 100
CHANCE = 0.5


def rate_of_right_answers(steps: int, **options: Any) -> float:
    """Of the last steps, in a stream of bits where the right action is the bit that was shown two steps ago."""
    config = ActorCriticConfig(
        **{"features": 0, "cell": "gru", "hidden_size": 8, "learning_rate": 1e-2, "discount": 0.0, **options}
    )
    agent = ActorCriticAgent(config, Spaces(gym.spaces.Box(0, 1, (1,), np.float32), gym.spaces.Discrete(2)), seed=0)
    agent.learning = True
    agent.begin(ROWS, 0)
    bits = np.random.default_rng(0).integers(2, size=(steps + 3, ROWS))
    never, right = np.zeros(ROWS, np.bool_), []
    for t in range(2, steps + 2):
        action = agent.act(bits[t, :, None].astype(np.float32), never | (t == 2))
        right.append(action == bits[t - 2])
        following = bits[t + 1, :, None].astype(np.float32)
        agent.observe(following, right[-1].astype(np.float64), never, never, {"final_obs": following})
        agent.update()
    return float(np.mean(right[-LAST:]))


@pytest.mark.parametrize("options", [{}, {"objective": "ppo", "epochs": 1, "minibatches": 1}, {"cell": "cfc"}])
def test_exact_gradients_learn_what_rollouts_of_one_step_cannot_show(options: dict[str, Any]) -> None:
    assert rate_of_right_answers(600, rollout_length=1, **options) > 0.9


@pytest.mark.parametrize(
    "options", [{"gradient": "bptt"}, {"gradient": "immediate"}, {"cell": "mlp", "gradient": "bptt"}]
)
def test_without_credit_beyond_the_step_it_stays_near_chance(options: dict[str, Any]) -> None:
    """A cell that begins with a longer memory would learn this too, from what it happens to remember."""
    assert rate_of_right_answers(600, rollout_length=1, **options) < CHANCE + 0.1


def test_truncated_gradients_learn_it_in_rollouts_that_are_longer_than_the_memory() -> None:
    assert rate_of_right_answers(2000, gradient="bptt", rollout_length=8) > 0.9
