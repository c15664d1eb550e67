"""The oracle of every `unroll`: one step after the other."""

import torch


def loop(cell, x, state, first=None, spans=None):
    """Outputs `[T, B, O]` and the last state of `cell.step` over inputs `[T, B, D]`."""
    outputs = []
    for t in range(len(x)):
        y, state = cell.step(x[t], state, row(first, t), row(spans, t))
        outputs.append(y)
    return torch.stack(outputs), state


def row(sequence, t):
    return None if sequence is None else sequence[t]


def assert_gradients_are_those_of_steps(cell, x, state, first):
    """Of a sequence with one tensor as its state, with respect to x, state and parameters, in float64."""
    weight = torch.randn(*x.shape[:2], cell.output_size, dtype=x.dtype)
    found = []
    for run in (lambda x, state: loop(cell, x, state, first), lambda x, state: cell.unroll(x, state, first)):
        leaves = [x.clone().requires_grad_(), state.clone().requires_grad_(), *cell.parameters()]
        y, last = run(*leaves[:2])
        found.append(torch.autograd.grad((y * weight).sum() + last.sum(), leaves))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
