"""What our robots in MuJoCo share: models and their dynamics, action delays, the integration state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer
from neuroctl.errors import NonFiniteError
from neuroctl.finite import all_bounded

from .dynamics import LIMIT, Dynamics, dynamics_table, hash_models
from .episode_vector import MOST_ROWS, EpisodeVector, State

INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION


class PhysicsVector(EpisodeVector):
    """An `EpisodeVector` whose rows are simulated by MuJoCo.

    Args:
        num_envs: B.
        max_steps: control steps after which an episode is truncated.
        streams: names of further random streams beside `"reset"`.
        dynamics: see `Dynamics`.
        render_mode: None or `"rgb_array"`.

    Attributes:
        models, datas: MuJoCo's model and data of each row.
    """

    rebuilt: ClassVar[tuple[str, ...]] = ("models", "datas")
    waiting: ClassVar[str]
    """Name, in the state, of what waits because of action delays."""

    models: list[Any]
    datas: list[Any]

    def __init__(
        self, num_envs: int, max_steps: int, streams: Sequence[str], dynamics: Dynamics | None, render_mode: str | None
    ) -> None:
        self._dynamics = dynamics_table(dynamics, checked_integer("num_envs", num_envs, 1, MOST_ROWS))
        self._delays = np.array([int(row["action_delay"]) for row in self._dynamics])
        super().__init__(num_envs, max_steps, streams, render_mode)

    def _make_room(self, shape: tuple[int, ...], dtype: Any) -> None:
        """For what waits because of action delays, of this shape in each step of a row."""
        self._waiting = np.zeros((self.num_envs, int(self._delays.max()), *shape), dtype)

    def _delayed(self, values: NDArray[Any]) -> NDArray[Any]:
        """The controls or actions `[B, ...]` that act now; row b's are those of `delay[b]` steps ago."""
        if self._waiting.shape[1] == 0:
            return values
        queue = np.concatenate([self._waiting, values[:, None]], axis=1)
        self._waiting = queue[:, 1:].copy()
        now: NDArray[Any] = queue[np.arange(self.num_envs), queue.shape[1] - 1 - self._delays]
        return now

    def _state(self, index: NDArray[np.intp]) -> State:
        physics = np.zeros((len(index), mujoco.mj_stateSize(self.models[0], INTEGRATION)))
        for i, b in enumerate(index.tolist()):
            mujoco.mj_getState(self.models[b], self.datas[b], physics[i], INTEGRATION)
        return {"mujoco": physics, self.waiting: self._waiting[index], **super()._state(index)}

    def _put(self, index: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        for i, b in enumerate(index.tolist()):
            mujoco.mj_setState(self.models[b], self.datas[b], state["mujoco"][i].astype(np.float64), INTEGRATION)
        self._waiting[index] = state[self.waiting]
        super()._put(index, state)

    def model_hash(self) -> str:
        """sha256 of the compiled models and delays, for recordings."""
        return hash_models(self.models, self._delays)

    @staticmethod
    def _require_sane(what: str, values: NDArray[Any], steps: NDArray[np.int64]) -> None:
        """Refuse numbers `[B, n]` that MuJoCo would take for bad ones, in control steps `steps` `[B]`."""
        if not all_bounded(values, LIMIT):
            row = int(np.argmin((np.abs(values) <= LIMIT).all(axis=1)))
            raise NonFiniteError(
                f"{what} of row {row} diverged (NaN, infinity or beyond 1e10) at step {int(steps[row])} of its episode"
            )
