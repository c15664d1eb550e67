"""The page of one run or several: self-contained, complete, and safe against what is in names."""

import dataclasses
import re

import pytest

import neuroctl
from neuroctl import registry, robustness_pages
from neuroctl.config import DemonstrationsConfig
from neuroctl.errors import DamagedFileError, NeuroctlError
from neuroctl.evaluation import evaluate, save_evaluation
from neuroctl.reporting import report
from neuroctl.robustness_plan import robustness
from neuroctl.run import Run
from neuroctl.training import train


def make_run(name, out):
    config = registry.presets.load(name)()
    small = {"hidden_size": 8, "features": 6, "sequence_length": 8, "batch_size": 2}
    config = dataclasses.replace(
        config,
        env=dataclasses.replace(config.env, observation="state", max_steps=20),
        agent=dataclasses.replace(config.agent, **small),
        demonstrations=DemonstrationsConfig(episodes=1),
        steps=4,
        log_every=2,
    )
    return train(config, out=out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    pair = [make_run("lane-cfc", folder / "first<b>&"), make_run("lane-mlp", folder / "second")]
    for run in pair:
        save_evaluation(run.path, evaluate(run.path, episodes=2).summary())
        save_evaluation(run.path, evaluate(run.path, episodes=2, shifts=["action-noise:2"]).summary())
    return pair


def without_curves(page):
    """The page without scripts, which hold a library, and the numbers below the curves."""
    return re.sub("<script.*?</script>|<details>.*?</details>", "", page, flags=re.DOTALL)


def test_the_page_of_a_run_has_every_section_and_needs_no_other_file(runs):
    path = report(runs[0].path)
    assert path == runs[0].path / "report.html"
    page = path.read_text()
    headings = re.findall("<h2>(.*?)</h2>", page)
    shown = "first&lt;b&gt;&amp;"
    expected = ["Learning", "Closed loop", f"Connectivity of {shown}"]
    assert headings == [*expected, "Reproduce", "Configuration", "Versions"]
    page = without_curves(page)
    sources = re.findall(r'(?:src|href)="(.{0,20})', page)
    assert len(sources) == 3 and all(source.startswith("data:") for source in sources)
    assert "first<b>" not in page


def test_the_page_holds_the_figures_of_the_evaluations_and_the_configuration(runs):
    page = report(runs[0].path).read_text()
    result = evaluate(runs[0].path, episodes=2).summary()
    assert f"<td>{result['return_iqm']:.1f}</td>" in page and f"<td>{result['return_mean']:.1f}</td>" in page
    assert "<td>clean</td>" in page and "<td>action-noise-2</td>" in page
    assert "&quot;hidden_size&quot;: 8" in page
    assert neuroctl.__version__ in page


def test_a_comparison_names_every_run(runs, tmp_path):
    path = report(*(run.path for run in runs), out=tmp_path / "new" / "both.html")
    page = path.read_text()
    assert path == tmp_path / "new" / "both.html"
    assert without_curves(page).count("<td>second</td>") == 2
    assert page.count('aria-label="loss against step: first&lt;b&gt;&amp; ') == 1
    assert "<h2>Connectivity of second</h2>" not in page, "a feed-forward policy has no recurrent weights"


def test_runs_of_the_same_name_are_told_apart(runs, tmp_path):
    twin = make_run("lane-mlp", tmp_path / "second")
    page = report(runs[1].path, twin.path, out=tmp_path / "both.html").read_text()
    assert f"<h3>{runs[1].path}</h3>" in page and f"<h3>{twin.path}</h3>" in page


def test_a_run_that_was_only_begun_has_a_page(runs, tmp_path):
    page = report(Run.create(runs[0].config, tmp_path / "begun").path).read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["Learning", "Reproduce", "Configuration", "Versions"]


def test_a_report_of_nothing_is_refused(tmp_path):
    with pytest.raises(NeuroctlError, match="name at least one run folder"):
        report()
    with pytest.raises(NeuroctlError, match="no run at"):
        report(tmp_path)


def test_a_page_shows_a_robustness_matrix(runs, tmp_path):
    folder = tmp_path / "robustness"
    kwargs = {"max_steps": 20, "observation": "state"}
    matrix = robustness(
        runs[0].path, "zero", cache=tmp_path / "cache", shifts=["gain"], severities=[5], episodes=3, env_kwargs=kwargs
    )
    robustness_pages.write(matrix, folder)
    page = report(runs[0].path, robustness=folder).read_text()
    section = page.partition("<h2>Robustness</h2>")[2].partition("<h2>")[0]
    headline = matrix.headline("zero")
    assert f"<td>zero</td><td>1</td><td>{headline.value:.2f}</td>" in section
    assert "neuroctl/LaneFollow-v0: 1 shifts at severities 5, 3 episodes under each" in section
    assert section.count('src="data:image/png;base64,') == 3 and section.count("alt=") == 3
    assert "first<b>" not in page


def test_a_folder_without_a_matrix_or_with_a_damaged_one_is_refused(runs, tmp_path):
    with pytest.raises(NeuroctlError, match="there is no robustness matrix in .*: neuroctl robustness writes one"):
        report(runs[0].path, robustness=tmp_path)
    for content in ("{}", "[]", '{"policies": {"a": {}}}', "{"):
        (tmp_path / "robustness.json").write_text(content)
        with pytest.raises(DamagedFileError, match="robustness.json"):
            report(runs[0].path, robustness=tmp_path)
