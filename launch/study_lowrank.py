"""Low-rank sparse recurrent connectivity under distribution shift, by imitation: does it help, and is it the CfC's?

`python launch/study_lowrank.py` trains what is missing, tests it under every shift and severity and writes
`docs/results/lowrank.*` from what there is; what was not run says so. Everything is kept in `--out`, so it can be
stopped and started, and `--workers 4` does so many policies side by side. The
unit is the training seed. `--tune` trains with every learning rate on the tuning seed instead; `--what dynamics` then
measures spectra, exponents and dimensions of the policies, for `docs/results/lowrank_dynamics.*`.

The question is that of Tumma et al. 2023 (arXiv 2310.03915), of which we know the abstract and its reviews; tasks,
shifts, constants and controls are our own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from neuroctl.launch.lowrank_dynamics import measure_dynamics, write_dynamics
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
    is_learnt,
    label,
    num_episodes,
    policies,
)
from neuroctl.launch.lowrank_tables import write_results
from neuroctl.launch.program import parse, run
from neuroctl.launch.study import evaluate_once, record_once, train_once
from neuroctl.launch.study_workers import do_each

REFERENCES = ("expert", "zero")


def main(argv: Sequence[str] | None = None) -> int:
    """Fill the cache, then write the tables."""
    options = parse(Arguments, argv, "launch/study_lowrank.py")
    if options.what == "dynamics":
        sys.stdout.write(f"{measure_dynamics(options)}\n")
        return 0
    if options.what == "all":
        work = list(policies(options))
        left = [policy for policy in work if not is_learnt(options, policy)]  # all are checked before any runs
        for task in options.tasks:
            for name in REFERENCES:
                _evaluate(options, Policy(task, DENSE, 1.0, 0), name, name, CLEAN)
        shared = {demonstrations(options, policy): policy for policy in left}
        do_each(options, list(shared.values()), _share)
        do_each(options, work, _fill)
    sys.stdout.write(f"{write_results(options)}\n{write_dynamics(options)}\n")
    return 0


def _share(options: Arguments, policy: Policy) -> None:
    """What policies share with this one: demonstrations, and the encoder where there is one."""
    encoder, shown_by = encoder_of(policy), demonstrations(options, policy)
    if encoder is not None:
        train_once(config(encoder), encoder_folder(options, encoder), shown_by)
    else:
        record_once(config(policy), shown_by)


def _fill(options: Arguments, policy: Policy) -> None:
    """Train a policy and let it play."""
    train_once(config_on_encoder(options, policy), folder(options, policy), demonstrations(options, policy))
    for condition in conditions(options, policy.task, policy.model):
        _evaluate(options, policy, label(policy), folder(options, policy), condition)


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
