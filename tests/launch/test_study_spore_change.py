import dataclasses
import json
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl.errors import NeuroctlError
from neuroctl.launch import change_plan, change_tables, populations, presets, study_spore_change
from neuroctl.launch.change_plan import Arguments
from neuroctl.launch.curves import read_curve
from neuroctl.launch.populations import run_folder
from neuroctl.launch.study_spore_change import main, meet_shift, meet_switch
from neuroctl.launch.trained_agents import TrainedAgents

SHIFTS = ("brightness:5", "contrast:3", "gain:3")
STRETCH_STEPS = 50


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder as launch/study_spore.py leaves it: two agents, two temperatures, training of four half-lives."""
    folder = tmp_path_factory.mktemp("study_spore")
    made: Any = presets.spore_ball_sums()
    for condition, temperature in (("annealed", None), ("T 1", 1.0)):
        rate: Any = {"learning_rate_per_s": 1.0, "learning_rate_half_life_s": 0.5}
        agent = dataclasses.replace(made.agent, temperature=temperature, **rate)
        config = dataclasses.replace(made, agent=agent, seed=100, num_envs=2, steps=100, checkpoint_every=100)
        neuroctl.train(config, out=run_folder(folder, "sums", condition, 100))
    return folder


@pytest.fixture
def options(trained: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    """Seconds instead of minutes."""
    monkeypatch.setattr(change_plan, "STRETCH_MINUTES", STRETCH_STEPS / change_plan.MINUTE_STEPS)
    monkeypatch.setattr(study_spore_change, "STRETCH_STEPS", STRETCH_STEPS)
    for module in (populations, study_spore_change):
        monkeypatch.setattr(module, "FROZEN_STEPS", 60)
    for module in (study_spore_change, change_tables):
        monkeypatch.setattr(module, "SHIFTS", SHIFTS)
    return Arguments(
        trained=trained, out=tmp_path / "cache", results=tmp_path / "results", minutes=0.02, recovery_minutes=1 / 30
    )


def population(options: Arguments) -> TrainedAgents:
    return TrainedAgents.load(run_folder(options.trained, "sums", "annealed", 100))


def test_both_parts_are_done_once_and_written(options: Arguments, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"--{name}={getattr(options, name)}" for name in ("trained", "out", "results", "minutes")]
    arguments += ["--recovery-minutes", str(options.recovery_minutes), "--tasks", "sums"]
    assert main(arguments) == 0
    assert "T_0-s100 is not there; train it with launch/study_spore.py" in capsys.readouterr().err
    kept = {path: path.stat().st_mtime_ns for path in options.out.rglob("*.json*")}
    assert len(list(options.out.glob("robustness/sums/*.json"))) == 3 * 3  # clean and two shifts, three modes
    assert len(list(options.out.glob("switch/sums/*.json"))) == 3 * 2  # three changes, two temperatures
    text = (options.results / "spore_change.md").read_text()
    assert "| contrast:3 | does not fit" in text
    assert "| lesion" not in text
    assert "| half of the synapses gone | 0 | not run" in text
    assert "| half of the synapses gone | 1 | not run" not in text
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in options.out.rglob("*.json*")} == kept


def test_frozen_agents_meet_a_shift_and_learning_ones_too(options: Arguments) -> None:
    agents = population(options)
    found = {}
    for shift in ("clean", "gain:3"):
        for mode in change_plan.MODES:
            meet_shift(options, agents, "sums", shift, mode)
            found[shift, mode] = json.loads(options.shift_path("sums", shift, mode).read_text())
    assert found["clean", "frozen"]["shifted"] != found["gain:3", "frozen"]["shifted"]
    for mode in ("goes on", "begun anew"):
        assert found["gain:3", mode]["shifted"] != found["gain:3", "frozen"]["shifted"]
        assert found["gain:3", mode]["clean"] != found["gain:3", mode]["shifted"]
        assert found["clean", mode]["clean"] is None
    assert found["gain:3", "goes on"]["shifted"] != found["gain:3", "begun anew"]["shifted"]


@pytest.mark.parametrize("change", ["goal", "lesion"])
def test_a_switch_gives_equal_bits_again_after_an_interruption(options: Arguments, change: Any) -> None:
    agents = population(options)
    path = options.switch_path("sums", "annealed", change)
    curve = path.with_suffix(".curve.jsonl")
    meet_switch(options, agents, "sums", "annealed", change)
    first = path.read_bytes(), curve.read_bytes()
    assert read_curve(curve)["step"].tolist() == [50, 100]
    path.unlink()
    curve.write_bytes(first[1].splitlines(keepends=True)[0])  # as a kill leaves it
    meet_switch(options, agents, "sums", "annealed", change)
    assert (path.read_bytes(), curve.read_bytes()) == first
    found = json.loads(first[0])
    assert found["before"] != found["changed"] != found["after"]
    assert (found["regrown"] is None) == (change == "goal")


def test_nothing_changed_is_a_control(options: Arguments) -> None:
    meet_switch(options, population(options), "sums", "annealed", "nothing")
    found = json.loads(options.switch_path("sums", "annealed", "nothing").read_text())
    assert found["before"] == found["changed"] != found["after"]


def test_other_agents_are_measured_again(options: Arguments) -> None:
    """A cache that comes of agents that have been trained longer since, or otherwise, does not count."""
    agents = population(options)
    path = options.shift_path("sums", "clean", "frozen")
    meet_shift(options, agents, "sums", "clean", "frozen")
    before = json.loads(path.read_text())
    other, _ = agents.lesioned(1)
    meet_shift(options, other, "sums", "clean", "frozen")
    after = json.loads(path.read_text())
    assert before["trained"] == agents.digest != after["trained"] == other.digest
    assert not np.array_equal(before["shifted"]["reward"], after["shifted"]["reward"])


def test_nothing_to_change_is_a_mistake(tmp_path: Any) -> None:
    arguments = ["--trained", str(tmp_path / "nope"), "--out", str(tmp_path), "--results", str(tmp_path)]
    with pytest.raises(NeuroctlError, match="nope holds no population of lane under annealed with root seeds"):
        main([*arguments, "--tasks", "lane", "--parts", "robustness"])
