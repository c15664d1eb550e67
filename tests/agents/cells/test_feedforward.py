"""The feed-forward baseline: a layer over the last k inputs of the episode."""

import pytest
import torch

from neuroctl.agents.cells.feedforward import FeedForward
from neuroctl.errors import NeuroctlError
from tests.agents.cells.steps import loop

T, B, D, H = 7, 3, 2, 5


def make(frame_stack=1):
    torch.manual_seed(0)
    first = torch.rand(T, B) < 0.3
    first[0] = True
    return FeedForward(D, H, frame_stack=frame_stack).double(), torch.randn(T, B, D, dtype=torch.float64), first


@pytest.mark.parametrize("frame_stack", [1, 2, 4])
def test_unroll_equals_step_in_a_loop(frame_stack):
    cell, x, first = make(frame_stack)
    torch.testing.assert_close(cell.unroll(x, None, first), loop(cell, x, cell.initial_state(B), first))


@pytest.mark.parametrize("frame_stack", [2, 4])
def test_the_layer_sees_the_last_inputs_of_the_episode_newest_first(frame_stack):
    cell, x, first = make(frame_stack)
    y, _ = cell.unroll(x, None, first)
    for b in range(B):
        for t in range(T):
            start = max(s for s in range(t + 1) if first[s, b])
            window = torch.cat([x[max(t - k, start), b] for k in range(frame_stack)])
            torch.testing.assert_close(y[t, b], torch.tanh(cell.layer(window)))


def test_one_frame_has_no_memory():
    cell, x, first = make(1)
    y, _ = cell.unroll(x, None, first)
    torch.testing.assert_close(y, torch.tanh(cell.layer(x)))
    assert cell.initial_state(B).numel() == 0


def test_a_sequence_in_two_parts_is_the_whole_sequence():
    cell, x, first = make(4)
    y, end = cell.unroll(x, None, first)
    head, state = cell.unroll(x[:3], None, first[:3])
    tail, last = cell.unroll(x[3:], state, first[3:])
    torch.testing.assert_close(torch.cat([head, tail]), y)
    torch.testing.assert_close(last, end)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="frame_stack must be an integer >= 1, got 0"):
        FeedForward(D, H, frame_stack=0)
    with pytest.raises(NeuroctlError, match="frame_stack must be an integer >= 1, got True"):
        FeedForward(D, H, frame_stack=True)
    cell, x, first = make(2)
    with pytest.raises(NeuroctlError, match="input has shape"):
        cell.unroll(x[..., :1], None, first)
    with pytest.raises(ValueError, match="timespans must be None"):
        cell.unroll(x, None, first, torch.ones(T, B))
