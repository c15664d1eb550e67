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
from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError, NonFiniteError

from .dynamics import MULTIPLIERS, Dynamics, scale_model
from .episode_vector import Floats, State, StepResult
from .gymnasium_options import check_body, task_options
from .opengl import open_renderer
from .physics_vector import PhysicsVector
from .single_env import SingleEnv
from .trained_experts import expert_of
from .vector_tools import checked_actions, is_default, require

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


class GymnasiumTaskVector(PhysicsVector):
    """B copies of one of Gymnasium's MuJoCo tasks.

    Actions beyond their bounds are not clipped here: the actuators do that, and the task's control cost is that of the
    action as it was given, as in Gymnasium.

    Args:
        num_envs: B.
        task: Gymnasium's id, one of `TASKS`; under an id of ours, that id says it.
        observe_velocity: whether the observation keeps its velocities, see the head of this module.
        max_steps: control steps after which an episode is truncated; by default Gymnasium's.
        dynamics: factors and delays, see `neuroctl.envs.dynamics`. A delayed action also costs later.
        render_mode: None or `"rgb_array"`.
        options: the task's own, such as `reset_noise_scale`; see Gymnasium and `neuroctl.envs.gymnasium_options`.

    Attributes:
        envs: Gymnasium's environment of each row, without wrappers.
    """

    registered: ClassVar[str | None] = None
    """The task, where an id of ours says it."""
    rebuilt = ("models", "datas", "envs", "_renderers")
    waiting = "waiting_actions"

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str | None = None,
        observe_velocity: bool = True,
        max_steps: int | None = None,
        dynamics: Dynamics | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.task = checked_task(task, self.registered)
        require("observe_velocity", observe_velocity, (True, False))
        self._options = task_options(self.task, options)
        default_steps: Any = gym.spec(self.task).max_episode_steps
        super().__init__(num_envs, default_steps if max_steps is None else max_steps, (), dynamics, render_mode)
        whole: Any = self.envs[0].observation_space
        left_out = [] if observe_velocity else velocity_entries(self.envs[0], self.task)
        self._kept = np.setdiff1d(np.arange(whole.shape[0]), left_out)
        observation = gym.spaces.Box(-np.inf, np.inf, self._kept.shape, whole.dtype.type)
        self._set_spaces(observation, self.envs[0].action_space)
        self._make_room(self.envs[0].action_space.shape, np.float32)
        self.metadata = {**self.metadata, "render_fps": self.envs[0].metadata["render_fps"]}

    def _build(self) -> None:
        self._renderers: dict[int, Any] = {}
        self.envs: list[Any] = []
        for factors in self._dynamics:
            env = _make(self.task, self._options)
            # Divergence must be seen: by default MuJoCo resets the simulation silently.
            env.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
            scale_model(env.model, {name: factors[name] for name in MULTIPLIERS if factors[name] != 1.0})
            self.envs.append(env)
        self.models, self.datas = [env.model for env in self.envs], [env.data for env in self.envs]
        check_body(self.models[0], self._options)

    # Episodes

    def _start_row(self, b: int) -> None:
        self.envs[b].reset(seed=int(self.streams["reset", b].integers(2**31)))
        self._waiting[b] = 0
        state = self.envs[b].state_vector()
        self._require_sane("physics", state[None], np.zeros(1, np.int64))

    def current_obs(self) -> Floats:
        """The observation `[B, D]` of the current state, as `reset` or `step` last returned it."""
        return self._observe(range(self.num_envs))

    def _observe(self, rows: Sequence[int] | range) -> Floats:
        return np.stack([self.envs[b]._get_obs() for b in rows])[:, self._kept]

    def _said(self) -> dict[str, NDArray[Any]]:
        return _stacked([env._get_reset_info() for env in self.envs])

    def _begun(self, rows: NDArray[np.intp]) -> tuple[Floats, dict[str, NDArray[Any]]]:
        return self._observe(rows.tolist()), _stacked([self.envs[b]._get_reset_info() for b in rows.tolist()])

    def expert_action(self) -> NDArray[np.float32]:
        """Actions `[B, A]` of the task's expert, who sees velocities too.

        Raises:
            NeuroctlError: nobody trained one, or an option of the task changes what is observed.
        """
        return expert_of(self.task).act(np.stack([env._get_obs() for env in self.envs]))

    # Steps

    def step(self, actions: Any) -> StepResult:
        """Advance every row by one control step.

        Args:
            actions: `[B, ...]`.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
            NonFiniteError: a row's actions or physics diverged: NaN, infinity or beyond 1e10; or its reward did.
        """
        self._require_begun("step")
        space: Any = self.single_action_space
        checked_actions(actions, space, self.num_envs)
        # MuJoCo would set bad controls to 0 without an error; their cost would be infinite.
        self._require_sane("actions", np.asarray(actions, np.float64), self.steps + 1)
        acting = self._delayed(np.asarray(actions).astype(space.dtype))
        self.steps += 1
        with np.errstate(over="ignore", invalid="ignore"):
            results = [env.step(action) for env, action in zip(self.envs, acting, strict=True)]
        observed, rewards, ended, _, infos = zip(*results, strict=True)
        self._require_sane("physics", np.stack([env.state_vector() for env in self.envs]), self.steps)
        obs, reward = np.stack(observed)[:, self._kept], np.array(rewards, np.float64)
        if not np.isfinite(reward).all():
            b = int(np.argmin(np.isfinite(reward)))
            raise NonFiniteError(f"reward of row {b} is {reward[b]} at step {self.steps[b]} of its episode")
        return self._finish(obs, reward, np.array(ended, np.bool_), _stacked(infos))

    # State

    def _more_state(self, rows: NDArray[np.intp]) -> State:
        state: State = {}
        for name in DERIVED:
            parts = [getattr(self.datas[b], name) for b in rows.tolist()]
            state[f"derived/{name}"] = np.array(parts).reshape(len(rows), *getattr(self.datas[0], name).shape)
        return state

    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        for i, b in enumerate(rows.tolist()):
            for name in DERIVED:
                getattr(self.datas[b], name)[:] = state[f"derived/{name}"][i]

    # Pictures

    def _frame(self, b: int) -> NDArray[np.uint8]:
        """From the model's camera `track` where it has one."""
        model, data = self.models[b], self.datas[b]
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

    rows: ClassVar[type[GymnasiumTaskVector]] = GymnasiumTaskVector
    """Of which this is row 0."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(self.rows, **kwargs)
        self.metadata = {**self.metadata, "render_fps": self.vector.metadata["render_fps"]}


def _entry_points(task: str) -> dict[str, type]:
    """The classes behind an id of ours: `HalfCheetah` and `HalfCheetahVector`. A mere option could be overridden."""
    name, module = task.removesuffix("-v5"), {"__module__": __name__}
    rows = type(f"{name}Vector", (GymnasiumTaskVector,), module | {"registered": task})
    return {name: type(name, (GymnasiumTask,), module | {"rows": rows}), f"{name}Vector": rows}


for _task in TASKS:
    globals().update(_entry_points(_task))


def checked_task(task: str | None, registered: str | None) -> str:
    """The name of the task, which an environment's id says or the option `task`, not both.

    Raises:
        NeuroctlError: unknown, or another one than the id says.
    """
    if registered is None:
        require("task", task, TASKS)
        return str(task)
    if task is not None and not is_default(task, registered):
        raise NeuroctlError(f"neuroctl/{registered} is the task {registered!r}; found task={shown(task)}")
    return registered


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
