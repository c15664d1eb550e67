"""The `neuroctl` command: quick help, known programs, one line and exit code 2 for a user's mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import neuroctl
from neuroctl.launch.cli import PROGRAMS, main

LAUNCH = Path(__file__).parents[2] / "launch"

LIGHT = """
import contextlib, io, json, sys
from neuroctl.launch.cli import main
result = {}
for argv in json.loads(sys.argv[1]):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            code = main(argv)
        except SystemExit as end:
            code = end.code
    heavy = [name for name in ("torch", "mujoco", "ray", "numba", "matplotlib") if name in sys.modules]
    result[" ".join(argv)] = [code, out.getvalue(), heavy]
print(json.dumps(result))
"""


def test_help_of_every_program_and_list_import_nothing_heavy():
    presets = neuroctl.registry.presets.names()
    presets = [name for name in presets if name.startswith("lane-")]
    commands = [["--help"], ["--version"], [], ["list"], *([name, "--help"] for name in PROGRAMS)]
    commands += [["train", name, "--help"] for name in presets]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout.splitlines()[-1])
    for command, (code, out, heavy) in result.items():
        assert code == 0 and out, command
        assert heavy == [], f"neuroctl {command} imports {heavy}"
    for name in PROGRAMS:
        assert f"  {name} " in result["--help"][1]
        assert f"neuroctl {name}" in result[f"{name} --help"][1]
    assert "--agent.rank" in result["train lane-cfc --help"][1]
    assert result["--version"][1] == f"neuroctl {neuroctl.__version__}\n"
    assert "no positional" not in done.stderr


def test_every_program_also_starts_as_a_file():
    files = [path for path in LAUNCH.glob("*.py") if path.stem in PROGRAMS]
    assert len(files) == len(PROGRAMS)
    started = {
        path.stem: subprocess.Popen([sys.executable, path, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for path in files
    }
    for name, process in started.items():
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b""), name
        assert f"neuroctl {name}".encode() in out


def test_training_starts_as_a_file_and_as_the_command(tmp_path):
    options = "--steps 2 --env.observation state --env.max-steps 10 --demonstrations.episodes 1 --agent.batch-size 2"
    command = [sys.executable, LAUNCH / "train.py", "lane-mlp", *options.split(), "--out", tmp_path / "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"run: {tmp_path / 'run'}\n"), done.stderr
    installed = Path(sys.executable).with_name("neuroctl")
    if installed.exists():
        done = subprocess.run([installed, "list"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "lane-mlp" in done.stdout, done.stderr


def test_a_mistake_has_exit_code_2_in_the_shell_too():
    done = subprocess.run(
        [sys.executable, LAUNCH / "evaluate.py", "no-such-run"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: 'no-such-run' is neither a run folder nor one of expert, random, zero\n"


LANE = ["--env", "neuroctl/LaneFollow-v0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tran"], "unknown program 'tran'; did you mean 'train'? known: "),
        (["train", "lane-cf"], "unknown preset 'lane-cf'; did you mean 'lane-cfc'? known: "),
        (["train", "--seed", "1"], "the first argument must be a preset (arm-cfc, "),
        (["train", "lane-cfc", "--sead", "1"], "Unrecognized options: --sead"),
        (["train", "lane-cfc", "--seed", "one"], "--seed: invalid literal"),
        (["train", "lane-cfc", "--seed", "-1"], "seed must be an integer from 0 to 9223372036854775807, got -1"),
        (["train", "lane-cfc", "--steps", "0"], "steps must be an integer >= 1, got 0"),
        (
            ["train", "lane-cfc", "--agent.cell", "gruu"],
            "unknown cell 'gruu'; did you mean 'gru'? known: cfc, elstm, gru",
        ),
        (["train", "lane-cfc", "--agent.frame-stack", "2"], "agent.frame_stack has no effect with cell 'cfc'"),
        (["train", "lane-cfc", "--num-envs", "2"], "num_envs has no effect"),
        (["train", "lane-cfc", "--device", "tpu"], "unknown device 'tpu'; devices here: cpu"),
        (["train", "lane-cfc", "--env.id", "neuroctl/LaneFollow-v1"], "unknown environment 'neuroctl/LaneFollow-v1'"),
        (["train", "lane-cfc", "--env.camera", "side"], "'near', 'far'"),
        (["train", "lane-cfc", "--demonstrations.path", "nowhere"], "no recording at nowhere"),
        (["train", "lane-cfc", "--demonstrations.shifts", "gian:1"], "unknown shift 'gian'; did you mean 'gain'?"),
        (["train", "lane-cfc", "--evaluation-options", "camera"], "option 'camera' is not of the form name=value"),
        (["train", "--resume", "nowhere"], "no run at nowhere"),
        (["train", "--resume"], "Missing value for argument '--resume'"),
        (["train", "--resume", "nowhere", "--steps", "3"], "Unrecognized options: --steps"),
        (["evaluate"], "Run folder, or expert, random, zero"),
        (["evaluate", "expert"], "a scripted agent needs an environment: give --env ID"),
        (["evaluate", "nowhere"], "'nowhere' is neither a run folder nor one of expert, random, zero"),
        (["evaluate", "expert", "--env", "LaneFollow"], "unknown environment 'LaneFollow'"),
        (["evaluate", "expert", "--env", "CartPole-v1"], "CartPole-v1 has no scripted expert"),
        (["evaluate", "expert", *LANE, "--shift", "fog:1"], "unknown shift 'fog'"),
        (["evaluate", "expert", *LANE, "--shift", "gain:6"], "severity '6' of shift 'gain'; allowed: 0 to 5"),
        (["evaluate", "expert", *LANE, "--shift", "gain"], "gain"),
        (["evaluate", "zero", *LANE, "--shift", "brightness:2"], "shift 'brightness' does not fit"),
        (
            ["evaluate", "expert", *LANE, "--option", "colour=red"],
            "unknown neuroctl/LaneFollow-v0 option 'colour'; known: blackout_s",
        ),
        (["evaluate", "expert", *LANE, "--option", "max_steps=soon"], "max_steps must be an integer >= 1, got 'soon'"),
        (["evaluate", "expert", *LANE, "--option", "camera=side"], "unknown camera 'side'; allowed: 'near', 'far'"),
        (["evaluate", "expert", *LANE, "--option", "max_stps=3"], "did you mean 'max_steps'?"),
        (["evaluate", "expert", *LANE, "--option", "num_envs=3"], "'num_envs' is not an environment option"),
        (["evaluate", "zero", *LANE, "--option", "a=1", "--option", "a=2"], "option 'a' is given twice: 1 and 2"),
        (["evaluate", "expert", *LANE, "--checkpoint", "3"], "checkpoint '3' has no effect: 'expert' is a scripted"),
        (["record", "zero", *LANE, "--checkpoint", "best", "--out", "x"], "checkpoint 'best' has no effect: 'zero'"),
        (["evaluate", "expert", *LANE, "--episodes", "0"], "episodes must be an integer >= 1, got 0"),
        (["evaluate", "expert", *LANE, "--workers", "-1"], "workers must be an integer >= 0, got -1"),
        (["record", "expert", *LANE], "--out"),
        (["record", "expert", *LANE, "--out", __file__], "Not a directory"),
        (["record", "nobody", *LANE, "--out", "x"], "'nobody' is neither a run folder"),
        (["replay", "nowhere", "--verify"], "no recording at nowhere"),
        (["replay", "nowhere"], "say what to do: --verify, --policy, --video FILE, --page FILE or --rerun FILE"),
        (["replay", "nowhere", "--verify", "--source", "x"], "--source has no effect without --policy"),
        (["export"], "--onnx"),
        (["export", "nowhere", "--onnx", "x.onnx"], "no run at nowhere"),
        (["report"], "name at least one run folder"),
        (["report", "nowhere"], "no run at nowhere"),
        (["list", "everything"], "Unrecognized options: everything"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_mistake_is_one_line_that_says_what_is_allowed(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.startswith("error: ") and err.count("\n") == 1 and out == ""
    if arguments[0] == "train":
        assert list(tmp_path.rglob("config.json")) == [], "a mistake left a run folder behind"
