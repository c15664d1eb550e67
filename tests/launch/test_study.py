"""A cached run is taken only for the experiment that is asked for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.launch import presets
from neuroctl.launch.study import Option, is_trained
from neuroctl.run import Run

PRESET = replace(presets.spore_ball_sums(), num_envs=4, steps=360_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A run that has come to its end."""
    run = Run.create(PRESET, tmp_path / "run")
    (run.path / "checkpoints/000360000").mkdir(parents=True)
    return run.path


def test_a_run_of_equal_values_is_taken(path: Path, tmp_path: Path) -> None:
    assert is_trained(PRESET, path)
    assert not is_trained(PRESET, tmp_path / "elsewhere")
    assert is_trained(replace(PRESET, keep_checkpoints=9, log_every=7), path)
    made: Any = PRESET
    reordered = tuple(option.replace("(", "( ") for option in reversed(made.agent.rule_options))
    assert is_trained(replace(PRESET, agent=replace(made.agent, rule_options=reordered)), path)
    told = replace(PRESET.demonstrations, path=Path("elsewhere"), episodes=60)
    assert is_trained(replace(PRESET, demonstrations=told), path)


def test_a_run_that_an_older_version_wrote_is_taken(path: Path) -> None:
    content = json.loads((path / "config.json").read_text())
    del content["config"]["agent"]["reward_delay_s"], content["config"]["warm_start"]
    (path / "config.json").write_text(json.dumps(content))
    assert is_trained(PRESET, path)


def refused(path: Path, config: Any, line: str, **options: Option) -> None:
    with pytest.raises(NeuroctlError) as error:
        is_trained(config, path, options)
    assert str(error.value) == f"{path} holds a run with {line}; choose another --out"


def test_another_experiment_is_refused_with_the_field_and_both_values(path: Path) -> None:
    made: Any = PRESET
    refused(path, replace(made, agent=replace(made.agent, drive_mv=0.25)), "agent.drive_mv 2.0, asked is 0.25")
    rule = (*made.agent.rule_options, "stdp_tau=7.0")
    refused(
        path,
        replace(made, agent=replace(made.agent, rule_options=rule)),
        "agent.rule_options.stdp_tau default, asked is 7.0",
    )
    refused(path, replace(made, seed=3), "seed 0, asked is 3")
    assert (path / "checkpoints/000360000").is_dir()


@pytest.mark.parametrize(("steps", "hours"), [(180_000, "1"), (900_000, "5")])
def test_a_run_that_is_longer_or_shorter_than_asked_is_refused(path: Path, steps: int, hours: str) -> None:
    option = Option("--hours", 180_000)
    refused(path, replace(PRESET, steps=steps), f"--hours 2, asked is {hours}", steps=option)
    assert is_trained(replace(PRESET, steps=steps), path, {"steps": option._replace(given=False)})


def test_what_nobody_asked_for_may_be_as_it_is(path: Path) -> None:
    more = replace(PRESET, num_envs=5)
    refused(path, more, "--agents 4, asked is 5", num_envs=Option("--agents"))
    assert is_trained(more, path, {"num_envs": Option("--agents", given=False)})
    (path / "checkpoints/000360000").rmdir()
    assert not is_trained(more, path, {"num_envs": Option("--agents", given=False)})  # goes on
