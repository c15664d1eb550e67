"""`neuroctl report`: one page for one run or several."""

import dataclasses

from neuroctl import registry
from neuroctl.launch.cli import main
from neuroctl.run import Run


def begun(path, name):
    config = registry.presets.load(name)()
    return Run.create(dataclasses.replace(config, env=dataclasses.replace(config.env, observation="state")), path)


def test_a_page_of_several_runs_is_written_where_it_is_asked_for(tmp_path, capsys):
    begun(tmp_path / "one", "lane-cfc"), begun(tmp_path / "two", "lane-mlp")
    arguments = ["report", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "page.html")]
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"report: {tmp_path / 'page.html'}\n"
    assert "neuroctl: one, two" in (tmp_path / "page.html").read_text()


def test_a_folder_that_is_no_run_is_one_line(tmp_path, capsys):
    begun(tmp_path / "one", "lane-cfc")
    assert main(["report", str(tmp_path / "one"), str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: no run at {tmp_path}: it holds no config.json\n"
    assert not (tmp_path / "one" / "report.html").exists()
