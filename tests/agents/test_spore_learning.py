"""Spiking agents learn to reach within half a simulated hour, and do not without a learning rate."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from neuroctl import registry
from neuroctl.launch.curves import CurveLog, read_curve
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent
from neuroctl.vector import make_env, spaces_of

HALF_HOUR = 90_000
"""Control steps of 20 ms."""
LAST = 30_000
"""The steps that are judged: ten minutes, one episode."""


@pytest.mark.parametrize(("learning", "fast"), [(True, True), (False, False)])
def test_a_ball_reaches_its_goal_in_seconds_after_half_an_hour_of_learning(
    learning: bool, fast: bool, tmp_path: Any
) -> None:
    config: Any = registry.presets.load("spore-ball-sums")()
    constant = {"learning_rate_per_s": 0.0, "learning_rate_schedule": "constant", "learning_rate_half_life_s": None}
    agent_config = config.agent if learning else dataclasses.replace(config.agent, **constant)
    env = make_env(config.env.id, 1, config.env.kwargs())
    agent = make_agent(dataclasses.replace(config, agent=agent_config), spaces_of(env))
    loop = ClosedLoop(env, agent, [CurveLog(tmp_path / "curve.jsonl", LAST)])
    loop.begin(11)
    for _ in range(HALF_HOUR):
        loop.step()
        agent.update()
    curve = read_curve(tmp_path / "curve.jsonl")
    assert curve["step"].tolist() == [30_000, 60_000, 90_000]
    seconds = curve["trial_s"][-1] / curve["trials"][-1]
    assert (seconds < 5) if fast else (seconds > 40)
    assert np.all(curve["successes"] <= curve["trials"])
