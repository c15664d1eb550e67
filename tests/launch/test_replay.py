"""`neuroctl replay`: exit code 0 for exact, 1 for the first difference, 2 for a mistake."""

import re
import shutil

import numpy as np
import pytest

from neuroctl.episode_codec import encode_episode
from neuroctl.launch.cli import main
from neuroctl.recording import Recording
from neuroctl.storage import sha256

LANE = ["--env", "neuroctl/LaneFollow-v0", "--option", "max_steps=15"]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "d"
    assert main(["record", "random", *LANE, "--episodes", "3", "--out", str(path)]) == 0
    return path


@pytest.fixture
def copy(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path / "d")


def alter(path, number, field, step):
    """Change one number of an episode and mend the hash, as somebody who forges data would."""
    recording = Recording(path)
    arrays = recording.arrays(number)
    arrays[field] = arrays[field].copy()
    arrays[field][step] = np.nextafter(arrays[field][step], 9)
    data = encode_episode(arrays)
    (path / "episodes" / f"{number:06d}.npz").write_bytes(data)
    index = path / "index.jsonl"
    index.write_text(index.read_text().replace(recording.index[number]["sha256"], sha256(data)))


def test_a_recording_verifies(recorded, capsys):
    assert main(["replay", str(recorded), "--verify"]) == 0
    assert capsys.readouterr().out == "physics: 3 of 3 episodes exact\n"
    assert main(["replay", str(recorded), "--verify", "--episode", "1"]) == 0
    assert capsys.readouterr().out == "physics: 1 of 1 episodes exact\n"


@pytest.mark.parametrize(("field", "step"), [("reward", 7), ("obs", 4)])
def test_altered_data_exit_with_1_and_name_episode_step_and_field(field, step, copy, capsys):
    alter(copy, 1, field, step)
    assert main(["replay", str(copy), "--verify"]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(
        f"episode 1 differs first at step {step - (field == 'obs')} in {field}"
    ) or first.startswith(f"episode 1 differs first at step {step} in {field}")
    assert last == "physics: 2 of 3 episodes exact"
    assert main(["replay", str(copy), "--verify", "--episode", "0"]) == 0


def test_a_flipped_byte_is_named_and_the_rest_is_replayed(copy, capsys):
    path = copy / "episodes" / "000002.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["replay", str(copy), "--verify"]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"episode 2: {path} is damaged") and last == "physics: 2 of 3 episodes exact"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--verify", "--episode", "9"], "no episode 9 in .*; episodes there: 0..2"),
        (["--policy"], "random"),
        (["--policy", "--checkpoint", "3"], "checkpoint '3' has no effect: 'random' is a scripted agent"),
        (["--policy", "--source", "nowhere"], "'nowhere' is neither a run folder nor one of"),
        (["--video", "x.mp4", "--episode", "9"], "no episode 9"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, recorded, capsys):
    code = main(["replay", str(recorded), *arguments])
    out, err = capsys.readouterr()
    assert code == 2 and re.search(message, err) and err.count("\n") == 1


def test_a_recording_without_episodes_has_no_video(copy, capsys):
    (copy / "index.jsonl").write_text("")
    assert main(["replay", str(copy), "--video", "x.mp4"]) == 2
    assert capsys.readouterr().err == f"error: {copy} holds no episodes\n"


def test_an_episode_becomes_a_video(recorded, tmp_path, capsys):
    assert main(["replay", str(recorded), "--episode", "1", "--video", str(tmp_path / "one.mp4")]) == 0
    assert capsys.readouterr().out == f"video: {tmp_path / 'one.mp4'}\n"
    data = (tmp_path / "one.mp4").read_bytes()
    assert data[4:8] == b"ftyp" and len(data) > 1000


def test_an_episode_becomes_a_file_for_rerun(recorded, tmp_path, capsys):
    file = tmp_path / "e.rrd"
    assert main(["replay", str(recorded), "--rerun", str(file), "--episode", "2"]) == 0
    assert capsys.readouterr().out == f"rerun: {file}\n"
    assert file.stat().st_size > 2000
