from functools import partial
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSampling, SynapticSamplingParameters
from neuroctl.agents.spiking.network import MOST_STEPS, SpikingNetwork
from neuroctl.agents.spiking.neurons import NeuronParameters
from neuroctl.agents.spiking.plasticity import PlasticityRule
from neuroctl.agents.spiking.projections import Population, Projection
from neuroctl.errors import NeuroctlError, NonFiniteError
from neuroctl.storage import load_tree, save_tree
from tests.agents.spiking.plain_neuron import plain_network

SILENT = NeuronParameters(c2_hz=0)
UNIT = NeuronParameters(c1_hz_per_mv=1e9, c2_hz=0, with_reset=False)
"""Fires wherever V > 0 and it is not refractory."""
LIVELY = NeuronParameters(i_e_mv=12, dead_time_ms=2, target_adaptation_speed_mv=0.2)


RAGGED: Any = [[1.0], [1.0, 2.0]]


class Staircase(PlasticityRule):
    """All weights are `first` plus the number of updates, one after each `interval` steps; keeps its input."""

    def __init__(self, num_pre, num_post, *, interval=10, first=1.0, seed, dtype, synapses_per_pair, exists, **sizes):
        super().__init__(num_pre, num_post, learning_rate=0, temperature=0, **sizes)
        self.interval, self.first, self.steps, self.exists, self.seed = interval, first, 0, exists, seed
        self.seen = []

    @property
    def weight(self):
        exists = np.ones((self.batch_size, self.num_pre, self.num_post)) if self.exists is None else self.exists
        return exists * (self.first + self.steps // self.interval)

    @property
    def steps_until_update(self):
        return self.interval - self.steps % self.interval

    def advance(self, spikes_pre, bap, reward, *, spikes_post=None):
        assert len(spikes_pre) <= self.steps_until_update
        self.steps += len(spikes_pre)
        post = self.checked_spikes_post(spikes_post, len(spikes_pre))
        self.seen.append([np.array(part) for part in (*self.checked_steps(spikes_pre, bap, reward), post)])

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]

    def statistics(self):
        return {}

    def history(self):
        return [np.concatenate(parts) for parts in zip(*self.seen, strict=True)]


class Narrow(Staircase):
    """Has weights of a wrong shape."""

    @property
    def weight(self):
        return super().weight[:, :, :1]


def sparse(steps, batch_size, inputs, rate=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((steps, batch_size, inputs)) < rate) * rng.integers(1, 3, (steps, batch_size, inputs))


def lively_weights(rng, sizes):
    return rng.normal(0.5, 0.3, sizes)


def recurrent_network(batch_size=1, seed=4, **options):
    """Inputs and two populations, recurrent, with inhibition, several delays and synapses that learn."""
    quick = SynapticSamplingParameters(learning_rate=1e-4, weight_update_interval=25, episode_length=200)
    rule = partial(SynapticSampling, parameters=quick, initial=(1.5, 0.5))
    return SpikingNetwork(
        inputs={"eye": 11, "skin": 3},
        populations={"hidden": Population(7, LIVELY), "motor": Population(4, LIVELY)},
        projections=[
            Projection("eye", "hidden", rule=rule, probability=0.7, synapses_per_pair=2),
            Projection("skin", "motor", weight=lively_weights, delay_ms=4),
            Projection("hidden", "hidden", rule=rule, probability=0.5, delay_ms=3),
            Projection("hidden", "hidden", weight=-0.5, receptor="inh", delay_ms=2),
            Projection("hidden", "motor", rule=rule),
        ],
        output="motor",
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def arrays_of(tree, path=""):
    """All leaves of a state by path."""
    if not isinstance(tree, dict):
        return {path: np.asarray(tree)}
    leaves: dict[str, Any] = {}
    for key, part in tree.items():
        leaves |= arrays_of(part, f"{path}/{key}")
    return leaves


def rule_of(network, name) -> Any:
    return network.rules[name]


def assert_same_state(one, other):
    one, other = arrays_of(one), arrays_of(other)
    assert one.keys() == other.keys()
    for path, array in one.items():
        assert array.tobytes() == other[path].tobytes(), path


@pytest.mark.parametrize(("delay_ms", "dt_ms"), [(1, 1), (2, 1), (7, 1), (0.3, 0.1), (15, 5)])
def test_a_potential_begins_exactly_one_delay_after_the_spike(delay_ms, dt_ms):
    """A spike of step k has its trace eps(h) in the rule at step k, and in the neuron at step k + delay."""
    delay, sent = round(delay_ms / dt_ms), 3
    network = SpikingNetwork(
        2,
        {"a": Population(1, SILENT)},
        [Projection("input", "a", weight=np.array([[0.0], [2.0]]), delay_ms=delay_ms)],
        "a",
        dt_ms=dt_ms,
        dtype=np.float64,
    )
    v = []
    for k in range(sent + delay + 3):
        spikes = np.zeros((1, 1, 2))
        spikes[0, 0, 1] = k == sent
        network.step(spikes)
        v.append(network.neurons["a"].v_mv[0, 0])
    t = dt_ms * np.maximum(np.arange(len(v)) - sent - delay + 1, 0)
    assert v == pytest.approx(2 * 20 / 18 * (np.exp(-t / 20) - np.exp(-t / 2)), abs=1e-14)
    assert np.flatnonzero(v)[0] == sent + delay


def test_a_neuron_that_fires_counts_as_a_spike_of_the_next_step():
    """Input at 2, delay 1: a fires at 3; its spike is one of step 4, felt by b at 4 + 3."""
    network = SpikingNetwork(
        1,
        {"a": Population(1, UNIT), "b": Population(1, UNIT)},
        [Projection("input", "a", weight=5.0), Projection("a", "b", rule=Staircase, delay_ms=3)],
        "b",
    )
    spikes = np.zeros((8, 1, 1))
    spikes[2] = 1
    out = network.step(spikes, np.zeros((8, 1)))
    fired = np.flatnonzero(network.activity["a"][:, 0, 0])
    assert fired[0] == 3
    assert np.flatnonzero(out[:, 0, 0])[0] == 7
    pre, _, _, post = rule_of(network, "a->b").history()
    assert np.array_equal(post, out)
    assert np.flatnonzero(pre[:, 0, 0]).tolist() == [k + 1 for k in fired if k + 1 < 8]


@pytest.mark.parametrize("steps_per_call", [1, 7, 40])
def test_spikes_are_sent_with_the_weight_of_their_step(steps_per_call):
    """Weights 1, 2, 3, ... change before steps 10, 20, ...: an input of row 10, a neuron that fired in step 9."""
    network = SpikingNetwork(
        1,
        {"a": Population(1, UNIT), "b": Population(1, SILENT)},
        [Projection("input", "a", rule=Staircase), Projection("a", "b", rule=partial(Staircase, first=100.0))],
        "b",
        dtype=np.float64,
    )
    spikes = np.zeros((40, 1, 1))
    spikes[[8, 10, 19, 20, 31]] = 1
    arrived = []
    for k in range(0, 40, steps_per_call):
        part = spikes[k : k + steps_per_call]
        network.step(part, np.zeros((len(part), 1)))
        arrived.append(network.neurons["a"].psp_mv[0, :2, 0])
    total = sum(np.exp(-(39 - k) / 20) * (1 + k // 10) for k in (8, 10, 19, 20, 31))
    assert arrived[-1][1] == pytest.approx(total)
    fired = np.flatnonzero(rule_of(network, "a->b").history()[0][:, 0, 0])
    total = sum(np.exp(-(39 - k) / 20) * (100 + k // 10) for k in fired)
    assert 10 in fired
    assert network.neurons["b"].psp_mv[0, 1, 0] == pytest.approx(total)


def test_recurrent_network_equals_a_plain_loop_with_dense_matrices():
    rng = np.random.default_rng(1)
    populations = {
        "e": Population(
            6, NeuronParameters(i_e_mv=18, dead_time_ms=3, target_rate_hz=80, target_adaptation_speed_mv=0.3)
        ),
        "i": Population(3, NeuronParameters(i_e_mv=13, dead_time_ms=0, tau_rise_inh_ms=2, with_reset=False)),
    }
    listed = [
        (None, "e", rng.random((9, 6)), 2, "exc"),
        ("e", "e", 2 * rng.random((6, 6)), 3, "exc"),
        ("e", "i", 2 * rng.random((6, 3)), 1, "exc"),
        ("i", "e", -0.5 * rng.random((3, 6)), 4, "inh"),
        ("i", "i", -rng.random((3, 3)), 1, "inh"),
        (None, "i", rng.random((9, 3)), 1, "exc"),
    ]
    projections = [
        Projection(source or "input", target, weight=w, delay_ms=delay * 0.5, receptor=receptor, autapses=True)
        for source, target, w, delay, receptor in listed
    ]
    network = SpikingNetwork(9, populations, projections, "i", batch_size=2, dt_ms=0.5, seed=7, dtype=np.float64)
    spikes_in = sparse(500, 2, 9)
    out = network.step(spikes_in)
    for b in range(2):
        spikes, _ = plain_network(populations, listed, spikes_in[:, b], 0.5, 7, agent=b)
        assert spikes["e"].sum() > 50
        assert spikes["i"].max() > 1
        np.testing.assert_array_equal(network.activity["e"][:, b], spikes["e"])
        np.testing.assert_array_equal(out[:, b], spikes["i"])


def test_a_rule_is_shown_spikes_trace_and_reward_of_every_step():
    populations = {"a": Population(5, LIVELY), "b": Population(3, LIVELY)}
    weights = np.random.default_rng(2).random((5, 3))
    network = SpikingNetwork(
        {"first": 3, "x": 10},
        populations,
        [Projection("x", "a", rule=partial(Staircase, interval=7, first=0.0)), Projection("a", "b", weight=weights)],
        "b",
        dtype=np.float64,
        seed=3,
    )
    spikes_in, reward = sparse(5, 1, 13), np.random.default_rng(0).normal(size=(5, 1))
    network.step(spikes_in, reward)
    pre, bap, rewards, post = rule_of(network, "x->a").history()
    np.testing.assert_array_equal(pre, spikes_in[:, :, 3:])
    np.testing.assert_array_equal(rewards, reward)
    spikes, expected = plain_network(populations, [("a", "b", weights, 1, "exc")], spikes_in[:, 0], 1.0, 3)
    np.testing.assert_array_equal(post[:, 0], spikes["a"])
    np.testing.assert_allclose(bap[:, 0], expected["a"], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bits_do_not_depend_on_how_steps_are_divided(dtype):
    steps = 230
    spikes_in, reward = sparse(steps, 2, 14), np.random.default_rng(1).normal(size=(steps, 2))
    whole, cut = (recurrent_network(2, dtype=dtype) for _ in range(2))
    expected = whole.step(spikes_in, reward)
    assert expected.sum() > 20
    ends = [0, 1, 2, 20, 20, 47, 150, steps]
    parts = [cut.step(spikes_in[a:b], reward[a:b]) for a, b in zip(ends[:-1], ends[1:], strict=True)]
    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert_same_state(whole.state_dict(), cut.state_dict())
    assert not np.array_equal(whole.weight("eye->hidden"), recurrent_network(2, dtype=dtype).weight("eye->hidden"))


def test_running_and_then_learning_is_a_step():
    whole, halves = recurrent_network(2, dtype=np.float64), recurrent_network(2, dtype=np.float64)
    spikes, reward = sparse(100, 2, 14), np.random.default_rng(1).normal(0, 1, (100, 2))
    for start in range(0, 100, 5):
        now = slice(start, start + 5)
        assert np.array_equal(halves.run(spikes[now]), whole.step(spikes[now], reward[now]))
        halves.learn(reward[now])
    assert_same_state(whole.state_dict(), halves.state_dict())


def test_running_alone_changes_no_synapse():
    network = recurrent_network()
    before = network.state_dict()["rules"]
    network.run(sparse(60, 1, 14))
    assert_same_state(before, network.state_dict()["rules"])


def test_what_cannot_be_learned_from_is_refused():
    network = recurrent_network()
    with pytest.raises(NeuroctlError, match="nothing to learn from"):
        network.learn(np.zeros((0, 1)))
    network.run(sparse(26, 1, 14))
    with pytest.raises(NeuroctlError, match="weights change after 25 steps, 26 were run"):
        network.learn(np.zeros((26, 1)))
    network.run(sparse(20, 1, 14))
    with pytest.raises(NeuroctlError, match=r"reward must be numbers of shape \(20, 1\)"):
        network.learn(np.zeros((19, 1)))
    network.learn(np.zeros((20, 1)))
    with pytest.raises(NeuroctlError, match="nothing to learn from"):
        network.learn(np.zeros((20, 1)))


def test_agents_begin_with_what_others_had_learned():
    taught = recurrent_network(3)
    taught.step(sparse(40, 3, 14), np.ones((40, 3)))
    state = taught.state_dict()
    pupil = recurrent_network(2, seed=9)
    own = pupil.state_dict()
    pupil.adopt(state, [2, 0])
    for key in pupil.rules:
        for name in ("theta", "weight", "gradient"):
            theirs = getattr(rule_of(taught, key), name)
            assert np.array_equal(getattr(pupil.rules[key], name), theirs[[2, 0]])
        assert rule_of(taught, key).eligibility.any()
        assert not rule_of(pupil, key).eligibility.any()
        assert np.array_equal(pupil.weight(key), taught.weight(key)[[2, 0]])
        assert (pupil.rules[key].steps_until_update, taught.rules[key].steps_until_update) == (25, 10)
        assert np.array_equal(pupil.state_dict()["rules"][key]["streams"], own["rules"][key]["streams"])
    for name, neurons in pupil.neurons.items():
        assert np.array_equal(neurons.threshold_mv, taught.neurons[name].threshold_mv[[2, 0]])
    assert taught.neurons["motor"].threshold_mv.any()
    assert np.array_equal(pupil.state_dict()["arrivals"], own["arrivals"])


@pytest.mark.parametrize(
    ("members", "message"),
    [([0, 3], "integers from 0 to 2, got"), ([0], "members must be 2 integers"), ([0.5, 1], "members must be 2")],
)
def test_members_that_are_not_there_are_refused(members, message):
    pupil = recurrent_network(2)
    before = pupil.state_dict()
    with pytest.raises(NeuroctlError, match=message):
        pupil.adopt(recurrent_network(3).state_dict(), members)
    assert_same_state(before, pupil.state_dict())


def test_agents_of_another_network_are_refused():
    with pytest.raises(NeuroctlError, match="it has 'steps of 0.5 ms, float32'"):
        recurrent_network().adopt(recurrent_network(dt_ms=0.5).state_dict(), [0])


def test_long_static_runs_equal_short_ones():
    steps = 2 * MOST_STEPS + 3

    def fresh():
        return SpikingNetwork(
            4, {"a": Population(3, LIVELY)}, [Projection("a", "a", weight=0.5, delay_ms=9)], "a", seed=2
        )

    spikes_in, cut = sparse(steps, 1, 4), fresh()
    parts = [cut.step(part) for part in np.array_split(spikes_in, 5)]
    assert fresh().step(spikes_in).tobytes() == np.concatenate(parts).tobytes()


def test_an_agent_does_not_depend_on_those_beside_it():
    steps = 120
    spikes_in, reward = sparse(steps, 3, 14), np.random.default_rng(1).normal(size=(steps, 3))
    three, one = recurrent_network(3), recurrent_network(1)
    expected = three.step(spikes_in, reward)
    assert one.step(spikes_in[:, :1], reward[:, :1]).tobytes() == expected[:, :1].tobytes()
    assert one.weight("eye->hidden")[0].tobytes() == three.weight("eye->hidden")[0].tobytes()
    assert (expected[:, 0] != expected[:, 1]).any()
    other = recurrent_network(3)
    spikes_in[:, :2], reward[:, :2] = 1, 7
    assert other.step(spikes_in, reward)[:, 2].tobytes() == expected[:, 2].tobytes()
    assert other.weight("hidden->motor")[2].tobytes() == three.weight("hidden->motor")[2].tobytes()


def test_state_goes_on_bit_for_bit_also_from_a_file(tmp_path):
    spikes_in, reward = sparse(190, 2, 14), np.random.default_rng(1).normal(size=(190, 2))
    first, second = recurrent_network(2, seed=4), recurrent_network(2, seed=5)
    first.step(spikes_in[:60], reward[:60])
    save_tree(tmp_path, "network", first.state_dict())
    second.step(spikes_in[:33], reward[:33])
    second.load_state_dict(load_tree(tmp_path, "network"))
    assert_same_state(first.state_dict(), second.state_dict())
    expected = first.step(spikes_in[60:], reward[60:])
    assert second.step(spikes_in[60:], reward[60:]).tobytes() == expected.tobytes()
    assert_same_state(first.state_dict(), second.state_dict())


def test_reading_state_changes_nothing():
    read, unread = recurrent_network(), recurrent_network()
    spikes_in, reward = sparse(80, 1, 14), np.ones((80, 1))
    for k in range(0, 80, 10):
        now = slice(k, k + 10)
        a, b = read.step(spikes_in[now], reward[now]), unread.step(spikes_in[now], reward[now])
        assert a.tobytes() == b.tobytes()
        for array in (a, read.weight("skin->motor"), *arrays_of(read.state_dict()).values()):
            if array.ndim:
                array[:] = 1
        for rule in read.rules.values():
            rule.statistics()
            for array in (rule.num_active, *rule.counts().values()):
                array[:] = 1
    assert_same_state(read.state_dict(), unread.state_dict())


def test_synapses_exist_with_their_probability_and_not_from_a_neuron_to_itself():
    """Each share within 4.75 standard deviations: false-alarm rate 2e-6."""
    network = SpikingNetwork(
        50,
        {"a": Population(50)},
        [
            Projection("input", "a", weight=1.0, probability=0.3),
            Projection("a", "a", weight=1.0, probability=0.5),
            Projection("a", "a", weight=1.0, probability=0.0, autapses=True),
            Projection("input", "a", weight=1.0, probability=0.3),
            Projection("a", "a", weight=2.0, autapses=True),
        ],
        "a",
        batch_size=3,
    )
    wired = [network.weight(name) for name in ("input->a", "a->a", "a->a#2", "input->a#2", "a->a#3")]
    for weights, share, synapses in ((wired[0], 0.3, 7500), (wired[1], 0.5, 7350)):
        assert abs(weights.sum() / synapses - share) < 4.75 * np.sqrt(share * (1 - share) / synapses)
    assert not wired[1][:, np.arange(50), np.arange(50)].any()
    assert not wired[2].any()
    assert (wired[4] == 2).all()
    for other in (wired[0][1], wired[0][2], wired[3][0]):
        assert (wired[0][0] != other).any()


def test_weights_changed_by_hand_are_taken_over_on_request():
    network = SpikingNetwork(2, {"a": Population(1)}, [Projection("input", "a", rule=Staircase)], "a")
    rule_of(network, "input->a").first = 9.0
    assert network.weight("input->a").tolist() == [[[1], [1]]]
    network.refresh_weights()
    assert network.weight("input->a").tolist() == [[[9], [9]]]


def test_plastic_synapses_of_two_projections_draw_different_numbers():
    rule = partial(SynapticSampling, initial=(1.0, 0.5))
    pair = [Projection("input", "a", rule=rule), Projection("input", "a", rule=rule)]
    network = SpikingNetwork(6, {"a": Population(5)}, pair, "a")
    assert (network.weight("input->a") != network.weight("input->a#2")).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 0}, "inputs must be an integer >= 1, got 0"),
        ({"inputs": {}}, "a network needs inputs; none are given"),
        ({"inputs": {"a": 3}}, "'a' names inputs and a population"),
        ({"populations": {}}, "a network needs populations; none are given"),
        ({"populations": {"a": 8}}, "population 'a' must be a Population, got 8"),
        ({"projections": [Projection("input", "a", rule=Narrow)]}, r"shape \(1, 3, 2\), got \(1, 3, 1\)"),
        ({"output": "motr"}, "unknown output 'motr'; known: a"),
        ({"projections": [Projection("inptu", "a", weight=1)]}, "unknown source of inptu->a 'inptu'; did you mean 'in"),
        ({"projections": [Projection("a", "input", weight=1)]}, "unknown target of a->input 'input'"),
        ({"projections": ["input->a"]}, "projections must be Projection objects, got 'input->a'"),
        ({"projections": [Projection("input", "a", weight=1, delay_ms=0.5)]}, "multiple of the step of 1 ms, got 0.5"),
        ({"projections": [Projection("input", "a", weight=1, delay_ms=1.5)]}, "multiple of the step of 1 ms, got 1.5"),
        ({"projections": [Projection("input", "a", weight=np.ones((2, 3)))]}, r"have shape \(3, 2\) or \(1, 3, 2\)"),
        (
            {"projections": [Projection("input", "a", weight=RAGGED)]},
            "weight of input->a must be an array of numbers; ",
        ),
        (
            {"projections": [Projection("input", "a", weight=lambda rng, sizes: RAGGED)]},
            "weight of input->a must be an",
        ),
        ({"projections": [Projection("input", "a", weight=np.nan)]}, "weights must be finite"),
        ({"projections": [Projection("input", "a", weight=lambda rng, sizes: rng.random(3))]}, r"\(3, 2\), got \(3,\)"),
        ({"projections": [Projection("input", "a", weight=1, receptor="inh")]}, "'inh' must be <= 0, got 1"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"dt_ms": 0}, "dt_ms must be a number > 0"),
        ({"dtype": np.float16}, "dtype must be float32 or float64"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_networks_that_cannot_be_are_refused(change, message):
    options = {"inputs": 3, "populations": {"a": Population(2)}, "projections": [], "output": "a"}
    with pytest.raises(NeuroctlError, match=message) as error:
        SpikingNetwork(**{**options, **change})
    assert "\n" not in str(error.value)


def test_bad_steps_are_refused_and_change_nothing():
    network = recurrent_network()
    spikes, reward = np.zeros((3, 1, 14)), np.zeros((3, 1))
    before = network.state_dict()
    for bad in (
        spikes[0],
        spikes[:, :, 1:],
        spikes - 1,
        spikes + 0.5,
        spikes + 256,
        spikes * np.nan,
        spikes.astype(str),
    ):
        with pytest.raises(NeuroctlError, match="spikes_in must be"):
            network.step(bad, reward)
    ragged: Any = [[[0] * 14], [[0]]]
    for call in (network.step, network.run):
        with pytest.raises(NeuroctlError, match="spikes_in must be an array of numbers; its rows have different"):
            call(ragged)
    with pytest.raises(NeuroctlError, match="reward must be an array of numbers; its rows have different"):
        network.step(spikes, ragged)
    with pytest.raises(NeuroctlError, match=r"plastic projections need a reward of shape \(3, 1\): eye->hidden"):
        network.step(spikes)
    with pytest.raises(NeuroctlError, match=r"reward must be numbers of shape \(3, 1\)"):
        network.step(spikes, reward[0])
    with pytest.raises(NonFiniteError, match="reward has a value that is not finite"):
        network.step(spikes, reward + np.inf)
    with pytest.raises(NeuroctlError, match="unknown projection 'eye->hiden'; did you mean 'eye->hidden'"):
        network.weight("eye->hiden")
    assert_same_state(network.state_dict(), before)


def test_state_of_another_network_is_refused_in_one_line():
    network = recurrent_network()
    state = network.state_dict()
    for other, message in (
        (recurrent_network(2), "it has '2 agents', this one has '1 agents'"),
        (recurrent_network(dt_ms=0.5), "it has 'steps of 0.5 ms, float32'"),
        (SpikingNetwork({"eye": 11, "skin": 3}, {"motor": Population(1)}, [], "motor"), "'1 neurons 'motor''|neurons"),
    ):
        with pytest.raises(NeuroctlError, match=message) as error:
            network.load_state_dict(other.state_dict())
        assert "\n" not in str(error.value)
    moved = recurrent_network(seed=9)
    moved.step(sparse(30, 1, 14), np.ones((30, 1)))
    others = moved.state_dict()
    with pytest.raises(NeuroctlError):
        network.load_state_dict({**others, "rules": {**others["rules"], "hidden->motor": {}}})
    for lost, message in (("topology", "no array 'topology'"), ("spikes", "no array 'spikes'"), ("rules", "no rules")):
        with pytest.raises(NeuroctlError, match=message):
            network.load_state_dict({key: value for key, value in state.items() if key != lost})
    assert_same_state(network.state_dict(), state)


def changed(state, part, name, array, change):
    """A copy of a state whose array of this part (none: of the network) has `change` as its first number."""
    owner = state[part][name] if part else state
    array_of = owner[array].copy()
    array_of.reshape(-1)[0] = change
    owner = {**owner, array: array_of}
    return {**state, part: {**state[part], name: owner}} if part else owner


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ((None, "", "weights", np.nan), "weights in the state of the network must be finite"),
        ((None, "", "arrivals", np.inf), "arrivals in the state of the network must be finite"),
        ((None, "", "weights", 77.0), "weights of 'eye->hidden' in the state of the network are not those of its rule"),
        (
            ("rules", "hidden->motor", "synapses/theta", 4.0),
            "weights in the state of the synapses are not those of its",
        ),
        (("rules", "eye->hidden", "synapses/weight", np.nan), "'synapses/weight' of the state .* not finite"),
        (("neurons", "hidden", "psp", np.nan), "psp in the state of neurons 'hidden' has a value that is not finite"),
        (("neurons", "motor", "threshold", np.inf), "threshold in the state of neurons 'motor' has a value that is"),
        (("neurons", "hidden", "refractory", -5), "refractory in the state of neurons 'hidden' must be >= 0, got -5"),
    ],
)
def test_damaged_numbers_of_a_state_are_refused_and_change_nothing(damage, message):
    network, other = recurrent_network(), recurrent_network(seed=8)
    for one in (network, other):
        one.step(sparse(30, 1, 14), np.ones((30, 1)))
    before = network.state_dict()
    with pytest.raises(NeuroctlError, match=message) as error:
        network.load_state_dict(changed(other.state_dict(), *damage))
    assert "\n" not in str(error.value)
    assert_same_state(network.state_dict(), before)
    network.load_state_dict(other.state_dict())
    assert_same_state(network.state_dict(), other.state_dict())


def test_inhibition_of_a_state_that_excites_is_refused():
    projection = Projection("input", "a", weight=-1.0, receptor="inh")
    network = SpikingNetwork(2, {"a": Population(1)}, [projection], "a")
    with pytest.raises(NeuroctlError, match="weights of 'input->a' in the state of the network must be <= 0"):
        network.load_state_dict(changed(network.state_dict(), None, "", "weights", 1.0))
    assert network.weight("input->a").max() == -1


def test_a_damaged_threshold_is_not_adopted():
    network = recurrent_network()
    wrong = changed(network.state_dict(), "neurons", "hidden", "threshold", np.nan)
    with pytest.raises(NeuroctlError, match="threshold in the state of neurons 'hidden' has a value that is not"):
        network.adopt(wrong, [0])


@pytest.mark.parametrize("state", [None, 3, []])
def test_what_is_no_state_is_refused(state):
    network = recurrent_network()
    rule, neurons = network.rules["eye->hidden"], network.neurons["motor"]
    for owner in (network, rule, neurons):
        for take in (owner.load_state_dict, partial(owner.adopt, members=[0])):
            with pytest.raises(NeuroctlError, match="state of .* must be a mapping, got"):
                take(state)


def test_plastic_inhibition_that_excites_is_refused():
    inhibition = Projection("input", "a", rule=SynapticSampling, receptor="inh")
    with pytest.raises(NeuroctlError, match="input->a: weights of receptor 'inh' must be <= 0, greatest_weight"):
        SpikingNetwork(2, {"a": Population(1)}, [inhibition], "a")


class Hasty(Staircase):
    """Says at every moment that weights change after 10 steps."""

    @property
    def steps_until_update(self):
        return 10


class Confused(Staircase):
    """Says something else than a number of steps."""

    says = 0

    @property
    def steps_until_update(self):
        return self.says


def test_a_rule_whose_weights_change_at_another_time_than_it_says_is_refused():
    network = SpikingNetwork(2, {"a": Population(1)}, [Projection("input", "a", rule=Hasty)], "a")
    network.step(np.zeros((20, 1, 2)), np.zeros((20, 1)))  # cut where it said
    with pytest.raises(NeuroctlError, match=r"said that weights change after 10 steps, and 4 steps later .* 10;"):
        network.step(np.zeros((4, 1, 2)), np.zeros((4, 1)))


@pytest.mark.parametrize("says", [0, -3, 2.5, None])
def test_a_rule_that_says_no_number_of_steps_is_refused(says, monkeypatch):
    monkeypatch.setattr(Confused, "says", says)
    network = SpikingNetwork(2, {"a": Population(1)}, [Projection("input", "a", rule=Confused)], "a")
    with pytest.raises(NeuroctlError, match=r"of the rule of 'input->a' must be an integer >= 1, got"):
        network.step(np.zeros((4, 1, 2)), np.zeros((4, 1)))


def test_rewards_beyond_single_precision_are_refused():
    network = SpikingNetwork(2, {"a": Population(1)}, [Projection("input", "a", rule=Staircase)], "a")
    with pytest.raises(NeuroctlError, match=r"reward must be from -1e\+12 to 1e\+12, got 1e\+36"):
        network.step(np.zeros((4, 1, 2)), np.full((4, 1), 1e36))
