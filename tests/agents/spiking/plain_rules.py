"""Rules of reward times eligibility written down plainly: traces are sums over all earlier spikes or pairs of spikes.

What the fast ones must equal: nothing here is remembered from step to step but what happened, e, the weights and the
change that waits for their update.
"""

import math

import numpy as np


class PlainRule:
    """The synapses `[P, Q]` of one agent; a subclass says what a step adds to e."""

    def __init__(self, weight, p, dt_ms=1.0, exists=True):
        self.weight, self.p, self.h, self.exists = np.array(weight), p, dt_ms, exists
        self.rate, self.pre, self.post = p.learning_rate, [], []
        self.e, self.change = np.zeros(self.weight.shape), np.zeros(self.weight.shape)

    def step(self, pre, bap, reward, post):
        self.pre.append(np.array(pre, float))
        self.post.append(np.array(post, float))
        self.e = self.e * math.exp(-self.h / self.p.episode_length) + self.added(np.array(bap, float))
        self.change += self.rate * self.h * reward * self.e
        if len(self.pre) % round(self.p.weight_update_interval / self.h) == 0:
            moved = np.clip(self.weight + self.change, self.p.min_weight, self.p.max_weight)
            self.weight, self.change = np.where(self.exists, moved, 0.0), np.zeros(self.weight.shape)

    def added(self, bap):
        raise NotImplementedError

    def advance(self, pre, bap, reward, post):
        for step in zip(pre, bap, reward, post, strict=True):
            self.step(*step)

    def ages(self):
        """Time from each earlier step, the first of them last, to this step."""
        return self.h * np.arange(len(self.pre) - 1, 0, -1)


class PlainPerturbation(PlainRule):
    """Potentials from earlier spikes, and of this step's own after one step, times bap."""

    def added(self, bap):
        rise, fall = self.p.psp_tau_rise, self.p.psp_tau_fall
        t = np.append(self.ages(), 0.0) + self.h
        response = fall / (fall - rise) * (np.exp(-t / fall) - np.exp(-t / rise))
        return np.outer(response @ np.array(self.pre), bap)


class PlainSTDP(PlainRule):
    """Pairs that this step completes, the same step's left out."""

    def added(self, bap):
        p, t = self.p, self.ages()
        before, after = np.array(self.pre[:-1]), np.array(self.post[:-1])
        if not len(t):
            return 0.0
        potentiation = np.outer((p.a_plus * np.exp(-t / p.tau_plus)) @ before, self.post[-1])
        return potentiation - np.outer(self.pre[-1], (p.a_minus * np.exp(-t / p.tau_minus)) @ after)
