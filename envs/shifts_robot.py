"""Shifts of actions and of the robot itself. Severity 1 is mild, 5 severe; 0 changes no bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown_space
from neuroctl.errors import NeuroctlError
from neuroctl.shift import Kind, Shift
from neuroctl.vector import make_env

from .dynamics import MULTIPLIERS, changes
from .shift_wrapper import Leaves, ShiftWrapper


class ActionNoise(ShiftWrapper):
    """White noise is added to the action; the level is its standard deviation in units of half the action's range."""

    name = "action-noise"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """A bounded Box of floats is needed."""
        if (
            isinstance(action_space, gym.spaces.Box)
            and action_space.is_bounded()
            and np.dtype(action_space.dtype).kind == "f"
        ):
            return None
        return f"it needs actions in a bounded Box of floats, not {shown_space(action_space)}"

    def perturb_action(self, action: NDArray[Any]) -> NDArray[Any]:
        """Actions `[B, ...]` with noise, within their space."""
        space: Any = self.single_action_space
        if action.shape != (self.num_envs, *space.shape) or action.dtype.kind not in "fiu":
            return action  # the environment names the mistake
        noisy = action + self.value * self.draws() * (space.high - space.low) / 2
        clipped: NDArray[Any] = np.clip(noisy, space.low, space.high).astype(space.dtype)
        return clipped

    def draws(self) -> NDArray[np.float64]:
        """What is added in this step, in units of the level, `[B, ...]`."""
        shape = self.single_action_space.shape
        return np.stack([self.rng(b).standard_normal(shape) for b in range(self.num_envs)])

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations, unchanged."""
        return {name: value.copy() for name, value in obs.items()}


class ActionBias(ActionNoise):
    """Actuators are off their zero: the level, in units of half the action's range, is added to or taken from each.

    The signs are drawn once per episode from the shift's stream.
    """

    name = "action-bias"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env, severity)
        self._signs = np.ones((self.num_envs, *(self.single_action_space.shape or ())))

    def memory(self) -> Leaves:
        """The signs `[B, ...]`."""
        return {"signs": self._signs} if self.severity else {}

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """Draw new signs for `rows`."""
        for b in rows.tolist():
            self._signs[b] = np.where(self.rng(b).random(self._signs.shape[1:]) < 0.5, -1.0, 1.0)

    def draws(self) -> NDArray[np.float64]:
        """The signs."""
        return self._signs


class DynamicsShift(Shift):
    """Sets one value of the environment's option `dynamics` to the level; see `neuroctl.envs.dynamics`."""

    kind: ClassVar[Kind] = "dynamics"
    key: ClassVar[str]
    """Which value of `dynamics`."""

    @classmethod
    def fits_options(cls, env_id: str, options: Mapping[str, Any]) -> str | None:
        """A factor must change something in the robot's compiled model, see `neuroctl.envs.dynamics.changes`."""
        if cls.key not in MULTIPLIERS:
            return None
        try:
            env = make_env(env_id, 2, {**options, "dynamics": {cls.key: [1.0, cls.levels[-1]]}})
        except NeuroctlError:
            return None  # whoever makes the environment names the mistake
        models = getattr(env.unwrapped, "models", None)
        idle = models is not None and not changes(*models)
        env.close()
        return f"a factor of {cls.key} changes nothing in this robot" if idle else None

    @classmethod
    def dynamics(cls, severity: int) -> dict[str, float]:
        """`{key: level}`."""
        return {cls.key: cls.level(severity)} if severity else {}


class ActionDelay(DynamicsShift):
    """Actions act as many control steps late as the level says; two delays add up."""

    name = "action-delay"
    key = "action_delay"
    levels = (0, 1, 3, 6, 9, 12)

    @classmethod
    def combined(cls, given: Any, value: float) -> Any:
        """Delays add up."""
        return np.asarray(given) + value


class Friction(DynamicsShift):
    """Tyre or contact friction is multiplied by the level."""

    name = key = "friction"
    levels = (1.0, 0.6, 0.35, 0.2, 0.13, 0.09)


class Gain(DynamicsShift):
    """The response of actuators is multiplied by the level; in lane following, that of the steering."""

    name = key = "gain"
    levels = (1.0, 0.85, 0.7, 0.55, 0.4, 0.3)


class Mass(DynamicsShift):
    """Masses and inertias are multiplied by the level."""

    name = key = "mass"
    levels = (1.0, 1.5, 2.5, 4.0, 6.5, 10.0)


class Damping(DynamicsShift):
    """The damping of joints is multiplied by the level."""

    name = key = "damping"
    levels = (1.0, 1.5, 2.5, 4.0, 7.0, 12.0)
