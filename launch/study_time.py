"""Time to a score: recurrent PPO of ours and of Stable-Baselines3's contrib package, on a pendulum without velocity.

`python launch/study_time.py` trains what is missing and writes `docs/results/time_to_score.md` from what there is
(extra: peers). Everything is kept in `--out`, so it can be stopped and started. Run nothing else meanwhile: it is
seconds that are compared. Both learn on one thread. Each is measured every so many steps, by episodes without
exploration, and the time that takes does not count.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from neuroctl.checks import checked_integer
from neuroctl.config import TrainConfig
from neuroctl.errors import NeuroctlError
from neuroctl.evaluation import evaluate
from neuroctl.launch import memory_presets
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import EVALUATION_SEED, train_or_go_on
from neuroctl.metrics import read_metrics
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

PEER: dict[str, Any] = {
    "learning_rate": 1e-3,
    "n_steps": 1024,
    "gae_lambda": 0.95,
    "gamma": 0.9,
    "n_epochs": 10,
    "ent_coef": 0.0,
    "use_sde": True,
    "sde_sample_freq": 4,
    "policy_kwargs": {"lstm_hidden_size": 64, "enable_critic_lstm": True, "net_arch": [64], "ortho_init": False},
}
PEER_ROWS = 4
"""Options of the RL Baselines3 Zoo for this task."""


@dataclass(frozen=True)
class Arguments:
    """Train recurrent PPO and its peer until they reach a score; write docs/results/time_to_score.md."""

    out: Path = Path("runs/study_time")
    """Cache: runs and what was measured."""
    results: Path = Path("docs/results")
    """Where the table is written."""
    score: float = -300.0
    """Mean return that counts as learned; random play has about -1200."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Training seeds."""
    every: int = 9_600
    """Environment steps between two measurements, about."""
    most: int = 240_000
    """Environment steps after which is given up."""
    episodes: int = 20
    """Episodes of a measurement."""
    what: Literal["all", "table"] = "all"
    """Train and measure, or only write the table from the cache."""

    def __post_init__(self) -> None:
        """Refuse numbers below 1, and measurements further apart than the end."""
        for name in ("every", "most", "episodes"):
            checked_integer(name, getattr(self, name), 1)
        if self.most < self.every:
            raise NeuroctlError(f"most is {self.most}; allowed: from every, {self.every}, on")


class Point(NamedTuple):
    """What was measured while somebody learned."""

    steps: float
    """Environment steps."""
    seconds: float
    """Of learning."""
    score: float
    """Mean return."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the table."""
    options = parse(Arguments, argv, "launch/study_time.py")
    if options.what == "all":
        torch.set_num_threads(1)
        for seed in options.seeds:
            for who, learn in LEARNERS.items():
                path = _path(options, who, seed)
                if not path.exists():
                    points = list(learn(options, seed))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    atomic_write(path, json.dumps(points))
    sys.stdout.write(f"{_write(options)}\n")
    return 0


def _path(options: Arguments, who: str, seed: int) -> Path:
    return options.out / f"{who}-s{seed}-until{options.score:g}.json"


def _ours(options: Arguments, seed: int) -> Iterator[Point]:
    made: Any = memory_presets.ppo_pendulum_hidden()
    rows, rollout = made.num_envs, made.agent.rollout_length
    every = max(round(options.every / rows / rollout), 1) * rollout
    points = max(round(options.most / rows / every), 1)
    config: TrainConfig = replace(
        made, seed=seed, steps=points * every, log_every=every, checkpoint_every=every, keep_checkpoints=points + 1
    )
    folder = options.out / f"neuroctl-s{seed}"
    train_or_go_on(config, folder)
    for line in read_metrics(folder):
        result = evaluate(
            folder,
            checkpoint=int(line["step"]),
            episodes=options.episodes,
            seed=EVALUATION_SEED,
            env_id=config.env.id,
            env_kwargs=config.evaluation_kwargs(),
        )
        yield Point(int(line["step"]) * rows, line["time_s"], float(result.returns.mean()))
        if result.returns.mean() >= options.score:
            return


def _theirs(options: Arguments, seed: int) -> Iterator[Point]:
    try:
        from sb3_contrib import RecurrentPPO
        from stable_baselines3.common.env_util import make_vec_env
        from stable_baselines3.common.evaluation import evaluate_policy
    except ImportError:
        raise NeuroctlError("sb3-contrib is not installed; it comes with the extra 'peers'") from None
    made: Any = memory_presets.ppo_pendulum_hidden()
    env: dict[str, Any] = {"env_id": made.env.id, "env_kwargs": made.evaluation_kwargs()}
    model = RecurrentPPO(
        "MlpLstmPolicy", make_vec_env(n_envs=PEER_ROWS, seed=seed, **env), device="cpu", seed=seed, **PEER
    )
    world, seconds = make_vec_env(n_envs=1, seed=10_000 + seed, **env), 0.0
    rollout = PEER["n_steps"] * PEER_ROWS
    every = max(round(options.every / rollout), 1) * rollout
    for number in range(1, max(round(options.most / every), 1) + 1):
        sys.stderr.write(f"sb3-contrib, seed {seed}: {number * every} of {options.most} steps\n")
        start = time.perf_counter()
        model.learn(every, reset_num_timesteps=False)
        seconds += time.perf_counter() - start
        returns, _ = evaluate_policy(model, world, n_eval_episodes=options.episodes, return_episode_rewards=True)
        score = float(np.mean(returns))
        yield Point(number * every, seconds, score)
        if score >= options.score:
            return


LEARNERS: dict[str, Callable[[Arguments, int], Iterator[Point]]] = {"neuroctl": _ours, "sb3-contrib": _theirs}

# -- the table -------------------------------------------------------------------------------------------------

HEAD = """# Time to a score on a pendulum whose velocity is hidden

Made by `python launch/study_time.py`. Recurrent PPO learns until its mean return in {episodes} episodes without
exploration is {score:g} or more, measured every {every} environment steps or so, at most {most} of them. Ours has the
preset `ppo-pendulum-hidden`, the peer (RecurrentPPO of sb3-contrib) the options of the RL Baselines3 Zoo for this task;
both have one thread. Seconds are those of learning. What did not reach the score has `>` and when it was given up;
medians and ratios over such a number are bounds as well. Seeds: {seeds}, which is few: exploratory.

Machine: {cpu}; torch {torch}.

| seed | neuroctl, steps | neuroctl, s | sb3-contrib, steps | sb3-contrib, s | ratio of seconds |
|---|---|---|---|---|---|"""


class End(NamedTuple):
    """When the score was reached, or given up."""

    steps: float
    """Environment steps."""
    seconds: float
    """Of learning."""
    reached: bool
    """Whether it was; otherwise steps and seconds are lower bounds."""


def _write(options: Arguments) -> str:
    there = [seed for seed in options.seeds if all(_path(options, who, seed).exists() for who in LEARNERS)]
    if not there:
        return "nothing measured yet"
    ends = [[_end(options, who, seed) for who in LEARNERS] for seed in there]
    here = versions()
    shown = {name: getattr(options, name) for name in ("episodes", "score", "every", "most")}
    lines = [HEAD.format(**shown, seeds=len(there), cpu=here["cpu"], torch=here["torch"])]
    lines += [_row(str(seed), *pair) for seed, pair in zip(there, ends, strict=True)]
    lines += [_row("median", *(_median(column) for column in zip(*ends, strict=True))), ""]
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "time_to_score.md", "\n".join(lines))
    return f"results: {options.results / 'time_to_score.md'}"


def _end(options: Arguments, who: str, seed: int) -> End:
    points = [Point(*point) for point in read_json(_path(options, who, seed))]
    first = next((point for point in points if point.score >= options.score), None)
    last = first or points[-1]
    return End(last.steps, last.seconds, first is not None)


def _median(ends: Sequence[End]) -> End:
    """A lower bound where the median run did not reach the score."""
    late = [(end.steps, end.seconds) if end.reached else (math.inf, math.inf) for end in ends]
    reached = math.isfinite(float(np.median(late, axis=0)[0]))
    steps, seconds = np.median(late if reached else [(end.steps, end.seconds) for end in ends], axis=0)
    return End(float(steps), float(seconds), reached)


def _row(name: str, ours: End, theirs: End) -> str:
    bound = "" if theirs.reached else "> "
    ratio = f"{bound}{theirs.seconds / ours.seconds:.1f}" if ours.reached else "not known"
    return f"| {name} | {_cells(ours)} | {_cells(theirs)} | {ratio} |"


def _cells(end: End) -> str:
    bound = "" if end.reached else "> "
    return f"{bound}{end.steps:.0f} | {bound}{end.seconds:.1f}"


if __name__ == "__main__":
    sys.exit(run(main))
