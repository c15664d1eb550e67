"""Cost of exact gradients by chunks, beside backpropagation within the chunk and RTRL step by step.

A learner's step is forward, a loss, backward (the gradient of the inputs included) and, for exact gradients, what is
carried; without encoder and optimiser. All alternate; the numbers are medians. The limit of what exact gradients add is
to read the sensitivities once and to write them once.

    python benchmarks/rtrl.py
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from neuroctl.agents.cells import ELSTM, CfC
from neuroctl.agents.cells.cell import Cell
from neuroctl.agents.connectivity import LowRankSparse
from neuroctl.agents.learners.gradient_rule import detached
from neuroctl.agents.learners.rules import make_rule

Step = Callable[[], None]


def by_rule(cell: Cell, x: Tensor, rule: str) -> Step:
    """A learner's step, again and again on the same inputs."""
    learner, state = make_rule(rule, cell, x.shape[1]), cell.initial_state(x.shape[1])

    def step() -> None:
        nonlocal state
        cell.zero_grad()
        x.grad = None
        y, state = learner.unroll(x, state)
        (y * y).mean().backward()
        learner.add_carried()
        learner.advance()

    return step


def by_loop(cell: Cell, x: Tensor) -> Step:
    """Backpropagation through a loop of steps, as it is usually written."""
    state = cell.initial_state(x.shape[1])

    def step() -> None:
        nonlocal state
        cell.zero_grad()
        x.grad = None
        state, outputs = detached(state), []
        for now in x:
            y, state = cell.step(now, state)
            outputs.append(y)
        torch.stack(outputs).square().mean().backward()

    return step


def by_steps(cell: ELSTM, x: Tensor) -> Step:
    """RTRL that carries the sensitivities from step to step (Irie et al., arXiv 2305.19044), cell parameters alone."""
    T, B, D = x.shape
    N = cell.hidden_size
    S = torch.zeros(2, B, N, D)
    s = torch.zeros(4, B, N)
    c = torch.zeros(B, N)

    @torch.no_grad()
    def step() -> None:
        nonlocal c, S, s
        sums = torch.zeros(2, N, D), torch.zeros(4, N)
        for now in x:
            f = torch.sigmoid(now @ cell.F.T + cell.w_f * c + cell.b_f)
            z = torch.tanh(now @ cell.Z.T + cell.w_z * c + cell.b_z)
            slopes = torch.stack(((1 - f) * (1 - z * z), (c - z) * f * (1 - f)))
            keep = f + cell.w_z * slopes[0] + cell.w_f * slopes[1]
            S.mul_(keep[..., None]).add_(slopes[..., None] * now[:, None])
            s = keep * s + torch.cat((slopes * c, slopes))
            c = f * c + (1 - f) * z
            direct = c / (T * B)
            sums[0].add_((direct[..., None] * S).sum(1))
            sums[1].add_((direct * s).sum(1))

    return step


def medians(steps: dict[str, Step], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat:
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(found) for name, found in times.items()}


def copied_ms(size: int) -> float:
    """To read so many float32 once and write them once."""
    source = torch.ones(size)
    target = torch.empty(size)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        target.copy_(source)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def element_wise(repeats: int) -> None:
    N, D, B = 256, 257, 32
    cell = ELSTM(D, N, forget_bias=1.0)
    print(f"Element-wise LSTM, {N} units, {D} inputs, {B} rows; ms")
    print(f"(limit of what is added: {copied_ms(2 * B * N * D):.1f} ms; targets 1.6 at chunk 50, 2.5 at chunk 10)\n")
    print("| chunk | backpropagation | in a loop | RTRL by chunks | over the faster | by steps | over by chunks |")
    print("|---|---|---|---|---|---|---|")
    for chunk in (5, 10, 50):
        x = torch.randn(chunk, B, D, requires_grad=True)
        steps = {"bptt": by_rule(cell, x, "bptt"), "loop": by_loop(cell, x), "rtrl": by_rule(cell, x, "rtrl")}
        found = medians(steps, repeats)
        slow = medians({"steps": by_steps(cell, x.detach())}, max(repeats // 7, 2))["steps"]
        ratio = found["rtrl"] / min(found["bptt"], found["loop"])
        cells = [f"{found[name]:.1f}" for name in steps]
        print(f"| {chunk} | {' | '.join(cells)} | {ratio:.2f} | {slow:.0f} | {slow / found['rtrl']:.1f} |")


def generic(repeats: int) -> None:
    N, D, B = 32, 16, 8
    print(
        f"\nLow-rank sparse CfC (rank 8, half of the synapses), {N} units, {D} inputs, {B} rows; ms\n"
        "(target 2 at chunk 50)\n"
    )
    print("| chunk | backpropagation | in a loop | RTRL by chunks | over the faster |")
    print("|---|---|---|---|---|")
    cell = CfC(D, N, backbone_units=0, recurrent=LowRankSparse(N, 8, 0.5))
    for chunk in (10, 50):
        x = torch.randn(chunk, B, D, requires_grad=True)
        steps = {"bptt": by_rule(cell, x, "bptt"), "loop": by_loop(cell, x), "rtrl": by_rule(cell, x, "rtrl")}
        found = medians(steps, repeats)
        cells = [f"{found[name]:.1f}" for name in steps]
        print(f"| {chunk} | {' | '.join(cells)} | {found['rtrl'] / min(found['bptt'], found['loop']):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of exact gradients by chunks.")
    parser.add_argument("--repeats", type=int, default=20, help="alternations; the median is shown")
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats must be >= 1; got {repeats}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    element_wise(repeats)
    generic(repeats)


if __name__ == "__main__":
    main()
