"""A search for good options: trials of a configuration with other values, trained and evaluated, on any workers.

Optuna chooses the values. Trials go in batches: those of a batch are chosen from what all batches before came to, each
from a random stream of its own. So the same trials come out for any number of workers, and after an interruption.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .checks import checked_integer, checked_path, shown
from .config import TrainConfig, to_json, train_config_from_json
from .crew import Crew, check_address, crew
from .errors import DamagedFileError, InUseError, NeuroctlError, UnknownNameError
from .evaluation import evaluate
from .progress import NoProgress, Progress
from .search_space import Axis, check_axes, with_values
from .storage import atomic_write, cut_torn_line, is_unused, only_writer, read_json
from .streams import derive_seed
from .training import TrainingInterruptedError, train
from .workers import Beat

SAMPLERS = ("tpe", "random")
EPISODES = 64
"""Of an evaluation."""
PATIENCE_S = 1800.0
"""After which a worker counts as hung: an evaluation gives a sign of life after each shard of whole episodes."""
LOCKED_S = 60.0
"""How long to wait for a run whose last worker has not gone yet."""
FOUND = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
"""Optuna's states of trials that ended, and ours."""


@dataclass(frozen=True)
class Trial:
    """A configuration that was tried.

    Attributes:
        number: from 0.
        values: of the options that vary.
        score: mean return of its runs in evaluation; NaN where one was stopped or failed.
        state: `"complete"`, `"pruned"` after a rung, or `"failed"`.
        runs: folders, one for each seed.
        error: why it failed: something stopped being finite, or values do not fit together.
    """

    number: int
    values: dict[str, Any]
    score: float
    state: str
    runs: tuple[Path, ...]
    error: str = ""


def sweep(
    config: TrainConfig,
    axes: Sequence[Axis],
    *,
    out: str | Path,
    trials: int = 20,
    batch: int = 4,
    seeds: int = 1,
    rungs: Sequence[int] = (),
    sampler: str = "tpe",
    workers: int = 0,
    ray_address: str | None = None,
    progress: Progress | None = None,
) -> list[Trial]:
    """Try values of options; the trials, in their order. Called again with the same arguments it goes on.

    Args:
        config: what every trial has besides; its `seed` is that of the first run of each, the next ones follow.
        axes: what varies.
        out: folder of the journal and of the runs.
        trials: how many.
        batch: how many are chosen at a time.
        seeds: runs of each trial.
        rungs: steps, multiples of `checkpoint_every`, after which a trial is stopped whose score is below the median
            of those that trials of earlier batches had at the same step.
        sampler: one of `SAMPLERS`.
        workers: Ray workers; 0 trains in this process. The result is the same.
        ray_address: of a cluster, see `cluster`; its nodes share the folder `out`.
        progress: told of each finished run.

    Raises:
        NeuroctlError: something asked for does not exist or does not fit, `out` holds another sweep, or Optuna is not
            installed.
    """
    for name, value, least in (
        ("trials", trials, 1),
        ("batch", batch, 1),
        ("seeds", seeds, 1),
        ("workers", workers, 0),
    ):
        checked_integer(name, value, least)
    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    check_address(workers, ray_address)
    _check_rungs(config, rungs)
    check_axes(config, axes)
    folder = checked_path("out", out).absolute()
    settings = {"config": to_json(config), "axes": to_json(axes), "batch": batch, "seeds": seeds}
    settings |= {"rungs": list(rungs), "sampler": sampler}
    _require_optuna()
    if not (folder / "sweep.json").is_file() and not is_unused(folder):
        raise NeuroctlError(f"{folder} is not empty and holds no sweep; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    several = {"patience_s": PATIENCE_S, "depth": 1}
    with (
        only_writer(folder, "swept"),
        crew(min(workers, batch * seeds), train_until, ray_address, **several) as trainers,
    ):
        _check_same(folder, json.loads(json.dumps(settings)))
        search = _Search(config, axes, folder, seeds, (*rungs, config.steps), sampler, trainers, progress)
        for first in range(0, trials, batch):
            search.batch(range(first, min(first + batch, trials)))
        return search.trials()


class _Search:
    """One call of `sweep`."""

    def __init__(
        self,
        config: TrainConfig,
        axes: Sequence[Axis],
        folder: Path,
        seeds: int,
        rungs: Sequence[int],
        sampler: str,
        trainers: Crew,
        progress: Progress | None,
    ) -> None:
        import optuna
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna, self._config, self._axes, self._folder = optuna, config, axes, folder
        self._seeds, self._rungs, self._sampler = seeds, rungs, sampler
        self._trainers, self._progress = trainers, progress or NoProgress()
        journal = folder / "journal.log"
        cut_torn_line(journal)
        journal.with_name("journal.log.lock").unlink(missing_ok=True)  # of a process that was killed: only one writes
        try:
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
            self._study = optuna.create_study(
                storage=storage, study_name="sweep", direction="maximize", load_if_exists=True
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedFileError(f"{journal} is damaged: {shown(error)}") from None

    def batch(self, numbers: range) -> None:
        """Choose these trials, as far as they are new, and train them rung by rung."""
        chosen = [self._chosen(number) for number in numbers]
        alive = [trial for trial in chosen if trial is not None]
        self._progress.advance(self._seeds * (len(numbers) - len(alive)))
        for rung in self._rungs:
            alive = self._climbed(alive, rung, numbers.start)
        for trial in alive:
            self._study.tell(trial, self._reported(trial)[self._config.steps])
            self._progress.advance(self._seeds)

    def _chosen(self, number: int) -> Any:
        """The trial, whose values are chosen now or were before an interruption; None when it has ended."""
        trials = self._study.trials
        if number < len(trials):
            if trials[number].state.is_finished():
                return None
            trial = self._optuna.trial.Trial(self._study, trials[number]._trial_id)
        else:
            trial = self._study.ask()
        for axis in self._axes:
            self._study.sampler = self._new_sampler(number, axis)
            axis.suggest(trial)
        return trial

    def _new_sampler(self, number: int, axis: Axis) -> Any:
        """With a stream of its own; other trials of the batch, of which nothing is known, count as bad."""
        seed = derive_seed(self._config.seed, f"trial/{number}/{axis.name}") % 2**32
        if self._sampler == "random":
            return self._optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)

    def _climbed(self, alive: list[Any], rung: int, first: int) -> list[Any]:
        """Train trials of the batch that begins with trial `first` to a rung; those that go on."""
        new = [rung not in self._reported(trial) for trial in alive]
        for trial, is_new in zip(alive, new, strict=True):
            for config, folder in self._runs(trial.number, self._values(trial)) if is_new else ():
                self._trainers.ask(to_json(config), str(folder), rung)
        going = []
        for trial, is_new in zip(alive, new, strict=True):
            if is_new:
                answers = [self._trainers.take() for _ in range(self._seeds)]
                errors = [answer["error"] for answer in answers if answer["error"]]
                if errors:
                    trial.set_user_attr("error", errors[0])
                    self._end(trial, self._optuna.trial.TrialState.FAIL)
                    continue
                trial.report(sum(answer["score"] for answer in answers) / self._seeds, rung)
            going.append(trial)
        if rung == self._config.steps:
            return going
        before = [t.intermediate_values[rung] for t in self._study.trials[:first] if rung in t.intermediate_values]
        worse = [bool(before) and self._reported(trial)[rung] < np.median(before) for trial in going]
        for trial, is_worse in zip(going, worse, strict=True):
            if is_worse:
                self._end(trial, self._optuna.trial.TrialState.PRUNED)
        return [trial for trial, is_worse in zip(going, worse, strict=True) if not is_worse]

    def _reported(self, trial: Any) -> dict[int, float]:
        """Scores by rung."""
        scores: dict[int, float] = self._study.trials[trial.number].intermediate_values
        return scores

    def _end(self, trial: Any, state: Any) -> None:
        self._study.tell(trial, state=state)
        self._progress.advance(self._seeds)

    def _values(self, trial: Any) -> dict[str, Any]:
        """What was chosen."""
        chosen = trial.params
        return {
            axis.name: axis.choices[chosen[axis.name]] if axis.choices else chosen[axis.name] for axis in self._axes
        }

    def _runs(self, number: int, values: dict[str, Any]) -> list[tuple[TrainConfig, Path]]:
        """Configuration and folder of each seed."""
        config = with_values(self._config, values)
        seeds = range(config.seed, config.seed + self._seeds)
        return [(replace(config, seed=s), self._folder / "trials" / f"{number:04d}-s{s}") for s in seeds]

    def trials(self) -> list[Trial]:
        """All that ended."""
        found = []
        for trial in self._study.trials:
            if trial.state.name in FOUND:
                values, state = self._values(trial), FOUND[trial.state.name]
                score = math.nan if trial.value is None or state != "complete" else trial.value
                runs = tuple(folder for _, folder in self._runs(trial.number, values))
                found.append(Trial(trial.number, values, score, state, runs, trial.user_attrs.get("error", "")))
        return found


def train_until(content: Any, folder: str, until: int, beat: Beat) -> dict[str, Any]:
    """Train a run of a trial to a step, or go on with it, and evaluate it: mean return, or why there is none."""

    @contextlib.contextmanager
    def beating(label: str, total: int, unit: str) -> Iterator[Progress]:
        yield _Beating(beat)

    path, deadline = Path(folder), time.monotonic() + LOCKED_S
    while path.exists() and _is_locked(path) and time.monotonic() < deadline:  # by a worker that was given up
        beat()
        time.sleep(0.2)
    try:
        if (path / "config.json").is_file():
            run = train(resume=path, progress=beating, until=until)
        else:
            run = train(train_config_from_json(content), out=path, progress=beating, until=until)
        evaluation = evaluate(run.path, episodes=EPISODES, checkpoint=until, progress=_Beating(beat))
        return {"score": float(evaluation.returns.mean()), "error": ""}
    except InUseError:
        raise
    except TrainingInterruptedError:
        raise KeyboardInterrupt from None
    except NeuroctlError as error:
        return {"score": math.nan, "error": str(error)}


def _is_locked(path: Path) -> bool:
    try:
        with only_writer(path, "trained"):
            return False
    except InUseError:
        return True


class _Beating(NoProgress):
    """Progress is a sign of life."""

    def __init__(self, beat: Beat) -> None:
        self._beat = beat

    def advance(self, amount: int = 1, note: str = "") -> None:
        """Say so."""
        self._beat()


def _require_optuna() -> None:
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise NeuroctlError("a sweep needs Optuna: pip install 'neuroctl[sweep]'") from None


def _check_rungs(config: TrainConfig, rungs: Sequence[int]) -> None:
    every = config.checkpoint_every
    if config.steps % every:
        raise NeuroctlError(f"steps is {config.steps}; in a sweep it is a multiple of checkpoint_every, {every}")
    for rung, last in zip(rungs, (0, *rungs), strict=False):
        checked_integer("rungs", rung, 1, config.steps - 1)
        if rung % every or rung <= last:
            raise NeuroctlError(f"rungs are {list(rungs)}; allowed: rising multiples of checkpoint_every, {every}")


def _check_same(folder: Path, settings: Any) -> None:
    """Keep the settings of a new sweep; refuse a folder with others, which would be mixed up."""
    path = folder / "sweep.json"
    if path.is_file():
        found = read_json(path)
        if not isinstance(found, dict):
            raise DamagedFileError(f"{path} is damaged: it holds no settings")
        other = [key for key in settings if found.get(key) != settings[key]]
        if other:
            raise NeuroctlError(f"{folder} holds a sweep with another {other[0]}; choose another --out")
        return
    atomic_write(path, json.dumps(settings, indent=1))
