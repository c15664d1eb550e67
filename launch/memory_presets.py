"""Experiments with memory tasks and an actor-critic; see `presets`."""

from dataclasses import replace
from typing import Any

from neuroctl.agents.actor_critic_config import ActorCriticConfig
from neuroctl.config import EnvConfig, TrainConfig
from neuroctl.envs.config import (
    ClassicControlConfig,
    GymnasiumTaskConfig,
    NonMatchConfig,
    NParityConfig,
    ProcgenConfig,
    TMazeConfig,
    WaterMazeConfig,
)

ROWS = 64
"""Environments that step together."""
MILLION = 1_000_000


def _experiment(preset: str, env: EnvConfig, agent: ActorCriticConfig, steps: int, rows: int) -> TrainConfig:
    """With fifty lines of metrics and five checkpoints."""
    return TrainConfig(
        env=env,
        agent=agent,
        preset=preset,
        num_envs=rows,
        steps=steps,
        log_every=steps // 50,
        checkpoint_every=steps // 5,
    )


def _memory(preset: str, env: EnvConfig, environment_steps: int, **options: Any) -> TrainConfig:
    """Exact gradients of an element-wise LSTM that sees the observation itself, in rollouts of 5 steps."""
    agent = ActorCriticConfig(
        cell="elstm", gradient="rtrl", features=0, forget_bias=2.0, rollout_length=5, learning_rate=2e-3
    )
    return _experiment(preset, env, replace(agent, **options), environment_steps // ROWS, ROWS)


def rtrl_nonmatch() -> TrainConfig:
    """Delayed non-match to sample, with distractors and random delays of up to 20 steps."""
    return _memory("rtrl-nonmatch", NonMatchConfig(), 2 * MILLION)


def rtrl_tmaze() -> TrainConfig:
    """A T-maze whose cue was shown 50 steps ago."""
    return _memory("rtrl-tmaze", TMazeConfig(), 2 * MILLION)


def rtrl_nparity() -> TrainConfig:
    """Parity of 8 bits that were seen one by one."""
    return _memory("rtrl-nparity", NParityConfig(), 2 * MILLION)


def rtrl_watermaze() -> TrainConfig:
    """Morris water maze from its state: where the platform was found must be remembered for the next trials.

    The pool is small. Reward is rare, so it is normalised and entropy costs little; trials last for some seventy steps,
    so units begin with longer memories than elsewhere.
    """
    env = WaterMazeConfig(discrete_actions=True, last_reward=True, radius_m=0.5)
    options: dict[str, Any] = {"features": 64, "hidden_size": 128, "rollout_length": 10, "learning_rate": 1e-3}
    options |= {"forget_bias": 4.0, "rewards": "normalise", "entropy_cost": 1e-3}
    return _memory("rtrl-watermaze", env, 5 * MILLION, **options)


def rtrl_watermaze_impala() -> TrainConfig:
    """Morris water maze from the retina, with the published values of the IMPALA that learned by exact gradients.

    Network sizes and optimiser are those of Irie et al. (arXiv 2305.19044) and their code: 256 units above an encoder
    of 256 features, rollouts of 50 steps in 32 environments, RMSprop at 6e-4 annealed to 0, summed losses.
    """
    rows, rollout = 32, 50
    steps = 10 * MILLION // rows
    agent = ActorCriticConfig(
        cell="elstm",
        gradient="rtrl",
        features=256,
        hidden_size=256,
        rollout_length=rollout,
        optimiser="rmsprop",
        learning_rate=6e-4,
        anneal_updates=steps // rollout,
        loss="sum",
        gradient_clip=40.0,
        rewards="clip",
    )
    env = WaterMazeConfig(observation="retina", discrete_actions=True)
    return _experiment("rtrl-watermaze-impala", env, agent, steps, rows)


def _ppo(preset: str, env: EnvConfig, environment_steps: int, rows: int, **options: Any) -> TrainConfig:
    agent = ActorCriticConfig(
        objective="ppo", gradient="bptt", cell="mlp", learning_rate=3e-4, entropy_cost=0.0, gradient_clip=0.5
    )
    return _experiment(preset, env, replace(agent, **options), environment_steps // rows, rows)


def ppo_cartpole() -> TrainConfig:
    """CartPole by PPO, without memory; options as in the RL Baselines3 Zoo, but for the ratio's constant clip."""
    options = {"rollout_length": 32, "epochs": 20, "minibatches": 1, "discount": 0.98, "trace": 0.8}
    options |= {"learning_rate": 1e-3, "anneal_updates": 390}
    return _ppo("ppo-cartpole", ClassicControlConfig(id="neuroctl/CartPole-v1"), 100_000, 8, **options)


def ppo_pendulum() -> TrainConfig:
    """Pendulum by PPO, without memory."""
    options = {"rollout_length": 64, "epochs": 10, "minibatches": 64, "discount": 0.9, "learning_rate": 1e-3}
    return _ppo("ppo-pendulum", ClassicControlConfig(id="neuroctl/Pendulum-v1"), 200_000, 64, **options)


def ppo_pendulum_hidden() -> TrainConfig:
    """Pendulum without velocities by PPO on an LSTM."""
    options = {"cell": "lstm", "rollout_length": 200, "epochs": 10, "minibatches": 16, "discount": 0.9, "trace": 0.9}
    options |= {"learning_rate": 1e-3}
    env = ClassicControlConfig(id="neuroctl/Pendulum-v1", observe_velocity=False)
    return _ppo("ppo-pendulum-hidden", env, 500_000, 16, rewards="normalise", **options)


def ppo_reacher() -> TrainConfig:
    """Gymnasium's Reacher by PPO, without memory."""
    options = {"rollout_length": 64, "epochs": 10, "minibatches": 32}
    return _ppo("ppo-reacher", GymnasiumTaskConfig(id="neuroctl/Reacher-v5"), 500_000, 32, **options)


def rtrl_coinrun() -> TrainConfig:
    """CoinRun, 200 easy levels, by PPO on exact gradients."""
    options: dict[str, Any] = {"gradient": "rtrl", "cell": "elstm", "features": 128, "hidden_size": 128}
    options |= {"rollout_length": 64, "epochs": 3, "minibatches": 8, "learning_rate": 5e-4, "entropy_cost": 0.01}
    options |= {"discount": 0.999, "forget_bias": 1.0, "rewards": "normalise"}
    env = ProcgenConfig(id="neuroctl/Procgen-CoinRun-v0", num_levels=200)
    return _ppo("rtrl-coinrun", env, 2 * MILLION, 64, **options)


def ppo_halfcheetah() -> TrainConfig:
    """HalfCheetah by PPO, without memory; its players are the experts of `launch/make_experts.py`."""
    return _walker("ppo-halfcheetah", "neuroctl/HalfCheetah-v5")


def ppo_walker2d() -> TrainConfig:
    """Walker2d by PPO, likewise."""
    return _walker("ppo-walker2d", "neuroctl/Walker2d-v5")


def _walker(preset: str, env: str) -> TrainConfig:
    options: dict[str, Any] = {"rollout_length": 128, "epochs": 10, "minibatches": 16}
    options |= {"hidden_size": 128, "features": 128}
    options |= {"rewards": "normalise", "initial_std": 0.4, "anneal_updates": 3 * MILLION // 16 // 128}
    return _ppo(preset, GymnasiumTaskConfig(id=env), 3 * MILLION, 16, **options)
