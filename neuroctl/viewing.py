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
from .metrics import numbers_of
from .page_curves import points, source_name
from .page_parts import document
from .reporting import names_of, page
from .run import Run

ADDRESS = "127.0.0.1"
HOSTS = r"(localhost|127\.0\.0\.1)"
"""Names under which the page is served: another site's name that points here is refused."""
PORT = 8400
SECONDS = 2
"""Between two looks at the runs."""

POLL = """<script>
function found(name) {  // a page without a metric has no Bokeh
  return window.Bokeh && Bokeh.documents.map(drawn => drawn.get_model_by_name(name)).find(source => source);
}
function put(now) {
  now.progress.forEach((state, n) => {
    document.getElementById("progress-" + n).value = state.step;
    document.getElementById("state-" + n).textContent = state.said;
  });
  const names = Object.keys(now.curves);
  if (names.some(name => !found(name))) return location.reload();
  for (const name of names) found(name).data = now.curves[name];
}
async function look() {
  const began = performance.now();
  const now = await fetch("now").then(answer => answer.json()).catch(() => null);
  document.getElementById("connection").textContent = now ? "" : "No answer: is neuroctl view still running?";
  if (now) put(now);
  setTimeout(look, Math.max(EVERY_MS, 5 * (performance.now() - began)));  // long runs are looked at less often
}
setTimeout(look, EVERY_MS);
</script>""".replace("EVERY_MS", str(1000 * SECONDS))


class Watched:
    """A run whose metrics are read as they are written: of a file that grew, its new lines alone.

    Attributes:
        run: the run.
        steps: that it is to make.
        lines: its metrics so far.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.steps, self.lines = run, run.config.steps, list[dict[str, float]]()
        self._read, self._inode = 0, 0

    def look(self) -> None:
        """Read what is new; all of it when the file is another one, or was cut."""
        path = self.run.path / "metrics.jsonl"
        try:
            state = path.stat()
            if state.st_ino != self._inode or state.st_size < self._read:
                self.lines, self._read, self._inode = [], 0, state.st_ino
            with path.open("rb") as file:
                file.seek(self._read)
                whole, newline, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            self.lines, self._read, self._inode = [], 0, 0
            return
        self._read += len(whole) + len(newline)
        self.lines += numbers_of(whole.decode(errors="replace").splitlines())


def progress_of(watched: Watched, now: float | None = None) -> dict[str, Any]:
    """How far a run is: its `step`, the `steps` it is to make, and both in words, with the time since its last line.

    Args:
        watched: the run, as it was looked at last.
        now: seconds since the epoch; the clock's when absent.
    """
    lines, steps, run = watched.lines, watched.steps, watched.run
    try:
        written = (run.path / "metrics.jsonl").stat().st_mtime
    except FileNotFoundError:
        said = "no metrics yet" if run.path.is_dir() else "the run folder is gone"
        return {"step": 0, "steps": steps, "said": f"0 of {steps} steps; {said}"}
    step, rate = (int(lines[-1]["step"]), lines[-1].get("steps_per_s", 0.0)) if lines else (0, 0.0)
    said = f"{step} of {steps} steps"
    if step < steps:
        age = (time.time() if now is None else now) - written
        left = f"{(steps - step) / rate:.0f} s left at {rate:.3g} steps/s; " if rate > 0 else ""
        said += f"; {left}last line {max(age, 0.0):.0f} s ago"
    return {"step": step, "steps": steps, "said": said}


def state_of(watched: Sequence[Watched]) -> dict[str, Any]:
    """What moves on the page: `progress` of each run, and `curves` by the names of their data sources."""
    for each in watched:
        each.look()
    names = names_of([each.run for each in watched])
    curves = points({name: each.lines for name, each in zip(names, watched, strict=True)})
    return {
        "progress": [progress_of(each) for each in watched],
        "curves": {source_name(key, name): data for key, by in curves.items() for name, data in by.items()},
    }


def live_page(watched: Sequence[Watched]) -> str:
    """The page of `neuroctl report`, with progress, that looks for news every `SECONDS`."""
    runs = [each.run for each in watched]
    bars = [
        f'<p><label for="progress-{n}">{html.escape(name)}</label>: '
        f'<span id="state-{n}">{html.escape(at["said"])}</span><br>'
        f'<progress id="progress-{n}" max="{at["steps"]}" value="{at["step"]}"></progress></p>'
        for n, (name, at) in enumerate(zip(names_of(runs), map(progress_of, watched), strict=True))
    ]
    return page(runs, extra="".join(bars) + '<p id="connection" role="status"></p>' + POLL)


def application(runs: Sequence[Path]) -> Any:
    """The web application, for Tornado's servers.

    Raises:
        NeuroctlError: no run is given, one does not exist, or is named twice.
    """
    from tornado.web import Application, RequestHandler

    if not runs:
        raise NeuroctlError("name at least one run folder")
    watched = [Watched(Run(path)) for path in runs]
    names_of([each.run for each in watched])

    class Page(RequestHandler):
        def get(self) -> None:
            for each in watched:
                each.look()
            try:
                self.write(live_page(watched))
            except NeuroctlError as error:
                self.set_status(500)
                self.write(document("neuroctl", f"<p>{html.escape(str(error))}</p>"))

    class Now(RequestHandler):
        def get(self) -> None:
            self.write(state_of(watched))

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
