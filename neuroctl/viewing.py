"""The page of runs while they train, served on this machine alone: curves and progress move, the rest is as of loading.

`neuroctl view RUN` starts it. It reads the run's files, as `neuroctl report` does, and never writes.
"""

from __future__ import annotations

import contextlib
import html
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .checks import checked_integer
from .errors import NeuroctlError
from .page_curves import points, source_name
from .reporting import names_of, page
from .run import Run

ADDRESS = "127.0.0.1"
HOSTS = r"(localhost|127\.0\.0\.1)"
"""Names under which the page is served: another site's name that points here is refused."""
PORT = 8400
SECONDS = 2
"""Between two looks at the runs."""

POLL = """<script>
async function look() {
  try {
    const now = await (await fetch("now")).json();
    now.progress.forEach((state, n) => {
      document.getElementById("progress-" + n).value = state.step;
      document.getElementById("state-" + n).textContent = state.said;
    });
    for (const [name, data] of Object.entries(now.curves)) {
      const source = Bokeh.documents.map(d => d.get_model_by_name(name)).find(found => found);
      if (!source) { location.reload(); return; }
      source.data = data;
    }
    document.getElementById("connection").textContent = "";
  } catch (error) {
    document.getElementById("connection").textContent = "No answer: is neuroctl view still running?";
  }
  setTimeout(look, EVERY_MS);
}
setTimeout(look, EVERY_MS);
</script>""".replace("EVERY_MS", str(1000 * SECONDS))


def progress_of(run: Run, now: float | None = None) -> dict[str, Any]:
    """How far a run is: its `step`, the `steps` it is to make, and both in words, with the time since its last line.

    Args:
        run: the run.
        now: seconds since the epoch; the clock's when absent.
    """
    lines, steps = run.metrics(), run.config.steps
    if not lines:
        return {"step": 0, "steps": steps, "said": f"0 of {steps} steps; no metrics yet"}
    step, rate = int(lines[-1]["step"]), lines[-1]["steps_per_s"]
    said = f"{step} of {steps} steps"
    if step < steps:
        age = (time.time() if now is None else now) - (run.path / "metrics.jsonl").stat().st_mtime
        left = f"{(steps - step) / rate:.0f} s left at {rate:.3g} steps/s; " if rate > 0 else ""
        said += f"; {left}last line {max(age, 0.0):.0f} s ago"
    return {"step": step, "steps": steps, "said": said}


def state_of(runs: Sequence[Run]) -> dict[str, Any]:
    """What moves on the page: `progress` of each run, and `curves` by the names of their data sources."""
    named = names_of(runs)
    curves = points({name: run.metrics() for name, run in named.items()})
    return {
        "progress": [progress_of(run) for run in runs],
        "curves": {source_name(key, name): data for key, by in curves.items() for name, data in by.items()},
    }


def live_page(runs: Sequence[Run]) -> str:
    """The page of `neuroctl report`, with progress, that looks for news every `SECONDS`."""
    bars = [
        f'<p><label for="progress-{n}">{html.escape(name)}</label>: '
        f'<span id="state-{n}">{html.escape(at["said"])}</span><br>'
        f'<progress id="progress-{n}" max="{at["steps"]}" value="{at["step"]}"></progress></p>'
        for n, (name, at) in enumerate((name, progress_of(run)) for name, run in names_of(runs).items())
    ]
    return page(runs, extra="".join(bars) + '<p id="connection" role="status"></p>' + POLL)


def application(runs: Sequence[Path]) -> Any:
    """The web application, for Tornado's servers.

    Raises:
        NeuroctlError: no run is given, or one does not exist.
    """
    from tornado.web import Application, RequestHandler

    if not runs:
        raise NeuroctlError("name at least one run folder")
    opened = [Run(path) for path in runs]

    class Page(RequestHandler):
        def get(self) -> None:
            self.write(live_page(opened))

    class Now(RequestHandler):
        def get(self) -> None:
            self.write(state_of(opened))

    made: Any = Application()
    made.add_handlers(HOSTS, [("/", Page), ("/now", Now)])
    return made


def serve(runs: Sequence[Path], port: int = PORT, ready: Any = None) -> None:
    """Serve the page of runs on this machine until Ctrl-C.

    Args:
        runs: run folders.
        port: 0 takes one that is free.
        ready: called with the page's address when it can be opened.

    Raises:
        NeuroctlError: there is no such run, or the port is in use.
    """
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop

    checked_integer("port", port, 0, 65535)
    made = application(runs)
    try:
        listening = socket.create_server((ADDRESS, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise NeuroctlError(f"port {port} cannot be used ({why}); choose another with --port") from None
    listening.setblocking(False)
    server = HTTPServer(made)
    server.add_socket(listening)
    if ready is not None:
        ready(f"http://{ADDRESS}:{listening.getsockname()[1]}/")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            IOLoop.current().start()
    finally:
        server.stop()
