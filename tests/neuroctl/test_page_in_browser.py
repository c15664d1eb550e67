"""The page as Chromium shows it: figures are drawn, nothing complains or asks the network, names for all, any width."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroctl
from neuroctl import registry
from neuroctl.page_replay import replay_page
from neuroctl.reporting import report

from .pages import line, make_run, served

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the package chromium")
IDLE = "() => window.Bokeh && Bokeh.documents.length > 0 && Bokeh.documents.every(each => each.is_idle)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


class Visit:
    """A page at an address, and what it said and asked for."""

    def __init__(self, browser: Any, address: str, width: int = 1280) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900})
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_function(IDLE)

    def drawn(self) -> list[int]:
        """Pixels that are bluer than red, as the first curve is, for each figure."""
        from io import BytesIO

        from imageio.v3 import imread

        shots = [imread(BytesIO(figure.screenshot())) for figure in self.page.locator("[role=img]").all()]
        return [int((shot[..., 2].astype(int) - shot[..., 0] > 60).sum()) for shot in shots]


@pytest.fixture
def run(tmp_path: Path) -> Any:
    lines = [line(n, loss=3 / n, zeal=float(np.sin(n)), **{"episode/return": float(n)}) for n in range(1, 60)]
    return make_run(tmp_path / "run", *lines)


@pytest.mark.parametrize("width", [1280, 390])
def test_every_figure_is_drawn_at_any_width_without_the_network(browser: Any, run: Any, width: int) -> None:
    path = report(run.path)
    visit = Visit(browser, path.as_uri(), width)
    assert len(visit.drawn()) == 3 and min(visit.drawn()) > 150, visit.drawn()
    assert visit.complaints == [] and visit.requests == [path.as_uri()]
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


def test_films_can_be_played_and_pictures_are_whole(browser: Any, tmp_path: Path) -> None:
    config = registry.presets.load("lane-mlp")()
    env = replace(config.env, observation="state", max_steps=12)
    demonstrations = replace(config.demonstrations, episodes=1)
    run = neuroctl.train(replace(config, env=env, demonstrations=demonstrations, steps=2), out=tmp_path / "run")
    visit = Visit(browser, report(run.path, play=True).as_uri())
    visit.page.wait_for_function("[...document.images].every(image => image.complete)")
    assert visit.page.evaluate("[...document.images].map(image => image.naturalWidth > 300)") == [True]
    visit.page.wait_for_function("document.querySelector('video').readyState > 0", timeout=5000)
    assert visit.page.evaluate("document.querySelector('video').duration") == pytest.approx(0.24, abs=0.02)
    assert visit.page.locator("video[aria-label='film of clean, episode 0: in real time']").count() == 1
    assert visit.complaints == []


def test_everything_has_a_name_and_what_can_be_opened_is_reached_by_keys(browser: Any, run: Any) -> None:
    page = Visit(browser, report(run.path).as_uri()).page
    assert page.get_by_role("img", name="loss against step: run 3 to 0.05085").count() == 1
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("html[lang=en]").count() == page.get_by_role("main").count() == 1
    page.keyboard.press("Tab")
    for _ in range(50):
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1


def test_curves_and_progress_move_while_the_run_goes_on(browser: Any, run: Any) -> None:
    with served(run.path) as address:
        visit = Visit(browser, address)
        bar = visit.page.get_by_role("progressbar", name="run")
        assert bar.get_attribute("value") == "59"
        with (run.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(line(300, loss=0.01, zeal=0.0, **{"episode/return": 300.0})) + "\n")
        visit.page.wait_for_function("document.getElementById('progress-0').value == 300")
        ends = "Bokeh.documents[0].get_model_by_name('loss of run').data.x.at(-1)"
        assert visit.page.evaluate(ends) == 300
        with (run.path / "metrics.jsonl").open("a") as file:  # a metric that was not there: the page is loaded anew
            file.write(json.dumps(line(400, loss=0.01, **{"evaluation/return": 7.0})) + "\n")
        visit.page.get_by_role("img", name="evaluation/return against step").wait_for()
        visit.page.wait_for_function(IDLE)
        assert len(visit.drawn()) == 4
    visit.page.get_by_text("No answer: is neuroctl view still running?").wait_for()


def test_a_page_of_a_run_that_has_just_begun_gets_its_curves(browser: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with served(run.path) as address:
        page = browser.new_page()
        page.goto(address)
        page.get_by_text("No metrics yet.").wait_for()
        (run.path / "metrics.jsonl").write_text(json.dumps(line(1, loss=0.5)) + "\n")
        page.get_by_role("img", name="loss against step: run 0.5 to 0.5").wait_for()
        page.wait_for_function(IDLE)
        assert page.locator("#connection").text_content() == ""


def test_an_episode_is_moved_through_by_keys_and_plays(browser: Any, tmp_path: Path) -> None:
    kwargs = {"observation": "retina", "max_steps": 12}
    neuroctl.record("expert", tmp_path / "d", episodes=1, env_id="neuroctl/LaneFollow-v0", env_kwargs=kwargs)
    path = replay_page(tmp_path / "d", 0, tmp_path / "episode.html")
    visit = Visit(browser, path.as_uri())
    page, where = visit.page, visit.page.locator("#where")
    films = [
        page.get_by_role("img", name=f"{name} at this step") for name in ("film (before each step)", "observation")
    ]
    before = [film.get_attribute("src") for film in films]
    assert where.text_content() == "step 0 of 12, 0.00 s" and len(visit.drawn()) == 3
    page.get_by_role("slider", name="step").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert where.text_content() == "step 5 of 12, 0.10 s"
    after = [film.get_attribute("src") for film in films]
    assert all(a != b for a, b in zip(before, after, strict=True))
    cursors = "Bokeh.documents.flatMap(d => [...d.all_models]).filter(m => m.name === 'cursor').map(m => m.location)"
    assert page.evaluate(cursors) == [5, 5, 5]
    assert page.get_by_role("slider", name="step").get_attribute("aria-valuetext") == "step 5 of 12, 0.10 s"
    shown = page.evaluate("episode.films[0].frames.indexOf(document.getElementById('film-0').src)")
    assert shown == 5
    page.evaluate("episode.films[0].every = 2; show()")  # as on the page of a long episode
    assert page.evaluate("episode.films[0].frames.indexOf(document.getElementById('film-0').src)") == 2
    page.get_by_role("button", name="Play").click()
    page.get_by_text("step 12 of 12").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # at the end it stops
    assert visit.complaints == [] and [url for url in visit.requests if not url.startswith("data:")] == [path.as_uri()]
