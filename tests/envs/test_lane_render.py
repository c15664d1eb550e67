import subprocess
import sys

import numpy as np
import pytest

from neuroctl.envs import lane_follow
from neuroctl.envs.lane_follow import LaneFollow, LaneFollowVector, build_track
from neuroctl.envs.lane_render import FRAME, LaneRenderer, ground_map
from neuroctl.envs.opengl import NoOpenGLError


def without_opengl(*args, **kwargs):
    raise NoOpenGLError("no OpenGL")


@pytest.mark.parametrize("opengl", [True, False])
def test_frames_are_rendered_with_and_without_opengl(opengl, monkeypatch):
    if not opengl:
        monkeypatch.setattr(lane_follow, "LaneRenderer", without_opengl)
    env = LaneFollowVector(2, track="random", render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    state = env.get_state()
    for _ in range(25):
        env.step(env.expert_action())
    second = env.render()
    assert first.shape == second.shape == (2, *FRAME, 3)
    assert first.dtype == np.uint8
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], second[0])
    env.set_state(None, state)
    assert np.array_equal(env.render(), first)
    env.close()


def test_rendering_does_not_touch_the_simulation(monkeypatch):
    rendered, plain = (LaneFollowVector(1, render_mode="rgb_array") for _ in range(2))
    rendered.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(5):
        rendered.render()
        a, b = rendered.step(rendered.expert_action()), plain.step(plain.expert_action())
        assert a[0].tobytes() == b[0].tobytes()
    rendered.close()


def test_single_environment_renders():
    env = LaneFollow(render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (*FRAME, 3)
    env.close()


def test_texture_is_replaced_when_the_track_changes():
    a, b = build_track(1), build_track(2)
    pose = np.array([*b.pose(3.0, -0.25), 0.0])
    try:
        changed, fresh = LaneRenderer(a, (64, 128)), LaneRenderer(b, (64, 128))
    except NoOpenGLError as error:
        pytest.skip(f"needs OpenGL: install Debian packages libegl1 or libosmesa6 ({error})")
    expected = fresh.render(b, pose)
    assert not np.array_equal(changed.render(a, pose), expected)
    assert np.abs(changed.render(b, pose).astype(int) - expected).mean() < 1
    changed.close()
    fresh.close()


def test_map_is_seen_from_above_with_north_up():
    road = build_track(-1)
    picture = ground_map(road, 256)
    assert picture.shape == (256, 256)
    # The bottom straight at y = 0.5 m is dark asphalt with lines: below the middle of the picture.
    assert np.argmax((picture == 64).mean(axis=1)) > 200


def test_missing_opengl_is_one_line_with_the_packages():
    code = (
        "import mujoco\nfrom neuroctl.envs.opengl import open_renderer\n"
        "try:\n    open_renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8)\n"
        "except ValueError as error:\n    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"MUJOCO_GL": "disable"}
    )
    assert "libegl1 or libosmesa6" in result.stdout
    assert result.stdout.count("\n") == 1
