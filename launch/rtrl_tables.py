"""Tables and figures of launch/study_rtrl.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.launch.plots import legend_beside
from neuroctl.launch.populations import interval
from neuroctl.launch.rtrl_outcomes import Found, Outcome, Setting, cached, keep, kept, of_seeds
from neuroctl.launch.rtrl_plan import METHODS, TASKS, TUNING_SEEDS, Arguments, Task, learning_rate, tuned_task
from neuroctl.launch.rtrl_speed import Speeds, read_speeds
from neuroctl.storage import atomic_write

HEAD = f"""# Exact, truncated and immediate gradients on memory tasks

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
alternation; rtrl_speeds.json says on which machine); "at equal time" is "final" at the time at which the fastest method
with this rollout length is through. Learning rates were tuned on seeds {" and ".join(map(str, TUNING_SEEDS))}, which
are only in the tables of learning rates, with as many runs for every method; those of non-match on delays of up to 20
steps, those of parity for 2 million steps. A `.json` beside a page, which the newer ones have, holds all of its runs.
"""


def write_results(options: Arguments) -> str:
    """Add the runs in the cache to those that were published, and write pages and figures; says where they are."""
    options.results.mkdir(parents=True, exist_ok=True)
    speeds = read_speeds(options.results)
    for task in TASKS:
        path = options.results / f"rtrl_{task}.json"
        new = {(run.setting, run.seed): run for run in cached(options.out, task)}
        runs = list(({(run.setting, run.seed): run for run in kept(path)} | new).values())
        if runs:
            keep(path, runs)
            atomic_write(path.with_suffix(".md"), "\n".join([*page(task, runs, speeds), ""]))
            held_out = of_seeds(runs, tuning=False)
            if held_out:
                _figure(held_out, task).savefig(path.with_suffix(".png"), dpi=110)
    written = [task for task in TASKS if (options.results / f"rtrl_{task}.md").exists()]
    if not written:
        return "nothing trained yet"
    links = [f"- [{TASKS[task].title}](rtrl_{task}.md)" for task in written]
    atomic_write(options.results / "rtrl.md", "\n".join([HEAD, *links, ""]))
    return f"results: {options.results / 'rtrl.md'}"


def page(task: Task, runs: Sequence[Outcome], speeds: Speeds) -> Iterator[str]:
    """The lines of a task's page."""
    yield f"# {TASKS[task].title}\n"
    yield "What is compared, and what the columns say: [rtrl.md](rtrl.md).\n"
    yield f"Machine: {' and '.join(sorted({run.machine for run in runs}))}.\n"
    held_out, tuning = of_seeds(runs, False), of_seeds(runs, True)
    if held_out:
        yield from table(held_out, task, speeds)
        yield f"\n![learning curves](rtrl_{task}.png)"
    if tuning:
        yield from tuning_table(tuning)


def table(found: Found, task: Task, speeds: Speeds) -> Iterator[str]:
    """The lines of a task's table; what takes the speeds of methods is left out where they were not measured."""
    plan = TASKS[task]
    yield f"Measure: {plan.measure} of an episode; without memory {plan.forgetful:g}, threshold {plan.threshold:g}.\n"
    names = ["method", "rollout", "learning rate", "seeds", "final", "rtrl minus it", "steps to", "reached", "steps/s"]
    yield f"| {' | '.join(names)} | at equal time |"
    yield "|---" * (len(names) + 1) + "|"
    for (method, rollout, rate), runs in found.items():
        exact = "rtrl, CfC" if method.endswith("CfC") else "rtrl"
        against = found.get(Setting(exact, rollout, learning_rate(task, exact, rollout)), [])
        finals = np.array([run.final for run in runs])
        times = [run.steps_to(plan.threshold) for run in runs]
        middle = float(np.median(times))
        said = f"{middle / 1e3:.0f} k" if np.isfinite(middle) else f"> {runs[0].budget / 1e3:.0f} k"
        yield (
            f"| {method} | {rollout} | {rate:g} | {len(runs)} | {interval(finals, 3)} | "
            f"{_gain(against, runs) if method != exact else ''} | {said} | "
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
    yield "\n## Learning rates on the tuning seeds\n"
    yield "| method | rollout | learning rate | seeds | final, mean | each |"
    yield "|---|---|---|---|---|---|"
    for (method, rollout, rate), runs in found.items():
        finals = [run.final for run in runs]
        each = " ".join(f"{value:.3f}" for value in finals)
        yield f"| {method} | {rollout} | {rate:g} | {len(runs)} | {np.mean(finals):.3f} | {each} |"


def _figure(found: Found, task: Task) -> Any:
    """Learning curves with the published learning rates, a panel for each rollout length: seeds thin, mean thick."""
    from matplotlib.figure import Figure

    plan = TASKS[task]
    rollouts = sorted({setting.rollout for setting in found})
    figure = Figure(figsize=(4.2 * len(rollouts) + 1.6, 3.2), layout="constrained")
    axes = figure.subplots(1, len(rollouts), sharex=True, sharey=True, squeeze=False)[0]
    colours = {name: f"C{k}" for k, name in enumerate(METHODS) if "forget bias" not in name}
    for axis, rollout in zip(axes, rollouts, strict=True):
        for (method, length, rate), runs in found.items():
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
