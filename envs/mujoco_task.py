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
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.streams import STATE_WORDS, EpisodeStreams

from .dynamics import Dynamics, Scale, build_models, dynamics_table, hash_models, load_model, scale_model
from .mujoco_batch import Batch, Floats, Row
from .opengl import open_renderer
from .single_env import SingleEnv
from .vector_tools import checked_actions, checked_count, checked_rows, replaced, reset_rows

__all__ = ["Batch", "MujocoTask", "Row", "SingleEnv"]

State = dict[str, NDArray[Any]]
_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
_LIMIT = 1e10
"""Where MuJoCo too begins to call a number bad (mjMAXVAL)."""
_REBUILT = ("models", "datas", "_views", "_batch", "_loop", "_renderers")


class MujocoTask(gym.vector.VectorEnv[Any, Any, Any]):
    """B copies of a robot that step together.

    Autoreset is SAME_STEP: where an episode ends, the returned observation is the first of the next one, the last one
    is in `info["final_obs"]` (dense, valid where `info["_final_obs"]`), its info in `info["final_info"]`.

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
        variables: task variables (targets, timers): name -> value of one row at first. They are part of the state.
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

    Attributes:
        models, datas: MuJoCo's model and data of each row; rows with equal dynamics share a model.
        steps: control steps since the episode began, int64 `[B]`.
        streams: the rows' random streams.
    """

    metadata: dict[str, Any] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 50,
    }

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
    ) -> None:
        num_envs, max_steps = checked_count("num_envs", num_envs), checked_count("max_steps", max_steps)
        if not (np.isfinite(control_dt_s) and control_dt_s > 0):
            raise NeuroctlError(f"control_dt_s is {control_dt_s}; allowed: seconds > 0")
        if render_mode not in (None, "rgb_array"):
            raise NeuroctlError(f"unknown render_mode {render_mode!r}; allowed: None, 'rgb_array'")
        self.num_envs, self.max_steps, self.control_dt_s = num_envs, max_steps, control_dt_s
        self.render_mode, self._render_camera = render_mode, render_camera
        self.metadata = {**self.metadata, "render_fps": round(1 / control_dt_s)}
        self._xml, self._scale = xml, scale
        self._reset, self._observe, self._reward, self._terminated = reset, observe, reward, terminated
        self._control, self._force, self._advance, self._held = control, force, advance, held
        self._info, self._expert = info, expert
        self._dynamics = dynamics_table(dynamics, num_envs)
        self.streams = EpisodeStreams(num_envs, ("reset", *streams))
        self.steps = np.zeros(num_envs, np.int64)
        self._build()
        self._set_spaces(observation_space, action_space)
        self._defaults = {name: np.asarray(value) for name, value in (variables or {}).items()}
        self._variables = {name: np.repeat(value[None], num_envs, axis=0) for name, value in self._defaults.items()}
        self._delays = np.array([int(row["action_delay"]) for row in self._dynamics])
        self._waiting = np.zeros((num_envs, int(self._delays.max()), self.models[0].nu))

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

    def _set_spaces(self, observation: gym.Space[Any], action: gym.Space[Any] | None) -> None:
        if action is None:
            base = self.models[0]
            if not base.actuator_ctrllimited.all():
                name = base.actuator(int(np.argmin(base.actuator_ctrllimited))).name
                raise NeuroctlError(f"actuator {name!r} has no ctrlrange; give it one, or pass action_space")
            low, high = base.actuator_ctrlrange.T.astype(np.float32)
            action = gym.spaces.Box(low, high, dtype=np.float32)
        self.single_observation_space, self.single_action_space = observation, action
        self.observation_space = batch_space(observation, self.num_envs)
        self.action_space = batch_space(action, self.num_envs)

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

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
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
            mujoco.mj_resetData(self.models[b], self.datas[b])
            for name, value in self._defaults.items():
                self._variables[name][b] = value
            self._reset(Row(self, b))
            self._waiting[b] = self.datas[b].ctrl
        self.steps[rows] = 0
        self._batch.invalidate()

    def current_obs(self) -> Any:
        """The observation `[B, ...]` of the current state, as `reset` or `step` last returned it."""
        return self._observe(self._batch)

    def current_info(self) -> dict[str, Any]:
        """The info of the current state."""
        return self._info_of(self._batch)

    def _info_of(self, batch: Batch) -> dict[str, Any]:
        if self._info is None:
            return {}
        info: dict[str, Any] = dict(self._info(batch))
        return info | {f"_{name}": np.ones(len(batch), np.bool_) for name in info}

    def expert_action(self) -> NDArray[Any]:
        """Actions `[B, ...]` of the task's scripted controller, which sees the true state."""
        if self._expert is None:
            raise NeuroctlError(f"{type(self).__name__} has no expert")
        return self._expert(self._batch)

    # Steps

    def step(self, actions: NDArray[Any]) -> tuple[Any, Floats, NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
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
        truncated = (self.steps >= self.max_steps) & ~terminated
        obs, info = self.current_obs(), self.current_info()
        if (done := terminated | truncated).any():
            obs, info = self._autoreset(obs, info, done)
        return obs, reward, terminated, truncated, info

    def _delayed(self, controls: Floats) -> Floats:
        """The controls that act now; row b's are those of `delay[b]` steps ago."""
        if self._waiting.shape[1] == 0:
            return controls
        queue = np.concatenate([self._waiting, controls[:, None]], axis=1)
        self._waiting = queue[:, 1:].copy()
        now: Floats = queue[np.arange(self.num_envs), queue.shape[1] - 1 - self._delays]
        return now

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
        self._require_sane("forces", forces, self.steps + 1)
        for applied, values in zip(self.views("qfrc_applied"), forces, strict=True):
            applied[:] = values

    @staticmethod
    def _require_sane(what: str, values: Floats, steps: NDArray[np.int64]) -> None:
        sane = np.abs(values) <= _LIMIT
        if not sane.all():
            row = int(np.argmin(sane.all(axis=1)))
            raise NonFiniteError(
                f"{what} of row {row} diverged (NaN, infinity or beyond 1e10) at step {int(steps[row])} of its episode"
            )

    def _autoreset(self, obs: Any, info: dict[str, Any], done: NDArray[np.bool_]) -> tuple[Any, dict[str, Any]]:
        rows = np.flatnonzero(done)
        self.streams.advance(rows)
        self._start(rows)
        begun = Batch(self, rows)
        next_info: dict[str, Any] = {
            name: replaced(value, rows, new)
            for (name, value), new in zip(info.items(), self._info_of(begun).values(), strict=True)
        }
        next_info = next_info | {
            "final_obs": obs,
            "_final_obs": done.copy(),
            "final_info": info,
            "_final_info": done.copy(),
        }
        first = self._observe(begun)
        if isinstance(obs, dict):
            return {key: replaced(value, rows, first[key]) for key, value in obs.items()}, next_info
        return replaced(obs, rows, first), next_info

    # State

    def get_state(self, rows: Sequence[int] | NDArray[np.intp] | None = None) -> State:
        """Everything the next steps depend on, each array `[len(rows), ...]`; all rows by default.

        Raises:
            NeuroctlError: no episode has begun, or a row does not exist.
        """
        self._require_begun("get_state")
        index = self._rows(rows)
        streams = self.streams.get_state(index)
        return self._physics_state(index) | {f"stream/{name}": value for name, value in streams.items()}

    def _physics_state(self, index: NDArray[np.intp]) -> State:
        """The state without random streams."""
        physics = np.zeros((len(index), mujoco.mj_stateSize(self.models[0], _INTEGRATION)))
        for i, b in enumerate(index.tolist()):
            mujoco.mj_getState(self.models[b], self.datas[b], physics[i], _INTEGRATION)
        state: State = {
            "mujoco": physics,
            "steps": self.steps[index],
            "waiting_controls": self._waiting[index],
        }
        return state | {f"variable/{name}": value[index] for name, value in self._variables.items()}

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned, into `rows` (all where None).

        Raises:
            NeuroctlError: a row does not exist, or an array is missing, has another shape or is not finite.
        """
        index = self._rows(rows)
        streams = {name: f"stream/{name}" for name in ("seeds", "episodes", *self.streams.names)}
        shapes = {name: value.shape for name, value in self._physics_state(index).items()}
        shapes |= {
            key: (len(index), *((STATE_WORDS,) if name in self.streams.names else ())) for name, key in streams.items()
        }
        for key, shape in shapes.items():
            if key not in state or np.shape(state[key]) != shape:
                found = np.shape(state[key]) if key in state else "nothing"
                raise NeuroctlError(f"environment state {key!r}: expected shape {shape}, found {found}")
        for key in ("mujoco", "waiting_controls"):
            if np.asarray(state[key]).dtype.kind not in "fiu" or not np.isfinite(state[key]).all():
                raise NeuroctlError(f"environment state {key!r} holds values that are not finite numbers")
        for i, b in enumerate(index.tolist()):
            mujoco.mj_setState(self.models[b], self.datas[b], state["mujoco"][i].astype(np.float64), _INTEGRATION)
        self.steps[index], self._waiting[index] = state["steps"], state["waiting_controls"]
        for name, value in self._variables.items():
            value[index] = state[f"variable/{name}"]
        self.streams.set_state(index, {name: state[key] for name, key in streams.items()})
        self._batch.invalidate()

    def _require_begun(self, call: str) -> None:
        if self.closed:
            raise NeuroctlError(f"{call}() after close(): make the environment again")
        if (self.streams.episodes < 0).any():
            raise NeuroctlError(f"{call}() before reset(): start the episodes with reset(seed=...)")

    def _rows(self, rows: Sequence[int] | NDArray[np.intp] | None) -> NDArray[np.intp]:
        return checked_rows(rows, self.num_envs)

    def model_hash(self) -> str:
        """sha256 of the compiled models and delays, for recordings."""
        return hash_models(self.models, self._delays)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in _REBUILT}
        return kept | {"_packed": self._physics_state(self._rows(None))["mujoco"]}

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        packed = attributes.pop("_packed")
        self.__dict__.update(attributes)
        self._build()
        for model, data, state in zip(self.models, self.datas, packed, strict=True):
            mujoco.mj_setState(model, data, state, _INTEGRATION)

    # Pictures

    def render(self) -> Any:
        """Frames `[B, 240, 320, 3]` uint8 from the model's camera `render_camera`.

        Raises:
            NeuroctlError: made without `render_mode="rgb_array"`, or OpenGL is missing.
        """
        if self.render_mode is None:
            raise NeuroctlError("nothing is rendered; make the environment with render_mode='rgb_array'")
        return np.stack([self._frame(model, data) for model, data in zip(self.models, self.datas, strict=True)])

    def _frame(self, model: Any, data: Any) -> NDArray[np.uint8]:
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
