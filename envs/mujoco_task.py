"""Any MJCF robot as a vector environment: give the XML and a few small functions.

    def reset(row):            row.qpos[:] = row.rng.uniform(-1, 1, 2); row["target"] = ...
    def observe(batch):        return np.concatenate([batch.qpos, batch.qvel], axis=1).astype(np.float32)
    def reward(batch, action): return -np.linalg.norm(batch.site_xpos[:, 0] - batch["target"], axis=1)
    def terminated(batch):     return np.zeros(len(batch), bool)

`reset` writes one row; the others are vectorised over the rows of the batch. The robot moves through its actuators:
positions are written only in `reset`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError

from .dynamics import Dynamics, Scale, build_models, load_model, scale_model
from .episode_vector import State, StepResult
from .mujoco_batch import Batch, Floats, Row
from .opengl import NoOpenGLError, open_renderer
from .physics_vector import PhysicsVector
from .single_env import SingleEnv
from .vector_tools import checked_actions

__all__ = ["Batch", "MujocoTask", "Row", "SingleEnv"]


class MujocoTask(PhysicsVector):
    """B copies of a robot that step together; see `EpisodeVector` for what ends and begins.

    Args:
        xml: MJCF text, or the path of a file.
        num_envs: B.
        reset: writes one row's start (see `Row`), drawing from `row.rng`.
        observe: observation `[n, ...]` of a batch; returns new arrays (or a dict of them).
        reward: reward `[n]` after a step, given the batch and the actions `[n, ...]` as applied (clipped).
        terminated: bool `[n]`: the episode is over; it is truncated after `max_steps`.
        observation_space: space of one row.
        action_space: space of one row; by default a Box of the actuators' `ctrlrange`.
        control_dt_s: control step, a multiple of the model's timestep.
        max_steps: control steps after which an episode is truncated.
        variables: task variables (targets, timers): name -> value of one row at first. They are part of the state; one
            that may become infinite or NaN begins so, else that is refused in `set_state`.
        streams: names of further random streams beside `"reset"`.
        control: controls `[n, nu]` for actions; by default the actions themselves.
        force: generalised forces `[n, nv]`, N or N m, that act throughout a control step besides those of the
            actuators; computed from the state before it.
        advance: updates task variables after each physics step, before reward and observation.
        held: bool `[n]`: rows whose physics stands still in this step.
        info: info arrays `[n]`.
        expert: actions `[n, ...]` of a scripted controller.
        dynamics: see `Dynamics`.
        scale: applies dynamics factors to a model, by default `scale_model`.
        render_mode: None or `"rgb_array"`.
        render_camera: name of the camera for `render`; -1 is MuJoCo's free camera.
        draw: frame `[240, 320, 3]` uint8 of a row, for where OpenGL is missing.

    Attributes:
        models, datas: MuJoCo's model and data of each row; rows with equal dynamics share a model.
        steps: control steps since the episode began, int64 `[B]`.
        streams: the rows' random streams.
    """

    rebuilt: ClassVar[tuple[str, ...]] = ("models", "datas", "_views", "_batch", "_loop", "_renderers")
    waiting = "waiting_controls"

    def __init__(
        self,
        xml: str | Path,
        *,
        num_envs: int = 1,
        reset: Callable[[Row], None],
        observe: Callable[[Batch], Any],
        reward: Callable[[Batch, NDArray[Any]], Floats],
        terminated: Callable[[Batch], NDArray[np.bool_]],
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any] | None = None,
        control_dt_s: float,
        max_steps: int,
        variables: Mapping[str, Any] | None = None,
        streams: Sequence[str] = (),
        control: Callable[[Batch, NDArray[Any]], Floats] | None = None,
        force: Callable[[Batch], Floats] | None = None,
        advance: Callable[[Batch, NDArray[Any]], None] | None = None,
        held: Callable[[Batch], NDArray[np.bool_]] | None = None,
        info: Callable[[Batch], Mapping[str, NDArray[Any]]] | None = None,
        expert: Callable[[Batch], NDArray[Any]] | None = None,
        dynamics: Dynamics | None = None,
        scale: Scale = scale_model,
        render_mode: str | None = None,
        render_camera: str | int = -1,
        draw: Callable[[Row], NDArray[np.uint8]] | None = None,
    ) -> None:
        if not (is_number(control_dt_s) and control_dt_s > 0):
            raise NeuroctlError(f"control_dt_s is {shown(control_dt_s)}; allowed: seconds > 0")
        self.control_dt_s = control_dt_s
        self.metadata = {**self.metadata, "render_fps": round(1 / control_dt_s)}
        self._xml, self._scale, self._render_camera, self._draw = xml, scale, render_camera, draw
        self._reset, self._observe, self._reward, self._terminated = reset, observe, reward, terminated
        self._control, self._force, self._advance, self._held = control, force, advance, held
        self._info, self._expert = info, expert
        super().__init__(num_envs, max_steps, streams, dynamics, render_mode)
        self._set_spaces(observation_space, self._actions() if action_space is None else action_space)
        self._make_room((self.models[0].nu,), np.float64)
        self._defaults = {name: np.asarray(value) for name, value in (variables or {}).items()}
        self._variables = {
            name: np.repeat(value[None], self.num_envs, axis=0) for name, value in self._defaults.items()
        }

    def _build(self) -> None:
        """Compile the models and allocate everything that is not part of the state."""
        base = load_model(self._xml)
        self.models = build_models(base, self._dynamics, self._scale)
        self.datas = [mujoco.MjData(model) for model in self.models]
        self._views: dict[str, list[Floats]] = {}
        self._batch = Batch(self, np.arange(self.num_envs))
        self._loop = list(zip(self.models, self.datas, self.views("ctrl"), strict=True))
        self._renderers: dict[int, Any] = {}
        substeps = self.control_dt_s / base.opt.timestep
        if abs(substeps - round(substeps)) > 1e-6 or substeps < 0.5:
            raise NeuroctlError(
                f"control_dt_s {self.control_dt_s} is not a multiple of the model's timestep {base.opt.timestep}"
            )
        self._substeps = round(substeps)

    def _actions(self) -> gym.spaces.Box:
        """The actuators' `ctrlrange`."""
        base = self.models[0]
        if not base.actuator_ctrllimited.all():
            name = base.actuator(int(np.argmin(base.actuator_ctrllimited))).name
            raise NeuroctlError(f"actuator {name!r} has no ctrlrange; give it one, or pass action_space")
        low, high = base.actuator_ctrlrange.T.astype(np.float32)
        return gym.spaces.Box(low, high, dtype=np.float32)

    def views(self, field: str) -> list[Floats]:
        """MuJoCo's array `field` of every row, as views."""
        if field not in self._views:
            self._views[field] = [getattr(data, field) for data in self.datas]
        return self._views[field]

    def variable(self, name: str) -> NDArray[Any]:
        """The task variable `name` of all rows `[B, ...]`, to read or write in place."""
        if name not in self._variables:
            raise NeuroctlError(f"unknown task variable {name!r}; known: {', '.join(self._variables) or 'none'}")
        return self._variables[name]

    # Episodes

    def _start_row(self, b: int) -> None:
        mujoco.mj_resetData(self.models[b], self.datas[b])
        for name, value in self._defaults.items():
            self._variables[name][b] = value
        self._reset(Row(self, b))
        self._waiting[b] = self.datas[b].ctrl

    def _changed(self) -> None:
        self._batch.invalidate()

    def current_obs(self) -> Any:
        """The observation `[B, ...]` of the current state, as `reset` or `step` last returned it."""
        return self._observe(self._batch)

    def _said(self) -> dict[str, NDArray[Any]]:
        return self._said_of(self._batch)

    def _said_of(self, batch: Batch) -> dict[str, NDArray[Any]]:
        return {} if self._info is None else dict(self._info(batch))

    def _begun(self, rows: NDArray[np.intp]) -> tuple[Any, dict[str, NDArray[Any]]]:
        batch = Batch(self, rows)
        said = self._said_of(batch)
        return self._observe(batch), said

    def expert_action(self) -> NDArray[Any]:
        """Actions `[B, ...]` of the task's scripted controller, which sees the true state."""
        if self._expert is None:
            raise NeuroctlError(f"{type(self).__name__} has no expert")
        return self._expert(self._batch)

    # Steps

    def step(self, actions: NDArray[Any]) -> StepResult:
        """Advance every row by one control step.

        Args:
            actions: `[B, ...]`; values of a Box beyond its bounds are clipped.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
            NonFiniteError: a row's physics, controls or forces diverged: NaN, infinity or beyond 1e10.
        """
        self._require_begun("step")
        batch = self._batch
        action = checked_actions(actions, self.single_action_space, self.num_envs)
        controls = action if self._control is None else self._control(batch, action)
        held = None if self._held is None else self._held(batch)
        controls = self._delayed(np.asarray(controls, np.float64))
        # MuJoCo would set bad controls to 0 without an error.
        self._require_sane("controls", controls, self.steps + 1)
        if self._force is not None:
            self._apply(self._force(batch))
        self._simulate(controls, held)
        self.steps += 1
        batch.invalidate()
        self._require_sane("physics", batch.qpos, self.steps)
        self._require_sane("physics", batch.qvel, self.steps)
        if self._advance is not None:
            self._advance(batch, action)
        reward = np.asarray(self._reward(batch, action), np.float64)
        terminated = np.array(self._terminated(batch), np.bool_)
        return self._finish(self.current_obs(), reward, terminated, self._said())

    def _simulate(self, controls: Floats, held: NDArray[np.bool_] | None) -> None:
        substeps, step = self._substeps, mujoco.mj_step
        if held is None or not held.any():
            for (model, data, ctrl), values in zip(self._loop, controls, strict=True):
                ctrl[:] = values
                step(model, data, substeps)
            return
        for b in np.flatnonzero(~held).tolist():
            model, data, ctrl = self._loop[b]
            ctrl[:] = controls[b]
            step(model, data, substeps)

    def _apply(self, forces: Floats) -> None:
        forces = np.asarray(forces, np.float64)
        self._require_sane("forces", forces, self.steps + 1)
        for applied, values in zip(self.views("qfrc_applied"), forces, strict=True):
            applied[:] = values

    # State

    def _more_state(self, rows: NDArray[np.intp]) -> State:
        return {f"variable/{name}": value[rows] for name, value in self._variables.items()}

    def _unbounded(self) -> list[str]:
        floats = {name: value for name, value in self._defaults.items() if value.dtype.kind == "f"}
        return [f"variable/{name}" for name, value in floats.items() if not np.isfinite(value).all()]

    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        for name, value in self._variables.items():
            value[rows] = state[f"variable/{name}"]

    # Pictures

    def render(self) -> Any:
        """Frames `[B, 240, 320, 3]` uint8 from the model's camera `render_camera`, or as the task draws them.

        Raises:
            NeuroctlError: made without `render_mode="rgb_array"`, or OpenGL is missing and the task draws nothing.
        """
        try:
            return super().render()
        except NoOpenGLError:
            if self._draw is None:
                raise
            return np.stack([self._draw(Row(self, b)) for b in range(self.num_envs)])

    def _frame(self, b: int) -> NDArray[np.uint8]:
        model, data = self.models[b], self.datas[b]
        if id(model) not in self._renderers:
            self._renderers[id(model)] = open_renderer(model, 240, 320)
        # Not mj_forward: that would touch the solver's warm start, which is part of the state.
        for update in (mujoco.mj_kinematics, mujoco.mj_comPos, mujoco.mj_camlight):
            update(model, data)
        self._renderers[id(model)].update_scene(data, camera=self._render_camera)
        frame: NDArray[np.uint8] = self._renderers[id(model)].render()
        return frame

    def close_extras(self, **kwargs: Any) -> None:
        """Release renderers, models and data."""
        for renderer in self._renderers.values():
            if renderer is not None:
                renderer.close()
        # The task and its functions refer to each other: without this, megabytes wait for Python's cycle collector.
        self._batch.invalidate()
        for held in (self._renderers, self._views, self._loop, self.datas, self.models):
            held.clear()
