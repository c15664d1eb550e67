from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl import vector
from neuroctl.envs.ball_reach import BallReachVector
from neuroctl.envs.event_camera import EventCamera
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.retina import CAMERA_SIZE, LEVELS
from neuroctl.envs.shifts_image import (
    Brightness,
    Contrast,
    Hue,
    Occlusion,
    PixelDropout,
    SaltPepper,
    Saturation,
    draw_rectangle,
)
from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream
from tests.envs.seer import HEIGHT, WIDTH, make_seer, watch

# Any: Gymnasium's `VectorEnv` knows not the methods of ours
make_env: Callable[..., Any] = vector.make_env

BALL, LANE = "neuroctl/BallReach-v0", "neuroctl/LaneFollow-v0"
RETINAS: dict[str, dict[str, Any]] = {
    BALL: {"observation": "retina"},
    LANE: {"observation": "retina", "retina_size": CAMERA_SIZE},
}
"""Options with which one sees the very images that the event camera sees."""
EVENTS: dict[str, Any] = {"observation": "events", "event_polarity": True}


def see(shift, severity, leaf="image", steps=30):
    """Clean and shifted images."""
    clean = watch(make_seer(4, leaf), steps)
    return clean, watch(shift(make_seer(4, leaf), severity), steps)


def test_brightness_and_contrast_do_what_they_say():
    step = 0.5 / 255 + 1e-6
    clean, bright = see(Brightness, 2)
    assert np.abs(bright - np.clip(clean + 0.16, 0, 1)).max() <= step
    clean, flat = see(Contrast, 4)
    assert np.abs(flat - (0.5 + 0.3 * (clean - 0.5))).max() <= step
    assert np.isin(bright, LEVELS).all() and np.isin(flat, LEVELS).all()


def test_colours_fade_to_their_luminance():
    clean, faded = see(Saturation, 5, "colour")
    grey = clean @ np.array([0.299, 0.587, 0.114])
    assert np.abs(faded - grey[..., None]).max() <= 0.51
    _, half = see(Saturation, 2, "colour")
    assert np.abs(half - (grey[..., None] + 0.45 * (clean - grey[..., None]))).max() <= 0.51


def test_colours_turn_about_the_grey_axis():
    clean, turned = see(Hue, 4, "colour")
    assert np.array_equal(turned, np.roll(clean, 1, axis=-1))  # by 120 degrees red becomes green
    _, opposite = see(Hue, 5, "colour")
    wanted = np.clip(2 * clean.mean(axis=-1, keepdims=True) - clean, 0, 255)
    assert np.abs(opposite - wanted).max() <= 0.51
    _, little = see(Hue, 1, "colour")
    axis, angle = np.full(3, 3**-0.5), np.pi / 12
    along = (clean @ axis)[..., None] * axis
    wanted = clean * np.cos(angle) + np.cross(axis, clean) * np.sin(angle) + along * (1 - np.cos(angle))
    assert np.abs(little - np.clip(wanted, 0, 255)).max() <= 0.51


def test_every_frame_of_a_stack_turns_and_grey_images_are_refused():
    env = make_env("neuroctl/Atari-Pong-v0", 1, {"grayscale": False, "frame_stack": 2, "size": (8, 8)}, ["hue:4"])
    plain = make_env("neuroctl/Atari-Pong-v0", 1, {"grayscale": False, "frame_stack": 2, "size": (8, 8)})
    seen, clean = env.reset(seed=0)[0], plain.reset(seed=0)[0]
    assert np.array_equal(seen.reshape(1, 8, 8, 2, 3), np.roll(clean.reshape(1, 8, 8, 2, 3), 1, axis=-1))
    assert clean[..., 3:].any()
    for shift in ("hue", "saturation"):
        with pytest.raises(NeuroctlError, match=f"shift '{shift}' does not fit .* it needs an image in colour"):
            make_env("neuroctl/Atari-Pong-v0", 1, {}, [f"{shift}:1"])


def linear_pixels(first):
    """|I - ref| > C = 10 grey values; then ref = I. Signs of the events at the images that follow, `[n, H, W]`."""
    reference = first.copy()

    def see_next(images):
        change = images - reference
        signs = np.sign(change) * (abs(change) > 10 / 255 + 1e-6)
        reference[signs != 0] = images[signs != 0]
        return signs

    return see_next


def log_pixels(first):
    """ln(0.001 + I) with steps of C = 0.2, by which ref moves; how many events, with their sign."""
    reference = np.log(0.001 + first)

    def see_next(images):
        change = np.log(0.001 + images) - reference
        counts = np.sign(change) * np.floor((abs(change) + 1e-6) / 0.2)
        reference[:] += 0.2 * counts
        return counts

    return see_next


def windowed(signed, shape):
    """ON and OFF events of signed counts `[n, H, W]` in windows, `[n, *shape]`."""
    n, rows, columns, _ = shape
    parts = np.stack([signed, -signed], axis=-1).clip(0).reshape(n, rows, -1, columns, signed.shape[2] // columns, 2)
    return parts.sum(axis=(2, 4))


def both(env_id, model, level, severity):
    """Steps of a brighter scene: the camera's images `[2, H, W]`, computed here, and the counts under the shift."""
    seeing = make_env(env_id, 2, {**RETINAS[env_id], "max_steps": 40})
    sensing = make_env(env_id, 2, {**EVENTS, "event_model": model, "max_steps": 40}, [f"brightness:{severity}"])
    images, counts = (env.reset(seed=3)[0] for env in (seeing, sensing))
    for _ in range(39):
        yield np.minimum(images.astype(float) + level, 1), counts
        action = seeing.expert_action()
        images, counts = (env.step(action)[0] for env in (seeing, sensing))


@pytest.mark.parametrize(("severity", "level"), [(0, 0.0), (2, 0.16), (5, 0.4)])
@pytest.mark.parametrize(("model", "pixels"), [("linear", linear_pixels), ("log", log_pixels)])
@pytest.mark.parametrize("env_id", RETINAS)
def test_events_of_a_brighter_scene_are_those_of_its_brighter_images(env_id, model, pixels, severity, level):
    steps = both(env_id, model, level, severity)
    images, counts = next(steps)
    assert not counts.any()
    camera, total = pixels(images), 0
    for images, counts in steps:
        assert np.array_equal(counts, windowed(camera(images), counts.shape))
        total += counts.sum()
    assert total > 50


@pytest.mark.parametrize("env_id", RETINAS)
def test_events_of_noisy_pixels_too(env_id):
    """The models of noise are checked elsewhere: here is an event camera that sees the brighter images."""
    steps = both(env_id, "noisy", 0.24, 3)
    images, counts = next(steps)
    camera = EventCamera(images.shape[1:], counts.shape[1:3], model="noisy", polarity=True)
    generators, total = [stream(3 + row, "events") for row in range(2)], 0
    memory = camera.start(images, generators)
    for images, counts in steps:
        camera.step(memory, images, generators)
        assert np.array_equal(counts, memory["counts"])
        total += counts.sum()
    assert total > 50


@pytest.mark.parametrize("model", ["linear", "log", "noisy"])
@pytest.mark.parametrize("env_id", RETINAS)
def test_there_are_fewer_events_in_a_brighter_scene(env_id, model):
    def sensed(stack):
        env = make_env(env_id, 2, {**EVENTS, "event_model": model, "max_steps": 40}, stack)
        obs = [env.reset(seed=3)[0]]
        obs += [env.step(env.expert_action())[0] for _ in range(30)]
        return np.stack(obs), env.get_state()

    (clean, state), (same, equal_state) = sensed([]), sensed(["brightness:0"])
    assert clean.tobytes() == same.tobytes()
    assert all(np.array_equal(value, equal_state[name]) for name, value in state.items())
    assert state.keys() == equal_state.keys()
    sums = [clean.sum(), *(sensed([f"brightness:{k}"])[0].sum() for k in (1, 3, 5))]
    assert sums[0] > sums[1] > sums[2] > sums[3] > 0, sums
    assert model == "linear" or sums[3] < sums[0] / 2


@pytest.mark.parametrize("factor", [0.5, 0.3])
@pytest.mark.parametrize("env_id", RETINAS)
def test_a_darker_scene_is_to_linear_pixels_a_higher_threshold(env_id, factor):
    options = {**EVENTS, "max_steps": 40}
    dark = make_env(env_id, 2, {**options, "event_light": factor})
    coarse = make_env(env_id, 2, {**options, "event_threshold": 10 / 255 / factor})
    total, _ = dark.reset(seed=1)[0].sum(), coarse.reset(seed=1)
    for _ in range(60):
        action = dark.expert_action()
        counts = dark.step(action)[0]
        assert np.array_equal(counts, coarse.step(action)[0])
        total += counts.sum()
    assert total > 50


def test_glare_of_shifts_and_of_the_environment_adds_up_to_white():
    def options(given, severity):
        return Brightness.options(BALL, {"observation": "events", **given}, severity)

    assert options({}, 3)["event_glare"] == 0.24
    assert options({"event_glare": 0.5}, 3)["event_glare"] == 0.74
    assert options({"event_glare": 0.9}, 3)["event_glare"] == 1.0
    assert options({"event_glare": 0.5}, 0) == {"observation": "events", "event_glare": 0.5}
    assert Brightness.options(BALL, {"observation": "retina"}, 3) == {"observation": "retina"}
    each_row: dict[str, Any] = {"dynamics": {"mass": [1.0, 2.0, 3.0]}}
    assert options(each_row, 3) == {"observation": "events", "event_glare": 0.24, **each_row}
    env = make_env(BALL, 3, {"observation": "events", **each_row}, ["brightness:2", "mass:1", "brightness:1"])
    assert env.unwrapped._sense._camera._light.glare == pytest.approx(0.24)


class SeesBoth(BallReachVector):
    """An image beside the events."""

    def __init__(self, num_envs: int = 1, *, event_glare: float = 0.0) -> None:
        super().__init__(num_envs, observation="events", event_glare=event_glare)
        events, self._retina = self._sense.observe, BallReachVector(num_envs, observation="retina")._sense.observe
        self._observe = lambda batch: {"events": events(batch), "image": self._retina(batch)}
        spaces: Any = {"events": self._sense.space, "image": gym.spaces.Box(0, 1, (16, 16), np.float32)}
        self._set_spaces(gym.spaces.Dict(spaces), self.single_action_space)


def test_images_and_events_in_one_observation_both_get_brighter(monkeypatch):
    spec = gym.envs.registration.EnvSpec(id="toys/SeesBoth-v0", vector_entry_point=cast(Any, SeesBoth))
    monkeypatch.setitem(gym.registry, "toys/SeesBoth-v0", spec)
    env, plain = (make_env("toys/SeesBoth-v0", 2, {}, stack) for stack in (["brightness:5"], []))
    images, events = (make_env(BALL, 2, {"observation": o}, ["brightness:5"]) for o in ("retina", "events"))
    for each in (env, plain, images, events):
        each.reset(seed=1)
    for _ in range(10):
        obs, clean, image, counts = (each.step(events.expert_action())[0] for each in (env, plain, images, events))
        assert np.array_equal(obs["image"], image) and np.array_equal(obs["events"], counts)
    assert not np.array_equal(clean["image"], image) and not np.array_equal(clean["events"], counts)


def test_recorded_events_of_a_brighter_scene_replay_bit_for_bit(tmp_path):
    kwargs: dict[str, Any] = {**EVENTS, "event_model": "noisy", "image_code": "sums", "max_steps": 40}
    shifts = ["event-noise:1", "brightness:4", "gain:1"]
    neuroctl.record("expert", tmp_path, env_id=BALL, env_kwargs=kwargs, episodes=2, shifts=shifts)
    assert neuroctl.replay(tmp_path).ok


class Sealed(BallReachVector):
    """Its event camera stands in a light of its own."""

    def __init__(self, num_envs: int = 1, *, observation: str = "events") -> None:
        super().__init__(num_envs, observation=observation)


def test_what_cannot_be_made_brighter_says_why(monkeypatch):
    spec = gym.envs.registration.EnvSpec(id="toys/Sealed-v0", vector_entry_point=cast(Any, Sealed))
    monkeypatch.setitem(gym.registry, "toys/Sealed-v0", spec)
    with pytest.raises(NeuroctlError, match="this environment has no option 'event_glare'; fitting: action") as caught:
        make_env("toys/Sealed-v0", 1, {}, ["brightness:1"])
    assert "\n" not in str(caught.value) and "brightness" not in str(caught.value).split("fitting:")[1]
    make_env("toys/Sealed-v0", 1, {"observation": "retina"}, ["brightness:1"]).close()
    with pytest.raises(NeuroctlError, match="name it in make_env.*; fitting: action-bias, action-noise") as caught:
        Brightness(BallReachVector(observation="events"), 1)
    assert "brightness" not in str(caught.value).split("fitting:")[1]
    for options, message in (
        ({"event_light": -1.0}, "light of an event camera is -1.0; allowed: 0 to 100"),
        ({"event_glare": "x"}, "glare of an event camera is 'x'; allowed: 0 to 1"),
        ({"observation": "retina", "event_glare": 0.1}, "the options event_... need observation='events'"),
    ):
        for env_id in RETINAS:
            with pytest.raises(NeuroctlError, match=f"^{message}") as caught:
                make_env(env_id, 1, {"observation": "events", **options}, ["brightness:1"])
            assert "\n" not in str(caught.value)


def test_dropped_pixels_are_black_and_drawn_anew():
    clean, dropped = see(PixelDropout, 3)
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert np.array_equal(dropped[dropped > 0], clean[dropped > 0])
    assert ((dropped[1:] == 0) & (dropped[:-1] == 0)).mean() == pytest.approx(0.2**2, abs=0.01)


def test_salt_and_pepper_are_alike_often():
    clean, shown = see(SaltPepper, 4)
    assert (shown == 0).mean() == pytest.approx(0.1, abs=0.01)
    assert (shown == 1).mean() == pytest.approx(0.1, abs=0.01)
    other = (shown > 0) & (shown < 1)
    assert np.array_equal(shown[other], clean[other])


@pytest.mark.parametrize("shift", [PixelDropout, SaltPepper])
def test_all_channels_of_a_pixel_are_lost_together(shift):
    clean, shown = see(shift, 4, "colour")
    lost = (shown == 0) | (shown == 255)
    assert lost.any()
    assert np.array_equal(lost.any(axis=-1), lost.all(axis=-1))
    assert shown.dtype == np.uint8


@pytest.mark.parametrize("shift", [Brightness, Contrast, PixelDropout, SaltPepper, Occlusion])
def test_bytes_and_floats_show_the_same(shift):
    colour, image = see(shift, 3, "colour")[1], see(shift, 3, "image")[1]
    assert np.array_equal(LEVELS[colour[..., 0]], image)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_a_rectangle_hides_its_share_for_a_whole_episode(severity):
    steps = 12
    clean, shown = see(Occlusion, severity, steps=4 * steps - 1)
    hidden = (shown == 0).reshape(4, steps, 4, HEIGHT, WIDTH)
    assert np.array_equal(shown[shown > 0], clean[shown > 0])
    assert (hidden == hidden[:, :1]).all(), "it stays where it is"
    masks = hidden[:, 0].reshape(16, HEIGHT, WIDTH)
    assert len(np.unique(masks, axis=0)) > 8, "each episode has its own"
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all(), "it is a rectangle"
    # whole pixels: a side of n pixels is exact to half a pixel
    assert masks.mean() == pytest.approx(Occlusion.level(severity), rel=0.25)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (84, 84), (16, 64)])
@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_rectangles_lie_in_the_image(shape, share):
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(200):
        top, bottom, left, right = draw_rectangle(rng, shape, share)
        assert 0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]
        areas.append((bottom - top) * (right - left) / (shape[0] * shape[1]))
    if min(shape) >= 16:
        assert np.mean(areas) == pytest.approx(share, rel=0.1)


@pytest.mark.parametrize("shift", [Brightness, Contrast, PixelDropout, SaltPepper, Occlusion])
def test_image_shifts_on_a_state_say_what_fits(shift):
    with pytest.raises(
        NeuroctlError, match="it needs an image .*; fitting: action-bias, action-noise, frame-drop, "
    ) as caught:
        shift(LaneFollowVector(1), 2)
    assert "\n" not in str(caught.value)
    assert shift.name not in str(caught.value).split("fitting:")[1]


@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(0, 1, (8,), np.float32),
        gym.spaces.Box(0, 2, (8, 8), np.float32),
        gym.spaces.Box(0, 1, (8, 8), np.float64),
        gym.spaces.Box(0, 254, (8, 8), np.uint8),
        gym.spaces.Discrete(3),
    ],
)
def test_what_is_no_image_is_refused(space):
    reason = Brightness.fits(space, gym.spaces.Discrete(2))
    assert reason is not None and reason.startswith("it needs an image")
