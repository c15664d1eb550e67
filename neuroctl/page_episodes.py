"""Episodes that are played for a run's page: one without a shift, and the worst that was evaluated."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .episode_series import control_dt_s
from .errors import NeuroctlError
from .evaluation import saved_evaluations
from .page_parts import image
from .progress import NoProgress, Progress
from .recorder import Recorder, dataset_info
from .recording import Recording
from .rollouts import WIDTH, Player, make_shards, play_shard, trained_players
from .run import Run
from .vector import make_env
from .video import FPS, replay_frames, write_video

MOST_FRAMES = 600
"""Of a film; of longer episodes every second step is shown, or every third, ..."""
RASTER_HEIGHT = 2.2
"""Of a figure's panel, inches."""


class Chosen(NamedTuple):
    """An episode to show.

    Attributes:
        shifts: under which it was played.
        number: among the episodes of root seed 0, as `neuroctl evaluate` plays them.
        member: who played, of a population.
    """

    shifts: tuple[str, ...] = ()
    number: int = 0
    member: int | None = None

    def __str__(self) -> str:
        who = "" if self.member is None else f", agent {self.member}"
        return f"{' '.join(self.shifts) or 'clean'}, episode {self.number}{who}"


def section(run: Run, progress: Progress | None = None) -> str:
    """Play the episodes that `chosen` names; HTML with a film and the activity of each.

    Args:
        run: the run; its latest checkpoint plays.
        progress: told of two episodes.

    Raises:
        NeuroctlError: there is no checkpoint yet, the environment cannot be made, or an evaluation is damaged.
    """
    step, trees = run.checkpoints.load()
    players = trained_players(str(run.path.resolve()), run.config, trees["agent"], step)
    parts, shown = [], chosen(run, step, [player.member for player in players])
    for each in shown:
        with TemporaryDirectory() as folder:
            recording = played(run, players[each.member or 0], each, Path(folder) / "episode")
            parts.append(_episode(recording, each) + _commands(run, each, recording.info.neural))
        (progress or NoProgress()).advance(2 // len(shown))
    return f"<p>Checkpoint of step {step}.</p>{''.join(parts)}"


def chosen(run: Run, step: int, members: Sequence[int | None]) -> list[Chosen]:
    """The first episode without a shift, and the one with the lowest return of all that were evaluated.

    Evaluations count that `neuroctl evaluate` made of this checkpoint without options of its own: in them episodes are
    those of root seed 0, and `member` is one of `members`.
    """
    clean = Chosen(member=members[0])
    found = []
    for summary in saved_evaluations(run.path).values():
        if not summary["options"] and summary["checkpoint"] == step:
            found += [pair for pair in _episodes_of(summary, members[0]) if pair[1].member in members]
    worst = min(found, key=lambda pair: pair[0], default=(0.0, clean))[1]
    return [clean] if worst == clean else [clean, worst]


def _episodes_of(summary: Mapping[str, Any], only: int | None) -> Iterator[tuple[float, Chosen]]:
    """Return and name of each episode of an evaluation."""
    played_by: Sequence[int | None] = summary.get("members") or [only] * len(summary["returns"])
    for n, (value, member) in enumerate(zip(summary["returns"], played_by, strict=True)):
        number = n - played_by.index(member)  # one member's episodes follow another's
        yield value, Chosen(tuple(summary["shifts"]), number, member)


def played(run: Run, player: Player, each: Chosen, folder: Path) -> Recording:
    """A recording of one episode, with the same bits as when it was evaluated."""
    env_id, kwargs = run.environment()
    shard = make_shards(env_id, kwargs, each.shifts, each.number + 1, seed=0)[-1]
    neural = player.shows_activity()
    env = make_env(env_id, WIDTH, kwargs, each.shifts)
    try:
        info = dataset_info(
            env,
            env_id,
            kwargs,
            each.shifts,
            agent=player.name,
            policy_hash=player.policy_hash(),
            seed=0,
            width=WIDTH,
            checkpoint=player.checkpoint,
            member=player.member,
            neural=neural,
        )
    finally:
        env.close()
    recording = Recording.create(folder, info)
    wanted = [each.number if row == each.number % WIDTH else None for row in range(WIDTH)]
    with recording.writing():
        play_shard(shard, player, [Recorder(recording, wanted, shard.seeds, neural=neural)])
    return recording


# -- on the page -----------------------------------------------------------------------------------------------


def _commands(run: Run, each: Chosen, neural: bool) -> str:
    """How to see it step by step."""
    shifts = "".join(f" --shift {shift}" for shift in each.shifts)
    member = "" if each.member is None else f" --member {each.member}"
    inside = " --neural" if neural else ""
    lines = (
        f"neuroctl record {run.path} --episodes {each.number + 1}{shifts}{member}{inside} --out DATASET",
        f"neuroctl replay DATASET --episode {each.number} --page FILE.html",
    )
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>"


def _episode(recording: Recording, each: Chosen) -> str:
    episode, dt_s = recording.episode(each.number), control_dt_s(recording)
    said = f"{each}: return {episode.info['return']:.1f} in {len(episode)} steps"
    every = -(-len(episode) // MOST_FRAMES)
    parts = [f"<p>{html.escape(said)}</p>"]
    if (film := _film(recording, each.number, every, dt_s)) is not None:
        pace = f"one step in {every}, " if every > 1 else ""
        caption = html.escape(f"film of {each}: {pace}{'50 frames a second' if dt_s is None else 'in real time'}")
        data = base64.b64encode(film).decode()
        video = f'<video controls aria-label="{caption}" src="data:video/mp4;base64,{data}"></video>'
        parts.append(f"<figure>{video}<figcaption>{caption}</figcaption></figure>")
    if episode.neural:
        parts.append(image(activity_figure(episode.neural, dt_s or 0.0), f"activity in {each}"))
    return "".join(parts)


def _film(recording: Recording, number: int, every: int, dt_s: float | None) -> bytes | None:
    """The mp4 of an episode in real time, before every so many of its steps; None where nothing can be rendered."""
    frames = iter(replay_frames(recording, number, every))
    try:
        first = next(frames)
    except NeuroctlError:
        return None
    path = recording.path / "film.mp4"
    write_video(path, chain([first], frames), FPS if dt_s is None else 1 / (dt_s * every))
    return path.read_bytes()


def activity_figure(neural: Mapping[str, NDArray[Any]], control_dt_s: float = 0.0) -> Any:
    """Units over time, a panel for each population: a raster of those that count spikes, else a map of colours.

    Args:
        neural: activity by name, `[T, ...]`.
        control_dt_s: length of a control step; 0 numbers the steps instead.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.5 + RASTER_HEIGHT * len(neural)), layout="constrained")
    axes = figure.subplots(len(neural), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (name, values) in zip(axes, neural.items(), strict=True):
        table = values.reshape(len(values), -1)
        end = len(table) * (control_dt_s or 1)
        if table.dtype.kind == "u":
            step, unit = np.nonzero(table)
            axis.plot(step * (control_dt_s or 1), unit, "k.", ms=1.5, mew=0)
        else:
            extent = (0, end, table.shape[1] - 0.5, -0.5)
            drawn = axis.imshow(table.T.astype(np.float64), aspect="auto", extent=extent, interpolation="nearest")
            figure.colorbar(drawn, ax=axis)
        axis.set(ylabel=name, xlim=(0, end), ylim=(table.shape[1] - 0.5, -0.5))
    axes[-1].set_xlabel("time, s" if control_dt_s else "step")
    return figure
