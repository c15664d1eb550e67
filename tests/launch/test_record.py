"""`neuroctl record`: scripted agents and runs, complete after an interruption, never over something else."""

import pytest

from neuroctl.launch.cli import main
from neuroctl.recording import Recording

LANE = ["--env", "neuroctl/LaneFollow-v0", "--option", "max_steps=15"]


@pytest.mark.parametrize("source", ["expert", "random", "zero"])
def test_episodes_of_a_scripted_agent_are_recorded(source, tmp_path, capsys):
    arguments = [*LANE, "--episodes", "3", "--seed", "5", "--shift", "gain:1", "--shift", "friction:2"]
    assert main(["record", source, *arguments, "--out", str(tmp_path / "d")]) == 0
    out, err = capsys.readouterr()
    recording = Recording(tmp_path / "d")
    mean = sum(recording.index[n]["return"] for n in range(3)) / 3
    assert out == f"3 episodes in {tmp_path / 'd'}, mean return {mean:.2f}\n"
    assert err.startswith("recording: 3/3 episodes")
    assert recording.info.agent == source and recording.info.seed == 5
    assert recording.info.shifts == ("gain:1", "friction:2") and recording.info.env_kwargs == {"max_steps": 15}


def test_a_recording_is_extended_and_earlier_episodes_stay(tmp_path):
    arguments = ["record", "random", *LANE, "--out", str(tmp_path / "d"), "--episodes"]
    assert main([*arguments, "2"]) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "d" / "episodes").iterdir()}
    assert main([*arguments, "5"]) == 0
    after = {path.name: path.read_bytes() for path in (tmp_path / "d" / "episodes").iterdir()}
    assert len(after) == 5 and before.items() <= after.items()
    assert main(["record", "random", *LANE, "--out", str(tmp_path / "whole"), "--episodes", "5"]) == 0
    assert after == {path.name: path.read_bytes() for path in (tmp_path / "whole" / "episodes").iterdir()}


def test_another_recording_or_other_files_are_not_written_over(tmp_path, capsys):
    assert main(["record", "random", *LANE, "--out", str(tmp_path / "d"), "--episodes", "1"]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes").write_text("mine")
    for out, more, message in (("d", ["--seed", "3"], "seed: 0 there, 3 asked"), ("other", [], "holds no recording")):
        capsys.readouterr()
        assert main(["record", "random", *LANE, *more, "--out", str(tmp_path / out), "--episodes", "1"]) == 2
        err = capsys.readouterr().err
        assert message in err and "choose another folder" in err and err.count("\n") == 1
    assert len(Recording(tmp_path / "d")) == 1


def test_a_scripted_agent_does_not_learn(tmp_path, capsys):
    assert main(["record", "expert", *LANE, "--learn", "--out", str(tmp_path / "d"), "--episodes", "1"]) == 2
    err = capsys.readouterr().err
    assert "the agent of 'expert' does not learn while it acts" in err and err.count("\n") == 1
