import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.errors import NeuroctlError
from neuroctl.launch import populations, presets
from neuroctl.launch.populations import durations, interval
from neuroctl.launch.scripted_players import HeldRandom
from neuroctl.launch.spore_plan import CONDITIONS, EVALUATIONS, Arguments
from neuroctl.launch.study_spore import main
from neuroctl.vector import spaces_of

LANE = populations.FINAL_SEEDS["lane"]
HOUR = 200
"""Control steps that stand for an hour."""


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hours of 200 control steps, episodes of 60."""
    monkeypatch.setattr(presets, "SIMULATED_HOUR", HOUR)
    monkeypatch.setattr(populations, "FROZEN_STEPS", 60)
    return [f"--out={tmp_path / 'cache'}", f"--results={tmp_path / 'results'}", "--agents=2"]


def rows_of(path: Path) -> dict[str, list[str]]:
    """Cells of the rows of the tables, by condition and hours."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in path.read_text().splitlines() if "|" in line
    ]
    return {f"{row[0]} {row[2]}".strip(): row for row in rows}


def test_conditions_are_trained_once_and_written(arguments: list[str], tmp_path: Path) -> None:
    asked = [*arguments, "--tasks", "lane", "--conditions", "annealed", "untrained"]
    assert main(asked) == 0
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json*")}
    frozen = json.loads((tmp_path / f"cache/lane/annealed-s{LANE}.frozen.json").read_text())
    assert list(frozen) == [str(step) for step in range(100, 1001, 100)]
    anywhere = json.loads((tmp_path / f"cache/lane/annealed-s{LANE}.frozen-anywhere.json").read_text())
    assert list(anywhere) == ["1000"]
    assert anywhere["1000"]["reward"] != frozen["1000"]["reward"]
    untrained = json.loads((tmp_path / f"cache/lane/untrained-s{LANE}.frozen.json").read_text())
    assert untrained["100"] == untrained["400"]  # the same episodes, and nothing was learned
    assert frozen["100"] != frozen["1000"]

    rows = rows_of(tmp_path / "results/spore_lane.md")
    assert rows["annealed 5"][1] == rows["untrained 2"][1] == "2"
    assert rows["annealed 5"][4] == interval(durations(frozen["1000"]))
    assert float(rows["annealed 5"][6]) == round(min(durations(frozen["1000"])), 2)
    assert rows["annealed 2"][4] == interval(durations(frozen["400"]))
    assert rows["constant"][1] == "not run"
    assert float(rows["expert"][8].split()[0]) > float(rows["random"][8].split()[0])
    assert {len(row) for row in rows.values()} == {4 + 5 * len(EVALUATIONS["lane"])}
    assert (tmp_path / "results/spore_lane.png").stat().st_size > 10_000
    players = (f"{name}-s{LANE}.{kind}.json" for name in ("expert", "random") for kind in ("frozen", "frozen-anywhere"))
    assert all((tmp_path / "cache/lane" / player).exists() for player in players)
    assert main([argument for argument in asked if argument != "--agents=2"]) == 0  # what is there is good enough
    for option, line in (("--agents=3", "--agents 2, asked is 3"), ("--hours=2", "--hours 5, asked is 2")):
        with pytest.raises(NeuroctlError, match=f"lane/annealed-s{LANE} holds a run with {line}; choose another --out"):
            main([*asked, option])
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.json*")} == kept


def test_agents_that_were_trained_again_are_measured_again(arguments: list[str], tmp_path: Path) -> None:
    asked = [*arguments, "--tasks", "sums", "--conditions", "untrained", "--hours", "0.5"]
    assert main(asked) == 0
    path = tmp_path / "cache/sums/untrained-s100.frozen.json"
    found = path.read_text()
    path.write_text("{}")
    assert main(asked) == 0
    assert path.read_text() == "{}"  # later than the agents
    shutil.rmtree(tmp_path / "cache/sums/untrained-s100")
    assert main(asked) == 0
    assert path.read_text() == found


def test_a_table_without_a_cache_says_so(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--what", "table"]) == 0
    assert capsys.readouterr().out == "nothing evaluated yet\n"


def test_every_condition_is_an_experiment() -> None:
    options = Arguments(conditions=("all",))
    assert options.names == tuple(CONDITIONS)
    for task in populations.TASKS:
        seen = [options.config(task, name).agent for name in options.names]
        assert all(seen[a] != seen[b] for a in range(len(seen)) for b in range(a))  # each changes something
    config = options.config("ball", "annealed")
    assert (config.steps, config.num_envs, config.seed) == (5 * presets.SIMULATED_HOUR, 16, 100)
    assert Arguments(hours=0.5, agents=3).config("sums", "T 1").steps == presets.SIMULATED_HOUR // 2


def test_the_vehicle_is_measured_from_the_straight() -> None:
    same, elsewhere = (_seen_straight_ahead(populations.frozen_environment("lane", 3, **o)) for o in _starts())
    assert same.any() and (same == same[:1]).all()
    assert not np.array_equal(elsewhere[0], elsewhere[1])


def _starts() -> tuple[dict[str, Any], ...]:
    return tuple(EVALUATIONS["lane"].values())


def _seen_straight_ahead(env: Any) -> np.ndarray[Any, Any]:
    env.reset(seed=0)
    for _ in range(20):
        obs = env.step(np.full(3, 2))[0]
    env.close()
    return np.asarray(obs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditions": ("anealed",)}, "unknown condition 'anealed'; did you mean 'annealed'"),
        ({"hours": 0.7}, "hours is 0.7; allowed: multiples of 0.5"),
        ({"hours": 0.0}, "hours is 0; allowed: multiples of 0.5"),
        ({"agents": 0}, "agents is 0; allowed: from 1 on"),
    ],
)
def test_what_does_not_exist_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message):
        Arguments(**options)


def test_players_hold_their_draws() -> None:
    env = populations.frozen_environment("ball", 2)
    player = HeldRandom(spaces_of(env), 5)
    player.begin(2, 0)
    obs = np.zeros((2, 1), np.float32)
    acts = np.stack([player.act(obs, np.zeros(2, np.bool_)) for _ in range(10)])
    env.close()
    assert (acts[:5] == acts[0]).all() and (acts[5:] == acts[5]).all()
    assert not np.array_equal(acts[0], acts[5])
    np.testing.assert_allclose(np.linalg.norm(acts[:, 0], axis=-1), 4.0, rtol=1e-6)  # full speed, m/s
