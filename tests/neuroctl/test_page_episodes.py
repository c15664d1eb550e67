"""Episodes that are played for a run's page: which, the same bits as when they were evaluated, what is shown."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest

from neuroctl import page_episodes, registry
from neuroctl.errors import DamagedFileError, NeuroctlError
from neuroctl.evaluation import evaluate, save_evaluation
from neuroctl.page_episodes import Chosen, activity_figure, chosen, played
from neuroctl.progress import NoProgress
from neuroctl.reporting import report
from neuroctl.rollouts import trained_players
from neuroctl.run import Run
from neuroctl.training import train

from .test_reporting import make_run


def evaluated(run, *conditions, episodes=3, options=()):
    """Summaries of evaluations, kept in the run folder."""
    found = [evaluate(run.path, episodes=episodes, shifts=shifts).summary() for shifts in conditions]
    for summary in found:
        save_evaluation(run.path, summary, options)
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_run("lane-cfc", tmp_path_factory.mktemp("trained") / "run")


@pytest.fixture
def run(trained, tmp_path):
    """One that was not evaluated yet."""
    shutil.copytree(trained.path, tmp_path / "run")
    return Run(tmp_path / "run")


def worst_of(run, folder, members=(None,)):
    """The worst episode that was evaluated, and a recording of it."""
    step, trees = run.checkpoints.load()
    each = chosen(run, step, members)[-1]
    players = trained_players(str(run.path), run.config, trees["agent"], step)
    return each, played(run, players[each.member or 0], each, folder)


def test_the_worst_episode_is_the_one_that_was_evaluated_bit_for_bit(run, tmp_path):
    summaries = evaluated(run, [], ["action-noise:5", "gain:5"])
    each, recording = worst_of(run, tmp_path / "recording")
    assert recording.numbers() == [each.number] and recording.info.shifts == each.shifts
    lowest = min(value for summary in summaries for value in summary["returns"])
    assert recording.index[each.number]["return"] == lowest == summaries[1]["returns"][each.number]
    assert each.shifts == ("action-noise:5", "gain:5") and recording.check() == []


def test_evaluations_with_options_or_of_other_checkpoints_do_not_count(run):
    evaluated(run, [], episodes=1)
    step = run.config.steps
    assert chosen(run, step, [None]) == [Chosen()], "the worst of all is the first clean one"
    evaluated(run, ["gain:5"], options=["seed=3"])
    assert chosen(run, step, [None]) == [Chosen()]
    (summary,) = evaluated(run, ["gain:5"])
    assert len(chosen(run, step, [None])) == 2
    assert chosen(run, step + 1, [None]) == [Chosen()]
    save_evaluation(run.path, {**summary, "members": [7] * 3})
    assert chosen(run, step, [None]) == [Chosen()], "not of agents that are not there"


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"options": None}, "options is None"),
        ({"shifts": "gain:5"}, "shifts is 'gain:5'"),
        ({"returns": ["much"]}, r"returns is \['much'\]"),
        ({"returns": []}, r"returns is \[\]"),
        ({"returns": [float("nan")]}, r"returns is \[nan\]"),
        ({"members": [0]}, r"members is \[0\]"),
        ({"members": 3}, "members is 3"),
        ({"checkpoint": "x"}, "checkpoint is 'x'"),
        ({"return_iqm": None}, "return_iqm is None"),
    ],
)
def test_a_damaged_evaluation_is_named(run, change, wrong):
    (summary,) = evaluated(run, [], episodes=2)
    path = run.path / "evaluations" / "clean.json"
    path.write_text(json.dumps({**summary, "options": [], **change}))
    with pytest.raises(DamagedFileError, match=f"clean.json is damaged: {wrong}; delete it, and evaluate again"):
        report(run.path)


def test_an_evaluation_that_is_no_summary_is_named(run):
    evaluated(run, [], episodes=2)
    (run.path / "evaluations" / "clean.json").write_text("[]")
    with pytest.raises(DamagedFileError, match="clean.json is damaged: it is no summary of an evaluation"):
        report(run.path)


class Counted(NoProgress):
    """What a progress was told."""

    count = 0

    def advance(self, amount=1, note=""):
        self.count += amount


def test_the_page_shows_films_and_units(run, tmp_path, monkeypatch):
    assert "Episodes of" not in report(run.path).read_text()
    progress = Counted()
    page = report(run.path, out=tmp_path / "page.html", play=True, progress=progress).read_text()
    assert page.count("<video") == 1 and progress.count == 2
    evaluated(run, ["gain:5"])
    files = sorted(run.path.rglob("*"))
    monkeypatch.setattr(page_episodes, "MOST_FRAMES", 5)
    page = report(run.path, out=tmp_path / "page.html", play=True, progress=progress).read_text()
    assert sorted(run.path.rglob("*")) == files and progress.count == 4
    section = page.partition("<h2>Episodes of run</h2>")[2].partition("<h2>")[0]
    assert section.startswith("<p>Checkpoint of step 4.</p>")
    said = re.findall("<p>([^<]*?): return ([^<]*?) in 20 steps</p>", section)
    assert [which for which, _ in said] == ["clean, episode 0", f"gain:5, episode {chosen(run, 4, [None])[1].number}"]
    assert (
        section.count('<video controls aria-label="film of ')
        == section.count(": one step in 4, in real time</figcap")
        == 2
    )
    assert section.count('<img alt="activity in ') == 2
    assert f"neuroctl record {run.path} --episodes {chosen(run, 4, [None])[1].number + 1} --shift gain:5" in section


@pytest.mark.parametrize(("every", "frames"), [(1, 20), (3, 7)])
def test_a_film_lasts_as_long_as_the_episode(run, tmp_path, every, frames):
    import imageio_ffmpeg

    _, recording = worst_of(run, tmp_path / "recording")
    (tmp_path / "film.mp4").write_bytes(page_episodes._film(recording, 0, every, 0.02))
    count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))
    assert count == frames and seconds == pytest.approx(0.02 * every * frames, abs=0.02)


def test_a_population_of_spiking_agents_shows_its_worst_agent_spikes_and_synapses(tmp_path):
    config = registry.presets.load("spore-ball-sums")()
    short = dataclasses.replace(config, evaluation_options=("max_steps=30",), num_envs=3, steps=40)
    run = train(short, out=tmp_path / "spiking")
    (summary,) = evaluated(run, [], episodes=2)
    each, worst = worst_of(run, tmp_path / "recording", members=(0, 1, 2))
    place = int(np.argmin(summary["returns"]))
    assert (each.member, each.number) == (worst.info.member, worst.numbers()[0]) == divmod(place, 2)
    assert worst.index[place % 2]["return"] == summary["returns"][place]
    assert worst.episode(place % 2).neural["motor"].dtype.kind == "u"
    page = report(run.path, play=True).read_text()
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


def test_an_environment_without_pictures_has_no_film(run, tmp_path, monkeypatch):
    def nothing(_):
        raise NeuroctlError("Robot renders nothing")

    monkeypatch.setattr(page_episodes, "replay_frames", lambda *_: map(nothing, [0]))
    page = report(run.path, play=True).read_text()
    assert "<video" not in page and page.count('alt="activity in clean, episode 0"') == 1


def test_a_run_without_a_checkpoint_is_refused(trained, tmp_path):
    with pytest.raises(NeuroctlError, match="checkpoint"):
        report(Run.create(trained.config, tmp_path / "begun").path, play=True)
