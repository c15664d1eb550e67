import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.spiking import RewardModulatedSTDP, SynapticSampling, SynapticSamplingParameters
from neuroctl.agents.spiking.network import SpikingNetwork
from neuroctl.agents.spiking.neurons import NeuronParameters
from neuroctl.agents.spiking.projections import Population, Projection
from neuroctl.agents.spiking.recorders import Recorder
from neuroctl.agents.spiking.torch_network import TorchSpikingNetwork
from neuroctl.errors import NeuroctlError, NonFiniteError, UnknownNameError
from neuroctl.storage import load_tree, save_tree
from tests.agents.spiking.torch_peer import DEVICES, share_numbers

LEARNED = "senses->motor"
QUICK = SynapticSamplingParameters(
    learning_rate=3e-4,
    temperature=0.5,
    episode_length=150,
    integration_time=2000,
    weight_update_interval=60,
    gradient_scale=0.2,
    max_param_change=2,
)
EVERYTHING = replace(QUICK, gradient_noise=0.02, direct_gradient_rate=0.01, psp_cutoff_amplitude=0.05)
NEURONS = NeuronParameters(c2_hz=1, c3_per_mv=1, i_e_mv=2, dead_time_ms=5, with_reset=False)
ADAPTIVE = NeuronParameters(c2_hz=1, i_e_mv=9, dead_time_ms=3, target_adaptation_speed_mv=0.2)


def arguments(parameters=QUICK, neurons=NEURONS, agents=3, seed=3, dtype=np.float64, pairs=1, opposite=False):
    rule = partial(SynapticSampling, parameters=parameters, initial=(0.3, 0.8))
    negative = partial(SynapticSampling, parameters=replace(parameters, weight_scale=-1.0), initial=(0.3, 0.8))
    beside = [Projection("senses", "motor", rule=negative), Projection("senses", "motor", weight=0.1)]
    return {
        "inputs": {"senses": 12, "explore": 1, "quiet": 2},
        "populations": {"motor": Population(5, neurons)},
        "projections": [
            Projection("explore", "motor", weight=2.0),
            Projection("senses", "motor", rule=rule, synapses_per_pair=pairs, probability=1.0 if pairs == 1 else 0.8),
            Projection("quiet", "motor", weight=-0.5, receptor="inh"),
            *(beside if opposite else []),
        ],
        "output": "motor",
        "batch_size": agents,
        "seed": seed,
        "dtype": dtype,
    }


def given(steps, agents=3, seed=0, inputs=15):
    """Spikes, now and then two at once and with pauses beyond the cut-off, and a reward that changes in every step."""
    rng = np.random.default_rng(seed)
    rates = 0.12 * (np.arange(steps) // 150 % 2)[:, None, None]
    spikes = (rng.random((steps, agents, inputs)) < rates) * rng.integers(1, 3, (steps, agents, inputs))
    return spikes.astype(np.uint8), rng.normal(0, 1, (steps, agents))


def learned(network: Any) -> Any:
    """The rule that learns; Any: each rule has names of its own."""
    return network.rules[LEARNED]


def run(network, spikes, reward, chunk=20):
    return np.concatenate(
        [network.step(spikes[k : k + chunk], reward[k : k + chunk]) for k in range(0, len(spikes), chunk)]
    )


def assert_equal(network, compiled, tolerance):
    """All that neurons and synapses hold is equal, relative to the greatest of its kind where that is above 1."""
    (mine,), (theirs,) = network.neurons.values(), compiled.neurons.values()
    assert network.rules.keys() == compiled.rules.keys()
    rules = [(network.rules[name], compiled.rules[name]) for name in compiled.rules]
    for owners, names in (
        ((mine, theirs), ("v_mv", "psp_mv", "threshold_mv", "refractory_steps")),
        *((pair, ("theta", "weight", "eligibility", "gradient", "num_active")) for pair in rules),
    ):
        for name in names:
            one, other = (getattr(owner, name) for owner in owners)
            assert one.dtype == other.dtype and one.shape == other.shape, name
            assert np.abs(one - other).max() <= tolerance * max(1.0, np.abs(other).max()), name
    for rule, right in rules:
        for name, count in right.counts().items():
            assert np.array_equal(rule.counts()[name], count), name
        for name, figure in right.statistics().items():
            assert rule.statistics()[name] == pytest.approx(figure, rel=1e-9), name
    for name in compiled.rules:
        assert network.weight(name) == pytest.approx(compiled.weight(name), abs=10 * tolerance)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("options", "chunk"),
    [
        ({}, 20),
        ({"parameters": EVERYTHING, "neurons": ADAPTIVE, "pairs": 2}, 1),
        ({"parameters": EVERYTHING, "neurons": ADAPTIVE, "pairs": 2}, 7),
        ({"parameters": EVERYTHING, "neurons": ADAPTIVE, "pairs": 2}, 20),
        ({"parameters": replace(EVERYTHING, simulate_retracted_synapses=True)}, 60),
        ({"opposite": True}, 20),
    ],
    ids=["plain-20", "everything-1", "everything-7", "everything-20", "kept-traces-60", "opposite-20"],
)
def test_it_equals_the_compiled_network_that_draws_the_same_numbers(options, chunk, device):
    compiled, network = (
        SpikingNetwork(**arguments(**options)),
        TorchSpikingNetwork(**arguments(**options), device=device),
    )
    share_numbers(network, compiled, device)
    spikes, reward = given(2400)
    for stretch in (slice(0, 1190), slice(1190, 2400)):
        right = run(compiled, spikes[stretch], reward[stretch], chunk)
        assert np.array_equal(run(network, spikes[stretch], reward[stretch], chunk), right)
        assert_equal(network, compiled, 1e-10)
    counts = compiled.rules[LEARNED].counts()
    assert (counts["retractions"] >= 5).all() and (counts["formations"] >= 5).all()
    assert right.any(axis=0).all()


@pytest.mark.parametrize("device", DEVICES)
def test_running_and_learning_apart_is_a_step(device):
    whole, parts = (TorchSpikingNetwork(**arguments(), device=device) for _ in range(2))
    spikes, reward = given(300)
    right = run(whole, spikes, reward)
    for k in range(0, 300, 20):
        seen = parts.run(torch.from_numpy(spikes[k : k + 20]).to(device))
        assert np.array_equal(seen, right[k : k + 20])
        assert np.array_equal(seen, parts.activity["motor"])
        parts.learn(reward[k : k + 20])
    assert np.array_equal(learned(parts).theta, learned(whole).theta)


@pytest.mark.parametrize("device", DEVICES)
def test_float32_is_near_float64(device):
    """Both draw the same numbers; the spikes of 0.4 s are the same, so that rounding alone makes the difference."""
    networks = [TorchSpikingNetwork(**arguments(dtype=dtype), device=device) for dtype in (np.float32, np.float64)]
    for network in networks:
        share_numbers(network, SpikingNetwork(**arguments()), device)
    spikes, reward = given(400)
    one, other = (run(network, spikes, reward) for network in networks)
    assert np.array_equal(one, other)
    rough, fine = (network.rules[LEARNED] for network in networks)
    for name in ("theta", "weight", "eligibility", "gradient"):
        assert np.abs(getattr(rough, name) - getattr(fine, name)).max() < 1e-4 * np.abs(getattr(fine, name)).max()


@pytest.mark.parametrize("device", DEVICES)
def test_rates_are_those_of_the_compiled_network(device):
    """Means over 300 agents that draw their own numbers, within 5 standard errors: 1 false alarm in 9e5."""
    still = replace(QUICK, learning_rate=0, temperature=0)
    spikes, reward = given(600, agents=300)
    rates, traces = [], []
    for form in (SpikingNetwork, partial(TorchSpikingNetwork, device=device)):
        network = form(**arguments(still, agents=300, dtype=np.float32))
        rates.append(run(network, spikes, reward, 50).mean(axis=(0, 2)))
        traces.append(learned(network).eligibility.mean(axis=(1, 2)))
    for one, other in (rates, traces):
        apart = one - other
        assert np.abs(apart).max() > 0
        assert abs(apart.mean()) < 5 * apart.std(ddof=1) / np.sqrt(300)


@pytest.mark.parametrize("device", DEVICES)
def test_the_same_seed_gives_the_same_bits(device):
    spikes, reward = given(200)
    one, same, other = (TorchSpikingNetwork(**arguments(seed=s), device=device) for s in (3, 3, 4))
    out = [run(network, spikes, reward) for network in (one, same, other)]
    assert np.array_equal(out[0], out[1]) and not np.array_equal(out[0], out[2])
    assert np.array_equal(learned(one).theta, learned(same).theta)


@pytest.mark.parametrize("device", DEVICES)
def test_a_network_that_was_saved_goes_on_with_the_same_bits(device, tmp_path):
    options = arguments(EVERYTHING, ADAPTIVE, pairs=2, dtype=np.float32)
    network, fresh = (TorchSpikingNetwork(**{**options, "seed": seed}, device=device) for seed in (3, 8))
    spikes, reward = given(400)
    network.rules[LEARNED].temperature = 0.7
    run(network, spikes[:130], reward[:130], 13)
    save_tree(tmp_path, "network", network.state_dict())
    before = network.state_dict()
    fresh.load_state_dict(load_tree(tmp_path, "network"))
    right = run(network, spikes[130:], reward[130:], 15)
    assert np.array_equal(run(fresh, spikes[130:], reward[130:], 15), right)
    assert fresh.rules[LEARNED].temperature == 0.7
    state, other = (n.state_dict()["rules"][LEARNED] for n in (network, fresh))
    assert all(np.array_equal(state[name], other[name]) for name in state)
    assert not np.array_equal(before["rules"][LEARNED]["synapses/theta"], state["synapses/theta"])


@pytest.mark.parametrize("device", DEVICES)
def test_what_was_learned_goes_over_to_the_compiled_network_and_back(device):
    options = arguments(neurons=ADAPTIVE)
    network = TorchSpikingNetwork(**options, device=device)
    run(network, *given(250))
    compiled = SpikingNetwork(**{**options, "batch_size": 2, "seed": 9})
    compiled.adopt(network.state_dict(), [2, 0])
    back = TorchSpikingNetwork(**{**options, "batch_size": 4, "seed": 9}, device=device)
    back.adopt(compiled.state_dict(), [0, 1, 1, 0])
    for one, members in ((compiled, [2, 0]), (back, [2, 0, 0, 2])):
        for name in ("theta", "gradient", "weight"):
            assert np.array_equal(getattr(one.rules[LEARNED], name), getattr(network.rules[LEARNED], name)[members])
        assert np.array_equal(one.neurons["motor"].threshold_mv, network.neurons["motor"].threshold_mv[members])
        assert not learned(one).eligibility.any() and not one.neurons["motor"].psp_mv.any()
        assert np.array_equal(one.weight(LEARNED), network.weight(LEARNED)[members])
    spikes, reward = given(20, agents=4)
    assert back.step(spikes, reward).shape == (20, 4, 5)


@pytest.mark.parametrize("device", DEVICES)
def test_a_compiled_network_goes_on_here_with_the_steps_that_wait(device):
    compiled = SpikingNetwork(**arguments())
    spikes, reward = given(600)
    run(compiled, spikes[:350], reward[:350], 10)
    network = TorchSpikingNetwork(**arguments(), device=device)
    generators = {name: network.state_dict()["rules"][LEARNED]["generator"] for name in ("rules", "neurons")}
    state = compiled.state_dict()
    assert len(state["rules"][LEARNED]["steps/spikes"]) == 50
    state["rules"][LEARNED]["generator"] = generators["rules"]
    state["neurons"]["motor"]["generator"] = generators["neurons"]
    network.load_state_dict(state)
    share_numbers(network, compiled, device)
    right = run(compiled, spikes[350:], reward[350:], 25)
    assert np.array_equal(run(network, spikes[350:], reward[350:], 25), right)
    assert_equal(network, compiled, 1e-10)


def test_the_start_is_that_of_the_compiled_network():
    assert_equal(TorchSpikingNetwork(**arguments()), SpikingNetwork(**arguments()), 0)


def test_weights_set_by_hand_transmit_after_refreshing():
    network = TorchSpikingNetwork(**arguments())
    theta = np.full((3, 12, 5), 1.0)
    theta[1] = -1.0
    learned(network).theta = theta
    network.refresh_weights()
    assert network.weight(LEARNED)[0] == pytest.approx(np.exp(-2.0))
    only = np.zeros((1, 3, 15), np.uint8)
    only[0, :, :12] = 1
    network.run(only)
    arrived = network.neurons["motor"].psp_mv
    assert arrived[0, :2] == pytest.approx(12 * np.exp(-2.0)) and not arrived[1].any()
    assert np.array_equal(network.weight("quiet->motor"), np.full((3, 2, 5), -0.5))


def test_a_recorder_samples_it_as_the_compiled_network():
    samples: list[Any] = []
    for form in (SpikingNetwork, TorchSpikingNetwork):
        network = form(**arguments(neurons=ADAPTIVE))
        if samples:
            share_numbers(network, SpikingNetwork(**arguments(neurons=ADAPTIVE)), "cpu")
        recorder = Recorder(network, every_ms=60)
        for spikes, reward in zip(*(array.reshape(9, 20, *array.shape[1:]) for array in given(180)), strict=True):
            network.step(spikes, reward)
            recorder.add(reward)
        samples.append(recorder.samples())
    assert samples[0].keys() == samples[1].keys()
    for name, values in samples[0].items():
        assert samples[1][name] == pytest.approx(values, abs=1e-10), name


PLASTIC = arguments()["projections"][1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"populations": {"motor": Population(5, replace(NEURONS, dead_time_ms=0))}}, "need dead_time_ms > 0, got 0"),
        ({"populations": {"motor": Population(5), "more": Population(2)}}, "has one population, got motor, more"),
        ({"projections": [Projection("motor", "motor", weight=1.0)]}, "has projections from inputs only"),
        ({"projections": [Projection("senses", "motor", weight=1.0, delay_ms=2)]}, "delay_ms must be 1 .*, got 2"),
        ({"projections": [replace(PLASTIC, rule=partial(SynapticSampling, compat=True))]}, "got SynapticSampling with"),
        ({"projections": [replace(PLASTIC, rule=RewardModulatedSTDP)]}, "got RewardModulatedSTDP"),
    ],
)
def test_what_is_no_such_layer_is_refused(changes, message):
    with pytest.raises(NeuroctlError, match=message):
        TorchSpikingNetwork(**{**arguments(), **changes})


def test_wrong_calls_change_nothing():
    network, same = TorchSpikingNetwork(**arguments()), TorchSpikingNetwork(**arguments())
    spikes, reward = given(70)
    with pytest.raises(NeuroctlError, match="nothing to learn from"):
        network.learn(reward[:1])
    for call, error, message in (
        (lambda: network.step(spikes), NeuroctlError, "plastic projections need a reward"),
        (lambda: network.step(spikes, reward * np.nan), NonFiniteError, "not finite"),
        (lambda: network.step(spikes[:, :, 1:], reward), NeuroctlError, "spikes_in must be"),
        (lambda: network.run(torch.from_numpy(spikes).float()), NeuroctlError, "spikes_in must be uint8 of shape"),
        (lambda: network.load_state_dict(SpikingNetwork(**arguments()).state_dict()), NeuroctlError, "no generator"),
        (lambda: network.load_state_dict({}), NeuroctlError, "no generator"),
        (lambda: network.weight("none"), UnknownNameError, "none"),
    ):
        with pytest.raises(error, match=message):
            call()
    other = TorchSpikingNetwork(**{**arguments(), "batch_size": 2}).state_dict()
    with pytest.raises(NeuroctlError, match="'2 agents', this one has '3 agents'"):
        network.load_state_dict(other)
    with pytest.raises(NeuroctlError, match="members must be 3 integers from 0 to 1"):
        network.adopt(other, [0, 1, 2])
    assert np.array_equal(run(network, spikes, reward), run(same, spikes, reward))
    network.run(spikes)
    with pytest.raises(NeuroctlError, match="weights change after 50 steps, 70 were run"):
        network.learn(reward)


def test_nothing_else_needs_torch():
    code = "import sys, neuroctl.agents.spore; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
