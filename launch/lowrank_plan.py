"""What launch/study_lowrank.py trains and measures, and where it keeps what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError, refuse_unknown
from neuroctl.launch import presets
from neuroctl.launch.study import is_trained, learning_from
from neuroctl.launch.study_workers import OnWorkers
from neuroctl.shift import check_severity

Task = Literal["lane", "arm", "cheetah", "breakout"]


class TaskPlan(NamedTuple):
    """A task, and the shifts under which its policies are tested."""

    title: str
    preset: Callable[[], TrainConfig]
    env: Mapping[str, Any]
    """Options of the environment that differ from the preset's."""
    shifts: tuple[str, ...]
    privileged: Mapping[str, Any] | None
    """Options with which the environment shows its state; None where it shows it anyway, or never."""
    shared_encoder: bool = False
    """Whether the policies of a seed see through the encoder of one that was trained before them, `ENCODER`."""
    models: tuple[str, ...] | None = None
    """Which are compared; None is all."""


TASKS: dict[Task, TaskPlan] = {
    "lane": TaskPlan(
        "Lane following, retina, near camera: dark for 0.6 s, every 3 s on average; held-out roads",
        presets.lane_cfc,
        {"blackout_s": 0.6},
        (
            *("gaussian-noise", "brightness", "contrast", "pixel-dropout"),
            *("observation-delay", "action-noise", "gain", "friction"),
        ),
        {"observation": "state", "blackout_s": 0.0},
    ),
    "arm": TaskPlan(
        "Delayed reaching, planar arm, state: the target is shown for 0.1 s, the arm moves 0.5 to 1.5 s later",
        presets.arm_cfc,
        {},
        ("gaussian-noise", "frame-drop", "observation-delay", "action-noise", "action-delay", "gain", "mass"),
        None,
    ),
    "cheetah": TaskPlan(
        "HalfCheetah without velocities",
        presets.halfcheetah_cfc,
        {},
        (
            *("gaussian-noise", "frame-drop", "observation-delay"),
            *("action-noise", "action-delay", "gain", "mass", "friction"),
        ),
        {"observe_velocity": True},
    ),
    "breakout": TaskPlan(
        "Breakout, single frames, three in ten of them black, 2000 steps at most",
        presets.atari_cfc,
        {"blank": 0.3, "max_steps": 2000},
        ("gaussian-noise", "brightness", "contrast", "pixel-dropout", "occlusion", "frame-drop", "observation-delay"),
        None,
        shared_encoder=True,
        models=("cfc r64 s0", "cfc r4 s0.5", "lstm r64 s0", "lstm r4 s0.5", "mlp", "mlp, 4 frames"),
    ),
}
UNITS = 64
RANKS, SPARSITIES = (UNITS, 4), (0.0, 0.5, 0.9)
SMALL_GAIN = 0.19
"""Spectral radius of recurrent weights of 64 units, rank 4 and sparsity 0.5; of a dense orthogonal matrix it is 1."""
LARGE_GAIN = 5.65
"""Frobenius norm of a dense orthogonal matrix of 64 units over that of rank 4 and sparsity 0.5."""
SMALL_UNITS = 23
"""Units whose dense matrix has as many entries as rank 4 and sparsity 0.5 have effective parameters: 529, and 512."""


def _cfc(rank: int, sparsity: float, **more: Any) -> dict[str, Any]:
    return {"cell": "cfc", "rank": rank, "sparsity": sparsity, **more}


DENSE, LOW_RANK, STACKED, PRIVILEGED = "cfc r64 s0", "cfc r4 s0.5", "mlp, 4 frames", "mlp, state"
ENCODER = DENSE
"""Model whose encoder is shared, where one is."""
MODELS: dict[str, dict[str, Any]] = {
    **{f"cfc r{rank} s{sparsity:g}": _cfc(rank, sparsity) for rank, sparsity in product(RANKS, SPARSITIES)},
    f"{DENSE}, small gain": _cfc(UNITS, 0.0, recurrent_gain=SMALL_GAIN),
    f"{LOW_RANK}, large gain": _cfc(4, 0.5, recurrent_gain=LARGE_GAIN),
    f"{DENSE}, {SMALL_UNITS} units": _cfc(SMALL_UNITS, 0.0, hidden_size=SMALL_UNITS),
    **{
        f"{cell} r{rank} s{sparsity:g}": {"cell": cell, "rank": rank, "sparsity": sparsity}
        for cell in ("rnn", "gru", "lstm")
        for rank, sparsity in ((UNITS, 0.0), (4, 0.5))
    },
    "mlp": {"cell": "mlp"},
    STACKED: {"cell": "mlp", "frame_stack": 4},
    PRIVILEGED: {"cell": "mlp"},
}
"""Changes of a preset's agent. Three are controls for what rank and sparsity do besides: a dense CfC that begins with
the spectral radius of the low-rank sparse one, that one with the norm of the dense one, and a small dense one."""
RECURRENT = "lstm r64 s0"
"""What must be better than `STACKED` for a task to count: there, memory is needed."""
ENTRY, MARGIN = 0.1, 0.02
"""Of the score: what a task needs to count, and within which two models are called equivalent."""
PRIMARY = (LOW_RANK, DENSE)
"""The contrast that was fixed before anything was run; all others are exploratory."""
CLEAN = "clean"
RATE_FACTORS = (0.5, 1.0, 2.0)
"""Of the preset's learning rate: tried for every model on the tuning seed."""
TUNING_SEED = 11
TUNED: Mapping[tuple[Task, str], float] = {
    ("lane", "cfc r64 s0.9"): 2.0,
    ("lane", "cfc r4 s0"): 2.0,
    ("lane", LOW_RANK): 2.0,
    ("lane", f"{DENSE}, small gain"): 2.0,
    ("lane", f"{LOW_RANK}, large gain"): 0.5,
    ("lane", "rnn r64 s0"): 2.0,
    ("lane", "rnn r4 s0.5"): 0.5,
    ("lane", "gru r64 s0"): 2.0,
    ("lane", RECURRENT): 2.0,
    ("lane", "lstm r4 s0.5"): 2.0,
    ("arm", DENSE): 0.5,
    ("arm", "cfc r4 s0.9"): 0.5,
    ("arm", f"{DENSE}, small gain"): 0.5,
    ("arm", f"{DENSE}, {SMALL_UNITS} units"): 0.5,
    ("arm", "rnn r64 s0"): 0.5,
    ("arm", "rnn r4 s0.5"): 2.0,
    ("arm", "gru r64 s0"): 2.0,
    ("arm", "gru r4 s0.5"): 2.0,
    ("arm", RECURRENT): 2.0,
    ("arm", "lstm r4 s0.5"): 2.0,
    ("arm", STACKED): 0.5,
}
"""Factor that did best on the tuning seed; 1 otherwise."""


@dataclass(frozen=True)
class Arguments(OnWorkers):
    """Train policies of every rank and sparsity, test them under shifts; write docs/results/lowrank.md."""

    out: Path = Path("runs/study_lowrank")
    """Cache: recordings, runs and evaluations."""
    results: Path = Path("docs/results")
    """Where tables and figures are written."""
    tasks: tuple[Task, ...] = tuple(TASKS)
    """Tasks to run."""
    models: tuple[str, ...] = tuple(MODELS)
    """Models to run."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds; each has its own masks, weights and demonstrations."""
    severities: tuple[int, ...] = (1, 3, 5)
    """Severities of every shift."""
    episodes: int = 16
    """Episodes of an evaluation under a shift; without one there are four times as many."""
    tune: bool = False
    """Every learning rate on the tuning seed instead, without shifts."""
    what: Literal["all", "dynamics", "table"] = "all"
    """Train and evaluate; measure the dynamics of what is trained; or only write the tables from the cache."""

    def __post_init__(self) -> None:
        """Refuse models that do not exist, and the tuning seed."""
        super().__post_init__()
        refuse_unknown("model", self.models, MODELS)
        if TUNING_SEED in self.seeds:
            raise NeuroctlError(f"seed {TUNING_SEED} is for tuning (--tune); choose others")
        for severity in self.severities:
            if check_severity("the study", severity) == 0:
                raise NeuroctlError("severity 0 is the clean environment, which is played anyway; allowed: 1 to 5")
        if self.episodes < 1:
            raise NeuroctlError(f"episodes must be >= 1, got {self.episodes}")


class Policy(NamedTuple):
    """One that is trained."""

    task: Task
    model: str
    factor: float
    """Of the preset's learning rate."""
    seed: int


def policies(options: Arguments) -> Iterator[Policy]:
    """What is asked for."""
    seeds = (TUNING_SEED,) if options.tune else options.seeds
    for seed, task, model in product(seeds, options.tasks, options.models):
        if has(task, model):
            if options.tune:
                yield from (Policy(task, model, factor, seed) for factor in RATE_FACTORS)
            else:
                yield published(task, model, seed)


def published(task: Task, model: str, seed: int) -> Policy:
    """One with the learning rate that was tuned."""
    return Policy(task, model, TUNED.get((task, model), 1.0), seed)


def has(task: Task, model: str) -> bool:
    """Whether the model is compared in the task; one that sees the state is only where that can be shown."""
    chosen = TASKS[task].models
    return (chosen is None or model in chosen) and (model != PRIVILEGED or TASKS[task].privileged is not None)


def encoder_of(policy: Policy) -> Policy | None:
    """The one that is trained as a whole before a policy sees through its encoder; None where each has its own."""
    return Policy(policy.task, ENCODER, 1.0, policy.seed) if TASKS[policy.task].shared_encoder else None


def config_on_encoder(options: Arguments, policy: Policy) -> TrainConfig:
    """`config`, on the shared encoder where there is one."""
    made, encoder = config(policy), encoder_of(policy)
    if encoder is None:
        return made
    agent: Any = made.agent
    source = encoder_folder(options, encoder).resolve()
    return replace(made, agent=replace(agent, freeze_encoder=True), warm_start=source)


def is_learnt(options: Arguments, policy: Policy) -> bool:
    """Whether a policy has come to the end of its training.

    Raises:
        NeuroctlError: its folder holds another one.
    """
    made = learning_from(config_on_encoder(options, policy), demonstrations(options, policy))
    return is_trained(made, folder(options, policy))


def encoder_folder(options: Arguments, encoder: Policy) -> Path:
    """Where the run is kept whose encoder is shared."""
    return options.out / encoder.task / f"encoder-s{encoder.seed}"


def config(policy: Policy) -> TrainConfig:
    """The task's preset with another model."""
    plan = TASKS[policy.task]
    made: Any = plan.preset()
    change = dict(MODELS[policy.model])
    remembers = change["cell"] != "mlp"
    change |= {"rank": change.get("rank"), "sparsity": change.get("sparsity")}
    change |= {"memory_steps": made.agent.memory_steps if remembers else None}
    agent = replace(made.agent, **change, learning_rate=policy.factor * made.agent.learning_rate)
    env = replace(made.env, **environment_options(policy.task, policy.model))
    found: TrainConfig = replace(made, env=env, agent=agent, seed=policy.seed, keep_checkpoints=1)
    return found


def environment_options(task: Task, model: str) -> Mapping[str, Any]:
    """Of the environment, as they differ from the preset's."""
    plan = TASKS[task]
    return {**plan.env, **(plan.privileged or {})} if model == PRIVILEGED else plan.env


def conditions(options: Arguments, task: Task, model: str) -> Iterator[str]:
    """Under which a policy is tested; one that sees the state, and one that is being tuned, without shifts alone."""
    yield CLEAN
    if not options.tune and model != PRIVILEGED:
        yield from (f"{shift}:{severity}" for shift in TASKS[task].shifts for severity in options.severities)


def folder(options: Arguments, policy: Policy) -> Path:
    """Where a run is kept."""
    return options.out / policy.task / label(policy)


def demonstrations(options: Arguments, policy: Policy) -> Path:
    """Where a recording of the expert is kept, which the policies of a seed share."""
    seen = "-state" if policy.model == PRIVILEGED else ""
    return options.out / policy.task / f"demonstrations{seen}-s{policy.seed}"


def label(policy: Policy) -> str:
    """A policy's name as a part of a path."""
    model = policy.model.replace(", ", "-").replace(" ", "-")
    return f"{model}-lr{policy.factor:g}-s{policy.seed}"


def evaluation(options: Arguments, task: Task, name: str, condition: str) -> Path:
    """What a policy, or a player without one, does under a condition."""
    episodes = num_episodes(options, condition)
    return options.out / "evaluations" / task / name / f"{condition.replace(':', '-')}-e{episodes}.json"


def num_episodes(options: Arguments, condition: str) -> int:
    """Of an evaluation."""
    return 4 * options.episodes if condition == CLEAN else options.episodes
