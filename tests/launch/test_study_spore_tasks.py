import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.checkpoint import Checkpoints
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.launch import study_spore_tasks as study
from neuroctl.launch.cue_agents import CueAgentConfig
from neuroctl.launch.cue_tasks import TrialTask

SECONDS = 1 / 3600


def arguments(folder: Path, **changes: Any) -> study.Arguments:
    small: Any = {
        "out": folder / "cache",
        "results": folder / "results",
        "hours": 20 * SECONDS,
        "swap_hours": 10 * SECONDS,
        "agents": 2,
        "line_s": 5.0,
    }
    return study.Arguments(**(small | changes))


def lines(options: study.Arguments, task: Any, name: str = "learning") -> Any:
    path = study._folder(options, task, name) / "curve.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def state(options: study.Arguments, task: Any, name: str = "learning") -> bytes:
    folder = study._folder(options, task, name) / "checkpoints"
    found = Checkpoints(folder).find("latest")
    return b"".join(file.read_bytes() for file in sorted(found.glob("*.safetensors")))


@pytest.mark.parametrize(("task", "line_s"), [("pattern", 5.0), ("lever", 1.5)])
def test_a_run_that_was_stopped_goes_on_with_the_same_bits(tmp_path, task, line_s):
    times: Any = {"line_s": line_s, "swap_hours": 3 * line_s * SECONDS}
    whole, parts = (arguments(tmp_path / name, hours=4 * line_s * SECONDS, **times) for name in ("whole", "parts"))
    study.train(whole, task, "learning")
    study.train(arguments(tmp_path / "parts", hours=2 * line_s * SECONDS, **times), task, "learning")
    curve, n = study._folder(parts, task, "learning") / "curve.jsonl", whole.line_steps
    curve.write_text(curve.read_text() + f'{{"step": {3 * n}, "reward": [9, 9]}}\n{{"st')  # it was killed later
    study.train(parts, task, "learning")
    assert lines(parts, task) == lines(whole, task)
    assert [line["step"] for line in lines(whole, task)] == [n, 2 * n, 3 * n, 4 * n]
    assert state(parts, task) == state(whole, task)
    study.train(parts, task, "learning")
    assert len(lines(parts, task)) == 4


def test_a_line_says_what_happened_in_its_time(tmp_path):
    options = arguments(tmp_path)
    study.train(options, "pattern", "untrained")
    task, agent = study.make(options, "pattern", "untrained")
    rewards, ended, succeeded = [], [], []
    for _ in range(500):
        rewards.append(task.step(spikes := agent.act(task.rates_hz)))
        agent.learn(rewards[-1])
        ended.append(task.ended)
        succeeded.append(task.succeeded)
        assert spikes.shape == (20, 2, 20)
    line = lines(options, "pattern", "untrained")[1]
    assert line["reward"] == pytest.approx(np.mean(rewards[250:], axis=0))
    assert line["trials"] == np.sum(ended[250:], axis=0).tolist()
    assert line["successes"] == np.sum(succeeded[250:], axis=0).tolist()


class Trials(TrialTask):
    """Succeeds after 2 s and fails after 3 s, in turns."""

    def __init__(self) -> None:
        super().__init__(2)
        self.count = 0

    def step(self, spikes: Any) -> Any:
        self.count += 1
        ends = self.count % 50 == 0
        self.ended = np.array([ends, False])
        self.succeeded = self.ended & (self.count % 100 == 0)
        self.trial_s = np.where(self.ended, np.where(self.succeeded, 2.0, 3.0), 0.0)
        return np.array([0.5, 0.0])

    def _moved(self, due: Any) -> Any:
        return due


def test_a_failure_counts_as_ten_seconds(tmp_path):
    _, agent = study.make(arguments(tmp_path), "pattern", "untrained")
    assert study.simulate(Trials(), agent, 200).tolist() == [[0.5, 0], [4, 0], [2, 0], [24, 0]]


def made_up(options: study.Arguments, task: Any, name: str, rewards: list[float]) -> None:
    folder = study._folder(options, task, name)
    folder.mkdir(parents=True)
    for n, reward in enumerate(rewards):
        line = {"reward": [reward, reward], "trials": [4, 0], "successes": [1, 0], "trial_s": [10 * reward, 0]}
        with (folder / "curve.jsonl").open("a") as file:
            file.write(json.dumps({"step": 90_000 * (n + 1), **line}) + "\n")


def test_the_table_and_the_figure_are_made_from_the_cache(tmp_path, capsys):
    given: Any = {"line_s": 1800.0, "swap_hours": 1.0}
    options = arguments(tmp_path, hours=2.0, **given)
    made_up(options, "lever", "learning", [0.1, 0.2, 0.3, 0.4])
    made_up(options, "pattern", "reward late", [0.5])
    folders = ["--out", str(options.out), "--results", str(options.results), "--agents", "2"]
    assert study.main(["--what", "table", "--line-s", "1800", "--swap-hours", "1", "--hours", "2", *folders]) == 0
    text = (options.results / "spore_tasks.md").read_text()
    assert "results:" in capsys.readouterr().out
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| learning | 2")]
    assert [cell[2] for cell in cells] == ["at first", "before the swap", "after the swap", "at last"]
    assert [cell[3][:6] for cell in cells] == ["0.1000", "0.2000", "0.3000", "0.4000"]
    assert [cell[4] for cell in cells] == ["25.0 (25.0 to 25.0)"] * 4
    assert [cell[5][:4] for cell in cells] == ["0.25", "0.50", "0.75", "1.00"]
    assert "| reward late | 0.5 | at first | 0.5000" in text and text.count("not run") == 6
    assert (options.results / "spore_tasks.png").stat().st_size > 10_000


def test_nothing_is_written_from_an_empty_cache(tmp_path, capsys):
    out, results = str(tmp_path / "none"), str(tmp_path / "results")
    assert study.main(["--what", "table", "--out", out, "--results", results]) == 0
    assert capsys.readouterr().out == "nothing simulated yet\n" and not Path(results).exists()


def test_settings_change_every_condition_but_the_examples(tmp_path):
    options = arguments(tmp_path, settings=("reward=zscore", "learning_rate_per_s=1e-4"))
    found = {name: study.settings_of(options, "lever", name) for name in study.CONDITIONS}
    assert found["learning"].reward == found["untrained"].reward == "zscore"
    assert found["learning"].learning_rate_per_s == 1e-4 and found["untrained"].learning_rate_per_s == 0
    assert found["reward late"].reward_delay_s == 300 and found["as the examples"] == CueAgentConfig()


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown condition 'lerning'; did you mean 'learning'"):
        arguments(tmp_path, conditions=("lerning",))
    with pytest.raises(UnknownNameError, match="unknown setting 'rewards'; did you mean 'reward'"):
        arguments(tmp_path, settings=("rewards=raw",))
    with pytest.raises(NeuroctlError, match="hours must be whole lines of 5 s, got 0.0"):
        arguments(tmp_path, hours=21 * SECONDS)
    with pytest.raises(NeuroctlError, match="save_lines must be >= 1, got 0"):
        arguments(tmp_path, save_lines=0)
    with pytest.raises(NeuroctlError, match="swap_hours must be >= 0, got -1"):
        arguments(tmp_path, swap_hours=-1.0)
    study.train(arguments(tmp_path, hours=5 * SECONDS), "lever", "untrained")
    with pytest.raises(NeuroctlError, match="a run with --swap-hours 0.0027.*, asked is 1.0; choose another --out"):
        study.train(arguments(tmp_path, swap_hours=1.0), "lever", "untrained")


@pytest.mark.parametrize("name", ["hours", "swap_hours", "line_s"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_times_without_an_end_are_refused(name, value):
    with pytest.raises(NeuroctlError, match=f"{name} must be a finite number, got {value}"):
        study.Arguments(**{name: value})


def test_settings_that_are_refused_leave_no_folder_behind(tmp_path):
    options = arguments(tmp_path, settings=("temperature=-1",))
    with pytest.raises(NeuroctlError, match="temperature must be"):
        study.train(options, "pattern", "learning")
    assert not study._folder(options, "pattern", "learning").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"line_s": 0.0}, "line_s must be at least a control interval, .*, got 0"),
        ({"agents": 0}, "agents must be an integer >= 1, got 0"),
    ],
)
def test_the_option_that_is_wrong_is_named(tmp_path, change, message):
    with pytest.raises(NeuroctlError, match=message):
        arguments(tmp_path, **change)
