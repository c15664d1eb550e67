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
