"""Dynamics of a recurrent policy: spectra of its weights, Jacobians along a trajectory, Lyapunov exponents, dimensions.

Everything here takes any `Policy`. A state of several tensors is one vector of S numbers for each row.

obs = recording.episode(0).obs[:, None]        # [T, B = 1, ...]
jacobian = jacobians(policy, obs)              # [T, B, S, S]
lyapunov_exponents(jacobian, control_dt_s=0.02)[0]   # of the first row, 1/s, the greatest first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from .checks import checked_integer, is_number, shown
from .contracts import map_observation
from .errors import NeuroctlError, NonFiniteError
from .policy import Policy, State, map_state

Floats = NDArray[np.float64]

# -- weights -----------------------------------------------------------------------------------------------------


def eigenvalues(weight: ArrayLike) -> NDArray[np.complex128]:
    """Eigenvalues `[N]` of a matrix `[N, N]`, the greatest modulus first."""
    found = np.linalg.eigvals(_matrix(weight, square=True)).astype(np.complex128)
    return found[np.argsort(-np.abs(found), kind="stable")]


def spectral_radius(weight: ArrayLike) -> float:
    """The greatest modulus of the eigenvalues of a matrix `[N, N]`."""
    return float(np.abs(eigenvalues(weight)[0]))


def spectral_norm(weight: ArrayLike) -> float:
    """The greatest singular value of a matrix `[M, N]`."""
    return float(np.linalg.norm(_matrix(weight), 2))


def effective_rank(weight: ArrayLike) -> float:
    """Exponential of the entropy of the singular values of a matrix `[M, N]` (Roy and Vetterli 2007, EUSIPCO, 606)."""
    singular = np.linalg.svd(_matrix(weight), compute_uv=False)
    share = singular[singular > 0] / singular.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def weight_change(before: ArrayLike, after: ArrayLike) -> float:
    """Frobenius norm of the difference of two matrices, by that of the first."""
    first, second = _matrix(before), _matrix(after)
    if first.shape != second.shape:
        raise NeuroctlError(f"weights of shapes {first.shape} and {second.shape} cannot be compared")
    return float(np.linalg.norm(second - first) / np.linalg.norm(first))


# -- trajectories ------------------------------------------------------------------------------------------------


def states_along(policy: Policy, obs: Any, first: ArrayLike | None = None) -> Floats:
    """States after each step of a sequence of observations.

    Args:
        policy: whose.
        obs: `[T, B, ...]`, or a dict of such arrays.
        first: `[T, B]`, where an episode begins; by default with the first step alone.

    Returns:
        `[T, B, S]`.

    Raises:
        NeuroctlError: no step, or shapes that do not fit.
    """
    begins, kept = _begins(obs, first), []
    state = policy.initial_state(begins.shape[1])
    with torch.no_grad():
        for t in range(len(begins)):
            _, state = policy.step(*_inputs(policy, obs, begins, t, state))
            kept.append(_flat(state))
    return _array(torch.stack(kept))


def components_along(policy: Policy, obs: Any, first: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """What drives the recurrent units along a sequence of observations: the part from outside, and their own.

    Args:
        policy: whose; see `Policy.components`.
        obs: `[T, B, ...]`, or a dict of such arrays.
        first: `[T, B]`, where an episode begins; by default with the first step alone.

    Returns:
        `[T, B, K]` each.

    Raises:
        NeuroctlError: no step, shapes that do not fit, or a policy in which the two do not come apart.
    """
    begins, outside, own = _begins(obs, first), [], []
    state = policy.initial_state(begins.shape[1])
    with torch.no_grad():
        for t in range(len(begins)):
            given = _inputs(policy, obs, begins, t, state)
            parts = policy.components(*given)
            outside.append(parts[0])
            own.append(parts[1])
            _, state = policy.step(*given)
    return _array(torch.stack(outside)), _array(torch.stack(own))


def jacobians(policy: Policy, obs: Any, first: ArrayLike | None = None) -> Floats:
    """How each state depends on the one before, d state[t] / d state[t - 1], along a sequence of observations.

    Where an episode begins that is 0, since the state is reset. Each step costs S backward passes.

    Args:
        policy: whose.
        obs: `[T, B, ...]`, or a dict of such arrays.
        first: `[T, B]`, where an episode begins; by default with the first step alone.

    Returns:
        `[T, B, S, S]`; the last axis is that of the earlier state.

    Raises:
        NeuroctlError: no step, or shapes that do not fit.
    """
    begins, kept = _begins(obs, first), []
    state = policy.initial_state(begins.shape[1])
    for t in range(len(begins)):
        entering = map_state(lambda part: part.detach().clone().requires_grad_(), state)
        with torch.enable_grad():
            _, state = policy.step(*_inputs(policy, obs, begins, t, entering))
            kept.append(_slopes(_flat(state), _tensors(entering)))
    return _array(torch.stack(kept))


def lyapunov_exponents(jacobian: Floats, control_dt_s: float = 1.0, burn_in: int = 0) -> Floats:
    """Lyapunov exponents along trajectories, by repeated QR decomposition (Benettin et al. 1980, Meccanica 15, 9).

    Args:
        jacobian: of every step, `[T, B, S, S]`.
        control_dt_s: length of a step.
        burn_in: steps that turn the directions only, and do not count.

    Returns:
        `[B, S]`, 1/s, the greatest first; minus infinity where a direction is lost, as it is with every reset.

    Raises:
        NeuroctlError: another shape, no step that counts, or a length that is not positive.
    """
    steps = _checked_jacobian(jacobian)
    if not (is_number(control_dt_s) and control_dt_s > 0):
        raise NeuroctlError(f"control_dt_s must be > 0, got {shown(control_dt_s)}")
    burn_in = checked_integer("burn_in", burn_in, 0, len(steps) - 1)
    directions = np.broadcast_to(np.eye(steps.shape[2]), steps.shape[1:])
    total = np.zeros(steps.shape[1:3])
    for t, step in enumerate(steps):
        directions, stretch = np.linalg.qr(step @ directions)
        if t >= burn_in:
            with np.errstate(divide="ignore"):
                total += np.log(np.abs(np.diagonal(stretch, axis1=1, axis2=2)))
    exponents: Floats = -np.sort(-total / ((len(steps) - burn_in) * control_dt_s), axis=1)
    return exponents


def gradient_by_lag(jacobian: Floats, lags: Sequence[int]) -> Floats:
    """How much of a gradient is left after some steps: Frobenius norm of d state[t] / d state[t - lag], over sqrt(S).

    It is 1 for a state that is kept as it is, falls where gradients vanish and rises where they explode.

    Args:
        jacobian: of every step, `[T, B, S, S]`.
        lags: numbers of steps, 0 to T.

    Returns:
        `[len(lags), B]`, means over all t.

    Raises:
        NeuroctlError: another shape, or a lag beyond the sequence.
    """
    steps = _checked_jacobian(jacobian)
    wanted = [checked_integer("lag", lag, 0, len(steps)) for lag in lags]
    size = steps.shape[2]
    products = np.broadcast_to(np.eye(size), (len(steps) + 1, *steps.shape[1:])).copy()
    found = {}
    for lag in range(max(wanted, default=-1) + 1):
        if lag:  # from t - lag to t, for every t that has so many steps before it
            products = steps[lag - 1 :] @ products[:-1]
        found[lag] = np.linalg.norm(products, axis=(2, 3)).mean(axis=0) / np.sqrt(size)
    return np.array([found[lag] for lag in wanted])


def participation_ratio(states: ArrayLike) -> float:
    """Dimension of a cloud of states `[..., S]`: (sum of variances)^2 / sum of their squares along principal axes.

    Raises:
        NeuroctlError: fewer than two states.
        NonFiniteError: NaN or infinity.
    """
    cloud = np.asarray(states, np.float64)
    if cloud.ndim < 2 or cloud.size < 2 * cloud.shape[-1]:
        raise NeuroctlError(f"states must be [..., S], at least two of them; got shape {cloud.shape}")
    if not np.isfinite(cloud).all():
        raise NonFiniteError("states must be finite")
    flat = cloud.reshape(-1, cloud.shape[-1])
    singular = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
    variance = singular**2
    total = variance.sum()
    return float(total**2 / (variance**2).sum()) if total > 0 else 0.0


# -- helpers -------------------------------------------------------------------------------------------------------


def _matrix(weight: ArrayLike, square: bool = False) -> Floats:
    matrix = np.asarray(weight, np.float64)
    if matrix.ndim != 2 or not matrix.size or (square and matrix.shape[0] != matrix.shape[1]):
        needed = "[N, N]" if square else "[M, N]"
        raise NeuroctlError(f"a weight matrix must have shape {needed}, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise NonFiniteError("a weight matrix must be finite")
    return matrix


def _checked_jacobian(jacobian: Any) -> Floats:
    steps = np.asarray(jacobian, np.float64)
    if steps.ndim != 4 or steps.shape[2] != steps.shape[3] or not steps.size:
        raise NeuroctlError(f"Jacobians must have shape [T, B, S, S], got {steps.shape}")
    if not np.isfinite(steps).all():
        raise NonFiniteError("Jacobians must be finite")
    return steps


def _begins(obs: Any, first: ArrayLike | None) -> NDArray[np.bool_]:
    """Where episodes begin, `[T, B]`."""
    shapes: list[tuple[int, ...]] = []
    map_observation(lambda part: shapes.append(np.shape(part)), obs)
    lengths = {shape[:2] for shape in shapes}
    if len(lengths) != 1 or len(shapes[0]) < 2 or 0 in shapes[0][:2]:
        raise NeuroctlError(f"observations must be [T, B, ...] with T and B from 1 on, got {shown(shapes)}")
    if first is None:
        begins = np.zeros(shapes[0][:2], np.bool_)
        begins[0] = True
        return begins
    begins = np.asarray(first)
    if begins.dtype != np.bool_ or begins.shape != shapes[0][:2]:
        raise NeuroctlError(f"first must be bool {shapes[0][:2]}, got {begins.dtype} {begins.shape}")
    return begins


def _inputs(policy: Policy, obs: Any, begins: NDArray[np.bool_], t: int, state: State) -> tuple[Any, State, Tensor]:
    """Arguments of `Policy.step` in step t."""
    device = next((part.device for part in policy.parameters()), torch.device("cpu"))
    now = map_observation(lambda part: torch.as_tensor(np.asarray(part[t]), device=device), obs)
    return now, state, torch.tensor(begins[t], device=device)


def _tensors(state: State) -> list[Tensor]:
    """The tensors of a nested state, in a fixed order."""
    found: list[Tensor] = []
    map_state(found.append, state)
    if any(part.is_complex() for part in found):
        raise NeuroctlError("complex states have no Jacobian here")
    return found


def _flat(state: State) -> Tensor:
    """A nested state as vectors `[B, S]`."""
    return torch.cat([part.reshape(len(part), -1) for part in _tensors(state)], dim=1)


def _slopes(flat: Tensor, entering: list[Tensor]) -> Tensor:
    """D flat / d entering, `[B, S, S]`; rows of the batch do not depend on each other."""
    rows = []
    for of_all in flat.sum(dim=0):
        if of_all.requires_grad:
            slopes = torch.autograd.grad(of_all, entering, retain_graph=True, materialize_grads=True)
        else:
            slopes = tuple(map(torch.zeros_like, entering))
        rows.append(torch.cat([part.reshape(len(part), -1) for part in slopes], dim=1))
    return torch.stack(rows, dim=1)


def _array(values: Tensor) -> Floats:
    array: Floats = values.detach().cpu().double().numpy()
    return array
