"""The learning rule written down plainly, one synapse and one millisecond at a time: what the fast one must equal.

Only the order of operations of each step matters here. `compat` is the behaviour of NEST's SPORE module; without it
presynaptic potentials go on while the synapse is retracted, and the integral of the reward has the factor dt_ms.
"""

import math

import numpy as np


class PlainSynapse:
    """One synapse; `mu` and `c_p` are its prior."""

    def __init__(self, theta, p, dt_ms=1.0, compat=False, mu=0.0, c_p=1.0):
        self.p, self.h, self.compat, self.mu, self.c_p = p, dt_ms, compat, mu, c_p
        self.theta, self.f, self.d, self.e, self.g = theta, 0.0, 0.0, 0.0, 0.0
        self.k, self.beta, self.T = 0, p.learning_rate, p.temperature
        self.w = self.mapped()

    def mapped(self):
        if self.theta < 0:
            return 0.0
        return self.p.weight_scale * math.exp(self.theta - self.p.parameter_mapping_offset)

    def update(self, z_gradient=0.0, z_theta=0.0):
        """Between the last step of an interval and the first of the next."""
        p, U = self.p, self.p.weight_update_interval
        was_active = self.w != 0
        if self.compat or was_active or p.simulate_retracted_synapses:
            self.g += math.sqrt(2 * p.gradient_noise * self.beta * U) * z_gradient
        push = max(-p.max_param_change, min(p.max_param_change, p.gradient_scale * self.g))
        self.theta += U * self.beta * (self.c_p * (self.mu - self.theta) + push)
        self.theta += math.sqrt(2 * self.T * self.beta * U) * z_theta
        self.theta = max(p.min_param, min(p.max_param, self.theta))
        self.w = self.mapped()
        if was_active and self.w == 0 and not p.simulate_retracted_synapses:
            self.e = self.g = 0.0
            if self.compat:
                self.f = self.d = 0.0

    def step(self, spikes, bap, dopa):
        p, h = self.p, self.h
        self.f += spikes
        self.d += spikes
        active = self.w != 0 or p.simulate_retracted_synapses
        if not self.compat or active:
            y = self.decayed_potential()
        if active:
            dopa = dopa if self.compat else dopa * h
            self.e *= math.exp(-h / p.episode_length)
            self.g *= math.exp(-h / p.integration_time)
            self.e += self.w * y * bap
            self.g += dopa * self.e
            self.theta += dopa * self.beta * p.direct_gradient_rate * self.e

    def decayed_potential(self):
        p = self.p
        self.f *= math.exp(-self.h / p.psp_tau_fall)
        self.d *= math.exp(-self.h / p.psp_tau_rise)
        y = p.psp_tau_fall / (p.psp_tau_fall - p.psp_tau_rise) * (self.f - self.d)
        if self.f < p.psp_cutoff_amplitude:
            self.f = self.d = 0.0
        return y


class PlainSynapses:
    """One agent's synapses `[P, K, Q]`, random numbers from `stream` in the order of the array."""

    def __init__(self, theta, p, stream, dt_ms=1.0, compat=False, exists=None):
        self.p, self.stream, self.steps = p, stream, 0
        self.interval = round(p.weight_update_interval / dt_ms)
        exists = np.ones(theta.shape, bool) if exists is None else exists
        mu, c_p = (np.broadcast_to(a, theta[:, 0].shape) for a in (p.prior_mean, p.prior_precision))
        self.cells = {
            (i, k, j): PlainSynapse(theta[i, k, j], p, dt_ms, compat, mu[i, j], c_p[i, j])
            for i, k, j in np.ndindex(theta.shape)
            if exists[i, k, j]
        }
        self.shape = theta.shape

    def advance(self, spikes, bap, dopa):
        for s in range(len(spikes)):
            for (i, _, j), cell in self.cells.items():
                cell.step(float(spikes[s, i]), float(bap[s, j]), float(dopa[s]))
            self.steps += 1
            if self.steps % self.interval == 0:
                self.update()

    def update(self):
        noisy = self.p.gradient_noise > 0
        z_gradient = self.stream.standard_normal(self.shape) if noisy else np.zeros(self.shape)
        z_theta = self.stream.standard_normal(self.shape) if self.p.temperature > 0 else np.zeros(self.shape)
        for at, cell in self.cells.items():
            cell.update(z_gradient[at], z_theta[at])

    def read(self, name):
        """theta, w, e or g of all synapses; 0 where there is none."""
        out = np.zeros(self.shape)
        for at, cell in self.cells.items():
            out[at] = getattr(cell, name)
        return out
