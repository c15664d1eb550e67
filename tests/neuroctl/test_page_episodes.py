"""Episodes that are played for a run's page: which, the same bits as when they were evaluated, what is shown."""

import dataclasses
import re

import numpy as np
import pytest

from neuroctl import page_episodes, registry
from neuroctl.errors import NeuroctlError
from neuroctl.evaluation import evaluate, save_evaluation
from neuroctl.page_episodes import Chosen, activity_figure, chosen
from neuroctl.recording import Recording
from neuroctl.reporting import report
from neuroctl.run import Run
from neuroctl.training import train

from .test_reporting import make_run


def evaluated(run, *conditions, episodes=3, options=()):
    """Summaries of evaluations, kept in the run folder."""
    found = [evaluate(run.path, episodes=episodes, shifts=shifts).summary() for shifts in conditions]
    for summary in found:
        save_evaluation(run.path, summary, options)
    return found


@pytest.fixture
def run(tmp_path):
    return make_run("lane-cfc", tmp_path / "run")


def played(run):
    return [Recording(path) for path in page_episodes.play(run)]


def test_the_worst_episode_is_the_one_that_was_evaluated_bit_for_bit(run):
    summaries = evaluated(run, [], ["action-noise:5", "gain:5"])
    clean, worst = played(run)
    assert clean.numbers() == [0] and clean.info.shifts == ()
    assert clean.index[0]["return"] == summaries[0]["returns"][0]
    lowest = min(value for summary in summaries for value in summary["returns"])
    (number,) = worst.numbers()
    assert worst.index[number]["return"] == lowest == summaries[1]["returns"][number]
    assert worst.info.shifts == ("action-noise:5", "gain:5")


def test_what_was_played_is_kept_until_a_worse_one_is_evaluated(run):
    evaluated(run, [])
    _, worst = played(run)
    films = sorted((run.path / "played").rglob("*.mp4"))
    before = [film.stat().st_mtime_ns for film in films]
    assert len(films) == 2 and played(run)[1].path == worst.path
    assert [film.stat().st_mtime_ns for film in films] == before
    lowest = min(evaluated(run, ["gain:5", "action-noise:5"])[0]["returns"])
    _, worst = played(run)
    assert worst.info.shifts == ("gain:5", "action-noise:5")
    assert [worst.index[n]["return"] for n in worst.numbers()] == [lowest]


def test_a_damaged_recording_is_made_again(run):
    (clean,) = played(run)
    (clean.path / "episodes" / "000000.npz").write_bytes(b"no")
    assert played(run)[0].check() == []
    (clean.path / "dataset.json").write_text("{")
    assert played(run)[0].check() == []


def test_evaluations_with_options_or_of_other_checkpoints_do_not_count(run):
    evaluated(run, [], episodes=1)
    step = run.config.steps
    assert chosen(run, step, [None]) == [Chosen("clean")], "the worst of all is the first clean one"
    evaluated(run, ["gain:5"], options=["seed=3"])
    assert chosen(run, step, [None]) == [Chosen("clean")]
    evaluated(run, ["gain:5"])
    assert len(chosen(run, step, [None])) == 2
    assert chosen(run, step + 1, [None]) == [Chosen("clean")]


def test_the_page_shows_films_and_units(run, tmp_path):
    assert "Episodes of" not in report(run.path).read_text()
    evaluated(run, ["gain:5"])
    page = report(run.path, out=tmp_path / "page.html", play=True).read_text()
    section = page.partition("<h2>Episodes of run</h2>")[2].partition("<h2>")[0]
    said = re.findall("<p>(.*?): return (.*?) in 20 steps</p>", section)
    assert [which for which, _ in said] == ["clean, episode 0", f"gain:5, episode {chosen(run, 4, [None])[1].number}"]
    assert section.count('<video controls aria-label="film of ') == 2
    assert section.count('<img alt="activity in ') == 2
    assert report(run.path).read_text().count("<video") == 2, "what was played once is shown again"


def test_a_population_of_spiking_agents_shows_its_worst_agent_spikes_and_synapses(tmp_path):
    config = registry.presets.load("spore-ball-sums")()
    short = dataclasses.replace(config, evaluation_options=("max_steps=30",), num_envs=3, steps=40)
    run = train(short, out=tmp_path / "spiking")
    (summary,) = evaluated(run, [], episodes=2)
    clean, worst = played(run)
    assert clean.info.member == 0
    place = int(np.argmin(summary["returns"]))
    assert worst.info.member == place // 2 and worst.numbers() == [place % 2]
    assert worst.index[place % 2]["return"] == summary["returns"][place]
    assert worst.episode(place % 2).neural["motor"].dtype.kind == "u"
    page = report(run.path).read_text()
    assert f"clean, episode {place % 2}, agent {place // 2}: return" in page
    assert 'alt="weights of the synapses of the first agent"' in page


def test_spikes_are_points_and_other_units_a_map():
    spikes = np.zeros((6, 3), np.uint16)
    spikes[4, 1] = 2
    figure = activity_figure({"motor": spikes, "units": np.arange(12.0).reshape(6, 2)}, control_dt_s=0.5)
    raster, units = figure.axes[:2]
    assert raster.lines[0].get_xydata().tolist() == [[2.0, 1.0]]
    assert np.array_equal(units.images[0].get_array(), np.arange(12.0).reshape(6, 2).T)
    assert raster.get_xlim() == units.get_xlim() == (0.0, 3.0) and units.get_xlabel() == "time, s"
    assert activity_figure({"motor": spikes}).axes[0].get_xlabel() == "step"


def test_an_environment_without_pictures_has_no_film(run, monkeypatch):
    def renders_nothing(*_):
        raise NeuroctlError("Robot renders nothing")

    monkeypatch.setattr(page_episodes, "replay_frames", renders_nothing)
    (clean,) = played(run)
    assert clean.numbers() == [0] and not list(clean.path.glob("*.mp4"))
    page = report(run.path).read_text()
    assert "<video" not in page and page.count('alt="activity in clean, episode 0"') == 1


def test_a_run_without_a_checkpoint_is_refused(run, tmp_path):
    with pytest.raises(NeuroctlError, match="checkpoint"):
        page_episodes.play(Run.create(run.config, tmp_path / "begun"))
