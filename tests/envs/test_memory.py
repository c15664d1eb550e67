"""The memory tasks that show a sequence and ask about it, against what their observations alone imply.

Statistical bounds are 4.9 standard errors of a fair draw: one false alarm in a million for a new seed (here seeds are
fixed).
"""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs.config import CopyConfig, NonMatchConfig, NParityConfig
from neuroctl.errors import NeuroctlError

make_env: Any = vector.make_env
SIGMAS = 4.9
NON_MATCH, PARITY, COPY = "neuroctl/NonMatch-v0", "neuroctl/NParity-v0", "neuroctl/Copy-v0"
TASKS = [NON_MATCH, PARITY, COPY]


def play(env_id: str, options: dict[str, Any], episodes: int, policy: Any = None, seed: int = 0) -> list[Any]:
    """Observations, actions, rewards and last info of one environment's episodes, by Gymnasium's plain loop."""
    env: Any = gym.make(env_id, **options)
    rng, played = np.random.default_rng(seed), []
    obs, _ = env.reset(seed=seed)
    for _ in range(episodes):
        seen, actions, rewards, done = [obs], [], [], False
        while not done:
            actions.append(policy(env) if policy else int(rng.integers(2)))
            obs, reward, terminated, truncated, info = env.step(actions[-1])
            assert not truncated
            seen.append(obs)
            rewards.append(reward)
            done = terminated
        played.append((np.stack(seen), np.array(actions), np.array(rewards), info))
        obs, _ = env.reset()
    return played


def expert(env: Any) -> int:
    return int(env.unwrapped.expert_action())


def is_fair(hits: int, draws: int, p: float = 0.5) -> bool:
    return bool(abs(hits - p * draws) <= SIGMAS * np.sqrt(p * (1 - p) * draws))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"symbols": 2, "delay": 1, "trials": 4},
        {"symbols": 7, "delay": 9, "random_delay": False, "trials": 3},
        {"delay": 6, "distractors": False, "trials": 2},
    ],
)
def test_non_match_is_asked_and_rewarded_as_the_marks_say(options: dict[str, Any]) -> None:
    config = NonMatchConfig(**options)
    for obs, actions, rewards, info in play(NON_MATCH, options, 40):
        assert len(obs) == len(actions) + 1 and not obs[-1].any()
        symbols, marks = obs[:-1, :-1], obs[:-1, -1]
        marked = np.flatnonzero(marks)
        assert len(marked) == 2 * config.trials and marked[0] == 0 and marked[-1] == len(actions) - 1
        expected, right, non_matches = np.zeros(len(actions)), 0, 0
        for trial in range(config.trials):
            sample, test = marked[2 * trial], marked[2 * trial + 1]
            delay = test - sample - 1
            assert (config.delay / 2 if config.random_delay else config.delay) <= delay <= config.delay
            other = not np.array_equal(symbols[sample], symbols[test])
            expected[test] = 1 if actions[test] == other else -1
            right += int(actions[test] == other)
            non_matches += other
            assert (symbols[sample + 1 : test].sum(axis=1) == (1 if config.distractors else 0)).all()
            if trial:
                assert sample == marked[2 * trial - 1] + 1
        assert (symbols[marked].sum(axis=1) == 1).all()
        assert rewards.tolist() == expected.tolist()
        assert (info["trials"], info["correct"], info["non_matches"]) == (config.trials, right, non_matches)
        assert info["success"] == (right == config.trials)


def test_non_match_draws_fairly() -> None:
    options = {"symbols": 4, "delay": 6}
    played = [(obs[:-1], len(actions) - 2) for obs, actions, *_ in play(NON_MATCH, options, 3000)]
    n = len(played)
    samples = [int(obs[0, :4].argmax()) for obs, _ in played]
    tests = [int(obs[-1, :4].argmax()) for obs, _ in played]
    assert is_fair(sum(a == b for a, b in zip(samples, tests, strict=True)), n)
    for symbol in range(4):
        assert is_fair(samples.count(symbol), n, 1 / 4) and is_fair(tests.count(symbol), n, 1 / 4)
    others = [(b - a) % 4 for a, b in zip(samples, tests, strict=True) if a != b]
    shown = [int(k) for obs, _ in played for k in obs[1:-1, :4].argmax(axis=1)]
    for k in range(1, 4):
        assert is_fair(others.count(k), len(others), 1 / 3)
    for symbol in range(4):
        assert is_fair(shown.count(symbol), len(shown), 1 / 4)
    for delay in (3, 4, 5, 6):
        assert is_fair(sum(found == delay for _, found in played), n, 1 / 4)
    # what comes before the test does not tell the answer: neither the last distractor nor the delay
    matches = np.array([a == b for a, b in zip(samples, tests, strict=True)])
    same = np.array([int(obs[-2, :4].argmax()) == test for (obs, _), test in zip(played, tests, strict=True)])
    assert is_fair(int((matches & same).sum()), int(same.sum()))
    long = np.array([delay > 4 for _, delay in played])
    assert is_fair(int((matches & long).sum()), int(long.sum()))


@pytest.mark.parametrize("bits", [1, 2, 8, 13])
def test_parity_is_that_of_all_bits_and_asked_once(bits: int) -> None:
    odd = 0
    for obs, actions, rewards, info in play(PARITY, {"bits": bits}, 200):
        assert len(actions) == bits + 1
        assert (np.abs(obs[:bits, 0]) == 1).all() and not obs[:bits, 1].any()
        assert obs[bits].tolist() == [0, 1] and not obs[-1].any()
        answer = sum(bit > 0 for bit in obs[:bits, 0].tolist()) % 2
        odd += answer
        assert rewards.tolist() == [0.0] * bits + [1.0 if actions[-1] == answer else -1.0]
        assert info["success"] == info["correct"] == (actions[-1] == answer) and info["odd"] == answer
    assert is_fair(odd, 200)


@pytest.mark.parametrize(("length", "delay"), [(1, 0), (1, 4), (2, 3), (5, 0), (9, 6)])
def test_copy_asks_for_the_pattern_and_counts_both_values_equally(length: int, delay: int) -> None:
    for obs, actions, rewards, info in play(COPY, {"length": length, "delay": delay}, 60):
        start = length + delay
        assert len(actions) == start + length
        pattern = obs[:length, 0] > 0
        assert (np.abs(obs[:length, 0]) == 1).all() and not obs[length:, 0].any()
        assert obs[:, 1].tolist() == [1.0] * length + [0.0] * (delay + length + 1)
        assert obs[:, 2].tolist() == [0.0] * start + [1.0] * length + [0.0]
        said = actions[start:] == 1
        shares = [(said[pattern == value] == value).mean() for value in (False, True) if (pattern == value).any()]
        assert not rewards[:start].any()
        assert ((rewards[start:] > 0) == (said == pattern)).all()
        assert info["balanced_accuracy"] == pytest.approx(np.mean(shares))
        assert rewards.sum() == pytest.approx(2 * np.mean(shares) - 1)
        assert (info["bits"], info["ones"]) == (length, pattern.sum())
        assert info["correct"] == (said == pattern).sum() and info["correct_ones"] == (said & pattern).sum()
        assert info["success"] == bool((said == pattern).all())


def test_who_only_counts_earns_nothing_in_copy() -> None:
    """Saying the same bit every time is right for half of the values, however the pattern leans."""
    for bit in (0, 1):
        for obs, _, rewards, info in play(COPY, {"length": 4, "delay": 1}, 50, policy=lambda env, bit=bit: bit):
            ones = int((obs[:4, 0] > 0).sum())
            if 0 < ones < 4:
                assert rewards.sum() == pytest.approx(0, abs=1e-12) and info["balanced_accuracy"] == 0.5


@pytest.mark.parametrize("env_id", TASKS)
def test_experts_are_always_right_and_chance_is_half(env_id: str) -> None:
    best = neuroctl.evaluate("expert", env_id=env_id, episodes=64)
    assert best.returns == pytest.approx(1) and best.final["success"].mean() == 1
    for policy in ("random", "zero"):
        drawn = neuroctl.evaluate(policy, env_id=env_id, episodes=400)
        name = "bits" if env_id == COPY else "trials"
        correct, asked = int(drawn.final["correct"].sum()), int(drawn.final[name].sum())
        assert is_fair(correct, asked)
        # a return is in [-1, 1], so that its deviation is at most 1
        assert abs(drawn.returns.mean()) < SIGMAS / np.sqrt(400)


def test_several_trials_are_scored_one_by_one() -> None:
    for _, _, rewards, info in play(NON_MATCH, {"trials": 5, "delay": 3}, 10, policy=expert):
        assert (rewards != 0).sum() == rewards.sum() == info["trials"] == info["correct"] == 5
        assert info["correct_non_matches"] == info["non_matches"] and info["balanced_accuracy"] == 1


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        (NON_MATCH, {"symbols": 1}, "symbols must be an integer from 2 to 64, got 1"),
        (NON_MATCH, {"delay": 0}, "delay must be an integer from 1 to 9998, got 0"),
        (NON_MATCH, {"trials": 1.5}, "trials must be an integer from 1 to 3333, got 1.5"),
        (NON_MATCH, {"random_delay": "yes"}, "unknown random_delay 'yes'; allowed: True, False"),
        (NON_MATCH, {"distractors": 2}, "unknown distractors 2; allowed: True, False"),
        (NON_MATCH, {"last_action": None}, "unknown last_action None; allowed: True, False"),
        (NON_MATCH, {"last_reward": True}, "last_reward needs trials of 2 or more: a single answer is rewarded in the"),
        (
            NON_MATCH,
            {"trials": 500, "delay": 20},
            "trials 500 and delay 20 make episodes of 11000 steps; allowed: up to 10000",
        ),
        (NON_MATCH, {"render_mode": "human"}, "unknown render_mode 'human'; allowed: None, 'rgb_array'"),
        (PARITY, {"bits": 0}, "bits must be an integer from 1 to 9999, got 0"),
        (PARITY, {"last_reward": True}, "unknown neuroctl/NParity-v0 option 'last_reward'; "),
        (COPY, {"length": True}, "length must be an integer from 1 to 5000, got True"),
        (COPY, {"delay": -1}, "delay must be an integer from 0 to 9998, got -1"),
        (COPY, {"length": 4000, "delay": 4000}, "length 4000 and delay 4000 make episodes of 12000 steps; allowed: up"),
        (COPY, {"length": 1, "last_reward": True}, "last_reward needs length of 2 or more: "),
    ],
)
def test_bad_options_are_answered_with_one_line(env_id: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError) as error:
        make_env(env_id, 2, options)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize("config", [NonMatchConfig(delay=7), NParityConfig(bits=3), CopyConfig(length=2)])
def test_configurations_name_the_options(config: Any) -> None:
    env = make_env(config.id, 1, config.kwargs())
    assert env.unwrapped.max_steps == {NON_MATCH: 9, PARITY: 4, COPY: 14}[config.id]
