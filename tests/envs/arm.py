"""A user's own robot: a two-joint arm that reaches for a target, in 40 lines of MJCF and Python."""

from typing import Any

import gymnasium as gym
import numpy as np

from neuroctl.envs.mujoco_task import MujocoTask, SingleEnv

XML = """
<mujoco>
  <option timestep="0.01"/>
  <default><joint type="hinge" axis="0 0 1" damping="0.2"/><geom type="capsule" size="0.02" mass="0.3"/></default>
  <worldbody>
    <camera name="top" pos="0 0 1.5"/>
    <body>
      <joint name="shoulder"/><geom fromto="0 0 0 0.3 0 0"/>
      <body pos="0.3 0 0">
        <joint name="elbow"/><geom fromto="0 0 0 0.3 0 0"/><site name="hand" pos="0.3 0 0"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="shoulder" ctrlrange="-1 1"/><motor joint="elbow" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


def reset(row):
    row.qpos[:] = row.rng.uniform(-1, 1, 2)
    row["target"] = row.rng.uniform(-0.4, 0.4, 2)


def observe(batch):
    parts = [np.cos(batch.qpos), np.sin(batch.qpos), batch.qvel / 10, batch["target"]]
    return np.clip(np.concatenate(parts, axis=1), -5, 5).astype(np.float32)


def reward(batch, action):
    return -np.hypot(*(batch.site_xpos[:, 0, :2] - batch["target"]).T)


def terminated(batch):
    return np.abs(batch.qvel).max(axis=1) > 40


def make_arm(num_envs=1, **options):
    space = gym.spaces.Box(-5, 5, (8,), np.float32)
    functions: dict[str, Any] = {"reset": reset, "observe": observe, "reward": reward, "terminated": terminated}
    settings: dict[str, Any] = {
        "observation_space": space,
        "control_dt_s": 0.02,
        "max_steps": 100,
        "variables": {"target": [0.0, 0.0]},
    }
    return MujocoTask(XML, num_envs=num_envs, **functions, **(settings | options))


class Arm(SingleEnv):
    def __init__(self, **options):
        super().__init__(make_arm, **options)
