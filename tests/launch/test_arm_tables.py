import json
from pathlib import Path
from typing import Any

import numpy as np

from neuroctl.launch import arm_tables
from neuroctl.launch.arm_tables import MEASURES, PHASES, differences, phase, write_results
from neuroctl.launch.arm_trials import FIELDS

BLOCK = 80
ABOUT = {"agents": 3, "minutes": 5.0, "trials": BLOCK, "seed": 7}


def course(agents: int = 3) -> Any:
    """`[trials, B]`: 2, then from 30 down by 0.25 a trial, from -10 up, and from 20 down; agent b has b more."""
    n = np.arange(BLOCK)
    values = np.concatenate([np.full(BLOCK, 2.0), 30 - 0.25 * n, -10 + 0.125 * n, 20 - 0.25 * n])
    return values[:, None] + np.arange(agents)


def test_phases_are_the_ends_of_blocks() -> None:
    found = {name: phase(course(), name) for name in PHASES}
    middle_of_first, middle_of_last = (20 - 1) / 2, 60 + (20 - 1) / 2  # 20 trials are a quarter of the block
    expected = {
        "baseline": 2,
        "perturbed, first": 30 - 0.25 * middle_of_first,
        "perturbed, last": 30 - 0.25 * middle_of_last,
        "washout, first": -10 + 0.125 * middle_of_first,
        "washout, last": -10 + 0.125 * middle_of_last,
        "again, first": 20 - 0.25 * middle_of_first,
        "again, last": 20 - 0.25 * middle_of_last,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value + np.arange(3))


def test_the_first_trials_are_twenty_of_a_long_block() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 0.0], 400)[:, None]
    values[400:420] = 5.0
    assert phase(values, "perturbed, first") == 5
    assert phase(values, "perturbed, last") == 1


def test_differences_are_paired_by_agent() -> None:
    found = differences(course())
    np.testing.assert_allclose(found["adaptation"], [-0.25 * 60] * 3)
    np.testing.assert_allclose(found["after-effect"], [-12 + 0.125 * 9.5] * 3)
    np.testing.assert_allclose(found["savings"], [-10] * 3)


def kept(path: Path, trials: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"trained": "", **{name: trials.tolist() for name in FIELDS}}))


def test_results_say_what_there_is(tmp_path: Path) -> None:
    evaluation, results = tmp_path / "frozen.json", tmp_path / "results"
    paths = {
        world: {mode: tmp_path / f"{world}-{mode}.json" for mode in ("plastic", "frozen")}
        for world in ("turned", "not")
    }
    assert write_results(results, evaluation, paths, ABOUT) == "nothing evaluated yet"
    ones = np.full((4, 3), -0.5)
    evaluation.write_text(json.dumps({"15000": {name: ones.tolist() for name in FIELDS}}))
    kept(paths["turned"]["plastic"], course())
    assert str(results / "spore_arm.md") in write_results(results, evaluation, paths, ABOUT)
    text = (results / "spore_arm.md").read_text()
    assert "--agents 3 --minutes 5 --trials 80 --seed 7`:\n3 agents, trained for 5 simulated minutes" in text
    assert "exploratory" in text
    # 15000 steps are 5 minutes; there, without its sign, the error is 0.5 degrees
    assert "| 5 | 0.5 (0.5 to 0.5) | -50.00 (-50.00 to -50.00) |" in text
    row = next(line for line in text.splitlines() if line.startswith("| plastic | direction error"))
    assert row.split(" | ")[2] == "3.0 (2.0 to 4.0)"  # the baseline of agents 2, 3 and 4
    assert row.split(" | ")[3] == f"{28.625:.1f} ({27.625:.1f} to {29.625:.1f})"
    assert "| plastic | direction error after 0.3 s, degrees | -15.0 (-15.0 to -15.0) |" in text
    assert text.count("| not run |") == 3
    assert text.startswith("# Spiking agents with a perturbed arm\n")  # claims nothing
    # 4 measures and the share of targets reached; 4 measures in 7 phases, and 3 differences of each
    assert f"There are {5 + 4 * 7 + 4 * 3} intervals here, not\ncorrected" in text
    assert "minus frozen |" not in text
    assert (results / "spore_arm.png").stat().st_size > 10_000
    assert text.endswith("![errors over trials](spore_arm.png)\n")


def test_learning_is_compared_with_frozen_synapses_agent_by_agent(tmp_path: Path) -> None:
    modes = {mode: tmp_path / f"{mode}.json" for mode in ("plastic", "frozen")}
    more = 1000.0 * np.arange(3)
    plastic, frozen = course(), course()
    for values in (plastic, frozen):
        values[BLOCK + 60 : 2 * BLOCK] += more  # agents differ by far, alike in both modes
    plastic[BLOCK + 60 : 2 * BLOCK] -= 4.0
    kept(modes["plastic"], plastic)
    kept(modes["frozen"], frozen)
    lines = arm_tables._difference_table(modes)
    rows = [line.split(" | ") for line in lines if line.startswith("| plastic minus frozen |")]
    assert [row[1] for row in rows] == [label for label, _, _ in MEASURES.values()]
    assert rows[0][2:] == ["-4.0 (-4.0 to -4.0)", "0.0 (0.0 to 0.0)", "0.0 (0.0 to 0.0) |"]
    assert rows[1][2] == "-400.00 (-400.00 to -400.00)"


def test_without_a_protocol_there_is_no_figure(tmp_path: Path) -> None:
    evaluation = tmp_path / "frozen.json"
    evaluation.write_text("{}")
    write_results(tmp_path, evaluation, {"turned": {"plastic": tmp_path / "missing"}}, ABOUT)
    assert "not run" in (tmp_path / "spore_arm.md").read_text()
    assert not (tmp_path / "spore_arm.png").exists()
