"""`make demo`: the whole of neuroctl in a few minutes, on lane following.

Records the expert, trains a low-rank sparse and a dense CfC on it, evaluates both clean and under three shifts,
replays a recorded episode with verification, and writes a page of figures and films.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuroctl import registry
from neuroctl.checks import checked_integer
from neuroctl.launch.program import parse, run, shown, table

PRESETS = ("lane-cfc", "lane-cfc-dense")
SHIFTS = ("gaussian-noise:3", "observation-delay:3", "gain:3")


@dataclass(frozen=True)
class Arguments:
    """Run the demonstration."""

    out: Path = Path("runs/demo")
    """Folder for everything; a new one beside it when it exists."""
    episodes: int = 60
    """Expert episodes to learn from."""
    steps: int = 400
    """Gradient steps for each policy."""

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, before anything is recorded."""
        checked_integer("episodes", self.episodes, 1)
        checked_integer("steps", self.steps, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Record, train, evaluate, replay, report."""
    options = parse(Arguments, argv, "launch/demo.py")
    start = time.monotonic()
    out = _fresh(options.out)
    demos = _record(out / "expert", options.episodes)
    runs = [_train(preset, demos, out / preset, options) for preset in PRESETS]
    rows = [row for path in [Path("expert"), *runs] for row in _evaluate(path)]
    verified = _verify(demos)
    from neuroctl import report

    with shown("playing for the page", 2 * len(runs), "episodes") as progress:
        page = report(*runs, out=out / "report.html", play=True, progress=progress)
    sys.stdout.write("\n" + table(rows, ("policy", "condition", "return IQM", "95 % interval", "success")) + "\n\n")
    sys.stdout.write(f"replay of expert episode 0: {verified}\n")
    for label, path in (("runs", out), ("recording", demos), ("report", page)):
        sys.stdout.write(f"{label.ljust(10)} {path}\n")
    sys.stdout.write(f"done in {time.monotonic() - start:.0f} s; next: docs/first_hour.md\n")
    return 0


def _fresh(path: Path) -> Path:
    number = 2
    candidate = path
    while candidate.exists():
        candidate = path.with_name(f"{path.name}-{number}")
        number += 1
    return candidate


def _record(out: Path, episodes: int) -> Path:
    from neuroctl import record

    config = registry.presets.load(PRESETS[0])()
    with shown("recording the expert", episodes, "episodes") as progress:
        record(
            "expert",
            out,
            episodes=episodes,
            env_id=config.env.id,
            env_kwargs=config.env.kwargs(),
            shifts=config.demonstrations.shifts,
            progress=progress,
        )
    return out


def _train(preset: str, demos: Path, out: Path, options: Arguments) -> Path:
    from neuroctl import train

    config = registry.presets.load(preset)()
    source = replace(config.demonstrations, path=demos, episodes=options.episodes, shifts=())
    sys.stderr.write(f"{preset}\n")
    return train(replace(config, demonstrations=source, steps=options.steps), out=out, progress=shown).path


def _evaluate(source: Path) -> list[tuple[str, ...]]:
    from neuroctl import evaluate
    from neuroctl.evaluation import save_evaluation

    config = registry.presets.load(PRESETS[0])()
    rows = []
    with shown(f"evaluating {source.name}", 16 * (len(SHIFTS) + 1), "episodes") as progress:
        for shifts in ((), *((s,) for s in SHIFTS)):
            result = evaluate(
                source,
                episodes=16,
                shifts=shifts,
                env_id=config.env.id,
                env_kwargs=config.evaluation_kwargs(),
                progress=progress,
            )
            summary = result.summary()
            if (source / "config.json").is_file():
                save_evaluation(source, summary)
            rows.append((source.name, *(shifts or ("clean",)), *_figures(summary)))
    return rows


def _figures(summary: dict[str, Any]) -> tuple[str, ...]:
    interval = f"{summary['return_iqm_low']:.0f} .. {summary['return_iqm_high']:.0f}"
    return f"{summary['return_iqm']:.0f}", interval, f"{summary['success_rate']:.0%}"


def _verify(demos: Path) -> str:
    from neuroctl import replay

    result = replay(demos, episodes=[0])
    return "every bit equal" if result.ok else str([*result.damaged, *result.differences][0])


if __name__ == "__main__":
    sys.exit(run(main))
