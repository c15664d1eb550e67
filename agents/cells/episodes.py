"""Sequences with resets as episodes side by side, for kernels that know no resets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .cell import States

Kernel = Callable[[Tensor, States], tuple[Tensor, States]]
"""Inputs `[L, S, D]` and states `[S, H]` -> outputs `[L, S, H]` and last states."""
Steps = NDArray[np.intp]


@dataclass(frozen=True)
class Episodes:
    """Parts of rows between resets: the row of each, its first step and the step after its last, `[E]` each."""

    row: Steps
    start: Steps
    end: Steps

    def where(self, chosen: NDArray[np.bool_] | Steps) -> Self:
        """Some of them."""
        return type(self)(self.row[chosen], self.start[chosen], self.end[chosen])


MOST_STEPS = 1.5
"""Steps of a batch of episodes, the longest one's in each row, per step that there is."""


def run_episodes(kernel: Kernel, x: Tensor, states: States, first: Tensor, ends: bool = True) -> tuple[Tensor, States]:
    """Outputs `[T, B, H]` and last states of a sequence, with all that is independent run side by side.

    What a reset ends does not need a last state: such episodes are run together, those of similar length at once. What
    reaches the end is run from its start on, each row beside those that began before; or like all others, where last
    states are not asked for.

    Args:
        kernel: runs a stretch without resets.
        x: inputs `[T, B, D]`.
        states: before the first input, `[B, H]` each.
        first: `[T, B]` bool, where a reset comes before the step.
        ends: whether last states are asked for; there are none otherwise.
    """
    (T, B), flat = first.shape, x.flatten(0, 1)
    states = tuple(part.masked_fill(first[0].unsqueeze(1), 0.0) for part in states)
    episodes = episodes_of(first.cpu().numpy())
    where, found, count = np.empty(T * B, np.intp), list[Tensor](), 0

    def run(steps: Steps, entering: States, there: NDArray[np.bool_] | None = None) -> States:
        nonlocal count
        y, last = kernel(flat.index_select(0, _indices(steps.ravel(), x)).view(*steps.shape, -1), entering)
        found.append(y.flatten(0, 1))
        places = np.arange(count, count + steps.size).reshape(steps.shape)
        where[steps if there is None else steps[there]] = places if there is None else places[there]
        count += steps.size
        return last

    for batch in by_length(episodes.where(episodes.end < T) if ends else episodes):
        times = batch.start + np.arange((batch.end - batch.start).max())[:, None]
        run(np.minimum(times, batch.end - 1) * B + batch.row, _entering(states, batch), times < batch.end)
    if not ends:
        return _in_order(found, where, x), ()
    open_ended = episodes.where(episodes.end == T)
    stages = np.unique(open_ended.start)
    rows, last = np.empty(0, np.intp), tuple(part[:0] for part in states)
    for start, end in zip(stages, [*stages[1:], T], strict=True):
        joining = open_ended.where(open_ended.start == start)
        rows = np.concatenate((rows, joining.row))
        last = tuple(torch.cat(parts) for parts in zip(last, _entering(states, joining), strict=True))
        last = run(np.arange(start, end)[:, None] * B + rows, last)
    order = _indices(np.argsort(rows), x)
    return _in_order(found, where, x), tuple(part.index_select(0, order) for part in last)


def episodes_of(first: NDArray[np.bool_]) -> Episodes:
    """The parts between resets, row by row."""
    begins = first.T.copy()
    begins[:, 0] = True
    row, start = np.nonzero(begins)
    end = np.append(start[1:], 0)
    end[end == 0] = first.shape[0]
    return Episodes(row, start, end)


def by_length(episodes: Episodes) -> Iterator[Episodes]:
    """Batches, the longest first, of at most `MOST_STEPS`."""
    lengths = episodes.end - episodes.start
    order = np.argsort(-lengths, kind="stable")
    while len(order):
        taken = lengths[order[0]] * np.arange(1, len(order) + 1) > MOST_STEPS * lengths[order].cumsum()
        count = int(np.argmax(taken)) or len(order)
        yield episodes.where(order[:count])
        order = order[count:]


def _entering(states: States, episodes: Episodes) -> States:
    """States with which episodes begin: those of their rows at the beginning, 0 after a reset."""
    goes_on = states[0].new_tensor(episodes.start == 0).unsqueeze(1)
    return tuple(part.index_select(0, _indices(episodes.row, part)) * goes_on for part in states)


def _in_order(found: list[Tensor], where: Steps, x: Tensor) -> Tensor:
    """Outputs `[T, B, H]` from those of all runs, and the place of each step among them."""
    return torch.cat(found).index_select(0, _indices(where, x)).view(*x.shape[:2], -1)


def _indices(steps: Steps, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(steps)).to(like.device)
