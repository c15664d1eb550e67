"""Training: configuration -> environment and agent -> loop -> metrics and checkpoints, resumable at any moment."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import registry
from .checks import checked_integer
from .config import TrainConfig
from .contracts import Listener, RolloutAgent
from .crew import Crew
from .episode_metrics import EpisodeMetrics
from .errors import NeuroctlError, NonFiniteError
from .evaluation import evaluate_players
from .loop import ClosedLoop
from .metrics import Metrics
from .progress import NoProgress, Progress
from .recording import Recording
from .rollouts import Player, record_player, trained_players
from .run import Run, environment_spaces, make_agent
from .sharded_rollouts import ShardedRollouts, check_workers, collecting
from .storage import atomic_write, only_writer
from .streams import derive_seed
from .training_checks import NUM_ENVS, checked_agent, existing, load_policy
from .vector import can_restore, make_env
from .workers import WorkerError

EPISODES = 60
"""Demonstrations that are recorded when the configuration does not say."""

EVALUATION_EPISODES = 16
DUMPED_UPDATES = 100

MakeProgress = Callable[[str, int, str], AbstractContextManager[Progress]]
"""Makes a progress display from a label, a total and the name of a unit."""


class TrainingInterruptedError(NeuroctlError):
    """Ctrl-C: the state is saved, and the message says how to go on."""


def train(
    config: TrainConfig | None = None,
    *,
    resume: str | Path | None = None,
    out: str | Path | None = None,
    progress: MakeProgress | None = None,
    listeners: Sequence[Listener] = (),
    workers: int = 0,
    ray_address: str | None = None,
    until: int | None = None,
) -> Run:
    """Train an agent, or go on with a run that was stopped.

    A run that was killed at any moment and resumed equals the uninterrupted one: parameters, and metrics except
    `neuroctl.metrics.TIME_FIELDS`.

    Args:
        config: the experiment; exactly one of `config` and `resume`.
        resume: a run folder.
        out: folder of a new run; `runs/<preset>/<timestamp>-s<seed>` when absent.
        progress: makes progress displays.
        listeners: watch the loop of an agent that learns in it, from the step the run goes on from.
        workers: Ray workers that collect the rollouts of a configuration with `weight_lag`; 0 is this process. The
            result is the same.
        ray_address: `HOST:PORT` of a Ray cluster's head, or `"auto"`; None starts workers on this machine.
        until: stop after this step, a multiple of `checkpoint_every`; the run can be resumed.

    Raises:
        NeuroctlError: a mistake in the configuration.
        NonFiniteError: a loss or the environment stopped being finite; the last good checkpoint stays.
        TrainingInterruptedError: Ctrl-C, after saving.
    """
    run = None
    if resume is not None:
        if config is not None or out is not None:
            raise NeuroctlError("a resumed run keeps its configuration and folder: give resume alone")
        run = Run(resume)
        config = run.config
    elif not isinstance(config, TrainConfig):
        raise NeuroctlError(f"give a TrainConfig (registry.presets.load(NAME)()) or a run to resume, not {config!r}")
    agent = checked_agent(config)
    check_workers(config, workers, ray_address, listeners)
    if run is None and config.warm_start is not None:
        load_policy(agent, config.warm_start)
    if until is not None and checked_integer("until", until, 1) % config.checkpoint_every:
        raise NeuroctlError(f"until is {until}; allowed: multiples of checkpoint_every, {config.checkpoint_every}")
    with collecting(config, workers, ray_address) as crew:
        run = run or Run.create(_with_whole_paths(config), None if out is None else Path(out))
        try:
            with only_writer(run.path, "trained"):
                _Trainer(run, progress or _silent, listeners, crew, until).go()
        except KeyboardInterrupt:  # outside the steps, or a second one: the last checkpoint and what is recorded stay
            raise TrainingInterruptedError(f"interrupted; go on with: neuroctl train --resume {run.path}") from None
        except WorkerError as error:
            raise WorkerError(f"{error}; go on with: neuroctl train --resume {run.path}") from None
    return run


def _with_whole_paths(config: TrainConfig) -> TrainConfig:
    """The configuration with absolute paths, so that a run can be resumed from any folder."""
    demos, source = config.demonstrations, config.warm_start
    demos = replace(demos, path=demos.path and demos.path.resolve())
    return replace(config, demonstrations=demos, warm_start=source and source.resolve())


@contextlib.contextmanager
def _silent(label: str, total: int, unit: str) -> Iterator[Progress]:
    yield NoProgress()


class _Trainer:
    """One call of `train`. Either `loop` drives an environment or the agent learns from `rounds` of recordings."""

    def __init__(
        self, run: Run, progress: MakeProgress, listeners: Sequence[Listener], crew: Crew | None, until: int | None
    ) -> None:
        self.crew = crew
        self.last = run.config.steps if until is None else min(until, run.config.steps)
        self.run, self.config, self.progress = run, run.config, progress
        self.episodes = EpisodeMetrics()
        self.listeners = [self.episodes, *listeners]
        self.best = float("-inf")
        self.rounds: list[Recording] = []
        self.recent: deque[dict[str, float]] = deque(maxlen=DUMPED_UPDATES)
        self.saved_step = -1

    def go(self) -> None:
        """Build, restore, run."""
        import torch

        torch.set_num_threads(self.config.num_threads)
        offline = registry.agents.load(self.config.agent.name).offline
        self.rounds = [self._demonstrations()] if offline else []
        self.agent = make_agent(self.config, environment_spaces(self.config), self.rounds or None)
        self.loop = None if offline or self.crew else self._make_loop()
        self.rollouts = self._make_rollouts(self.crew) if self.crew else None
        step = 0
        if self.run.checkpoints.all():
            step, trees = self.run.checkpoints.load()
            self._restore(step, trees)
        else:
            self._warm_start()
        self.metrics = Metrics(self.run.path, step)
        try:
            if step:
                self.metrics.load_state_dict(trees["trainer"]["metrics"])
            with contextlib.nullcontext() if self.loop is None else self.loop.listening():
                self._save(step)
                self._run(step)
        finally:
            self.metrics.close()
            if self.loop is not None:
                self.loop.env.close()

    # -- what is learned from ----------------------------------------------------------------------------------

    def _make_loop(self) -> ClosedLoop:
        env = make_env(self.config.env.id, self.config.num_envs or NUM_ENVS, self.config.env.kwargs())
        loop = ClosedLoop(env, self.agent, self.listeners, dump=self.run.path / "dump")
        self.agent.learning = True
        loop.begin(self.config.seed)
        return loop

    def _make_rollouts(self, crew: Crew) -> ShardedRollouts:
        assert isinstance(self.agent, RolloutAgent)
        self.agent.learning = True
        self.agent.begin(self.config.num_envs or NUM_ENVS, self.config.seed)
        return ShardedRollouts(self.config, self.agent.acting_weights(), crew)

    def _demonstrations(self) -> Recording:
        demos = self.config.demonstrations
        if demos.path is None:
            return self._record(Player("expert"), "000-expert", demos.episodes or EPISODES, demos.shifts)
        return existing(demos)

    def _record(self, player: Player, name: str, episodes: int, shifts: tuple[str, ...]) -> Recording:
        """Record into the run folder; what an interrupted run recorded there is completed, with equal bits."""
        env = self.config.env
        with self.progress(f"recording {name}", episodes, "episodes") as progress:
            return record_player(
                player,
                self.run.path / "data" / name,
                env.id,
                env.kwargs(),
                shifts,
                episodes=episodes,
                seed=derive_seed(self.config.seed, name),
                label=player.config is not None,
                progress=progress,
            )

    def _collect(self, step: int) -> None:
        """A round of DAgger, when one is due after `step` steps: the policy plays, the expert labels."""
        demos = self.config.demonstrations
        if self.loop is None and demos.dagger_every and step and step % demos.dagger_every == 0:
            name = f"{step // demos.dagger_every:03d}-dagger"
            player = Player(name, self.config, self.agent.state_dict())
            self._add_round(self._record(player, name, demos.dagger_episodes, ()))

    def _add_round(self, recording: Recording) -> None:
        self.rounds.append(recording)
        self.agent.add_data(recording)

    # -- state -------------------------------------------------------------------------------------------------

    def _warm_start(self) -> None:
        if self.config.warm_start is not None:
            load_policy(self.agent, self.config.warm_start)

    def _restore(self, step: int, trees: dict[str, Any]) -> None:
        self.best = trees["trainer"]["best"]
        for name in trees["trainer"]["rounds"][1:]:
            self._add_round(Recording(self.run.path / "data" / name))
        self.agent.load_state_dict(trees["agent"])
        if self.loop is not None:
            self.loop.load_state_dict(trees["loop"])
            self.episodes.load_state_dict(trees["episodes"])
            self._reseed(step)
        if self.rollouts is not None:
            self.rollouts.load_state_dict(trees["rollouts"])
        self.saved_step = step

    def _save(self, step: int, *, best: bool = False) -> None:
        """Write the checkpoint of `step`; an environment that cannot be saved is reset, here as after a resume."""
        if step == self.saved_step:
            return
        trainer = {
            "best": self.best,
            "metrics": self.metrics.state_dict(),
            "rounds": [recording.path.name for recording in self.rounds],
        }
        trees = {"agent": self.agent.state_dict(), "trainer": trainer}
        if self.loop is not None:
            trees["loop"], trees["episodes"] = self.loop.state_dict(), self.episodes.state_dict()
        if self.rollouts is not None:
            trees["rollouts"] = self.rollouts.state_dict()
        self.run.checkpoints.save(step, trees, best=best)
        self.saved_step = step
        self._reseed(step)

    def _reseed(self, step: int) -> None:
        if step and self.loop is not None and not can_restore(self.loop.env):
            self.loop.reseed(derive_seed(self.config.seed, f"reseed/{step}"))
            self.episodes.restart(self.loop.num_envs)

    # -- the work ----------------------------------------------------------------------------------------------

    def _run(self, start: int) -> None:
        with self.progress("training", self.config.steps, "steps") as progress, _interrupts() as interrupted:
            progress.skip(start)
            step = start
            while step < self.last:
                self._collect(step)
                step = self._learn(step)
                best = self._report(step)
                if step % self.config.checkpoint_every == 0 or step >= self.config.steps or best:
                    self._save(step, best=best)
                progress.advance(min(step, self.config.steps) - start, self._note())
                start = step
                if interrupted.is_set():
                    self._stop(step)

    def _learn(self, step: int) -> int:
        """One update, one step of the loop or one rollout; the new step count."""
        if self.rollouts is not None:
            return self._learn_rollout(step, self.rollouts)
        try:
            if self.loop is not None:
                self.loop.step()
                for figures in self.episodes.ended():
                    self.metrics.add(figures, step + 1)
        except NonFiniteError as error:
            raise self._stopped(error) from None
        try:
            values = self.agent.update()
            self.recent.append(values)
            self.metrics.add(values, step + 1)
        except NonFiniteError as error:
            raise self._stopped(error, self.loop.write_dump() if self.loop else "") from None
        return step + 1

    def _learn_rollout(self, step: int, rollouts: ShardedRollouts) -> int:
        """Learn from a rollout; the new step count."""
        agent = self.agent
        assert isinstance(agent, RolloutAgent)
        try:
            rollout, ended = rollouts.take()
            for t, figures in ended:
                self.metrics.add(figures, step + t + 1)
            step += agent.rollout_length
            values = agent.learn(rollout)
            self.recent.append(values)
            self.metrics.add(values, step)
        except NonFiniteError as error:
            raise self._stopped(error) from None
        rollouts.learned(agent.acting_weights())
        return step

    def _stopped(self, error: NonFiniteError, dumped: str = "") -> NonFiniteError:
        """What went wrong, where the last updates (and steps) are written, and what is left."""
        path = self.run.path / "dump" / "updates.json"
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, json.dumps(list(self.recent), indent=1))
        return NonFiniteError(
            f"{error}{dumped}; the last {len(self.recent)} updates are in {path}; "
            f"last good checkpoint: step {self.saved_step}"
        )

    def _report(self, step: int) -> bool:
        """Write metrics when due; whether this is the best policy so far."""
        every = self.config.evaluate_every
        extra: dict[str, float] = {}
        best = False
        if every and (step % every == 0 or step >= self.config.steps):
            players = trained_players("training", self.config, self.agent.state_dict())
            seed = derive_seed(self.config.seed, "evaluation")
            env_id, kwargs = self.run.environment()
            result = evaluate_players(players, env_id, kwargs, episodes=EVALUATION_EPISODES, seed=seed)
            extra["evaluation/return"] = float(result.returns.mean())
            best = extra["evaluation/return"] > self.best
            self.best = max(self.best, extra["evaluation/return"])
        if extra or step % self.config.log_every == 0 or step >= self.config.steps:
            self.metrics.write(step, extra)
        return best

    def _note(self) -> str:
        return " ".join(f"{key} {value:.4g}" for key, value in (self.recent[-1] if self.recent else {}).items())

    def _stop(self, step: int) -> None:
        if self.loop is None or can_restore(self.loop.env):
            self._save(step)
        raise TrainingInterruptedError(
            f"interrupted; saved at step {self.saved_step}; go on with: neuroctl train --resume {self.run.path}"
        )


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Ctrl-C sets an event, so that the step in progress is finished; a second one stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handle(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
