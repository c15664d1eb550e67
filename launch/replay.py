"""`neuroctl replay DATASET [--episode 7] --verify | --policy | --video out.mp4 | --page out.html | --rerun out.rrd`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from neuroctl.errors import NeuroctlError
from neuroctl.launch.program import parse, run, shown


@dataclass(frozen=True)
class Arguments:
    """Replay a recording: verify it, compare a policy with it, or show an episode: video, page, Rerun's viewer."""

    dataset: tyro.conf.Positional[Path]
    """Folder of the recording."""
    episode: int | None = None
    """Number of one episode; all when absent (what is shown is the first)."""
    verify: bool = False
    """Play the recorded actions in the rebuilt environment and compare every bit."""
    policy: bool = False
    """Give the recorded observations to the policy and compare its actions."""
    source: str | None = None
    """Run folder of the policy; the recorded one when absent."""
    checkpoint: str | None = None
    """latest, best, or a step of the policy; the recorded one when absent."""
    video: Path | None = None
    """Write the episode as an mp4 file."""
    page: Path | None = None
    """Write the episode as an html file: film, observations and curves, moved through together."""
    rerun: Path | None = None
    """Write the episode as an rrd file for Rerun's viewer (extra: export)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Replay; exit code 0 when all is exact, 1 otherwise."""
    options = parse(Arguments, argv, "replay")
    if not (options.verify or options.policy or options.video or options.page or options.rerun):
        raise NeuroctlError("say what to do: --verify, --policy, --video FILE, --page FILE or --rerun FILE")
    for name in ("source", "checkpoint"):
        if getattr(options, name) is not None and not options.policy:
            raise NeuroctlError(f"--{name} has no effect without --policy")
    exact = True
    for mode, wanted in (("physics", options.verify), ("policy", options.policy)):
        if wanted:
            exact &= _compare(options, mode)
    if options.video is not None:
        from neuroctl.video import replay_video

        sys.stdout.write(f"video: {replay_video(options.dataset, _shown(options), options.video)}\n")
    if options.page is not None:
        from neuroctl.page_replay import replay_page
        from neuroctl.recording import Recording

        number = _shown(options)
        with shown("rendering", len(Recording(options.dataset).episode(number)), "steps") as progress:
            path = replay_page(options.dataset, number, options.page, progress)
        sys.stdout.write(f"page: {path}\n")
    if options.rerun is not None:
        from neuroctl.rerun_export import export_rerun

        sys.stdout.write(f"rerun: {export_rerun(options.dataset, _shown(options), options.rerun)}\n")
    return 0 if exact else 1


def _shown(options: Arguments) -> int:
    """The number of the episode that is shown."""
    from neuroctl.recording import Recording

    numbers = Recording(options.dataset).numbers()
    if not numbers:
        raise NeuroctlError(f"{options.dataset} holds no episodes")
    return options.episode if options.episode is not None else numbers[0]


def _compare(options: Arguments, mode: str) -> bool:
    from neuroctl.recording import Recording
    from neuroctl.replaying import replay

    episodes = None if options.episode is None else [options.episode]
    policy = {"source": options.source, "checkpoint": options.checkpoint} if mode == "policy" else {}
    count = len(Recording(options.dataset)) if episodes is None else 1
    with shown(f"replaying {mode}", count, "episodes") as progress:
        result = replay(options.dataset, mode=mode, episodes=episodes, progress=progress, **policy)
    for note in result.notes:
        sys.stdout.write(f"note: {note}\n")
    for line in [*result.damaged, *map(str, result.differences)]:
        sys.stdout.write(f"{line}\n")
    total = len(result.exact) + len(result.differences) + len(result.damaged)
    sys.stdout.write(f"{mode}: {len(result.exact)} of {total} episodes exact\n")
    return result.ok


if __name__ == "__main__":
    sys.exit(run(main))
