"""The loop calls everybody in order, stops where a number is not finite, and goes on exactly after a restore."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.contracts import Agent, Listener, Step
from neuroctl.errors import NonFiniteError
from neuroctl.loop import DUMPED_STEPS, ClosedLoop
from neuroctl.scripted import ScriptedAgent
from neuroctl.storage import load_tree
from neuroctl.streams import episode_seed
from neuroctl.vector import Vector, make_env, spaces_of
from tests.neuroctl.toys import CART, POINT, LinearAgent, LinearConfig


class Diary(Agent, Listener):
    """Writes down who was called with what; an agent and a listener at once."""

    def __init__(self, log: list[Any], name: str = "", action: float = 0.5) -> None:
        self.log, self.name, self.action = log, name, action

    def begin(self, num_envs: int, seed: int) -> None:
        self.num_envs = num_envs
        self.log.append(("begin", num_envs, seed))

    def act(self, obs: Any, first: NDArray[np.bool_]) -> NDArray[Any]:
        self.log.append(("act", obs.copy(), first.copy()))
        return np.full((self.num_envs, 2), self.action, np.float32)

    def observe(self, *args: Any) -> None:
        self.log.append(("observe", args))

    def on_agent(self, agent: Agent) -> None:
        self.agent = agent

    def on_begin(self, env: Vector, obs: Any, info: Any) -> None:
        self.log.append((f"on_begin{self.name}", obs.copy()))

    def on_step(self, step: Step) -> None:
        self.log.append((f"on_step{self.name}", step))

    def on_end(self) -> None:
        self.log.append((f"on_end{self.name}",))


def test_everybody_is_called_in_order_and_sees_the_same(tmp_path: Path) -> None:
    env, log = make_env(POINT, 3, {"min_steps": 2, "max_steps": 4}), list[Any]()
    listeners = [Diary(log, " one"), Diary(log, " two")]
    loop = ClosedLoop(env, Diary(log), listeners)
    with loop.listening():
        loop.begin(9, [4, 5, 6])
        for _ in range(15):
            loop.step()
    names = [entry[0] for entry in log]
    each = ["act", "observe", "on_step one", "on_step two"]
    count = (len(names) - 5) // 4
    assert names == ["begin", "on_begin one", "on_begin two", *each * count, "on_end one", "on_end two"]
    assert log[0] == ("begin", 3, 9)
    assert all(listener.agent is loop.agent for listener in listeners)
    assert np.array_equal(log[1][1], make_env(POINT, 3).reset(seed=[4, 5, 6])[0])  # type: ignore[arg-type]

    acts = [entry for entry in log if entry[0] == "act"]
    steps: list[Step] = [entry[1] for entry in log if entry[0] == "on_step one"]
    assert any(s.terminated.any() for s in steps[:-1]) and any(s.truncated.any() for s in steps[:-1])
    observed = [entry[1] for entry in log if entry[0] == "observe"]
    assert [s.index for s in steps] == list(range(count)) and loop.step_index == count
    assert acts[0][2].all() and not steps[0].done.all()
    for t, (act, step, seen) in enumerate(zip(acts, steps, observed, strict=True)):
        assert np.array_equal(act[1], step.obs) and np.array_equal(act[2], step.first)
        assert seen[0] is step.next_obs and seen[1] is step.reward and seen[4] is step.info
        assert np.array_equal(step.done, step.terminated | step.truncated)
        if t + 1 < count:
            assert np.array_equal(steps[t + 1].obs, step.next_obs)
            assert np.array_equal(steps[t + 1].first, step.done)
        for row in np.flatnonzero(step.done):
            assert step.info["final_obs"][row, 2] > 0 and step.next_obs[row, 2] == 0  # steps since the reset


def test_playing_episodes_ends_when_every_row_has_ended_once() -> None:
    env, log = make_env(POINT, 3), list[Any]()
    ClosedLoop(env, Diary(log), [Diary(log, " one")]).run_episodes([4, 5, 6], 9)
    done = np.array([entry[1].done for entry in log if entry[0] == "on_step one"])
    assert done.any(axis=0).all() and not done[:-1].any(axis=0).all()
    assert log[-1] == ("on_end one",)


def test_rows_are_seeded_by_the_root_seed_unless_seeds_are_given() -> None:
    env = make_env(POINT, 2)
    ClosedLoop(env, ScriptedAgent("zero", env)).begin(3)
    assert env.unwrapped.streams.seeds.tolist() == [episode_seed(3, 0), episode_seed(3, 1)]  # type: ignore[attr-defined]


def test_listeners_are_told_of_the_end_also_after_an_exception() -> None:
    env, log = make_env(POINT, 2, {"fail": "bug"}), list[Any]()
    with pytest.raises(RuntimeError, match="a bug"):
        ClosedLoop(env, ScriptedAgent("zero", env), [Diary(log)]).run_episodes([1, 2], 0)
    assert log[-1] == ("on_end",)


@pytest.mark.parametrize(("field", "name"), [("obs", "observation"), ("reward", "reward")])
def test_nan_from_the_environment_stops_and_the_last_100_steps_can_be_loaded(
    tmp_path: Path, field: str, name: str
) -> None:
    env = make_env(POINT, 3, {"nonfinite": (field, 130, 1), "min_steps": 200, "max_steps": 200})
    log = list[Any]()
    loop = ClosedLoop(env, ScriptedAgent("random", env), [Diary(log)], dump=tmp_path / "dump")
    folder = tmp_path / "dump" / "nonfinite-step129"
    with pytest.raises(NonFiniteError) as caught:
        loop.run_episodes([1, 2, 3], 0)
    expected = f"{name} of row 1 is not finite at step 129; the last 100 steps are in {folder}"
    assert str(caught.value) == expected
    dumped = load_tree(folder, "steps")
    assert len(dumped) == DUMPED_STEPS == 100
    seen: list[Step] = [entry[1] for entry in log if entry[0] == "on_step"]
    for old, new in zip(seen[-99:], dumped[:-1], strict=True):
        for key, value in new.items():
            assert np.array_equal(getattr(old, key), value), key
    bad = dumped[-1]["next_obs" if field == "obs" else "reward"]
    assert np.isnan(bad[1]).any() and np.isfinite(bad[[0, 2]]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_never_reaches_the_environment(tmp_path: Path, value: float) -> None:
    env = make_env(POINT, 2, {"min_steps": 9})
    agent = Diary([])
    loop = ClosedLoop(env, agent, dump=tmp_path)
    loop.begin(0)
    for _ in range(3):
        loop.step()
    agent.action = value
    with pytest.raises(NonFiniteError, match=r"action of row 0 is not finite at step 3; the last 3 steps are in"):
        loop.step()
    assert env.unwrapped.steps.tolist() == [3, 3]  # type: ignore[attr-defined]
    assert len(load_tree(tmp_path / "nonfinite-step3", "steps")) == 3


def test_values_that_cancel_or_overflow_in_a_sum_are_judged_one_by_one() -> None:
    env = make_env(POINT, 2)
    loop = ClosedLoop(env, ScriptedAgent("zero", env))
    huge = np.full((2, 3), np.finfo(np.float32).max)
    loop._check("observation", huge)
    loop._check("observation", np.full((2, 3), 60000, np.float16))
    loop._check("observation", np.arange(4))
    with pytest.raises(NonFiniteError, match="observation of row 0"):
        loop._check("observation", np.array([[np.inf, 0], [-np.inf, 0]], np.float32))
    with pytest.raises(NonFiniteError, match=r"observation\['b'\]\['c'\] of row 1"):
        loop._check("observation", {"a": huge, "b": {"c": np.array([[1.0], [np.nan]])}})


def test_a_first_observation_that_is_not_finite_is_named() -> None:
    env = make_env(POINT, 2)
    env.unwrapped.current_obs = lambda: np.array([[0], [np.inf]], np.float32)  # type: ignore[attr-defined]
    with pytest.raises(NonFiniteError, match=r"observation of row 1 is not finite at step 0$"):
        ClosedLoop(env, ScriptedAgent("zero", env)).begin(0)


def make_loop(env_id: str = POINT, shifts: tuple[str, ...] = (), **kwargs: Any) -> tuple[ClosedLoop, LinearAgent]:
    env = make_env(env_id, 4, kwargs, shifts)
    agent = LinearAgent(LinearConfig(noise=0.3), spaces_of(env), seed=1)
    return ClosedLoop(env, agent), agent


def advance(loop: ClosedLoop, steps: int) -> list[Any]:
    seen = []
    for _ in range(steps):
        step = loop.step()
        loop.agent.update()
        obs = step.next_obs["state"] if isinstance(step.next_obs, dict) else step.next_obs
        seen.append((step.index, obs.tobytes(), step.action.tobytes(), step.reward.tobytes(), step.first.tobytes()))
    return seen


@pytest.mark.parametrize("shifts", [(), ("gaussian-noise:2", "observation-delay:3", "action-noise:4")])
@pytest.mark.parametrize("steps", [0, 1, 7, 20])
def test_a_loop_restored_in_mid_episode_goes_on_bit_for_bit(
    tmp_path: Path, steps: int, shifts: tuple[str, ...]
) -> None:
    from neuroctl.checkpoint import Checkpoints

    loop, agent = make_loop(shifts=shifts, image=True)
    loop.begin(5)
    advance(loop, steps)
    Checkpoints(tmp_path).save(steps, {"loop": loop.state_dict(), "agent": agent.state_dict()})
    expected = advance(loop, 40)

    other, other_agent = make_loop(shifts=shifts, image=True)
    other.begin(99)
    advance(other, 3)
    _, trees = Checkpoints(tmp_path).load()
    other_agent.load_state_dict(trees["agent"])
    other.load_state_dict(trees["loop"])
    assert advance(other, 40) == expected


def test_the_saved_state_does_not_change_while_the_loop_goes_on() -> None:
    loop, agent = make_loop()
    loop.begin(5)
    advance(loop, 5)
    state, learned = loop.state_dict(), agent.state_dict()
    expected = advance(loop, 30)
    loop.load_state_dict(state)
    agent.load_state_dict(learned)
    assert advance(loop, 30) == expected


def test_an_environment_without_saved_state_is_reset_under_new_seeds() -> None:
    def after_reseed(seed: int, steps_before: int) -> list[Any]:
        env = make_env(CART, 3)
        loop = ClosedLoop(env, ScriptedAgent("zero", env))
        loop.begin(0)
        for _ in range(steps_before):
            loop.step()
        assert loop.state_dict() == {"step_index": steps_before}
        loop.reseed(seed)
        steps = [loop.step() for _ in range(10)]
        assert steps[0].first.all()
        return [(s.obs.tobytes(), s.next_obs.tobytes(), s.first.tobytes()) for s in steps]

    assert after_reseed(7, 3) == after_reseed(7, 9)
    assert after_reseed(7, 3) != after_reseed(8, 3)


def test_restoring_an_environment_without_saved_state_keeps_the_count_of_steps() -> None:
    env = make_env(CART, 3)
    loop = ClosedLoop(env, ScriptedAgent("zero", env))
    loop.begin(0)
    loop.load_state_dict({"step_index": 17})
    assert loop.step().index == 17
