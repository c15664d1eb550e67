"""A recorded episode as a page: a film, what was observed, and curves, moved through together by one slider."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .episode_series import control_dt_s, series_of
from .errors import NeuroctlError
from .page_curves import add_curve, empty_figure
from .page_parts import document
from .progress import NoProgress, Progress
from .recording import Recording
from .storage import atomic_write
from .video import FPS, replay_frames

MOST_FRAMES = 600
"""Of the film, and of observed images; of longer episodes every second is kept, or every third, ..."""
MOST_CURVES = 8
"""In one figure; vectors of more numbers are shown as a map of colours."""
HEIGHT_PX = 220
STYLE = """<style>
.films { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-end }
.films img { border: 1px solid #ddd; width: 20rem; max-width: 100%; image-rendering: pixelated }
.controls { position: sticky; top: 0; background: white; padding: .5rem 0; z-index: 9; display: flex; gap: 1rem }
.controls input { flex: 1; min-width: 5rem }
</style>"""
SCRIPT = """<script>
const episode = JSON.parse(document.getElementById("episode").textContent);
const slider = document.getElementById("step"), button = document.getElementById("play");
const where = document.getElementById("where");  // silent: the slider says it
let playing = null;
function show() {
  const step = slider.valueAsNumber;
  episode.films.forEach(({every, frames}, n) => {
    document.getElementById("film-" + n).src = frames[Math.min(Math.floor(step / every), frames.length - 1)];
  });
  const time = episode.dt_s === null ? "" : `, ${(step * episode.dt_s).toFixed(2)} s`;
  where.textContent = `step ${step} of ${slider.max}${time}`;
  slider.setAttribute("aria-valuetext", where.textContent);
  for (const drawn of Bokeh.documents)
    for (const model of drawn.all_models) if (model.name === "cursor") model.location = step;
}
function pause() { clearInterval(playing); playing = null; button.textContent = "Play"; }
function next() { if (slider.value === slider.max) pause(); else { slider.valueAsNumber += 1; show(); } }
button.addEventListener("click", () => {
  if (playing !== null) return pause();
  if (slider.value === slider.max) slider.value = 0;
  button.textContent = "Pause";
  playing = setInterval(next, episode.frame_ms);
});
slider.addEventListener("input", show);
show();
</script>"""


def replay_page(dataset: str | Path, number: int, path: str | Path, progress: Progress | None = None) -> Path:
    """Write the page of a recorded episode; it opens from disk and needs no network.

    Args:
        dataset: folder of the recording.
        number: of the episode.
        path: the page, `.html`.
        progress: told of the steps that were rendered.

    Raises:
        NeuroctlError: there is no such episode, the environment cannot be rendered, or the file has another ending.
    """
    target = Path(path)
    if target.suffix.lower() != ".html":
        raise NeuroctlError(f"pages end in .html, not {target.name}")
    recording = Recording(dataset)
    episode, info = recording.episode(number), recording.info
    dt_s = control_dt_s(recording)
    parts = dict(series_of(episode))
    every = -(-len(episode) // MOST_FRAMES)
    films = {"film (before each step)": _film(recording, number, every, progress or NoProgress())}
    images = {name: values for name, values in parts.items() if values.ndim > 2}
    films |= {name: _observed(values, every) for name, values in images.items() if name in _newest(list(images))}
    head, drawn, scripts = _curves({name: values for name, values in parts.items() if values.ndim <= 2})
    content = {"films": list(films.values()), "dt_s": dt_s, "frame_ms": 1000 * (1 / FPS if dt_s is None else dt_s)}
    member = "" if info.member is None else f", agent {info.member}"
    said = f"{info.env_id} {info.env_kwargs}, shifts {list(info.shifts)}, played by {info.agent}{member}"
    body = (
        f"<p>{html.escape(said)}</p>{_controls(len(episode))}{_stage(films)}{drawn}{scripts}"
        f'<script type="application/json" id="episode">{_json(content)}</script>{SCRIPT}'
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, document(f"neuroctl: episode {number} of {recording.path.name}", body, STYLE + head))
    return target


def _json(content: Any) -> str:
    """As part of a page: nothing in it ends a script."""
    return json.dumps(content).replace("</", "<\\/")


def _controls(steps: int) -> str:
    return (
        '<div class="controls"><button id="play">Play</button>'
        f'<input id="step" type="range" min="0" max="{steps}" value="0" aria-label="step">'
        '<output id="where" for="step" aria-live="off"></output></div>'
    )


# -- pictures --------------------------------------------------------------------------------------------------


def _film(recording: Recording, number: int, every: int, progress: Progress) -> dict[str, Any]:
    """The rendered episode, before every so many of its steps."""
    frames = []
    for frame in replay_frames(recording, number, every):
        frames.append(_data_url(frame, "jpeg", quality=80))
        progress.advance(every)
    return {"every": every, "frames": frames}


def _newest(names: Sequence[str]) -> set[str]:
    """Of the frames of a stack (`observation/0`, `observation/1`, ...) the last one's name, and all other names."""
    last = {re.sub(r"/[0-9-]+$", "/", name): name for name in names}
    return set(last.values())


def _observed(images: NDArray[Any], every: int) -> dict[str, Any]:
    """Observed images, every so many steps, without loss; of others than an 8-bit camera's, 0 is grey."""
    images = images[::every]
    if images.dtype != np.uint8:
        largest = max(float(np.abs(images).max()), 1e-9)
        images = np.rint(128 + 127 * images / largest).astype(np.uint8)
    return {"every": every, "frames": [_data_url(image, "png") for image in images]}


def _data_url(image: NDArray[np.uint8], kind: str, **options: Any) -> str:
    from imageio.v3 import imwrite

    data: Any = imwrite("<bytes>", image, extension=f".{kind}", **options)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _stage(films: Mapping[str, Any]) -> str:
    shown = "".join(
        f"<figure><figcaption>{name}</figcaption>"
        f'<img id="film-{n}" alt="{name} at this step" src="{film["frames"][0]}"></figure>'
        for n, (name, film) in enumerate((html.escape(name), film) for name, film in films.items())
    )
    return f'<div class="films">{shown}</div>'


# -- curves ----------------------------------------------------------------------------------------------------


def _curves(parts: Mapping[str, NDArray[Any]]) -> tuple[str, str, str]:
    """Scripts for the head, figures, and what draws them."""
    from bokeh.embed import components
    from bokeh.models import DataRange1d
    from bokeh.resources import Resources

    shared = DataRange1d(range_padding=0)
    script, drawings = components({name: _figure(values, shared) for name, values in parts.items()})
    figures = "".join(
        f"<figure><figcaption>{html.escape(name)}</figcaption>"
        f'<div role="img" aria-label="{html.escape(name)} against step">{drawings[name]}</div></figure>'
        for name in parts
    )
    return Resources(mode="inline", components=["bokeh"]).render(), f'<div class="curves">{figures}</div>', script


def _figure(values: NDArray[Any], shared: Any) -> Any:
    """A curve for each number `[T, D]`, or a map of colours; and a line where the slider is."""
    from bokeh.models import ColumnDataSource, HoverTool
    from bokeh.models.annotations import ColorBar, Span
    from bokeh.models.mappers import LinearColorMapper

    table = values.reshape(len(values), -1).astype(np.float64)
    made = empty_figure(HEIGHT_PX, shared)
    if table.shape[1] > MOST_CURVES:
        size = {"x": 0, "y": 0, "dw": len(table), "dh": table.shape[1]}
        colors = LinearColorMapper(palette="Viridis256", low=float(table.min()), high=float(table.max()))
        made.image([np.ascontiguousarray(table.T)], **size, color_mapper=colors)
        made.add_layout(ColorBar(color_mapper=colors), "right")
        made.add_tools(HoverTool(tooltips=[("step", "$x{0}"), ("number", "$y{0}"), ("value", "@image")]))
    else:
        for d, column in enumerate(table.T):
            source = ColumnDataSource({"x": np.arange(len(table)), "y": column})
            add_curve(made, source, str(d), d, table.shape[1] > 1, "number")
    made.add_layout(Span(location=0, dimension="height", line_color="black", line_dash="dashed", name="cursor"))
    return made
