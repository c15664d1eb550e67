import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from neuroctl import registry
from neuroctl.errors import NeuroctlError
from neuroctl.launch import study_spore_arm as study
from neuroctl.launch.arm_trials import FIELDS
from neuroctl.launch.centre_out import ID, PRESET, register
from neuroctl.launch.trained_agents import TrainedAgents

TRIALS = 4


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[study.Arguments]:
    """Two agents after four seconds of training, with a checkpoint in the middle."""
    folder = tmp_path_factory.mktemp("arm")
    register()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "CHECKPOINT_MINUTES", 1 / 30)
        patch.setattr(study, "EVALUATION_TRIALS", 2)
        made = study.Arguments(
            out=folder / "cache", results=folder / "results", minutes=1 / 15, trials=TRIALS, agents=2
        )
        study.train_population(made)
        yield made
    del gym.registry[ID]
    del registry.presets.entries[PRESET]


def found(options: study.Arguments, world: Any, mode: Any) -> Any:
    content = json.loads(options.protocol_path(world, mode).read_text())
    return {name: np.array(content[name]) for name in FIELDS}


def test_everything_is_done_once_and_written(options: study.Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"--{name}={getattr(options, name)}" for name in ("out", "results", "minutes", "trials", "agents")]
    arguments += ["--worlds", "rotation", "--modes", "frozen"]
    assert study.main(arguments) == 0
    kept = {path: path.stat().st_mtime_ns for path in options.out.rglob("*") if path.is_file()}
    text = (options.results / "spore_arm.md").read_text()
    assert text.count("| not run |") == 5  # two other worlds, and learning
    study.train_population(options)
    study.meet(options, TrainedAgents.load(options.folder), "rotation", "frozen")
    assert {path: path.stat().st_mtime_ns for path in options.out.rglob("*") if path.is_file()} == kept
    assert list(json.loads(options.evaluation_path.read_text())) == ["100", "200"]
    assert "results: " in capsys.readouterr().out


def test_a_protocol_gives_equal_bits_again_after_an_interruption(options: study.Arguments) -> None:
    agents = TrainedAgents.load(options.folder)
    for mode in study.MODES:
        study.meet(options, agents, "force field", mode)
        path = options.protocol_path("force field", mode)
        first = path.read_bytes()
        path.unlink()
        study.meet(options, agents, "force field", mode)
        assert path.read_bytes() == first
    plastic, frozen = (found(options, "force field", mode) for mode in study.MODES)
    assert all(values.shape == (4 * TRIALS, 2) for values in (*plastic.values(), *frozen.values()))
    assert not np.array_equal(plastic["final_m"], frozen["final_m"])


def test_worlds_differ_from_the_second_block_on(options: study.Arguments) -> None:
    agents = TrainedAgents.load(options.folder)
    for world in ("rotation", "nothing"):
        study.meet(options, agents, world, "frozen")
    turned, same = (found(options, world, "frozen")["final_m"] for world in ("rotation", "nothing"))
    np.testing.assert_array_equal(turned[:TRIALS], same[:TRIALS])
    assert (turned[TRIALS : 2 * TRIALS] != same[TRIALS : 2 * TRIALS]).mean() > 0.9


def test_other_agents_are_measured_again(options: study.Arguments) -> None:
    agents = TrainedAgents.load(options.folder)
    study.meet(options, agents, "nothing", "frozen")
    before = found(options, "nothing", "frozen")["final_m"]
    study.meet(options, agents.lesioned(1)[0], "nothing", "frozen")
    assert not np.array_equal(found(options, "nothing", "frozen")["final_m"], before)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"minutes": 7.0}, "minutes is 7; allowed: multiples of 5"),
        ({"minutes": 0.0}, "minutes is 0; allowed: multiples of 5"),
        ({"trials": 3}, "trials is 3; allowed: at least 4 in a block"),
        ({"agents": 0}, "agents is 0; allowed: at least 1"),
    ],
)
def test_mistakes_get_one_clear_line(change: Any, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "CHECKPOINT_MINUTES", 5.0)
    with pytest.raises(NeuroctlError, match=line):
        replace(study.Arguments(), **change)
