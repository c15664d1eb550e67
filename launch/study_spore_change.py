"""What becomes of trained spiking agents when the world changes, or they themselves do.

`python launch/study_spore_change.py --trained runs/study_spore` takes the populations that `launch/study_spore.py`
trained, does what is missing and writes `docs/results/spore_change.md` and its figures from what there is. Everything
is kept in `--out`, so it can be stopped and started (learning that was interrupted begins again, with the same bits),
and several processes with different `--tasks` or `--parts` can share the work.

- `robustness`: shifts of the senses and of the robot, met with frozen synapses, with learning that goes on as slowly as
  training ended, and with learning whose schedules begin anew.
- `switch`: the goal is elsewhere, or half of the synapses are gone; agents of three temperatures learn anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.launch.change_plan import (
    CHANGES,
    CLEAN,
    GOAL_M,
    MINUTE_STEPS,
    MODES,
    SHIFTS,
    STRETCH_MINUTES,
    TEMPERATURES,
    TRAINED,
    Arguments,
    Change,
    Mode,
    changes_of,
    unfit,
)
from neuroctl.launch.change_tables import write_results
from neuroctl.launch.curves import CurveLog
from neuroctl.launch.populations import (
    FROZEN_EPISODES,
    FROZEN_STEPS,
    Task,
    environment,
    frozen_environment,
    root_seed,
    root_seeds,
    run_folder,
)
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.trained_agents import TrainedAgents
from neuroctl.storage import atomic_write, read_json
from neuroctl.streams import derive_seed

STRETCH_STEPS = round(STRETCH_MINUTES * MINUTE_STEPS)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_spore_change.py")
    if options.what == "all":
        _refuse_without_populations(options)
        for task in options.tasks:
            if "robustness" in options.parts:
                _meet_shifts(options, task)
            if "switch" in options.parts:
                _meet_switches(options, task)
    sys.stdout.write(f"{write_results(options)}\n")
    return 0


def _meet_shifts(options: Arguments, task: Task) -> None:
    agents = _trained(options, task, TRAINED)
    if agents is None:
        return
    for shift in (CLEAN, *SHIFTS):
        if unfit(task, shift) is None:
            for mode in MODES:
                meet_shift(options, agents, task, shift, mode)


def meet_shift(options: Arguments, agents: TrainedAgents, task: Task, shift: str, mode: Mode) -> None:
    """Measure agents under a shift, after learning under it in some mode, unless that was done."""
    shifts, anew = () if shift == CLEAN else (shift,), MODES[mode]

    def make() -> dict[str, Any]:
        after = agents
        if anew is not None:
            world = environment(task, agents.count, _episode_steps(task), shifts)
            after = _learned_on(agents, world, options, options.steps, f"{task}, {shift}, learning {mode}", anew)
        return {
            "shifted": _measured(after, task, shifts),
            "clean": _measured(after, task) if shifts and anew is not None else None,
        }

    _keep(options.shift_path(task, shift, mode), agents, make)


def _meet_switches(options: Arguments, task: Task) -> None:
    for condition in TEMPERATURES:
        agents = _trained(options, task, condition)
        if agents is not None:
            for change in changes_of(task):
                meet_switch(options, agents, task, condition, change)


def meet_switch(options: Arguments, agents: TrainedAgents, task: Task, condition: str, change: Change) -> None:
    """Measure agents before a change, directly after it and after learning anew, unless that was done."""
    path = options.switch_path(task, condition, change)

    def make() -> dict[str, Any]:
        world: dict[str, Any] = {"goal_m": GOAL_M} if change == "goal" else {}
        changed, taken = agents.lesioned(agents.config.seed) if change == "lesion" else (agents, None)
        label, curve = f"{task}, {condition}, {CHANGES[change]}", path.with_suffix(".curve.jsonl")
        env = environment(task, agents.count, _episode_steps(task), **world)
        after = _learned_on(changed, env, options, options.recovery_steps, label, True, curve)
        return {
            "before": _measured(agents, task),
            "changed": _measured(changed, task, **world),
            "after": _measured(after, task, **world),
            "regrown": None if taken is None else _regrown(after, taken).tolist(),
        }

    _keep(path, agents, make)


def _refuse_without_populations(options: Arguments) -> None:
    conditions = {TRAINED: None} if "robustness" in options.parts else {}
    conditions |= dict.fromkeys(TEMPERATURES) if "switch" in options.parts else {}
    paths = [
        run_folder(options.trained, task, name, root_seed(task, options.seed))
        for task in options.tasks
        for name in conditions
    ]
    if not any((path / "config.json").exists() for path in paths):
        raise NeuroctlError(
            f"{options.trained} holds no population of {', '.join(options.tasks)} under {', '.join(conditions)} with "
            f"{root_seeds(options.seed)}; train them with python launch/study_spore.py --out {options.trained}"
        )


def _trained(options: Arguments, task: Task, condition: str) -> TrainedAgents | None:
    path = run_folder(options.trained, task, condition, root_seed(task, options.seed))
    if (path / "config.json").exists():
        return TrainedAgents.load(path)
    sys.stderr.write(f"{path} is not there; train it with launch/study_spore.py\n")
    return None


def _keep(path: Path, agents: TrainedAgents, make: Callable[[], dict[str, Any]]) -> None:
    """Write what `make` returns, unless that was done with these very agents."""
    if path.exists() and read_json(path)["trained"] == agents.digest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps({"trained": agents.digest, **make()}))


def _episode_steps(task: Task) -> int:
    """Length of an episode of learning: that of the vehicle's time on its lane, or of a point of the curve."""
    return FROZEN_STEPS if task == "lane" else STRETCH_STEPS


def _measured(agents: TrainedAgents, task: Task, shifts: Sequence[str] = (), **world: Any) -> dict[str, list[float]]:
    """What the agents do with frozen synapses, in the same episodes whatever happened to them."""
    env = frozen_environment(task, agents.count, shifts, **world)
    return agents.measured(env, agents.config.seed + 1, FROZEN_EPISODES[task])


def _learned_on(
    agents: TrainedAgents,
    env: Any,
    options: Arguments,
    steps: int,
    label: str,
    anew: bool,
    curve: Path | None = None,
) -> TrainedAgents:
    listeners = [] if curve is None else [CurveLog(curve, STRETCH_STEPS)]
    with shown(label, steps, "steps") as progress:
        seed = derive_seed(agents.config.seed, "change")
        return agents.learned_on(env, seed, steps, anew=anew, listeners=listeners, progress=progress)


def _regrown(agents: TrainedAgents, taken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of the synapses that were taken which transmit again, `[B]`."""
    share: NDArray[np.float64] = ((agents.theta >= 0) & taken).sum(axis=1) / taken.sum(axis=1)
    return share


if __name__ == "__main__":
    sys.exit(run(main))
