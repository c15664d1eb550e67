"""The loops of an event camera over its pixels, for the models of `event_pixels`.

They are scalar, so that what a pixel does depends on its own values alone. Few pixels have an event in a frame. Those
that may have one are found, and their values brought together, without a branch that depends on the image: a wrong
guess costs the processor more than the sums for a pixel. The sums are done side by side, as the compiler vectorises
them. What is marked `inline="always"` must be: arrays that leave the function are not known to be apart.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .event_pixels import STEPS, TOLERANCE, Floats, brightness_of
from .event_shots import due_shots

MOST_CROSSINGS = 2**15
"""Of a pixel from one frame or shot to the next: more than there are in frames of up to 10 s."""
CHUNK = 4096
"""Pixels that `crossing_frame` takes at a time; a multiple of 4, for `_choose`."""
SHOT = 2
"""The flag of a pixel with a shot; that of one that may have a crossing only is 1."""


class Chosen(NamedTuple):
    """Values of the pixels of a row that may have an event, each `[m]`, filled up to their number.

    Attributes:
        light: L, then L - ref.
        before: L of the last image.
        ref: ref without the leak.
        event_s: time of the last event.
        on, off: thresholds.
        crossings: how many; below 0 where it became darker.
        aside: 1 where events may have to be dropped, so that they must be taken one by one.
    """

    light: Floats
    before: Floats
    ref: Floats
    event_s: Floats
    on: Floats
    off: Floats
    crossings: Floats
    aside: NDArray[np.uint8]


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
def crossing_frame(images, constants, tables, ahead, memory, windows, counts, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The events of pixels of the models `"log"` and `"noisy"` at new frames.

    Args:
        images: I, float32 `[n, m]`.
        constants: C, leak rate, refractory time, frame interval, eps.
        tables: `grey_curve(eps)`, `event_levels(eps)`.
        ahead: the rows' next shots, `[n, 3, k]`, see `draw_ahead`; k is 0 where there are none.
        memory: ref as it would be without the leak, the last images (float32) and the time of the last event, all
            `[n, m]`; the time since the start `[n]`; from which levels on a pixel may have an event, uint8 `[n, 2, m]`,
            see `event_levels`; 0 for ON is always right; all are brought up to date. Thresholds for ON and OFF,
            float32 `[n, 2, m]`. m is 0 for the images where times do not matter, for the time of the last event without
            a refractory time, and for the thresholds where all are C.
        windows: row, column and window of each pixel, uint32 `[3, m]`.
        counts: float32 `[n, K, P]`, overwritten: events per window; P is 2 for ON and OFF apart, else 1.
        out: `EVENT [e]`, overwritten with the first e events.
    """
    threshold, leak_hz, refractory_s, dt_s, log_eps = constants
    reference, last, event_s, clock_s, levels, thresholds = memory
    timed, clocked, m, found = last.shape[1] > 0, event_s.shape[1] > 0, images.shape[1], 0
    room = min(CHUNK, -(-m // 4) * 4)
    flags, places, columns = np.zeros(room, np.uint8), np.empty((2, room), np.uint64), np.empty((2, room), np.uint32)
    empty, same, aside = np.empty((5, room)), np.full((2, room), threshold), np.zeros(room, np.uint8)
    own = Chosen(empty[0], empty[1], empty[2], empty[3], same[0], same[1], empty[4], aside)
    # Levels hold for leaks of so many C: few pixels are near an event for so long, and all are looked at but rarely.
    slack, scale = max(np.sqrt(2 * leak_hz * dt_s), 1e-9), STEPS / (tables[0][255] - tables[0][0])
    shots = due_shots(ahead, clock_s, dt_s, m)
    counts[:] = 0
    for b in range(len(images)):
        first, start_s = shots.first[b], clock_s[b]
        clock_s[b] += dt_s
        period = np.floor(leak_hz * clock_s[b] / slack)
        if np.floor(leak_hz * start_s / slack) != period:
            levels[b, 0] = 0
        leaks = start_s, leak_hz * start_s, leak_hz * clock_s[b], (period + 1) * slack
        for low in range(0, m, CHUNK):
            high, shot = min(low + CHUNK, m), first
            image, level, cells = images[b, low:high], levels[b, :, low:high], windows[:, low:high]
            ref, before, event = reference[b, low:high], last[b, low:high], event_s[b, low:high]
            state = ref, before, event, thresholds[b, 0, low:high], thresholds[b, 1, low:high]
            _mark(image, level, flags)
            flags[high - low :] = 0
            while shot < shots.first[b + 1] and shots.pixels[shot] < high:
                flags[shots.pixels[shot] - low] = SHOT
                shot += 1
            number = _choose(flags, places)
            _gather(places[0, :number], image, state, log_eps, tables[0], own)
            _cross(number, leaks, own)
            if clocked:
                _date(number, constants, leaks, own)
            _move(number, leaks, tables[0][0], scale, own, columns)
            choice = flags, places, number, len(out) > 0
            left = _settle(choice, own, columns, tables[1], state, level, cells[2], counts[b])
            for j in range(left):
                c, stop = np.int64(places[1, j]), first
                while stop < shot and shots.pixels[stop] == low + c:
                    stop += 1
                begin = own.before[j] - ref[c] + leaks[1] * own.on[j] if timed else 0.0
                since_s = start_s - event[c] if clocked else refractory_s
                pixel, times = (begin, own.light[j], own.on[j], own.off[j]), (since_s, refractory_s, dt_s)
                place = b, cells[0, c], cells[1, c], cells[2, c]
                moved, event_at_s, found = _walk(pixel, times, shots, (first, stop), place, counts, out, found)
                ref[c], first = ref[c] + moved, stop
                level[0, c] = 0
                if clocked:
                    event[c] = start_s + event_at_s
            for i in range(len(before)):
                before[i] = image[i]


@njit(cache=True, nogil=True, inline="always")
def _mark(image, levels, flags):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Set `flags` to 1 where the image may make an event, else to 0."""
    on, off = levels[0], levels[1]
    for c in range(len(image)):
        grey = min(image[c] * np.float32(255), np.float32(254))
        high, low = np.uint8(np.int32(np.ceil(grey))), np.uint8(np.int32(np.floor(grey)))
        flags[c] = (high >= on[c]) | (low < off[c])


@njit(cache=True, nogil=True, inline="always")
def _choose(flags, places):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write to `places[0]` where `flags` are not 0, and return in how many places; `places[1]` is overwritten."""
    words, (chosen, some) = flags.view(np.uint32), places
    n = k = np.uint64(0)
    for w in range(np.uint64(len(words))):
        some[n] = w
        n += np.uint64(words[w] != 0)
    for j in range(n):
        c = np.uint64(4) * some[j]
        for i in range(np.uint64(4)):
            chosen[k] = c + i
            k += np.uint64(flags[c + i] != 0)
    return np.int64(k)


@njit(cache=True, nogil=True, inline="always")
def _gather(chosen, image, state, log_eps, table, own):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Bring together what is known of the chosen pixels."""
    reference, last, event_s, on, off = state
    for j in range(len(chosen)):
        c = chosen[j]
        own.light[j], own.ref[j] = brightness_of(image[c], log_eps, table), reference[c]
        if len(on) > 0:
            own.on[j], own.off[j] = on[c], off[c]
        if len(last) > 0:
            own.before[j] = brightness_of(last[c], log_eps, table)
        if len(event_s) > 0:
            own.event_s[j] = event_s[c]


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _cross(number, leaks, own):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Count the crossings of the chosen pixels."""
    _, _, now, _ = leaks
    for j in range(number):
        difference = own.light[j] - own.ref[j] + now * own.on[j]
        brighter = difference > 0
        crossings = np.floor((abs(difference) + TOLERANCE) / (own.on[j] if brighter else own.off[j]))
        crossings = crossings if crossings > 0 else 0.0
        own.light[j], own.crossings[j] = difference, crossings if brighter else -crossings


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _date(number, constants, leaks, own):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Find when the chosen pixels have their last event, and put those aside that may drop one."""
    _, _, refractory_s, dt_s, _ = constants
    (start_s, leaked, _, _), soon_s = leaks, 1.01 * refractory_s + 1e-9
    for j in range(number):
        begin = own.before[j] - own.ref[j] + leaked * own.on[j]
        change, pace = own.on[j] if own.light[j] > 0 else -own.off[j], dt_s / (own.light[j] - begin)
        first_s, last_s = (change - begin) * pace, (abs(own.crossings[j]) * change - begin) * pace
        # The tolerance of crossings shifts events by less than the hundredth, rounding by less than 1 ns.
        soon = (start_s + first_s - own.event_s[j] < soon_s) | (change * pace < soon_s)
        own.aside[j] = (own.crossings[j] != 0) & soon
        own.event_s[j] = start_s + min(max(last_s, 0.0), dt_s) if own.crossings[j] != 0 else own.event_s[j]


@njit(cache=True, nogil=True, inline="always")
def _move(number, leaks, black, scale, own, columns):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Move ref, and find the columns of `event_levels` that hold until it has sunk further; 0 where it is no number."""
    _, _, now, later = leaks
    for j in range(number):
        own.ref[j] += own.crossings[j] * (own.on[j] if own.crossings[j] > 0 else own.off[j])
        on = (own.ref[j] + own.on[j] - later * own.on[j] - black) * scale + 2
        off = (own.ref[j] - own.off[j] - now * own.on[j] - black) * scale + 2
        columns[0, j] = np.int32(max(0.0, min(on, STEPS + 3.0)))
        columns[1, j] = np.int32(max(0.0, min(off, STEPS + 3.0)))


@njit(cache=True, nogil=True, inline="always")
def _settle(choice, own, columns, edges, state, levels, windows, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write back what became of the chosen pixels; how many are left, for `_walk`.

    Those are the pixels with shots, those put aside, and where events are listed all that have one. They are written to
    `places[1]`, and what `_walk` needs of them goes to the front.
    """
    (flags, places, number, listed), left, dark = choice, 0, np.uint64(counts.shape[1] - 1)
    reference, _, event_s, _, _ = state
    high, low, on, off = levels[0], levels[1], edges[0], edges[1]
    for j in range(number):
        c = places[0, j]
        if (flags[c] == SHOT) | (own.aside[j] > 0) | (listed & (own.crossings[j] != 0)):
            places[1, left], own.light[left], own.before[left] = c, own.light[j], own.before[j]
            own.on[left], own.off[left] = own.on[j], own.off[j]
            left += 1
            continue
        reference[c], high[c], low[c] = own.ref[j], on[columns[0, j]], off[columns[1, j]]
        if len(event_s) > 0:
            event_s[c] = own.event_s[j]
        counts[windows[c], np.uint64(0) if own.crossings[j] > 0 else dark] += np.float32(abs(own.crossings[j]))
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
