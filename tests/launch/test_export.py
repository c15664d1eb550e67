"""`neuroctl export`: a run as one file."""

import numpy as np

import neuroctl
from neuroctl.agents.onnx_controller import OnnxController
from neuroctl.launch.cli import main

OPTIONS = "--steps 2 --env.observation state --env.max-steps 10 --demonstrations.episodes 1 --agent.batch-size 2"


def test_a_run_is_exported_and_acts_as_it_did(tmp_path, capsys, monkeypatch):
    run, file = str(tmp_path / "run"), str(tmp_path / "new" / "folder" / "out.onnx")
    assert main(["train", "lane-mlp", *OPTIONS.split(), "--agent.hidden-size", "8", "--out", run]) == 0
    capsys.readouterr()
    assert main(["export", run, "--onnx", file]) == 0
    assert capsys.readouterr().out == f"onnx: {file}\n"
    here, there = neuroctl.load(run), OnnxController(file)
    obs = np.zeros(there.observation_shape, np.float32)
    np.testing.assert_allclose(there.act(obs), here.act(obs), rtol=0, atol=1e-5)
    monkeypatch.setattr("neuroctl.agents.export.find_spec", lambda name: None)
    assert main(["export", run, "--onnx", file]) == 2
    assert capsys.readouterr().err == "error: ONNX export needs the package onnx: pip install 'neuroctl[onnx]'\n"
    below = str(tmp_path / "new" / "folder" / "out.onnx" / "x.onnx")
    monkeypatch.undo()
    assert main(["export", run, "--onnx", below]) == 2
    assert capsys.readouterr().err == f"error: File exists: {file}\n"


def test_a_run_that_does_not_exist_makes_no_folder(tmp_path, capsys):
    assert main(["export", str(tmp_path), "--onnx", str(tmp_path / "none" / "out.onnx")]) == 2
    assert capsys.readouterr().err.startswith(f"error: no run at {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_exported_as_a_minari_dataset(tmp_path, capsys, monkeypatch):
    import minari

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    asked = ["--env", "neuroctl/BallReach-v0", "--option", "max_steps=4", "--episodes", "2"]
    assert main(["record", "zero", *asked, "--out", str(tmp_path / "d")]) == 0
    capsys.readouterr()
    assert main(["export", str(tmp_path / "d"), "--minari", "ball/zero-v0"]) == 0
    assert capsys.readouterr().out == "minari: ball/zero-v0\n"
    assert minari.load_dataset("ball/zero-v0").total_steps == 8
    for wrong in ([], ["--onnx", "a.onnx", "--minari", "a-v0"], ["--minari", "a-v0", "--checkpoint", "best"]):
        assert main(["export", str(tmp_path / "d"), *wrong]) == 2
        error = capsys.readouterr().err
        assert error.startswith(
            ("error: say what to write: --onnx FILE", "error: --checkpoint has an effect with --onnx only")
        )
