"""Training speed of recurrent PPO against RecurrentPPO of Stable-Baselines3's contrib package, on Reacher-v5.

The same network (one LSTM of 256 units for actor and critic, linear heads), the same 8 environments in one process,
rollouts of 128 steps, 10 epochs of 8 minibatches of 128 steps, Adam. They alternate; the ratio is the median.

    python benchmarks/recurrent_ppo.py
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.env_util import make_vec_env

from neuroctl.agents.actor_critic import ActorCriticAgent
from neuroctl.agents.actor_critic_config import ActorCriticConfig
from neuroctl.loop import ClosedLoop
from neuroctl.vector import make_env, spaces_of

ROWS, ROLLOUT, UNITS, EPOCHS = 8, 128, 256, 10
TARGET = 8


def ours(gradient: str, minibatches: int) -> Callable[[int], None]:
    """Trains for some rollouts."""
    env = make_env("neuroctl/Reacher-v5", ROWS, {})
    config = ActorCriticConfig(
        cell="lstm",
        gradient=gradient,  # type: ignore[arg-type]
        objective="ppo",
        features=0,
        hidden_size=UNITS,
        rollout_length=ROLLOUT,
        epochs=EPOCHS,
        minibatches=minibatches,
        learning_rate=3e-4,
        entropy_cost=0.0,
        gradient_clip=0.5,
    )
    agent = ActorCriticAgent(config, spaces_of(env), seed=0)
    agent.learning = True
    loop = ClosedLoop(env, agent)
    loop.begin(0)

    def train(rollouts: int) -> None:
        for _ in range(rollouts * ROLLOUT):
            loop.step()
            agent.update()

    return train


def theirs(minibatches: int) -> Callable[[int], None]:
    """Trains for some rollouts."""
    network = {"lstm_hidden_size": UNITS, "shared_lstm": True, "enable_critic_lstm": False, "net_arch": []}
    model = RecurrentPPO(
        "MlpLstmPolicy",
        make_vec_env("Reacher-v5", ROWS),
        n_steps=ROLLOUT,
        batch_size=ROLLOUT * ROWS // minibatches,
        n_epochs=EPOCHS,
        policy_kwargs=network,
        device="cpu",
        seed=0,
    )

    def train(rollouts: int) -> None:
        model.learn(rollouts * ROLLOUT * ROWS, reset_num_timesteps=False)

    return train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="alternations; the median is shown")
    parser.add_argument("--threads", type=int, default=1, help="of matrix products")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"Reacher-v5, {ROWS} environments, rollouts of {ROLLOUT} steps, {UNITS} units, {options.threads} thread(s)\n")
    print("| minibatches of an epoch | neuroctl, steps/s | sb3-contrib, steps/s | ratio |\n|---|---|---|---|")
    for minibatches in (ROWS, 1):
        peers = ours("bptt", minibatches), theirs(minibatches)
        rates = [[_rate(train) for train in peers] for _ in range(options.repeats + 1)][1:]
        cells = [f"{statistics.median(found):.0f}" for found in zip(*rates, strict=True)]
        print(f"| {minibatches} | {' | '.join(cells)} | {statistics.median(a / b for a, b in rates):.1f} |")
    print(f"\ntarget {TARGET}")


def _rate(train: Callable[[int], None]) -> float:
    start = time.perf_counter()
    train(1)
    return ROWS * ROLLOUT / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
