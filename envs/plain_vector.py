"""Tasks without a physics engine: rows whose whole state is a few arrays, and the last reward and action as inputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError

from .episode_vector import EpisodeVector, Floats, State, StepResult
from .plain_render import draw_inputs
from .vector_tools import array_of, checked_actions, require

Inputs = NDArray[np.float32]


class PlainVector(EpisodeVector):
    """B rows of a task whose state is arrays by name, which also offers the last reward and the last action as inputs.

    All that an episode draws is drawn when it begins, from the row's own stream: `draws` numbers in [0, 1).

    With `last_reward` the observation ends in the reward of the last step, as it is; with `last_action` in the last
    action as it arrived here, one-hot where actions are discrete. Both are 0 on the first observation of an episode.
    They are off by default, because they can tell what a task means to hide:

    - `last_action` is a memory outside the agent wherever actions do nothing. What an agent did, it sees in the next
      step: without any memory of its own it can keep a running parity (`NParity`, solved so), or carry one bit from
      the sample to the test (`NonMatch`, solved so for two symbols).
    - `last_reward` tells whether an answer was right, and with `last_action` which one was. In `Copy` its size tells
      how many bits of that value the pattern has; in `TMaze` it tells a bump from a step; in `Pendulum` it depends on
      the angle and the velocity before the step. In `CartPole` it is 1 in every step and tells nothing new.

    Args:
        num_envs: B.
        max_steps: control steps after which an episode is truncated.
        inputs: Box `[D]` of the task's own inputs.
        action: space of one row's action, Discrete (from 0) or a Box `[n]`.
        rewards: least and greatest reward of a step.
        variables: the task's state: name -> value of one row at first, of which `self.variables` has `[B, ...]`.
        ranges: least and greatest value that makes sense for some of these.
        draws: numbers that an episode needs.
        control_dt_s: length of a step.
        last_reward: whether the last reward is observed.
        last_action: whether the last action is observed.
        render_mode: None or `"rgb_array"`.
    """

    def __init__(
        self,
        num_envs: int,
        max_steps: int,
        *,
        inputs: gym.spaces.Box,
        action: gym.spaces.Discrete | gym.spaces.Box,
        rewards: tuple[float, float],
        variables: Mapping[str, Any],
        ranges: Mapping[str, tuple[float, float]],
        draws: int,
        control_dt_s: float,
        last_reward: bool,
        last_action: bool,
        render_mode: str | None,
    ) -> None:
        require("last_reward", last_reward, (True, False))
        require("last_action", last_action, (True, False))
        super().__init__(num_envs, max_steps, (), render_mode)
        self.control_dt_s = control_dt_s
        self.metadata = {**self.metadata, "render_fps": round(1 / control_dt_s)}
        self._inputs_space, self._ranges = inputs, dict(ranges)
        self._defaults = {name: np.asarray(value) for name, value in variables.items()}
        low, high = [inputs.low], [inputs.high]
        if last_reward:
            self._defaults["last_reward"] = np.zeros(1, np.float32)
            low.append(np.array(rewards[:1], np.float32))
            high.append(np.array(rewards[1:], np.float32))
        if last_action:
            bounds = _action_bounds(action)
            self._defaults["last_action"] = np.zeros(bounds[0].shape, np.float32)
            low.append(bounds[0])
            high.append(bounds[1])
        self._set_spaces(gym.spaces.Box(np.concatenate(low), np.concatenate(high), dtype=np.float32), action)
        self.variables = {name: np.repeat(value[None], self.num_envs, axis=0) for name, value in self._defaults.items()}
        self._drawn = np.zeros((self.num_envs, draws))

    def _build(self) -> None:
        """Nothing: the arrays are all there is."""

    # What subclasses say

    @abstractmethod
    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        """Begin episodes in `rows` with the numbers `drawn` `[len(rows), draws]`; variables have their first values."""

    @abstractmethod
    def _inputs(self, rows: NDArray[np.intp]) -> Inputs:
        """The task's own inputs `[len(rows), D]`, a new array."""

    @abstractmethod
    def _act(self, action: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Carry out actions `[B, ...]`, of which `steps` is the number so far: rewards and which episodes are over."""

    @abstractmethod
    def _figures(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        """What is said of `rows`, new arrays `[len(rows)]`."""

    # Episodes

    def _start_row(self, b: int) -> None:
        self._drawn[b] = self.streams["reset", b].random(self._drawn.shape[1])

    def _start(self, rows: NDArray[np.intp]) -> None:
        super()._start(rows)
        for name, value in self._defaults.items():
            self.variables[name][rows] = value
        self._begin(rows, self._drawn[rows])

    def current_obs(self) -> Inputs:
        """The observation `[B, D]` of the current state, as `reset` or `step` last returned it."""
        return self._observe(np.arange(self.num_envs))

    def _observe(self, rows: NDArray[np.intp]) -> Inputs:
        extra = [self.variables[name][rows] for name in ("last_reward", "last_action") if name in self.variables]
        inputs = self._inputs(rows)
        return np.concatenate([inputs, *extra], axis=1) if extra else inputs

    def _said(self) -> dict[str, NDArray[Any]]:
        return self._figures(np.arange(self.num_envs))

    def _begun(self, rows: NDArray[np.intp]) -> tuple[Inputs, dict[str, NDArray[Any]]]:
        return self._observe(rows), self._figures(rows)

    def step(self, actions: Any) -> StepResult:
        """Advance every row by one step.

        Args:
            actions: `[B]` where they are discrete, else `[B, n]`, of which values beyond the bounds are clipped.

        Raises:
            NeuroctlError: wrong shape, type or value, or no reset before.
        """
        self._require_begun("step")
        action = checked_actions(actions, self.single_action_space, self.num_envs)
        reward, terminated = self._act(action)
        self.steps += 1
        if "last_reward" in self.variables:
            self.variables["last_reward"][:, 0] = reward
        if "last_action" in self.variables:
            self.variables["last_action"][:] = self._coded(action)
        return self._finish(self.current_obs(), reward, terminated, self._said())

    def _coded(self, action: NDArray[Any]) -> NDArray[Any]:
        """Actions `[B, ...]` as inputs `[B, n]`: one-hot where they are discrete."""
        space = self.single_action_space
        return action[:, None] == np.arange(space.n) if isinstance(space, gym.spaces.Discrete) else action

    # State

    def _more_state(self, rows: NDArray[np.intp]) -> State:
        return {f"variable/{name}": value[rows] for name, value in self.variables.items()}

    def set_state(self, rows: Sequence[int] | NDArray[np.intp] | None, state: Mapping[str, NDArray[Any]]) -> None:
        """Put back what `get_state` returned, into `rows` (all where None).

        Raises:
            NeuroctlError: see `EpisodeVector.set_state`; nothing has changed.
        """
        for name, (low, high) in self._ranges.items() if isinstance(state, Mapping) else ():
            given = array_of(state.get(f"variable/{name}", low))
            if given is not None and given.dtype.kind in "iuf" and ((given < low) | (given > high)).any():
                wrong = given[(given < low) | (given > high)].flat[0]
                raise NeuroctlError(
                    f"environment state 'variable/{name}' holds {shown(wrong.item())}; allowed: {low:g} to {high:g}"
                )
        super().set_state(rows, state)

    def _put_more(self, rows: NDArray[np.intp], state: Mapping[str, NDArray[Any]]) -> None:
        for name, value in self.variables.items():
            value[rows] = state[f"variable/{name}"]

    def model_hash(self) -> str:
        """Empty: there is no compiled model."""
        return ""

    # Pictures

    def _frame(self, b: int) -> NDArray[np.uint8]:
        """The inputs of row b, one bar each."""
        space = self._inputs_space
        return draw_inputs(self._inputs(np.array([b]))[0], space.low, space.high)


def _action_bounds(space: gym.spaces.Discrete | gym.spaces.Box) -> tuple[Inputs, Inputs]:
    """Least and greatest values `[n]` of an action as inputs."""
    if isinstance(space, gym.spaces.Discrete):
        return np.zeros(int(space.n), np.float32), np.ones(int(space.n), np.float32)
    return space.low.astype(np.float32), space.high.astype(np.float32)
