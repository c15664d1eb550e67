"""What the scripted Atari players score, beside chance, people and PPO.

`python launch/study_experts.py` plays what is missing and writes `docs/results/atari_experts.md` from what there is.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroctl.errors import refuse_unknown
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once
from neuroctl.statistics import stratified_bootstrap
from neuroctl.storage import atomic_write, read_json
from neuroctl.versions import versions

PEOPLE = {"Pong": 14.6, "Breakout": 30.5, "Freeway": 29.6, "Seaquest": 42054.7}
"""Human scores as Wang et al. 2016 (arXiv 1511.06581) report them."""
PPO = {"Pong": 20.99, "Breakout": 398.0, "Freeway": math.nan, "Seaquest": 1784.0}
"""PPO of RL Baselines3 Zoo after 10 million steps, from the table in its repository; Freeway is not in it."""
PLAYERS = ("expert", "random")
PROTOCOLS = ("machado", "deepmind")


@dataclass(frozen=True)
class Arguments:
    """Play Atari games by script; write docs/results/atari_experts.md."""

    games: tuple[str, ...] = tuple(PEOPLE)
    """Games to play."""
    episodes: int = 30
    """Games of each player under each protocol."""
    out: Path = Path("runs/study_experts")
    """Cache of evaluations."""
    results: Path = Path("docs/results")
    """Where the table is written."""

    def __post_init__(self) -> None:
        """Refuse games without a scripted player."""
        refuse_unknown("game", self.games, PEOPLE)


def main(argv: Sequence[str] | None = None) -> int:
    """Play, then write."""
    options = parse(Arguments, argv, "launch/study_experts.py")
    for game in options.games:
        for protocol in PROTOCOLS:
            for player in PLAYERS:
                sys.stderr.write(f"{game}, {protocol}, {player}\n")
                kwargs = {"protocol": protocol, "frame_stack": 1}
                path = _path(options, game, protocol, player)
                evaluate_once(path, player, f"neuroctl/Atari-{game}-v0", kwargs, episodes=options.episodes)
    options.results.mkdir(parents=True, exist_ok=True)
    atomic_write(options.results / "atari_experts.md", "\n".join(_page(options)) + "\n")
    return 0


def _path(options: Arguments, game: str, protocol: str, player: str) -> Path:
    return options.out / f"{game}-{protocol}-{player}-{options.episodes}.json"


def _page(options: Arguments) -> Iterator[str]:
    here = versions()
    yield "# Scripted players of Atari games\n"
    yield f"Made by `python launch/study_experts.py` with {options.episodes} games of each player. A cell holds the"
    yield "mean score and its 95 % bootstrap interval over games; protocols are those of [atari.md](../atari.md), games"
    yield "last half an hour at most. People: as reported by Wang et al. 2016 (arXiv 1511.06581). PPO: RL Baselines3"
    yield "Zoo, 10 million steps. Both were measured under protocols of their own and stand here for orientation.\n"
    yield "| game | expert, machado | expert, deepmind | chance, machado | chance, deepmind | people | PPO |"
    yield "|---|---|---|---|---|---|---|"
    for game, human in PEOPLE.items():
        cells = [_cell(_path(options, game, protocol, player)) for player in PLAYERS for protocol in PROTOCOLS]
        ppo = "" if math.isnan(PPO[game]) else f"{PPO[game]:.4g}"
        yield f"| {game} | {' | '.join(cells)} | {human:.5g} | {ppo} |"
    yield f"\nMachine: {here['cpu']}; ale-py {here['ale-py']}."


def _cell(path: Path) -> str:
    if not path.exists():
        return "not run"
    returns: Any = read_json(path)["returns"]
    found = stratified_bootstrap(returns, lambda sample: float(np.mean(sample)))
    return f"{found.value:.1f} ({found.low:.1f} to {found.high:.1f})"


if __name__ == "__main__":
    sys.exit(run(main))
