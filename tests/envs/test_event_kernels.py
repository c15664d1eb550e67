from typing import Any

import numpy as np
import pytest

from neuroctl.envs.event_camera import EventCamera
from neuroctl.envs.event_kernels import CHUNK
from neuroctl.envs.event_pixels import TOLERANCE
from neuroctl.envs.event_shots import due_shots
from neuroctl.envs.retina import LEVELS
from neuroctl.streams import stream

DT, SIZE = 0.02, (5, 7)
OPTIONS: dict[str, dict[str, Any]] = {
    "log": {"model": "log"},
    "log-fine": {"model": "log", "threshold": 0.03, "log_eps": 1e-6},
    "log-refractory": {"model": "log", "refractory_s": 0.006},
    "noisy": {"model": "noisy"},
    "noisy-leak": {"model": "noisy", "leak_hz": 30.0, "shot_hz": 0.0, "refractory_s": 0.0},
    "noisy-shots": {"model": "noisy", "leak_hz": 1.0, "shot_hz": 40.0, "refractory_s": 0.004},
    "noisy-slow": {"model": "noisy", "leak_hz": 5.0, "shot_hz": 5.0, "refractory_s": 0.05},
}


def film(kind, frames):
    """Flickering images: of grey levels, between them, mostly dark, or all the same."""
    rng = np.random.default_rng(1)
    walk = rng.uniform(-2, 2, SIZE) + 0.25 * rng.standard_normal((frames, *SIZE)).cumsum(axis=0)
    images = 0.5 + 0.5 * np.sin(2 * walk)
    if kind == "grey":
        return LEVELS[(images * 255).round().astype(int)]
    if kind == "dark":
        return LEVELS[(images * 9).round().astype(int)]
    return (images if kind == "smooth" else np.broadcast_to(images[:1], images.shape)).astype(np.float32)


def light(intensity, eps):
    """L of an intensity."""
    x = 255 * np.float64(intensity)
    if eps:
        return np.log(eps + np.float64(intensity))
    return x * np.log(20) / 20 if x <= 20 else np.log(x)


def plain_pixel(start, end, thresholds, shots, since_s, refractory_s):
    """The events `(t, sign)` of one pixel in a frame, one after the other, and how far its reference moved.

    Args:
        start, end: L - ref at the last frame and at this one.
        thresholds: ON, OFF.
        shots: `(t, sign)` by time.
        since_s: from its last event to the start.
        refractory_s: for which it is blind after an event.
    """
    events, moved, last_s = [], 0.0, -since_s
    for until, shot in [*shots, (DT, 0)]:
        goal = start + (end - start) * until / DT - moved
        while abs(goal) + TOLERANCE >= thresholds[0 if goal > 0 else 1]:
            step = thresholds[0] if goal > 0 else -thresholds[1]
            moved, goal = moved + step, goal - step
            time = min((moved - start) / (end - start) * DT, until)
            if time - last_s >= refractory_s:
                events.append((time, np.sign(step)))
                last_s = time
        if shot:
            moved += goal
            if until - last_s >= refractory_s:
                events.append((until, shot))
                last_s = until
    return events, moved, last_s


@pytest.mark.parametrize("kind", ["grey", "smooth", "dark", "still"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_events_equal_those_of_every_pixel_taken_alone(options, kind):
    """Each pixel in each frame, without a choice of those that may have an event; signs exact, times to 1 ns."""
    images = film(kind, 30)
    camera = EventCamera(SIZE, time_stamps=True, **options)
    model = camera.pixels
    rngs = [stream(3, name) for name in camera.streams]
    memory = camera.start(images[:1], rngs)
    on_off = memory["thresholds"][0].astype(float) if "thresholds" in memory else np.full((2, *SIZE), model.threshold)
    reference, last_s, total = memory["reference"][0].copy(), np.full(SIZE, -model.refractory_s), 0
    for k in range(1, len(images)):
        now_s = (k - 1) * DT
        camera.step(memory, images[k : k + 1], rngs)
        shots: dict[tuple[int, ...], list[tuple[float, int]]] = {}
        if model.shot_hz:
            due = due_shots(memory["shots"], memory["before/clock_s"], DT, reference.size)
            for pixel, time, sign in zip(due.pixels, due.times_s, due.signs, strict=True):
                shots.setdefault(np.unravel_index(pixel, SIZE), []).append((time, sign))
        expected = []
        for place in np.ndindex(*SIZE):
            thresholds, leak = on_off[:, *place], model.leak_hz * on_off[0, *place]
            start, end = (
                light(image[place], model.log_eps) - reference[place] + leak * time
                for image, time in ((images[k - 1], now_s), (images[k], now_s + DT))
            )
            events, moved, since = plain_pixel(
                start, end, thresholds, shots.get(place, []), now_s - last_s[place], model.refractory_s
            )
            reference[place] += moved
            last_s[place] = now_s + since
            expected += [(time, *place, sign) for time, sign in events]
        seen = camera.recall(memory)[0]
        assert len(seen) == memory["counts"].sum() == len(expected)
        ours = np.array([(e["row"], e["column"], e["t_s"], e["polarity"]) for e in seen]).reshape(-1, 4)
        plain = np.array([(row, column, t, sign) for t, row, column, sign in expected]).reshape(-1, 4)
        ours, plain = (x[np.lexsort((x[:, 2], x[:, 1], x[:, 0]))] for x in (ours, plain))
        assert ours == pytest.approx(plain, abs=1e-9)
        total += len(expected)
    assert total > 0 or kind == "still"


def test_a_still_scene_shows_the_shots_and_nothing_else():
    """In a sensor of more pixels than the kernel takes at a time."""
    size = (3, CHUNK // 2 + 7)
    options: dict[str, Any] = {"threshold_spread": 0.0, "leak_hz": 0.0, "shot_hz": 2.0, "refractory_s": 0.0}
    camera = EventCamera(size, model="noisy", time_stamps=True, **options)
    image, rngs = np.random.default_rng(0).random((1, *size), np.float32), [stream(0, "events")]
    memory = camera.start(image, rngs)
    for _ in range(5):
        camera.step(memory, image, rngs)
        shots = due_shots(memory["shots"], memory["before/clock_s"], DT, image.size)
        (events,) = camera.recall(memory)
        order = np.argsort(shots.times_s)
        assert np.array_equal(events["t_s"], shots.times_s[order])
        assert np.array_equal(events["row"].astype(int) * size[1] + events["column"], shots.pixels[order])
        assert np.array_equal(events["polarity"], shots.signs[order])
        assert len(events) > 100


def test_pixels_that_leak_are_not_forgotten():
    """In a scene that stands still for 100 s, each pixel has its events in the frames where ref has sunk by C."""
    camera = EventCamera((6, 8), model="noisy", leak_hz=0.1, shot_hz=0.0, refractory_s=0.0)
    image, rngs = film("grey", 1)[:, :1, :1].repeat(6, 1).repeat(8, 2), [stream(0, "events")]
    memory = camera.start(image, rngs)
    thresholds = memory["thresholds"][0, 0].astype(float)
    due = light(image[0, 0, 0], 0.0) - memory["reference"][0]  # L - ref
    for k in range(1, 5001):
        camera.step(memory, image, rngs)
        sunk = due + 0.1 * k * DT * thresholds
        expected = np.floor((sunk + TOLERANCE) / thresholds)
        assert np.array_equal(memory["counts"][0], expected)
        due -= expected * thresholds


def test_levels_choose_few_pixels():
    """After the first frame of a still scene the kernel looks at almost none: the levels exclude them."""
    camera = EventCamera((20, 30), model="log")
    image = np.random.default_rng(0).random((1, 20, 30), np.float32)
    memory = camera.start(image)
    assert not memory["levels"].any()
    camera.step(memory, image)
    x = np.minimum(image * np.float32(255), 254)
    on, off = memory["levels"][:, 0], memory["levels"][:, 1]
    assert ((np.ceil(x) >= on) | (np.floor(x) < off)).mean() < 0.05
