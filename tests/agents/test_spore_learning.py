"""Spiking agents learn to reach within a quarter of an hour of simulated time, and do not without a learning rate."""

import dataclasses
from typing import Any

from neuroctl import registry
from neuroctl.launch.curves import CurveLog, read_curve
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent
from neuroctl.vector import make_env, spaces_of

AGENTS = 2
MINUTE = 3000
"""Control steps of 20 ms."""


def time_to_goal_s(minutes: int, path: Any, **changes: Any) -> float:
    """Mean time to the goal, a timeout counted as 60 s, over the trials of the last three minutes of all agents."""
    config: Any = registry.presets.load("spore-ball-sums")()
    env = make_env(config.env.id, AGENTS, {**config.env.kwargs(), "max_steps": 3 * MINUTE})
    config = dataclasses.replace(config, agent=dataclasses.replace(config.agent, **changes))
    agent = make_agent(config, spaces_of(env))
    loop = ClosedLoop(env, agent, [CurveLog(path / "curve.jsonl", 3 * MINUTE)])
    loop.begin(11)
    for _ in range(minutes * MINUTE):
        loop.step()
        agent.update()
    curve = read_curve(path / "curve.jsonl")
    assert curve["step"][-1] == minutes * MINUTE
    return float(curve["trial_s"][-1].sum() / curve["trials"][-1].sum())


def test_a_ball_comes_to_its_goal_within_seconds_after_a_quarter_of_an_hour(tmp_path: Any) -> None:
    assert time_to_goal_s(15, tmp_path) < 5


def test_without_a_learning_rate_it_finds_its_goal_by_chance_or_not_at_all(tmp_path: Any) -> None:
    changes = {"learning_rate_schedule": "constant", "learning_rate_half_life_s": None}
    assert time_to_goal_s(3, tmp_path, learning_rate_per_s=0.0, **changes) > 40  # it changes no more later
