"""What a matrix is written to: every number is in the JSON and the CSV, figures are there, profiles are shares."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import robustness
from neuroctl.robustness_matrix import Matrix
from neuroctl.robustness_pages import profile, write
from tests.neuroctl.toys import POINT


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    cache = tmp_path_factory.mktemp("cache")
    return robustness(
        "random", "zero", env_id=POINT, shifts=["action-noise"], severities=(1, 4), episodes=5, cache=cache
    )


def test_every_number_is_written(matrix: Matrix, tmp_path: Path) -> None:
    page = write(matrix, tmp_path / "out")
    content: Any = json.loads((page.parent / "robustness.json").read_text())
    found = content["policies"]["random"]["conditions"]["action-noise:4"]
    assert found["returns"] == matrix.cells["random", "action-noise:4"].returns.tolist()
    assert content["policies"]["zero"]["area"]["mean"] == matrix.headline("zero").value
    assert content["improvement"]["random"]["zero"] == matrix.improvement("random", "zero")
    with (page.parent / "robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 5
    (row,) = (
        r
        for r in rows
        if (r["policy"], r["shift"], r["severity"], r["seed"]) == ("random", "action-noise", "4", str(matrix.seeds[2]))
    )
    assert float(row["return"]) == matrix.cells["random", "action-noise:4"].returns[0, 2]
    assert {r["severity"] for r in rows if r["shift"] == "clean"} == {"0"}
    for name in ("severity", "heat_map", "profiles"):
        assert (page.parent / f"{name}.png").stat().st_size > 4000
    text = page.read_text()
    assert f"| {matrix.improvement('random', 'zero'):.2f} |" in text
    assert "| random | 1 |" in text and "action-noise" in text


def test_a_profile_is_the_share_of_episodes_above_a_threshold(matrix: Matrix) -> None:
    scores = np.concatenate([matrix.scores("random", c).ravel() for c in ("action-noise:1", "action-noise:4")])
    thresholds = np.array([scores.min() - 1, np.median(scores), scores.max()])
    assert profile(matrix, "random", thresholds).tolist() == [1.0, 0.5, 0.0]
