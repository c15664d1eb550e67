"""What rank and sparsity do to the dynamics of the policies of launch/study_lowrank.py, with a page of figures.

All policies of a task see the same episodes, those of an expert on a seed that nobody learned from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroctl.analysis import (
    components_along,
    eigenvalues,
    gradient_by_lag,
    jacobians,
    lyapunov_exponents,
    participation_ratio,
    spectral_norm,
    states_along,
    weight_change,
)
from neuroctl.launch.lowrank_figure import LAGS, NOISE, dynamics_figure
from neuroctl.launch.lowrank_plan import (
    DENSE,
    MODELS,
    TASKS,
    Arguments,
    Policy,
    Task,
    config,
    folder,
    is_learnt,
    label,
    policies,
    published,
)
from neuroctl.launch.populations import interval
from neuroctl.launch.study import record_once
from neuroctl.launch.study_workers import do_each
from neuroctl.recording import Episode, Recording
from neuroctl.run import Run, agent_with, environment_spaces, make_agent
from neuroctl.storage import atomic_write, read_json
from neuroctl.training_checks import load_policy
from neuroctl.versions import versions

Floats = NDArray[np.float64]
HELD_OUT_SEED = 1000
EPISODES = 4
STEPS = 100
"""Of each episode, for the Jacobians."""
BURN_IN = 20
"""Steps that do not count for exponents and dimensions."""
HEAD = """# Dynamics of low-rank sparse policies

Made by `python launch/study_lowrank.py --what dynamics` from the policies of [the study](lowrank.md). All see the same
{episodes} episodes of an expert, on a seed that nobody learned from. Jacobians are those of the whole state by the one
before in the first {steps} steps, without the first {burn_in} of them. "before" is before training. Spectra of weights
are means over the gates' matrices. "gradient" is what is left of d state(t) / d state(t - k) (Frobenius norm over the
root of the number of states); exponents are Lyapunov's; dimensions are participation ratios, of the state and of what
drives the units: from outside, and from the units themselves. Means over seeds and their 95 % bootstrap intervals.

Machine: {cpu}; torch {torch}.
"""
Found = Mapping[str, Any]
"""What was measured of a policy."""
COLUMNS: Mapping[str, Callable[[Found], float]] = {
    "radius before": lambda found: found["before"]["radius"],
    "radius": lambda found: found["after"]["radius"],
    "norm before": lambda found: found["before"]["norm"],
    "norm": lambda found: found["after"]["norm"],
    "change of weights": lambda found: found["change"],
    "Jacobian's radius before": lambda found: found["before"]["jacobian_radius"],
    "Jacobian's radius": lambda found: found["after"]["jacobian_radius"],
    "Jacobian's norm": lambda found: found["after"]["jacobian_norm"],
    "greatest exponent before, 1/s": lambda found: found["before"]["exponents"][0],
    "greatest exponent, 1/s": lambda found: found["after"]["exponents"][0],
    "gradient, 10 steps": lambda found: found["after"]["gradient"][LAGS.index(10)],
    "gradient, 50 steps": lambda found: found["after"]["gradient"][LAGS.index(50)],
    "dimension of the state": lambda found: found["after"]["dimensions"]["state"],
    "from outside": lambda found: found["after"]["dimensions"]["outside"],
    "from the units": lambda found: found["after"]["dimensions"]["own"],
}


def measure_dynamics(options: Arguments) -> str:
    """Measure all policies that are trained and have a recurrent matrix; says where the page is."""
    trained = [
        policy for policy in policies(options) if MODELS[policy.model]["cell"] != "mlp" and is_learnt(options, policy)
    ]
    for task in dict.fromkeys(policy.task for policy in trained):
        for severity in NOISE:
            _record_held_out(options, task, severity)
    do_each(options, trained, _measure_once)
    return write_dynamics(options)


def _held_out(options: Arguments, task: Task, severity: int) -> Path:
    return options.out / task / f"held-out-{severity}"


def _record_held_out(options: Arguments, task: Task, severity: int) -> None:
    """Episodes of the expert as they look under noise; it acts on the state, so that its actions are the same."""
    made = config(Policy(task, DENSE, 1.0, HELD_OUT_SEED))
    shifts = (f"gaussian-noise:{severity}",) if severity else ()
    demonstrations = replace(made.demonstrations, episodes=EPISODES, shifts=shifts)
    record_once(replace(made, demonstrations=demonstrations), _held_out(options, task, severity))


def _path(options: Arguments, policy: Policy) -> Path:
    return options.out / "dynamics" / policy.task / f"{label(policy)}.json"


def _measure_once(options: Arguments, policy: Policy) -> None:
    path = _path(options, policy)
    if path.exists():
        return
    run = Run(folder(options, policy))
    spaces = environment_spaces(run.config)
    before: Any = make_agent(replace(run.config, device="cpu"), spaces)
    if run.config.warm_start is not None:
        load_policy(before, run.config.warm_start)
    after: Any = agent_with(run.config, spaces, run.checkpoints.load()[1]["agent"])
    obs = _beginnings(Recording(_held_out(options, policy.task, 0)))
    dt_s = 1.0 if spaces.control_dt_s is None else spaces.control_dt_s
    weights = [agent.recurrent_weights() for agent in (before, after)]
    found = {
        "before": dynamics(before.policy, weights[0], obs, dt_s),
        "after": dynamics(after.policy, weights[1], obs, dt_s),
        "change": float(np.mean([weight_change(weights[0][name], weights[1][name]) for name in weights[0]])),
        "loss": [_loss(after.policy, Recording(_held_out(options, policy.task, severity))) for severity in NOISE],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(found))


def _beginnings(recording: Recording) -> NDArray[Any]:
    """What was seen in the first steps of every episode, `[T, B, ...]`."""
    episodes = [recording.episode(number).obs for number in range(EPISODES)]
    steps = min(STEPS, *map(len, episodes))
    return np.stack([seen[:steps] for seen in episodes], axis=1)


def dynamics(policy: Any, weights: Mapping[str, NDArray[Any]], obs: NDArray[Any], control_dt_s: float) -> Found:
    """Spectra of recurrent weights, and of what follows from them along observations `[T, B, ...]`.

    Args:
        policy: recurrent, of one cell.
        weights: its recurrent matrices by name.
        obs: of episodes that all begin with the first step; longer than `BURN_IN` and the greatest lag together.
        control_dt_s: length of a step, s.
    """
    jacobian = jacobians(policy, obs)[BURN_IN:]
    outside, own = components_along(policy, obs)
    moduli = np.sort(np.abs(np.linalg.eigvals(jacobian)), axis=-1)[..., ::-1].mean(axis=(0, 1))
    clouds = {"state": states_along(policy, obs), "outside": outside, "own": own}
    spectra = np.array([eigenvalues(weight) for weight in weights.values()])
    return {
        "radius": float(np.abs(spectra[:, 0]).mean()),
        "norm": float(np.mean([spectral_norm(weight) for weight in weights.values()])),
        "eigenvalues": [[float(value.real), float(value.imag)] for value in spectra.ravel()],
        "jacobian_radius": float(moduli[0]),
        "jacobian_moduli": moduli.tolist(),
        "jacobian_norm": float(np.linalg.norm(jacobian, 2, axis=(2, 3)).mean()),
        "exponents": _finite(lyapunov_exponents(jacobian, control_dt_s).mean(axis=0)),
        "gradient": gradient_by_lag(jacobian, LAGS).mean(axis=1).tolist(),
        "dimensions": {name: participation_ratio(cloud[BURN_IN:]) for name, cloud in clouds.items()},
    }


def _finite(exponents: Floats) -> list[float]:
    """Those that are not minus infinity, which JSON has not."""
    return [float(value) for value in exponents if np.isfinite(value)]


@torch.no_grad()
def _loss(policy: Any, recording: Recording) -> float:
    """What imitation minimises, mean over the steps of all episodes."""
    return float(np.mean(np.concatenate([_losses(policy, recording.episode(n)) for n in range(EPISODES)])))


def _losses(policy: Any, episode: Episode) -> Floats:
    """Of each step, `[T]`."""
    obs, wanted = (torch.as_tensor(array)[:, None] for array in (episode.obs[:-1], episode.label))
    first = torch.zeros(len(obs), 1, dtype=torch.bool)
    first[0] = True
    output, _ = policy.unroll(obs, policy.initial_state(1), first)
    losses: Floats = policy.head.imitation_loss(output, wanted)[:, 0].double().numpy()
    return losses


# -- the page --------------------------------------------------------------------------------------------------


def write_dynamics(options: Arguments) -> str:
    """Write the tables and the figure from what was measured; says where they are."""
    measured = {task: _of_models(options, task) for task in options.tasks}
    measured = {task: found for task, found in measured.items() if found}
    if not measured:
        return "no dynamics measured yet"
    here = versions()
    head = HEAD.format(episodes=EPISODES, steps=STEPS, burn_in=BURN_IN, cpu=here["cpu"], torch=here["torch"])
    lines = [head, "![dynamics](lowrank_dynamics.png)\n"]
    for task, found in measured.items():
        lines += [f"## {TASKS[task].title}\n", *_table(COLUMNS, found), ""]
        lines += ["Loss of imitation on held-out episodes, by the severity of noise on the observations:\n"]
        lines += [*_table({str(severity): partial(_loss_under, severity) for severity in NOISE}, found), ""]
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "lowrank_dynamics.md", "\n".join(lines))
    dynamics_figure({TASKS[task].title.partition(",")[0]: found for task, found in measured.items()}).savefig(
        options.results / "lowrank_dynamics.png", dpi=90
    )
    return f"results: {options.results / 'lowrank_dynamics.md'}"


def _of_models(options: Arguments, task: Task) -> dict[str, list[Found]]:
    """What was measured of the seeds of each model, of those with any."""
    found: dict[str, list[Found]] = {}
    for model in MODELS:
        paths = [_path(options, published(task, model, seed)) for seed in options.seeds]
        there = [read_json(path) for path in paths if path.exists()]
        if there:
            found[model] = there
    return found


def _table(columns: Mapping[str, Callable[[Found], float]], found: Mapping[str, Sequence[Found]]) -> Iterator[str]:
    yield f"| model | seeds | {' | '.join(columns)} |"
    yield "|---" * (2 + len(columns)) + "|"
    for model, ones in found.items():
        cells = [interval(np.array([column(one) for one in ones]), 3) for column in columns.values()]
        yield f"| {model} | {len(ones)} | {' | '.join(cells)} |"


def _loss_under(severity: int, found: Found) -> float:
    return float(found["loss"][NOISE.index(severity)])
