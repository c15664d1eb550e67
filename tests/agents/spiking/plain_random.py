"""The random numbers of one agent, asked for one by one: uniform ones written out plainly, normal ones as they are."""

import numpy as np

from neuroctl.agents.spiking.random_numbers import fill_normals, make_streams

MASK = 2**64 - 1


def rotated(word, bits):
    return ((word << bits) | (word >> (64 - bits))) & MASK


class PlainStream:
    """xoshiro256++ with Python's integers."""

    def __init__(self, seed, name, agent=0):
        self.words = [int(word) for word in make_streams(seed, name, agent + 1)[agent]]

    def next(self):
        s = self.words
        result = (rotated((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        shifted = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = rotated(s[3], 45)
        return result

    def random(self, shape):
        out = np.empty(shape)
        for at in np.ndindex(out.shape):
            out[at] = (self.next() >> 11) / 2**53
        return out

    def standard_normal(self, shape):
        state, out = np.array([self.words], np.uint64), np.empty((1, int(np.prod(shape))))
        fill_normals(state, out)
        self.words = [int(word) for word in state[0]]
        return out.reshape(shape)
