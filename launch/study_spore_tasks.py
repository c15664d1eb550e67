"""Cue tasks of the synaptic-sampling literature: do spiking agents learn patterns, a lever and a cursor, and relearn?

`python launch/study_spore_tasks.py` trains what is missing and writes `docs/results/spore_tasks.*` from what there is;
conditions that were not run say so. Everything is kept in `--out`: it can be stopped and started, or asked for more
`--hours`, and goes on with the same bits; several processes with different `--tasks` or `--conditions` can share the
work. The unit is the agent, with a task, synapses and noise of its own.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neuroctl.checkpoint import Checkpoints
from neuroctl.checks import checked_integer
from neuroctl.config import parse_options
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.launch.cue_agents import CueAgent, CueAgentConfig
from neuroctl.launch.cue_tasks import CONTROL_DT_S, TRIAL_S, CenterOut, CueTask, LeverPress, PatternMatching, TrialTask
from neuroctl.launch.curves import FIELDS, read_curve
from neuroctl.launch.populations import interval
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.study import Option, refuse_another
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import append_line, atomic_create, atomic_write, cut_lines, only_writer, read_json, whole_lines
from neuroctl.versions import versions

Task = Literal["pattern", "lever", "center"]
TASKS: tuple[Task, ...] = get_args(Task)
TITLES: dict[Task, str] = {"pattern": "Pattern matching", "lever": "Lever press", "center": "Center-out"}
RECURRENT = CueAgentConfig(
    reward="difference", gradient_scale=5.0, learning_rate_per_s=1e-4, half_life_s=2400.0, anew_s=14_400.0
)
SETTINGS: dict[Task, CueAgentConfig] = {
    "pattern": CueAgentConfig(reward="difference"),
    "lever": RECURRENT,
    "center": RECURRENT,
}
"""With which each task is learned: chosen for patterns and lever on seed 11; the cursor has those of the lever."""
CHANGES: dict[str, dict[str, Any]] = {
    "learning": {},
    "untrained": {"learning_rate_per_s": 0.0, "half_life_s": None, "anew_s": None},
    "reward late": {"reward_delay_s": 300.0},
}
"""Conditions, as changes of the settings; the last two are controls."""
EXAMPLE = "as the examples"
"""A further condition: all settings are those of the examples beside the module."""
CONDITIONS = (*CHANGES, EXAMPLE)
PERIOD_S = 1800.0
"""What the tables average over."""
REPETITIONS = 500
"""Resamples for each point of a figure."""


@dataclass(frozen=True)
class Arguments:
    """Train spiking agents on the cue tasks; write docs/results/spore_tasks.md."""

    out: Path = Path("runs/study_spore_tasks")
    """Cache: curves and checkpoints."""
    results: Path = Path("docs/results")
    """Where the table and the figure are written."""
    tasks: tuple[Task, ...] = TASKS
    """Tasks to run."""
    conditions: tuple[str, ...] = tuple(CHANGES)
    """Conditions to run; `all` is every one."""
    hours: float = 4.0
    """Simulated time of each agent, whole lines of the curve."""
    swap_hours: float = 4.0
    """When the pools of the lever change roles; 0 is never."""
    agents: int = 10
    """Agents in a condition, B."""
    seed: int = 102
    """Root seed."""
    line_s: float = 300.0
    """Simulated time of a line of the curve."""
    save_lines: int = 2
    """Lines between two checkpoints."""
    settings: tuple[str, ...] = ()
    """Changes of the settings in all conditions but `as the examples`, such as `reward=raw`; each needs an `--out`."""
    what: Literal["all", "table"] = "all"
    """Train, or only write the results from the cache."""

    def __post_init__(self) -> None:
        """Refuse conditions and settings that do not exist, and times that are no whole lines."""
        for name in self.changes:
            if name not in asdict(CueAgentConfig()):
                raise UnknownNameError("setting", name, asdict(CueAgentConfig()))
        for name in self.conditions:
            if name not in (*CONDITIONS, "all"):
                raise UnknownNameError("condition", name, (*CONDITIONS, "all"))
        for name in ("hours", "swap_hours", "line_s"):
            if not math.isfinite(getattr(self, name)):
                raise NeuroctlError(f"{name} must be a finite number, got {getattr(self, name)}")
        if self.save_lines < 1:
            raise NeuroctlError(f"save_lines must be >= 1, got {self.save_lines}")
        if self.swap_hours < 0:
            raise NeuroctlError(f"swap_hours must be >= 0, got {self.swap_hours:g}")
        checked_integer("agents", self.agents, 1)
        if self.line_steps < 1:
            raise NeuroctlError(f"line_s must be at least a control interval, {CONTROL_DT_S:g} s, got {self.line_s:g}")
        if self.steps < 1 or self.steps % self.line_steps:
            raise NeuroctlError(f"hours must be whole lines of {self.line_s:g} s, got {self.hours:g}")

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions that are asked for."""
        return CONDITIONS if "all" in self.conditions else self.conditions

    @property
    def changes(self) -> dict[str, Any]:
        """`settings` by name."""
        return parse_options(self.settings)

    @property
    def steps(self) -> int:
        """Control intervals of a condition."""
        return round(3600 * self.hours / CONTROL_DT_S)

    @property
    def line_steps(self) -> int:
        """Control intervals of a line."""
        return round(self.line_s / CONTROL_DT_S)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the results."""
    options = parse(Arguments, argv, "launch/study_spore_tasks.py")
    if options.what == "all":
        for task in options.tasks:
            for name in options.names:
                train(options, task, name)
    _write(options)
    return 0


# -- one condition ---------------------------------------------------------------------------------------------


def settings_of(options: Arguments, task: Task, name: str) -> CueAgentConfig:
    """The settings of a task under a condition."""
    return CueAgentConfig() if name == EXAMPLE else replace(SETTINGS[task], **{**options.changes, **CHANGES[name]})


def make(options: Arguments, task: Task, name: str) -> tuple[CueTask, CueAgent]:
    """A task and its agents, before anything happened."""
    kind = {"pattern": PatternMatching, "lever": LeverPress, "center": CenterOut}[task]
    extra = {"swap_at_s": 3600 * options.swap_hours} if task == "lever" and options.swap_hours else {}
    made = kind(options.agents, options.seed, **extra)
    form: Any = "layer" if task == "pattern" else "recurrent"
    return made, CueAgent(form, settings_of(options, task, name), batch_size=options.agents, seed=options.seed)


def train(options: Arguments, task: Task, name: str) -> None:
    """Run a condition up to the hours asked for, from its last checkpoint on if there is one.

    Raises:
        NeuroctlError: the folder holds a run with other settings, or another process is at it.
    """
    folder = _folder(options, task, name)
    cue, agent = make(options, task, name)  # says what is wrong with the settings
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder, "written"):
        _check_same(folder / "config.json", _described(options, task, name))
        checkpoints = Checkpoints(folder / "checkpoints", keep=2)
        done = int(checkpoints.all()[-1].name) if checkpoints.all() else 0
        if done >= options.steps:
            return
        if done:
            done, trees = checkpoints.load()
            cue.load_state_dict(trees["task"])
            agent.load_state_dict(trees["agent"])
        cut_lines(folder / "curve.jsonl", done)
        _go_on(options, cue, agent, checkpoints, done, f"{task}, {name}")


def _go_on(options: Arguments, cue: CueTask, agent: CueAgent, checkpoints: Checkpoints, done: int, label: str) -> None:
    """Simulate line after line; save every few lines and at the end."""
    curve = checkpoints.folder.parent / "curve.jsonl"
    with shown(label, options.steps - done, "intervals") as progress:
        while done < options.steps:
            line = simulate(cue, agent, options.line_steps)
            done += options.line_steps
            append_line(curve, json.dumps({"step": done, **dict(zip(FIELDS, line.tolist(), strict=True))}))
            lines = done // options.line_steps
            if lines % options.save_lines == 0 or done >= options.steps:
                checkpoints.save(done, {"task": cue.state_dict(), "agent": agent.state_dict()})
            reward, trials, successes, _ = line.sum(axis=1)
            share = successes / max(trials, 1.0)
            progress.advance(options.line_steps, f"reward {reward / cue.batch_size:.4f} success {share:.2f}")


def simulate(cue: CueTask, agent: CueAgent, steps: int) -> NDArray[np.float64]:
    """`FIELDS` `[4, B]` of so many control intervals; each trial that failed counts as 10 s."""
    sums = np.zeros((len(FIELDS), cue.batch_size))
    for _ in range(steps):
        spikes = agent.act(cue.rates_hz)
        reward = cue.step(spikes)
        agent.learn(reward)
        sums[0] += reward
        if cue.ended.any():
            sums[1] += cue.ended
            sums[2] += cue.succeeded
            if isinstance(cue, TrialTask):
                sums[3] += np.where(cue.succeeded, cue.trial_s, TRIAL_S * cue.ended)
    sums[0] /= steps
    return sums


def _folder(options: Arguments, task: Task, name: str) -> Path:
    return options.out / task / f"{name.replace(' ', '_')}-{options.agents}-s{options.seed}"


def _described(options: Arguments, task: Task, name: str) -> dict[str, Any]:
    """What must be the same for a run to go on."""
    swap = options.swap_hours if task == "lever" else 0.0
    described = {"agent": asdict(settings_of(options, task, name)), "swap_hours": swap, "line_s": options.line_s}
    decoded: dict[str, Any] = json.loads(json.dumps(described))
    return decoded


def _check_same(path: Path, described: dict[str, Any]) -> None:
    """Write down what a run is, or compare it with what was written."""
    if path.exists():
        options = {name: Option(f"--{name.replace('_', '-')}") for name in ("swap_hours", "line_s")}
        refuse_another(path.parent, read_json(path), described, options)
        return
    atomic_create(path, json.dumps(described))


# -- results ---------------------------------------------------------------------------------------------------

HEAD = """# Cue tasks: patterns, a lever and a cursor

Made by `python launch/study_spore_tasks.py --agents {agents} --seed {seed}`, with the `--hours` that the rows name.
{agents} agents in each condition, each with a task of its own; the unit is the agent. A cell holds the mean over agents
and the 95 % bootstrap interval of that mean, for the half hour of simulated time that its row names. The reward is the
raw one, a mean over all time. A trial that fails (after 10 s, or by leaving the target too early) counts as 10 s.
"untrained" does not learn; "reward late" learns from the reward of 300 s before.

Machine: {cpu}.
"""


def _curves(options: Arguments, task: Task) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Of each condition that has a line."""
    paths = {name: _folder(options, task, name) / "curve.jsonl" for name in CONDITIONS}
    return {name: read_curve(path) for name, path in paths.items() if whole_lines(path)}


def _write(options: Arguments) -> None:
    curves = {task: found for task in TASKS if (found := _curves(options, task))}
    if not curves:
        sys.stdout.write("nothing simulated yet\n")
        return
    options.results.mkdir(parents=True, exist_ok=True)
    lines = [HEAD.format(agents=options.agents, seed=options.seed, cpu=versions()["cpu"])]
    for task, found in curves.items():
        lines += [f"## {TITLES[task]}\n", *_table(options, task, found), ""]
        settings = asdict(settings_of(options, task, "learning"))
        lines += [f"Settings: {', '.join(f'{key} {value}' for key, value in settings.items())}.", ""]
    lines += ["![learning curves](spore_tasks.png)", ""]
    _figure(options, curves).savefig(options.results / "spore_tasks.png", dpi=110)
    atomic_write(options.results / "spore_tasks.md", "\n".join(lines))
    sys.stdout.write(f"results: {options.results / 'spore_tasks.md'}\n")


def periods(options: Arguments, task: Task, lines: int) -> dict[str, slice]:
    """Which lines of a curve with so many lines each column averages over."""
    width = min(max(round(PERIOD_S / options.line_s), 1), lines)
    found = {"at first": slice(0, width)}
    swap = round(3600 * options.swap_hours / options.line_s) if task == "lever" else 0
    if 0 < swap < lines:
        found["before the swap"] = slice(max(swap - width, 0), swap)
        found["after the swap"] = slice(swap, min(swap + width, lines))
    return found | {"at last": slice(lines - width, lines)}


def measures(curve: dict[str, NDArray[np.float64]], rows: slice) -> dict[str, NDArray[np.float64]]:
    """Reward, success in % and duration of a trial of each agent in these lines; agents without a trial left out."""
    sums = {name: curve[name][rows].sum(axis=0) for name in FIELDS}
    some = sums["trials"] > 0
    return {
        "reward": curve["reward"][rows].mean(axis=0),
        "success": 100 * sums["successes"][some] / sums["trials"][some],
        "seconds": sums["trial_s"][some] / sums["trials"][some],
    }


def _table(options: Arguments, task: Task, curves: dict[str, dict[str, NDArray[np.float64]]]) -> Iterator[str]:
    yield "| condition | hours | when | reward | success, % | cue to completion, s |"
    yield "|---|---|---|---|---|---|"
    for name in CONDITIONS:
        if name not in curves:
            yield f"| {name} | not run | | | | |"
            continue
        curve = curves[name]
        hours = curve["step"][-1] * CONTROL_DT_S / 3600
        for when, rows in periods(options, task, len(curve["step"])).items():
            found = measures(curve, rows)
            seconds = "" if task == "pattern" else interval(found["seconds"])
            reward, success = interval(found["reward"], 4), interval(found["success"], 1)
            yield f"| {name} | {hours:g} | {when} | {reward} | {success} | {seconds} |"


def _figure(options: Arguments, curves: dict[Task, dict[str, dict[str, NDArray[np.float64]]]]) -> Any:
    """Above the mean raw reward over time, below success (patterns) or duration of trials; means and 95 % bands."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(curves), 5.6), layout="constrained")
    axes = figure.subplots(2, len(curves), squeeze=False, sharex="col")
    for column, (task, found) in enumerate(curves.items()):
        kinds = ("reward", "success" if task == "pattern" else "seconds")
        labels = ("mean raw reward", "success, %" if task == "pattern" else "cue to completion, s")
        for axis, kind, label in zip(axes[:, column], kinds, labels, strict=True):
            for color, name in enumerate(CONDITIONS):
                if name in found:
                    _draw(axis, found[name], kind, f"C{color}", name)
            if task == "lever" and options.swap_hours:
                axis.axvline(options.swap_hours, color="0.6", ls="--", lw=1)
            axis.set(ylabel=label)
            axis.grid(color="0.92")
        axes[0, column].set(title=TITLES[task])
        axes[1, column].set(xlabel="simulated hours")
    lines = {line.get_label(): line for axis in axes[0] for line in axis.get_lines() if line.get_label() in CONDITIONS}
    figure.legend(lines.values(), lines, fontsize="small", loc="outside lower center", ncols=2 * len(curves))
    return figure


def _draw(axis: Any, curve: dict[str, NDArray[np.float64]], kind: str, color: str, name: str) -> None:
    points = [measures(curve, slice(n, n + 1))[kind] for n in range(len(curve["step"]))]
    hours = curve["step"] * CONTROL_DT_S / 3600
    kept = [n for n, values in enumerate(points) if len(values)]
    found = [stratified_bootstrap(points[n], lambda v: float(v.mean()), repetitions=REPETITIONS) for n in kept]
    axis.plot(hours[kept], [point.value for point in found], color=color, marker=".", ms=4, label=name)
    bounds = [[getattr(point, end) for point in found] for end in ("low", "high")]
    axis.fill_between(hours[kept], *bounds, color=color, alpha=0.25, lw=0)


if __name__ == "__main__":
    sys.exit(run(main))
