import dataclasses
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import registry
from neuroctl.agents.spore import SporeAgent
from neuroctl.agents.spore_coding import make_decoder
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import TrainConfig
from neuroctl.contracts import Spaces
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.loop import ClosedLoop
from neuroctl.run import make_agent, tree_hash
from neuroctl.training import train
from neuroctl.vector import make_env, spaces_of

SEED = 7


def configured(**options: Any) -> TrainConfig:
    preset: Any = registry.presets.load("spore-ball-sums")()
    agent: Any = {"learning_rate_per_s": 0.1, "learning_rate_half_life_s": 2.0}
    changed = {name: options.pop(name) for name in list(options) if name in SporeConfig.__dataclass_fields__}
    result: TrainConfig = dataclasses.replace(
        preset,
        agent=dataclasses.replace(preset.agent, **{**agent, **changed}),
        env=dataclasses.replace(preset.env, max_steps=40),
        evaluation_options=(),
        **{"seed": SEED, "steps": 60, "num_envs": 3, "log_every": 50, "checkpoint_every": 60, **options},
    )
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(configured(), out=tmp_path_factory.mktemp("spore") / "run")


def loop_of(config: TrainConfig, rows: int, learn: int = 0) -> Any:
    env = make_env(config.env.id, rows, config.env.kwargs())
    agent = make_agent(config, spaces_of(env))
    loop = ClosedLoop(env, agent)
    loop.begin(SEED)
    actions = []
    for _ in range(learn):
        actions.append(loop.step().action)
        agent.update()
    return loop, agent, np.array(actions)


def theta(state: Any) -> Any:
    return state["controller"]["network"]["rules"]["senses->motor"]["synapses/theta"]


def test_a_population_learns_and_every_agent_by_itself(run: Any) -> None:
    _, trees = run.checkpoints.load()
    learned = theta(trees["agent"])
    _, fresh, _ = loop_of(configured(), 3)
    assert learned.shape == (3, 32, 1, 8)
    assert not np.allclose(learned, theta(fresh.state_dict()), atol=1e-3)
    _, two, actions = loop_of(configured(), 2, learn=30)
    _, three, beside = loop_of(configured(), 3, learn=30)
    assert np.array_equal(actions, beside[:, :2])
    assert np.array_equal(theta(two.state_dict()), theta(three.state_dict())[:2])


def test_metrics_are_means_over_a_second_and_all_agents(run: Any) -> None:
    line = run.metrics()[0]
    assert line["step"] == 50
    loop, agent, _ = loop_of(configured(), 3)
    rewards: list[Any] = []
    reported: dict[str, float] = {}
    for _ in range(50):
        rewards.append(loop.step().reward)
        reported = agent.update() or reported
    assert line["reward"] == pytest.approx(np.mean(rewards))
    assert line["reward"] == reported["reward"]
    for name in ("motor_rate_hz", "active", "clipped", "drive", "retractions", "formations"):
        assert line[name] == reported[name]


def test_reports_count_what_happened_since_the_last_whoever_else_reads_the_counts() -> None:
    options: Any = {"learning_rate_per_s": 1.0, "temperature": 1.0}
    loop, agent, _ = loop_of(configured(**options), 2)
    rule = agent.network.rules["senses->motor"]
    reports: list[Any] = []
    for k in range(1, 151):
        loop.step()
        report = agent.update()
        assert bool(report) == (k % 50 == 0)
        reports += [report] if report else []
        rule.statistics(), rule.counts()
    for name in ("retractions", "formations"):
        parts = [report[name] for report in reports]
        assert sum(parts) == pytest.approx(rule.counts()[name].mean()) and min(parts) > 0


@pytest.mark.parametrize("old", [False, True])
def test_a_report_after_a_resume_is_that_of_the_whole_run(old: bool) -> None:
    """An old state knows no counts of the last report: its synapses counted from there on."""
    options: Any = {"learning_rate_per_s": 1.0, "temperature": 1.0}
    whole, cut = (loop_of(configured(**options), 2) for _ in range(2))
    for k in range(100):
        if k == 70:
            loop, agent = whole[0].state_dict(), whole[1].state_dict()
            if old:
                counted = agent.pop("counted")
                turnover = agent["controller"]["network"]["rules"]["senses->motor"]["turnover"]
                turnover -= np.stack([counted["retractions"], counted["formations"]], axis=1)
            cut[0].load_state_dict(loop)
            cut[1].load_state_dict(agent)
        reports = []
        for loop, agent, _ in (whole, cut)[: 1 + (k >= 70)]:
            loop.step()
            reports.append(agent.update())
    assert len(reports) == 2 and reports[0] == reports[1] and reports[0]["formations"] > 0


def test_homeostasis_brings_about_the_target_rate() -> None:
    """A threshold is what the spikes raised it by, minus what that many at the target rate would have."""
    spaces = Spaces(gym.spaces.Box(0, np.inf, (4, 4)), gym.spaces.Box(-4, 4, (2,)), 0.02)
    obs, first = np.zeros((2, 4, 4)), np.zeros(2, bool)
    cases: Any = ({}, 0.1), ({"adaptation_mv": 0.4}, 0.4)
    for options, speed in cases:
        agent = SporeAgent(SporeConfig(drive_mv=4.0, target_rate_hz=20.0, **options), spaces, seed=0)
        agent.begin(2, 0)
        spikes = np.zeros((2, 8))
        for _ in range(1000):
            agent.act(obs, first)
            spikes += agent.network.activity["motor"].sum(axis=0)
        threshold = agent.network.neurons["motor"].threshold_mv
        assert threshold == pytest.approx(speed * (spikes - 20.0 * 20))
        assert threshold == pytest.approx(np.full((2, 8), 4.0 - np.log(20)), abs=1.5)
    fixed = SporeAgent(SporeConfig(drive_mv=4.0), spaces, seed=0)
    fixed.begin(2, 0)
    fixed.act(obs, first)
    assert not fixed.network.neurons["motor"].threshold_mv.any()


def test_an_agent_that_has_not_begun_has_no_network() -> None:
    spaces = Spaces(gym.spaces.Box(0, np.inf, (4, 4)), gym.spaces.Box(-4, 4, (2,)), 0.02)
    with pytest.raises(NeuroctlError, match="the agent has no network before it begins"):
        SporeAgent(SporeConfig(), spaces, seed=0).network  # noqa: B018


@pytest.mark.parametrize("rule", ["synaptic-sampling", "r-stdp", "node-perturbation"])
def test_a_run_that_was_cut_goes_on_bit_for_bit(rule: str, tmp_path: Any) -> None:
    options: Any = {"rule": rule, "rule_options": (), "temperature": None, "checkpoint_every": 23}
    whole = train(configured(steps=60, **options), out=tmp_path / "whole")
    train(configured(steps=60, **options), out=tmp_path / "cut")
    for path in (tmp_path / "cut" / "checkpoints").glob("0*60"):
        import shutil

        shutil.rmtree(path)
    (tmp_path / "cut" / "checkpoints" / "latest").unlink()
    cut = train(resume=tmp_path / "cut")
    states = [r.checkpoints.load(60)[1]["agent"] for r in (whole, cut)]
    from neuroctl.run import tree_hash

    assert tree_hash(states[0]) == tree_hash(states[1])


def test_every_member_plays_the_same_episodes(run: Any) -> None:
    result = neuroctl.evaluate(run.path, episodes=2)
    assert result.members is not None
    assert result.members.tolist() == [0, 0, 1, 1, 2, 2]
    assert result.seeds[:2] == result.seeds[2:4] == result.seeds[4:]
    alone = neuroctl.evaluate(run.path, episodes=2, member=1)
    assert np.array_equal(alone.returns, result.returns[2:4])
    assert len(set(result.returns.tolist())) > 2
    summary = result.summary()
    assert summary["member_returns"] == pytest.approx(result.returns.reshape(3, 2).mean(axis=1).tolist())
    assert "3 members of one run" in summary["interval"]
    with pytest.raises(NeuroctlError, match="member must be an integer from 0 to 2, got 3"):
        neuroctl.evaluate(run.path, member=3)


def test_members_of_what_is_no_population_are_refused() -> None:
    with pytest.raises(NeuroctlError, match="member 1 has no effect: 'expert' is no population"):
        neuroctl.evaluate("expert", env_id="neuroctl/BallReach-v0", member=1)


def test_a_controller_acts_with_the_weights_of_its_member(run: Any) -> None:
    obs = np.full(32, 3.0, np.float32)
    actions = [[neuroctl.load(run.path, member=m).act(obs) for m in range(3)] for _ in range(2)]
    assert np.array_equal(actions[0], actions[1])
    with pytest.raises(NeuroctlError, match="member must be an integer from 0 to 2"):
        neuroctl.load(run.path, member=3)


def test_what_is_learned_while_recording_is_repeated(run: Any, tmp_path: Any) -> None:
    neuroctl.record(run.path, tmp_path / "data", episodes=2, learn=True, member=2)
    assert neuroctl.replay(tmp_path / "data").ok
    result = neuroctl.replay(tmp_path / "data", mode="policy")
    assert result.ok and result.exact == [0, 1]


def test_a_frozen_recording_is_repeated_by_its_member(run: Any, tmp_path: Any) -> None:
    recording = neuroctl.record(run.path, tmp_path / "data", episodes=2, width=2, member=1)
    assert recording.info.member == 1
    result = neuroctl.replay(tmp_path / "data", mode="policy")
    assert result.ok and not result.notes


def test_many_rows_of_one_member_share_its_synapses_and_not_its_noise(run: Any) -> None:
    _, trees = run.checkpoints.load()
    _, agent, _ = loop_of(configured(), 3)
    chosen = SporeAgent.member_state(trees["agent"], 1)
    assert SporeAgent.members(chosen) == 1
    fresh = make_agent(configured(), agent.spaces)
    fresh.load_state_dict(chosen)
    fresh.begin(4, 1)
    learned = theta(fresh.state_dict())
    assert np.array_equal(learned, np.repeat(theta(trees["agent"])[1:2], 4, axis=0))
    actions = fresh.act(np.full((4, 32), 8.0), np.ones(4, bool))
    assert len(np.unique(actions, axis=0)) == 4


def test_a_population_needs_as_many_rows(run: Any) -> None:
    _, trees = run.checkpoints.load()
    _, agent, _ = loop_of(configured(), 2)
    with pytest.raises(NeuroctlError, match="the state is of 3 agents; 2 rows were begun"):
        agent.load_state_dict(trees["agent"])
    fresh = make_agent(configured(), agent.spaces)
    fresh.load_state_dict(trees["agent"])
    with pytest.raises(NeuroctlError, match="3 agents were trained; 2 rows need one of them, or as many rows"):
        fresh.begin(2, 0)


def test_a_warm_start_keeps_synapses_and_starts_the_schedule_again(run: Any, tmp_path: Any) -> None:
    _, trees = run.checkpoints.load()
    warm = train(configured(warm_start=run.path, steps=1, checkpoint_every=1), out=tmp_path / "warm")
    _, first = warm.checkpoints.load(0)
    assert np.array_equal(theta(first["agent"]), theta(trees["agent"]))
    assert (first["agent"]["steps"], trees["agent"]["steps"]) == (0, 60)


def test_a_late_reward_teaches_as_if_it_came_later() -> None:
    agents = [loop_of(configured(reward_delay_s=delay), 1)[1] for delay in (0.0, 0.1)]
    rewards = np.random.default_rng(0).random((20, 1))
    obs, nothing = np.full((1, 32), 8.0), np.zeros(1, bool)
    for delay, agent in zip((0, 5), agents, strict=True):
        for k in range(20):
            agent.act(obs, nothing)
            agent.observe(obs, rewards[k - 5 + delay] if k >= 5 - delay else np.zeros(1), nothing, nothing, {})
            agent.update()
    assert np.array_equal(theta(agents[0].state_dict()), theta(agents[1].state_dict()))


def test_the_learning_rate_falls_with_its_half_life() -> None:
    _, agent, _ = loop_of(configured(), 1, learn=51)
    rule = agent._controller.network.rules["senses->motor"]
    assert rule.learning_rate == pytest.approx(0.1 / 1000 * 0.5 ** (50 * 0.02 / 2.0))


def test_the_temperature_falls_with_a_half_life_of_its_own() -> None:
    options: Any = {"temperature": 0.4, "temperature_schedule": "step", "temperature_half_life_s": 1.0}
    _, agent, _ = loop_of(configured(**options), 1, learn=51)
    rule = agent.network.rules["senses->motor"]
    assert rule.temperature == pytest.approx(0.4 * 0.5)
    assert rule.learning_rate == pytest.approx(0.1 / 1000 * 0.5 ** (50 * 0.02 / 2.0))
    _, constant, _ = loop_of(configured(temperature=0.4), 1, learn=51)
    assert constant.network.rules["senses->motor"].temperature == 0.4


def test_rewards_on_their_way_are_part_of_the_state() -> None:
    """At step 7 of 20, with a delay of 5: what comes in steps 7 to 11 is what was earned before."""
    rewards = np.random.default_rng(0).random((20, 1))
    obs, nothing = np.full((1, 32), 8.0), np.zeros(1, bool)
    agents = [loop_of(configured(reward_delay_s=0.1), 1)[1] for _ in range(2)]
    for k in range(20):
        if k == 7:
            agents[1].load_state_dict(agents[0].state_dict())
        for agent in agents[: 1 + (k >= 7)]:
            agent.act(obs, nothing)
            agent.observe(obs, rewards[k], nothing, nothing, {})
            agent.update()
    states: list[Any] = [agent.state_dict() for agent in agents]
    assert np.array_equal(theta(states[0]), theta(states[1]))
    assert np.array_equal(states[0]["late"], states[1]["late"])
    means = [state["controller"]["reward"]["mean"] for state in states]
    assert means[0] == means[1] != 0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_commands_stay_within_bounds_that_are_not_symmetric(sign: float) -> None:
    low, high = np.sort(sign * np.array([[-1.0, -4.0], [3.0, 2.0]]), axis=0)
    space = gym.spaces.Box(low, high, dtype=np.float64)
    rates = 1e3 * np.eye(8)
    commands = make_decoder(SporeConfig(), space).decode(rates)
    assert all(space.contains(command) for command in commands)
    assert np.hypot(*commands.T) == pytest.approx(np.ones(8))


def test_exploration_excites_by_2_mv_and_sinks_by_a_fifth_unless_said_otherwise() -> None:
    said: Any = ({}, {"exploration_mv": 2.0, "exploration_inhibition": 0.2})
    other: Any = ({"exploration_mv": 3.0}, {"exploration_inhibition": 2.0})
    agents = [loop_of(configured(exploration_hz=400.0, **options), 2, learn=20)[1] for options in (*said, *other)]
    states = [tree_hash(agent.state_dict()["controller"]["network"]["neurons"]) for agent in agents]
    assert states[0] == states[1]
    assert states[0] not in states[2:]


def test_the_dead_time_is_the_one_that_is_asked_for() -> None:
    for dead in (0.0, 3.0):
        motor: Any = loop_of(configured(dead_time_ms=dead), 1)[1].network.neurons["motor"]
        assert motor.parameters.dead_time_ms == dead


def test_rewards_are_late_by_whole_control_steps() -> None:
    assert loop_of(configured(reward_delay_s=0.58), 1)[1].state_dict()["late"].shape == (29, 1)
    with pytest.raises(NeuroctlError, match=r"must be a multiple of the control step of 0.02 s, got 0.03"):
        loop_of(configured(reward_delay_s=0.03), 1)


def test_numbers_that_are_not_finite_are_told_before_they_are_kept() -> None:
    _, agent, _ = loop_of(configured(), 2, learn=3)
    rule: Any = agent.network.rules["senses->motor"]
    rule._synapses.theta[0, 0, 0, 0] = np.nan
    with pytest.raises(NonFiniteError, match=r"theta of .* has a value that is not finite"):
        agent.state_dict()


def test_figures_that_are_not_finite_stop_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, agent, _ = loop_of(configured(), 2, learn=49)
    rule: Any = agent.network.rules["senses->motor"]
    monkeypatch.setattr(rule, "statistics", lambda: {"mean_weight": np.array([1.0, np.inf])})
    loop.step()
    with pytest.raises(NonFiniteError, match="mean_weight of the synapses is inf; learn at a lower rate"):
        agent.update()


@pytest.mark.parametrize("scale", ["abc", "None"])
def test_a_scale_of_inhibition_that_is_no_number_is_named(scale: str) -> None:
    with pytest.raises(NeuroctlError, match="weight_scale must be"):
        loop_of(configured(inhibition=True, rule_options=(f"weight_scale={scale}",)), 1)


class Steady:
    """A learning rule of one's own, by the options of its factory."""


def make_steady(start: float = 1.0) -> Any:
    return Steady if start else None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("strat=0.5",), "agent.rule_options do not fit rule 'steady': got an unexpected .* 'strat'; it takes start"),
        (("start=0",), "rule 'steady' must return what makes synapses, got None"),
        (("start=1",), "senses->motor: its rule .*"),
    ],
)
def test_mistakes_of_a_rule_of_ones_own_are_named(options: Any, message: str, monkeypatch: Any) -> None:
    entry = registry.Entry(f"{__name__}:make_steady")
    monkeypatch.setitem(registry.rules.entries, "steady", entry)
    spaces = Spaces(gym.spaces.Box(0, np.inf, (4, 4)), gym.spaces.Box(-4, 4, (2,)), 0.02)
    with pytest.raises(NeuroctlError, match=message) as error:
        SporeAgent(SporeConfig(rule="steady", rule_options=options), spaces, seed=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "obs", "action", "message"),
    [
        ({}, gym.spaces.Box(-1, 1, (4,)), None, r"encoding 'events' needs counts >= 0; .* Box\(-1.0, 1.0, \(4,\)"),
        ({"encoding": "image"}, None, None, "encoding 'image' needs values from 0 to 1"),
        ({"encoding": "place"}, gym.spaces.Box(-np.inf, np.inf, (4,)), None, "encoding 'place' needs finite bounds"),
        ({}, gym.spaces.Discrete(3), None, "spiking agents observe arrays"),
        ({}, None, gym.spaces.Box(-1, 1, (3,)), r"motor neurons command Discrete\(5\), or a Box\(2,\) of floats"),
        ({}, None, gym.spaces.Box(0, 1, (2,)), r"finite bounds below and above 0; .* takes Box\(0.0, 1.0, \(2,\)"),
        ({}, None, gym.spaces.Box(-np.inf, np.inf, (2,)), r"finite bounds below and above 0; .* Box\(-inf, inf"),
        ({}, None, gym.spaces.Box(-4, 4, (2,), np.int64), r"Box\(2,\) of floats .* takes Box\(-4, 4, \(2,\), int64"),
        ({"motors": 2}, None, None, "agent.motors must be an integer >= 3 for a command in the plane, got 2"),
        ({"motors": 7}, None, gym.spaces.Discrete(5), "agent.motors must be even, half for each side, got 7"),
        (
            {"ratio_scale": 10.0},
            None,
            gym.spaces.Discrete(5),
            "agent.ratio_scale must be > 10, the last boundary, got 10",
        ),
        (
            {"reward_mean_s": 0.001},
            None,
            None,
            "agent.reward_mean_s must be at least the control step of 0.02 s, got 0.0",
        ),
        ({"ratio_scale": 30.0}, None, None, r"agent.ratio_scale 30.0 has no effect on Box\("),
        ({"readout_gain": 1.0}, None, gym.spaces.Discrete(5), r"agent.readout_gain 1.0 has no effect on Discrete\(5\)"),
        ({"rule_options": ("speed=1",)}, None, None, "unknown option of rule synaptic-sampling 'speed'"),
        (
            {"rule_options": ("weight_update_interval=50",)},
            None,
            None,
            "allowed: multiples .* set weight_update_interval of the",
        ),
    ],
)
def test_robots_and_options_that_do_not_fit_are_refused(options: Any, obs: Any, action: Any, message: str) -> None:
    counts, plane = gym.spaces.Box(0, np.inf, (4, 4)), gym.spaces.Box(-4, 4, (2,))
    spaces = Spaces(counts if obs is None else obs, plane if action is None else action, 0.02)
    with pytest.raises(NeuroctlError, match=message) as error:
        SporeAgent(SporeConfig(**options), spaces, seed=0)
    assert "\n" not in str(error.value)


def test_the_control_step_must_be_known_and_whole() -> None:
    spaces = Spaces(gym.spaces.Box(0, 1, (4,)), gym.spaces.Box(-4, 4, (2,)))
    for dt_s, message in (
        (None, "does not say its control step"),
        (float("nan"), "control step must be a number of seconds > 0, got nan"),
        (float("inf"), "control step must be a number of seconds > 0, got inf"),
        (0.0105, "control step of 0.0105 s is no multiple"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            SporeAgent(SporeConfig(), dataclasses.replace(spaces, control_dt_s=dt_s), seed=0)


@pytest.mark.parametrize(("encoding", "inputs"), [("image", 16), ("place", 16 * 8)])
def test_other_senses_drive_the_network(encoding: Any, inputs: int) -> None:
    spaces = Spaces(gym.spaces.Box(0, 1, (4, 4)), gym.spaces.Discrete(5), 0.02)
    agent = SporeAgent(SporeConfig(encoding=encoding, drive_mv=3.0), spaces, seed=0)
    agent.begin(2, 0)
    action = agent.act(np.full((2, 4, 4), 0.5, np.float32), np.ones(2, bool))
    assert action.shape == (2,) and action.dtype == np.int64
    agent.observe(np.zeros(2), np.ones(2), np.zeros(2, bool), np.zeros(2, bool), {})
    agent.update()
    assert theta(agent.state_dict()).shape == (2, inputs, 1, 8)


def test_a_state_that_is_none_is_refused() -> None:
    agent = loop_of(configured(), 1)[1]
    with pytest.raises(NeuroctlError, match="state of the agent must be a mapping, got None"):
        agent.load_state_dict(cast(Any, None))


def test_inhibition_is_a_second_set_of_synapses_with_negative_weights_that_learn() -> None:
    _, agent, _ = loop_of(configured(inhibition=True), 2, learn=10)
    excitation, inhibition = agent.network.rules.values()
    assert list(agent.network.rules) == ["senses->motor", "senses->motor#2"]
    assert (excitation.weight >= 0).all() and (inhibition.weight <= 0).all() and (inhibition.weight < 0).any()
    fresh = loop_of(configured(inhibition=True), 2)[1]
    begun: Any = fresh.network.rules["senses->motor#2"]
    assert not np.array_equal(begun.theta, cast(Any, inhibition).theta)  # it has learned
    fresh.load_state_dict(agent.state_dict())
    assert np.array_equal(cast(Any, fresh.network.rules["senses->motor#2"]).theta, cast(Any, inhibition).theta)


def test_inhibition_counts_in_the_figures() -> None:
    _, agent, _ = loop_of(configured(inhibition=True), 2, learn=60)
    assert agent._counted["formations"].shape == (2,)
    both = [rule.counts()["retractions"] for rule in agent.network.rules.values()]
    assert (both[0] > 0).any() and (both[1] > 0).any()
    assert (agent._counted["retractions"] <= both[0] + both[1]).all()
