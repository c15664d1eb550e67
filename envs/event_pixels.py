"""The pixels of an event camera: three models of when a change of light becomes an event.

- `"linear"`: at most one event per pixel and frame, where |I - ref| > C; then ref := I. As gazebo_dvs_plugin does
  (https://github.com/HBPNeurorobotics/gazebo_dvs_plugin), there with grey values 0 to 255.
- `"log"`: L = ln(eps + I), linear in time between two frames; every crossing of ref +- C is an event, and moves ref
  by C. As ESIM does (Rebecq et al. 2018, "ESIM: an Open Event Camera Simulator", CoRL).
- `"noisy"`: the same crossings with L linear in the dark and logarithmic above, a threshold of its own for each pixel
  and polarity, leak events, shot noise and a refractory time. After v2e (Hu et al. 2021, arXiv 2006.07722).

The kernels are scalar loops, so that what a pixel does depends on its own values alone. They take rows of pixels
without a branch, which the compiler vectorises; only where the time of an event matters do they go through the pixels
one by one. What is marked `inline="always"` must be: arrays that leave the function are not known to be apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError, UnknownNameError

from .retina import LEVELS
from .vector_tools import shown

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
        raise UnknownNameError("event model", str(model), DEFAULTS)
    given = {name: value for name, value in options.items() if value is not None}
    if foreign := [name for name in given if name not in DEFAULTS[model]]:
        raise NeuroctlError(f"event model {model!r} has no {foreign[0]}; it has: {', '.join(DEFAULTS[model])}")
    return PixelModel(model, **(DEFAULTS[model] | given))


class Shots(NamedTuple):
    """Noise events of n rows in one frame.

    Attributes:
        first: row b's are `first[b]` to `first[b + 1]`, int64 `[n + 1]`.
        pixels: index of the pixel, int64 `[m]`, ascending in a row.
        times_s: since the last frame, in (0, frame interval], ascending in a pixel, `[m]`.
        signs: +1 or -1, int64 `[m]`.
    """

    first: NDArray[np.int64]
    pixels: NDArray[np.int64]
    times_s: Floats
    signs: NDArray[np.int64]


def draw_shots(generators: Sequence[np.random.Generator], rate_hz: float, dt_s: float, pixels: int, n: int) -> Shots:
    """Poisson noise of `rate_hz` per pixel over `dt_s` in n rows, each from its own stream; none at rate 0."""
    first, places, signs = np.zeros(n + 1, np.int64), np.zeros(0), np.zeros(0, np.int64)
    if not rate_hz:
        return Shots(first, signs, places, signs)
    first[1:] = np.cumsum([generator.poisson(rate_hz * dt_s * pixels) for generator in generators])
    if first[n]:
        draws = [generator.random((2, k)) for generator, k in zip(generators, np.diff(first), strict=True) if k]
        # Place and time in one number, uniform on (0, pixels]: its whole part is the pixel.
        places = np.concatenate([np.sort((1 - draw[0]) * pixels) for draw in draws])
        signs = np.where(np.concatenate([draw[1] for draw in draws]) < 0.5, 1, -1)
    index = np.ceil(places) - 1
    return Shots(first, index.astype(np.int64), (places - index) * dt_s, signs)


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


@njit(cache=True, nogil=True, inline="always")
def brightness(row, log_eps, table, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write `curve` of float32 intensities `[m]` in [0, 1] to `out`; grey levels k/255 are looked up."""
    others = 0
    for c in range(len(row)):
        out[c] = table[np.int64(row[c] * np.float32(255) + np.float32(0.5)) & 255]
    for c in range(len(row)):
        grey = row[c] * np.float32(255)
        others += np.floor(grey) != grey
    for c in range(len(row) if others > 0 else 0):
        grey = row[c] * np.float32(255)
        if np.floor(grey) != grey:
            out[c] = curve(np.float64(row[c]), log_eps)


@njit(cache=True, nogil=True)
def linear_frame(images, threshold, dt_s, reference, counts, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The events of pixels of the model `"linear"` at new frames.

    Args:
        images: I, float32 `[n, H, W]`.
        threshold: C.
        dt_s: frame interval; all events happen at its end.
        reference: ref, float32 `[n, H, W]`, brought up to date.
        counts: float32 `[n, R, C, P]`, overwritten: events per window; P is 2 for ON and OFF apart, else 1.
        out: `EVENT [m]`, overwritten with the first m events.
    """
    n, height, width = images.shape
    limit, rows, found = np.float32(threshold + TOLERANCE), height // counts.shape[1], 0
    tally = np.empty((2, width))
    counts[:] = 0
    for b in range(n):
        for r in range(height):
            image, ref = images[b, r], reference[b, r]
            for c in range(width if found < len(out) else 0):
                if abs(image[c] - ref[c]) > limit:
                    found = _write((r, c), dt_s, 1 if image[c] > ref[c] else -1, out, found)
            if r % rows == 0:
                tally[:] = 0
            for c in range(width):
                brighter, darker = image[c] - ref[c] > limit, image[c] - ref[c] < -limit
                tally[0, c] += brighter
                tally[1, c] += darker
                ref[c] = image[c] if brighter | darker else ref[c]
            if (r + 1) % rows == 0:
                _count(tally, counts[b, r // rows])


@njit(cache=True, nogil=True, error_model="numpy")
def crossing_frame(images, constants, shots, memory, counts, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The events of pixels of the models `"log"` and `"noisy"` at new frames.

    Args:
        images: I, float32 `[n, H, W]`.
        constants: C, by how many C ref sinks in a frame, refractory time, frame interval, eps, `grey_curve(eps)`.
        shots: see `Shots`.
        memory: ref, the last images (float32) and the time since the last event, all `[n, H, W]` and brought up to
            date; thresholds for ON and OFF, float32 `[n, 2, H, W]`. W is 0 for the images where times do not matter,
            for the time without a refractory time, and for the thresholds where all are C.
        counts: float32 `[n, R, C, P]`, overwritten: events per window; P is 2 for ON and OFF apart, else 1.
        out: `EVENT [m]`, overwritten with the first m events.
    """
    threshold, sink, refractory_s, dt_s, log_eps, table = constants
    reference, last, since_s, thresholds = memory
    n, height, width = images.shape
    rows, found, timed = height // counts.shape[1], 0, last.shape[2] > 0
    begin, end, step, crossings = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    on, off, tally = np.full(width, threshold), np.full(width, threshold), np.empty((2, width))
    walks = np.empty(width, np.bool_)
    counts[:] = 0
    for b in range(n):
        shot = shots.first[b]
        for r in range(height):
            ref = reference[b, r]
            if thresholds.shape[3] > 0:
                on[:], off[:] = thresholds[b, 0, r], thresholds[b, 1, r]
            brightness(images[b, r], log_eps, table, end)
            for c in range(width):
                difference = end[c] - ref[c] + sink * on[c]
                reach = on[c] if difference > 0 else off[c]
                number = np.floor((abs(difference) + TOLERANCE) / reach)
                crossings[c] = number if difference > 0 else -number
                end[c], step[c] = difference, reach
            if r % rows == 0:
                tally[:] = 0
            if timed:
                since, first, wanted = since_s[b, r], shot, found < len(out)
                brightness(last[b, r], log_eps, table, begin)
                for c in range(width):
                    begin[c] -= ref[c]
                    walks[c] = wanted & (crossings[c] != 0)
                while shot < shots.first[b + 1] and shots.pixels[shot] < (r + 1) * width:
                    walks[shots.pixels[shot] - r * width] = True
                    shot += 1
                _clock(begin, end, step, crossings, refractory_s, dt_s, since, walks)
                for c in range(width if _any(walks) else 0):
                    if walks[c]:
                        stop = first
                        while stop < shot and shots.pixels[stop] == r * width + c:
                            stop += 1
                        levels = begin[c], end[c], on[c], off[c]
                        times = since[c] if len(since) > 0 else dt_s, refractory_s, dt_s
                        moved, after_s, found = _walk(levels, times, shots, (first, stop), (r, c), tally, out, found)
                        ref[c], crossings[c], first = ref[c] + moved, 0.0, stop
                        if len(since) > 0:
                            since[c] = min(after_s, refractory_s)
            for c in range(width):
                tally[0, c] += max(crossings[c], 0.0)
                tally[1, c] -= min(crossings[c], 0.0)
                ref[c] += crossings[c] * step[c] - sink * on[c]
            if (r + 1) % rows == 0:
                _count(tally, counts[b, r // rows])
    if timed:
        last[:] = images


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _clock(begin, end, step, crossings, refractory_s, dt_s, since_s, walks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Bring the times since the last event up to date; also mark in `walks` where an event may have to be dropped."""
    soon_s = 1.01 * refractory_s  # the tolerance of crossings shifts events by less than that
    for c in range(len(since_s)):
        s_per_unit = dt_s / (end[c] - begin[c])
        signed, fires = step[c] if end[c] > 0 else -step[c], crossings[c] != 0
        first_s, last_s = (signed - begin[c]) * s_per_unit, (crossings[c] * step[c] - begin[c]) * s_per_unit
        close = (first_s + since_s[c] < soon_s) | (signed * s_per_unit < soon_s)
        walk = walks[c] | (fires & close)
        after_s = dt_s - last_s if fires else since_s[c] + dt_s
        since_s[c] = since_s[c] if walk else min(max(after_s, 0.0), refractory_s)
        walks[c] = walk


@njit(cache=True, nogil=True, inline="always")
def _any(flags):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    total = 0
    for flag in flags:
        total += flag
    return total > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(levels, times, shots, own, place, tally, out, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """One pixel from a frame to the next: how far ref moved, time since the last event, and events found so far."""
    begin, end, on, off = levels
    since_s, refractory_s, dt_s = times
    # L - ref; how far ref has moved; the time; that of the last event. Shots cut the interval into stretches.
    difference, moved, now, previous = begin, 0.0, 0.0, -since_s
    for k in range(own[0], own[1] + 1):
        is_shot = k < own[1]
        until = shots.times_s[k] if is_shot else dt_s
        goal = (begin + (end - begin) * (until / dt_s) if is_shot else end) - moved
        sign, step = (1.0, on) if goal > 0 else (-1.0, off)
        crossings = np.floor((abs(goal) + TOLERANCE) / step)
        pace = (until - now) / (goal - difference)
        for j in range(1, int(crossings) + 1):
            time = now + min(max((sign * j * step - difference) * pace, 1e-12), until - now)
            if time - previous >= refractory_s:
                tally[0 if sign > 0 else 1, place[1]] += 1
                found, previous = _write(place, time, sign, out, found), time
        moved += sign * crossings * step
        difference, now = goal - sign * crossings * step, until
        if is_shot:
            if until - previous >= refractory_s:
                tally[0 if shots.signs[k] > 0 else 1, place[1]] += 1
                found, previous = _write(place, until, shots.signs[k], out, found), until
            difference, moved = 0.0, moved + difference
    return moved, dt_s - previous, found


@njit(cache=True, nogil=True, inline="always")
def _write(place, time_s, sign, out, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    if found < len(out):
        out[found].t_s, out[found].row, out[found].column, out[found].polarity = time_s, place[0], place[1], sign
    return found + 1


@njit(cache=True, nogil=True, inline="always")
def _count(tally, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add the ON and OFF events of columns `[2, W]` to those of a row of windows `[C, P]`."""
    width = tally.shape[1] // len(counts)
    for w in range(len(counts)):
        up, down = 0.0, 0.0
        for c in range(w * width, (w + 1) * width):
            up += tally[0, c]
            down += tally[1, c]
        counts[w, 0] += up
        counts[w, counts.shape[1] - 1] += down
