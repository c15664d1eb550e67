"""Speed of the retinas against `mujoco.Renderer`, and of the event camera against a retina, as ratios of one run.

python benchmarks/retina.py

The peers alternate, so that a change of the machine's speed meets both; the table shows medians over the repeats.
"""

import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")

import gymnasium as gym
import mujoco
import numpy as np

import neuroctl  # noqa: F401
from neuroctl.envs.lane_follow import LaneFollowVector, build_track
from neuroctl.envs.lane_render import LaneRenderer
from neuroctl.envs.opengl import open_renderer
from neuroctl.envs.retina import CAMERA_SIZE, Averager, RayRetina

REPEATS = 9
SCENE = """
<mujoco>
  <visual>
    <headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/>
    <global offheight="64" offwidth="64"/><quality shadowsize="0" offsamples="0"/>
  </visual>
  <worldbody>
    <geom type="plane" size="0 0 1" rgba=".3 .3 .3 1"/>
    <geom type="box" size=".3 .3 .3" pos="1.5 .5 .3" rgba=".9 .1 .1 1"/>
    <geom type="sphere" size=".3" pos="1.2 -.4 .4" rgba=".2 .8 .3 1"/>
    <geom type="capsule" size=".1 .4" pos="2 0 .5" rgba=".2 .3 .9 1"/>
    <camera name="eye" pos="0 0 .6" xyaxes="0 -1 0 .2 0 1" fovy="60"/>
  </worldbody>
</mujoco>
"""
FLAT = [int(mujoco.mjtRndFlag.mjRND_SHADOW), int(mujoco.mjtRndFlag.mjRND_REFLECTION)]


class RenderedLane(LaneFollowVector):
    """The same environment, whose retina is the averaged picture of `mujoco.Renderer` at 32 x 128."""

    def __init__(self, num_envs, retina_size):
        super().__init__(num_envs, observation="retina", retina_size=retina_size)
        self.lane, self.averager = LaneRenderer(build_track(-1), CAMERA_SIZE), Averager(retina_size)
        self._observe = self._observe_rendered

    def _observe_rendered(self, batch):
        frames: Iterator[Any] = (self.lane.render(build_track(-1), qpos, "near") for qpos in batch.qpos)
        return np.stack([self.averager(frame[..., 0] / np.float32(255)) for frame in frames])


def seconds(call, count):
    """Time of one call, from `count` in a row."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


def alternate(calls):
    """Median time of each `(name, call, count)`, repeated in turns."""
    times: dict[str, list[float]] = {name: [] for name, _, _ in calls}
    for _, call, _ in calls:
        call()
    for _ in range(REPEATS):
        for name, call, count in calls:
            times[name].append(seconds(call, count))
    return {name: statistics.median(values) for name, values in times.items()}


def compare_scene(size):
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    retina, renderer = RayRetina(model, "eye", size=(size, size)), open_renderer(model, size, size)
    grey = np.array([0.299, 0.587, 0.114], np.float32) / 255

    def render():
        renderer.update_scene(data, camera="eye")
        renderer.scene.flags[FLAT[0]] = renderer.scene.flags[FLAT[1]] = 0
        return renderer.render() @ grey

    result = alternate([("RayRetina", lambda: retina.render(data), 300), ("mujoco.Renderer", render, 60)])
    renderer.close()
    return result


def stepper(env):
    env.reset(seed=0)
    return lambda: env.step(env.unwrapped.expert_action())


def compare_lane(num_envs=16):
    ours = gym.make_vec("neuroctl/LaneFollow-v0", num_envs=num_envs, observation="retina", retina_size=(16, 64))
    theirs = RenderedLane(num_envs, (16, 64))
    calls = [("PlaneRetina", stepper(ours), 40), ("mujoco.Renderer", stepper(theirs), 4)]
    result = {name: value / num_envs for name, value in alternate(calls).items()}
    theirs.lane.close()
    return result


def compare_events(num_envs=16):
    """Steps with a retina, and with an event camera that sees the same 32 x 128 pixels."""
    options: dict[str, dict[str, Any]] = {
        "retina": {"observation": "retina", "retina_size": CAMERA_SIZE},
        **{model: {"observation": "events", "event_model": model} for model in ("linear", "log", "noisy")},
    }
    calls = [(name, stepper(LaneFollowVector(num_envs, max_steps=10_000, **o)), 40) for name, o in options.items()]
    return {name: value / num_envs for name, value in alternate(calls).items()}


def show_events(title, result):
    print(title)
    for name, value in result.items():
        print(f"  {name:18s} {1 / value:10.0f} steps/s  {value * 1e6:8.1f} us  {value / result['retina'] - 1:+6.0%}")


def show(title, unit, result):
    ours, peer = result
    print(f"{title}")
    for name in (ours, peer):
        print(f"  {name:18s} {1 / result[name]:10.0f} {unit}/s  {result[name] * 1e6:8.1f} us")
    print(f"  ratio              {result[peer] / result[ours]:10.1f}")


def main():
    show("retina of 16 x 16, four geoms (target: 20 times as fast)", "frames", compare_scene(16))
    show("retina of 32 x 32, four geoms", "frames", compare_scene(32))
    show("LaneFollow, retina of 16 x 64 from 32 x 128, 16 environments, with the expert", "steps", compare_lane())
    show_events("LaneFollow, event camera of 32 x 128 against a retina of that size (target: +30 %)", compare_events())


if __name__ == "__main__":
    main()
