"""Compiled loops of the LTC: a whole sequence forward and backward, one thread.

Rows of the batch are independent: the bits of one do not depend on the others. Matrices of synapses are `[to, from]`,
in the forward pass `[from, to]`, so that the innermost loop runs over independent sums and vectorises without
reordering any of them. Synapses are (sigma, offset, conductance, current): the activation of a synapse is
s = sigmoid(sigma v - offset), and it adds current * s to the numerator and conductance * s to the denominator.
"""

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

_MAGIC = np.float32(3 * 2**22)
"""Adding it rounds a float32 below 2^22 to an integer, which then stands in the low bits."""


def _fma(typing, a, b, c):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    def generate(context, builder, signature, values):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return builder.fma(*values)

    return a(a, a, a), generate


fma: Any = intrinsic(_fma)
"""`fma(a, b, c)`, a b + c with one rounding: faster than two operations, and the same bits on every machine."""


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)); in float32 with an error below 2e-7, by arithmetic that vectorises."""
    raise NotImplementedError("only inside compiled code")


@overload(sigmoid, jit_options={"error_model": "numpy"})
def _sigmoid(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return _sigmoid_single if x == types.float32 else _sigmoid_double


def _sigmoid_double(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return 1 / (1 + math.exp(-x))


def _sigmoid_single(x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    # exp(-x) = 2^n 2^f with n an integer and |f| <= 1/2; the polynomial is the minimax one of degree 5 for 2^f.
    t = x * np.float32(-1.4426950408889634)
    t = np.float32(-126.0) if t < np.float32(-126.0) else t
    t = np.float32(126.0) if t > np.float32(126.0) else t
    shifted = np.float32(t + _MAGIC)
    f = np.float32(t - (shifted - _MAGIC))
    p = fma(np.float32(0.00132765), f, np.float32(0.00967554))
    p = fma(p, f, np.float32(0.05550713))
    p = fma(p, f, np.float32(0.2402212))
    p = fma(p, f, np.float32(0.69314697))
    p = fma(p, f, np.float32(1.00000007))
    exponent = np.int32((np.float32(shifted).view(np.int32) << np.int32(23)) + np.int32(127 << 23))
    return np.float32(1) / fma(p, np.int32(exponent).view(np.float32), np.float32(1))


@njit(cache=True, nogil=True, error_model="numpy")
def _add_currents(v, synapses, num, den):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add what the sources `v [S]` cause to `num` and `den` `[H]`; synapses `[S, H]`."""
    sigma, offset, conductance, current = synapses
    for i in range(v.shape[0]):
        source = v[i]
        for j in range(num.shape[0]):
            s = sigmoid(fma(sigma[i, j], source, -offset[i, j]))
            num[j] = fma(current[i, j], s, num[j])
            den[j] = fma(conductance[i, j], s, den[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_gradients(v, synapses, dnum, dden, dv, dsynapses):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add to `dv [S]` and `dsynapses`, given the gradients of `num` and `den`; synapses `[H, S]`."""
    sigma, offset, conductance, current = synapses
    dsigma, doffset, dconductance, dcurrent = dsynapses
    for j in range(dnum.shape[0]):
        dn, dd = dnum[j], dden[j]
        for i in range(v.shape[0]):
            s = sigmoid(fma(sigma[j, i], v[i], -offset[j, i]))
            dcurrent[j, i] = fma(dn, s, dcurrent[j, i])
            dconductance[j, i] = fma(dd, s, dconductance[j, i])
            dz = (s - s * s) * fma(current[j, i], dn, conductance[j, i] * dd)
            dsigma[j, i] = fma(dz, v[i], dsigma[j, i])
            doffset[j, i] -= dz
            dv[i] = fma(dz, sigma[j, i], dv[i])


@njit(cache=True, nogil=True, error_model="numpy")
def forward(inputs, neurons, sensory, recurrent, saved):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill `saved`: the potentials after each unfold and the denominators, both `[T, B, U, H]`.

    Args:
        inputs: x `[T, B, D]`, state `[B, H]`, first `[T, B]` bool, rate (unfolds per unit of time) `[T, B]`.
        neurons: capacity, numerator and denominator of the leak, each `[H]`.
        sensory: four matrices `[D, H]`.
        recurrent: four matrices `[H, H]`.
        saved: written to.
    """
    x, state, first, rate = inputs
    capacity, leak_num, leak_den = neurons
    path, total = saved
    length, batch_size, unfolds, units = path.shape
    num, den = np.empty(units, path.dtype), np.empty(units, path.dtype)
    num_in, den_in = np.empty(units, path.dtype), np.empty(units, path.dtype)
    for b in range(batch_size):
        v = state[b].copy()
        for t in range(length):
            if first[t, b]:
                v[:] = 0
            num_in[:], den_in[:] = leak_num, leak_den
            _add_currents(x[t, b], sensory, num_in, den_in)
            for u in range(unfolds):
                num[:], den[:] = num_in, den_in
                _add_currents(v, recurrent, num, den)
                for j in range(units):
                    c = capacity[j] * rate[t, b]
                    total[t, b, u, j] = c + den[j]
                    v[j] = (c * v[j] + num[j]) / total[t, b, u, j]
                    path[t, b, u, j] = v[j]


@njit(cache=True, nogil=True, error_model="numpy")
def backward(inputs, neurons, sensory, recurrent, saved, dy, dinputs, dneurons, dsensory, drecurrent):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Add to the gradients of the arguments of `forward`.

    Args:
        inputs: as in `forward`.
        neurons: as in `forward`.
        sensory: four matrices `[H, D]`, not transposed.
        recurrent: four matrices `[H, H]`, not transposed.
        saved: from `forward`.
        dy: gradient of the potentials after each step `[T, B, H]`.
        dinputs: of x, state and rate; added to.
        dneurons: added to.
        dsensory: added to, `[H, D]`.
        drecurrent: added to, not transposed.
    """
    x, state, first, rate = inputs
    capacity, path, total = neurons[0], saved[0], saved[1]
    dx, dstate, drate = dinputs
    length, batch_size, unfolds, units = path.shape
    dcapacity, dleak_num, dleak_den = dneurons
    dv, dbefore, zeros = np.empty(units, path.dtype), np.empty(units, path.dtype), np.zeros(units, path.dtype)
    dnum, dden = np.empty(units, path.dtype), np.empty(units, path.dtype)
    dnum_in, dden_in, dinertia = np.empty(units, path.dtype), np.empty(units, path.dtype), np.empty(units, path.dtype)
    for b in range(batch_size):
        dv[:] = 0
        for t in range(length - 1, -1, -1):
            now = rate[t, b]
            for j in range(units):
                dv[j] += dy[t, b, j]
                dnum_in[j], dden_in[j], dinertia[j] = 0, 0, 0
            for u in range(unfolds - 1, -1, -1):
                before = zeros if first[t, b] else state[b]
                if u > 0:
                    before = path[t, b, u - 1]
                elif t > 0 and not first[t, b]:
                    before = path[t - 1, b, unfolds - 1]
                after, den = path[t, b, u], total[t, b, u]
                for j in range(units):
                    dnum[j] = dv[j] / den[j]
                    dden[j] = -dnum[j] * after[j]
                    dbefore[j] = dnum[j] * (capacity[j] * now)
                for j in range(units):
                    dnum_in[j] += dnum[j]
                    dden_in[j] += dden[j]
                    dinertia[j] += dnum[j] * before[j] + dden[j]
                _add_gradients(before, recurrent, dnum, dden, dbefore, drecurrent)
                dv, dbefore = dbefore, dv
            for j in range(units):
                dleak_num[j] += dnum_in[j]
                dleak_den[j] += dden_in[j]
                dcapacity[j] += dinertia[j] * now
                drate[t, b] += dinertia[j] * capacity[j]
            _add_gradients(x[t, b], sensory, dnum_in, dden_in, dx[t, b], dsensory)
            if first[t, b]:
                dv[:] = 0
        dstate[b] = dv
