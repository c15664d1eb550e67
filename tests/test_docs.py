"""What the documents tell people to type works: code blocks are executed, commands are run (with small numbers)."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import registry
from neuroctl.envs.mujoco_task import Batch
from neuroctl.errors import NeuroctlError
from neuroctl.launch import cli
from neuroctl.vector import make_env

ROOT = Path(__file__).parents[1]
SMALL = {"--steps": "4", "--episodes": "2"}


def blocks(path: Path) -> list[tuple[str, str]]:
    """(language, text) of every fenced block."""
    return re.findall(r"```(\w+)\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty folder to work in; names that the documents register are forgotten afterwards."""
    import gymnasium

    kinds = (registry.agents, registry.cells, registry.presets, registry.rules, registry.shifts)
    before = [dict(kind.entries) for kind in kinds], dict(gymnasium.registry)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for kind, entries in zip(kinds, before[0], strict=True):
        kind.entries.clear()
        kind.entries.update(entries)
    gymnasium.registry.clear()
    gymnasium.registry.update(before[1])
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]


def run_blocks(document: str, typed: Callable[[list[str]], list[str]], capsys: Any) -> dict[str, Any]:
    """Execute the Python of a document and run its commands, each as `typed` makes it of its words.

    Returns the names that the Python has defined.
    """
    scope: dict[str, Any] = {}
    for language, text in blocks(ROOT / document):
        if language == "python":
            exec(compile(text, document, "exec"), scope)
        for command in text.splitlines() if language == "console" else ():
            words = shlex.split(command)[1:]
            assert cli.main(typed(words)) == 0, f"{command}\n{capsys.readouterr().err}"
    return scope


def test_every_block_of_contributing_runs(workspace, capsys):
    scope: dict[str, object] = {}
    for language, text in blocks(ROOT / "CONTRIBUTING.md"):
        if language != "python":
            continue
        named = re.match(r"# (mylab/\w+\.py)\n", text)
        if named:
            (workspace / named[1]).parent.mkdir(exist_ok=True)
            (workspace / named[1]).write_text(text)
        else:
            exec(compile(text, "CONTRIBUTING.md", "exec"), scope)
    assert (workspace / "runs/climber/metrics.jsonl").exists()


def shorten(words: list[str]) -> list[str]:
    """The words of a command with small numbers."""
    for option, value in SMALL.items():
        if option in words:
            words[words.index(option) + 1] = value
    if words[0] == "train" and "--resume" not in words:
        words += ["--env.max-steps", "40", "--agent.sequence-length", "8", "--agent.batch-size", "2"]
        words += ["--demonstrations.episodes", "2"]
    return words


def replaced(words: list[str], small: dict[str, str], **more: list[str]) -> list[str]:
    """The words of a command with other ones for some of them, and `more` of them for each program."""
    return [*(small.get(word, word) for word in words), *more.get(words[0], [])]


def test_the_first_hour_can_be_typed(workspace, capsys):
    run_blocks("docs/first_hour.md", shorten, capsys)
    assert (workspace / "runs/dark.html").stat().st_size > 10_000
    pages = [workspace / f"datasets/{name}.html" for name in ("noise", "inside")]
    assert "units against step" in pages[1].read_text() and "units against step" not in pages[0].read_text()


def test_every_block_about_the_event_camera_runs(capsys):
    scope = run_blocks("docs/event_camera.md", shorten, capsys)
    assert scope["obs"].sum() > 100
    assert len(scope["events"]) > 1000
    assert scope["counts"].sum() > 1000
    assert all(len(events) for events in scope["env"].camera.events(Batch(scope["env"], np.arange(2))))


def test_every_block_about_the_water_maze_runs(workspace, capsys):
    scope = run_blocks("docs/water_maze.md", lambda words: [*shorten(words), "--option", "max_steps=50"], capsys)
    assert scope["final"]["goals"].mean() > 5


def test_every_block_about_memory_tasks_runs(workspace, capsys):
    scope = run_blocks("docs/memory_tasks.md", shorten, capsys)
    info = scope["info"]
    assert info["final_info"]["success"][info["_final_info"]].all() and scope["obs"].shape == (64, 8)


def test_every_block_about_atari_runs(capsys):
    scope = run_blocks("docs/atari.md", shorten, capsys)
    assert scope["obs"].shape == (4, 84, 84) and len(scope["state"]["machine"]) == 4


def test_every_block_about_procgen_runs(capsys):
    try:
        make_env("neuroctl/Procgen-CoinRun-v0", 1).close()
    except NeuroctlError as error:
        pytest.skip(str(error))
    scope = run_blocks("docs/procgen.md", shorten, capsys)
    assert scope["held_out"]["level"].min() >= 500 > scope["train"]["level"].max()


def test_every_block_about_exact_gradients_runs(workspace, capsys):
    def typed(words: list[str]) -> list[str]:
        return replaced(words, {"400": "2"}, train=["--steps", "20", "--num-envs", "2"])

    scope = run_blocks("docs/rtrl.md", typed, capsys)
    assert all((scope["truncated"][name] - value).norm() > 1e-3 for name, value in scope["exact"].items())
    assert np.mean(scope["rewards"][-100:]) > 0.8


def test_every_block_about_spore_runs(workspace, capsys):
    def typed(words: list[str]) -> list[str]:
        few = ["--episodes", "2", "--option", "max_steps=50"]
        return replaced(words, {"16": "2", "180000": "100"}, evaluate=few)

    scope = run_blocks("docs/spore.md", typed, capsys)
    assert scope["controller"].network.rules["eye->hidden"].theta.shape == (4, 32, 20)
    assert scope["samples"]["weight/senses->motor"].shape == (3, 4, 32, 8)


def test_every_block_about_looking_inside_runs(workspace, capsys):
    scope = run_blocks("docs/inside.md", shorten, capsys)
    assert scope["shares"].shape == (2,) and scope["curves"].mean.shape == (8, 64)
    assert scope["rest"].states.shape[1] == 64


def test_every_block_about_robustness_runs(workspace, capsys):
    for preset, seed, out in (("lane-cfc", "1", "a-s1"), ("lane-cfc", "2", "a-s2"), ("lane-lstm", "1", "b")):
        words = ["train", preset, "--seed", seed, "--steps", "4", "--out", f"runs/{out}"]
        assert cli.main(shorten(words)) == 0, capsys.readouterr().err

    def typed(words: list[str]) -> list[str]:
        few = ["--shifts", "gain", "brightness", "--option", "max_steps=20"]
        return replaced(words, {"16": "2"}, robustness=few)

    scope = run_blocks("docs/robustness.md", typed, capsys)
    assert "| a-s1 | 2 |" in (workspace / "runs/robustness/robustness.md").read_text()
    assert scope["matrix"].policies == ("straight_to_the_goal", "expert")


def test_the_readme_names_programs_and_presets_that_exist():
    commands = re.findall(r"^    neuroctl (\w+) ?([\w-]*)", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in commands} <= set(cli.PROGRAMS)
    presets = [word for name, word in commands if name == "train" and not word.startswith("-")]
    assert presets and set(presets) <= set(registry.presets.names())


@pytest.mark.parametrize("name", sorted(cli.PROGRAMS))
def test_every_program_can_be_started_as_a_file(name):
    assert os.path.exists(ROOT / "launch" / f"{name}.py")


def test_work_of_ones_own_runs_on_the_workers(tmp_path):
    [(_, code)] = [block for block in blocks(ROOT / "docs/distributed.md") if block[0] == "python"]
    script = tmp_path / "script.py"
    script.write_text(code)
    result = subprocess.run([sys.executable, "-P", script], capture_output=True, text=True, timeout=100, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "[0.0, 3.0, 6.0, 9.0, 12.0]\n"
