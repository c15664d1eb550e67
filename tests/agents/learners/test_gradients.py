"""Gradient rules against full backpropagation through a loop of steps, and against RTRL written step by step."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroctl.agents.cells import ELSTM, GRU, LRU, LSTM, LTC, RNN, RTU, CfC
from neuroctl.agents.cells.cell import Cell
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.learners import sequence_gradient
from neuroctl.agents.learners.rules import make_rule
from neuroctl.agents.wiring import Wiring
from neuroctl.errors import NeuroctlError, NonFiniteError

F64 = torch.float64
Loss = Callable[[Tensor, int], Tensor]


def problem(T: int, B: int, D: int, N: int, outputs: int | None = None) -> tuple[Tensor, Tensor, Tensor, Loss]:
    """Inputs, first steps, an entering state `[B, N]`, and a loss that weighs every output differently."""
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(T, B, size, generator=generator, dtype=F64) for size in (D, outputs or N))
    first = torch.rand(T, B, generator=generator) < 0.01
    state = torch.randn(B, N, generator=generator, dtype=F64)
    return x, first, state, lambda y, t0: (y * weight[t0 : t0 + len(y)]).sum() + (y**2).sum()


def cell_of(D: int, N: int, forget_bias: float = 2.0, seed: int = 0) -> ELSTM:
    torch.manual_seed(seed)
    return ELSTM(D, N, forget_bias=forget_bias).double()


def full_gradient(cell: Cell, x: Tensor, loss: Loss, first: Tensor | None, state: Any) -> dict[str, Tensor]:
    """By backpropagation through all steps, one after the other."""
    outputs = []
    for t in range(len(x)):
        y, state = cell.step(x[t], state, None if first is None else first[t])
        outputs.append(y)
    names, parameters = zip(*cell.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss(torch.stack(outputs), 0), parameters), strict=True))


def error(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """The largest norm of a difference over the norm wanted, of all parameters."""
    assert found.keys() == wanted.keys()
    errors = [(found[name] - wanted[name]).norm() / wanted[name].norm() for name in wanted]
    return float(max(error.item() for error in errors))


@pytest.mark.parametrize(("T", "B", "D", "N"), [(70, 10, 5, 3), (1000, 2, 8, 16)])
@pytest.mark.parametrize("kind", ["elstm", "rtu", "lru"])
def test_rtrl_is_exact(T: int, B: int, D: int, N: int, kind: str) -> None:
    torch.manual_seed(0)
    cell = {"elstm": lambda: ELSTM(D, N, forget_bias=2.0), "rtu": lambda: RTU(D, N), "lru": lambda: LRU(D, N)}[kind]()
    cell = cell.double()
    x, first, state, loss = problem(T, B, D, cell.initial_state(1).shape[1], cell.output_size)
    wanted = full_gradient(cell, x, loss, first, state)
    whole = loss(cell.unroll(x, state, first)[0], 0).item()
    for chunk in (1, 7, 50, 1000):
        value, found = sequence_gradient(cell, x, loss, "rtrl", chunk, first, state)
        assert error(found, wanted) < 1e-12, chunk
        assert value == pytest.approx(whole, rel=1e-12)
    assert all(parameter.grad is None for parameter in cell.parameters())


WIRING = Wiring(
    sensory=np.array([[1, 0, 1, 0]] * 3 + [[0, 1, 1, 1]] * 3),
    recurrent=1 - np.eye(6, dtype=int),
    motors=2,
    layers=(tuple(range(6)),),
)
GENERIC: dict[str, Callable[[], Cell]] = {
    "rnn": lambda: RNN(4, 6),
    "gru": lambda: GRU(4, 6),
    "lstm": lambda: LSTM(4, 6),
    "cfc": lambda: CfC(4, 6, backbone_units=0),
    "no gate": lambda: CfC(4, 6, mode="no_gate", backbone_units=0),
    "low-rank sparse cfc": lambda: CfC(4, 6, backbone_units=0, recurrent=LowRankSparse(6, 2, 0.5)),
    "low-rank sparse gru": lambda: GRU(4, 6, recurrent=LowRankSparse(6, 2, 0.5), factorised=("candidate",)),
    "wired rnn": lambda: RNN(4, 6, wiring=WIRING),
}


@pytest.mark.parametrize("kind", GENERIC)
@pytest.mark.parametrize("chunk", [1, 7, 120])
def test_rtrl_of_any_cell_is_exact(kind: str, chunk: int) -> None:
    torch.manual_seed(0)
    cell = GENERIC[kind]().double()
    x, first, _, loss = problem(120, 3, 4, 6, cell.output_size)
    generator = torch.Generator().manual_seed(1)
    parts = [torch.randn(3, 6, generator=generator, dtype=F64) for _ in range(2)]
    state: Any = tuple(parts) if kind == "lstm" else parts[0]
    wanted = full_gradient(cell, x, loss, first, state)
    assert error(sequence_gradient(cell, x, loss, "rtrl", chunk, first, state)[1], wanted) < 1e-12
    if chunk < 120:
        assert error(sequence_gradient(cell, x, loss, "bptt", chunk, first, state)[1], wanted) > 1e-3


def own_past_by_steps(cell: Cell, x: Tensor, loss: Loss, first: Tensor, state: Any) -> dict[str, Tensor]:
    """SnAp-1 from its definition: d states / d theta step by step, where the Jacobian keeps a unit's own entries."""
    parameters = dict(cell.named_parameters())
    states = state if isinstance(state, tuple) else (state,)
    M, (B, N) = len(states), states[0].shape
    S = {name: torch.zeros(B, M, N, *p.shape, dtype=F64) for name, p in parameters.items()}
    sums = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def one(flat: dict[str, Tensor], x: Tensor, *states: Tensor) -> Tensor:
        _, new = torch.func.functional_call(
            Stepping(cell), flat, (x[None], tuple(s[None] for s in states) if M > 1 else states[0][None])
        )
        return torch.stack([part[0] for part in (new if M > 1 else (new,))])

    for t in range(len(x)):
        for b in range(B):
            alive = float(not first[t, b])
            before = tuple(part[b] * alive for part in states)
            flat = {f"cell.{name}": p.detach() for name, p in parameters.items()}
            of_theta = torch.func.jacrev(one)(flat, x[t, b], *before)
            of_states = [torch.func.jacrev(one, argnums=2 + m)(flat, x[t, b], *before) for m in range(M)]
            for name in parameters:
                old = S[name][b] * alive
                new = of_theta[f"cell.{name}"].clone()
                for m, J in enumerate(of_states):
                    own = J.diagonal(dim1=1, dim2=2)  # [M, N]
                    new += torch.einsum("on,n...->on...", own, old[m])
                # what a parameter does to units other than the one it feeds directly is dropped
                S[name][b] = new * (of_theta[f"cell.{name}"] != 0).any(0)
        _, last = cell.step(x[t], state, first[t])
        state = last
        states = state if isinstance(state, tuple) else (state,)
        h = states[0].detach().requires_grad_()
        (direct,) = torch.autograd.grad(loss(cell.output(h)[None], t), h)
        for name in parameters:
            sums[name] += torch.einsum("bn,bn...->...", direct, S[name][:, 0])
    return sums


class Stepping(torch.nn.Module):
    """A step as the forward of a module, for torch.func."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, state: Any) -> Any:
        return self.cell.step(x, state)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm", "cfc", "wired rnn"])
@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_snap1_is_its_definition_step_by_step(kind: str, chunk: int) -> None:
    torch.manual_seed(0)
    cell = GENERIC[kind]().double()
    x, first, _, loss = problem(12, 2, 4, 6, cell.output_size)
    first[7, 1] = True
    state: Any = tuple(torch.randn(2, 6, dtype=F64) for _ in range(2))
    state = state if kind == "lstm" else state[0]
    wanted = own_past_by_steps(cell, x, loss, first, state)
    assert error(sequence_gradient(cell, x, loss, "snap1", chunk, first, state)[1], wanted) < 1e-12


@pytest.mark.parametrize("kind", [ELSTM, RTU, LRU])
def test_snap1_of_element_wise_cells_is_rtrl(kind: Any) -> None:
    cell = kind(4, 5).double()
    x, _, _, loss = problem(20, 2, 4, 5, cell.output_size)
    exact, found = (sequence_gradient(cell, x, loss, rule, 6)[1] for rule in ("rtrl", "snap1"))
    assert error(found, exact) == 0


def test_a_cell_too_large_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(NeuroctlError, match=r"of this GRU take 3\.0 GiB of sensitivities for 64 rows, at most 2 are"):
        make_rule("rtrl", GRU(127, 128), 64)


def test_backpropagation_within_chunks_is_not() -> None:
    x, first, state, loss = problem(200, 3, 9, 16)
    cell = cell_of(9, 16)
    wanted = full_gradient(cell, x, loss, first, state)
    errors = [error(sequence_gradient(cell, x, loss, "bptt", chunk, first, state)[1], wanted) for chunk in (1, 10, 200)]
    assert errors[0] > errors[1] > 0.05
    assert errors[2] < 1e-12


def test_sensitivities_of_the_golden_case() -> None:
    """One unit, three steps; numbers from hand-written loops, confirmed by central differences."""
    cell = ELSTM(1, 1).double()
    values = {"Z": 0.5, "F": -0.3, "w_z": 0.7, "w_f": 0.2, "b_z": 0.1, "b_f": 0.4}
    wanted = {
        "Z": -0.010152189444750548,
        "F": -0.36945672656066186,
        "w_z": 0.2733833997442631,
        "w_f": 0.05513738697201612,
        "b_z": 0.6037010784118428,
        "b_f": 0.06405588358653103,
    }
    with torch.no_grad():
        for name, value in values.items():
            getattr(cell, name).fill_(value)
    rule = make_rule("rtrl", cell, 1)
    state = torch.full((1, 1), 0.5, dtype=F64)
    for x in ([1.0, -2.0], [0.5]):  # two chunks
        _, state = rule.unroll(torch.tensor(x, dtype=F64).view(-1, 1, 1), state)
        rule.advance()
    sensitivity: Any = getattr(rule, "sensitivity")  # noqa: B009
    found = {name: S.item() for name, S in {**sensitivity.matrices, **sensitivity.vectors}.items()}
    assert found == pytest.approx(wanted, rel=1e-13)


def rtrl_by_steps(cell: ELSTM, x: Tensor, first: Tensor, state: Tensor, direct: Tensor) -> dict[str, Tensor]:
    """Sensitivities carried from step to step (Irie et al.), with dL/dc_t `[T, B, N]` that skips later cells."""
    (T, B, D), N = x.shape, state.shape[1]
    S = {name: torch.zeros(B, N, D, dtype=F64) for name in "ZF"}
    s = {name: torch.zeros(B, N, dtype=F64) for name in ("w_z", "w_f", "b_z", "b_f")}
    sums = {name: torch.zeros(N, D, dtype=F64) for name in "ZF"} | {name: torch.zeros(N, dtype=F64) for name in s}
    c = state
    for t in range(T):
        alive = (~first[t]).to(F64)[:, None]
        c = c * alive
        f = torch.sigmoid(x[t] @ cell.F.T + cell.w_f * c + cell.b_f)
        z = torch.tanh(x[t] @ cell.Z.T + cell.w_z * c + cell.b_z)
        a, b = (1 - f) * (1 - z**2), (c - z) * f * (1 - f)
        keep = (f + cell.w_z * a + cell.w_f * b) * alive
        for name, slope in (("Z", a), ("F", b)):
            S[name] = keep[:, :, None] * S[name] + slope[:, :, None] * x[t][:, None, :]
            sums[name] += (direct[t][:, :, None] * S[name]).sum(0)
        for name, source in (("w_z", a * c), ("w_f", b * c), ("b_z", a), ("b_f", b)):
            s[name] = keep * s[name] + source
            sums[name] += (direct[t] * s[name]).sum(0)
        c = f * c + (1 - f) * z
    return sums


@pytest.mark.parametrize("chunk", [1, 6, 40])
@torch.no_grad()
def test_rtrl_by_chunks_is_rtrl_by_steps(chunk: int) -> None:
    x, first, state, _ = problem(40, 3, 4, 6)
    first[13, 1] = True
    cell = cell_of(4, 6)
    for parameter in (cell.O, cell.W_o):
        parameter.zero_()
    cell.b_o.fill_(30.0)  # the output gate is 1: h is c, and dL/dh is dL/dc
    direct = torch.randn(40, 3, 6, dtype=F64)
    wanted = rtrl_by_steps(cell, x, first, state, direct)
    with torch.enable_grad():
        _, found = sequence_gradient(
            cell, x, lambda y, t0: (y * direct[t0 : t0 + len(y)]).sum(), "rtrl", chunk, first, state
        )
    assert error({name: found[name] for name in wanted}, wanted) < 1e-11


def test_rows_do_not_know_of_each_other() -> None:
    x, first, state, loss = problem(60, 4, 5, 6)
    cell = cell_of(5, 6)
    _, together = sequence_gradient(cell, x, lambda y, t0: (y**2).sum(), "rtrl", 7, first, state)
    alone = [
        sequence_gradient(
            cell, x[:, b : b + 1], lambda y, t0: (y**2).sum(), "rtrl", 7, first[:, b : b + 1], state[b : b + 1]
        )[1]
        for b in range(4)
    ]
    assert error({name: torch.stack([one[name] for one in alone]).sum(0) for name in together}, together) < 1e-12


def test_immediate_gradients_are_those_of_chunks_of_one_step() -> None:
    x, first, state, loss = problem(30, 3, 4, 5)
    cell = cell_of(4, 5)
    _, found = sequence_gradient(cell, x, loss, "immediate", 10, first, state)
    _, wanted = sequence_gradient(cell, x, loss, "bptt", 1, first, state)
    assert error(found, wanted) < 1e-13


def test_without_a_reset_and_a_state() -> None:
    x, _, _, loss = problem(30, 3, 4, 5)
    cell = cell_of(4, 5)
    wanted = full_gradient(cell, x, loss, None, cell.initial_state(3))
    assert error(sequence_gradient(cell, x, loss, chunk=8)[1], wanted) < 1e-12


def test_float32_is_close() -> None:
    x, first, state, _ = problem(200, 3, 9, 16)
    cell = cell_of(9, 16)
    loss: Loss = lambda y, t0: (y**2).sum()  # noqa: E731
    wanted = full_gradient(cell, x, loss, first, state)
    _, found = sequence_gradient(cell.float(), x.float(), loss, "rtrl", 50, first, state.float())
    assert error({name: g.double() for name, g in found.items()}, wanted) < 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "rtlr"}, "unknown gradient rule 'rtlr'; did you mean 'rtrl'"),
        ({"chunk": 0}, "chunk must be an integer >= 1, got 0"),
        ({"cell": LTC(4, 5).double()}, "the LTC is not made of affine maps"),
        (
            {"cell": CfC(4, 5).double()},
            "only a CfC of mode 'default' or 'no_gate' and without a backbone has this form",
        ),
        ({"cell": CfC(4, 5, mode="pure", backbone_units=0).double()}, "has this form: mode 'pure'"),
        ({"x": torch.zeros(3, 2, 7, dtype=F64)}, "input has shape"),
        ({"loss": lambda y, t0: y}, "the loss must be a real scalar"),
        ({"loss": lambda y, t0: 0.0}, "the loss must be a real scalar"),
        ({"loss": lambda y, t0: y.sum() * 1j}, "the loss must be a real scalar"),
        *(
            ({"loss": lambda y, t0: torch.ones((), requires_grad=True), "rule": rule}, "depends on the outputs of its")
            for rule in ("rtrl", "bptt")
        ),
        ({"cell": torch.nn.GRU(4, 5)}, "a gradient rule takes a cell of ours; got GRU"),
        ({"rule": ["rtrl"]}, "unknown gradient rule"),
        ({"state": np.zeros((2, 5))}, r"state is a ndarray; expected \[2, 5\] float64, as of cell.initial_state\(2\)"),
        ({"state": torch.zeros(1, 5, dtype=F64), "rule": "snap1"}, r"state is \[1, 5\] float64; expected \[2, 5\]"),
        ({"state": torch.zeros(2, 5, dtype=torch.int64)}, r"state is \[2, 5\] int64; expected"),
        ({"state": (torch.zeros(2, 5, dtype=F64),)}, r"state is \(\[2, 5\] float64\); expected"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    x, first, state, loss = problem(10, 2, 4, 5)
    arguments: dict[str, Any] = {"cell": cell_of(4, 5), "x": x, "loss": loss, **change}
    with pytest.raises(NeuroctlError, match=message):
        sequence_gradient(**arguments)


@pytest.mark.parametrize("rule", ["rtrl", "snap1", "bptt", "immediate"])
@pytest.mark.parametrize("kind", [ELSTM, RTU, GRU])
def test_frozen_parameters_have_no_gradient_and_the_others_theirs(kind: Any, rule: str) -> None:
    torch.manual_seed(0)
    cell = kind(4, 5).double()
    x, first, _, loss = problem(20, 2, 4, 5, cell.output_size)
    state = cell.initial_state(2)
    wanted = sequence_gradient(cell, x, loss, rule, 6, first, state)[1]
    frozen, *_ = (name for name, _ in cell.named_parameters())
    cell.get_parameter(frozen).requires_grad_(False)
    found = sequence_gradient(cell, x, loss, rule, 6, first, state)[1]
    assert wanted[frozen].abs().max() > 0 == found[frozen].abs().max()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted if name != frozen)
    cell.requires_grad_(False)
    assert all(not gradient.any() for gradient in sequence_gradient(cell, x, loss, rule, 6, first, state)[1].values())


def test_a_loss_that_is_not_finite_is_refused_and_gradients_stay() -> None:
    x, first, state, _ = problem(10, 2, 4, 5)
    cell = cell_of(4, 5)
    cell.Z.grad = torch.ones_like(cell.Z)
    with pytest.raises(NonFiniteError, match="the loss of the chunk that starts at step 5 is nan"):
        sequence_gradient(cell, x, lambda y, t0: y.sum() * (float("nan") if t0 else 1), chunk=5)
    with pytest.raises(NonFiniteError, match="the gradient of .* is not finite"):
        sequence_gradient(cell, x, lambda y, t0: (y - y.detach()).sqrt().sum(), chunk=5)
    assert (cell.Z.grad == 1).all()


def test_a_learner_must_keep_the_order() -> None:
    rule = make_rule("rtrl", cell_of(4, 5), 2)
    with pytest.raises(NeuroctlError, match="there is no chunk to go on by"):
        rule.advance()
    with pytest.raises(NeuroctlError, match="there is no gradient to complete"):
        rule.add_carried()


@pytest.mark.parametrize(("name", "make"), [("rtrl", ELSTM), ("rtrl", GRU), ("snap1", GRU), ("bptt", GRU)])
def test_parts_of_the_rows_add_up_to_all(name: str, make: Any) -> None:
    torch.manual_seed(0)
    cell = make(4, 5).double()
    x, first, state, _ = problem(20, 4, 4, 5)
    found = []
    for parts in ([None], [torch.tensor([0, 2]), torch.tensor([3, 1])]):
        rule, now = make_rule(name, cell, 4), state
        cell.zero_grad()
        for start in (0, 10):
            part = slice(start, start + 10)
            rule.prepare(x[part], now, first[part])
            for rows in parts:
                chosen = torch.arange(4) if rows is None else rows
                y, last = rule.unroll(x[part][:, chosen], now[chosen], first[part][:, chosen], rows)
                (y**2).sum().backward()
                rule.add_carried()
            with torch.no_grad():
                now = cell.unroll(x[part], now, first[part])[1]
            rule.advance()
        found.append({key: p.grad.clone() for key, p in cell.named_parameters() if p.grad is not None})
    assert error(found[1], found[0]) < 1e-12
    if name != "bptt":
        with pytest.raises(NeuroctlError, match="call prepare first"):
            rule.unroll(x[:5, :2], state[:2], None, torch.tensor([0, 1]))


@pytest.mark.parametrize(("name", "make"), [("rtrl", ELSTM), ("rtrl", RTU), ("rtrl", GRU), ("snap1", GRU)])
def test_a_rule_that_loads_what_was_carried_goes_on_with_the_same_bits(name: str, make: Any) -> None:
    torch.manual_seed(0)
    cell = make(4, 5).double()
    x, _, _, _ = problem(20, 3, 4, 5)
    state = cell.initial_state(3)
    rule = make_rule(name, cell, 3)
    _, state = rule.unroll(x[:10], state)
    rule.advance()
    other = make_rule(name, cell, 3)
    other.load_state_dict(rule.state_dict())
    found = []
    for one in (rule, other):
        cell.zero_grad()
        y, _ = one.unroll(x[10:], state)
        (y**2).sum().backward()
        one.add_carried()
        found.append([p.grad.clone() for p in cell.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
