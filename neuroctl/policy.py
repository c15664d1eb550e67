"""The contract of a recurrent policy with explicit state."""

from abc import ABC, abstractmethod
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, nn

from .contracts import map_observation
from .errors import NeuroctlError

State = Any
"""A tensor or a plain nested tuple, list or dict of tensors, batch first."""


def map_state(function: Any, *states: State) -> State:
    """Apply `function` to the corresponding tensors of nested states of one structure."""
    head = states[0]
    if isinstance(head, Tensor):
        return function(*states)
    if isinstance(head, dict):
        return {key: map_state(function, *(s[key] for s in states)) for key in head}
    return type(head)(map_state(function, *parts) for parts in zip(*states, strict=True))


def reset_state(state: State, initial: State, first: Tensor) -> State:
    """`state` with the rows where `first[B]` is true replaced by those of `initial`."""

    def pick(old: Tensor, new: Tensor) -> Tensor:
        return torch.where(first.reshape(-1, *[1] * (old.dim() - 1)), new, old)

    return map_state(pick, state, initial)


class Policy(nn.Module, ABC):
    """Maps observations and a recurrent state to outputs (the parameters of an action distribution).

    No state hides in the module: whoever calls keeps it.

    Attributes:
        continues_across_episodes: `first` does not reset the state (plastic synapses).
    """

    continues_across_episodes: bool = False

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """State before the first observation of an episode, batch first."""

    @abstractmethod
    def step(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """One step: observations `[B, ...]`, `first [B]` -> output `[B, O]` and the next state."""

    def components(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, Tensor]:
        """What drives the recurrent units in a step: the part that comes from outside, and from them, `[B, K]` each.

        Args:
            obs: observations `[B, ...]`.
            state: the last state.
            first: `[B]` bool; where true, the state is reset before it is used.

        Raises:
            NeuroctlError: the two do not come apart in this policy.
        """
        raise NeuroctlError(f"the {type(self).__name__} does not tell what comes from outside from what recurs")

    def unroll(self, obs: Any, state: State, first: Tensor) -> tuple[Tensor, State]:
        """A sequence: observations `[T, B, ...]`, `first [T, B]` -> outputs `[T, B, O]` and the last state.

        Equals `step` in a loop, which is what this default does.
        """
        outputs = []
        for t in range(first.shape[0]):
            output, state = self.step(map_observation(itemgetter(t), obs), state, first[t])
            outputs.append(output)
        return torch.stack(outputs), state
