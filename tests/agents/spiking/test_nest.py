"""Potentials and spikes are those of NEST, where NEST has the same: potentials of `iaf_psc_exp`, `pp_psc_delta`."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking.network import SpikingNetwork
from neuroctl.agents.spiking.neurons import NeuronParameters, PoissonDoubleExpNeurons
from neuroctl.agents.spiking.projections import Population, Projection

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nest") is None,
    reason="nest-simulator is not installed; it comes with the extra 'peers' where it has wheels (Linux on x86-64)",
)

SIZE, SECONDS = 200, 5
FALSE_ALARM = 4.75
"""Standard deviations that a normal number exceeds with probability 2e-6, of either sign."""
KOLMOGOROV = np.sqrt(np.log(2 / 2e-6) / 2)
"""What sqrt(n m / (n + m)) times the distance of two empirical distributions exceeds with that probability, at most."""
RATES: dict[str, dict[str, Any]] = {
    "exponential": {"i_e_mv": 20.0},
    "linear": {"i_e_mv": 10.0, "c1_hz_per_mv": 5.0, "c2_hz": 0.0, "dead_time_ms": 5.0},
    "both": {"i_e_mv": 3.0, "c1_hz_per_mv": 8.0, "c2_hz": 2.0, "c3_per_mv": 1.0, "dead_time_ms": 2.0},
    "several a step": {"i_e_mv": 4.0, "c2_hz": 5.0, "c3_per_mv": 1.0, "dead_time_ms": 0.0},
}
"""Parameters with which the rates are 144, 39, 55 and 273 Hz."""


def in_nest(name: str, **job: Any) -> dict[str, Any]:
    """Result of a function of nest_peer.py."""
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("nest_peer.py"))]
    done = subprocess.run(command, input=json.dumps([name, job]), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def point_process(p: NeuronParameters) -> dict[str, Any]:
    """`pp_psc_delta` with these parameters: without input, and from the start, its potential is the constant drive."""
    rate = {"c_1": p.c1_hz_per_mv, "c_2": p.c2_hz, "c_3": p.c3_per_mv, "dead_time": p.dead_time_ms}
    drive = {"tau_m": 10.0, "C_m": 10.0, "I_e": p.i_e_mv, "V_m": p.i_e_mv}
    return rate | drive | {"with_reset": False}


def counted(neurons: Any, times: Any, steps: int) -> np.ndarray:
    """Spikes `[T, N]` of each neuron in each step."""
    counts = np.zeros((steps, SIZE), int)
    np.add.at(counts, (np.array(times, int) - 1, np.array(neurons, int)), 1)
    return counts


def intervals(spikes: np.ndarray) -> np.ndarray:
    """Steps from each spike of a neuron to its next."""
    neuron, step = np.nonzero(spikes.T)
    same: np.ndarray = np.diff(neuron) == 0
    return np.compress(same, np.diff(step))


def assert_same_mean(a: np.ndarray, b: np.ndarray) -> None:
    """Of independent numbers."""
    sd = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    assert abs(a.mean() - b.mean()) < FALSE_ALARM * sd


def assert_same_distribution(a: np.ndarray, b: np.ndarray) -> None:
    """Of independent whole numbers >= 0: the test of Kolmogorov and Smirnov, whose false alarms are fewer for them."""
    most = max(a.max(), b.max())
    below = [np.cumsum(np.bincount(x, minlength=most + 1)) / x.size for x in (a, b)]
    assert np.abs(below[0] - below[1]).max() * np.sqrt(a.size * b.size / (a.size + b.size)) < KOLMOGOROV


@pytest.mark.parametrize("h", [1.0, 0.1])
def test_potentials_are_those_of_nest(h: float) -> None:
    """Of both receptors, at every step, for several delays; in row k of the input are the spikes at time k h."""
    steps, rng = 400, np.random.default_rng(0)
    synapses = {"a": (3.0, 1, "exc"), "b": (0.7, 4, "exc"), "c": (-2.0, 1, "inh"), "d": (-0.3, 7, "inh")}
    given = (rng.random((steps, len(synapses))) < 0.03) * rng.integers(1, 4, (steps, len(synapses)))
    given[0] = 0  # NEST has no spikes at time 0
    network = SpikingNetwork(
        dict.fromkeys(synapses, 1),
        {"cell": Population(1, NeuronParameters(c2_hz=0, i_e_mv=-3.0))},
        [
            Projection(name, "cell", weight=weight, delay_ms=delay * h, receptor=receptor)
            for name, (weight, delay, receptor) in synapses.items()
        ],
        "cell",
        dt_ms=h,
        dtype=np.float64,
    )
    v = []
    for row in given:
        network.step(row[None, None])
        v.append(network.neurons["cell"].v_mv[0, 0])
    trains = [(np.flatnonzero(column).tolist(), column[column > 0].tolist()) for column in given.T]
    onto: dict[str, list[Any]] = {"exc": [], "inh": []}
    for (weight, delay, receptor), train in zip(synapses.values(), trains, strict=True):
        onto[receptor].append([weight, delay, *train])
    receptors = [
        {"rise": 2.0, "fall": 20.0, "rest": -3.0, "synapses": onto["exc"]},
        {"rise": 1.0, "fall": 10.0, "rest": 0.0, "synapses": onto["inh"]},
    ]
    expected = in_nest("potentials", h=h, steps=steps, receptors=receptors)["v"]
    assert np.ptp(expected) > 3
    np.testing.assert_allclose(v, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("h", "dead_time_ms", "delay"), [(0.1, 1.1, 3), (1.0, 2.5, 2), (1.0, 0.3, 1)])
def test_spikes_between_neurons_come_when_they_do_in_nest(h: float, dead_time_ms: float, delay: int) -> None:
    """A neuron fires whenever its dead time is over, and excites another."""
    steps = 100
    always = NeuronParameters(c2_hz=1e9, c3_per_mv=0, dead_time_ms=dead_time_ms, with_reset=False)
    network = SpikingNetwork(
        1,
        {"source": Population(1, always), "cell": Population(1, NeuronParameters(c2_hz=0))},
        [Projection("source", "cell", weight=1.5, delay_ms=delay * h)],
        "source",
        dt_ms=h,
        dtype=np.float64,
    )
    fired, v = [], []
    for _ in range(steps):
        fired.append(network.step(np.zeros((1, 1, 1)))[0, 0, 0])
        v.append(network.neurons["cell"].v_mv[0, 0])
    receptor = {"rise": 2.0, "fall": 20.0, "rest": 0.0, "synapses": [[1.5, delay]]}
    expected = in_nest("potentials", h=h, steps=steps, receptors=[receptor], source=point_process(always))
    assert (np.flatnonzero(fired) + 1).tolist() == expected["fired"]
    assert max(v) > 1
    np.testing.assert_allclose(v, expected["v"], rtol=1e-12, atol=1e-12)


def both(parameters: NeuronParameters, **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Spikes `[T, N]` of our neurons and of NEST's, in steps of 1 ms."""
    steps = 1000 * SECONDS
    nothing = np.zeros((steps, 1, SIZE), np.float32)
    ours = PoissonDoubleExpNeurons(SIZE, parameters, seed=1).advance(nothing, nothing)[0][:, 0]
    neuron = point_process(parameters) | more
    return ours.astype(int), counted(
        **in_nest("spikes", h=1.0, steps=steps, size=SIZE, seed=7, neuron=neuron), steps=steps
    )


@pytest.mark.parametrize("case", RATES)
def test_rates_and_intervals_are_those_of_nest(case: str) -> None:
    """Constant drive; false-alarm rate 2e-6 for the means, and at most that for the intervals or numbers of spikes."""
    parameters = NeuronParameters(**RATES[case], with_reset=False)
    ours, theirs = both(parameters)
    assert_same_mean(ours.sum(axis=0), theirs.sum(axis=0))
    if parameters.dead_time_ms == 0:
        assert ours.max() > 1
        assert_same_distribution(ours.ravel(), theirs.ravel())
    else:
        assert_same_distribution(intervals(ours), intervals(theirs))


def test_a_rising_threshold_slows_neurons_as_in_nest() -> None:
    """Each spike raises the threshold, which does not sink; false-alarm rate 2e-6 for each of three stretches."""
    rising = {"target_rate_hz": 0.0, "target_adaptation_speed_mv": 0.5}
    ours, theirs = both(NeuronParameters(i_e_mv=20, with_reset=False, **rising), q_sfa=[0.5], tau_sfa=[1e15])
    counts = [[part.sum(axis=0) for part in np.split(spikes, [300, 2000])] for spikes in (ours, theirs)]
    assert counts[0][0].mean() / 300 > 10 * counts[0][2].mean() / 3000
    for mine, other in zip(*counts, strict=True):
        assert_same_mean(mine, other)
