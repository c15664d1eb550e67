"""A deliberately plain neuron and network, one step and one neuron at a time: what the kernels are compared with."""

import math

import numpy as np

from tests.agents.spiking.plain_random import PlainStream


class PlainNeuron:
    """One neuron, as its docstring says; `step` takes the weights that arrive, a current, and a uniform number."""

    def __init__(self, parameters, dt_ms):
        self.p, self.h = parameters, dt_ms
        self.rise = {"exc": 0.0, "inh": 0.0}
        self.fall = {"exc": 0.0, "inh": 0.0}
        self.v = self.threshold = self.current = 0.0
        self.refractory = 0

    def step(self, exc, inh, current, uniform):
        p, h = self.p, self.h
        self.v = 0.0
        for kind, weight, tau_rise, tau_fall in (
            ("exc", exc, p.tau_rise_exc_ms, p.tau_fall_exc_ms),
            ("inh", inh, p.tau_rise_inh_ms, p.tau_fall_inh_ms),
        ):
            self.rise[kind] = self.rise[kind] * math.exp(-h / tau_rise) + weight
            self.fall[kind] = self.fall[kind] * math.exp(-h / tau_fall) + weight
            self.v += tau_fall / (tau_fall - tau_rise) * (self.fall[kind] - self.rise[kind])
        self.v += p.input_conductance * (self.current + p.i_e_mv)
        self.current = current
        self.threshold -= h / 1000 * p.target_rate_hz * p.target_adaptation_speed_mv
        if self.refractory:
            self.refractory -= 1
            return 0, 0.0
        above = self.v - self.threshold
        mean = max(0.0, p.c1_hz_per_mv * above + p.c2_hz * math.exp(p.c3_per_mv * above)) * h / 1000
        if p.dead_time_ms > 0:
            expected = 1 - math.exp(-mean)
            spikes = int(uniform < expected)
        else:
            expected, spikes, below = mean, 0, math.exp(-mean)
            while uniform >= below:
                spikes += 1
                below += math.exp(-mean) * mean**spikes / math.factorial(spikes)
        if spikes:
            self.refractory = math.ceil(round(p.dead_time_ms / h, 9))
            self.threshold += spikes * p.target_adaptation_speed_mv
            if p.with_reset:
                self.rise = {"exc": 0.0, "inh": 0.0}
                self.fall = {"exc": 0.0, "inh": 0.0}
                self.v = 0.0
        return spikes, spikes - expected


def plain_neurons(parameters, dt_ms, exc, inh, current, seed, name, agent):
    """Spikes, traces and potentials `[T, N]` of N plain neurons, of one agent."""
    steps, size = exc.shape
    neurons = [PlainNeuron(parameters, dt_ms) for _ in range(size)]
    uniforms = PlainStream(seed, f"neurons/{name}", agent).random((steps, size))
    out = [
        [(*neurons[n].step(exc[t, n], inh[t, n], current[t, n], uniforms[t, n]), neurons[n].v) for n in range(size)]
        for t in range(steps)
    ]
    return (np.array([[cell[k] for cell in row] for row in out]) for k in range(3))


def plain_network(populations, projections, spikes_in, dt_ms, seed, agent=0):
    """Spikes `[T, N]` and traces `[T, N]` of a network with static weights by name of population.

    `projections` are (source, target, weights `[P, Q]`, delay in steps, receptor); source None are the inputs. A
    neuron's spike of step k arrives in step k + delay, an input's one step earlier.
    """
    steps = len(spikes_in)
    cells = {name: [PlainNeuron(p.parameters, dt_ms) for _ in range(p.size)] for name, p in populations.items()}
    streams = {name: PlainStream(seed, f"neurons/{name}", agent) for name in populations}
    spikes = {name: np.zeros((steps, p.size)) for name, p in populations.items()}
    bap = {name: np.zeros((steps, p.size)) for name, p in populations.items()}
    for k in range(steps):
        for name, neurons in cells.items():
            sums = {"exc": np.zeros(len(neurons)), "inh": np.zeros(len(neurons))}
            for source, target, weights, delay, receptor in projections:
                sent = k - delay + 1 if source is None else k - delay
                if target == name and sent >= 0:
                    sums[receptor] += (spikes_in if source is None else spikes[source])[sent] @ weights
            uniforms = streams[name].random(len(neurons))
            for n, neuron in enumerate(neurons):
                spikes[name][k, n], bap[name][k, n] = neuron.step(sums["exc"][n], sums["inh"][n], 0.0, uniforms[n])
    return spikes, bap
