import dataclasses
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl.contracts import Listener, Step
from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.populations import environment
from neuroctl.launch.trained_agents import TrainedAgents
from neuroctl.loop import ClosedLoop

STEPS = 100
HALF_LIFE_S = 2.0


def trained(path: Any, **options: Any) -> Any:
    """Two agents of the smallest task, with a learning rate that is halved when training ends."""
    made: Any = presets.spore_ball_sums()
    agent: Any = {"learning_rate_per_s": 1.0, "learning_rate_half_life_s": HALF_LIFE_S, **options}
    config = dataclasses.replace(
        made,
        agent=dataclasses.replace(made.agent, **agent),
        seed=100,
        num_envs=2,
        steps=STEPS,
        checkpoint_every=STEPS,
    )
    neuroctl.train(config, out=path)
    return config


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> TrainedAgents:
    path = tmp_path_factory.mktemp("trained") / "run"
    trained(path)
    return TrainedAgents.load(path)


def world(**options: Any) -> Any:
    return environment("sums", 2, 60, **options)


def theta_of(state: Any) -> Any:
    return state["controller"]["network"]["rules"]["senses->motor"]["synapses/theta"].reshape(2, -1)


def learning_rate_of(agents: TrainedAgents) -> float:
    rule = agents.state["controller"]["network"]["rules"]["senses->motor"]
    return float(rule["learning_rate"])


class Rewards(Listener):
    """What a loop showed."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_step(self, step: Step) -> None:
        self.seen.append(step.reward)


def test_what_was_learned_is_loaded(agents: TrainedAgents) -> None:
    assert agents.count == 2
    assert agents.theta.shape == (2, 32 * 8)
    assert np.array_equal(agents.theta, theta_of(agents.state))
    agents.theta[:] = 0
    assert agents.theta.any()


def test_frozen_agents_are_frozen(agents: TrainedAgents) -> None:
    env = world()
    player = agents.player(env)
    loop = ClosedLoop(env, player)
    loop.begin(3)
    for _ in range(50):
        loop.step()
    env.close()
    assert np.array_equal(theta_of(player.state_dict()), agents.theta)


def test_measuring_is_repeatable_and_depends_on_the_seed(agents: TrainedAgents) -> None:
    digest = agents.digest
    once, again, other = (agents.measured(world(), seed, 1) for seed in (4, 4, 5))
    assert once == again
    assert once != other
    assert agents.digest == digest


@pytest.mark.parametrize("anew", [False, True])
def test_learning_changes_the_agents_alike_every_time(agents: TrainedAgents, anew: bool) -> None:
    digest = agents.digest
    rewards = Rewards()
    once = agents.learned_on(world(), 6, 40, anew=anew, listeners=[rewards])
    again = agents.learned_on(world(), 6, 40, anew=anew)
    assert once.digest == again.digest
    assert once.digest != agents.learned_on(world(), 7, 40, anew=anew).digest
    assert agents.digest == digest
    assert len(rewards.seen) == 40
    assert np.abs(once.theta - agents.theta).mean() > 1e-3


def test_schedules_go_on_or_begin_anew(agents: TrainedAgents) -> None:
    """The rate per ms is set once a second: after 2 s of training it has halved, and after 1 more second."""
    goes_on = agents.learned_on(world(), 6, 60, anew=False)
    anew = agents.learned_on(world(), 6, 60, anew=True)
    assert learning_rate_of(goes_on) == pytest.approx(1e-3 * 0.5 ** (3.0 / HALF_LIFE_S))
    assert learning_rate_of(anew) == pytest.approx(1e-3 * 0.5 ** (1.0 / HALF_LIFE_S))
    assert goes_on.state["steps"] == STEPS + 60
    assert anew.state["steps"] == 60


def test_a_lesion_takes_exactly_half_of_each_agents_synapses(agents: TrainedAgents) -> None:
    digest = agents.digest
    hurt, taken = agents.lesioned(8)
    assert agents.digest == digest
    assert taken.sum(axis=1).tolist() == [128, 128]
    assert not np.array_equal(taken[0], taken[1])
    assert (hurt.theta[taken] == -2).all()
    assert np.array_equal(hurt.theta[~taken], agents.theta[~taken])
    assert np.array_equal(agents.lesioned(8)[1], taken)
    assert not np.array_equal(agents.lesioned(9)[1], taken)


def test_what_a_lesion_took_transmits_nothing_and_the_rest_as_before(agents: TrainedAgents) -> None:
    hurt, taken = agents.lesioned(8)
    env = world()
    weights = []
    for population in (agents, hurt):
        player = population.player(env)
        player.begin(2, 0)
        weights.append(player.state_dict()["controller"]["network"]["weights"].reshape(2, -1))
    env.close()
    assert (weights[0][taken] > 0).mean() > 0.8
    assert not weights[1][taken].any()
    assert np.array_equal(weights[0][~taken], weights[1][~taken])


def test_a_lesion_takes_from_both_sets_of_synapses(tmp_path: Any) -> None:
    trained(tmp_path / "run", inhibition=True)
    agents = TrainedAgents.load(tmp_path / "run")
    assert agents.theta.shape == (2, 2 * 32 * 8)
    hurt, taken = agents.lesioned(8)
    assert taken.sum(axis=1).tolist() == [256, 256]
    assert (taken.reshape(2, 2, -1).mean(axis=2) < 0.6).all()
    rules = hurt.state["controller"]["network"]["rules"]
    for name, gone in zip(("senses->motor", "senses->motor#2"), np.split(taken, 2, axis=1), strict=True):
        assert np.array_equal(rules[name]["synapses/theta"].reshape(2, -1) == -2, gone)
        assert not rules[name]["synapses/weight"].reshape(2, -1)[gone].any()
    assert np.array_equal(hurt.theta[~taken], agents.theta[~taken])


def test_lesioned_agents_learn_on_and_synapses_may_form_again(agents: TrainedAgents) -> None:
    hot = dataclasses.replace(agents.config.agent, temperature=1.0, learning_rate_per_s=4.0)  # type: ignore[call-arg]
    hurt, taken = dataclasses.replace(agents, config=dataclasses.replace(agents.config, agent=hot)).lesioned(8)
    after = hurt.learned_on(world(), 6, 60, anew=True)
    back = (after.theta >= 0) & taken
    assert 0.02 < back.sum() / taken.sum() < 0.9


def test_the_lower_bound_is_that_of_the_run(agents: TrainedAgents) -> None:
    config: Any = agents.config
    lower = dataclasses.replace(config.agent, rule_options=(*config.agent.rule_options, "min_param=-3.5"))
    hurt, taken = dataclasses.replace(agents, config=dataclasses.replace(config, agent=lower)).lesioned(8)
    assert (hurt.theta[taken] == -3.5).all()


def test_a_run_that_is_not_at_its_end_is_refused(tmp_path: Any) -> None:
    trained(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace(f'"steps": {STEPS}', '"steps": 900'))
    with pytest.raises(NeuroctlError, match="has come to step 100 of 900; train it to its end"):
        TrainedAgents.load(tmp_path / "run")


def test_only_synaptic_sampling_has_theta(tmp_path: Any) -> None:
    trained(tmp_path / "run", rule="r-stdp", rule_options=())
    with pytest.raises(NeuroctlError, match="these agents learn by 'r-stdp'"):
        TrainedAgents.load(tmp_path / "run").lesioned(1)
