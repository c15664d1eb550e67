"""A toy robot with every kind of observation: a float image, a colour image, a state and event counts."""

from typing import Any

import gymnasium as gym
import numpy as np

from neuroctl.envs.event_camera import EventSpace
from neuroctl.envs.mujoco_task import MujocoTask
from neuroctl.envs.retina import LEVELS
from neuroctl.envs.vehicle import VEHICLE_XML

HEIGHT, WIDTH = 12, 20
SPACES: dict[str, gym.spaces.Space[Any]] = {
    "colour": gym.spaces.Box(0, 255, (HEIGHT, WIDTH, 3), np.uint8),
    "events": EventSpace((6, 8, 2)),
    "image": gym.spaces.Box(0, 1, (HEIGHT, WIDTH), np.float32),
    "state": gym.spaces.Box(-50, 50, (4,), np.float32),
}
KINDS = {
    "gaussian-noise": {"colour", "image", "state"},
    **dict.fromkeys(("observation-delay", "frame-drop"), set(SPACES)),
    **dict.fromkeys(("brightness", "contrast", "pixel-dropout", "salt-pepper", "occlusion"), {"colour", "image"}),
    **dict.fromkeys(("saturation", "hue"), {"colour"}),
    **dict.fromkeys(("event-noise", "event-loss"), {"events"}),
    "observation-bias": {"state"},
    **dict.fromkeys(("action-noise", "action-bias"), set()),
}
"""What each wrapper changes of what is seen."""


def see(batch):
    n, pixel = len(batch), np.arange(HEIGHT * WIDTH * 3)
    grey = (batch.steps[:, None] * 7 + pixel * 5 + np.floor(10 * batch.qpos[:, :1])) % 200 + 20
    colour = grey.astype(np.uint8).reshape(n, HEIGHT, WIDTH, 3)
    counts = (batch.steps[:, None] * 3 + np.arange(96) + np.floor(10 * batch.qvel[:, :1])) % 40
    return {
        "colour": colour,
        "events": counts.astype(np.float32).reshape(n, 6, 8, 2),
        "image": LEVELS[colour[..., 0]],
        "state": batch.qpos.astype(np.float32),
    }


def start(row):
    row.qvel[0] = row.rng.uniform(0.5, 1)


def nothing(batch, action=None):
    return np.zeros(len(batch))


def never(batch):
    return np.zeros(len(batch), bool)


def make_seer(num_envs=2, leaf=None, max_steps=12):
    """The toy; with `leaf`, it shows that part of the observation alone."""
    return MujocoTask(
        VEHICLE_XML,
        num_envs=num_envs,
        reset=start,
        observe=see if leaf is None else lambda batch: see(batch)[leaf],
        reward=nothing,
        terminated=never,
        observation_space=gym.spaces.Dict(SPACES) if leaf is None else SPACES[leaf],
        action_space=gym.spaces.Box(-1, 1, (4,), np.float32),
        control_dt_s=0.02,
        max_steps=max_steps,
    )


def watch(env, steps, seed=0):
    """What is seen while nothing is done, from a reset; `[steps + 1, B, ...]` of each part."""
    obs, _ = env.reset(seed=seed)
    seen = [obs, *(env.step(np.zeros((env.num_envs, 4), np.float32))[0] for _ in range(steps))]
    return {key: np.stack([obs[key] for obs in seen]) for key in obs} if isinstance(obs, dict) else np.stack(seen)
