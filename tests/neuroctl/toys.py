"""Tiny environments and an agent, in numpy, for tests of the core; and victims that tests kill.

This module is a plugin of neuroctl: importing it registers the toys by name.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from neuroctl import registry
from neuroctl.config import AgentConfig, EnvConfig, TrainConfig
from neuroctl.contracts import Agent, Spaces
from neuroctl.errors import NeuroctlError
from neuroctl.rollouts import Player
from neuroctl.streams import EpisodeStreams, pack_generator, stream, unpack_generator

POINT = "toys/Point-v0"
CART = "toys/Cart-v0"
BLIND = "toys/Blind-v0"

Box = gym.spaces.Box
Rows = NDArray[np.intp]


class Point(VectorEnv[Any, Any, Any]):
    """B points pushed around by actions and noise, for a random number of steps; saves and restores its state.

    Args:
        num_envs: B.
        image: the observation is a dict of an 8-bit image (float32 k/255) and the state.
        image_size: of the image.
        min_steps: shortest episode.
        max_steps: longest episode; an episode of that length is truncated, a shorter one terminates.
        friction: divides the actions.
        slow_s: pause of each step.
        nonfinite: `(field, step, row)` that becomes NaN.
        fail: an exception is raised at step 2.
        suicide: while this file exists, the process deletes it and kills itself at step 2.
        deadly: the process always kills itself at step 2.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        image: bool = False,
        image_size: Sequence[int] = (4, 5),
        min_steps: int = 3,
        max_steps: int = 12,
        friction: float = 1.0,
        slow_s: float = 0.0,
        nonfinite: Sequence[Any] | None = None,
        fail: str = "",
        suicide: str = "",
        deadly: bool = False,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs, self.image, self.friction, self.render_mode = num_envs, image, friction, render_mode
        self.min_steps, self.max_steps, self.slow_s, self.nonfinite = min_steps, max_steps, slow_s, nonfinite
        self.fail, self.suicide, self.deadly = fail, suicide, deadly
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": ["rgb_array"]}
        state = Box(-np.inf, np.inf, (3,), np.float32)
        self.image_size = tuple(image_size)
        picture = Box(0.0, 1.0, self.image_size, np.float32)
        self.single_observation_space = gym.spaces.Dict({"image": picture, "state": state}) if image else state
        self.single_action_space = Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.streams = EpisodeStreams(num_envs, ("reset", "noise"))
        self.position = np.zeros((num_envs, 2))
        self.steps = np.zeros(num_envs, np.int64)
        self.limit = np.zeros(num_envs, np.int64)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self.streams.reset(seed)
        self._start(np.arange(self.num_envs))
        return self.current_obs(), {}

    def _start(self, rows: Rows) -> None:
        for b in rows:
            self.position[b] = self.streams["reset", b].normal(size=2)
            self.limit[b] = self.streams["reset", b].integers(self.min_steps, self.max_steps + 1)
        self.steps[rows] = 0

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self._misbehave()
        noise = np.stack([self.streams["noise", b].normal(size=2) for b in range(self.num_envs)])
        self.position = self.position + 0.1 * actions.astype(np.float64) / self.friction + 0.01 * noise
        self.steps = self.steps + 1
        reward = -np.abs(self.position).sum(axis=1)
        done = self.steps >= self.limit
        truncated = done & (self.limit == self.max_steps)
        obs, info = self.current_obs(), {"steps": self.steps.copy()}
        if self.nonfinite and self.nonfinite[1] == self.steps[self.nonfinite[2]]:
            (reward if self.nonfinite[0] == "reward" else obs)[self.nonfinite[2]] = np.nan
        if done.any():
            final = {"final_obs": obs, "_final_obs": done, "final_info": {**info, "success": reward > -1.5}}
            self.streams.advance(np.flatnonzero(done))
            self._start(np.flatnonzero(done))
            obs, info = self.current_obs(), {"steps": self.steps.copy(), **final}
        return obs, reward, done & ~truncated, truncated, info

    def _misbehave(self) -> None:
        time.sleep(self.slow_s)
        if (self.steps == 2).any():
            if self.fail == "NeuroctlError":
                raise NeuroctlError("the robot is on fire")
            if self.fail:
                raise RuntimeError("a bug\nof two lines")
            doomed = bool(self.suicide) and Path(self.suicide).exists()
            if doomed:
                Path(self.suicide).unlink()
            if doomed or self.deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    def current_obs(self) -> Any:
        state = np.concatenate([self.position, 0.1 * self.steps[:, None]], axis=1).astype(np.float32)
        if not self.image:
            return state
        levels = (np.arange(np.prod(self.image_size)).reshape(self.image_size) + (37 * self.steps)[:, None, None]) % 256
        return {"image": levels.astype(np.uint8).astype(np.float32) / np.float32(255), "state": state}

    def expert_action(self) -> NDArray[np.float32]:
        return np.clip(-self.position, -1, 1).astype(np.float32)

    def get_state(self, rows: Rows | None = None) -> dict[str, NDArray[Any]]:
        index = np.arange(self.num_envs) if rows is None else rows
        streams = {f"stream/{name}": value for name, value in self.streams.get_state(index).items()}
        return {"position": self.position[index], "steps": self.steps[index], "limit": self.limit[index], **streams}

    def set_state(self, rows: Rows | None, state: Mapping[str, NDArray[Any]]) -> None:
        index = np.arange(self.num_envs) if rows is None else rows
        for name in ("position", "steps", "limit"):
            getattr(self, name)[index] = state[name]
        names = ("seeds", "episodes", *self.streams.names)
        self.streams.set_state(index, {name: state[f"stream/{name}"] for name in names})

    def model_hash(self) -> str:
        return f"{self.friction:032.3f}{self.num_envs:032d}"

    def render(self) -> Any:
        if self.render_mode is None:
            return None
        frame = np.zeros((self.num_envs, 32, 48, 3), np.uint8)
        frame[:, :, :, 0] = (self.steps * 20 % 256)[:, None, None]
        return tuple(frame)


class Cart(gym.Env[Any, Any]):
    """A single environment as other people write them: falls over after a random time, and says so only then."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, max_steps: int = 20, crashes: bool = True) -> None:
        self.max_steps, self.crashes = max_steps, crashes

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = self.np_random.normal(size=2)
        self.steps = 0
        return self.state.astype(np.float32), {"steps": 0}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.state = self.state + 0.1 * (2 * int(action) - 1) + 0.3 * self.np_random.normal(size=2)
        self.steps += 1
        fallen, late = bool(np.abs(self.state).max() > 2), self.steps >= self.max_steps
        info: dict[str, Any] = {"steps": self.steps, **({"crash": 1} if fallen and self.crashes else {})}
        return self.state.astype(np.float32), 1.0, fallen, late and not fallen, info


class Blind(Cart):
    """Needs a package that is not installed."""

    def __init__(self) -> None:
        raise gym.error.DependencyNotInstalled("Box9D is not installed, run `pip install box9d`")


@dataclass(frozen=True)
class PointConfig(EnvConfig):
    """Options of the toy that tests train and evaluate in."""

    id: str = POINT
    image: bool = False
    friction: float = 1.0
    suicide: str = ""


@dataclass(frozen=True)
class LinearConfig(AgentConfig):
    """A linear policy, with or without noise on its actions."""

    name: str = "toy-linear"
    noise: float = 0.0


class LinearAgent(Agent):
    """Actions are a product of the observation with a matrix, a trace of past actions, and noise; learns slowly."""

    def __init__(
        self, config: LinearConfig, spaces: Spaces, *, seed: int, device: str = "cpu", dataset: Any = None
    ) -> None:
        self.config, self.spaces = config, spaces
        self.weights = stream(seed, "weights").normal(size=(3, 2)).astype(np.float32)
        self._rngs: list[np.random.Generator] = []
        self._trace = np.zeros((0, 2), np.float32)

    def begin(self, num_envs: int, seed: int) -> None:
        self._rngs = [stream(seed, "noise", row) for row in range(num_envs)]
        self._trace = np.zeros((num_envs, 2), np.float32)

    def act(self, obs: Any, first: NDArray[np.bool_]) -> NDArray[Any]:
        self._trace = np.where(first[:, None], np.float32(0), self._trace)
        mean = np.tanh((obs["state"] if isinstance(obs, dict) else obs) @ self.weights + self._trace)
        noise = np.stack([rng.normal(size=2) for rng in self._rngs]).astype(np.float32)
        action = mean + np.float32(self.config.noise) * noise
        self._trace = np.float32(0.5) * self._trace + action
        return np.asarray(action, np.float32)

    def observe(self, next_obs: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> None:
        self._reward = float(np.mean(reward))
        seen = [next_obs, info["final_obs"]] if "final_obs" in info else [next_obs]
        self._signal = np.float32(sum(np.tanh(o["state"] if isinstance(o, dict) else o).mean() for o in seen))
        self._signal += np.float32(terminated.sum()) - np.float32(0.3) * np.float32(truncated.sum())

    def update(self) -> dict[str, float]:
        self.weights = self.weights * np.float32(1 - 1e-3) + np.float32(1e-3) * (
            np.float32(self._reward) + self._signal
        )
        return {"reward": self._reward}

    def state_dict(self) -> dict[str, Any]:
        return {
            "weights": self.weights,
            "trace": self._trace,
            "streams": [pack_generator(rng) for rng in self._rngs],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights, self._trace = state["weights"], state["trace"]
        self._rngs = [unpack_generator(words) for words in state["streams"]]


def preset() -> TrainConfig:
    """The experiment `toy`."""
    return TrainConfig(env=PointConfig(), agent=LinearConfig(), preset="toy")


def actor_critic_preset() -> TrainConfig:
    """The experiment `toy-actor-critic`: two shards of rows, rollouts of 4 steps."""
    from neuroctl.agents.actor_critic_config import ActorCriticConfig

    agent = ActorCriticConfig(hidden_size=6, features=5, rollout_length=4, learning_rate=1e-2, rewards="normalise")
    return TrainConfig(
        env=PointConfig(),
        agent=agent,
        preset="toy-actor-critic",
        num_envs=32,
        steps=24,
        log_every=4,
        checkpoint_every=8,
        keep_checkpoints=9,
        weight_lag=1,
    )


def linear_player(noise: float = 0.5, image: bool = False) -> Player:
    """The toy policy, with noise on its actions."""
    config = dataclasses.replace(preset(), agent=LinearConfig(noise=noise), env=PointConfig(image=image))
    agent = LinearAgent(LinearConfig(), Spaces(Box(0, 1), Box(0, 1)), seed=0)
    return Player("linear", config, agent.state_dict())


def register() -> None:
    """Make the toys known by name."""
    if POINT in gym.registry:
        return
    gym.register(id=POINT, vector_entry_point=f"{__name__}:Point")
    gym.register(id=CART, entry_point=f"{__name__}:Cart")
    gym.register(id=BLIND, entry_point=f"{__name__}:Blind")
    registry.agents.register("toy-linear", f"{__name__}:LinearAgent")
    registry.presets.register("toy", f"{__name__}:preset")
    registry.presets.register("toy-actor-critic", f"{__name__}:actor_critic_preset")


register()


# -- Victims: they work until they are killed ----------------------------------------------------------------------


def texts() -> Iterator[str]:
    """Contents that are told apart by one character; each is larger than a buffer."""
    while True:
        yield from ("old " * 50_000, "new " * 50_000)


def overwrite(path: Path) -> None:
    """Replace a file again and again."""
    from neuroctl.storage import atomic_write

    for text in texts():
        atomic_write(path, text)


def checkpoint_tree(step: int) -> dict[str, Any]:
    """The learning state after `step` steps."""
    return {"agent": {"weights": np.full(20_000, step, np.float32), "step": step}, "trainer": {"best": float(step)}}


def save_checkpoints(folder: Path) -> None:
    """Save one checkpoint after the other."""
    from neuroctl.checkpoint import Checkpoints

    checkpoints = Checkpoints(folder, keep=2)
    start = int(checkpoints.all()[-1].name) + 1 if checkpoints.all() else 1
    for step in range(start, 1_000_000):
        checkpoints.save(step, checkpoint_tree(step), best=step % 5 == 0)


def record_learning_points(folder: Path, episodes: int, slow_s: float = 0.0) -> None:
    """Record episodes of the toy that learns while it acts."""
    from neuroctl.rollouts import record_player

    kwargs = {"slow_s": slow_s, "image": True}
    record_player(linear_player(image=True), folder, POINT, kwargs, (), episodes=episodes, seed=7, learn=True)


def record_points(folder: Path, episodes: int, slow_s: float = 0.0) -> None:
    """Record episodes of the expert, four at a time."""
    from neuroctl.rollouts import record

    record("expert", folder, episodes=episodes, seed=7, env_id=POINT, env_kwargs={"slow_s": slow_s}, width=4)


def answer_with_faults(number: int, plan: Mapping[str, Sequence[str]], folder: str, beat: Any) -> dict[str, Any]:
    """A number squared; try k of number n goes wrong as `plan[str(n)][k]` says. `folder` counts the tries."""
    attempt = 0
    while True:
        try:
            Path(folder, f"{number}-{attempt}").touch(exist_ok=False)
            break
        except FileExistsError:
            attempt += 1
    beat()
    faults = plan.get(str(number), ())
    fault = faults[attempt] if attempt < len(faults) else ""
    if fault == "died":
        os.kill(os.getpid(), signal.SIGKILL)
    elif fault == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1000)  # a thread may go on for a moment
    elif fault == "hung":
        time.sleep(1000)
    elif fault == "raised":
        raise RuntimeError(f"a bug\nin {number}")
    elif fault == "mistake":
        raise NeuroctlError("the robot is on fire")
    return {"number": number, "square": np.array([float(number) ** 2])}


def train_until_16(content: Any, folder: str, until: int, beat: Any) -> Any:
    """A trial of a sweep, evaluated in one shard, also in a worker."""
    from neuroctl import sweep

    sweep.EPISODES = 16
    return sweep.train_until(content, folder, until, beat)
