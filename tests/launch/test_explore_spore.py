import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuroctl.config import parse_options
from neuroctl.errors import NeuroctlError
from neuroctl.launch import explore_spore, presets
from neuroctl.launch.explore_spore import main
from neuroctl.launch.variants import differences, varied
from neuroctl.run import Run


def test_a_variant_changes_agent_rule_and_environment_and_nothing_else() -> None:
    preset = presets.spore_lane()
    made: Any = varied(preset, "event_gain=0.5  rule.gradient_scale=2 env.start=random")
    assert made.agent.event_gain == 0.5
    assert made.env.start == "random"
    before: Any = preset
    changed = parse_options(made.agent.rule_options)
    assert changed == {**parse_options(before.agent.rule_options), "gradient_scale": 2}
    same: Any = varied(preset, "")
    assert (same.env, same.agent.event_gain) == (before.env, before.agent.event_gain)
    assert parse_options(same.agent.rule_options) == parse_options(before.agent.rule_options)


def test_another_rule_begins_with_its_own_defaults() -> None:
    made: Any = varied(presets.spore_ball(), "rule=r-stdp rule.tau_plus=10")
    assert made.agent.rule_options == ("tau_plus=10",)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("event_gian=1", "event_gian"),
        ("env.strat=fixed", "strat"),
        ("rules.temperature=1", "rules"),
        ("event_gain", "name=value"),
        ("event_gain=1 event_gain=2", "twice"),
    ],
)
def test_a_wrong_variant_is_refused_before_anything_runs(tmp_path: Path, variant: str, words: str) -> None:
    with pytest.raises(NeuroctlError, match=words):
        main(["lane", "--variants", "", variant, "--out", str(tmp_path / "out"), "--results", str(tmp_path)])
    assert not (tmp_path / "out").exists()


def write_curve(path: Path, seconds: list[list[float]], trials: list[list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"step": 45_000 * (k + 1), "reward": [0.0] * len(s), "trials": t, "successes": t, "trial_s": s}
        for k, (s, t) in enumerate(zip(seconds, trials, strict=True))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_everything_that_was_tried_is_listed_with_the_worst_and_the_best_agent(tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = replace(varied(presets.spore_ball_sums(), "drive_mv=1 rule.episode_length=200"), num_envs=2, seed=12)
    Run.create(config, out / "sums/one@0.5h-2-s11")
    write_curve(out / "sums/one@0.5h-2-s11.curve.jsonl", [[60, 30], [6, 20]], [[1, 3], [3, 2]])
    Run.create(replace(presets.spore_lane(), num_envs=2), out / "lane/preset@0.5h-2-s11")
    write_curve(out / "lane/preset@0.5h-2-s11.curve.jsonl", [[6, 20]], [[3, 2]])
    assert main(["lane", "--out", str(out), "--results", str(tmp_path)]) == 0
    table = (tmp_path / "spore_tuning.md").read_text()
    assert "| drive_mv=1.0 rule.episode_length=200 | 2 | 35.0 6.0 | 10.0 | 2.0 |" in table
    assert "| the preset | 2 | 6.0 | 2.0 | 10.0 |" in table
    assert "populations of the root seeds 0, 12." in table


@pytest.mark.parametrize(
    "variant", ["", "event_gain=0.5 rule.gradient_scale=2", "env.start=fixed rule.initial=(1.0,0.5)"]
)
def test_what_differs_from_the_preset_makes_the_variant_again(variant: str) -> None:
    made = varied(presets.spore_lane(), variant)
    said = differences(made, presets.spore_lane())
    assert varied(presets.spore_lane(), said.replace("the preset", "")) == varied(presets.spore_lane(), variant)
    assert (said == "the preset") == (variant == "")


def test_a_variant_is_trained_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "SIMULATED_HOUR", 2000)
    arguments = ["sums", "--variants", "drive_mv=1.0 env.max_steps=100", "--hours", "0.25", "--agents", "2"]
    arguments += ["--out", str(tmp_path / "out"), "--results", str(tmp_path)]
    assert main(arguments) == 0
    (curve,) = (tmp_path / "out/sums").glob("*.curve.jsonl")
    first = curve.read_bytes()
    assert json.loads(first)["step"] == 500
    monkeypatch.setattr("neuroctl.train", None)  # nothing is trained again
    assert main(arguments) == 0
    assert curve.read_bytes() == first


def test_a_variant_of_a_preset_that_was_another_is_refused(tmp_path: Path) -> None:
    arguments = ["sums", "--variants", "drive_mv=1.0", "event_gain=0.5", "--out", str(tmp_path / "out")]
    Run.create(
        replace(varied(presets.spore_ball_sums(), "event_gain=0.5 readout_ms=7.0"), num_envs=8, seed=11),
        tmp_path / "out/sums/event_gain=0.5@1h-8-s11",
    )
    with pytest.raises(NeuroctlError, match=r"event_gain=0.5@1h-8-s11 holds a run with agent.readout_ms 7.0, asked is"):
        main([*arguments, "--results", str(tmp_path)])
    assert not (tmp_path / "out/sums/drive_mv=1.0@1h-8-s11").exists()  # refused before anything ran


@pytest.mark.parametrize("hours", ["0.1", "0.3", "nan", "inf", "0", "-1"])
def test_hours_are_whole_lines(tmp_path: Path, hours: str) -> None:
    line = f"hours is {hours}; allowed: multiples of 0.25; see python launch/explore_spore.py --help"
    with pytest.raises(NeuroctlError, match=line):
        main(["sums", "--hours", hours, "--out", str(tmp_path), "--results", str(tmp_path)])


def test_a_grid_is_drawn_of_all_its_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in (("LEARNING_RATES_PER_S", (1e-4, 1e-3)), ("TEMPERATURES", (0.0, 1.0))):
        monkeypatch.setattr(explore_spore, name, values)
    monkeypatch.setattr(explore_spore, "_train", lambda curve, config: None)
    for rate in ("0.0001", "0.001"):
        for temperature in ("0", "1"):
            variant = f"learning_rate_per_s={rate} temperature={temperature}"
            run = tmp_path / f"out/sums/{variant}@1h-8-s11"
            write_curve(run.with_name(f"{run.name}.curve.jsonl"), [[10, 20]], [[1, 1]])
            varied_config = varied(presets.spore_ball_sums(), variant)
            Run.create(replace(varied_config, num_envs=8, seed=11, checkpoint_every=45_000, keep_checkpoints=1), run)
    assert main(["sums", "--grid", "--out", str(tmp_path / "out"), "--results", str(tmp_path)]) == 0
    assert (tmp_path / "spore_grid_sums.png").stat().st_size > 5000


def test_nothing_is_written_from_an_empty_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sums", f"--out={tmp_path / 'cache'}", f"--results={tmp_path / 'results'}"]) == 0
    assert capsys.readouterr().out == "nothing trained yet\n"
    assert not (tmp_path / "results").exists()
