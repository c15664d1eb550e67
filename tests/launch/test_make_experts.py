"""The program that trains experts: the best seed is kept, and the network that is written acts as the policy does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl.envs import trained_experts
from neuroctl.launch import make_experts
from neuroctl.launch.make_experts import Arguments, config, folder, main
from neuroctl.launch.program import run
from neuroctl.storage import read_json


def test_the_best_seed_is_written_and_acts_as_its_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = config

    def short(task: str, seed: int) -> Any:
        from dataclasses import replace

        made: Any = whole(task, seed)
        agent = replace(made.agent, rollout_length=10, anneal_updates=4)
        env = replace(made.env, id="neuroctl/Hopper-v5")
        return replace(made, env=env, agent=agent, steps=40, log_every=20, checkpoint_every=40)

    monkeypatch.setattr(make_experts, "config", short)
    monkeypatch.setattr(make_experts, "PRESETS", {"Hopper-v5": "ppo-walker2d"})
    monkeypatch.setattr(make_experts, "ZOO", {"Hopper-v5": (2410.4, 10.0)})
    places = {name: tmp_path / name for name in ("out", "experts", "results")}
    words = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    assert main(["--tasks", "Hopper-v5", "--seeds", "1", "2", "--episodes", "2", *words]) == 0

    options = Arguments(tasks=("Hopper-v5",), seeds=(1, 2), episodes=2, out=places["out"])
    means = [np.mean(read_json(places["out"] / f"ppo-walker2d-s{seed}-e2.json")["returns"]) for seed in (1, 2)]
    best = 1 + int(np.argmax(means))
    monkeypatch.setattr(trained_experts, "FOLDER", places["experts"])
    trained_experts.expert_of.cache_clear()
    assert trained_experts.made_by("Hopper-v5") == {"preset": "ppo-walker2d", "seed": best, "steps": 40}
    obs = np.random.default_rng(0).normal(size=(50, 11))
    policy = neuroctl.load(folder(options, short("Hopper-v5", best)))
    np.testing.assert_allclose(trained_experts.expert_of("Hopper-v5").act(obs), policy.act(obs), atol=1e-5)
    [row] = [line for line in (places["results"] / "mujoco_experts.md").read_text().splitlines() if "| Hopper" in line]
    assert f"{means[0]:.0f}, {means[1]:.0f}" in row and row.endswith("| 2410 +- 10 |")
    trained_experts.expert_of.cache_clear()


def test_tasks_without_a_preset_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["--tasks", "Ant-v5"]) == 2
    assert "unknown task 'Ant-v5'; known: HalfCheetah-v5, Walker2d-v5" in capsys.readouterr().err
