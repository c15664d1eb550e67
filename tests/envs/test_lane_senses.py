from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import neuroctl
from neuroctl.envs.event_camera import EventSpace
from neuroctl.envs.lane_follow import LaneFollow, LaneFollowVector
from neuroctl.envs.retina import CAMERA_SIZE
from neuroctl.errors import NeuroctlError

RETINA: dict[str, Any] = {"observation": "retina", "retina_size": CAMERA_SIZE}
EVENTS: dict[str, Any] = {"observation": "events", "event_polarity": True}


def grey(images):
    return np.round(images * 255).astype(int)


def windowed(pixels):
    """Sums over 8 x 8 pixels: `[n, 32, 128]` -> `[n, 4, 16]`."""
    return pixels.reshape(-1, 4, 8, 16, 8).sum(axis=(2, 4))


@pytest.mark.parametrize("camera", ["near", "far"])
def test_events_are_those_of_the_cameras_images(camera):
    """The images of an equal vehicle with a full retina, differences of more than 10 grey values, counted here."""
    options: dict[str, Any] = {"camera": camera, "track": "random", "max_steps": 60}
    seeing, sensing = LaneFollowVector(3, **RETINA, **options), LaneFollowVector(3, **EVENTS, **options)
    reference = grey(seeing.reset(seed=1)[0])
    assert not sensing.reset(seed=1)[0].any()
    for _ in range(100):
        action = seeing.expert_action()
        images, _, _, truncated, _ = seeing.step(action)
        counts, info = sensing.step(action)[::4]
        if truncated.any():
            assert info["final_obs"].any(axis=(1, 2, 3)).all()
            assert not counts.any()
            reference = grey(images)
            continue
        change = grey(images) - reference
        expected = np.stack([windowed(change > 10), windowed(change < -10)], axis=-1)
        assert np.array_equal(counts, expected)
        reference = np.where(abs(change) > 10, grey(images), reference)
        assert counts.sum(axis=(1, 2, 3)).min() > 50


def test_the_beginning_and_the_end_of_a_blackout_are_seen_as_flashes():
    env = LaneFollowVector(2, blackout_s=0.2, max_steps=4000, **EVENTS)
    env.reset(seed=0)
    flashes = {True: 0, False: 0}
    before = np.zeros(2, bool)
    for _ in range(600):
        on, off = np.moveaxis(env.step(env.expert_action())[0].sum(axis=(1, 2)), 1, 0)
        dark = env.variable("blackout") > 0
        assert not (on + off)[dark & before].any()
        assert (off[dark & ~before] > 3500).all()
        assert (on[~dark & before] > 3500).all()
        for row in np.flatnonzero(dark != before):
            flashes[bool(dark[row])] += 1
        before = dark
    assert min(flashes.values()) > 4


def test_a_standing_vehicle_makes_no_events():
    env = LaneFollowVector(1, start="fixed", crash_pause_s=0.2, **EVENTS)
    env.reset(seed=0)
    straight = np.zeros((1, 1), np.float32)
    while not env.variable("crashed")[0]:
        assert env.step(straight)[0].any()
    assert not any(env.step(straight)[0].any() for _ in range(9))


@pytest.mark.parametrize("model", ["linear", "log", "noisy"])
def test_events_and_their_times_survive_a_restore(model):
    options: dict[str, Any] = {"event_model": model, "event_time_stamps": True, "blackout_s": 0.1, **EVENTS}
    env, twin = LaneFollowVector(3, **options), LaneFollowVector(2, **options)
    env.reset(seed=0)
    for _ in range(30):
        env.step(env.expert_action())
    twin.set_state(None, env.get_state([2, 0]))
    for _ in range(20):
        assert np.array_equal(twin.current_obs(), env.current_obs()[[2, 0]])
        for a, b in zip(twin.events(), [env.events()[2], env.events()[0]], strict=True):
            assert np.array_equal(a, b)
        sums = [len(events) for events in env.events()]
        assert sums == env.current_obs().sum(axis=(1, 2, 3)).astype(int).tolist()
        action = env.expert_action()
        env.step(action)
        twin.step(action[[2, 0]])


def test_spaces_and_shapes():
    assert LaneFollowVector(2, observation="events").single_observation_space == EventSpace((4, 16))
    assert LaneFollowVector(2, **EVENTS).observation_space == EventSpace((2, 4, 16, 2))
    assert LaneFollowVector(2, **RETINA).single_observation_space == gym.spaces.Box(0, 1, (32, 128), np.float32)
    env = LaneFollow(event_time_stamps=True, **EVENTS)
    obs, _ = env.reset(seed=0)
    assert obs.shape == (4, 16, 2)
    assert len(env.events()) == 0
    obs = env.step(env.expert_action())[0]
    assert len(env.events()) == obs.sum() > 0


def test_the_threshold_is_passed_on():
    sums = []
    for threshold in (0.02, None, 0.3):
        env = LaneFollowVector(1, event_threshold=threshold, **EVENTS)
        env.reset(seed=0)
        sums.append(sum(env.step(env.expert_action())[0].sum() for _ in range(10)))
    assert sums[0] > sums[1] > sums[2] > 0


def test_recorded_events_replay_bit_for_bit(tmp_path):
    kwargs: dict[str, Any] = {"event_model": "noisy", "track": "random", "max_steps": 40, "blackout_s": 0.1, **EVENTS}
    neuroctl.record("expert", tmp_path, env_id="neuroctl/LaneFollow-v0", env_kwargs=kwargs, episodes=2)
    assert neuroctl.replay(tmp_path).ok


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observation": "dvs"}, "unknown observation 'dvs'; allowed: 'state', 'retina', 'events'"),
        ({"observation": "events", "camera": "rear"}, "unknown camera 'rear'; allowed: 'near', 'far'"),
        ({"observation": "events", "retina_size": (8, 8)}, "retina_size needs observation='retina'; found 'events'"),
        ({"retina_size": (8, 8)}, "retina_size needs observation='retina'; found 'state'"),
        ({"camera": "far"}, "camera and blackout_s need observation='retina' or 'events'; found 'state'"),
        ({"event_model": "log"}, "the options event_... need observation='events'; found 'state'"),
        ({"observation": "retina", "event_polarity": True}, "the options event_... need observation='events'"),
        ({"observation": "retina", "event_threshold": 0.1}, "the options event_... need observation='events'"),
        ({"observation": "retina", "event_time_stamps": True}, "the options event_... need observation='events'"),
        ({"observation": "events", "event_model": "dvs"}, "unknown event model 'dvs'; known: linear, log, noisy"),
        ({"observation": "events", "event_threshold": 0.0}, "threshold of event model 'linear' is 0.0; allowed"),
        (
            {"observation": "events", "event_polarity": "on"},
            "polarity of an event camera is 'on'; allowed: True, False",
        ),
    ],
)
def test_contradictions_are_named(options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        LaneFollow(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [{}, {"observation": "events"}])
def test_missing_times_are_named(options):
    env = LaneFollowVector(1, **options)
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="they need observation='events' and event_time_stamps=True"):
        env.events()
