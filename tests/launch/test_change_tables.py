import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.launch import change_tables
from neuroctl.launch.change_plan import Arguments
from neuroctl.launch.change_tables import robustness_table, switch_table, write_results


def played(*seconds: float) -> dict[str, list[float]]:
    """Agents whose two trials took these seconds each."""
    trials = [0.0 if np.isnan(s) else 2.0 for s in seconds]
    return {
        "reward": [0.5] * len(seconds),
        "trials": trials,
        "trial_s": np.nan_to_num(2.0 * np.array(seconds)).tolist(),
    }


def keep(path: Path, **content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"trained": "", **content}))


def curve(path: Path, values: Any) -> None:
    lines = [
        {"step": 15_000 * (k + 1), "reward": [0.5, 0.5], "trials": [1, 1], "successes": [1, 1], "trial_s": row}
        for k, row in enumerate(values)
    ]
    path.with_suffix(".curve.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


@pytest.fixture
def options(tmp_path: Path) -> Arguments:
    return Arguments(out=tmp_path / "cache", results=tmp_path / "results", minutes=5, recovery_minutes=10)


def rows(lines: Any) -> dict[str, list[str]]:
    """Cells of the rows of a table by their first cell, and second where that is a temperature."""
    found = {}
    for line in "\n".join(lines).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|"):
            found[cells[0]] = cells[1:]
            found[f"{cells[0]}, {cells[1]}"] = cells[2:]
    return found


def test_robustness_from_a_made_up_cache(options: Arguments) -> None:
    keep(options.shift_path("sums", "clean", "frozen"), shifted=played(1.0, 1.0), clean=None)
    keep(options.shift_path("sums", "gain:3", "frozen"), shifted=played(4.0, 8.0), clean=None)
    keep(options.shift_path("sums", "gain:3", "goes on"), shifted=played(3.0, 7.0), clean=played(2.0, 2.0))
    keep(options.shift_path("sums", "friction:3", "frozen"), shifted=played(5.0, float("nan")), clean=None)
    keep(options.shift_path("sums", "friction:3", "begun anew"), shifted=played(2.0, 9.0), clean=played(1.0, 3.0))
    table = rows(robustness_table(options, "sums"))
    assert table["clean"] == ["1.00 (1.00 to 1.00)", "not run", "", "not run", "", "", ""]
    assert table["gain:3"][:3] == ["6.00 (4.00 to 8.00)", "5.00 (3.00 to 7.00)", "-1.00 (-1.00 to -1.00)"]
    assert table["gain:3"][3:] == ["not run", "", "2.00 (2.00 to 2.00)", ""]
    assert table["friction:3"][0] == "5.00 (5.00 to 5.00)"
    assert table["friction:3"][3:5] == ["5.50 (2.00 to 9.00)", "-3.00 (-3.00 to -3.00)"]
    assert table["gain:5"][0] == "not run"
    assert table["brightness:3"][0] == "not run"


def test_a_shift_that_does_not_fit_says_why(options: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_tables, "SHIFTS", ("contrast:3",))
    lines = list(robustness_table(options, "sums"))
    assert rows(lines)["contrast:3"][0] == "does not fit"
    assert "Not applied: shift 'contrast' does not fit neuroctl/BallReach-v0: it needs an image" in lines[-1]


def test_switch_from_a_made_up_cache(options: Arguments) -> None:
    before = played(1.0, 1.0)
    for condition, after in (("annealed", (4.0, 4.0)), ("T 1", (2.0, 2.0))):
        keep(
            options.switch_path("ball", condition, "lesion"),
            before=before,
            changed=played(10.0, 30.0),
            after=played(*after),
            regrown=[0.0, 0.5],
        )
    keep(options.switch_path("ball", "T 1", "goal"), before=before, changed=before, after=before, regrown=None)
    table = rows(switch_table(options, "ball"))
    lesion = [table[f"half of the synapses gone, {T}"] for T in ("0", "0.1", "1")]
    assert lesion[0][0] == "not run"
    assert lesion[1][:3] == ["1.00 (1.00 to 1.00)", "20.00 (10.00 to 30.00)", "4.00 (4.00 to 4.00)"]
    assert lesion[1][3:] == ["-16.00 (-26.00 to -6.00)", "", "25.00 (0.00 to 50.00)"]
    assert lesion[2][4] == "-2.00 (-2.00 to -2.00)"
    assert table["goal elsewhere, 1"][4:] == ["", ""]


def test_tables_and_figures_of_what_there_is(options: Arguments) -> None:
    assert write_results(options) == "nothing evaluated yet"
    assert not options.results.exists()
    keep(options.shift_path("sums", "gain:3", "frozen"), shifted=played(4.0, float("nan")), clean=None)
    path = options.switch_path("lane", "T 0", "lesion")
    keep(path, before=played(1, 1), changed=played(1, 1), after=played(1, 1), regrown=[0.0, 0.0])
    curve(path, [[3.0, 5.0], [2.0, 4.0]])
    assert write_results(options) == f"results: {options.results / 'spore_change.md'}"
    text = (options.results / "spore_change.md").read_text()
    assert text.index("## Robustness: Reaching") < text.index("## Switch: Lane following")
    assert "goal's centre moves" not in text
    for part in ("robustness", "switch"):
        assert f"spore_change_{part}.png" in text
        assert (options.results / f"spore_change_{part}.png").stat().st_size > 5000
