"""Cells of the tables, compared with numbers that were worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroctl.launch import presets
from neuroctl.launch.populations import FINAL_SEEDS, Task, run_folder
from neuroctl.launch.spore_plan import Arguments
from neuroctl.launch.spore_tables import commands, table, write_results
from neuroctl.run import Run

HALF = presets.SIMULATED_HOUR // 2
SECONDS = [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 100.0]
"""Of one trial of each agent: mean 19.5; without two at each end, 9."""


def options(tmp_path: Path, **changes: Any) -> Arguments:
    return Arguments(out=tmp_path / "cache", results=tmp_path / "results", **changes)


def trained(asked: Arguments, task: Task, name: str, hours: float, agents: int) -> None:
    """A run as training leaves it, as far as the tables read it."""
    Run.create(replace(asked, hours=hours, agents=agents).config(task, name), asked.folder(task, name))


def fields(scale: float = 1.0) -> dict[str, list[float]]:
    count = len(SECONDS)
    successes = [4.0] * (count // 2) + [1.0] * (count // 2)
    return {
        "reward": [0.125] * count,
        "trials": [4.0] * count,
        "successes": successes,
        "trial_s": [4 * scale * value for value in SECONDS],
    }


def cells(asked: Arguments, task: Task, name: str, hours: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(asked, task)]
    (row,) = (row for row in rows if row[0] == name and row[2] == hours)
    return row


def first(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0])


def test_a_row_holds_mean_interquartile_mean_worst_agent_and_success(tmp_path: Path) -> None:
    asked = options(tmp_path)
    trained(asked, "sums", "annealed", 1.0, 8)
    lines = [{"step": HALF * (k + 1), **fields(scale)} for k, scale in enumerate((3.0, 1.0))]
    asked.curve("sums", "annealed").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {str(HALF): fields(5.0), str(2 * HALF): fields()}
    asked.evaluation("sums", "annealed", "frozen").write_text(json.dumps(found))
    row = cells(asked, "sums", "annealed", "1")
    assert row[1] == "8"
    assert first(row[3]) == 19.5  # of the last half hour of learning, not the first
    assert [first(cell) for cell in row[4:]] == [19.5, 9.0, 100.0, 62.5, 0.125]
    low, high = (float(word.strip("()")) for word in row[7].split()[1:] if word != "to")
    assert 25.0 <= low < 62.5 < high <= 100.0


def test_populations_with_other_seeds_come_last_with_what_was_different(tmp_path: Path) -> None:
    asked = options(tmp_path)
    for seed, readout_ms in ((None, 50.0), (7, 50.0), (8, 100.0)):
        one = replace(asked, seed=seed, hours=1.0, agents=8)
        made: Any = one.config("lane", "T 0")
        made = replace(made, agent=replace(made.agent, readout_ms=readout_ms))
        Run.create(made, one.folder("lane", "T 0"))
        one.evaluation("lane", "T 0", "frozen").write_text(json.dumps({str(2 * HALF): fields(readout_ms / 50)}))
        one.curve("lane", "T 0").write_text("")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table(asked, "lane")]
    assert [row[0] for row in rows[-2:]] == ["T 0, seed 7", "T 0, seed 8, readout_ms=100.0"]
    assert [first(row[4]) for row in rows[-2:]] == [19.5, 39.0]
    assert first(cells(asked, "lane", "T 0", "1")[4]) == 19.5
    assert (
        run_folder(asked.out, "lane", "T 0", FINAL_SEEDS["lane"])
        == asked.folder("lane", "T 0")
        != asked.folder("ball", "T 0")
    )


def test_the_command_makes_again_what_is_shown(tmp_path: Path) -> None:
    asked = options(tmp_path, seed=7)
    assert commands(asked, "lane") == ["python launch/study_spore.py --tasks lane --seed 7"]
    trained(asked, "ball", "annealed", 5.0, 16)
    trained(asked, "ball", "untrained", 1.5, 3)
    trained(asked, "ball", "T 0", 5.0, 10)
    trained(asked, "sums", "T 0", 5.0, 10)
    assert commands(asked, "ball") == [
        "python launch/study_spore.py --tasks ball --conditions annealed 'T 0' --seed 7",
        "python launch/study_spore.py --tasks ball --conditions untrained --hours 1.5 --agents 3 --seed 7",
    ]


@pytest.mark.parametrize(
    ("seed", "line"),
    [
        (None, f"Made with root seed {FINAL_SEEDS['lane']}; the preset was tuned on 11 and 12."),
        (100, "Made with root seed 100; the preset was tuned on 11 and 12."),
        (
            12,
            "Made with root seed 12; on it the preset was tuned (on 11 and 12): these results are not held out.",
        ),
    ],
)
def test_the_head_says_on_which_seeds_presets_were_tuned(tmp_path: Path, seed: int | None, line: str) -> None:
    asked = options(tmp_path, seed=seed)
    trained(asked, "lane", "untrained", 2.0, 10)
    asked.evaluation("lane", "untrained", "frozen").write_text(json.dumps({"360000": fields()}))
    asked.curve("lane", "untrained").write_text("")  # of a run that has not come to its first line
    write_results(asked)
    text = (asked.results / "spore_lane.md").read_text()
    said = "" if seed is None else f" --seed {seed}"
    assert f"`python launch/study_spore.py --tasks lane --conditions untrained{said}`. {line}\n" in text
