"""A picture of every distribution shift: what the controller sees, or how the expert drives, under severities 0 to 5.

`python launch/gallery.py` writes `docs/results/shifts.png`. Everything comes from the environments as they are.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl import registry
from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import parse, run, shown

LANE, BALL = "neuroctl/LaneFollow-v0", "neuroctl/BallReach-v0"
KNOWN = 5
"""Roads 0 to 4 stand for those of training."""
ROADS = {"track": "random", "track_seeds": (0, KNOWN)}
RETINA = {**ROADS, "observation": "retina", "retina_size": (16, 64)}
EVENTS = {"observation": "events", "image_code": "sums"}
GAME = "neuroctl/Procgen-CoinRun-v0"
"""For colours, which the retinas do not see (extra: procgen)."""
PICTURES = ("gaussian-noise", "salt-pepper", "pixel-dropout", "brightness", "contrast", "occlusion")
HUES = ("saturation", "hue")
FILMS = ("observation-delay", "frame-drop")
STATES = ("observation-bias",)
COUNTS = ("event-noise", "event-loss")
DRIVES = ("action-noise", "action-bias", "action-delay", "friction", "gain", "mass")
ROLLS = ("damping",)
SEVERITIES = (0, 1, 3, 5)
COLOURS = {0: "0.6", 1: "#f5b971", 3: "#e2711d", 5: "#8c2d04"}
NEW = "#e2711d"
COLUMN = 10
"""The column of the retina whose film is shown."""
DT_S = 0.02


@dataclass(frozen=True)
class Arguments:
    """Draw every shift at severities 0, 1, 3 and 5."""

    results: Path = Path("docs/results")
    """Where shifts.png is written."""
    seed: int = 3
    """Seed of the episode that is shown."""
    seconds: float = 8.0
    """Time that the expert drives under each change of action or robot."""

    def __post_init__(self) -> None:
        """Refuse a time without a control step."""
        if not DT_S <= self.seconds < math.inf:
            raise NeuroctlError(f"seconds must be at least {DT_S}, a control step, and finite, got {self.seconds}")


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the gallery."""
    options = parse(Arguments, argv, "launch/gallery.py")
    path = options.results / "shifts.png"
    options.results.mkdir(parents=True, exist_ok=True)
    _figure(options).savefig(path, dpi=110)
    sys.stdout.write(f"gallery: {path}\n")
    return 0


def _figure(options: Arguments) -> Any:
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [*PICTURES, *HUES, *FILMS, *STATES, *COUNTS, "held-out"]
    figure = Figure(figsize=(16, 14.5), layout=ConstrainedLayoutEngine(wspace=0.03))
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(3.1, 1)))
    seen, driven = left.subplots(len(rows), len(SEVERITIES)), right.subplots(len(DRIVES) + len(ROLLS), 1, sharex=True)
    with shown("drawing", len(rows) + len(driven), "shifts") as progress:
        for name, axes in zip(rows, seen, strict=True):
            for severity, axis in zip(SEVERITIES, axes, strict=True):
                _draw_seen(axis, name, severity, options.seed)
            _label(axes[0], name)
            progress.advance(1, name)
        for name, axis in zip((*DRIVES, *ROLLS), driven, strict=True):
            (_draw_drive if name in DRIVES else _draw_roll)(axis, name, options)
            progress.advance(1, name)
    for severity, axis in zip(SEVERITIES, seen[0], strict=True):
        axis.set_title(f"severity {severity}" if severity else "severity 0: unchanged", fontsize=12)
    driven[-1].set_xlabel("time, s")
    labels = [f"severity {k}" for k in SEVERITIES]
    right.legend(driven[0].get_lines()[: len(labels)], labels, ncols=2, fontsize=9, loc="outside lower center")
    left.suptitle("What the controller sees", fontsize=14, fontweight="bold")
    right.suptitle("How the expert drives", fontsize=14, fontweight="bold")
    return figure


def _label(axis: Any, name: str) -> None:
    """Name and levels of a shift, left of its row."""
    what = dict.fromkeys(FILMS, "one column over 1.2 s") | dict.fromkeys(COUNTS, "row and column sums over 4 s")
    what |= dict.fromkeys(STATES, "ball's state over 4 s") | dict.fromkeys(HUES, "CoinRun")
    what["held-out"] = "unseen roads in colour"
    lines = [_levels(name), what.get(name, "")]
    place = {"xy": (0, 0.5), "xycoords": "axes fraction", "textcoords": "offset points", "ha": "right"}
    axis.annotate(name, xytext=(-10, 6), va="bottom", fontsize=11, fontweight="bold", **place)
    axis.annotate("\n".join(lines), xytext=(-10, 2), va="top", fontsize=8.5, color="0.35", **place)


def _levels(name: str) -> str:
    return "  ".join(f"{registry.shifts.load(name).level(k):g}" for k in SEVERITIES[1:])


# -- what is seen ----------------------------------------------------------------------------------------------


def _draw_seen(axis: Any, name: str, severity: int, seed: int) -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set(color="0.7", linewidth=0.6)
    if name == "held-out":
        _draw_roads(axis, severity)
    elif name in COUNTS:
        film = _film(BALL, EVENTS, f"{name}:{severity}", 200, seed).T
        axis.imshow(film, cmap="Greys", vmin=0, vmax=3, aspect="auto", interpolation="nearest")
    elif name in STATES:
        film = _film(BALL, {}, f"{name}:{severity}", 200, seed).T
        axis.imshow(film, cmap="gray", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    elif name in HUES:
        axis.imshow(_film(GAME, {}, f"{name}:{severity}", 1, seed)[0][8:40], aspect="auto")
    elif name in FILMS:
        film = _film(LANE, RETINA, f"{name}:{severity}", 60, seed)[:, :, COLUMN].T
        axis.imshow(film, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    else:
        image = _film(LANE, RETINA, f"{name}:{severity}", 60, seed)[-1]
        axis.imshow(image, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")


def _film(env_id: str, kwargs: dict[str, Any], shift: str, steps: int, seed: int) -> NDArray[Any]:
    """What is shown in an episode of the expert, `[steps, ...]`."""
    from neuroctl.vector import expert_action, make_env

    env = make_env(env_id, 1, kwargs, [shift])
    film = [env.reset(seed=seed)[0][0]]
    while len(film) < steps:
        film.append(env.step(expert_action(env))[0][0])
    env.close()
    return np.stack(film)


def _draw_roads(axis: Any, severity: int) -> None:
    """The roads that episodes take place on, those beyond the training range in colour."""
    from neuroctl.envs.lane_follow import build_track

    options = registry.shifts.load("held-out").options(LANE, ROADS, severity)
    first, last = options["track_seeds"]
    for place, key in enumerate(range(first, last)):
        points = build_track(key).samples[:, :2]
        points = points - (points.max(axis=0) + points.min(axis=0)) / 2
        axis.plot(*(points / np.abs(points).max() + [2.6 * place, 0]).T, color=NEW if key >= KNOWN else "0.45", lw=2)
    axis.set(aspect="equal", xlim=(-1.4, 2.6 * 4 + 1.4), ylim=(-1.15, 1.15))


# -- how the expert drives -------------------------------------------------------------------------------------


def _draw_drive(axis: Any, name: str, options: Arguments) -> None:
    """The expert's lateral error, until it leaves the lane."""
    for severity in SEVERITIES:
        error = _lateral_error(f"{name}:{severity}", options)
        time = DT_S * np.arange(1, len(error) + 1)
        axis.plot(time, error, color=COLOURS[severity], lw=1.6, label=str(severity), zorder=2 + severity)
        if len(error) < round(options.seconds / DT_S):
            axis.plot(time[-1], error[-1], "x", color=COLOURS[severity], ms=7, mew=2, zorder=9)
    for edge in (-0.25, 0.25):
        axis.axhline(edge, color="0.75", lw=0.8, ls="--")
    axis.set(ylim=(-0.32, 0.32), ylabel="off centre, m")
    _title(axis, name, options)


def _draw_roll(axis: Any, name: str, options: Arguments) -> None:
    """The ball's distance from its goal, again and again."""
    from neuroctl.vector import expert_action, make_env

    for severity in SEVERITIES:
        env = make_env(BALL, 1, {}, [f"{name}:{severity}"])
        env.reset(seed=options.seed)
        steps = [env.step(expert_action(env)) for _ in range(round(options.seconds / DT_S))]
        env.close()
        distance = np.array([info["distance_m"][0] for *_, info in steps])
        axis.plot(DT_S * np.arange(1, len(distance) + 1), distance, color=COLOURS[severity], lw=1.6)
    axis.set(ylabel="ball from goal, m")
    _title(axis, name, options)


def _title(axis: Any, name: str, options: Arguments) -> None:
    axis.set_title(name, fontsize=11, fontweight="bold", loc="left")
    axis.set_title(_levels(name), fontsize=8.5, color="0.35", loc="right")
    axis.set(xlim=(0, options.seconds))
    axis.spines[["top", "right"]].set_visible(False)


def _lateral_error(shift: str, options: Arguments) -> NDArray[np.float64]:
    from neuroctl.vector import expert_action, make_env

    env = make_env(LANE, 1, ROADS, [shift])
    env.reset(seed=options.seed)
    errors: list[float] = []
    while len(errors) < round(options.seconds / DT_S):
        *_, terminated, _, info = env.step(expert_action(env))
        if terminated[0]:
            errors.append(float(info["final_info"]["lateral_error_m"][0]))
            break
        errors.append(float(info["lateral_error_m"][0]))
    env.close()
    return np.array(errors)


if __name__ == "__main__":
    sys.exit(run(main))
