"""`neuroctl evaluate` on a run and on scripted agents, and `record`, `replay --policy` and `report` of that run."""

import json

import pytest

from neuroctl.launch.cli import main
from neuroctl.recording import Recording

LANE = ["--env", "neuroctl/LaneFollow-v0", "--option", "max_steps=15"]
OPTIONS = "--steps 4 --checkpoint-every 2 --env.observation state --env.max-steps 20 --evaluate-every 2"
OPTIONS += " --demonstrations.episodes 2 --agent.batch-size 2 --agent.hidden-size 8 --agent.sequence-length 8"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run"
    assert main(["train", "lane-cfc", *OPTIONS.split(), "--out", str(path)]) == 0
    return path


def evaluated(capsys, *arguments):
    capsys.readouterr()
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_holds_every_episode_and_the_figures(run, capsys):
    result = evaluated(capsys, run, "--episodes", 5, "--seed", 3)
    assert len(result["returns"]) == len(result["lengths"]) == len(result["seeds"]) == result["episodes"] == 5
    assert result["return_mean"] == pytest.approx(sum(result["returns"]) / 5)
    assert result["return_iqm_low"] <= result["return_iqm"] <= result["return_iqm_high"]
    assert 0 <= result["success_rate"] <= 1 and max(result["lengths"]) <= 20
    assert result["shifts"] == [] and result["env"] == "neuroctl/LaneFollow-v0"


def test_the_same_command_gives_the_same_numbers_and_fewer_episodes_are_the_first_of_them(run, capsys):
    result = evaluated(capsys, run, "--episodes", 5)
    assert result == evaluated(capsys, run, "--episodes", 5)
    assert evaluated(capsys, run, "--episodes", 3)["returns"] == result["returns"][:3]
    assert evaluated(capsys, run, "--episodes", 5, "--seed", 1)["seeds"] != result["seeds"]


def test_a_run_is_evaluated_under_shifts_options_and_at_its_checkpoints(run, capsys):
    plain = evaluated(capsys, run, "--episodes", 3)
    shifted = evaluated(capsys, run, "--episodes", 3, "--shift", "gain:4", "--shift", "action-noise:3")
    assert shifted["shifts"] == ["gain:4", "action-noise:3"] and shifted["returns"] != plain["returns"]
    assert evaluated(capsys, run, "--episodes", 3, "--option", "max_steps=7")["lengths"] == [7, 7, 7]
    assert evaluated(capsys, run, "--episodes", 3, "--checkpoint", 0)["returns"] != plain["returns"]
    assert evaluated(capsys, run, "--episodes", 3, "--checkpoint", 4)["returns"] == plain["returns"]
    assert evaluated(capsys, run, "--episodes", 3, "--checkpoint", "best")["episodes"] == 3


def test_the_experts_table_says_who_where_and_how_well(capsys):
    assert main(["evaluate", "expert", *LANE, "--episodes", "3", "--shift", "gain:1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == "expert in neuroctl/LaneFollow-v0 under gain:1, 3 episodes"
    assert [line.split()[0] for line in lines[1:]] == ["return", "length", "success"]
    assert lines[2] == "length   15.0 steps" and lines[3] == "success  100.0%"
    assert err.startswith("evaluating: 3/3 episodes")


def test_no_episode_of_a_scripted_agent_is_kept_anywhere(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluated(capsys, "zero", *LANE, "--episodes", 1)
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_of_a_run_stands_in_its_report(run, capsys):
    evaluated(capsys, run, "--episodes", 3, "--shift", "friction:1")
    capsys.readouterr()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"report: {run / 'report.html'}\n"
    assert "<td>friction-1</td>" in (run / "report.html").read_text()


def test_a_runs_own_episodes_are_recorded_and_its_policy_repeats_them(run, capsys, tmp_path):
    assert main(["record", str(run), "--episodes", "3", "--out", str(tmp_path / "d")]) == 0
    assert Recording(tmp_path / "d").info.agent == str(run)
    capsys.readouterr()
    assert main(["replay", str(tmp_path / "d"), "--verify", "--policy"]) == 0
    assert capsys.readouterr().out == "physics: 3 of 3 episodes exact\npolicy: 3 of 3 episodes exact\n"
    result = evaluated(capsys, run, "--episodes", 3)
    assert [Recording(tmp_path / "d").index[n]["return"] for n in range(3)] == result["returns"]


def test_all_members_of_a_population_count_and_one_has_no_interval(capsys, tmp_path):
    arguments = ["--steps", "20", "--checkpoint-every", "20", "--num-envs", "3", "--env.max-steps", "20"]
    path = str(tmp_path / "run")
    assert main(["train", "spore-ball-sums", *arguments, "--out", path]) == 0
    capsys.readouterr()
    assert main(["evaluate", path, "--episodes", "2", "--option", "max_steps=20"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("evaluating: 6/6 episodes") and "0 s left" in err
    assert "6 episodes, 3 agents" in out and "(95% bootstrap over 3 members of one run)" in out
    assert main(["evaluate", path, "--episodes", "2", "--option", "max_steps=20", "--member", "1"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("evaluating: 2/2 episodes")
    assert "2 episodes, 1 agents" not in out
    assert out.splitlines()[1].endswith(" IQM")
    assert main(["report", path]) == 0
    rows = [row for row in (tmp_path / "run/report.html").read_text().split("<tr>") if "member=1" in row]
    assert len(rows) == 1 and "<td></td>" in rows[0] and " .. " not in rows[0]
