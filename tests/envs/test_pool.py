"""The swimmer's motion, the places in the pool, and the search path."""

import mujoco
import numpy as np
import pytest

from neuroctl.envs.pool import (
    BODY_M,
    MARGIN_M,
    PLATFORM_M,
    START_SHARE,
    TAU_S,
    TURN_TAU_S,
    draw_platform,
    draw_start,
    pool_xml,
    search_path,
)

DT_S = 0.025


def swim(controls, qpos=(0.0, 0.0, 0.0), radius_m=1.0):
    """x, y, yaw and their velocities after each timestep, `[T, 6]`."""
    model = mujoco.MjModel.from_xml_string(pool_xml(radius_m))
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    found = []
    for control in controls:
        data.ctrl[:] = control
        mujoco.mj_step(model, data)
        found.append([*data.qpos, *data.qvel])
    return np.array(found)


def test_speed_and_turn_rate_follow_their_commands():
    """The implicit Euler steps of dv/dt = (u h - v) / tau and dw/dt = (u - w) / tau, with h at the step's beginning."""
    controls = np.random.default_rng(0).uniform([0, -3], [0.4, 3], (120, 2))
    x = y = yaw = vx = vy = turn = 0.0
    expected = []
    for speed, rate in controls:
        share = DT_S / TAU_S
        vx = (vx + share * speed * np.cos(yaw)) / (1 + share)
        vy = (vy + share * speed * np.sin(yaw)) / (1 + share)
        turn = (turn + DT_S / TURN_TAU_S * rate) / (1 + DT_S / TURN_TAU_S)
        x, y, yaw = x + DT_S * vx, y + DT_S * vy, yaw + DT_S * turn
        expected.append([x, y, yaw, vx, vy, turn])
    assert np.hypot(x, y) < 0.9
    assert swim(controls) == pytest.approx(np.array(expected), abs=1e-9)


def test_the_wall_is_round_and_without_friction():
    for angle in (0.3, 2.0, -1.1):
        path = swim(np.full((400, 2), [0.4, 0.0]), (0.0, 0.0, angle))
        away = np.hypot(path[:, 0], path[:, 1])
        assert away.max() < 1 - BODY_M + 0.01
        assert away[-1] == pytest.approx(1 - BODY_M, abs=0.005)
    # At a slant it slides along.
    path = swim(np.full((60, 2), [0.4, 0.0]), (0.94, 0.0, np.deg2rad(70)))
    assert np.hypot(*path[:, :2].T).max() < 1 - BODY_M + 0.01
    assert np.hypot(*path[-1, 3:5]) > 0.2


@pytest.mark.parametrize("radius_m", [0.5, 1.0])
def test_places_are_uniform_where_they_may_be(radius_m):
    rng = np.random.default_rng(0)
    reach = radius_m - PLATFORM_M - MARGIN_M
    platforms = np.array([draw_platform(rng, radius_m) for _ in range(2000)])
    away = np.hypot(*platforms.T)
    assert 0.97 * reach < away.max() <= reach
    assert (away**2).mean() == pytest.approx(reach**2 / 2, rel=0.04)
    assert np.abs(platforms.mean(axis=0)).max() < 0.05 * reach
    starts = np.array([draw_start(rng, radius_m, platform) for platform in platforms])
    assert 0.95 * (radius_m - BODY_M) < np.hypot(*starts[:, :2].T).max() <= radius_m - BODY_M
    gap = np.hypot(*(starts[:, :2] - platforms).T) - PLATFORM_M
    assert START_SHARE * radius_m < gap.min() < 1.05 * START_SHARE * radius_m
    assert np.abs(starts[:, 2]).max() <= np.pi
    assert np.histogram(starts[:, 2], 4, (-np.pi, np.pi))[0] == pytest.approx(np.full(4, 500), abs=80)


@pytest.mark.parametrize("radius_m", [0.5, 0.77, 1.0, 2.0, 5.0])
def test_the_search_path_passes_over_every_platform(radius_m):
    path = search_path(radius_m)
    closed = np.concatenate([path, path[:1]])
    line = np.concatenate(
        [a + (b - a) * np.linspace(0, 1, 20)[:, None] for a, b in zip(closed, closed[1:], strict=False)]
    )
    assert np.hypot(*line.T).max() < radius_m - PLATFORM_M - MARGIN_M
    rng = np.random.default_rng(0)
    for _ in range(300):
        assert np.hypot(*(line - draw_platform(rng, radius_m)).T).min() < PLATFORM_M - 0.01
