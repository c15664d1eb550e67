"""The pixels of an event camera: three models of when a change of light becomes an event.

- `"linear"`: at most one event per pixel and frame, where |I - ref| > C; then ref := I. As gazebo_dvs_plugin does
  (https://github.com/HBPNeurorobotics/gazebo_dvs_plugin), there with grey values 0 to 255.
- `"log"`: L = ln(eps + I), linear in time between two frames; every crossing of ref +- C is an event, and moves ref
  by C. As ESIM does (Rebecq et al. 2018, "ESIM: an Open Event Camera Simulator", CoRL).
- `"noisy"`: the same crossings with L linear in the dark and logarithmic above, a threshold of its own for each pixel
  and polarity, leak events, shot noise and a refractory time. After v2e (Hu et al. 2021, arXiv 2006.07722).

The options are checked here; the loops over pixels are in `event_kernels`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import shown
from neuroctl.errors import NeuroctlError, UnknownNameError

from .retina import LEVELS

EVENT = np.dtype([("t_s", np.float64), ("row", np.int16), ("column", np.int16), ("polarity", np.int8)])
"""One event: time since the last frame in (0, frame interval], pixel, +1 (brighter) or -1 (darker)."""

DEFAULTS: dict[str, dict[str, float]] = {
    "linear": {"threshold": 10 / 255},
    "log": {"threshold": 0.2, "log_eps": 0.001, "refractory_s": 0.0},
    "noisy": {"threshold": 0.2, "threshold_spread": 0.03, "leak_hz": 0.01, "shot_hz": 0.001, "refractory_s": 0.0005},
}
"""The options of each model, and their values where none are given."""

TOLERANCE = 1e-6
"""Thresholds are compared to this accuracy, so that the rounding of float32 images decides nothing."""
LEAST_THRESHOLD = 0.001
LEAST_DRAWN_THRESHOLD = 0.01
"""Where v2e cuts off the distribution of thresholds."""
LINEAR_BELOW = 20.0
"""Grey value (0 to 255) up to which v2e's curve is linear."""
STEPS = 4096
"""Of brightness, from black to white, in `event_levels`."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PixelModel:
    """A model and its options; an option that the model does not have is 0.

    Attributes:
        model: `"linear"`, `"log"` or `"noisy"`.
        threshold: C, in units of I (linear) or of ln I; the mean where pixels differ.
        log_eps: eps of ln(eps + I).
        refractory_s: events that follow a pixel's last one within this time are dropped; ref moves all the same.
        threshold_spread: standard deviation of C, drawn for each pixel, ON and OFF apart, and cut off below at 0.01.
        leak_hz: ON events per pixel and second without a cause: ref sinks by C in 1 / leak_hz.
        shot_hz: events per pixel and second of a Poisson process, half of them ON; each sets ref to L.

    Raises:
        NeuroctlError: an option is out of range.
    """

    model: str
    threshold: float
    log_eps: float = 0.0
    refractory_s: float = 0.0
    threshold_spread: float = 0.0
    leak_hz: float = 0.0
    shot_hz: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range; that of the threshold depends on `log_eps`."""
        self._check("log_eps", *((1e-6, 1.0) if self.model == "log" else (0.0, 0.0)))
        self._check("threshold", LEAST_THRESHOLD, self.span)
        self._check("threshold_spread", 0.0, self.threshold)
        self._check("refractory_s", 0.0, 10.0)
        self._check("leak_hz", 0.0, 1000.0)
        self._check("shot_hz", 0.0, 1000.0)

    def _check(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not (number and low <= value <= high):
            raise NeuroctlError(
                f"{name} of event model {self.model!r} is {shown(value)}; allowed: {low:g} to {high:.4g}"
            )

    @property
    def span(self) -> float:
        """How far apart black and white are to a pixel, in units of the threshold."""
        span: float = 1.0 if self.model == "linear" else curve(1.0, self.log_eps) - curve(0.0, self.log_eps)
        return span

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return self.threshold_spread > 0 or self.leak_hz > 0 or self.shot_hz > 0

    def most_events(self, dt_s: float) -> float:
        """A number of events that no pixel exceeds in a frame of `dt_s`."""
        if self.model == "linear":
            return 1.0
        least = min(self.threshold, LEAST_DRAWN_THRESHOLD) if self.threshold_spread else self.threshold
        shots = self.shot_hz * dt_s
        return (1 + shots) * (self.span / least + 2) + self.leak_hz * dt_s + 10 * math.sqrt(shots)


def pixel_model(model: str, **options: float | None) -> PixelModel:
    """The model of this name, with its default for each option that is None.

    Raises:
        NeuroctlError: there is no such model, it has no such option, or a value is out of range.
    """
    if not isinstance(model, str) or model not in DEFAULTS:
        raise UnknownNameError("event model", model if isinstance(model, str) else shown(model), DEFAULTS)
    given = {name: value for name, value in options.items() if value is not None}
    if foreign := [name for name in given if name not in DEFAULTS[model]]:
        raise NeuroctlError(f"event model {model!r} has no {foreign[0]}; it has: {', '.join(DEFAULTS[model])}")
    return PixelModel(model, **(DEFAULTS[model] | given))


@njit(cache=True, nogil=True)
def curve(intensity, log_eps):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """L(I) = ln(eps + I); where eps is 0, v2e's lin-log curve of the grey value 255 I."""
    if log_eps > 0:
        return np.log(log_eps + intensity)
    grey = 255.0 * intensity
    return grey * (np.log(LINEAR_BELOW) / LINEAR_BELOW) if grey <= LINEAR_BELOW else np.log(grey)


def grey_curve(log_eps: float) -> Floats:
    """`curve` of the grey levels k/255, `[256]`."""
    return np.array([curve(float(level), log_eps) for level in LEVELS])


def event_levels(log_eps: float) -> NDArray[np.uint8]:
    """The grey levels at which a pixel may have an event, if it has one when L reaches a goal; `[2, STEPS + 4]`.

    Column k is for goals from k - 2 to k - 1 steps above black, `STEPS` of which lead to white; the first and the last
    are for all goals beyond. x = 255 I; levels above 254 count as 254, so that a byte holds two more, always and never.

    - Row 0, ON: L may be as high as the goal where ceil(x) is at least this; 255: nowhere.
    - Row 1, OFF: L may be as low as the goal where floor(x) is less than this; 0: nowhere.
    """
    black, white = curve(0.0, log_eps), curve(1.0, log_eps)
    # A tenth of a step to spare is more than TOLERANCE and all rounding.
    goals = black + (np.arange(-2, STEPS + 2) + np.array([[-0.1], [1.1]])) * ((white - black) / STEPS)
    grey = 255 * (np.exp(goals) - log_eps)
    if not log_eps:
        grey = np.where(goals <= np.log(LINEAR_BELOW), goals * (LINEAR_BELOW / np.log(LINEAR_BELOW)), grey / 255)
    on = np.where(grey[0] > 255, 255, np.clip(np.ceil(grey[0]), 0, 254))
    off = np.where(grey[1] < 0, 0, np.clip(np.floor(grey[1]), 0, 254) + 1)
    return np.stack([on, off]).astype(np.uint8)


@njit(cache=True, nogil=True, inline="always")
def brightness(row, log_eps, table, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write `curve` of float32 intensities `[m]` in [0, 1] to `out`; grey levels k/255 are looked up."""
    others = 0
    for c in range(len(row)):
        grey = row[c] * np.float32(255)
        others += np.floor(grey) != grey
        out[c] = grey
    for c in range(len(row)):
        out[c] = table[np.int64(out[c]) & 255]
    for c in range(len(row) if others > 0 else 0):
        if not _is_level(row[c]):
            out[c] = curve(np.float64(row[c]), log_eps)


@njit(cache=True, nogil=True, inline="always")
def brightness_of(intensity, log_eps, table):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """What `brightness` writes for one float32 intensity."""
    if _is_level(intensity):
        return table[np.int64(intensity * np.float32(255)) & 255]
    return curve(np.float64(intensity), log_eps)


@njit(cache=True, nogil=True, inline="always")
def _is_level(intensity):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    grey = intensity * np.float32(255)
    return np.floor(grey) == grey
