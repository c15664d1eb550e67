import numpy as np
import pytest

from neuroctl.agents.spiking import Population, Projection, SpikingNetwork
from neuroctl.agents.spiking.controller import SpikingController
from neuroctl.agents.spiking.decoders import LeftRightRatio, LinearReadout, LowPass, PopulationVector
from neuroctl.agents.spiking.encoders import PoissonEncoder
from neuroctl.agents.spiking.neurons import NeuronParameters
from neuroctl.agents.spiking.reward_filters import RewardFilter
from neuroctl.agents.spiking.rules import synaptic_sampling
from neuroctl.errors import NeuroctlError

LIVELY = NeuronParameters(c2_hz=1, c3_per_mv=1, i_e_mv=3, with_reset=False)


def make(agents=2, seed=0, num_steps=20, interval=100, **parts):
    rule = synaptic_sampling(weight_update_interval=interval, initial=(2.0, 0.5))
    network = SpikingNetwork(
        4,
        {"motor": Population(4, LIVELY)},
        [Projection("input", "motor", rule=rule)],
        "motor",
        batch_size=agents,
        seed=seed,
    )
    usual = {
        "encoder": PoissonEncoder(4, num_steps, batch_size=agents, seed=seed),
        "readout": LowPass(4, 100.0, batch_size=agents),
        "decoder": LeftRightRatio(4, 20.0),
        "reward_filter": RewardFilter("difference", batch_size=agents, control_dt_s=num_steps / 1000),
    }
    return SpikingController(network, lambda obs: 100.0 * obs, **{**usual, **parts})


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
    message = "input->motor change after 50 ms; allowed: multiples of .* step of 20 ms; set weight_update_interval"
    with pytest.raises(NeuroctlError, match=message):
        make(interval=50)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"encoder": PoissonEncoder(4, 20, batch_size=2, dt_ms=0.5)}, "dt_ms of the encoder must be 1, .* got 0.5"),
        ({"encoder": PoissonEncoder(5, 20, batch_size=2)}, "num_inputs of the encoder must be 4, .* got 5"),
        ({"encoder": PoissonEncoder(4, 20)}, "batch_size of the encoder must be 2, .* got 1"),
        ({"readout": LowPass(4, 100.0, batch_size=2, dt_ms=5.0)}, "dt_ms of the readout must be 1, .* got 5"),
        ({"readout": LowPass(3, 100.0, batch_size=2)}, "num_neurons of the readout must be 4, .* got 3"),
        ({"readout": LowPass(4, 100.0)}, "batch_size of the readout must be 2, .* got 1"),
        ({"decoder": LeftRightRatio(6, 20.0)}, "num_neurons of the decoder must be 4, .* got 6"),
        ({"decoder": PopulationVector(8, 1.0, 1.0)}, "num_neurons of the decoder must be 4, .* got 8"),
        ({"decoder": LinearReadout(np.ones((2, 3)))}, "num_neurons of the decoder must be 4, .* got 3"),
        (
            {"reward_filter": RewardFilter(batch_size=2, control_dt_s=1.0)},
            "control_dt_s of the reward_filter must be 0.02, to fit the network, got 1$",
        ),
        ({"reward_filter": RewardFilter(control_dt_s=0.02)}, "batch_size of the reward_filter must be 2, .* got 1"),
    ],
)
def test_parts_of_other_sizes_and_steps_are_refused_when_it_is_made(parts, message):
    with pytest.raises(NeuroctlError, match=message) as error:
        make(**parts)
    assert "\n" not in str(error.value)


def test_a_decoder_of_ones_own_need_not_tell_its_size():
    class Sum:
        def decode(self, rates_hz):
            return rates_hz.sum(axis=1, keepdims=True)

    assert make(decoder=Sum()).act(observations(2, 1)[0]).shape == (2, 1)


def test_what_is_no_state_is_refused():
    controller = make()
    for take in (controller.load_state_dict, lambda state: controller.adopt(state, [0, 1])):
        with pytest.raises(NeuroctlError, match="state of a controller must be a mapping, got None"):
            take(None)
        with pytest.raises(NeuroctlError, match="state of a controller has no 'encoder'"):
            take({"network": controller.network.state_dict()})
