"""Speed of the recurrent cells against ncps and torch, as ratios within one run.

Every repeat times all candidates one after the other, so that a machine that slows down slows all of them; the ratio
is that of the medians. One thread. Weights have the same shapes everywhere, those of CfC and LTC are equal to ncps's.

    python benchmarks/cells.py --repeats 15
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import ncps.torch
import torch
from torch import Tensor, nn

from neuroctl.agents.cells import GRU, LSTM, LTC, CfC
from neuroctl.agents.connectivity import LowRankSparse

BATCH, LENGTH, INPUTS, UNITS = 32, 256, 17, 64
STEPS_PER_REPEAT = 300

Candidates = dict[str, Callable[[], object]]


def medians_s(candidates: Candidates, repeats: int, calls: int) -> dict[str, float]:
    """Median seconds of one call of each candidate over alternating repeats; a first, unmeasured one warms up."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(repeats + 1):
        for name, call in candidates.items():
            start = time.perf_counter()
            for _ in range(calls):
                call()
            if repeat:
                times[name].append((time.perf_counter() - start) / calls)
    return {name: statistics.median(values) for name, values in times.items()}


def training_step(module: nn.Module, run: Callable[[Tensor], tuple[Tensor, object]], x: Tensor) -> Callable[[], None]:
    """Forward and backward over a sequence, with gradients of all parameters."""
    weight = torch.randn(*x.shape[:2], UNITS)

    def call() -> None:
        module.zero_grad()
        (run(x)[0] * weight).sum().backward()

    return call


def cells() -> tuple[Any, nn.LSTM, CfC, CfC, LSTM]:
    theirs = ncps.torch.CfC(INPUTS, UNITS, backbone_layers=0, batch_first=False)
    sparse = CfC(INPUTS, UNITS, backbone_units=0, recurrent=LowRankSparse(UNITS, 16, 0.5))
    return theirs, nn.LSTM(INPUTS, UNITS), CfC.from_ncps(theirs), sparse, LSTM(INPUTS, UNITS)


def sequence_candidates() -> Candidates:
    theirs, torch_lstm, cfc, sparse, lstm = cells()
    x = torch.randn(LENGTH, BATCH, INPUTS)
    return {
        "neuroctl CfC": training_step(cfc, cfc.unroll, x),
        "neuroctl CfC, rank 16, sparsity 0.5": training_step(sparse, sparse.unroll, x),
        "neuroctl LSTM": training_step(lstm, lstm.unroll, x),
        "ncps CfC": training_step(theirs, theirs, x),
        "torch.nn.LSTM": training_step(torch_lstm, torch_lstm, x),
    }


def gru_candidates() -> Candidates:
    ours, theirs, x = GRU(INPUTS, UNITS), nn.GRU(INPUTS, UNITS), torch.randn(LENGTH, BATCH, INPUTS)
    return {"neuroctl GRU": training_step(ours, ours.unroll, x), "torch.nn.GRU": training_step(theirs, theirs, x)}


def ltc_candidates() -> Candidates:
    theirs = ncps.torch.LTC(INPUTS, UNITS, batch_first=False)
    ours, x = LTC.from_ncps(theirs), torch.randn(LENGTH, BATCH, INPUTS)
    return {"neuroctl LTC": training_step(ours, ours.unroll, x), "ncps LTC": training_step(theirs, theirs, x)}


def step_candidates() -> Candidates:
    theirs, torch_lstm, cfc, sparse, lstm = cells()
    cell = torch.nn.LSTMCell(INPUTS, UNITS)
    x, h = torch.randn(1, INPUTS), torch.zeros(1, UNITS)
    sequence, state = x.unsqueeze(0), h.unsqueeze(0)
    return {
        "neuroctl CfC": lambda: cfc.step(x, h),
        "neuroctl CfC, rank 16, sparsity 0.5": lambda: sparse.step(x, h),
        "neuroctl LSTM": lambda: lstm.step(x, (h, h)),
        "ncps CfC": lambda: theirs(sequence, h),
        "ncps CfCCell": lambda: theirs.rnn_cell(x, h, 1.0),
        "torch.nn.LSTM": lambda: torch_lstm(sequence, (state, state)),
        "torch.nn.LSTMCell": lambda: cell(x, (h, h)),
    }


def print_table(title: str, times: dict[str, float], unit: str, scale: float) -> None:
    references = [name for name in times if not name.startswith("neuroctl")]
    print(f"\n{title}\n")
    print(f"| cell | {unit} | " + " | ".join(f"{name} / this" for name in references) + " |")
    print("|---" * (2 + len(references)) + "|")
    for name, seconds in times.items():
        ratios = " | ".join(f"{times[reference] / seconds:.2f}" for reference in references)
        print(f"| {name} | {seconds * scale:.2f} | {ratios} |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed of the recurrent cells against ncps and torch.")
    parser.add_argument("--repeats", type=int, default=15, help="alternating repeats; the median is shown")
    repeats = parser.parse_args().repeats
    if repeats < 1:
        parser.error(f"--repeats must be >= 1; got {repeats}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = f"B={BATCH}, T={LENGTH}, {INPUTS} inputs, {UNITS} units, no backbone, float32, one thread"
    print_table(f"Forward and backward: {shape}", medians_s(sequence_candidates(), repeats, 1), "ms", 1e3)
    print_table("The same of GRUs", medians_s(gru_candidates(), repeats, 1), "ms", 1e3)
    print_table("The same of LTCs, six unfolds", medians_s(ltc_candidates(), max(1, repeats // 3), 1), "ms", 1e3)
    with torch.no_grad():
        steps = medians_s(step_candidates(), repeats, STEPS_PER_REPEAT)
    print_table(f"One step without gradients: B=1, {INPUTS} inputs, {UNITS} units", steps, "us", 1e6)


if __name__ == "__main__":
    main()
