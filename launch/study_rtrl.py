"""Exact, truncated and immediate gradients of an actor-critic on memory tasks, for short and long rollouts.

`python launch/study_rtrl.py` trains what is missing and writes `docs/results/rtrl.md` and its figures from what there
is. Everything is kept in `--out`, so it can be stopped and started, and several processes with different `--tasks`,
`--methods` or `--seeds` can share the work. The unit is the training seed. `--tune True` runs every learning rate on
the tuning seeds instead.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from neuroctl.launch.program import parse, run
from neuroctl.launch.rtrl_plan import Arguments, cells, config, folder
from neuroctl.launch.rtrl_tables import write_results
from neuroctl.launch.study import is_trained, train_or_go_on


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_rtrl.py")
    if options.what == "all":
        asked = list(cells(options))
        for cell in asked:  # all are checked before any runs
            is_trained(config(cell), folder(options.out, cell))
        for cell in asked:
            train_or_go_on(config(cell), folder(options.out, cell))
    sys.stdout.write(f"{write_results(options)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
