"""Questions, answers and scores, whatever the task asks."""

from typing import Any

import numpy as np

from neuroctl import vector

make_env: Any = vector.make_env
NON_MATCH = "neuroctl/NonMatch-v0"
TASKS = [NON_MATCH, "neuroctl/NParity-v0", "neuroctl/Copy-v0"]


def test_an_action_counts_only_when_something_is_asked() -> None:
    """Whatever is done before the question, the episode and the reward are the same."""
    for env_id in TASKS:
        a, b = make_env(env_id, 4), make_env(env_id, 4)
        x, y = a.reset(seed=3)[0], b.reset(seed=3)[0]
        for _ in range(40):
            assert np.array_equal(x, y)
            v = a.unwrapped.variables
            asked = v["answers"][np.arange(4), a.unwrapped.steps] >= 0
            x, reward, *_ = a.step(np.zeros(4, np.int64))
            y, other, *_ = b.step(np.where(asked, 0, 1))
            assert np.array_equal(reward, other)


def test_a_state_in_mid_trial_restores_question_and_score() -> None:
    options = {"trials": 2, "delay": 4, "last_reward": True, "last_action": True}
    env, other = make_env(NON_MATCH, 2, options), make_env(NON_MATCH, 2, options)
    env.reset(seed=1)
    other.reset(seed=99)
    while (env.unwrapped.variables["asked"].sum(axis=1) < 1).any():
        env.step(1 - env.unwrapped.expert_action())  # the first answer is wrong
    other.set_state(None, env.get_state())
    infos = []
    for e in (env, other):
        info: dict[str, Any] = {}
        while "final_info" not in info:
            *_, info = e.step(e.unwrapped.expert_action())
        infos.append({k: v.tolist() for k, v in info["final_info"].items()})
    assert infos[0] == infos[1]
    row = int(np.argmax(info["_final_info"]))
    assert infos[0]["trials"][row] == 2 and infos[0]["correct"][row] == 1 and not infos[0]["success"][row]
