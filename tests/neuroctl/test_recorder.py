"""What the recorder writes is what happened, bit for bit, and it keeps nothing in memory."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.contracts import Listener, Step
from neuroctl.episode_codec import flatten
from neuroctl.loop import ClosedLoop
from neuroctl.recorder import Recorder, dataset_info
from neuroctl.recording import Recording
from neuroctl.rollouts import record
from neuroctl.scripted import ScriptedAgent
from neuroctl.vector import make_env
from tests.neuroctl.toys import POINT


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


class Witness(Listener):
    """Keeps everything the loop did."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def on_step(self, step: Step) -> None:
        self.steps.append(step)


@pytest.mark.parametrize("image", [False, True])
def test_a_recording_holds_every_bit_of_what_happened(tmp_path: Path, image: bool) -> None:
    kwargs = {"image": image, "min_steps": 3, "max_steps": 30}
    env = make_env(POINT, 3, kwargs)
    info = dataset_info(env, POINT, kwargs, (), agent="random", policy_hash="", seed=1, width=3)
    recording, witness = Recording.create(tmp_path / "r", info), Witness()
    recorder = Recorder(recording, [5, None, 6], [11, 12, 13], state_every=4)
    ClosedLoop(env, ScriptedAgent("random", env), [recorder, witness]).run_episodes([11, 12, 13], 1)

    assert recording.numbers() == Recording(tmp_path / "r").numbers() == [5, 6]
    for number, row, seed in ((5, 0, 11), (6, 2, 13)):
        episode = Recording(tmp_path / "r").episode(number)
        length = next(i for i, s in enumerate(witness.steps) if s.done[row]) + 1
        steps = witness.steps[:length]
        assert len(episode) == length == episode.info["length"]
        obs = flatten("obs", episode.obs)
        for key in flatten("obs", steps[0].obs):
            rows = [flatten("obs", s.obs)[key][row] for s in steps]
            rows.append(flatten("obs", steps[-1].info["final_obs"])[key][row])
            assert same(obs[key], np.stack(rows)), key
        assert same(episode.action, np.stack([s.action[row] for s in steps]))
        assert same(episode.reward, np.array([s.reward[row] for s in steps]))
        assert same(episode.label, episode.action)
        assert (episode.terminated, episode.truncated) == (steps[-1].terminated[row], steps[-1].truncated[row])
        assert episode.info["return"] == np.cumsum(episode.reward)[-1]
        assert episode.info["final/success"] == float(steps[-1].info["final_info"]["success"][row])
        assert (episode.info["seed"], episode.info["row"]) == (seed, row)
        assert len(episode.states["position"]) == (length - 1) // 4 + 1
        assert episode.states["steps"].tolist() == list(range(0, length, 4))


def wild(step: int, kind: str) -> NDArray[Any]:
    """Observations of two rows in which some steps can be packed as bytes and some cannot."""
    image = np.full((2, 2, 3), step % 3 / np.float32(255), np.float32)
    if kind == "mixed" and step % 2:
        image[0] = 0.1234567
    if kind == "negative zero" and step == 2:
        image[:, 0, 0] = -0.0
    if kind == "bytes":
        return np.rint(image * 255).astype(np.uint8)
    return image[:, 0, 0].copy() if kind == "scalar" else image


@pytest.mark.parametrize("kind", ["packed", "mixed", "negative zero", "bytes", "scalar"])
def test_episodes_of_mixed_images_are_lossless(tmp_path: Path, kind: str) -> None:
    env = make_env(POINT, 2)
    info = dataset_info(env, POINT, {}, (), agent="random", policy_hash="", seed=0, width=2)
    recording = Recording.create(tmp_path / "r", info)
    recorder = Recorder(recording, [0, 1], [0, 0])
    env.reset(seed=0)
    recorder.on_begin(env, wild(0, kind), {})
    for t in range(4):
        last = np.full(2, t == 3)
        step = Step(
            t, wild(t, kind), np.full(2, t == 0), np.zeros((2, 1)), np.array([0.1, -0.0]), last, ~last & last,
            wild(0, kind), {"final_obs": wild(4, kind)},
        )  # fmt: skip
        recorder.on_step(step)
    for row in range(2):
        episode = recording.episode(row)
        assert same(episode.obs, np.stack([wild(t, kind)[row] for t in range(5)]))
        assert same(episode.reward, np.full(4, [0.1, -0.0][row]))


def test_a_recording_says_what_made_it(tmp_path: Path) -> None:
    info = record("expert", tmp_path, episodes=1, seed=7, env_id=POINT, env_kwargs={"friction": 2.0}, width=4).info
    assert (info.env_id, info.env_kwargs, info.agent, info.seed, info.width) == (
        POINT,
        {"friction": 2.0},
        "expert",
        7,
        4,
    )
    assert info.model_hash and info.versions["numpy"] == np.__version__
    assert dataclasses.asdict(Recording(tmp_path).info) == dataclasses.asdict(info)
    assert Recording(tmp_path).version_differences() == []


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_recording_300_episodes_keeps_memory_flat(tmp_path: Path) -> None:
    kwargs = {"image": True, "image_size": (48, 48), "min_steps": 75, "max_steps": 80}
    record("random", tmp_path / "warm", episodes=16, env_id=POINT, env_kwargs=kwargs)
    before = resident_mb()
    record("random", tmp_path / "r", episodes=300, env_id=POINT, env_kwargs=kwargs)
    assert resident_mb() - before < 25  # 54 MB if every episode were kept as bytes, 216 MB as floats
