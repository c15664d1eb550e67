"""Tables and figures of launch/study_rtrl.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.launch.plots import legend_beside
from neuroctl.launch.populations import interval
from neuroctl.launch.rtrl_plan import (
    METHODS,
    TASKS,
    TUNING_SEEDS,
    Arguments,
    Task,
    learning_rate,
    method_folder,
    tuned_task,
)
from neuroctl.launch.rtrl_speed import Speeds, read_speeds
from neuroctl.metrics import read_metrics
from neuroctl.run import Run
from neuroctl.storage import atomic_write
from neuroctl.versions import versions

HEAD = """# Exact, truncated and immediate gradients on memory tasks

Made by `python launch/study_rtrl.py`. An actor-critic (V-trace) whose recurrent cell learns by exact real-time
recurrent learning ("rtrl", of an element-wise LSTM, recurrent trace units or a low-rank sparse CfC), by backpropagation
within the rollout ("bptt"), or without credit through time ("immediate"); "feed-forward" has no memory. All but the
trace units see the observation itself; these are linear, and have an encoder of 64 features. All act in 64 environments
and learn after every rollout. Forget biases are spread over the units between 0 and 4, those of a "forget bias" between
0 and twice as much as it says. The unit is the training seed: cells hold means over seeds and 95 % bootstrap intervals
of that mean. "final" is the last tenth of training, "rtrl minus it" the difference to exact gradients with the same
rollout length and seeds; "steps to" is the median number of environment steps after which a stretch of 40 thousand (of
the water maze 100 thousand) first was above the threshold, ">" where that is more than the budget; "reached" counts
seeds. "steps/s" was measured apart from these runs (`--what speed`: one thread, nothing else running, methods in
alternation); "at equal time" is "final" at the time at which the fastest method with this rollout length is through.
Learning rates were tuned on seeds {tuning}, which are in no table but the last, with as many runs for every method;
those of non-match on delays of up to 20 steps.

Machine: {cpu}; torch {torch}.
"""
Found = dict[tuple[Task, str, int, float], list["Outcome"]]


class Outcome:
    """What a run came to.

    Attributes:
        steps: environment steps at the end of each stretch, `[K]`.
        values: the task's measure there, `[K]`.
        budget: environment steps of the whole run.
        finished: whether they were taken.
        seed: the root seed.
    """

    def __init__(self, path: Path, measure: str) -> None:
        run = Run(path)
        rows = run.config.num_envs or 1
        written = read_metrics(path)
        lines = [line for line in written if f"episode/{measure}" in line]
        self.steps = np.array([line["step"] * rows for line in lines], np.float64)
        self.values = np.array([line[f"episode/{measure}"] for line in lines])
        self.budget = run.config.steps * rows
        self.seed = run.config.seed
        self.finished = len(lines) > 0 and written[-1]["step"] == run.config.steps

    @property
    def final(self) -> float:
        """Mean over the last tenth of training."""
        return self.final_of(1.0)

    def final_of(self, share: float) -> float:
        """Mean over the last tenth of this share of training."""
        ends = self.steps / (share * self.budget)
        return float(self.values[(ends > 0.9) & (ends < 1 + 1e-9)].mean())

    def steps_to(self, threshold: float) -> float:
        """Environment steps until the measure first was at a threshold; infinity where it never was."""
        there = np.flatnonzero(self.values >= threshold)
        return float(self.steps[there[0]]) if len(there) else np.inf


def outcomes(out: Path, tuning: bool) -> Found:
    """Finished runs in a cache by task, method, rollout length and learning rate; of tuning seeds, or of all others."""
    found: Found = {}
    methods = {method_folder(name): name for name in METHODS}
    for task, plan in TASKS.items():
        for path in sorted(out.glob(f"{task}/*/config.json")):
            config: Any = Run(path.parent).config
            outcome = Outcome(path.parent, plan.measure)
            if (config.seed in TUNING_SEEDS) == tuning and outcome.finished:
                key = (
                    task,
                    methods[path.parent.name.rpartition("-M")[0]],
                    config.agent.rollout_length,
                    config.agent.learning_rate,
                )
                found.setdefault(key, []).append(outcome)
    return found


def write_results(options: Arguments) -> str:
    """Write the tables and figures; says where they are."""
    held_out, tuning = outcomes(options.out, False), outcomes(options.out, True)
    if not held_out and not tuning:
        return "nothing trained yet"
    options.results.mkdir(parents=True, exist_ok=True)
    here, speeds = versions(), read_speeds(options.out)
    lines = [HEAD.format(tuning=" and ".join(map(str, TUNING_SEEDS)), cpu=here["cpu"], torch=here["torch"])]
    for task in TASKS:
        if any(key[0] == task for key in held_out):
            lines += [*table(held_out, task, speeds), "", f"![learning curves](rtrl_{task}.png)", ""]
            _figure(held_out, task).savefig(options.results / f"rtrl_{task}.png", dpi=110)
    if tuning:
        lines += [*tuning_table(tuning), ""]
    atomic_write(options.results / "rtrl.md", "\n".join(lines))
    return f"results: {options.results / 'rtrl.md'}"


def table(found: Found, task: Task, speeds: Speeds) -> Iterator[str]:
    """The lines of a task's table; what takes the speeds of methods is left out where they were not measured."""
    plan = TASKS[task]
    yield f"## {plan.title}\n"
    yield f"Measure: {plan.measure} of an episode; without memory {plan.forgetful:g}, threshold {plan.threshold:g}.\n"
    names = ["method", "rollout", "learning rate", "seeds", "final", "rtrl minus it", "steps to", "reached", "steps/s"]
    yield f"| {' | '.join(names)} | at equal time |"
    yield "|---" * (len(names) + 1) + "|"
    exact = {
        rollout: runs
        for (_, method, rollout, rate), runs in _of_task(found, task)
        if method == "rtrl" and rate == learning_rate(task, method, rollout)
    }
    for (_, method, rollout, rate), runs in _of_task(found, task):
        finals = np.array([run.final for run in runs])
        times = [run.steps_to(plan.threshold) for run in runs]
        middle = float(np.median(times))
        said = f"{middle / 1e3:.0f} k" if np.isfinite(middle) else f"> {runs[0].budget / 1e3:.0f} k"
        yield (
            f"| {method} | {rollout} | {rate:g} | {len(runs)} | {interval(finals, 3)} | "
            f"{_gain(exact.get(rollout, []), runs) if method != 'rtrl' else ''} | {said} | "
            f"{np.isfinite(times).sum()} of {len(runs)} | {_timed(speeds, (tuned_task(task), method, rollout), runs)} |"
        )


def _timed(speeds: Speeds, which: tuple[Task, str, int], runs: Sequence[Outcome]) -> str:
    """Steps per second, and the final measure at the time at which the fastest with this rollout length is through."""
    if which not in speeds:
        return " | "
    fastest = max(rate for (task, _, rollout), rate in speeds.items() if (task, rollout) == (which[0], which[2]))
    finals = np.array([run.final_of(speeds[which] / fastest) for run in runs])
    return f"{speeds[which]:.0f} | {interval(finals, 3)}"


def _gain(exact: Sequence[Outcome], runs: Sequence[Outcome]) -> str:
    """By how much exact gradients ended above, on the seeds that both have."""
    finals = {run.seed: run.final for run in exact}
    gains = [finals[run.seed] - run.final for run in runs if run.seed in finals]
    return interval(np.array(gains), 3) if gains else ""


def tuning_table(found: Found) -> Iterator[str]:
    """Final measure of every learning rate on the tuning seeds."""
    yield "## Learning rates on the tuning seeds\n"
    yield "| task | method | rollout | learning rate | seeds | final, mean | each |"
    yield "|---|---|---|---|---|---|---|"
    for task in TASKS:
        for (_, method, rollout, rate), runs in _of_task(found, task):
            finals = [run.final for run in runs]
            each = " ".join(f"{value:.3f}" for value in finals)
            yield f"| {task} | {method} | {rollout} | {rate:g} | {len(runs)} | {np.mean(finals):.3f} | {each} |"


def _of_task(found: Found, task: Task) -> list[tuple[tuple[Task, str, int, float], list[Outcome]]]:
    """Those of a task, by rollout length, then in the order of the methods."""
    order = {name: k for k, name in enumerate(METHODS)}
    chosen = [(key, runs) for key, runs in found.items() if key[0] == task]
    return sorted(chosen, key=lambda item: (item[0][2], order[item[0][1]], item[0][3]))


def _figure(found: Found, task: Task) -> Any:
    """Learning curves with the published learning rates, a panel for each rollout length: seeds thin, mean thick."""
    from matplotlib.figure import Figure

    plan = TASKS[task]
    of_task = _of_task(found, task)
    rollouts = sorted({key[2] for key, _ in of_task})
    figure = Figure(figsize=(4.2 * len(rollouts) + 1.6, 3.2), layout="constrained")
    axes = figure.subplots(1, len(rollouts), sharex=True, sharey=True, squeeze=False)[0]
    colours = {name: f"C{k}" for k, name in enumerate(METHODS) if "forget bias" not in name}
    for axis, rollout in zip(axes, rollouts, strict=True):
        for (_, method, length, rate), runs in of_task:
            if length == rollout and method in colours and rate == learning_rate(task, method, rollout):
                _draw(axis, runs, method, colours[method])
        axis.axhline(plan.threshold, color="0.4", ls="--", lw=0.8)
        axis.set(title=f"rollouts of {rollout} steps", xlabel="environment steps, millions")
        axis.grid(color="0.92")
    axes[0].set_ylabel(f"{plan.measure} of an episode")
    legend_beside(figure)
    return figure


def _draw(axis: Any, runs: Sequence[Outcome], method: str, colour: str) -> None:
    for run in runs:
        axis.plot(run.steps / 1e6, run.values, color=colour, alpha=0.25, lw=0.7)
    steps: NDArray[np.float64] = runs[0].steps
    mean = np.mean([np.interp(steps, run.steps, run.values) for run in runs], axis=0)
    axis.plot(steps / 1e6, mean, color=colour, lw=2.0, label=method)
