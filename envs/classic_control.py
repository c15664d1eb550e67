"""Gymnasium's CartPole-v1 and Pendulum-v1 under the contract of our own environments, with or without velocities.

The equations, constants, rewards and starts are those of Gymnasium, in compiled loops: observations agree to rounding,
many times faster than one Python environment per row. As in `neuroctl.envs.gymnasium_tasks`, `observe_velocity=False`
leaves the velocities out: entries 1 and 3 of CartPole, entry 2 of Pendulum.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numba import njit
from numpy.typing import NDArray

from .episode_vector import Floats
from .plain_render import INK, blank, draw_rod
from .plain_vector import Inputs, PlainVector
from .single_env import SingleEnv
from .vector_tools import require

GRAVITY, CART_KG, POLE_KG, HALF_POLE_M, FORCE_N, CART_DT_S = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MOST_X_M, MOST_TILT_RAD = 2.4, 12 * 2 * np.pi / 360
"""Beyond which CartPole is over."""
PENDULUM_G, MAX_SPEED, MAX_TORQUE, PENDULUM_DT_S = 10.0, 8.0, 2.0, 0.05
UPRIGHT_RAD = 0.2
"""The pendulum counts as upright up to this angle."""


class CartPoleVector(PlainVector):
    """B carts with poles; see `CartPole`.

    Args:
        num_envs: B.
        observe_velocity: whether the velocities of cart and pole are observed.
        max_steps: control steps of 20 ms after which an episode is truncated.
        last_reward: whether the last reward is observed; see `PlainVector` for what it tells.
        last_action: whether the last action is observed; likewise.
        render_mode: None or `"rgb_array"`.

    Attributes:
        variables: state of the rows: `state` `[B, 4]`, position (m), velocity (m/s), angle (rad) and its velocity
            (rad/s).
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        observe_velocity: bool = True,
        max_steps: int = 500,
        last_reward: bool = False,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        require("observe_velocity", observe_velocity, (True, False))
        self._kept = [0, 1, 2, 3] if observe_velocity else [0, 2]
        high = np.array([2 * MOST_X_M, np.inf, 2 * MOST_TILT_RAD, np.inf], np.float32)[self._kept]
        super().__init__(
            num_envs,
            max_steps,
            inputs=gym.spaces.Box(-high, high, dtype=np.float32),
            action=gym.spaces.Discrete(2),
            rewards=(0.0, 1.0),
            variables={"state": np.zeros(4)},
            ranges={},
            draws=4,
            control_dt_s=CART_DT_S,
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        self.variables["state"][rows] = -0.05 + 0.1 * drawn

    def _inputs(self, rows: NDArray[np.intp]) -> Inputs:
        return self.variables["state"][rows][:, self._kept].astype(np.float32)

    def _act(self, action: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        state = self.variables["state"]
        move_cart(state, action)
        return np.ones(self.num_envs), _fallen(state)

    def expert_action(self) -> NDArray[np.int64]:
        """A push `[B]` to the side to which the pole falls, by linear feedback of the whole state."""
        x, x_dot, angle, angle_dot = self.variables["state"].T
        right: NDArray[np.int64] = (angle + 0.3 * angle_dot + 0.05 * x + 0.1 * x_dot > 0).astype(np.int64)
        return right

    def _figures(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        state = self.variables["state"][rows]
        lasted = (self.steps[rows] >= self.max_steps) & ~_fallen(state)
        return {"success": lasted, "position_m": state[:, 0].copy(), "angle_rad": state[:, 2].copy()}

    def _frame(self, b: int) -> NDArray[np.uint8]:
        frame, (x, _, angle, _) = blank(), self.variables["state"][b]
        base = 160 / MOST_X_M * float(x), -60.0
        frame[181] = INK
        draw_rod(frame, (base[0] - 20, base[1]), (base[0] + 20, base[1]), 10)
        draw_rod(frame, base, (base[0] + 120 * float(np.sin(angle)), base[1] + 120 * float(np.cos(angle))), 4)
        return frame


class PendulumVector(PlainVector):
    """B pendulums; see `Pendulum`.

    Args:
        num_envs: B.
        observe_velocity: whether the angular velocity is observed.
        max_steps: control steps of 50 ms after which an episode is truncated.
        last_reward: whether the last reward is observed; see `PlainVector` for what it tells.
        last_action: whether the last action is observed; likewise.
        render_mode: None or `"rgb_array"`.

    Attributes:
        variables: state of the rows: `state` `[B, 2]`, angle from upright (rad, not wrapped) and its velocity (rad/s);
            `upright_steps` `[B]`, in which the pendulum ended upright.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        observe_velocity: bool = True,
        max_steps: int = 200,
        last_reward: bool = False,
        last_action: bool = False,
        render_mode: str | None = None,
    ) -> None:
        require("observe_velocity", observe_velocity, (True, False))
        high = np.array([1, 1, MAX_SPEED][: 3 if observe_velocity else 2], np.float32)
        most = np.pi**2 + 0.1 * MAX_SPEED**2 + 0.001 * MAX_TORQUE**2
        super().__init__(
            num_envs,
            max_steps,
            inputs=gym.spaces.Box(-high, high, dtype=np.float32),
            action=gym.spaces.Box(-np.float32(MAX_TORQUE), np.float32(MAX_TORQUE), (1,), np.float32),
            rewards=(-most, 0.0),
            variables={"state": np.zeros(2), "upright_steps": np.int64(0)},
            ranges={"upright_steps": (0, 2**62)},
            draws=2,
            control_dt_s=PENDULUM_DT_S,
            last_reward=last_reward,
            last_action=last_action,
            render_mode=render_mode,
        )

    def _begin(self, rows: NDArray[np.intp], drawn: Floats) -> None:
        self.variables["state"][rows] = (2 * drawn - 1) * (np.pi, 1.0)

    def _inputs(self, rows: NDArray[np.intp]) -> Inputs:
        seen: Inputs = see_pendulum(self.variables["state"][rows])
        return seen[:, : self._inputs_space.shape[0]].copy()

    def _act(self, action: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        v, reward = self.variables, np.empty(self.num_envs)
        move_pendulum(v["state"], v["upright_steps"], action.astype(np.float64)[:, 0], reward)
        return reward, np.zeros(self.num_envs, np.bool_)

    def expert_action(self) -> NDArray[np.float32]:
        """Torques `[B, 1]`: energy is pumped until the pendulum is near the top, where its angle is controlled."""
        torque: NDArray[np.float32] = swing_up(self.variables["state"])
        return torque

    def _figures(self, rows: NDArray[np.intp]) -> dict[str, NDArray[Any]]:
        angle = wrapped(self.variables["state"][rows, 0])
        upright_s = self.variables["upright_steps"][rows] * PENDULUM_DT_S
        return {"success": np.abs(angle) <= UPRIGHT_RAD, "angle_rad": angle, "upright_s": upright_s}

    def _frame(self, b: int) -> NDArray[np.uint8]:
        frame, angle = blank(), float(self.variables["state"][b, 0])
        draw_rod(frame, (0.0, 0.0), (-100 * float(np.sin(angle)), 100 * float(np.cos(angle))), 8)
        return frame


class CartPole(SingleEnv):
    """Gymnasium's CartPole-v1; the arguments are those of `CartPoleVector` without `num_envs`.

    The cart is pushed to the left (0) or right (1) with 10 N for 20 ms. The reward is 1 in every step; the episode ends
    when the cart is more than 2.4 m off the middle or the pole tilts by more than 12 degrees. Observation `[4]`:
    position, velocity, angle, angular velocity (m, rad, s); `[2]` without velocities, which an agent must then remember
    positions to know.

    Info: `success`, whether the pole stood until `max_steps`; `position_m` and `angle_rad`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(CartPoleVector, **kwargs)


class Pendulum(SingleEnv):
    """Gymnasium's Pendulum-v1; the arguments are those of `PendulumVector` without `num_envs`.

    The action is a torque of up to 2 N m, held for 50 ms, too weak to lift the pendulum at once. The reward of a step
    is `-(angle^2 + 0.1 velocity^2 + 0.001 torque^2)`, with angle (0 is upright) and velocity before it. Observation
    `[3]`: cosine and sine of the angle, angular velocity in rad/s; `[2]` without velocity.

    Info: `angle_rad` from upright, in [-pi, pi); `success`, whether that is at most 0.2 now; `upright_s`, for how long
    in the episode it has been.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(PendulumVector, **kwargs)


def _fallen(state: Floats) -> NDArray[np.bool_]:
    """Which of the carts `[n, 4]` have lost their pole or left their track."""
    fallen: NDArray[np.bool_] = (np.abs(state[:, 0]) > MOST_X_M) | (np.abs(state[:, 2]) > MOST_TILT_RAD)
    return fallen


def wrapped(angle: Floats) -> Floats:
    """Angles in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


# Scalar code: a row's bits must not depend on the number of rows.


@njit(cache=True, nogil=True)
def move_cart(state, action):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Advance carts with poles, `state` `[n, 4]` in place, by one Euler step (Barto, Sutton, Anderson 1983).

    The accelerations are those of Florian 2007, "Correct equations for the dynamics of the cart-pole system", without
    friction.
    """
    total = CART_KG + POLE_KG
    for b in range(len(state)):
        x, x_dot, angle, angle_dot = state[b]
        force = FORCE_N if action[b] == 1 else -FORCE_N
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + POLE_KG * HALF_POLE_M * angle_dot * angle_dot * sine) / total
        inertia = HALF_POLE_M * (4.0 / 3.0 - POLE_KG * cosine * cosine / total)
        angle_acc = (GRAVITY * sine - cosine * push) / inertia
        x_acc = push - POLE_KG * HALF_POLE_M * angle_acc * cosine / total
        state[b, 0], state[b, 1] = x + CART_DT_S * x_dot, x_dot + CART_DT_S * x_acc
        state[b, 2], state[b, 3] = angle + CART_DT_S * angle_dot, angle_dot + CART_DT_S * angle_acc


@njit(cache=True, nogil=True)
def move_pendulum(state, upright_steps, torque, reward):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Advance pendulums, `state` `[n, 2]`, by one semi-implicit Euler step; mass 1 kg, length 1 m.

    Args:
        state: angle and velocity, in place.
        upright_steps: `[n]`, brought up to date.
        torque: N m `[n]`.
        reward: `[n]`, overwritten.
    """
    for b in range(len(state)):
        angle, speed = state[b]
        off = (angle + np.pi) % (2 * np.pi) - np.pi
        reward[b] = -(off * off + 0.1 * speed * speed + 0.001 * torque[b] * torque[b])
        speed += (1.5 * PENDULUM_G * np.sin(angle) + 3.0 * torque[b]) * PENDULUM_DT_S
        speed = min(max(speed, -MAX_SPEED), MAX_SPEED)
        angle += speed * PENDULUM_DT_S
        state[b, 0], state[b, 1] = angle, speed
        upright_steps[b] += abs((angle + np.pi) % (2 * np.pi) - np.pi) <= UPRIGHT_RAD


@njit(cache=True, nogil=True)
def see_pendulum(state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Cosine and sine of the angle, and the velocity, float32 `[n, 3]`."""
    seen = np.empty((len(state), 3), np.float32)
    for b in range(len(state)):
        seen[b, 0], seen[b, 1], seen[b, 2] = np.cos(state[b, 0]), np.sin(state[b, 0]), state[b, 1]
    return seen


@njit(cache=True, nogil=True)
def swing_up(state):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Torques float32 `[n, 1]` that bring pendulums `[n, 2]` up and keep them there."""
    torque = np.empty((len(state), 1), np.float32)
    for b in range(len(state)):
        angle, speed = state[b]
        off = (angle + np.pi) % (2 * np.pi) - np.pi
        # of the free pendulum, 0 at rest upright
        energy = 0.5 * speed * speed + 1.5 * PENDULUM_G * (np.cos(angle) - 1)
        if abs(off) < 0.5 and abs(8 * off + 2 * speed) < 4:
            wanted = -8 * off - 2 * speed
        else:
            wanted = MAX_TORQUE if (speed >= 0) == (energy < 0) else -MAX_TORQUE
        torque[b, 0] = min(max(wanted, -MAX_TORQUE), MAX_TORQUE)
    return torque
