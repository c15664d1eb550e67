import math
from collections import deque
from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.launch.cue_tasks import FIRST, REWARDED, SECOND, WAIT, CenterOut, CueTask, LeverPress, PatternMatching
from neuroctl.streams import stream

KINDS: dict[str, Any] = {"pattern": PatternMatching, "lever": LeverPress, "center": CenterOut}
T = 20
"""Steps of 1 ms in a control interval."""


class Plain:
    """One agent, in seconds and with the spikes in a queue; what the classes do for B agents with arrays."""

    def __init__(self, kind: str, seed: int, b: int, swap_at_s: float = math.inf) -> None:
        self.kind, self.swap_at_s = kind, swap_at_s
        self.durations = stream(seed, "cue/durations", b)
        self.now, self.state, self.cue_at, self.shown = 0.0, "wait", 0.0, 0
        self.spikes: Any = deque()
        self.lever, self.x, self.y = 0.0, 0.0, 0.0
        self.pause()
        rows = stream(seed, "cue/readout", b).normal(size=(2, 20))
        self.rows = [[(v - row.mean()) / row.std() for v in row.tolist()] for row in rows]

    def pause(self) -> None:
        self.end = self.now + 0.02 * math.ceil(self.durations.uniform(0.5, 1.0) / 0.02)

    def step(self, counts: list[int]) -> tuple[float, bool, bool, float]:
        self.now += 0.02
        for neuron, count in enumerate(counts):
            self.spikes.extend([(self.now, neuron)] * count)
        while self.spikes and self.spikes[0][0] < self.now - 0.5 + 0.01:
            self.spikes.popleft()
        rates = [0.0] * 20
        for _, neuron in self.spikes:
            rates[neuron] += 1 / 0.5
        result: tuple[float, bool, bool, float] = getattr(self, f"step_{self.kind}")(rates)
        return result

    @property
    def over(self) -> bool:
        return self.now > self.end - 0.01

    def step_pattern(self, rates: list[float]) -> tuple[float, bool, bool, float]:
        lead = sum(rates[0::2]) - sum(rates[1::2])
        lead = {0: 0.0, 1: lead, 2: -lead}[self.shown]
        reward = 1 / (1 + math.exp(-0.2 * (lead - 25))) if lead > 0 else 0.0
        ended, taken = self.over and self.shown > 0, self.now - self.cue_at
        if self.over:
            self.shown = 0 if self.shown else 1 + int(self.durations.integers(2))
            self.spikes.clear()
            self.cue_at = self.now
            self.pause()
        return reward, ended, ended and lead > 0, taken if ended else 0.0

    def enter(self, state: str) -> None:
        self.state = state
        if state == "wait":
            self.pause()
        if state == "first":
            self.cue_at, self.end = self.now, self.now + 10.0
        if state == "reward":
            self.end = self.now + 0.3

    def outcome(self, cued: bool) -> tuple[float, bool, bool, float]:
        self.shown = int(self.state in ("first", "second"))
        success = cued and self.state == "reward"
        ended = success or (cued and self.state == "wait")
        return float(self.state == "reward"), ended, success, self.now - self.cue_at if ended else 0.0

    def step_lever(self, rates: list[float]) -> tuple[float, bool, bool, float]:
        cued = self.state in ("first", "second")
        sign = 1 if self.now < self.swap_at_s + 0.01 else -1
        keep = 0.95 ** (20 / 15)
        self.lever = keep * self.lever + (1 - keep) * sign * (sum(rates[:10]) - sum(rates[10:]))
        if self.over:
            self.enter("first" if self.state == "wait" else "wait")
        elif self.state == "first" and self.lever < -15:
            self.enter("second")
        elif self.state == "second" and self.lever > 15:
            self.enter("reward")
        return self.outcome(cued)

    def step_center(self, rates: list[float]) -> tuple[float, bool, bool, float]:
        cued = self.state in ("first", "second")
        keep = 0.95 ** (20 / 15)
        targets = [sum(w * rate for w, rate in zip(row, rates, strict=True)) for row in self.rows]
        self.x, self.y = (keep * old + (1 - keep) * new for old, new in zip((self.x, self.y), targets, strict=True))
        distance = math.hypot(self.x - 20, self.y - 20)
        if self.over:
            self.enter({"wait": "first", "first": "wait", "second": "reward", "reward": "wait"}[self.state])
        elif self.state == "wait":
            self.x = self.y = 0.0
        elif self.state == "first" and distance < 10:
            self.enter("second")
            self.end = self.now + 0.1
        elif self.state == "second" and distance > 10:
            self.enter("wait")
        return self.outcome(cued)


def some_spikes(steps: int, agents: int, seed: int = 0) -> np.ndarray:
    """Neurons that are active in turns, so that levers and cursors move to and fro."""
    rng = np.random.default_rng(seed)
    phases = np.arange(steps)[:, None, None] / rng.uniform(100, 250, (agents, 20)) + rng.random(20)
    odds = 0.012 * (1 + np.sin(2 * np.pi * phases)) * (np.arange(steps) < 1100)[:, None, None]
    return (rng.random((steps, T, agents, 20)) < odds[:, None]).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_every_agent_does_what_a_plain_loop_does(kind):
    task = KINDS[kind](3, 5, **({"swap_at_s": 15.0} if kind == "lever" else {}))
    plain = [Plain(kind, 5, b, 15.0 if kind == "lever" else math.inf) for b in range(3)]
    trials = successes = 0
    for spikes in some_spikes(1800, 3):
        reward = task.step(spikes)
        expected = [one.step(spikes[:, b].sum(axis=0).tolist()) for b, one in enumerate(plain)]
        rewards, ended, succeeded, trial_s = (list(part) for part in zip(*expected, strict=True))
        assert task.shown.tolist() == [one.shown for one in plain]
        assert task.ended.tolist() == ended and task.succeeded.tolist() == succeeded
        assert np.allclose(reward, rewards, rtol=1e-12) and np.allclose(task.trial_s, trial_s, atol=1e-9)
        trials, successes = trials + sum(ended), successes + sum(succeeded)
        if kind == "lever":
            assert np.allclose(task.lever_hz, [one.lever for one in plain], atol=1e-9)
        if kind == "center":
            assert np.allclose(task.cursor, [(one.x, one.y) for one in plain], atol=1e-9)
    assert trials > successes > 3, (trials, successes)


def play(task: CueTask, player: Any, seconds: float) -> Any:
    """Rewards `[N, B]` and outcomes of a scripted player, who gives rates `[B, 20]` as spikes of each 20 ms."""
    rewards, ended, succeeded, trial_s = [], [], [], []
    for _ in range(round(seconds / task.control_dt_s)):
        spikes = np.zeros((T, task.batch_size, 20), np.uint8)
        spikes[0] = player(task)
        rewards.append(task.step(spikes))
        ended.append(task.ended)
        succeeded.append(task.succeeded)
        trial_s.append(task.trial_s)
    return tuple(np.array(part) for part in (rewards, ended, succeeded, trial_s))


def matches(task: Any) -> np.ndarray:
    """The pool of the pattern fires."""
    fires: np.ndarray = np.arange(20) % 2 == task.shown[:, None] - 1
    return fires


def presses(task: Any) -> np.ndarray:
    """The last ten neurons, and after the lever was down the first ten."""
    first = np.arange(20) < 10
    fires: np.ndarray = np.where((task.state == SECOND)[:, None], first, ~first) & (task.shown > 0)[:, None]
    return fires


def reaches(task: Any) -> np.ndarray:
    """Neurons whose readout is near the diagonal, at the rates that hold the cursor beyond the target's near edge."""
    ahead = task.readout.sum(axis=1) - 2 * np.abs(task.readout[:, 0] - task.readout[:, 1]) > 0
    pull = np.einsum("bdn,bn->b", task.readout, ahead)[:, None] / 2
    every = np.round(pull / 0.4)  # one spike every so many steps holds it at 20: 50 Hz / every * pull = 20
    due = round(task.time_s / 0.02) % np.maximum(every, 1) == 0
    fires: np.ndarray = ahead & (task.shown > 0)[:, None] & due
    return fires


@pytest.mark.parametrize(("kind", "player"), [("pattern", matches), ("lever", presses), ("center", reaches)])
def test_a_perfect_player_obtains_the_reward(kind, player):
    task = KINDS[kind](3, 1)
    rewards, ended, succeeded, trial_s = play(task, player, 30.0)
    assert (ended.sum(axis=0) >= 9).all() and (succeeded == ended).all()
    assert trial_s.max() < 2.0 and (trial_s[ended] > 0.1).all()
    if kind == "pattern":
        assert rewards.max() > 0.999 and (rewards[:, 0] > 0.9).mean() > 0.3
    else:  # each reward is 1 for 15 intervals, the last may be cut short
        assert set(rewards.flat) == {0.0, 1.0}
        whole = 15 * succeeded.sum(axis=0)
        assert ((rewards.sum(axis=0) <= whole) & (rewards.sum(axis=0) > whole - 15)).all()


def test_the_wrong_pool_and_a_tie_earn_nothing():
    def wrong(task: Any) -> np.ndarray:
        fires: np.ndarray = np.arange(20) % 2 != task.shown[:, None] - 1
        return fires

    assert play(PatternMatching(2, 1), wrong, 10.0)[0].max() == 0
    assert play(PatternMatching(2, 1), lambda task: np.ones((2, 20)), 10.0)[0].max() == 0


def test_a_lead_is_worth_what_the_sigmoid_says():
    task = PatternMatching(1, 0)
    while not task.shown[0]:
        task.step(np.zeros((T, 1, 20)))
    spikes = np.zeros((T, 1, 20), np.uint8)
    spikes[0, 0, task.shown[0] - 1] = 13  # one neuron of the pool: 13 spikes in half a second
    assert task.step(spikes)[0] == pytest.approx(1 / (1 + math.exp(-0.2)))
    assert task.rates_out_hz.sum() == 26


def test_phases_of_patterns_last_between_half_a_second_and_one_and_empty_the_window():
    task = PatternMatching(4, 2)
    shown, rates = [], []
    for _ in range(1500):
        task.step(np.ones((T, 4, 20)))
        shown.append(task.shown.copy())
        rates.append(task.rates_out_hz[:, 0])
    for b in range(4):
        change = np.flatnonzero(np.diff(np.array(shown)[:, b])) + 1
        lengths = np.diff(change) * 0.02
        assert lengths.min() >= 0.5 and lengths.max() <= 1.0 and lengths.std() > 0.1
        assert (np.array(rates)[change + 1, b] == 2 * T).all()
        assert (np.array(rates)[change, b] == 2 * T * np.minimum(np.diff([0, *change]), 25)).all()
    assert set(np.unique(shown)) == {0, 1, 2}


def test_an_idle_player_fails_after_ten_seconds_and_is_asked_again():
    for kind in ("lever", "center"):
        rewards, ended, succeeded, trial_s = play(KINDS[kind](1, 3), lambda task: np.zeros((1, 20)), 24.0)
        assert rewards.max() == 0 and not succeeded.any() and ended.sum() == 2
        assert trial_s[ended] == pytest.approx(10.0)


def test_after_the_swap_only_the_other_pool_presses():
    task = LeverPress(2, 4, swap_at_s=15.0)
    _, ended, succeeded, _ = play(task, presses, 60.0)
    assert task.swapped
    assert succeeded[:700].any(axis=0).all() and not succeeded[850:].any() and ended[850:].any(axis=0).all()
    _, _, again, _ = play(task, lambda task: presses(task)[:, ::-1], 30.0)
    assert (again.sum(axis=0) >= 5).all()


def test_a_cursor_that_leaves_its_target_early_has_failed():
    def passes_by(task: Any) -> np.ndarray:
        spikes: np.ndarray = (task.readout.sum(axis=1) > 0.0) * np.where(task.shown > 0, 6, 0)[:, None]
        return spikes

    rewards, ended, succeeded, trial_s = play(CenterOut(2, 1), passes_by, 20.0)
    assert rewards.max() == 0 and (ended.sum(axis=0) > 5).all() and not succeeded.any()
    assert trial_s[ended].max() < 2.0


def test_the_states_of_a_trial_follow_each_other():
    for kind, player in (("lever", presses), ("center", reaches)):
        task = KINDS[kind](1, 6)
        states = [WAIT]
        for _ in range(500):
            play(task, player, 0.02)
            if task.state[0] != states[-1]:
                states.append(int(task.state[0]))
        assert states[:9] == [WAIT, FIRST, SECOND, REWARDED] * 2 + [WAIT]


def test_patterns_are_skewed_and_within_their_bounds():
    task = PatternMatching(20, 0)
    assert (task.patterns_hz[:, 0] == 2).all()
    cues = task.patterns_hz[:, 1:]
    assert cues.shape == (20, 2, 50) and cues.min() == 2 and cues.max() == 60
    mean = np.clip(60 * np.random.default_rng(0).gamma(0.2, 0.8, 200_000), 2, 60).mean()
    assert cues.mean() == pytest.approx(mean, rel=0.1)
    assert (task.rates_hz == 2).all()


def test_the_readout_of_a_cursor_has_rows_of_zero_mean_and_unit_variance():
    rows = CenterOut(4, 0).readout
    assert np.allclose(rows.mean(axis=2), 0) and np.allclose(rows.var(axis=2), 1)
    assert not np.allclose(rows[0], rows[1])


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_does_not_depend_on_the_agents_beside_it(kind):
    few, many = KINDS[kind](2, 9), KINDS[kind](5, 9)
    assert (few.patterns_hz == many.patterns_hz[:2]).all()
    for spikes in some_spikes(600, 5):
        assert (few.step(spikes[:, :2]) == many.step(spikes)[:2]).all()
        assert (few.rates_hz == many.rates_hz[:2]).all() and (few.trial_s == many.trial_s[:2]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_task_goes_on_with_the_same_bits(kind):
    task, other = KINDS[kind](2, 7), KINDS[kind](2, 7)
    spikes = some_spikes(800, 2)
    for part in spikes[:333]:
        task.step(part)
    other.load_state_dict(task.state_dict())
    for part in spikes[333:]:
        assert (task.step(part) == other.step(part)).all()
        assert (task.shown == other.shown).all() and (task.succeeded == other.succeeded).all()
    left, right = task.state_dict(), other.state_dict()
    assert all((left[name] == right[name]).all() for name in left)


def test_mistakes_are_named():
    with pytest.raises(NeuroctlError, match="control_dt_s must divide the window of 0.5 s, got 0.015"):
        LeverPress(control_dt_s=0.015)
    with pytest.raises(NeuroctlError, match="batch_size must be an integer >= 1, got 0"):
        PatternMatching(0)
    with pytest.raises(NeuroctlError, match="swap_at_s must be"):
        LeverPress(swap_at_s=-1.0)
    task = LeverPress(2)
    before = task.state_dict()
    with pytest.raises(NeuroctlError, match=r"spikes must be numbers of shape \(20, 2, 20\)"):
        task.step(np.zeros((20, 1, 20)))
    with pytest.raises(NeuroctlError, match="whole numbers"):
        task.step(np.full((20, 2, 20), 0.5))
    assert all((before[name] == value).all() for name, value in task.state_dict().items())
    with pytest.raises(NeuroctlError, match="state of a task has no array 'lever_hz'"):
        task.load_state_dict(CenterOut(2).state_dict())
    with pytest.raises(NeuroctlError, match="in the state of a task"):
        task.load_state_dict(LeverPress(3).state_dict())
