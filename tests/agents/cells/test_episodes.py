"""Sequences with resets, run as episodes side by side by a kernel that remembers what it was given."""

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells.cell import States
from neuroctl.agents.cells.episodes import by_length, episodes_of, run_episodes


def leaky(x: Tensor, states: States) -> tuple[Tensor, States]:
    """A sum that halves in every step."""
    (h,), outputs = states, []
    for now in x:
        h = 0.5 * h + now
        outputs.append(h)
    return torch.stack(outputs), (h,)


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (9, 1), (40, 6)])
def test_every_step_is_where_it_belongs(rate: float, shape: tuple[int, int]) -> None:
    T, B = shape
    x, h, first = torch.randn(T, B, 2), torch.randn(B, 2), torch.rand(T, B) < rate
    states = h
    y, (last,) = run_episodes(leaky, x, (states,), first)
    for t in range(T):
        h = 0.5 * h.masked_fill(first[t, :, None], 0.0) + x[t]
        torch.testing.assert_close(y[t], h)
    torch.testing.assert_close(last, h)
    torch.testing.assert_close(run_episodes(leaky, x, (states,), first, ends=False)[0], y)


def test_what_is_independent_is_run_at_once() -> None:
    seen: list[tuple[int, ...]] = []

    def kernel(x: Tensor, states: States) -> tuple[Tensor, States]:
        seen.append(tuple(x.shape[:2]))
        return leaky(x, states)

    first = torch.zeros(128, 8, dtype=torch.bool)
    first[[0, 50, 100]] = True
    run_episodes(kernel, torch.randn(128, 8, 2), (torch.randn(8, 2),), first)
    assert seen == [(50, 16), (28, 8)]
    seen.clear()
    first[99, 3] = True  # of 50 steps becomes 49 and 1
    run_episodes(kernel, torch.randn(128, 8, 2), (torch.randn(8, 2),), first)
    assert seen == [(50, 17), (28, 8)]
    seen.clear()
    run_episodes(kernel, torch.randn(128, 8, 2), (torch.randn(8, 2),), first, ends=False)
    assert seen == [(50, 25)]


def test_episodes_are_found_and_sorted_by_length() -> None:
    first = np.zeros((10, 2), np.bool_)
    first[[3, 4], 0] = first[0, 1] = True
    episodes = episodes_of(first)
    assert [episodes.row.tolist(), episodes.start.tolist(), episodes.end.tolist()] == [
        [0, 0, 0, 1],
        [0, 3, 4, 0],
        [3, 4, 10, 10],
    ]
    assert [(batch.end - batch.start).tolist() for batch in by_length(episodes)] == [[10, 6], [3, 1]]
