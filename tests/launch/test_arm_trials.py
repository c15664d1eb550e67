from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neuroctl.contracts import Step
from neuroctl.launch.arm_trials import EARLY_STEPS, NEAR_M, TrialLog, directions_deg


def test_direction_errors_are_angles_between_two_arrows() -> None:
    rng = np.random.default_rng(0)
    start, later = rng.normal(size=(2, 100, 2))
    to_target, moved = -start @ [1, 1j], (later - start) @ [1, 1j]
    np.testing.assert_allclose(directions_deg(start, later), np.degrees(np.angle(moved / to_target)))
    assert directions_deg(np.array([-8.0, 0.0]), np.array([-7.0, 1.0])) == pytest.approx(45)  # to the left of the way


def test_trials_are_measured_one_by_one() -> None:
    """Row 0 walks straight to its target and stays; row 1 walks across and never comes near."""
    steps, trials = 25, 3
    log = TrialLog(steps)
    rows: Any = SimpleNamespace(num_envs=2)
    log.on_begin(rows, np.zeros(2), {})
    zeros, no = np.zeros(2), np.zeros(2, np.bool_)

    def gaps(moves: int) -> Any:
        return np.array([[0.0, min(0.005 * moves - 0.08, 0.0)], [0.005 * moves, -0.08]])

    for n in range(steps * trials):
        t, last = n % steps, n % steps == steps - 1
        seen, after = gaps(t), np.linalg.norm(gaps(t + 1), axis=1)
        obs = np.concatenate([np.full((2, 3), 9.0), seen], axis=1).astype(np.float32)
        info = {"distance_m": np.full(2, 7.0), "final_info": {"distance_m": after}} if last else {"distance_m": after}
        log.on_step(Step(n, obs, no, zeros, zeros, no, np.full(2, last), obs, info))
    found = log.trials
    assert all(values.shape == (trials, 2) for values in found.values())
    for trial in range(trials):
        np.testing.assert_allclose(found["direction_deg"][trial], [0, -90], atol=1e-4)
        np.testing.assert_allclose(found["early_m"][trial], [0.005, np.hypot(0.005 * EARLY_STEPS, 0.08)])
        np.testing.assert_allclose(found["final_m"][trial], [0, np.hypot(0.125, 0.08)])
        np.testing.assert_allclose(found["reach_s"][trial], [13 * 0.02, 0.5])  # 1.5 cm is the first within 2 cm
    assert pytest.approx(0.02) == NEAR_M
    log.on_begin(rows, obs, {})
    log.on_step(Step(0, obs, no, zeros, zeros, no, no, obs, {"distance_m": zeros}))
    assert log.trials["final_m"].shape == (0, 2)
