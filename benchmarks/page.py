"""Curves in a page: how long Chromium takes to draw 10,000 points again when an axis changes (Debian: chromium)."""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from neuroctl import registry
from neuroctl.reporting import report
from neuroctl.run import Run

REDRAW = """async (repeats) => {
  const range = Bokeh.documents[0].get_model_by_name("loss of run") && [...Bokeh.documents[0].all_models]
    .find(model => model.type === "DataRange1d" && model.start === 0);
  const frame = () => new Promise(requestAnimationFrame);
  const spent = [];
  for (let n = 0; n < repeats; n++) {
    await frame();
    const start = performance.now();
    range.end = 10000 * (1 + (n % 2));
    await frame(); await frame();
    spent.push(performance.now() - start);
  }
  return spent;
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = Run.create(registry.presets.load("lane-mlp")(), Path(folder) / "run")
        rng = np.random.default_rng(0)
        lines = ({"step": n, "loss": float(rng.random()), "time_s": 1.0, "steps_per_s": 1.0} for n in range(10_000))
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(report(run.path).as_uri())
        page.wait_for_function("() => window.Bokeh && Bokeh.documents.every(each => each.is_idle)")
        spent = page.evaluate(REDRAW, options.repeats)
        browser.close()
    print(
        f"10,000 points redrawn in {np.median(spent):.1f} ms (median of {options.repeats}, up to two frames of 16.7 ms)"
    )
    print(f"slowest {max(spent):.1f} ms; target 50 ms")


if __name__ == "__main__":
    main()
