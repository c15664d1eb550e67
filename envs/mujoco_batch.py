"""What the functions of a task see of the simulation: all rows at once (`Batch`) or one row at its reset (`Row`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError

if TYPE_CHECKING:
    from .mujoco_task import MujocoTask

Floats = NDArray[np.float64]
T = TypeVar("T")

KINEMATIC_FIELDS = (
    *("xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis"),
    *("geom_xpos", "geom_xmat", "site_xpos", "site_xmat"),
)


class Batch:
    """Read access to rows of a `MujocoTask`, as arrays `[n, ...]` with n rows.

    Observation, reward and termination may depend on nothing but what stands here: the integration state, poses
    computed from it when they are read, and task variables. So a restored state gives back the same bits.

    Attributes:
        rows: index of each row in the vector environment, `[n]`.
    """

    def __init__(self, task: MujocoTask, rows: NDArray[np.intp]) -> None:
        self._task = task
        self.rows = rows
        self._whole = len(rows) == task.num_envs
        self._cache: dict[str, Any] = {}
        self._kept: dict[Any, Any] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def invalidate(self) -> None:
        """Forget what was gathered or computed; the task calls this whenever the state has changed."""
        self._cache.clear()

    def cached(self, name: str, compute: Callable[[Batch], T]) -> T:
        """The result of `compute(self)`, kept under `name` until the state changes."""
        if name not in self._cache:
            self._cache[name] = compute(self)
        value: T = self._cache[name]
        return value

    def kept(self, key: object, compute: Callable[[Batch], T]) -> T:
        """The result of `compute(self)`, kept under `key` for good if it is of all rows, for views of their variables.

        Those stay where they are; of some of the rows, a batch gives copies.
        """
        if not self._whole:
            return compute(self)
        if key not in self._kept:
            self._kept[key] = compute(self)
        value: T = self._kept[key]
        return value

    def _field(self, name: str) -> Floats:
        """MuJoCo's array `name` of the rows `[n, ...]`, kept until the state changes."""
        if name not in self._cache:
            self._cache[name] = self._gather(name)
        field: Floats = self._cache[name]
        return field

    def _gather(self, name: str) -> Floats:
        views = self._task.views(name)
        parts = views if self._whole else [views[b] for b in self.rows.tolist()]
        return np.concatenate(parts).reshape(len(parts), *views[0].shape)

    @property
    def qpos(self) -> Floats:
        """Joint positions `[n, nq]`, m or rad."""
        return self._field("qpos")

    @property
    def qvel(self) -> Floats:
        """Joint velocities `[n, nv]`, m/s or rad/s."""
        return self._field("qvel")

    @property
    def act(self) -> Floats:
        """Actuator activations `[n, na]`."""
        return self._field("act")

    @property
    def ctrl(self) -> Floats:
        """Controls that acted in the last step `[n, nu]`."""
        return self._field("ctrl")

    @property
    def steps(self) -> NDArray[np.int64]:
        """Control steps since the episode began `[n]`."""
        return self._task.steps[self.rows]

    def kinematic(self, name: str) -> Floats:
        """A pose field such as `"site_xpos"`, `[n, ...]`, computed from `qpos` now.

        Raises:
            NeuroctlError: the field is not a function of `qpos` alone.
        """
        if name not in KINEMATIC_FIELDS:
            raise NeuroctlError(f"field {name!r} cannot be read; allowed: {', '.join(KINEMATIC_FIELDS)}")
        self.cached("kinematics", Batch._update_kinematics)
        return self._field(name)

    def _update_kinematics(self) -> bool:
        for b in self.rows.tolist():
            mujoco.mj_kinematics(self._task.models[b], self._task.datas[b])
        return True

    @property
    def site_xpos(self) -> Floats:
        """Site positions in the world `[n, nsite, 3]`, m."""
        return self.kinematic("site_xpos")

    @property
    def xpos(self) -> Floats:
        """Body positions in the world `[n, nbody, 3]`, m."""
        return self.kinematic("xpos")

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The task variable `name`, `[n, ...]`."""
        values = self._task.variable(name)
        return values if self._whole else values[self.rows]

    def __setitem__(self, name: str, value: NDArray[Any] | float) -> None:
        self._task.variable(name)[slice(None) if self._whole else self.rows] = value

    def stream(self, name: str, index: int) -> np.random.Generator:
        """The random stream `name` of the row at position `index` of this batch."""
        return self._task.streams[name, int(self.rows[index])]


class Row:
    """Write access to one row while it is reset.

    Attributes:
        index: row in the vector environment.
        qpos, qvel, act, ctrl: the row's arrays, to be written in place; zero or the model's `qpos0` at first. `ctrl`
            is what acts until the first delayed action arrives.
        model: the row's compiled model.
    """

    def __init__(self, task: MujocoTask, index: int) -> None:
        self._task = task
        self.index = index
        data = task.datas[index]
        self.model = task.models[index]
        self.qpos: Floats = data.qpos
        self.qvel: Floats = data.qvel
        self.act: Floats = data.act
        self.ctrl: Floats = data.ctrl

    @property
    def rng(self) -> np.random.Generator:
        """The row's stream for resets, keyed by its seed and episode."""
        return self._task.streams["reset", self.index]

    def stream(self, name: str) -> np.random.Generator:
        """The row's random stream `name`."""
        return self._task.streams[name, self.index]

    def __getitem__(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._task.variable(name)[self.index]
        return values

    def __setitem__(self, name: str, value: NDArray[Any] | float) -> None:
        self._task.variable(name)[self.index] = value
