import numpy as np
import pytest

from neuroctl.agents.spiking import Population, Projection, SpikingNetwork
from neuroctl.agents.spiking.controller import SpikingController
from neuroctl.agents.spiking.decoders import LeftRightRatio, LowPass
from neuroctl.agents.spiking.encoders import PoissonEncoder
from neuroctl.agents.spiking.neurons import NeuronParameters
from neuroctl.agents.spiking.reward_filters import RewardFilter
from neuroctl.agents.spiking.rules import synaptic_sampling
from neuroctl.errors import NeuroctlError

LIVELY = NeuronParameters(c2_hz=1, c3_per_mv=1, i_e_mv=3, with_reset=False)


def make(agents=2, seed=0, num_steps=20, interval=100):
    rule = synaptic_sampling(weight_update_interval=interval, initial=(2.0, 0.5))
    network = SpikingNetwork(
        4,
        {"motor": Population(4, LIVELY)},
        [Projection("input", "motor", rule=rule)],
        "motor",
        batch_size=agents,
        seed=seed,
    )
    return SpikingController(
        network,
        lambda obs: 100.0 * obs,
        PoissonEncoder(4, num_steps, batch_size=agents, seed=seed),
        LowPass(4, 100.0, batch_size=agents),
        LeftRightRatio(4, 20.0),
        RewardFilter("difference", batch_size=agents, control_dt_s=num_steps / 1000),
    )


def observations(agents, steps):
    return np.random.default_rng(3).random((steps, agents, 4))


def rewards(agents, steps):
    return np.random.default_rng(4).random((steps, agents))


def run(controller, obs, reward):
    actions = []
    for o, r in zip(obs, reward, strict=True):
        actions.append(controller.act(o))
        controller.learn(r)
    return np.stack(actions)


def theta(controller):
    return controller.network.rules["input->motor"].theta


def test_commands_follow_from_the_spikes():
    controller = make()
    silent = make()
    commands = run(controller, observations(2, 50), rewards(2, 50))
    assert commands.shape == (50, 2)
    assert len(np.unique(commands)) > 2
    rates = controller.readout.rates_hz
    assert np.array_equal(LeftRightRatio(4, 20.0).decode(rates), commands[-1])
    assert not np.array_equal(theta(controller), theta(silent))


def test_a_controller_that_is_not_told_to_learn_does_not():
    controller = make()
    before = theta(controller)
    for obs in observations(2, 20):
        controller.act(obs)
    assert np.array_equal(theta(controller), before)


@pytest.mark.parametrize("at", range(1, 7))
def test_a_restored_controller_goes_on_bit_for_bit(at):
    obs, reward = observations(2, 14), rewards(2, 14)
    one, other = make(), make(seed=5)
    run(one, obs[:at], reward[:at])
    other.load_state_dict(one.state_dict())
    assert np.array_equal(run(one, obs[at:], reward[at:]), run(other, obs[at:], reward[at:]))
    assert np.array_equal(theta(one), theta(other))


def test_an_agent_does_not_depend_on_those_beside_it():
    obs, reward = observations(3, 14), rewards(3, 14)
    three, two = make(3), make(2)
    assert np.array_equal(run(three, obs, reward)[:, :2], run(two, obs[:, :2], reward[:, :2]))
    assert np.array_equal(theta(three)[:2], theta(two))


def test_what_was_learned_is_taken_along_and_the_rest_begins_anew():
    taught, pupil = make(3), make(2, seed=9)
    run(taught, observations(3, 33), rewards(3, 33))
    pupil.adopt(taught.state_dict(), [2, 2])
    assert np.array_equal(theta(pupil), theta(taught)[[2, 2]])
    mean = taught.state_dict()["reward"]["mean"]
    assert np.array_equal(pupil.state_dict()["reward"]["mean"], mean[[2, 2]])
    assert not pupil.readout.rates_hz.any()
    commands = run(pupil, observations(2, 30), rewards(2, 30))
    assert not np.array_equal(commands[:, 0], commands[:, 1])


def test_weights_may_not_change_within_a_control_step():
    with pytest.raises(NeuroctlError, match="input->motor change after 50 ms; allowed: multiples of .* step of 20 ms"):
        make(interval=50)
