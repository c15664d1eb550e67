"""Pictures of the arms, with and without OpenGL."""

import numpy as np
import pytest

from neuroctl.envs import mujoco_task
from neuroctl.envs.arm_reach import ArmReach, ArmReachVector
from neuroctl.envs.arm_render import LINK, TARGET, draw_arm
from neuroctl.envs.arms import ARMS, PLANAR2
from neuroctl.envs.opengl import NoOpenGLError
from neuroctl.errors import NeuroctlError


def without_opengl(*args, **kwargs):
    raise NoOpenGLError("no OpenGL")


@pytest.mark.parametrize("opengl", [True, False])
@pytest.mark.parametrize("arm", ARMS)
def test_frames_show_arm_and_target_with_and_without_opengl(arm, opengl, monkeypatch):
    if not opengl:
        monkeypatch.setattr(mujoco_task, "open_renderer", without_opengl)
    env = ArmReachVector(2, arm=arm, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    state = env.get_state()
    for _ in range(10):
        env.step(env.expert_action())
    second = env.render()
    assert first.shape == second.shape == (2, 240, 320, 3)
    assert first.dtype == np.uint8
    red = (first[..., 0] > 100) & (first[..., 0] > 1.8 * first[..., 1]) & (first[..., 0] > 1.8 * first[..., 2])
    assert (red.sum(axis=(1, 2)) > 10).all()
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], second[0])
    env.set_state(None, state)
    assert np.array_equal(env.render(), first)
    env.close()


def test_rendering_does_not_touch_the_simulation():
    rendered, plain = (ArmReachVector(1, arm="spatial7", render_mode="rgb_array") for _ in range(2))
    rendered.reset(seed=0)
    plain.reset(seed=0)
    for _ in range(5):
        rendered.render()
        a, b = rendered.step(rendered.expert_action()), plain.step(plain.expert_action())
        assert a[0].tobytes() == b[0].tobytes()
    rendered.close()


def test_nothing_is_rendered_without_a_render_mode():
    env = ArmReach()
    env.reset(seed=0)
    with pytest.raises(NeuroctlError, match="render_mode='rgb_array'"):
        env.render()


def test_drawing_is_seen_from_above_with_y_up():
    chain = np.array([[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]])
    frame = draw_arm(PLANAR2, chain, np.array([0.0, 0.15]))
    lines, columns = np.nonzero((frame == LINK).all(axis=2))
    assert abs(lines.mean() - 120) < 1
    assert columns.min() >= 157 and columns.max() > 240
    lines, columns = np.nonzero((frame == TARGET).all(axis=2))
    assert abs(columns.mean() - 160) < 1 and lines.mean() < 60
