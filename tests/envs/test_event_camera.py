import copy
import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector.utils import batch_space

from neuroctl.envs.event_camera import EventCamera, EventSpace
from neuroctl.envs.event_kernels import CHUNK, MOST_CROSSINGS
from neuroctl.envs.event_pixels import brightness, grey_curve, pixel_model
from neuroctl.envs.mujoco_task import Batch, MujocoTask
from neuroctl.envs.retina import LEVELS
from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream

from .arm import XML, terminated

DT = 0.02
MODELS: dict[str, dict[str, Any]] = {
    "linear": {"model": "linear"},
    "log": {"model": "log"},
    "log-refractory": {"model": "log", "refractory_s": 0.006},
    "noisy": {"model": "noisy", "leak_hz": 5.0, "shot_hz": 8.0, "refractory_s": 0.003},
    "noisy-plain": {"model": "noisy", "leak_hz": 0.0, "shot_hz": 0.0, "refractory_s": 0.0},
}
all_models = pytest.mark.parametrize("options", MODELS.values(), ids=MODELS.keys())


def film(frames=40, size=(4, 6), seed=0, pace=0.25):
    """Smoothly flickering intensities in [0, 1], float32 `[T, H, W]`."""
    rng = np.random.default_rng(seed)
    walk = rng.uniform(-2, 2, size) + pace * rng.standard_normal((frames, *size)).cumsum(axis=0)
    return (0.5 + 0.5 * np.sin(2 * walk)).astype(np.float32)


def generators(camera, rows=1, seed=0):
    return [stream(seed + b, name) for b in range(rows) for name in camera.streams]


def play(camera, images, seed=0):
    """Counts after each of the images but the first, `[T - 1, ...]`."""
    rngs = generators(camera, 1, seed)
    memory = camera.start(images[:1], rngs)
    counts = []
    for image in images[1:]:
        camera.step(memory, image[None], rngs)
        counts.append(memory["counts"][0].copy())
    return np.array(counts)


def lit(images, eps=0.001):
    out = np.empty(images.size)
    brightness(np.asarray(images, np.float32).reshape(-1), eps, grey_curve(eps), out)
    return out.reshape(images.shape)


# The models


@all_models
def test_a_static_scene_makes_no_events(options):
    quiet = options | ({"leak_hz": 0.0, "shot_hz": 0.0} if options["model"] == "noisy" else {})
    camera = EventCamera((4, 6), **quiet)
    assert not play(camera, np.repeat(film(1), 100, axis=0)).any()
    assert not play(camera, np.repeat(film(1).round(), 100, axis=0)).any()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.37])
@pytest.mark.parametrize("model", ["log", "noisy"])
def test_a_step_by_exp_n_thresholds_makes_n_events(model, threshold, sign):
    """In the middle of the noisy model's logarithmic range; float32 images round the step, the count is exact."""
    eps = 0.001 if model == "log" else 0.0
    options: dict[str, Any] = (
        {} if model == "log" else {"threshold_spread": 0.0, "leak_hz": 0.0, "shot_hz": 0.0, "refractory_s": 0.0}
    )
    camera = EventCamera((5, 200), model=model, threshold=threshold, polarity=True, **options)
    n = np.arange(5)
    low = np.random.default_rng(0).uniform(0.1, 0.2, (5, 200))
    high = np.exp(n[:, None] * threshold) * (low + eps) - eps
    (counts,) = play(camera, np.stack([low, high][::sign]))
    assert (counts[..., 0 if sign > 0 else 1] == n[:, None]).all()
    assert not counts[..., 1 if sign > 0 else 0].any()


def test_a_step_makes_one_event_in_the_linear_model():
    camera = EventCamera((1, 3), threshold=0.1, polarity=True)
    (counts,) = play(camera, np.array([[[0.2, 0.5, 0.5]], [[0.9, 0.45, 0.1]]]))
    assert counts[0].tolist() == [[1, 0], [0, 0], [0, 1]]


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.9])
def test_sum_of_polarities_tracks_the_logarithm_within_the_threshold(threshold):
    images = film(60)
    camera = EventCamera((4, 6), model="log", threshold=threshold, polarity=True)
    counts = play(camera, images)
    tracked = lit(images[0]) + threshold * (counts[..., 0] - counts[..., 1]).cumsum(axis=0)
    assert np.abs(tracked - lit(images[1:])).max() < threshold
    assert counts.sum() > 100


def plugin_events(images, threshold):
    """ON and OFF events of gazebo_dvs_plugin for uint8 images: saturating differences, threshold, masked update."""
    reference, events = images[0].astype(int), []
    for image in images[1:].astype(int):
        on = np.maximum(image - reference, 0) > threshold
        off = np.maximum(reference - image, 0) > threshold
        reference = np.where(on | off, image, reference)
        events.append(np.stack([on, off], axis=-1))
    return np.array(events)


def test_linear_model_equals_the_plugin_on_every_step_between_grey_values():
    pair = np.stack([np.repeat(np.arange(256)[:, None], 256, axis=1), np.repeat(np.arange(256)[None], 256, axis=0)])
    for threshold in (1, 10, 100):
        counts = play(EventCamera((256, 256), threshold=threshold / 255, polarity=True), LEVELS[pair])
        assert np.array_equal(counts, plugin_events(pair, threshold))


def test_linear_model_equals_the_plugin_on_a_film():
    grey = (film(60, pace=0.05) * 255).round().astype(np.uint8)
    counts = play(EventCamera((4, 6), polarity=True), LEVELS[grey])
    assert np.array_equal(counts, plugin_events(grey, 10))
    assert counts.sum() > 100


def esim_events(images, threshold, eps, refractory_s):
    """ESIM's loop over pixels and crossings, in its own order, on float64: (t, row, column, polarity) by time."""
    light = np.log(eps + images.astype(np.float64))
    reference, stamps, events = light[0].copy(), np.full(light[0].shape, -np.inf), []
    for k in range(1, len(light)):
        for y, x in np.ndindex(*light[0].shape):
            before, after = light[k - 1, y, x], light[k, y, x]
            polarity = 1 if after >= before else -1
            crossing = reference[y, x] + polarity * threshold
            while before < crossing <= after if polarity > 0 else after <= crossing < before:
                t = (k - 1) * DT + (crossing - before) * DT / (after - before)
                if t - stamps[y, x] >= refractory_s:
                    events.append((t, y, x, polarity))
                    stamps[y, x] = t
                reference[y, x] = crossing
                crossing += polarity * threshold
    return sorted(events)


@pytest.mark.parametrize(("threshold", "refractory_s"), [(0.15, 0.0), (0.4, 0.0), (0.15, 0.004), (0.15, 0.03)])
def test_log_model_equals_esim(threshold, refractory_s):
    images = film(30)
    camera = EventCamera((4, 6), model="log", threshold=threshold, refractory_s=refractory_s, time_stamps=True)
    events = camera.film(images)
    expected = np.array(esim_events(images, threshold, 0.001, refractory_s))
    assert len(expected) > 100
    assert len(events) == len(expected)
    ours = events[np.lexsort((events["column"], events["row"], events["t_s"].round(9)))]
    expected = expected[np.lexsort((expected[:, 2], expected[:, 1], expected[:, 0].round(9)))]
    for name, column in zip(("t_s", "row", "column", "polarity"), expected.T, strict=True):
        assert ours[name] == pytest.approx(column, abs=1e-9)


def test_noisy_model_without_noise_counts_as_v2e():
    """floor(|difference| / threshold) events with thresholds per pixel and polarity; ref moves by as many of them."""
    images = film(60)
    camera = EventCamera((4, 6), polarity=True, **MODELS["noisy-plain"])
    rngs = generators(camera)
    memory = camera.start(images[:1], rngs)
    on, off = memory["thresholds"][0].astype(np.float64)
    reference = lit(images[0], 0.0)
    total = 0
    for image in images[1:]:
        camera.step(memory, image[None], rngs)
        difference = lit(image, 0.0) - reference
        expected = np.stack([np.floor(difference / on), np.floor(-difference / off)], axis=-1).clip(0)
        reference += expected[..., 0] * on - expected[..., 1] * off
        assert np.array_equal(memory["counts"][0], expected)
        total += expected.sum()
    assert total > 300


# Light


@all_models
def test_a_camera_in_other_light_sees_other_images(options):
    """Once: a film is not lit twice, nor is what is looked at again for the times of events."""
    images = film(25)
    seen = np.minimum(images * np.float32(0.4) + np.float32(0.1), np.float32(1))
    lit_up = EventCamera((4, 6), time_stamps=True, light=0.4, glare=0.1, **options)
    plain = EventCamera((4, 6), time_stamps=True, **options)
    assert np.array_equal(lit_up.film(images, 2), plain.film(seen, 2))
    assert not np.array_equal(plain.film(images, 2), plain.film(seen, 2))


@pytest.mark.parametrize("factor", [0.1, 0.3, 0.5, 1.9])
def test_light_scales_the_threshold_of_linear_pixels(factor):
    """f |I - ref| > C says |I - ref| > C / f, where nothing is brighter than white."""
    grey = (film(60, pace=0.05) * 130).round().astype(np.uint8)
    lit_up = play(EventCamera((4, 6), threshold=0.01, light=factor, polarity=True), LEVELS[grey])
    assert np.array_equal(lit_up, play(EventCamera((4, 6), threshold=0.01 / factor, polarity=True), LEVELS[grey]))
    assert lit_up.sum() > 10


def test_stray_light_is_nothing_to_linear_pixels_until_they_see_white():
    images = film(60)
    clear, hazy, white = (play(EventCamera((4, 6), glare=glare), images * 0.6) for glare in (0.0, 0.3, 1.0))
    assert np.array_equal(clear, hazy) and clear.sum() > 100
    assert not white.any()


@pytest.mark.parametrize(("light", "eps"), [({"light": 0.2}, 0.001 / 0.2), ({"light": 1.8}, 0.001 / 1.8)])
def test_logarithmic_pixels_see_ratios(light, eps):
    """ln(eps + f I) = ln f + ln(eps / f + I)."""
    images = film(60) * 0.5
    seen = play(EventCamera((4, 6), model="log", polarity=True, **light), images)
    assert np.array_equal(seen, play(EventCamera((4, 6), model="log", polarity=True, log_eps=eps), images))
    assert seen.sum() > 100


def test_stray_light_takes_contrast_from_logarithmic_pixels():
    """ln(eps + I + glare): a larger eps."""
    images = film(60) * 0.7
    sums = []
    for glare in (0.0, 0.08, 0.3):
        seen = play(EventCamera((4, 6), model="log", polarity=True, glare=glare), images)
        assert np.array_equal(
            seen, play(EventCamera((4, 6), model="log", polarity=True, log_eps=0.001 + glare), images)
        )
        sums.append(seen.sum())
    assert sums[0] > 2 * sums[1] > 2 * sums[2] > 0


# Noise


def noise_film(options, seconds, size=(20, 30)):
    off = {"leak_hz": 0.0, "shot_hz": 0.0, "refractory_s": 0.0, "threshold_spread": 0.0}
    camera = EventCamera(size, model="noisy", time_stamps=True, **(off | options))
    return camera.film(np.full((round(seconds / DT) + 1, *size), 0.4))


def test_leak_events_come_at_the_configured_rate_and_not_all_at_once():
    events = noise_film({"leak_hz": 3.0, "threshold_spread": 0.03}, 10.0)
    assert (events["polarity"] == 1).all()
    per_pixel = np.zeros((20, 30))
    np.add.at(per_pixel, (events["row"], events["column"]), 1)
    assert np.abs(per_pixel - 30).max() <= 1
    assert np.histogram(events["t_s"], 100, (0, 10))[0] == pytest.approx(180, abs=80)


def test_shot_noise_has_the_configured_rate():
    events = noise_film({"shot_hz": 5.0}, 10.0)
    expected = 5.0 * 10.0 * 600
    assert len(events) == pytest.approx(expected, abs=5 * np.sqrt(expected))
    assert events["polarity"].mean() == pytest.approx(0, abs=5 / np.sqrt(expected))
    per_pixel = np.zeros((20, 30))
    np.add.at(per_pixel, (events["row"], events["column"]), 1)
    assert per_pixel.var() == pytest.approx(50, rel=0.3)


def test_refractory_time_thins_shot_noise_as_a_dead_time_does():
    """A Poisson process of rate r with dead time d has the rate r / (1 + r d)."""
    rate, dead_s = 5.0, 0.07
    events = noise_film({"shot_hz": rate, "refractory_s": dead_s}, 20.0)
    expected = rate / (1 + rate * dead_s) * 20.0 * 600
    assert len(events) == pytest.approx(expected, rel=0.015)
    assert gaps(events).min() >= dead_s - 1e-9


def gaps(events):
    """Times between successive events of the same pixel."""
    order = np.lexsort((events["t_s"], events["column"], events["row"]))
    place = events["row"][order].astype(int) * 1000 + events["column"][order]
    return np.diff(events["t_s"][order])[np.diff(place) == 0]


def test_a_shot_sets_the_reference_to_the_light():
    """While L rises by half a threshold: without a shot all of that is kept, else what came after the last one."""
    camera = EventCamera((1, 4000), model="noisy", shot_hz=40.0, threshold_spread=0.0, leak_hz=0.0, refractory_s=0.0)
    rngs = generators(camera)
    low = np.full((1, 1, 4000), 0.2)
    memory = camera.start(low, rngs)
    camera.step(memory, low * np.exp(0.5 * 0.2), rngs)
    shot = memory["counts"][0, 0] > 0
    distance = lit(low * np.exp(0.5 * 0.2), 0.0) - memory["reference"]
    assert distance[0, 0, ~shot] == pytest.approx(0.1, abs=1e-6)
    # The rest of the frame after the last of 0.8 shots in the mean: 1 / 0.8 - e^-0.8 / (1 - e^-0.8) of it.
    assert distance[0, 0, shot].mean() == pytest.approx(0.1 * 0.434, abs=0.004)
    assert distance[0, 0, shot].min() >= -1e-9
    assert shot.mean() == pytest.approx(1 - np.exp(-0.8), abs=0.04)


def test_thresholds_are_spread_over_pixels_and_polarities():
    camera = EventCamera((40, 50), model="noisy", threshold=0.2, threshold_spread=0.1)
    memory = camera.start(np.full((2, 40, 50), 0.5), generators(camera, 2))
    on, off = memory["thresholds"][0]
    for drawn in (on, off):
        assert np.median(drawn) == pytest.approx(0.2, abs=0.012)
        assert np.diff(np.quantile(drawn, [0.1587, 0.8413])) == pytest.approx(0.2, abs=0.02)
        assert drawn.min() == np.float32(0.01)
    assert np.corrcoef(on.ravel(), off.ravel())[0, 1] == pytest.approx(0, abs=0.1)
    assert not np.array_equal(*memory["thresholds"])


# Times


@all_models
def test_events_with_times_are_those_that_were_counted(options):
    images = film(25, seed=3)
    counting = EventCamera((4, 6), windows=(2, 3), polarity=True, **options)
    camera = EventCamera((4, 6), windows=(2, 3), polarity=True, time_stamps=True, **options)
    rngs = generators(camera)
    memory, total = camera.start(images[:1], rngs), 0
    for image, expected in zip(images[1:], play(counting, images), strict=True):
        camera.step(memory, image[None], rngs)
        state = {name: value.copy() for name, value in memory.items()}
        (events,) = camera.recall(memory)
        counts = np.zeros((2, 3, 2))
        np.add.at(counts, (events["row"] // 2, events["column"] // 2, (events["polarity"] < 0).astype(int)), 1)
        assert np.array_equal(counts, memory["counts"][0])
        assert np.array_equal(counts, expected)
        assert (np.diff(events["t_s"]) >= 0).all()
        assert ((events["t_s"] > 0) & (events["t_s"] <= DT)).all()
        assert all(np.array_equal(value, memory[name]) for name, value in state.items())
        total += len(events)
    assert total > 50


def test_no_events_at_the_start():
    camera = EventCamera((4, 6), time_stamps=True, **MODELS["noisy"])
    memory = camera.start(film(3), generators(camera, 3))
    assert [len(events) for events in camera.recall(memory)] == [0, 0, 0]
    assert not memory["counts"].any()


def test_crossings_of_a_ramp_are_evenly_spaced_in_time():
    """Where ln(eps + I) grows linearly by 0.05 per frame, C = 0.11 is crossed every 2.2 frames."""
    light = np.log(0.1) + 0.05 * np.arange(41)
    images = (np.exp(light) - 0.001)[:, None, None]
    events = EventCamera((1, 1), model="log", threshold=0.11, time_stamps=True).film(images)
    assert events["t_s"] == pytest.approx(2.2 * DT * np.arange(1, 19), abs=1e-6)
    assert (events["polarity"] == 1).all()


def test_refractory_time_holds_across_frames():
    images = film(40, pace=1.5)
    events = EventCamera((4, 6), time_stamps=True, **MODELS["log-refractory"]).film(images)
    assert gaps(events).min() >= 0.006 - 1e-9
    assert gaps(EventCamera((4, 6), time_stamps=True, model="log").film(images)).min() < 0.002


# State and rows


@all_models
def test_a_row_has_the_same_bits_alone_and_among_others(options):
    images = np.stack([film(15, seed=k) for k in range(5)], axis=1)
    camera = EventCamera((4, 6), time_stamps=True, **options)
    rngs, single = generators(camera, 5), generators(camera, 5)[3:4]
    memory, alone = camera.start(images[0], rngs), camera.start(images[0, 3:4], single)
    for image in images[1:]:
        camera.step(memory, image, rngs)
        camera.step(alone, image[3:4], single)
        assert all(np.array_equal(value[3:4], alone[name]) for name, value in memory.items())
        assert np.array_equal(camera.recall(memory)[3], camera.recall(alone)[0])


@pytest.mark.parametrize("model", ["log", "log-refractory"])
def test_a_pixel_has_the_same_events_in_a_sensor_of_any_size(model):
    """Also where the kernel goes from one chunk of pixels to the next."""
    images = film(6, (3, CHUNK // 2 + 7), pace=0.6)
    options = MODELS[model] | {"time_stamps": True}
    events = EventCamera(images.shape[1:], **options).film(images)
    for columns in (slice(0, 40), slice(CHUNK // 2 - 20, CHUNK // 2 + 7)):
        part = images[:, :, columns]
        alone = EventCamera(part.shape[1:], **options).film(part)
        seen = events[(events["column"] >= columns.start) & (events["column"] < columns.stop)]
        seen["column"] -= columns.start
        assert np.array_equal(seen, alone)
        assert len(alone) > 100


def test_leak_and_refractory_time_hold_on_after_a_long_time():
    """Late in an episode, a leak makes as many events as at its start, and none comes too soon."""
    options: dict[str, Any] = {"threshold_spread": 0.0, "leak_hz": 40.0, "shot_hz": 20.0, "refractory_s": 0.01}
    camera = EventCamera((20, 30), model="noisy", time_stamps=True, **options)
    events = camera.film(np.full((1001, 20, 30), 0.4))
    halves = np.histogram(events["t_s"], 2, (0, 20))[0]
    assert halves[0] == pytest.approx(halves[1], rel=0.01)
    assert gaps(events).min() >= 0.01 - 1e-9


def watcher(options, num_envs=3):
    """An arm whose task shows images, set in `shown`, to an event camera."""
    camera = EventCamera((4, 6), windows=(2, 2), time_stamps=True, **options)
    shown = np.stack([film(1, seed=k)[0] for k in range(num_envs)])
    env = MujocoTask(
        XML,
        num_envs=num_envs,
        reset=lambda row: camera.begin(row, shown[row.index]),
        advance=lambda batch, action: camera.advance(batch, shown),
        observe=camera.observe,
        reward=lambda batch, action: np.zeros(len(batch)),
        terminated=terminated,
        observation_space=camera.space,
        variables=camera.variables(),
        streams=camera.streams,
        control_dt_s=DT,
        max_steps=20,
    )
    return env, camera, shown


@all_models
def test_a_restored_task_goes_on_alike(options):
    env, camera, shown = watcher(options)
    twin, twin_camera, twin_shown = watcher(options)
    rng, zeros = np.random.default_rng(0), np.zeros((3, 2))
    env.reset(seed=0)
    twin.reset(seed=9)
    for k in range(30):
        if k == 12:
            twin.set_state(None, env.get_state())
            twin_shown[:] = shown
            assert all(map(np.array_equal, camera.events(batch_of(env)), twin_camera.events(batch_of(twin))))
        shown[:] = np.clip(shown + 0.2 * rng.standard_normal(shown.shape), 0, 1)
        obs, _, _, truncated, info = env.step(zeros)
        if k >= 12:
            twin_shown[:] = shown
            again = twin.step(zeros)
            assert np.array_equal(obs, again[0])
            assert all(map(np.array_equal, camera.events(batch_of(env)), twin_camera.events(batch_of(twin))))
        assert not (truncated[:, None, None] & (obs > 0)).any()
        assert obs.dtype == np.float32
    assert info is not None
    assert env.get_state()["variable/events/counts"].any()


def batch_of(env, rows=None):
    return Batch(env, np.arange(env.num_envs) if rows is None else np.array(rows))


@all_models
def test_part_of_a_batch_may_advance(options):
    (env, camera, shown), (twin, twin_camera, _) = watcher(options), watcher(options)
    env.reset(seed=0)
    twin.reset(seed=0)
    images = np.clip(shown + 0.3, 0, 1)
    camera.advance(batch_of(env), images)
    twin_camera.advance(batch_of(twin, [2, 0]), images[[2, 0]])
    a, b, fresh = camera.observe(batch_of(env)), twin_camera.observe(batch_of(twin)), [0, 2]
    assert np.array_equal(a[fresh], b[fresh])
    assert a.any()
    assert not b[1].any()


# Sizes, spaces, mistakes


def test_windows_count_their_pixels():
    images = film(10, (6, 8))
    pixels, windows = EventCamera((6, 8), polarity=True), EventCamera((6, 8), (3, 2), polarity=True)
    merged = EventCamera((6, 8), (3, 2))
    each, counted = play(pixels, images), play(windows, images)
    assert counted.shape[1:] == windows.space.shape == (3, 2, 2)
    assert np.array_equal(each.reshape(-1, 3, 2, 2, 4, 2).sum(axis=(2, 4)), counted)
    assert np.array_equal(play(merged, images), counted.sum(axis=-1))
    assert EventCamera((6, 8)).space == EventSpace((6, 8))


def test_spaces_keep_their_class():
    space = EventSpace((4, 16, 2), seed=0)
    batched = batch_space(space, 3)
    assert isinstance(batched, EventSpace)
    assert batched.shape == (3, 4, 16, 2)
    for twin in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space), EventSpace((4, 16, 2))):
        assert isinstance(twin, EventSpace)
        assert twin == space
    plain = gym.spaces.Box(0.0, float(2**24), (4, 16, 2), np.float32)
    assert space != plain
    assert plain != space
    assert space != EventSpace((4, 16))
    assert space.contains(np.full((4, 16, 2), 2**24, np.float32))
    assert not space.contains(np.full((4, 16, 2), -1, np.float32))
    assert space.contains(space.sample())
    assert repr(space) == "EventSpace(4, 16, 2)"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (((0, 4),), {}, r"sensor_size is \(0, 4\); allowed: two whole numbers \(rows, columns\) from 1 to 4096"),
        (((4, 5000),), {}, r"sensor_size is \(4, 5000\); allowed"),
        (((4.5, 2),), {}, r"sensor_size is \(4.5, 2\); allowed"),
        ((7,), {}, "sensor_size is 7; allowed"),
        (("ab",), {}, "sensor_size is 'ab'; allowed"),
        (((4, 6), (2, -3)), {}, r"windows is \(2, -3\); allowed"),
        (((4, 6), (3, 2)), {}, r"windows \(3, 2\) do not divide the sensor of \(4, 6\) pixels"),
        (((4, 6), (8, 6)), {}, r"windows \(8, 6\) do not divide"),
        (((4, 6),), {"threshold": 0}, "threshold of event model 'linear' is 0; allowed"),
        (((4, 6),), {"model": "v2e"}, "unknown event model 'v2e'; known: linear, log, noisy"),
        (((4, 6),), {"leak_hz": 1.0}, "event model 'linear' has no leak_hz"),
        *(
            (((4, 6),), {"control_dt_s": value}, "control_dt_s is .*; allowed: seconds from 1e-06 to 10")
            for value in (0.0, -1, 1e-300, 10.1, np.inf, np.nan, 10**400, "0.1", None, [0.1], np.full(1, 0.1), True)
        ),
        (((4, 6),), {"polarity": "both"}, "polarity of an event camera is 'both'; allowed: True, False"),
        (
            ((4096, 4096), (1, 1)),
            {"model": "log"},
            "windows of 4096 x 4096 pixels with threshold 0.2 may have more than",
        ),
    ],
)
def test_impossible_cameras_are_refused(arguments, options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        EventCamera(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((1, 4, 6), np.nan), "hold nan; allowed: intensities from 0 to 1"),
        (np.full((1, 4, 6), np.inf), "hold inf; allowed"),
        (np.full((1, 4, 6), 255, np.uint8), "hold 255; allowed"),
        (np.full((1, 4, 6), -0.01), "hold -0.01; allowed"),
        (np.full((1, 4, 6), 1e300), "hold inf; allowed"),
        (np.where(np.arange(24).reshape(1, 4, 6) == 23, 1.01, 0.5), "hold 1.01; allowed"),
        (np.zeros((4, 6)), r"are float64 of shape \(4, 6\); expected numbers \(n, 4, 6\)"),
        (np.zeros((1, 6, 4)), "of shape"),
        (np.full((1, 4, 6), "x"), "expected numbers"),
        (np.zeros((2, 4, 6)), "2 images for 1 rows"),
    ],
)
def test_bad_images_are_refused_and_change_nothing(image, message):
    camera = EventCamera((4, 6), model="log")
    memory = camera.start(film(1))
    before = {name: value.copy() for name, value in memory.items()}
    with pytest.raises(NeuroctlError, match=message):
        camera.step(memory, image)
    assert all(np.array_equal(value, memory[name]) for name, value in before.items())


def test_images_of_any_type_of_number_are_seen():
    """Booleans, integers, float64, lists; a negative zero is no error."""
    images = film(1).round()
    for form in (images.astype(np.float64), images.astype(bool), images.astype(np.uint8), images.tolist()):
        camera = EventCamera((4, 6))
        memory = camera.start(form)
        camera.step(memory, -0.0 * images)
        assert memory["counts"].sum() == images.sum() > 0


def test_missing_times_and_generators_are_named():
    camera = EventCamera((4, 6))
    with pytest.raises(NeuroctlError, match="make the event camera with time_stamps=True"):
        camera.recall(camera.start(film(1)))
    with pytest.raises(
        NeuroctlError, match="0 generators given; this event camera needs one generator for each of the 2"
    ):
        EventCamera((4, 6), model="noisy").start(film(2))
    with pytest.raises(NeuroctlError, match="1 generators given; this event camera needs no generators"):
        camera.start(film(1), [stream(0, "events")])


@pytest.mark.parametrize("given", [None, 5, np.random.default_rng(0), ["events"], [None, None], "ab"])
def test_what_is_no_generator_is_one_line(given):
    camera = EventCamera((4, 6), model="noisy")
    with pytest.raises(NeuroctlError, match="^generators are .*; allowed: a list of random generators"):
        camera.start(film(2), given)
    memory = camera.start(film(2), rngs := generators(camera, 2))
    before = {name: value.copy() for name, value in memory.items()}
    with pytest.raises(NeuroctlError, match="^generators are "):
        camera.step(memory, film(2), given)
    assert all(np.array_equal(value, memory[name]) for name, value in before.items())
    camera.step(memory, film(2), tuple(rngs))


def test_a_camera_begins_with_an_image():
    camera = EventCamera((4, 6), time_stamps=True)
    for call in (camera.start, camera.film):
        with pytest.raises(NeuroctlError, match="^0 images given; an event camera begins with one for each row"):
            call(np.zeros((0, 4, 6)))
        with pytest.raises(NeuroctlError, match="^images for an event camera are object of shape"):
            call(None)  # type: ignore[arg-type]
    assert len(camera.film(film(1))) == 0


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None, True, 2**63])
def test_the_seed_of_a_film_is_an_integer(seed):
    for camera in (EventCamera((4, 6), time_stamps=True), EventCamera((4, 6), model="noisy", time_stamps=True)):
        with pytest.raises(NeuroctlError, match="^seed .*; seeds are integers from 0 to"):
            camera.film(film(2), seed=seed)


DAMAGE: dict[str, tuple[Any, str]] = {
    "lost": (lambda m: m.pop("event_s"), "^memory 'event_s' of an event camera is missing; expected what its start"),
    "foreign": (
        lambda m: m.update(colour=m["counts"]),
        "^memory 'colour' of an event camera is none of its own; expected",
    ),
    "shape": (lambda m: m.update(reference=m["reference"][:, :2]), r"'reference' .* is float64 \(2, 2, 6\); expected"),
    "rows": (lambda m: m.update(clock_s=np.zeros(1)), r"'clock_s' .* is float64 \(1,\); expected float64 \(2,\)"),
    "type": (
        lambda m: m.update(reference=m["reference"].astype("f4")),
        "'reference' .* is float32 .*; expected float64",
    ),
    "list": (lambda m: m.update(counts=m["counts"].tolist()), "'counts' of an event camera is .*; expected float32"),
    "none": (lambda m: m.update(thresholds=None), "'thresholds' of an event camera is None; expected float32"),
    "strides": (
        lambda m: m.update(counts=np.asfortranarray(m["counts"])),
        "'counts' .* is read-only or strided; hand in a copy",
    ),
    "locked": (lambda m: m["counts"].setflags(write=False), "'counts' .* is read-only or strided"),
    "past": (lambda m: m["clock_s"].fill(-1), "'clock_s' .* holds -1; allowed: seconds from 0 to 1e[+]07"),
    "endless": (lambda m: m["clock_s"].fill(1e300), "'clock_s' .* holds 1e[+]300; allowed"),
    "undefined": (lambda m: m["clock_s"].fill(np.nan), "'clock_s' .* holds nan; allowed"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_memory_is_one_line(damage, message):
    camera = EventCamera((4, 6), time_stamps=True, **MODELS["noisy"])
    memory = camera.start(film(2), rngs := generators(camera, 2))
    damage(memory)
    for call in (lambda: camera.step(memory, film(2), rngs), lambda: camera.recall(memory)):
        with pytest.raises(NeuroctlError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, 5, [], {}])
def test_what_is_no_memory_is_one_line(given):
    with pytest.raises(NeuroctlError, match=r"^memory .*; expected what its start\(\) returned$"):
        EventCamera((4, 6)).step(given, film(1))


def test_a_memory_of_another_model_is_refused():
    cameras = [EventCamera((4, 6), **options) for options in MODELS.values()]
    for camera in cameras:
        memory = camera.start(film(1), generators(camera))
        for other in cameras:
            if other is not camera:
                with pytest.raises(NeuroctlError, match="memory"):
                    other.step(memory, film(1), generators(other))


def test_a_clock_that_was_put_into_a_state_is_refused_by_the_next_step():
    env, _, _ = watcher(MODELS["noisy"])
    env.reset(seed=0)
    env.set_state(None, env.get_state() | {"variable/events/clock_s": np.full(3, 1e300)})
    with pytest.raises(NeuroctlError, match="'clock_s' of an event camera holds 1e[+]300; allowed"):
        env.step(np.zeros((3, 2)))


def test_a_reference_far_away_ends_all_the_same():
    """Each pixel writes events one by one, at most a fixed number; and no allowed step has more."""
    far = EventCamera((4, 6), time_stamps=True, **MODELS["log-refractory"])
    memory = far.start(film(1))
    memory["reference"][:] = 1e12
    far.step(memory, film(1))
    finest = EventCamera((1, 1), model="log", threshold=0.001, log_eps=1e-6, time_stamps=True)
    memory = finest.start(np.zeros((1, 1, 1)))
    finest.step(memory, np.ones((1, 1, 1)))
    (events,) = finest.recall(memory)
    assert len(events) == memory["counts"].sum() == np.floor(np.log(1 + 1e6) / 0.001)
    assert (events["polarity"] == 1).all() and events["t_s"][-1] > 0.999 * DT
    assert np.diff(events["t_s"]) == pytest.approx(DT * 0.001 / np.log(1 + 1e6), abs=1e-9)
    assert finest.pixels.most_events(10.0) < MOST_CROSSINGS
    assert (
        pixel_model("noisy", threshold=0.001, threshold_spread=0.001, leak_hz=1000.0, shot_hz=0.0).most_events(10.0)
        < MOST_CROSSINGS
    )
