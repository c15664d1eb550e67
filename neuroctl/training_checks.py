"""What can be said against a training configuration before anything is written."""

from __future__ import annotations

import os
from pathlib import Path

from . import registry
from .config import DemonstrationsConfig, TrainConfig
from .contracts import Agent, RolloutAgent, Spaces
from .errors import NeuroctlError
from .recording import Recording
from .run import Run, environment_spaces, make_agent
from .sharded_rollouts import check_shards
from .vector import expert_action, make_env, spaces_of

NUM_ENVS = 16
"""Rows of an agent that learns in the loop, where none are chosen."""


def checked_agent(config: TrainConfig) -> Agent:
    """Refuse what cannot work before a run folder is made or written to; an untrained agent of the configuration."""
    check_device(config.device)
    offline = registry.agents.load(config.agent.name).offline
    if offline and config.num_envs is not None:
        raise NeuroctlError("num_envs has no effect with an agent that learns from recordings; leave it out")
    if not offline and config.demonstrations != DemonstrationsConfig():
        raise NeuroctlError("demonstrations have no effect with an agent that learns in the loop; leave them out")
    if getattr(config.agent, "freeze_encoder", False) and config.warm_start is None:
        raise NeuroctlError("agent.freeze_encoder needs warm_start, the run whose encoder is taken")
    if config.num_threads > (os.cpu_count() or 1):
        raise NeuroctlError(f"num_threads is {config.num_threads}; this machine has {os.cpu_count()} cores")
    if config.weight_lag is not None:
        check_shards(config)
    spaces = environment_spaces(config)
    make_env(config.env.id, 1, config.evaluation_kwargs()).close()
    agent = make_agent(config, spaces)
    if offline:
        _check_demonstrations(config, spaces)
    else:
        _check_learner(config, agent)
    return agent


def _check_learner(config: TrainConfig, agent: Agent) -> None:
    """Refuse an agent that cannot learn in so many rows, and rollouts that never become full."""
    agent.learning = True
    agent.begin(config.num_envs or NUM_ENVS, config.seed)
    if isinstance(agent, RolloutAgent) and agent.rollout_length > config.steps:
        raise NeuroctlError(
            f"agent.rollout_length is {agent.rollout_length}; a run of {config.steps} steps would learn nothing"
        )


def _check_demonstrations(config: TrainConfig, spaces: Spaces) -> None:
    """Refuse a recording that does not fit, an expert that does not exist, and episodes that are too short."""
    demos = config.demonstrations
    longest = _check_recording(config, spaces) if demos.path is not None else None
    if demos.path is None or demos.dagger_every:
        env = make_env(config.env.id, 1, config.env.kwargs(), demos.shifts if demos.path is None else ())
        try:
            env.reset(seed=0)
            expert_action(env)
            longest = longest or getattr(env.unwrapped, "max_steps", None)
        finally:
            env.close()
    burn_in = getattr(config.agent, "burn_in", None)
    if longest is not None and burn_in is not None and burn_in >= longest:
        raise NeuroctlError(f"agent.burn_in is {burn_in}; episodes to learn from have at most {longest} steps")


def load_policy(agent: Agent, source: Path) -> None:
    """Start from the policy of the run `source`."""
    _, trees = Run(source).checkpoints.load()
    try:
        agent.load_policy(trees["agent"])
    except (RuntimeError, KeyError) as error:
        detail = str(error).strip().splitlines()[-1].strip()
        raise NeuroctlError(f"warm start from {source}: its policy does not fit this one: {detail}") from None


def existing(demos: DemonstrationsConfig) -> Recording:
    """The recording at `demos.path`, or the part of it that is asked for."""
    assert demos.path is not None
    recording = Recording(demos.path)
    return recording.head(len(recording) if demos.episodes is None else demos.episodes)


def _check_recording(config: TrainConfig, spaces: Spaces) -> int:
    """Refuse a recording of another environment, or of one that shows or does something else; its longest episode."""
    demos = config.demonstrations
    assert demos.path is not None
    recording = existing(demos)
    if not len(recording):
        raise NeuroctlError(f"{demos.path} holds no episodes")
    info = recording.info
    if info.env_id != config.env.id:
        raise NeuroctlError(f"{demos.path} was recorded in {info.env_id}, not in {config.env.id}")
    env = make_env(info.env_id, 1, info.env_kwargs, info.shifts)
    recorded = spaces_of(env)
    env.close()
    for name in ("observation", "action"):
        there, here = getattr(recorded, name), getattr(spaces, name)
        if there != here:
            raise NeuroctlError(f"{demos.path} was recorded with {name}s of {there}; the environment has {here}")
    return max(int(entry["length"]) for entry in recording.index.values())


def check_device(device: str) -> None:
    """Refuse a device that torch does not have.

    Raises:
        NeuroctlError: lists what there is.
    """
    import torch

    known = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device not in known and not (device == "cuda" and len(known) > 1):
        raise NeuroctlError(f"unknown device {device!r}; devices here: {', '.join(known)}")
