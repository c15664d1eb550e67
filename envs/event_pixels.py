"""The pixels of an event camera: three models of when a change of light becomes an event.

- `"linear"`: at most one event per pixel and frame, where |I - ref| > C; then ref := I. As gazebo_dvs_plugin does
  (https://github.com/HBPNeurorobotics/gazebo_dvs_plugin), there with grey values 0 to 255.
- `"log"`: L = ln(eps + I), linear in time between two frames; every crossing of ref +- C is an event, and moves ref
  by C. As ESIM does (Rebecq et al. 2018, "ESIM: an Open Event Camera Simulator", CoRL).
- `"noisy"`: the same crossings with L linear in the dark and logarithmic above, a threshold of its own for each pixel
  and polarity, leak events, shot noise and a refractory time. After v2e (Hu et al. 2021, arXiv 2006.07722).

The kernels are scalar loops, so that what a pixel does depends on its own values alone. They take rows of pixels
without a branch, which the compiler vectorises, and choose those that have an event; only through these do they go one
by one. What is marked `inline="always"` must be: arrays that leave the function are not known to be apart.
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
CHUNK = 1024
"""Pixels that `crossing_frame` takes at a time: many against the cost of a start, few enough for the nearest cache."""
MOST_CROSSINGS = 2**15
"""Of a pixel from one frame or shot to the next: more than there are in frames of up to 10 s."""
SHOT = 2
"""The flag of a pixel with a shot; that of one with a crossing only is 1."""

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
    numbers = [generator.poisson(rate_hz * dt_s * pixels) for generator in generators]
    if not any(numbers):
        return Shots(first, signs, places, signs)
    first[1:] = np.cumsum(numbers)
    draws = [generator.random((2, k)) for generator, k in zip(generators, numbers, strict=True) if k]
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
        grey = row[c] * np.float32(255)
        others += np.floor(grey) != grey
        out[c] = grey
    for c in range(len(row)):
        out[c] = table[np.int64(out[c]) & 255]
    for c in range(len(row) if others > 0 else 0):
        if not _is_level(row[c]):
            out[c] = curve(np.float64(row[c]), log_eps)


@njit(cache=True, nogil=True, inline="always")
def _brightness_of(intensity, log_eps, table):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """What `brightness` writes for one float32 intensity."""
    if _is_level(intensity):
        return table[np.int64(intensity * np.float32(255)) & 255]
    return curve(np.float64(intensity), log_eps)


@njit(cache=True, nogil=True, inline="always")
def _is_level(intensity):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    grey = intensity * np.float32(255)
    return np.floor(grey) == grey


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
def crossing_frame(images, constants, shots, memory, windows, counts, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The events of pixels of the models `"log"` and `"noisy"` at new frames.

    Args:
        images: I, float32 `[n, m]`.
        constants: C, leak rate, refractory time, frame interval, eps, `grey_curve(eps)`.
        shots: see `Shots`.
        memory: ref as it would be without the leak, the last images (float32) and the time of the last event, all
            `[n, m]`; the time since the start `[n]`; all are brought up to date. Thresholds for ON and OFF, float32
            `[n, 2, m]`. m is 0 for the images where times do not matter, for the time of the last event without a
            refractory time, and for the thresholds where all are C.
        windows: row, column and window of each pixel, int32 `[m, 3]`.
        counts: float32 `[n, K, P]`, overwritten: events per window; P is 2 for ON and OFF apart, else 1.
        out: `EVENT [e]`, overwritten with the first e events.
    """
    threshold, leak_hz, refractory_s, dt_s, log_eps, table = constants
    reference, last, event_s, clock_s, thresholds = memory
    timed, clocked, varied = last.shape[1] > 0, event_s.shape[1] > 0, thresholds.shape[2] > 0
    buffer, same, found = np.empty(CHUNK), np.full(CHUNK, threshold), 0
    fires, chosen = np.empty(CHUNK, np.uint8), np.empty(CHUNK, np.int64)
    counts[:] = 0
    for b in range(len(images)):
        first, start_s = shots.first[b], clock_s[b]
        clock_s[b] += dt_s
        for low in range(0, images.shape[1], CHUNK):
            high = min(low + CHUNK, images.shape[1])
            light, ref, shot = buffer[: high - low], reference[b, low:high], first
            brightness(images[b, low:high], log_eps, table, light)
            if varied:
                on_off = thresholds[b, 0, low:high], thresholds[b, 1, low:high]
                _compare(light, ref, on_off[0], on_off[1], leak_hz * clock_s[b], fires)
            else:
                _compare(light, ref, same, same, leak_hz * clock_s[b], fires)
            while shot < shots.first[b + 1] and shots.pixels[shot] < high:
                fires[shots.pixels[shot] - low] = SHOT
                shot += 1
            left = _choose(fires[: high - low], chosen)
            if found >= len(out):
                cells, at = windows[low:high], (b, low, start_s)
                left = _cross(
                    light, ref, cells, (fires, chosen, left), constants, at, last, event_s, thresholds, counts
                )
            for j in range(left):
                c, stop, begin, since_s = low + chosen[j], first, 0.0, refractory_s
                on = np.float64(thresholds[b, 0, c]) if varied else threshold
                off = np.float64(thresholds[b, 1, c]) if varied else threshold
                while stop < shot and shots.pixels[stop] == c:
                    stop += 1
                if timed:
                    begin = _brightness_of(last[b, c], log_eps, table) - reference[b, c] + leak_hz * start_s * on
                if clocked:
                    since_s = start_s - event_s[b, c]
                levels, times = (begin, light[chosen[j]], on, off), (since_s, refractory_s, dt_s)
                place = b, windows[c, 0], windows[c, 1], windows[c, 2]
                moved, event, found = _walk(levels, times, shots, (first, stop), place, counts, out, found)
                reference[b, c], first = reference[b, c] + moved, stop
                if clocked:
                    event_s[b, c] = start_s + event
            for c in range(low, high if timed else low):
                last[b, c] = images[b, c]


@njit(cache=True, nogil=True, inline="always")
def _compare(light, ref, on, off, leaked, fires):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Turn L into L - ref, and mark in `fires` where that reaches a threshold; ref has sunk by `leaked` C."""
    for c in range(len(light)):
        difference = light[c] - ref[c] + leaked * on[c]
        fires[c] = (difference + TOLERANCE >= on[c]) | (TOLERANCE - difference >= off[c])
        light[c] = difference


@njit(cache=True, nogil=True, inline="always")
def _choose(flags, chosen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write where `flags` are not 0, and return in how many places; without a branch, as none could be foreseen."""
    k = 0
    for c in range(len(flags)):
        chosen[k] = c
        k += flags[c] != 0
    return k


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _cross(light, ref, cells, choice, constants, at, last, event_s, thresholds, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Take chosen pixels to the new frame; those with shots or with events to be dropped, maybe, stay in `chosen`."""
    threshold, leak_hz, refractory_s, dt_s, log_eps, table = constants
    (fires, chosen, k), (b, low, start_s), left = choice, at, 0
    varied, clocked, soon_s = thresholds.shape[2] > 0, event_s.shape[1] > 0, 1.01 * refractory_s + 1e-9
    for j in range(k):
        c, on, off = chosen[j], threshold, threshold
        if fires[c] == SHOT:
            chosen[left] = c
            left += 1
            continue
        if varied:
            on, off = np.float64(thresholds[b, 0, low + c]), np.float64(thresholds[b, 1, low + c])
        sign, step = (1.0, on) if light[c] > 0 else (-1.0, off)
        number = np.floor((abs(light[c]) + TOLERANCE) / step)
        moved = sign * number * step
        if clocked:
            begin = _brightness_of(last[b, low + c], log_eps, table) - ref[c] + leak_hz * start_s * on
            pace = dt_s / (light[c] - begin)
            first_s, last_s = (sign * step - begin) * pace, (moved - begin) * pace
            # The tolerance of crossings shifts events by less than the hundredth, rounding by less than 1 ns.
            if (start_s + first_s - event_s[b, low + c] < soon_s) | (sign * step * pace < soon_s):
                chosen[left] = c
                left += 1
                continue
            event_s[b, low + c] = start_s + (max(last_s, 0.0) if last_s < dt_s else dt_s)
        counts[b, cells[c, 2], 0 if sign > 0 else counts.shape[2] - 1] += number
        ref[c] += moved
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(levels, times, shots, own, place, counts, out, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """One pixel from a frame to the next: how far ref moved, time of the last event, and events found so far."""
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
        for j in range(1, int(min(crossings, MOST_CROSSINGS)) + 1):
            time = now + min(max((sign * j * step - difference) * pace, 1e-12), until - now)
            if time - previous >= refractory_s:
                counts[place[0], place[3], 0 if sign > 0 else -1] += 1
                found, previous = _write(place[1:3], time, sign, out, found), time
        moved += sign * crossings * step
        difference, now = goal - sign * crossings * step, until
        if is_shot:
            if until - previous >= refractory_s:
                counts[place[0], place[3], 0 if shots.signs[k] > 0 else -1] += 1
                found, previous = _write(place[1:3], until, shots.signs[k], out, found), until
            difference, moved = 0.0, moved + difference
    return moved, previous, found


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
