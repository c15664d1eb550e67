"""Recorders find what a plain loop finds that reads everything from the network by hand, and they disturb nothing."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import registry
from neuroctl.agents.spiking import (
    LoopRecorder,
    NeuronParameters,
    Population,
    Projection,
    Recorder,
    RewardModulatedSTDP,
    RewardModulatedSTDPParameters,
    SpikingNetwork,
    SynapticSampling,
    SynapticSamplingParameters,
    load_samples,
)
from neuroctl.errors import DamagedFileError, NeuroctlError, UnknownNameError
from neuroctl.loop import ClosedLoop
from neuroctl.run import environment_spaces, make_agent, tree_hash
from neuroctl.scripted import ScriptedAgent
from neuroctl.training import train
from neuroctl.vector import make_env

AGENTS, STEPS = 2, 1200
SAMPLED, STDP = "eye->hidden", "hidden->motor"
ADAPTING = NeuronParameters(i_e_mv=12.0, dead_time_ms=2.0, target_rate_hz=5.0, target_adaptation_speed_mv=0.3)


def network_of() -> Any:
    """Synapses that retract and form often, others whose weights reach 0, a population that adapts and one that not."""
    sampling = SynapticSamplingParameters(learning_rate=1e-3, temperature=1.0)
    stdp = RewardModulatedSTDPParameters(learning_rate=1e-2, weight_update_interval=50.0)
    return SpikingNetwork(
        inputs={"eye": 5, "ear": 1},
        populations={"hidden": Population(4, ADAPTING), "motor": Population(3, NeuronParameters(i_e_mv=10.0))},
        projections=[
            Projection("eye", "hidden", rule=partial(SynapticSampling, parameters=sampling), synapses_per_pair=2),
            Projection("hidden", "motor", rule=partial(RewardModulatedSTDP, parameters=stdp)),
            Projection("ear", "motor", weight=1.5),
            Projection("hidden", "hidden", weight=-0.5, receptor="inh", delay_ms=3.0),
        ],
        output="motor",
        batch_size=AGENTS,
    )


@pytest.fixture(scope="module")
def given() -> Any:
    """Spikes of the inputs, and rewards of both signs."""
    rng = np.random.default_rng(0)
    return (rng.random((STEPS, AGENTS, 6)) < 0.05).astype(np.uint8), rng.normal(size=(STEPS, AGENTS))


def recorded(given: Any, calls: list[int], every_ms: float = 200.0, **options: Any) -> Any:
    """A recorder, and its network after as many calls of these lengths as there are steps for."""
    network = network_of()
    recorder, start = Recorder(network, every_ms, **options), 0
    while start < STEPS:
        for steps in calls:
            part = slice(start, start + steps)
            network.step(given[0][part], given[1][part])
            recorder.add(given[1][part])
            start += steps
    return recorder, network


@pytest.fixture(scope="module")
def by_hand(given: Any) -> Any:
    """Samples after each 200 ms, from a network that is stepped by the millisecond."""
    network: Any = network_of()
    columns: dict[str, list[Any]] = {}

    def active() -> Any:
        return network.rules[SAMPLED].theta >= 0

    for start in range(0, STEPS, 200):
        spikes = {"hidden": np.zeros(AGENTS), "motor": np.zeros(AGENTS)}
        retractions, formations, reward = np.zeros(AGENTS, int), np.zeros(AGENTS, int), np.zeros(AGENTS)
        for t in range(start, start + 200):
            before = active()
            network.step(given[0][t : t + 1], given[1][t : t + 1])
            retractions += (before & ~active()).sum(axis=(1, 2, 3))
            formations += (~before & active()).sum(axis=(1, 2, 3))
            reward += given[1][t] / 200
            for name in spikes:
                spikes[name] += network.activity[name][0].sum(axis=1)
        stdp = network.rules[STDP].weight
        for name, value in {
            "time_s": (start + 200) / 1000,
            "reward": reward,
            "rate_hz/hidden": spikes["hidden"] / 4 / 0.2,
            "rate_hz/motor": spikes["motor"] / 3 / 0.2,
            "threshold_mv/hidden": network.neurons["hidden"].threshold_mv,
            f"weight/{SAMPLED}": (np.exp(network.rules[SAMPLED].theta - 3) * active()).sum(axis=3),
            f"weight/{STDP}": stdp,
            f"active/{SAMPLED}": active().sum(axis=(1, 2, 3)),
            f"active/{STDP}": (stdp != 0).sum(axis=(1, 2)),
            f"retractions/{SAMPLED}": retractions,
            f"formations/{SAMPLED}": formations,
        }.items():
            columns.setdefault(name, []).append(value)
    return {name: np.array(column) for name, column in columns.items()}


@pytest.mark.parametrize("calls", [[1], [40], [200], [7, 30, 163]])
def test_samples_are_what_a_plain_loop_finds(given: Any, by_hand: Any, calls: list[int]) -> None:
    recorder, _ = recorded(given, calls)
    samples = recorder.samples()
    assert samples.keys() == by_hand.keys()
    for name, right in by_hand.items():
        assert samples[name].shape == right.shape, name
        assert samples[name] == pytest.approx(right, rel=1e-6, abs=1e-12), name


def test_what_is_compared_changes(by_hand: Any) -> None:
    for name in ("retractions", "formations"):
        assert by_hand[f"{name}/{SAMPLED}"].sum(axis=0).min() > 5
    assert len(np.unique(by_hand[f"active/{STDP}"])) > 1
    for name in ("reward", "rate_hz/hidden", "rate_hz/motor", "threshold_mv/hidden"):
        assert (np.ptp(by_hand[name], axis=0) > 0).all(), name
    for name in (SAMPLED, STDP):
        assert (np.abs(np.diff(by_hand[f"weight/{name}"], axis=0)) > 1e-4).any(axis=(2, 3)).all(), name


def test_events_between_two_samples_are_all_counted(given: Any) -> None:
    often, seldom = (recorded(given, [100], every_ms)[0].samples() for every_ms in (100.0, 600.0))
    net = np.diff(often[f"active/{SAMPLED}"][[5, 11]], axis=0)[0]
    for name in (f"retractions/{SAMPLED}", f"formations/{SAMPLED}"):
        assert seldom[name].tolist() == often[name].reshape(2, 6, AGENTS).sum(axis=1).tolist()
        assert (seldom[name][1] > np.abs(net)).all()


def test_a_network_that_is_recorded_goes_on_with_the_same_bits(given: Any) -> None:
    _, watched = recorded(given, [50])
    alone = network_of()
    for start in range(0, STEPS, 50):
        part = slice(start, start + 50)
        alone.step(given[0][part], given[1][part])
    assert tree_hash(watched.state_dict()) == tree_hash(alone.state_dict())


def test_samples_are_copies(given: Any) -> None:
    recorder, _ = recorded(given, [100])
    before = recorder.samples()
    for array in recorder.samples().values():
        array[...] = 7
    assert all(np.array_equal(array, before[name]) for name, array in recorder.samples().items())


def test_chosen_pairs_and_static_projections_are_recorded(given: Any, by_hand: Any) -> None:
    weights: Any = {SAMPLED: [(0, 1), (4, 3)], "ear->motor": None}
    samples = recorded(given, [200], weights=weights)[0].samples()
    assert samples[f"weight/{SAMPLED}"] == pytest.approx(by_hand[f"weight/{SAMPLED}"][:, :, [0, 4], [1, 3]], rel=1e-6)
    assert (samples["weight/ear->motor"] == 1.5).all() and samples["weight/ear->motor"].shape == (6, AGENTS, 1, 3)
    assert f"weight/{STDP}" not in samples and f"active/{STDP}" in samples
    none = recorded(given, [200], weights={})[0].samples()
    assert not [name for name in none if name.startswith("weight/")]


def test_run_and_learn_are_recorded_as_step_is(given: Any) -> None:
    network = network_of()
    recorder = Recorder(network, 200.0)
    for start in range(0, STEPS, 50):
        part = slice(start, start + 50)
        network.run(given[0][part])
        recorder.count(given[1][part])
        network.learn(given[1][part])
        recorder.look()
    right = recorded(given, [50])[0].samples()
    assert all(np.array_equal(array, right[name]) for name, array in recorder.samples().items())


def test_one_reward_for_all_steps_is_their_mean(given: Any) -> None:
    network = network_of()
    recorder = Recorder(network, 100.0)
    for reward in ([1.0, -2.0], [3.0, 4.0]):
        network.step(given[0][:50], np.tile(reward, (50, 1)))
        recorder.add(reward)
    assert recorder.samples()["reward"].tolist() == [[2.0, 1.0]]


def test_a_recorder_begins_within_an_interval(given: Any) -> None:
    network = network_of()
    recorder = Recorder(network, 200.0)
    recorder.begin(150)
    for start in range(0, 450, 50):
        network.step(given[0][start : start + 50], given[1][start : start + 50])
        recorder.add(given[1][start : start + 50])
    samples = recorder.samples()
    assert samples["time_s"].tolist() == [0.4, 0.6]
    assert samples["reward"] == pytest.approx(np.stack([given[1][50:250].mean(axis=0), given[1][250:450].mean(axis=0)]))


def test_a_file_holds_the_samples_and_nothing_that_is_no_array(given: Any, tmp_path: Path) -> None:
    recorder, _ = recorded(given, [200])
    path = tmp_path / "new" / "samples.npz"
    recorder.save(path)
    found, right = load_samples(path), recorder.samples()
    assert found.keys() == right.keys()
    assert all(np.array_equal(found[name], array) and found[name].dtype == array.dtype for name, array in right.items())
    assert [file.name for file in path.parent.iterdir()] == ["samples.npz"]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DamagedFileError, match=r"samples.npz is damaged"):
        load_samples(path)
    with pytest.raises(DamagedFileError, match="cannot be read: Is a directory"):
        load_samples(tmp_path)
    with pytest.raises(DamagedFileError, match=r"none.npz is missing"):
        load_samples(tmp_path / "none.npz")


def test_without_a_sample_arrays_are_empty(tmp_path: Path) -> None:
    recorder = Recorder(network_of(), 1000.0)
    recorder.save(tmp_path / "empty.npz")
    shapes = {name: array.shape for name, array in load_samples(tmp_path / "empty.npz").items()}
    assert shapes["time_s"] == (0,)
    assert shapes["threshold_mv/hidden"] == (0, AGENTS, 4)
    assert shapes[f"weight/{SAMPLED}"] == (0, AGENTS, 5, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every_ms": 0.5}, "every_ms must be a multiple of dt_ms 1, got 0.5"),
        ({"every_ms": 100.5}, "every_ms must be a multiple of dt_ms 1, got 100.5"),
        ({"every_ms": -1}, "every_ms must be a number > 0, got -1"),
        ({"weights": [SAMPLED]}, r"weights must map names of projections to pairs or None, got \['eye->hidden'\]"),
        ({"weights": {SAMPLED: [(0, 4)]}}, r"weights of eye->hidden must be pairs of integers from 0 to 4 and 0 to 3"),
        ({"weights": {SAMPLED: [(-1, 0)]}}, r"weights of eye->hidden must be pairs .* got \[\(-1, 0\)\]"),
        ({"weights": {SAMPLED: [(0, 1), (0,)]}}, r"weights of eye->hidden must be pairs"),
        ({"weights": {SAMPLED: [(0.0, 1.0)]}}, r"weights of eye->hidden must be pairs"),
        ({"weights": {SAMPLED: [0, 1]}}, r"weights of eye->hidden must be pairs"),
    ],
)
def test_mistakes_are_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message) as error:
        Recorder(network_of(), **{"every_ms": 100.0, **options})
    assert "\n" not in str(error.value)


def test_unknown_projections_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown projection 'eye->motor'"):
        Recorder(network_of(), 100.0, {"eye->motor": None})


def test_steps_that_cannot_be_sampled_are_refused(given: Any) -> None:
    network = network_of()
    recorder = Recorder(network, 100.0)
    network.step(given[0][:60], given[1][:60])
    with pytest.raises(NeuroctlError, match=r"reward must be numbers of shape \(2,\) or \(60, 2\), got"):
        recorder.count(given[1][:50])
    recorder.count(given[1][:60])
    with pytest.raises(
        NeuroctlError, match="every_ms must be a multiple of what is simulated at a time, 60 ms; got 10"
    ):
        recorder.count(given[1][:60])
    network.step(given[0][:40], given[1][:40])
    recorder.count(given[1][:40])
    network.step(given[0][:10], given[1][:10])
    with pytest.raises(NeuroctlError, match=r"the sample at 0.1 s is due: call look after the network has learned"):
        recorder.count(given[1][:10])


# -- in a closed loop ------------------------------------------------------------------------------------------


def looped(steps: int, recorder: LoopRecorder | None = None, state: Any = None) -> Any:
    """A population that learns in so many control steps of 20 ms, and its loop; goes on where a state is given."""
    preset: Any = registry.presets.load("spore-ball-sums")()
    changes: Any = {"learning_rate_per_s": 0.5, "temperature": 1.0, "temperature_schedule": "constant"}
    changes |= {"temperature_half_life_s": None, "target_rate_hz": 5.0, "adaptation_mv": 0.2}
    config = dataclasses.replace(preset, agent=dataclasses.replace(preset.agent, **changes))
    agent: Any = make_agent(config, environment_spaces(config))
    loop = ClosedLoop(make_env(config.env.id, 2, config.env.kwargs()), agent, [recorder] if recorder else [])
    with loop.listening():
        loop.begin(3)
        if state is not None:
            loop.load_state_dict(state[0])
            agent.load_state_dict(state[1])
        for _ in range(steps):
            loop.step()
            agent.update()
    return agent, loop


def test_a_loop_is_sampled_after_the_agent_has_learned() -> None:
    recorder, name = LoopRecorder(200.0), "senses->motor"
    looped(30, recorder)
    agent, loop = looped(0)
    columns: dict[str, list[Any]] = {}
    rewards, spikes, before = np.zeros(2), np.zeros(2), agent.network.rules[name].counts()
    for k in range(1, 31):
        rewards += loop.step().reward / 10
        spikes += agent.network.activity["motor"].sum(axis=(0, 2))
        agent.update()
        if k % 10 == 0:
            rule = agent.network.rules[name]
            counts = rule.counts()
            for key, value in {
                "time_s": k * 0.02,
                "reward": rewards,
                "rate_hz/motor": spikes / 8 / 0.2,
                "threshold_mv/motor": agent.network.neurons["motor"].threshold_mv,
                f"weight/{name}": np.where(rule.theta >= 0, np.exp(rule.theta - 3), 0),
                f"active/{name}": (rule.theta >= 0).sum(axis=(1, 2)),
                f"retractions/{name}": counts["retractions"] - before["retractions"],
                f"formations/{name}": counts["formations"] - before["formations"],
            }.items():
                columns.setdefault(key, []).append(value)
            rewards, spikes, before = np.zeros(2), np.zeros(2), counts
    samples = recorder.samples()
    assert samples.keys() == columns.keys()
    for key, column in columns.items():
        assert samples[key] == pytest.approx(np.array(column), rel=1e-6, abs=1e-12), key
    assert (samples[f"retractions/{name}"] > 0).all() and (np.ptp(samples["threshold_mv/motor"], axis=0) > 0).all()


def test_an_agent_that_is_recorded_goes_on_with_the_same_bits() -> None:
    states = [looped(60, recorder)[0].state_dict() for recorder in (LoopRecorder(100.0), None)]
    assert tree_hash(states[0]) == tree_hash(states[1])


@pytest.mark.parametrize(("cut", "kept"), [(30, 6), (25, 5)])
def test_both_parts_of_a_run_that_was_cut_are_sampled_at_the_times_of_the_whole(
    cut: int, kept: int, tmp_path: Path
) -> None:
    """Cut at the time of a sample, nothing is missing; else the interval within which the run was cut."""
    whole, first, second = (LoopRecorder(200.0) for _ in range(3))
    looped(60, whole)
    agent, loop = looped(cut, first)
    looped(60 - cut, second, (loop.state_dict(), agent.state_dict()))
    second.save(tmp_path / "second.npz")
    parts, right = (first.samples(), load_samples(tmp_path / "second.npz")), whole.samples()
    both = {name: np.concatenate([part[name] for part in parts]) for name in right}
    there = np.isin(right["time_s"], both["time_s"])
    assert there.sum() == kept
    for name, array in right.items():
        assert np.array_equal(both[name], array[there]), name


def test_a_loop_that_begins_again_is_recorded_anew() -> None:
    recorder = LoopRecorder(200.0)
    looped(40, recorder)
    looped(20, recorder)
    assert recorder.samples()["time_s"].tolist() == [0.2, 0.4]


def test_loops_that_cannot_be_recorded_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="nothing was recorded: the loop has not begun"):
        LoopRecorder(100.0).save(tmp_path / "samples.npz")
    with pytest.raises(NeuroctlError, match="multiple of what is simulated at a time, 20 ms; got 50"):
        looped(1, LoopRecorder(50.0))
    env = make_env("neuroctl/BallReach-v0", 1)
    loop = ClosedLoop(env, ScriptedAgent("random", env), [LoopRecorder(100.0)])
    with pytest.raises(NeuroctlError, match="needs an agent that has a spiking network, got ScriptedAgent"):
        loop.begin(0)


def test_training_is_recorded_with_the_same_bits(tmp_path: Path) -> None:
    preset: Any = registry.presets.load("spore-ball-sums")()
    config, recorder = dataclasses.replace(preset, steps=60, num_envs=2, seed=3), LoopRecorder(200.0)
    runs = [train(config, out=tmp_path / name, listeners=by) for name, by in (("with", [recorder]), ("without", []))]
    assert len({tree_hash(run.checkpoints.load()[1]["agent"]) for run in runs}) == 1
    assert recorder.samples()["time_s"] == pytest.approx(0.2 * np.arange(1, 7))
