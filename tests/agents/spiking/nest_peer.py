"""What NEST says, for test_nest.py: `python nest_peer.py < job.json` writes the result as JSON.

A process of its own, since NEST is not made to be a guest: it has one kernel per process and lets the libraries that
it brings, OpenMP and BLAS among them, be seen by all that is loaded after it. Times are given and returned in steps:
a number k stands for the time k h.
"""

import json
import os
import sys
from typing import Any

os.environ["PYNEST_QUIET"] = "1"

import nest
import numpy as np

LATE = 20
"""Steps after which NEST has reported what happened before, with the delays used here."""


def potentials(*, h: float, steps: int, receptors: list[dict[str, Any]], source: dict[str, float] | None = None) -> Any:
    """Membrane potentials after each step, the sum over receptors, and when the neuron `source` fired.

    Each receptor is a neuron with membrane time constant `fall` and exponential currents with `rise`: the potential of
    one spike is the difference of two exponentials, which a capacity of `rise` pF scales as ours is. Synapses are
    [weight, delay, times and numbers of spikes], or [weight, delay] from the source.
    """
    nest.resolution = h
    meters = []
    neuron = nest.Create("pp_psc_delta", params=source) if source else None
    fired = nest.Create("spike_recorder")
    if neuron:
        nest.Connect(neuron, fired, syn_spec={"delay": h})
    for receptor in receptors:
        constants = {"tau_m": receptor["fall"], "tau_syn_ex": receptor["rise"], "tau_syn_in": receptor["rise"]}
        rest = {"E_L": receptor["rest"], "V_m": receptor["rest"], "V_th": 1e9, "C_m": receptor["rise"]}
        cell = nest.Create("iaf_psc_exp", params=constants | rest)
        for weight, delay, *trains in receptor["synapses"]:
            pre = neuron
            if trains:
                times, counts = [k * h for k in trains[0]], trains[1]
                pre = nest.Create("spike_generator", params={"spike_times": times, "spike_multiplicities": counts})
            nest.Connect(pre, cell, syn_spec={"weight": weight, "delay": delay * h})
        meters.append(nest.Create("multimeter", params={"record_from": ["V_m"], "interval": h}))
        nest.Connect(meters[-1], cell)
    nest.Simulate((steps + LATE) * h)
    traces = np.array([meter.get("events", "V_m")[:steps] for meter in meters])
    return {"v": traces.sum(axis=0).tolist(), "fired": recorded(fired, h, steps)["times"]}


def spikes(*, h: float, steps: int, size: int, seed: int, neuron: dict[str, Any]) -> Any:
    """Neuron and time of each spike of `size` stochastic neurons."""
    nest.resolution, nest.rng_seed = h, seed
    neurons, recorder = nest.Create("pp_psc_delta", size, params=neuron), nest.Create("spike_recorder")
    nest.Connect(neurons, recorder, syn_spec={"delay": h})
    nest.Simulate((steps + LATE) * h)
    return recorded(recorder, h, steps, neurons[0].global_id)


def recorded(recorder: Any, h: float, steps: int, first: int = 0) -> dict[str, list[int]]:
    """Neuron, counted from the first, and time of each spike until the given step."""
    events = recorder.get("events")
    times = np.rint(events["times"] / h).astype(int)
    early = times <= steps
    return {"neurons": (events["senders"] - first)[early].tolist(), "times": times[early].tolist()}


if __name__ == "__main__":
    nest.verbosity = nest.VerbosityLevel.ERROR
    name, job = json.load(sys.stdin)
    json.dump(potentials(**job) if name == "potentials" else spikes(**job), sys.stdout)
