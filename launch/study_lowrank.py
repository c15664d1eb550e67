"""Low-rank sparse recurrent connectivity under distribution shift, by imitation: does it help, and is it the CfC's?

`python launch/study_lowrank.py` trains what is missing, tests it under every shift and severity and writes
`docs/results/lowrank.*` from what there is; what was not run says so. Everything is kept in `--out`, so it can be
stopped and started, and several processes with different `--tasks`, `--models` or `--seeds` can share the work. The
unit is the training seed. `--tune True` trains with every learning rate on the tuning seed instead.

The question is that of Tumma et al. 2023 (arXiv 2310.03915), of which we know the abstract and its reviews; tasks,
shifts, constants and controls are our own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from neuroctl.launch.lowrank_plan import (
    CLEAN,
    DENSE,
    Arguments,
    Policy,
    conditions,
    config,
    config_on_encoder,
    demonstrations,
    encoder_folder,
    encoder_of,
    evaluation,
    folder,
    label,
    num_episodes,
    policies,
)
from neuroctl.launch.lowrank_tables import write_results
from neuroctl.launch.program import parse, run, shown
from neuroctl.launch.study import evaluate_once, is_trained, train_once

REFERENCES = ("expert", "zero")


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_lowrank.py")
    if options.what == "all":
        work = list(policies(options))
        for policy in work:  # all are checked before any runs
            is_trained(config_on_encoder(options, policy), folder(options, policy))
        for task in options.tasks:
            for name in REFERENCES:
                _evaluate(options, Policy(task, DENSE, 1.0, 0), name, name, CLEAN)
        with shown("study", len(work), "policies") as progress:
            for policy in work:
                _train(options, policy)
                for condition in conditions(options, policy.task, policy.model):
                    _evaluate(options, policy, label(policy), folder(options, policy), condition)
                progress.advance(1, " ".join(map(str, policy)))
    sys.stdout.write(f"{write_results(options)}\n")
    return 0


def _train(options: Arguments, policy: Policy) -> None:
    """A policy, and before it the one whose encoder it shares."""
    encoder, shown_by = encoder_of(policy), demonstrations(options, policy)
    if encoder is not None:
        train_once(config(encoder), encoder_folder(options, encoder), shown_by)
    train_once(config_on_encoder(options, policy), folder(options, policy), shown_by)


def _evaluate(options: Arguments, policy: Policy, name: str, source: str | Path, condition: str) -> None:
    """Let a policy, or a player without one, play in the policy's environment."""
    made = config(policy)
    evaluate_once(
        evaluation(options, policy.task, name, condition),
        source,
        made.env.id,
        made.evaluation_kwargs(),
        episodes=num_episodes(options, condition),
        shifts=() if condition == CLEAN else (condition,),
    )


if __name__ == "__main__":
    sys.exit(run(main))
