"""Exact, truncated and immediate gradients of an actor-critic on memory tasks, for short and long rollouts.

`python launch/study_rtrl.py` trains what is missing and writes `docs/results/rtrl.md` and its figures from what there
is. Everything is kept in `--out`, so it can be stopped and started; `--workers 4` does so many runs side by side. The
unit is the training seed. `--tune` runs every learning rate on the tuning seeds instead, `--what speed` measures how
fast the methods are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from neuroctl.launch.program import parse, run
from neuroctl.launch.rtrl_plan import Arguments, Cell, cells, config, folder
from neuroctl.launch.rtrl_speed import measure_speeds
from neuroctl.launch.rtrl_tables import write_results
from neuroctl.launch.study import is_trained, train_or_go_on
from neuroctl.launch.study_workers import do_each


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_rtrl.py")
    if options.what == "speed":
        sys.stdout.write(f"{measure_speeds(options)}\n")
    if options.what == "all":
        asked = list(cells(options))
        for cell in asked:  # all are checked before any runs
            is_trained(config(cell), folder(options.out, cell))
        do_each(options, asked, _fill)
    sys.stdout.write(f"{write_results(options)}\n")
    return 0


def _fill(options: Arguments, cell: Cell) -> None:
    train_or_go_on(config(cell), folder(options.out, cell))


if __name__ == "__main__":
    sys.exit(run(main))
