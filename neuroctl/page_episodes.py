"""Episodes of a run on its page: one without a shift and the worst that was evaluated, as films and as activity."""

from __future__ import annotations

import base64
import contextlib
import html
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import registry
from .contracts import Agent
from .episode_series import control_dt_s
from .errors import NeuroctlError
from .page_parts import image
from .progress import NoProgress, Progress
from .recorder import Recorder, dataset_info
from .recording import Recording
from .rollouts import WIDTH, Player, make_shards, play_shard, trained_players
from .run import Run
from .storage import read_json
from .vector import make_env
from .video import FPS, replay_frames, write_video

FOLDER = "played"
"""In a run folder."""
NAMES = ("clean", "worst")
"""Of recordings in it."""
MOST_FRAMES = 600
"""Of a film; of longer episodes every second step is shown, or every third, ..."""
RASTER_HEIGHT = 2.2
"""Of a figure's panel, inches."""


class Chosen(NamedTuple):
    """An episode to show.

    Attributes:
        name: of its files.
        shifts: under which it was played.
        number: among the episodes of root seed 0, as `neuroctl evaluate` plays them.
        member: who played, of a population.
    """

    name: str
    shifts: tuple[str, ...] = ()
    number: int = 0
    member: int | None = None

    def __str__(self) -> str:
        who = "" if self.member is None else f", agent {self.member}"
        return f"{' '.join(self.shifts) or 'clean'}, episode {self.number}{who}"


def play(run: Run, progress: Progress | None = None) -> list[Path]:
    """Play the episodes that `chosen` names and keep them in the run folder: a recording and a film of each.

    Args:
        run: the run; its latest checkpoint plays.
        progress: told of each episode.

    Returns:
        Folders of the recordings.

    Raises:
        NeuroctlError: there is no checkpoint yet, or the environment cannot be made.
    """
    step, trees = run.checkpoints.load()
    players = trained_players(str(run.path.resolve()), run.config, trees["agent"], step)
    place = run.path / FOLDER / f"{step:09d}"
    made = []
    for each in chosen(run, step, [player.member for player in players]):
        recording = _recorded(run, players[each.member or 0], each, place / each.name)
        _film(recording, each.number)
        made.append(recording.path)
        (progress or NoProgress()).advance(1)
    return made


def chosen(run: Run, step: int, members: Sequence[int | None]) -> list[Chosen]:
    """The first episode without a shift, and the one with the lowest return of all that were evaluated.

    Evaluations count that `neuroctl evaluate` made of this checkpoint without options of its own.
    """
    clean = Chosen("clean", member=members[0])
    found = []
    for path in sorted((run.path / "evaluations").glob("*.json")):
        summary = read_json(path)
        if not summary["options"] and summary["checkpoint"] == step:
            found += [(value, each) for value, each in _episodes_of(summary, members)]
    if not found:
        return [clean]
    _, worst = min(found, key=lambda pair: pair[0])
    return [clean] if worst._replace(name="clean") == clean else [clean, worst]


def _episodes_of(summary: Mapping[str, Any], members: Sequence[int | None]) -> Iterator[tuple[float, Chosen]]:
    """Return and name of each episode of an evaluation."""
    played: list[int | None] = summary.get("members", [members[0]] * len(summary["returns"]))
    for n, (value, member) in enumerate(zip(summary["returns"], played, strict=True)):
        number = n - played.index(member)  # one member's episodes follow another's
        yield value, Chosen("worst", tuple(summary["shifts"]), number, member)


def _recorded(run: Run, player: Player, each: Chosen, folder: Path) -> Recording:
    """The recording of one episode; what stands there of another one, or damaged, is replaced."""
    env_id, kwargs = run.environment()
    shard = make_shards(env_id, kwargs, each.shifts, each.number + 1, seed=0)[-1]
    neural = registry.agents.load(run.config.agent.name).activity is not Agent.activity
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
    try:
        recording = Recording.create(folder, info)
    except NeuroctlError:  # evaluated again since, under other shifts
        shutil.rmtree(folder)
        recording = Recording.create(folder, info)
    if not recording.is_sound(each.number):
        wanted = [each.number if row == each.number % WIDTH else None for row in range(WIDTH)]
        with recording.writing():
            play_shard(shard, player, [Recorder(recording, wanted, shard.seeds, neural=neural)])
    return recording


def _film(recording: Recording, number: int) -> None:
    """A film beside the recording, where the environment can be rendered."""
    path = _film_path(recording, number)
    if path.exists():
        return
    every = _every(recording.index[number]["length"])
    with contextlib.suppress(NeuroctlError):
        write_video(path, replay_frames(recording, number, every), FPS)


def _every(steps: int) -> int:
    """Steps from one frame of a film to the next."""
    return -(-steps // MOST_FRAMES)


def _film_path(recording: Recording, number: int) -> Path:
    return recording.path / f"{number:06d}.mp4"


# -- on the page -----------------------------------------------------------------------------------------------


def section(run: Run) -> str:
    """HTML of the episodes that `play` left, of the latest checkpoint; empty where there are none."""
    checkpoints = run.checkpoints.all()
    if not checkpoints:
        return ""
    place = run.path / FOLDER / checkpoints[-1].name
    parts = [_shown(name, Recording(place / name)) for name in NAMES if (place / name / "dataset.json").is_file()]
    return "".join(parts)


def _shown(name: str, recording: Recording) -> str:
    """The episodes of a recording: what they came to, film, activity."""
    return "".join(_episode(name, recording, number) for number in recording.numbers())


def _episode(name: str, recording: Recording, number: int) -> str:
    episode, info = recording.episode(number), recording.info
    which = str(Chosen(name, info.shifts, number, info.member))
    said = f"{which}: return {episode.info['return']:.1f} in {len(episode)} steps"
    parts = [f"<p>{html.escape(said)}</p>"]
    path = _film_path(recording, number)
    if path.exists():
        data = base64.b64encode(path.read_bytes()).decode()
        every = _every(len(episode))
        label = html.escape(f"film of {which}" + (f", one step in {every}" if every > 1 else ""))
        video = f'<video controls aria-label="{label}" src="data:video/mp4;base64,{data}"></video>'
        parts.append(f"<figure>{video}<figcaption>{label}</figcaption></figure>")
    if episode.neural:
        dt_s = control_dt_s(recording) or 0.0
        parts.append(image(activity_figure(episode.neural, dt_s), f"activity in {which}"))
    return "".join(parts)


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
