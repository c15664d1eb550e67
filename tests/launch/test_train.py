"""`neuroctl train`: presets with overrides, resuming, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from neuroctl.config import parse_options
from neuroctl.launch.cli import main
from neuroctl.metrics import TIME_FIELDS
from neuroctl.run import Run, tree_hash

OPTIONS = "--steps 6 --log-every 2 --checkpoint-every 3 --env.observation state --env.max-steps 20"
OPTIONS += " --demonstrations.episodes 2 --agent.batch-size 2 --agent.hidden-size 8 --agent.sequence-length 8"


def test_a_preset_is_trained_with_overrides_of_every_part(tmp_path, capsys):
    more = "--seed 4 --agent.rank 2 --env.track-seeds 3 5 --demonstrations.shifts gain:1 gaussian-noise:2"
    assert main(["train", "lane-cfc", *OPTIONS.split(), *more.split(), "--out", str(tmp_path / "run")]) == 0
    out, err = capsys.readouterr()
    assert out == f"run: {tmp_path / 'run'}\n"
    assert [line.split(":")[0] for line in err.splitlines()] == ["recording 000-expert", "training"]
    config: Any = Run(tmp_path / "run").config
    assert (config.preset, config.seed, config.agent.rank, config.agent.hidden_size) == ("lane-cfc", 4, 2, 8)
    assert config.env.track_seeds == (3, 5) and config.demonstrations.shifts == ("gain:1", "gaussian-noise:2")
    assert [line["step"] for line in Run(tmp_path / "run").metrics()] == [2, 4, 6]
    assert Run(tmp_path / "run").checkpoints.load()[0] == 6


def test_the_same_command_gives_the_same_bits(tmp_path):
    for name in "ab":
        assert main(["train", "lane-lstm", *OPTIONS.split(), "--out", str(tmp_path / name)]) == 0
    a, b = Run(tmp_path / "a"), Run(tmp_path / "b")
    assert tree_hash(a.checkpoints.load()[1]) == tree_hash(b.checkpoints.load()[1])
    lines = [[{k: v for k, v in x.items() if k not in TIME_FIELDS} for x in run.metrics()] for run in (a, b)]
    assert lines[0] == lines[1]


def test_a_finished_run_resumes_to_itself(tmp_path, capsys):
    run = str(tmp_path / "run")
    assert main(["train", "lane-mlp", *OPTIONS.split(), "--out", run]) == 0
    for arguments in (["--resume", run], [f"--resume={run}"]):
        capsys.readouterr()
        assert main(["train", *arguments]) == 0
        assert capsys.readouterr().out == f"run: {run}\n"


def test_a_run_in_use_is_refused(tmp_path, capsys):
    (tmp_path / "notes").write_text("mine")
    assert main(["train", "lane-mlp", *OPTIONS.split(), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (f"error: {tmp_path} is not empty; choose another --out\n")


def test_without_a_preset_the_usage_names_them(capsys):
    assert main(["train"]) == 2
    assert "lane-cfc, lane-cfc-dense, lane-lstm, lane-mlp" in "".join(capsys.readouterr())
    assert main(["train", "--help"]) == 0
    assert "--resume RUN" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["newer", "unknown", "torn"])
def test_a_run_that_cannot_be_read_is_one_line(damage, tmp_path, capsys):
    from neuroctl import registry

    path = Run.create(registry.presets.load("lane-mlp")(), tmp_path / "run").path / "config.json"
    content = json.loads(path.read_text())
    content["format"] += damage == "newer"
    content["config"]["agent"] |= {"wings": 2} if damage == "unknown" else {}
    path.write_text(json.dumps(content)[: 40 if damage == "torn" else None])
    for arguments in (["train", "--resume"], ["evaluate"], ["report"]):
        assert main([*arguments, str(tmp_path / "run")]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert {"newer": "reads up to", "unknown": "no option 'wings'", "torn": "is damaged"}[damage] in err


def test_a_loss_that_is_nan_is_one_line_after_the_progress(tmp_path, capsys):
    bad = ["--agent.learning-rate", "1e30", "--agent.gradient-clip", "1e30", "--steps", "50"]
    assert main(["train", "lane-lstm", *OPTIONS.split(), *bad, "--out", str(tmp_path / "run")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and "last good checkpoint: step" in last and "updates.json" in last


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], {"episode_length": 300, "gradient_scale": 0.1, "prior_precision": 0.25, "initial": (1.0, 0.5)}),
        (
            ["--agent.rule-options", "gradient_scale=0.2", "max_param=4"],
            {
                "episode_length": 300,
                "prior_precision": 0.25,
                "initial": (1.0, 0.5),
                "gradient_scale": 0.2,
                "max_param": 4,
            },
        ),
        (["--agent.rule-options"], {}),
        (["--agent.rule", "r-stdp"], {}),
        (["--agent.rule", "r-stdp", "--agent.rule-options", "a_minus=0"], {"a_minus": 0}),
    ],
)
def test_options_of_a_rule_stand_beside_those_of_the_preset(
    given: list[str], wanted: dict[str, object], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert main(["train", "spore-ball-sums", "--num-envs", "1", "--steps", "1", "--out", str(out), *given]) == 0
    agent: Any = Run(out).config.agent
    assert parse_options(agent.rule_options) == wanted
