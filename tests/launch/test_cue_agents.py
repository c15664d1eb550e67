import math
from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError, NonFiniteError, UnknownNameError
from neuroctl.launch.cue_agents import EXCITATORY, REWARD_FORMS, CueAgent, CueAgentConfig, ModuleReward
from neuroctl.launch.cue_tasks import LeverPress, PatternMatching


def make(form: Any = "layer", agents: int = 2, seed: int = 0, **options: Any) -> CueAgent:
    return CueAgent(form, CueAgentConfig(**options), batch_size=agents, seed=seed)


def live(agent: CueAgent, task: Any, intervals: int) -> Any:
    """Spikes `[N, T, B, 20]` while the agents learn."""
    spikes = []
    for _ in range(intervals):
        spikes.append(agent.act(task.rates_hz))
        agent.learn(task.step(spikes[-1]))
    return np.array(spikes)


def test_the_reward_is_divided_by_its_running_mean_with_a_floor():
    reward = ModuleReward(2, tau_s=0.5)
    m, keep = 0.0, math.exp(-0.02 / 0.5)
    rewards = np.random.default_rng(0).random(200) * (np.arange(200) % 50 < 20)
    for r in rewards:
        m = max(keep * m + (1 - keep) * r, 0.02)
        assert reward.filter([r, 0.0]) == pytest.approx([r / m + 0.02 if r > 0 else 0.02, 0.02], rel=1e-12)
    assert 0.02 < m < 0.5
    other = ModuleReward(2, tau_s=0.5)
    other.load_state_dict(reward.state_dict())
    assert (other.filter([0.3, 0.1]) == reward.filter([0.3, 0.1])).all()
    with pytest.raises(NonFiniteError):
        reward.filter([np.nan, 0.0])
    with pytest.raises(NeuroctlError, match="in the state of a reward"):
        reward.load_state_dict(ModuleReward(3).state_dict())
    with pytest.raises(NeuroctlError, match="floor must be"):
        ModuleReward(floor=0.0)


def test_the_layer_is_all_to_all_with_two_synapses_for_a_pair():
    rule: Any = make(agents=20).network.rules["cue->control"]
    assert rule.theta.shape == (20, 50, 20, 2) and rule.exists.all()
    assert rule.theta.mean() == pytest.approx(-0.5, abs=0.01) and rule.theta.std() == pytest.approx(0.5, abs=0.01)
    assert rule.learning_rate == pytest.approx(5e-8) and rule.temperature == 0.1


def test_the_recurrent_network_has_the_synapses_of_the_examples():
    network = make("recurrent", agents=3).network
    rules: Any = network.rules
    assert set(rules) == {"cue->receiving"} | {f"{a}->{b}" for a in EXCITATORY for b in EXCITATORY}
    pairs = sum(rule.num_pre * rule.num_post for name, rule in rules.items() if not name.startswith("cue"))
    assert pairs == 60 * 60 and rules["cue->receiving"].num_post == 30
    for name, rule in rules.items():
        exists = rule.exists
        assert exists.shape[-1] == 10
        if rule.num_pre == rule.num_post and not name.startswith("cue"):
            assert not exists[:, np.arange(rule.num_pre), np.arange(rule.num_pre)].any()
            exists = exists[:, ~np.eye(rule.num_pre, dtype=bool)]
        assert exists.mean() == pytest.approx(0.5, abs=0.03)
    excites = np.concatenate([network.weight(f"{name}->inhibitory") for name in EXCITATORY], axis=1)
    inhibits = np.concatenate([network.weight(f"inhibitory->{name}") for name in EXCITATORY], axis=2)
    for weights, share, mean, sd in ((excites, 0.575, 0.5, 0.1), (inhibits, 0.6, -1.0, 0.2)):
        there = weights[weights != 0]
        assert there.size / weights.size == pytest.approx(share, abs=0.03)
        assert there.mean() == pytest.approx(mean, rel=0.02) and there.std() == pytest.approx(sd, rel=0.1)
        assert (np.sign(there) == np.sign(mean)).all()
    among = network.weight("inhibitory->inhibitory")
    assert not among[:, np.arange(20), np.arange(20)].any() and (among <= 0).all()
    assert (among != 0).mean() == pytest.approx(0.55 * 19 / 20, abs=0.05)


def test_homeostasis_brings_the_neurons_to_their_rate():
    task = PatternMatching(3, 0)
    spikes = live(make(agents=3, adaptation_mv=2.0), task, 2000)
    assert spikes[500:].mean() * 1000 == pytest.approx(5.0, rel=0.05)
    still = live(make(agents=3, adaptation_mv=0.0, learning_rate_per_s=0.0), PatternMatching(3, 0), 500)
    assert still.mean() * 1000 < 1.0


def test_a_late_reward_teaches_what_the_same_reward_taught_earlier():
    agent, task = make(reward="raw", reward_delay_s=0.2), PatternMatching(2, 0)
    seen: list[Any] = []
    inner: Any = agent._reward
    original = inner.filter

    def watched(reward: Any) -> Any:
        seen.append(np.array(reward))
        return original(reward)

    inner.filter = watched
    given = np.random.default_rng(0).random((30, 2))
    for reward in given:
        agent.act(task.rates_hz)
        agent.learn(reward)
    assert not np.any(seen[:10]) and (np.array(seen[10:]) == given[:20]).all()


def test_the_learning_rate_halves():
    agent, task = make(half_life_s=2.0), PatternMatching(2, 0)
    rates = []
    for _ in range(5):
        live(agent, task, 50)
        rates.append(agent.network.rules["cue->control"].learning_rate)
    assert np.allclose(rates, 5e-8 * 0.5 ** (np.arange(5) / 2))


def test_the_learning_rate_begins_anew():
    agent, task = make(half_life_s=2.0, anew_s=3.0), PatternMatching(2, 0)
    rates = []
    for _ in range(7):
        live(agent, task, 50)
        rates.append(agent.network.rules["cue->control"].learning_rate)
    assert np.allclose(rates, 5e-8 * 0.5 ** (np.array([0, 1, 2, 0, 1, 2, 0]) / 2))


def test_nothing_is_learned_without_a_learning_rate():
    for rate in (0.0, 1e-3):
        agent = make(learning_rate_per_s=rate)
        before = agent.network.weight("cue->control")
        live(agent, PatternMatching(2, 0), 100)
        assert (agent.network.weight("cue->control") == before).all() == (rate == 0)


@pytest.mark.parametrize("reward", REWARD_FORMS)
def test_restored_agents_go_on_with_the_same_bits(reward):
    def begun() -> tuple[CueAgent, PatternMatching]:
        return make(reward=reward, reward_delay_s=0.3, half_life_s=100.0), PatternMatching(2, 0)

    (agent, task), (other, again) = begun(), begun()
    live(agent, task, 73)
    other.load_state_dict(agent.state_dict())
    again.load_state_dict(task.state_dict())
    assert (live(agent, task, 90) == live(other, again, 90)).all()
    assert (agent.network.weight("cue->control") == other.network.weight("cue->control")).all()


def test_an_agent_does_not_depend_on_the_agents_beside_it():
    few = live(make("recurrent", 1, 3), LeverPress(1, 3), 40)
    many = live(make("recurrent", 3, 3), LeverPress(3, 3), 40)
    assert few.any() and (few[:, :, 0] == many[:, :, 0]).all()


def test_mistakes_are_named():
    with pytest.raises(UnknownNameError, match="unknown form of a network 'layers'; did you mean 'layer'"):
        make("layers")
    with pytest.raises(UnknownNameError, match="unknown form of reward 'diference'; did you mean 'difference'"):
        make(reward="diference")
    with pytest.raises(NeuroctlError, match="learning_rate_per_s must be"):
        make(learning_rate_per_s=-1.0)
    with pytest.raises(NeuroctlError, match="anew_s must be"):
        make(anew_s=0.0)
    with pytest.raises(NeuroctlError, match="half_life_s must be"):
        make(half_life_s=0.0).learn(np.zeros(2))
    with pytest.raises(NeuroctlError, match="late in the state of a cue agent"):
        make().load_state_dict(make(reward_delay_s=1.0).state_dict())
