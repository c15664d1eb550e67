"""What a critic should say and how much better an action was: generalised advantages and V-trace.

All arrays are `[T, B]`, of T steps in B rows. `next_values` are the critic's of the observation that followed, the last
one of an episode included where a time limit cut it, and 0 where it terminated; `continues` is false where an episode
ended, either way. So a time limit is bootstrapped and nothing is carried over from the next episode.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from neuroctl.errors import NeuroctlError, NonFiniteError


class Targets(NamedTuple):
    """What to learn from a rollout.

    Attributes:
        values: targets of the critic.
        advantages: of the actions taken.
    """

    values: Tensor
    advantages: Tensor


@torch.no_grad()
def generalised_advantages(
    rewards: Tensor, values: Tensor, next_values: Tensor, continues: Tensor, *, discount: float, trace: float
) -> Targets:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438).

    delta_t = r_t + gamma V'_t - V_t; A_t = delta_t + gamma lambda A_{t+1} while the episode continues; the critic's
    target is V_t + A_t.

    Args:
        rewards: r.
        values: V, of the observations acted upon.
        next_values: V'.
        continues: bool.
        discount: gamma, 0 to 1.
        trace: lambda, 0 to 1.

    Raises:
        NeuroctlError: shapes that differ, or a number out of range.
        NonFiniteError: NaN or infinity.
    """
    _check(rewards, values, next_values, continues)
    gamma, decay = _fraction("discount", discount), _fraction("trace", trace)
    deltas = rewards + gamma * next_values - values
    advantages = _accumulated(deltas, gamma * decay * continues.to(deltas.dtype))
    return Targets(values + advantages, advantages)


@torch.no_grad()
def vtrace(
    log_ratios: Tensor,
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    continues: Tensor,
    *,
    discount: float,
    most_ratio: float = 1.0,
    most_trace: float = 1.0,
) -> Targets:
    """V-trace (Espeholt et al. 2018, arXiv 1802.01561): returns of a policy from the actions of another.

    With rho_t = min(rho-bar, ratio_t) and c_t = min(c-bar, ratio_t),

        vs_t = V_t + delta_t + gamma c_t (vs_{t+1} - V_{t+1}),   delta_t = rho_t (r_t + gamma V'_t - V_t)
        A_t = rho_t (r_t + gamma vs_{t+1} - V_t)

    where after the last step and at the end of an episode vs_{t+1} is V'_t. On its own actions it is the n-step return.

    Args:
        log_ratios: of the probability of each action under the policy that learns to that under the one that acted.
        rewards: r.
        values: V, of the observations acted upon.
        next_values: V'.
        continues: bool.
        discount: gamma, 0 to 1.
        most_ratio: rho-bar, > 0.
        most_trace: c-bar, > 0.

    Raises:
        NeuroctlError: shapes that differ, or a number out of range.
        NonFiniteError: NaN or infinity.
    """
    _check(rewards, values, next_values, continues, log_ratios)
    gamma = _fraction("discount", discount)
    for name, most in (("most_ratio", most_ratio), ("most_trace", most_trace)):
        if not most > 0:
            raise NeuroctlError(f"{name} must be > 0, got {most:g}")
    ratios = log_ratios.to(values.dtype).exp()
    rho, c = ratios.clamp(max=most_ratio), ratios.clamp(max=most_trace)
    corrections = _accumulated(rho * (rewards + gamma * next_values - values), gamma * c * continues.to(c.dtype))
    targets = values + corrections
    following = next_values.clone()
    following[:-1] = torch.where(continues[:-1], targets[1:], next_values[:-1])
    return Targets(targets, rho * (rewards + gamma * following - values))


def _accumulated(steps: Tensor, keep: Tensor) -> Tensor:
    """a_t = steps_t + keep_t a_{t+1}, with 0 after the last."""
    found = steps.clone()
    for t in range(len(found) - 2, -1, -1):
        found[t].addcmul_(keep[t], found[t + 1])
    return found


def _check(rewards: Tensor, *others: Tensor) -> None:
    if rewards.dim() != 2 or 0 in rewards.shape:
        raise NeuroctlError(f"rewards must be [T, B] of at least one step, got {list(rewards.shape)}")
    for other in others:
        if other.shape != rewards.shape:
            raise NeuroctlError(f"rewards are {list(rewards.shape)}, but something beside them {list(other.shape)}")
    if not all(tensor.isfinite().all() for tensor in (rewards, *others)):
        raise NonFiniteError("a reward, value or log ratio of the rollout is not finite")


def _fraction(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise NeuroctlError(f"{name} must be from 0 to 1, got {value:g}")
    return value
