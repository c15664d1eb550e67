"""Gymnasium's MuJoCo tasks (HalfCheetah-v5, Reacher-v5, ...) under the contract of our own environments.

The tasks are Gymnasium's own code; observations and rewards have its bits. What is added: streams per episode,
SAME_STEP autoreset, exact states, dynamics, and observations without velocities.

With `observe_velocity=False` these entries of the default observations are left out:

| task                      | left out (`qvel`: of the joints; `cvel`: of the bodies) | forces, which stay             |
|---------------------------|---------------------------------------------------------|--------------------------------|
| HalfCheetah, Walker2d     | 8 to 16 (`qvel`)                                        |                                |
| Hopper                    | 5 to 10 (`qvel`)                                        |                                |
| Swimmer                   | 3 to 7 (`qvel`)                                         |                                |
| Ant                       | 13 to 26 (`qvel`)                                       | contacts (`cfrc_ext`)          |
| Humanoid, HumanoidStandup | 22 to 44 (`qvel`), 175 to 252 (`cvel`)                  | contacts and actuators         |
| InvertedPendulum          | 2 and 3 (`qvel`)                                        |                                |
| InvertedDoublePendulum    | 5 to 7 (`qvel`)                                         | the constraint on the cart     |
| Reacher                   | 6 and 7 (`qvel` of the arm)                             |                                |
| Pusher                    | 7 to 13 (`qvel` of the arm)                             |                                |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.streams import STATE_WORDS, EpisodeStreams

from .dynamics import MULTIPLIERS, Dynamics, dynamics_table, hash_models, scale_model
from .opengl import open_renderer
from .single_env import SingleEnv
from .vector_tools import checked_actions, checked_count, checked_rows, replaced, require_state, reset_rows

TASKS = (
    *("HalfCheetah-v5", "Walker2d-v5", "Hopper-v5", "Swimmer-v5", "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5"),
    *("InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Pusher-v5"),
)

VELOCITIES = {
    "InvertedDoublePendulum-v5": range(5, 8),
    "Reacher-v5": range(6, 8),
    "Pusher-v5": range(7, 14),
}
"""Where the velocities stand in the observation of tasks that do not say so in their `observation_structure`."""

DERIVED = (
    *("xpos", "xipos", "cinert", "cvel", "ten_length", "ten_velocity"),
    *("qfrc_actuator", "qfrc_constraint", "cfrc_ext"),
)
"""What the tasks read beside the integration state. MuJoCo computed it in the last step's course, from positions before
its end, so that it cannot be computed again from the integration state: it is part of the state here."""

State = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
_LIMIT = 1e10
"""Where MuJoCo too begins to call a number bad (mjMAXVAL)."""
_BUILT = ("envs", "_renderers")


class GymnasiumTaskVector(gym.vector.VectorEnv[Any, Any, Any]):
    """B copies of one of Gymnasium's MuJoCo tasks.

    Actions beyond their bounds are not clipped here: the actuators do that, and the task's control cost is that of the
    action as it was given, as in Gymnasium.

    Args:
        num_envs: B.
        task: Gymnasium's id, one of `TASKS`.
        observe_velocity: whether the observation keeps its velocities, see the head of this module.
        max_steps: control steps after which an episode is truncated; by default Gymnasium's.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`. A delayed action also costs later.
        render_mode: None or `"rgb_array"`.
        options: the task's own, such as `reset_noise_scale`; see Gymnasium.

    Attributes:
        envs: Gymnasium's environment of each row, without wrappers.
        steps: control steps since the episode began, int64 `[B]`.
        streams: the rows' random streams; each episode is reset with a seed drawn from its own.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 50,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str,
        observe_velocity: bool = True,
        max_steps: int | None = None,
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.num_envs = checked_count("num_envs", num_envs)
        if task not in TASKS:
            raise NeuroctlError(f"unknown task {task!r}; allowed: {', '.join(TASKS)}")
        if not isinstance(observe_velocity, bool):
            raise NeuroctlError(f"observe_velocity is {observe_velocity!r}; allowed: True, False")
        if render_mode not in (None, "rgb_array"):
            raise NeuroctlError(f"unknown render_mode {render_mode!r}; allowed: None, 'rgb_array'")
        default_steps = gym.spec(task).max_episode_steps
        self.max_steps = checked_count("max_steps", default_steps if max_steps is None else max_steps)
        self.task, self.render_mode, self._options = task, render_mode, options
        self._dynamics = dynamics_table(dynamics, num_envs)
        self.streams = EpisodeStreams(num_envs, ("reset",))
        self.steps = np.zeros(num_envs, np.int64)
        self._build()
        whole: Any = self.envs[0].observation_space
        left_out = [] if observe_velocity else velocity_entries(self.envs[0], task)
        self._kept = np.setdiff1d(np.arange(whole.shape[0]), left_out)
        self.single_observation_space = gym.spaces.Box(-np.inf, np.inf, self._kept.shape, whole.dtype.type)
        self.single_action_space = self.envs[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._delays = np.array([int(row["action_delay"]) for row in self._dynamics])
        self._waiting = np.zeros((num_envs, int(self._delays.max()), *self.envs[0].action_space.shape), np.float32)
        self.metadata = {**self.metadata, "render_fps": self.envs[0].metadata["render_fps"]}

    def _build(self) -> None:
        """Make everything that is not part of the state."""
        self._renderers: dict[int, Any] = {}
        self.envs: list[Any] = []
        for factors in self._dynamics:
            env = _make(self.task, self._options)
            # Divergence must be seen: by default MuJoCo resets the simulation silently.
            env.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
            scale_model(env.model, {name: factors[name] for name in MULTIPLIERS if factors[name] != 1.0})
            self.envs.append(env)

    # Episodes

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Floats, dict[str, Any]]:
        """Start episodes in all rows, or in those of `options["reset_mask"]` (bool `[B]`).

        Args:
            seed: an integer seeds row b with `seed + b`, a list each row; None goes on with the next episode.
            options: `{"reset_mask": bool [B]}` or None.
        """
        self.streams.reset(seed, rows := reset_rows(options, self.num_envs))
        self._start(rows)
        return self.current_obs(), self.current_info()

    def _start(self, rows: NDArray[np.intp]) -> None:
        for b in rows.tolist():
            self.envs[b].reset(seed=int(self.streams["reset", b].integers(2**31)))
        self.steps[rows], self._waiting[rows] = 0, 0

    def current_obs(self) -> Floats:
        """The observation `[B, D]` of the current state, as `reset` or `step` last returned it."""
        return self._observe(range(self.num_envs))

    def _observe(self, rows: Sequence[int] | range) -> Floats:
        return np.stack([self.envs[b]._get_obs() for b in rows])[:, self._kept]

    def current_info(self) -> dict[str, Any]:
        """What the task says of the current state at the start of an episode."""
        info = _stacked([env._get_reset_info() for env in self.envs])
        return info | {f"_{name}": np.ones(self.num_envs, np.bool_) for name in info}

    # Steps

    def step(self, actions: Any) -> tuple[Floats, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance every row by one control step.

        Args:
            actions: `[B, ...]`.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
            NonFiniteError: a row's physics diverged: NaN, infinity or beyond 1e10.
        """
        self._require_begun("step")
        space: Any = self.single_action_space
        checked_actions(actions, space, self.num_envs)
        acting = self._delayed(np.asarray(actions).astype(space.dtype))
        self.steps += 1
        results = [self._step_row(b, action) for b, action in enumerate(acting)]
        observed, rewards, ended, _, infos = zip(*results, strict=True)
        obs, reward = np.stack(observed)[:, self._kept], np.array(rewards, np.float64)
        terminated = np.array(ended, np.bool_)
        truncated = (self.steps >= self.max_steps) & ~terminated
        info = _stacked(infos)
        info |= {f"_{name}": np.ones(self.num_envs, np.bool_) for name in info}
        if (done := terminated | truncated).any():
            obs, info = self._autoreset(obs, info, done)
        return obs, reward, terminated, truncated, info

    def _step_row(self, b: int, action: NDArray[Any]) -> tuple[Any, ...]:
        env = self.envs[b]
        result: tuple[Any, ...] = env.step(action)
        if not (np.abs(env.data.qpos).max() <= _LIMIT and np.abs(env.data.qvel).max() <= _LIMIT):
            raise NonFiniteError(
                f"physics of row {b} diverged (NaN, infinity or beyond 1e10) at step {self.steps[b]} of its episode"
            )
        return result

    def _delayed(self, actions: NDArray[Any]) -> NDArray[Any]:
        """The actions that act now; row b's are those of `delay[b]` steps ago."""
        if self._waiting.shape[1] == 0:
            return actions
        queue = np.concatenate([self._waiting, actions[:, None]], axis=1)
        self._waiting = queue[:, 1:].copy()
        now: NDArray[Any] = queue[np.arange(self.num_envs), queue.shape[1] - 1 - self._delays]
        return now

    def _autoreset(self, obs: Floats, info: dict[str, Any], done: NDArray[np.bool_]) -> tuple[Floats, dict[str, Any]]:
        rows = np.flatnonzero(done)
        self.streams.advance(rows)
        self._start(rows)
        begun = _stacked([self.envs[b]._get_reset_info() for b in rows.tolist()])
        # What is only said of steps is not said of an episode that begins.
        begun |= {f"_{name}": np.array(name in begun) for name in info if not name.startswith("_")}
        following = {name: replaced(value, rows, begun.get(name, 0)) for name, value in info.items()}
        ended = {"final_obs": obs, "_final_obs": done.copy(), "final_info": info, "_final_info": done.copy()}
        return replaced(obs, rows, self._observe(rows.tolist())), following | ended

    # State

    def get_state(self, rows: Sequence[int] | NDArray[np.intp] | None = None) -> State:
        """Everything the next steps depend on, each array `[len(rows), ...]`; all rows by default.

        Raises:
            NeuroctlError: no episode has begun, or a row does not exist.
        """
        self._require_begun("get_state")
        index = checked_rows(rows, self.num_envs)
        streams = self.streams.get_state(index)
        return self._physics_state(index) | {f"stream/{name}": value for name, value in streams.items()}

    def _physics_state(self, index: NDArray[np.intp]) -> State:
        """The state without random streams."""
        physics = np.zeros((len(index), mujoco.mj_stateSize(self.envs[0].model, _INTEGRATION)))
        for i, b in enumerate(index.tolist()):
            mujoco.mj_getState(self.envs[b].model, self.envs[b].data, physics[i], _INTEGRATION)
        state: State = {"mujoco": physics, "steps": self.steps[index], "waiting_actions": self._waiting[index]}
        for name in DERIVED:
            parts = [getattr(self.envs[b].data, name) for b in index.tolist()]
            shape = getattr(self.envs[0].data, name).shape
            state[f"derived/{name}"] = np.array(parts).reshape(len(index), *shape)
        return state

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned, into `rows` (all where None).

        Raises:
            NeuroctlError: a row does not exist, or an array is missing, has another shape or is not finite.
        """
        index = checked_rows(rows, self.num_envs)
        streams = {name: f"stream/{name}" for name in ("seeds", "episodes", "reset")}
        expected = self._physics_state(index)
        shapes = {name: value.shape for name, value in expected.items()}
        shapes |= {key: (len(index), *((STATE_WORDS,) if name == "reset" else ())) for name, key in streams.items()}
        require_state(state, shapes, finite=tuple(expected))
        self._put(index, state)
        self.streams.set_state(index, {name: state[key] for name, key in streams.items()})

    def _put(self, index: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        for i, b in enumerate(index.tolist()):
            env = self.envs[b]
            mujoco.mj_setState(env.model, env.data, state["mujoco"][i].astype(np.float64), _INTEGRATION)
            for name in DERIVED:
                getattr(env.data, name)[:] = state[f"derived/{name}"][i]
        self.steps[index], self._waiting[index] = state["steps"], state["waiting_actions"]

    def _require_begun(self, call: str) -> None:
        if (self.streams.episodes < 0).any():
            raise NeuroctlError(f"{call}() before reset(): start the episodes with reset(seed=...)")

    def model_hash(self) -> str:
        """sha256 of the compiled models and delays, for recordings."""
        return hash_models([env.model for env in self.envs], self._delays)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in _BUILT}
        return kept | {"_packed": self._physics_state(np.arange(self.num_envs))}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        packed = attributes.pop("_packed")
        self.__dict__.update(attributes)
        self._build()
        self._put(np.arange(self.num_envs), packed)

    # Pictures

    def render(self) -> Any:
        """Frames `[B, 240, 320, 3]` uint8, from the model's camera `track` where it has one.

        Raises:
            NeuroctlError: made without `render_mode="rgb_array"`, or OpenGL is missing.
        """
        if self.render_mode is None:
            raise NeuroctlError("nothing is rendered; make the environment with render_mode='rgb_array'")
        return np.stack([self._frame(b) for b in range(self.num_envs)])

    def _frame(self, b: int) -> NDArray[np.uint8]:
        model, data = self.envs[b].model, self.envs[b].data
        if b not in self._renderers:
            self._renderers[b] = open_renderer(model, 240, 320), mujoco.MjData(model)
        renderer, scene = self._renderers[b]
        # A copy: computing poses in the simulation's own data would change what the next step reads.
        scene.qpos[:] = data.qpos
        for update in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            update(model, scene)
        tracks = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
        renderer.update_scene(scene, camera=tracks)
        frame: NDArray[np.uint8] = renderer.render()
        return frame

    def close_extras(self, **kwargs: Any) -> None:
        """Release the renderers."""
        for renderer, _ in self._renderers.values():
            renderer.close()
        self._renderers.clear()


class GymnasiumTask(SingleEnv):
    """One of Gymnasium's MuJoCo tasks; the arguments are those of `GymnasiumTaskVector` without `num_envs`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(GymnasiumTaskVector, **kwargs)
        self.metadata = {**self.metadata, "render_fps": self.vector.metadata["render_fps"]}


def _make(task: str, options: Mapping[str, Any]) -> Any:
    """Gymnasium's environment, without wrappers."""
    # Gymnasium's half_cheetah.xml is out of date, of which MuJoCo would complain in a log file, for each row.
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        return gym.make(task, disable_env_checker=True, **options).unwrapped
    finally:
        mujoco.set_mju_user_warning(before)


def velocity_entries(env: Any, task: str) -> list[int]:
    """Which entries of the observation of Gymnasium's `env` are velocities."""
    if task in VELOCITIES:
        return list(VELOCITIES[task])
    entries: list[int] = []
    start = 0
    for part, size in env.observation_structure.items():
        if part == "skipped_qpos":
            continue
        if part in ("qvel", "cvel"):
            entries += range(start, start + size)
        start += size
    return entries


def _stacked(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Infos of rows as arrays `[n, ...]`."""
    return {name: np.array([info[name] for info in infos], np.float64) for name in infos[0]}
