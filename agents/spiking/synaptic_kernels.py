"""Compiled loops of `SynapticSampling`: the traces of a chunk of steps, and the update of the weights.

Between two updates the weights are constant, so every trace of a synapse is linear in the history of its presynaptic
potential y_i = S (f_i - d_i), and a change (df, dd) of (f_i, d_i) at step s adds

    df F_f[s, j] - dd F_d[s, j],    F_f[s, j] = S sum_{k >= s} c_k a_f^(k-s+1) bap_k[j],    F_d likewise with a_d

to sum_k c_k y_i(k) bap_k[j]. Changes are the values at the start, spikes (+1, +1) and cut-offs (-f, -d). So a chunk
costs one recursion over steps and postsynaptic neurons, and one row of additions per spike, where a loop over steps
costs every synapse in every step. The weights c_k of the steps, with dopa_k the reward times the length of a step:

- e_T = a_e^T e_0 + w sum_k a_e^(T-1-k) y_k bap_k
- g_T = a_g^T g_0 + a_e c_0 e_0 + w sum_k c_k y_k bap_k, with c_k = a_g^(T-1-k) dopa_k + a_e c_{k+1}
- sum_k q_k e_k = a_e c_0 e_0 + w sum_k c_k y_k bap_k, with c_k = q_k + a_e c_{k+1}: the direct gradient

Arrays of synapses are `[B, P, K, Q]`: agents, presynaptic neurons, parallel synapses, postsynaptic neurons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .exponentials import BLOCK, buffers, exponentials

Array = NDArray[np.floating]
E, G, DIRECT = 0, 1, 2
LEAST_TRACE = 1e-30
"""A trace below this is set to 0 at the end of a chunk: with the smallest numbers of float32 processors are slow."""


class Decay(NamedTuple):
    """Factors per step of the traces, and how a potential is scaled and cut off."""

    e: float
    g: float
    fall: float
    rise: float
    scale: float
    cutoff: float


class Update(NamedTuple):
    """Numbers of one update of theta; names as in `SynapticSamplingParameters`."""

    interval_rate: float
    gradient_scale: float
    max_change: float
    noise: float
    gradient_noise: float
    low: float
    high: float
    offset: float
    weight_scale: float


class Steps(NamedTuple):
    """What happened in T steps: spikes `[T, B, P]`, bap `[T, B, Q]`, reward and direct rate `[T, B]`.

    `words` are the spikes eight at a time, the first in the lowest byte, filled up with zeros.
    """

    spikes: NDArray[np.uint8]
    words: NDArray[np.uint64]
    bap: Array
    reward: NDArray[np.float64]
    direct: NDArray[np.float64]


class Synapses(NamedTuple):
    """State of the synapses; fall and rise are `[B, P, 1, 1]` where a presynaptic neuron has one potential for all."""

    theta: NDArray[np.float64]
    weight: Array
    e: Array
    g: Array
    fall: NDArray[np.float64]
    rise: NDArray[np.float64]


@njit(cache=True, nogil=True)
def advance_traces(decay: Decay, steps: Steps, synapses: Synapses, has_direct: bool) -> None:
    """Advance f, d, e, g, and theta by the direct gradient, of every agent by the steps of a chunk."""
    T = steps.spikes.shape[0]
    B, P, _, Q = synapses.e.shape
    kinds = 3 if has_direct else 2
    theta, w, e, g, falls, rises = synapses  # taken out of the tuple once: it counts references
    both = np.zeros((T + 1, kinds * Q), e.dtype)
    rising = np.zeros((T + 1, kinds * Q), e.dtype)
    sums = np.zeros(kinds * Q, e.dtype)
    powers = _powers(decay, T)
    for b in range(B):
        weights = _step_weights(decay, steps, b, kinds)
        _responses(decay, weights, steps.bap, b, both, rising)
        first, when, count = _events(steps.words, P, b)
        for i in range(P):
            fall, rise = falls[b, i, 0, 0], rises[b, i, 0, 0]
            sums[:] = 0
            if fall != 0:
                _add(fall, rise, 0, both, rising, sums)
            last = 0
            for n in range(first[i], first[i + 1] + 1):  # spikes, and then the end of the chunk
                is_spike = n < first[i + 1]
                stop = when[n] if is_spike else T
                gap = stop - last
                if gap > 0 and fall != 0 and fall * powers[0, gap] < decay.cutoff:
                    cut = _steps_to_cut(fall, powers, gap, decay.cutoff)
                    _add(-fall * powers[0, cut], -rise * powers[1, cut], last + cut, both, rising, sums)
                    fall, rise = 0.0, 0.0
                fall *= powers[0, gap]
                rise *= powers[1, gap]
                if is_spike:
                    fall += count[n]
                    rise += count[n]
                    _add_spikes(count[n], stop, both, sums)
                last = stop
            falls[b, i, 0, 0], rises[b, i, 0, 0] = fall, rise
            if has_direct:
                _advance_theta(decay.e * weights[DIRECT, 0], sums, e, w, theta, b, i)
            _advance_row(decay.e, weights, sums, e, g, w, b, i)


@njit(cache=True, nogil=True)
def _advance_theta(from_e: float, sums: Array, e: Array, w: Array, theta: NDArray[np.float64], b: int, i: int) -> None:
    """The direct gradient of the synapses of presynaptic neuron i; e is that at the start of the chunk."""
    Q = e.shape[3]
    for k in range(e.shape[2]):
        for j in range(Q):
            theta[b, i, k, j] += from_e * e[b, i, k, j] + w[b, i, k, j] * sums[DIRECT * Q + j]


@njit(cache=True, nogil=True)
def _advance_row(
    decay_e: float, weights: NDArray[np.float64], sums: Array, e: Array, g: Array, w: Array, b: int, i: int
) -> None:
    """Advance g and e of the synapses of presynaptic neuron i by the chunk."""
    one, Q, T = e.dtype.type, e.shape[3], weights.shape[1] - 1
    e_keep, g_keep, e_to_g = one(weights[E, T]), one(weights[G, T]), one(decay_e * weights[G, 0])
    for k in range(e.shape[2]):
        for j in range(Q):
            old, weight = e[b, i, k, j], w[b, i, k, j]
            new_g = g_keep * g[b, i, k, j] + (e_to_g * old + weight * sums[Q + j])
            new_e = e_keep * old + weight * sums[j]
            g[b, i, k, j] = new_g if abs(new_g) >= LEAST_TRACE else 0
            e[b, i, k, j] = new_e if abs(new_e) >= LEAST_TRACE else 0


@njit(cache=True, nogil=True)
def _powers(decay: Decay, T: int) -> NDArray[np.float64]:
    """`[2, T + 1]`: a_f^n and a_d^n."""
    powers = np.ones((2, T + 1))
    for n in range(T):
        powers[0, n + 1] = powers[0, n] * decay.fall
        powers[1, n + 1] = powers[1, n] * decay.rise
    return powers


@njit(cache=True, nogil=True)
def _step_weights(decay: Decay, steps: Steps, b: int, kinds: int) -> NDArray[np.float64]:
    """`[kinds, T + 1]`: c_k of each step; the last column is the factor that remains of e_0 and g_0."""
    T = steps.reward.shape[0]
    weights = np.zeros((kinds, T + 1))
    e_keep = g_keep = 1.0
    to_g = to_theta = 0.0
    for k in range(T - 1, -1, -1):
        to_g = g_keep * steps.reward[k, b] + decay.e * to_g
        weights[E, k], weights[G, k] = e_keep, to_g
        e_keep *= decay.e
        g_keep *= decay.g
        if kinds > DIRECT:
            to_theta = steps.direct[k, b] + decay.e * to_theta
            weights[DIRECT, k] = to_theta
    weights[E, T], weights[G, T] = e_keep, g_keep
    return weights


@njit(cache=True, nogil=True)
def _responses(decay: Decay, weights: NDArray[np.float64], bap: Array, b: int, both: Array, rising: Array) -> None:
    """Fill F_f - F_d and F_d, `[T + 1, kinds * Q]`; they are 0 at T."""
    Q = bap.shape[2]
    fall, rise = np.zeros(both.shape[1]), np.zeros(both.shape[1])
    for s in range(bap.shape[0] - 1, -1, -1):
        for kind in range(len(weights)):
            scale = decay.scale * weights[kind, s]
            for j in range(Q):
                drive = scale * bap[s, b, j]
                n = kind * Q + j
                fall[n] = decay.fall * (drive + fall[n])
                rise[n] = decay.rise * (drive + rise[n])
        for n in range(len(fall)):
            both[s, n] = fall[n] - rise[n]
            rising[s, n] = rise[n]


@njit(cache=True, nogil=True)
def _events(
    words: NDArray[np.uint64], P: int, b: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Spikes of agent b by presynaptic neuron: events of neuron i are `first[i]` to `first[i + 1]`; steps, numbers."""
    found = np.empty((3, words.shape[0] * P), np.int32)  # step, neuron, number of spikes, in the order of time
    first, total = np.zeros(P + 2, np.int64), 0
    for s in range(words.shape[0]):
        for m in range(words.shape[2]):
            word, i = words[s, b, m], 8 * m
            while word != 0:
                number = word & np.uint64(255)
                if number != 0:
                    found[0, total], found[1, total], found[2, total] = s, i, number
                    first[i + 2] += 1
                    total += 1
                word >>= np.uint64(8)
                i += 1
    for i in range(P):
        first[i + 2] += first[i + 1]
    when, count = np.empty(total, np.int64), np.empty(total, np.int64)
    for n in range(total):
        i = found[1, n]
        when[first[i + 1]], count[first[i + 1]] = found[0, n], found[2, n]
        first[i + 1] += 1
    return first, when, count


@njit(cache=True, nogil=True)
def _steps_to_cut(fall: float, powers: NDArray[np.float64], gap: int, cutoff: float) -> int:
    """The number of steps, at most `gap`, after which f is first below the cut-off; it is after `gap`."""
    low, high = 0, gap
    while high - low > 1:
        middle = (low + high) // 2
        if fall * powers[0, middle] < cutoff:
            high = middle
        else:
            low = middle
    return high


@njit(cache=True, nogil=True)
def _add(fall: float, rise: float, step: int, both: Array, rising: Array, sums: Array) -> None:
    """Sums += df F_f - dd F_d, from F_f - F_d and F_d."""
    with_both, with_rising = sums.dtype.type(fall), sums.dtype.type(fall - rise)
    for j in range(len(sums)):
        sums[j] += with_both * both[step, j] + with_rising * rising[step, j]


@njit(cache=True, nogil=True)
def _add_spikes(count: int, step: int, both: Array, sums: Array) -> None:
    """Sums += count (F_f - F_d)."""
    number = sums.dtype.type(count)
    for j in range(len(sums)):
        sums[j] += number * both[step, j]


@njit(cache=True, nogil=True)
def advance_traces_by_step(
    decay: Decay, steps: Steps, synapses: Synapses, exists: NDArray[np.bool_], simulate_retracted: bool
) -> None:
    """The same step by step, each synapse with a potential of its own that stands still while it is retracted."""
    thetas, weights, es, gs, falls, rises = synapses
    spikes, bap, reward, direct = steps.spikes, steps.bap, steps.reward, steps.direct
    for b, i, k, j in np.ndindex(es.shape):
        if not exists[b, i, k, j]:
            continue
        theta, w, e, g = thetas[b, i, k, j], weights[b, i, k, j], es[b, i, k, j], gs[b, i, k, j]
        fall, rise = float(falls[b, i, k, j]), float(rises[b, i, k, j])
        for s in range(len(spikes)):
            fall += spikes[s, b, i]
            rise += spikes[s, b, i]
            if w == 0 and not simulate_retracted:
                continue
            e *= decay.e
            g *= decay.g
            if fall != 0:
                fall *= decay.fall
                rise *= decay.rise
                e += w * decay.scale * (fall - rise) * bap[s, b, j]
                if fall < decay.cutoff:
                    fall, rise = 0.0, 0.0
            g += reward[s, b] * e
            theta += direct[s, b] * e
        thetas[b, i, k, j], es[b, i, k, j], gs[b, i, k, j] = theta, e, g
        falls[b, i, k, j], rises[b, i, k, j] = fall, rise


@njit(cache=True, nogil=True)
def add_gradient_noise(
    synapses: Synapses, exists: NDArray[np.bool_], normals: Array, amplitude: float, everywhere: bool
) -> None:
    """Add noise to g of active synapses, or of all that exist; normals are `[B, P, K, Q]`."""
    g, w, real, z = synapses.g.reshape(-1), synapses.weight.reshape(-1), exists.reshape(-1), normals.reshape(-1)
    for n in range(len(g)):
        if w[n] != 0 or (everywhere and real[n]):
            g[n] += amplitude * z[n]


@njit(cache=True, nogil=True)
def update_theta(
    update: Update,
    synapses: Synapses,
    exists: NDArray[np.bool_],
    normals: Array,
    mean: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> None:
    """Move theta of every synapse that exists, within its bounds; the prior is `[1 or P, Q]`."""
    B, P, K, Q = synapses.e.shape
    theta, g = synapses.theta, synapses.g
    for b in range(B):
        for i in range(P):
            m, c = i % len(mean), i % len(precision)
            for k in range(K):
                for j in range(Q):
                    old = theta[b, i, k, j]
                    push = min(max(update.gradient_scale * g[b, i, k, j], -update.max_change), update.max_change)
                    drift = update.interval_rate * (precision[c, j] * (mean[m, j] - old) + push)
                    moved = min(max(old + drift + update.noise * normals[b, i, k, j], update.low), update.high)
                    theta[b, i, k, j] = moved if exists[b, i, k, j] else old


@njit(cache=True, nogil=True)
def map_weights(
    update: Update,
    synapses: Synapses,
    exists: NDArray[np.bool_],
    own_potential: bool,
    keep_traces: bool,
    turnover: NDArray[np.int64],
) -> None:
    """Set w = w_0 exp(theta - theta_0) if theta >= 0 else 0; what retracts loses its traces unless they are kept.

    `turnover` [B, 2] counts retractions and formations.
    """
    powers, words, rest, growth = buffers()
    for b in range(len(synapses.e)):
        theta, w, real = synapses.theta[b].reshape(-1), synapses.weight[b].reshape(-1), exists[b].reshape(-1)
        for first in range(0, len(w), BLOCK):
            count = min(BLOCK, len(w) - first)
            exponentials(theta[first:], update.offset, count, powers, words, rest, growth)
            changed = 0
            for n in range(first, first + count):
                changed += (real[n] & (theta[n] >= 0)) != (w[n] != 0)
            if changed > 0:
                _turn_over(synapses, b, first, first + count, real, own_potential, keep_traces, turnover)
            for n in range(count):
                weight = update.weight_scale * growth[n]
                w[first + n] = weight if real[first + n] & (theta[first + n] >= 0) else 0


@njit(cache=True, nogil=True)
def _turn_over(
    synapses: Synapses,
    b: int,
    first: int,
    stop: int,
    real: NDArray[np.bool_],
    own_potential: bool,
    keep_traces: bool,
    turnover: NDArray[np.int64],
) -> None:
    """Count what forms or retracts among the synapses [first, stop) of agent b, and clear the traces of the latter."""
    theta, w = synapses.theta[b].reshape(-1), synapses.weight[b].reshape(-1)
    e, g = synapses.e[b].reshape(-1), synapses.g[b].reshape(-1)
    fall, rise = synapses.fall[b].reshape(-1), synapses.rise[b].reshape(-1)
    for n in range(first, stop):
        is_active = real[n] and theta[n] >= 0
        if is_active != (w[n] != 0):
            turnover[b, 1 if is_active else 0] += 1
            if not (is_active or keep_traces):
                e[n] = g[n] = 0
                if own_potential:
                    fall[n] = rise[n] = 0


def copied(synapses: Synapses) -> Synapses:
    """A copy, except for the weights, which `advance_traces` does not change."""
    copies: dict[str, Any] = {name: getattr(synapses, name).copy() for name in Synapses._fields if name != "weight"}
    return synapses._replace(**copies)


def first_steps(steps: Steps, T: int) -> Steps:
    """The first T of them, not copied."""
    return Steps(steps.spikes[:T], steps.words[:T], steps.bap[:T], steps.reward[:T], steps.direct[:T])
