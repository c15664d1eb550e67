import json
from typing import Any

import numpy as np

from neuroctl.contracts import Step
from neuroctl.launch.curves import CurveLog, play_episodes, read_curve, trials_of
from neuroctl.launch.scripted_players import Straight
from neuroctl.scripted import ScriptedAgent
from neuroctl.vector import make_env


class Rows:
    num_envs = 2


def step(index: int, reward: Any, done: Any = (False, False), final: Any = None) -> Step:
    obs, none = np.zeros((2, 1)), np.zeros(2, bool)
    info = {} if final is None else {"final_info": {key: np.array(value) for key, value in final.items()}}
    return Step(index, obs, none, none, np.array(reward), none, np.array(done), obs, info)


def test_a_ball_has_several_trials_in_an_episode_and_a_vehicle_one() -> None:
    ball = {"trials": [3.0, 0.0], "goals": [2.0, 0.0], "mean_time_to_goal_s": [20.5, 7.0], "success": [1.0, 0.0]}
    vehicle = {"success": [0.0, 1.0], "time_on_lane_s": [3.5, 120.0]}
    arrays = [{key: np.array(value) for key, value in said.items()} for said in (ball, vehicle)]
    assert trials_of(arrays[0]).tolist() == [[3, 0], [2, 0], [61.5, 0]]
    assert trials_of(arrays[1]).tolist() == [[1, 1], [0, 1], [3.5, 120]]


def begun(path: Any) -> Any:
    log: Any = CurveLog(path, 2)
    log.on_begin(Rows(), None, {})
    return log


def test_a_line_is_written_after_every_so_many_steps(tmp_path: Any) -> None:
    log = begun(tmp_path / "curve.jsonl")
    log.on_step(step(0, [1.0, 2.0]))
    final = {"success": [1.0, 0.0], "time_on_lane_s": [5.0, 9.0]}
    log.on_step(step(1, [3.0, 2.0], (True, False), final))
    log.on_step(step(2, [4.0, 4.0], (True, True), final))
    log.on_step(step(3, [0.0, 0.0]))
    curve = read_curve(tmp_path / "curve.jsonl")
    assert curve["step"].tolist() == [2, 4]
    assert curve["reward"].tolist() == [[2, 2], [2, 2]]
    assert curve["trials"].tolist() == [[1, 0], [1, 1]]
    assert curve["successes"].tolist() == [[1, 0], [1, 0]]
    assert curve["trial_s"].tolist() == [[5, 0], [5, 9]]


def test_lines_beyond_the_step_a_run_goes_on_from_are_cut(tmp_path: Any) -> None:
    path = tmp_path / "curve.jsonl"
    log = begun(path)
    for index in range(6):
        log.on_step(step(index, [1.0, 1.0]))
    assert len(path.read_text().splitlines()) == 3
    again = begun(path)
    again.on_step(step(4, [7.0, 7.0]))
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [2, 4]
    again.on_step(step(5, [9.0, 9.0]))
    assert read_curve(path)["reward"][-1].tolist() == [8, 8]


def test_as_many_episodes_of_every_row_count() -> None:
    env = make_env("neuroctl/BallReach-v0", 2, {"max_steps": 400})
    found = play_episodes(env, ScriptedAgent("expert", env), 3, 2)
    env.close()
    seeds = np.array(found["trials"])
    assert (seeds >= 4).all() and found["successes"] == found["trials"]
    assert np.allclose(np.array(found["trial_s"]) / seeds, 1.5, atol=0.7)
    again = make_env("neuroctl/BallReach-v0", 2, {"max_steps": 400})
    more = play_episodes(again, ScriptedAgent("expert", again), 3, 1)
    again.close()
    assert (np.array(more["trials"]) < seeds).all()
    assert all(0.5 < reward <= 1 for reward in found["reward"])


def test_the_reward_of_a_row_is_that_of_its_own_episodes() -> None:
    world = {"discrete_steering": True, "start": "random", "max_steps": 400}
    found = {}
    for rows in (1, 3):
        env = make_env("neuroctl/LaneFollow-v0", rows, world)
        found[rows] = play_episodes(env, Straight(), 2, 1)
        env.close()
    assert found[3]["trial_s"][0] < max(found[3]["trial_s"])  # others go on after row 0 has ended
    assert found[1]["reward"][0] == found[3]["reward"][0]
