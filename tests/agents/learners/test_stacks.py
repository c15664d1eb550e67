"""Gradient rules of cells on top of each other, against backpropagation through all steps and against a definition."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells import ELSTM, GRU, LRU, LSTM, RNN, CfC, Stacked
from neuroctl.agents.cells.cell import Cell
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.learners import sequence_gradient
from neuroctl.agents.learners.rules import make_rule
from neuroctl.errors import NeuroctlError

from .test_gradients import F64, WIRING, Loss, error, full_gradient, problem

STACKS: dict[str, Callable[[], list[Cell]]] = {
    "two cfcs": lambda: [CfC(4, 5, backbone_units=0), CfC(5, 6, backbone_units=0)],
    "gru below lstm": lambda: [GRU(4, 5), LSTM(5, 6)],
    "lstm below gru": lambda: [LSTM(4, 5), GRU(5, 6)],
    "wired below low-rank sparse": lambda: [
        RNN(4, 6, wiring=WIRING),
        CfC(2, 6, backbone_units=0, recurrent=LowRankSparse(6, 2, 0.5)),
    ],
    "three": lambda: [LSTM(4, 3), RNN(3, 5), GRU(5, 4)],
}


def stack_of(kind: str) -> Cell:
    torch.manual_seed(0)
    return Stacked(STACKS[kind]()).double()


def entering(cell: Cell, batch_size: int) -> Any:
    generator = torch.Generator().manual_seed(1)
    return drawn(cell.initial_state(batch_size), generator)


def drawn(state: Any, generator: torch.Generator) -> Any:
    if isinstance(state, Tensor):
        return torch.randn(state.shape, generator=generator, dtype=F64)
    return tuple(drawn(part, generator) for part in state)


@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("chunk", [1, 7, 120])
def test_rtrl_of_a_stack_is_exact(kind: str, chunk: int) -> None:
    cell = stack_of(kind)
    x, first, _, loss = problem(120, 3, 4, 6, cell.output_size)
    state = entering(cell, 3)
    wanted = full_gradient(cell, x, loss, first, state)
    assert error(sequence_gradient(cell, x, loss, "rtrl", chunk, first, state)[1], wanted) < 1e-12
    if chunk < 120:
        assert error(sequence_gradient(cell, x, loss, "bptt", chunk, first, state)[1], wanted) > 1e-3


def by_layers(cells: list[Cell], x: Tensor, loss: Loss, first: Tensor) -> dict[str, Tensor]:
    """Zucchet et al.: each cell's own past, and the outputs of a step, whose way through upper pasts is left out."""
    found: dict[str, Tensor] = {}
    for k, cell in enumerate(cells):
        y = x
        for below in cells[:k]:
            y = below.unroll(y, None, first)[0].detach()
        y = cell.unroll(y, None, first)[0]
        for above in cells[k + 1 :]:
            state, outputs = above.initial_state(x.shape[1]), []
            for t in range(len(x)):
                output, state = above.step(y[t], state.detach(), first[t])
                outputs.append(output)
            y = torch.stack(outputs)
        names, parameters = zip(*cell.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss(y, 0), parameters)
        found |= {f"cells.{k}.{name}": gradient for name, gradient in zip(names, gradients, strict=True)}
    return found


@pytest.mark.parametrize("kinds", [(ELSTM, ELSTM), (LRU, GRU), (ELSTM, LRU, ELSTM)])
def test_layerwise_in_chunks_of_one_step_is_its_definition(kinds: tuple[Any, ...]) -> None:
    torch.manual_seed(0)
    cells = [kind(4, 4).double() for kind in kinds]
    x, first, _, loss = problem(30, 3, 4, 4)
    first[11, 1] = True
    stack = Stacked(cells)
    wanted = by_layers(cells, x, loss, first)
    assert error(sequence_gradient(stack, x, loss, "layerwise", 1, first)[1], wanted) < 1e-12
    exact = full_gradient(stack, x, loss, first, stack.initial_state(3))
    assert error(wanted, exact) > 0.05
    for chunk in (6, 30):
        found = sequence_gradient(stack, x, loss, "layerwise", chunk, first)[1]
        assert (error(found, exact) < 1e-12) == (chunk == 30)
        top = {name: value for name, value in exact.items() if name.startswith(f"cells.{len(cells) - 1}.")}
        assert error({name: found[name] for name in top}, top) < 1e-12


def test_layerwise_of_one_cell_is_rtrl() -> None:
    cell = GRU(4, 5).double()
    x, first, state, loss = problem(20, 2, 4, 5)
    exact, found = (sequence_gradient(cell, x, loss, rule, 6, first, state)[1] for rule in ("rtrl", "layerwise"))
    assert error(found, exact) == 0


@pytest.mark.parametrize("rule", ["rtrl", "layerwise"])
def test_what_a_stack_carries_is_saved(rule: str) -> None:
    cell = stack_of("lstm below gru")
    x, first, _, loss = problem(30, 2, 4, 6)

    def run(change: bool) -> dict[str, Tensor]:
        learner, state = make_rule(rule, cell, 2), cell.initial_state(2)
        for start in (0, 10, 20):
            cell.zero_grad()
            if change:
                kept, learner = learner.state_dict(), make_rule(rule, cell, 2)
                learner.load_state_dict(kept)
            y, state = learner.unroll(x[start : start + 10], state, first[start : start + 10])
            loss(y, start).backward()
            learner.add_carried()
            learner.advance()
        return {name: p.grad.clone() for name, p in cell.named_parameters() if p.grad is not None}

    ones, others = run(False), run(True)
    assert all(torch.equal(ones[name], others[name]) for name in ones)


def test_rows_of_a_stack_can_go_one_after_the_other() -> None:
    cell = stack_of("gru below lstm")
    x, first, _, loss = problem(20, 4, 4, 6)
    first[6, 1] = first[13, 3] = True
    for rule in ("rtrl", "layerwise"):
        wanted = sequence_gradient(cell, x, lambda y, t0: (y**2).sum(), rule, 10, first)[1]
        learner, state = make_rule(rule, cell, 4), cell.initial_state(4)
        cell.zero_grad()
        for start in (0, 10):
            part = slice(start, start + 10)
            learner.prepare(x[part], state, first[part])
            for rows in (torch.tensor([2, 0]), torch.tensor([1, 3])):
                of_rows = tuple(s[rows] if isinstance(s, Tensor) else tuple(p[rows] for p in s) for s in state)
                y, _ = learner.unroll(x[part][:, rows], of_rows, first[part][:, rows], rows)
                (y**2).sum().backward()
                learner.add_carried()
            learner.advance()
            state = cell.unroll(x[part], state, first[part])[1]
            state = tuple(s.detach() if isinstance(s, Tensor) else tuple(p.detach() for p in s) for s in state)
        found = {name: p.grad for name, p in cell.named_parameters() if p.grad is not None}
        assert error(found, wanted) < 1e-12


def test_a_stack_that_has_no_exact_rule_is_refused_with_those_it_has() -> None:
    stack = Stacked([ELSTM(4, 5), ELSTM(5, 5)])
    line = "gradient rule 'rtrl': the ELSTM is not made .*; rules for this cell: bptt, layerwise, immediate"
    with pytest.raises(NeuroctlError, match=line):
        make_rule("rtrl", stack, 2)
