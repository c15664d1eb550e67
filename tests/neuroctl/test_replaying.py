"""A recorded episode replays bit for bit, or the first step and field that differ are named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroctl.errors import NeuroctlError
from neuroctl.recording import STATE_EVERY, Recording
from neuroctl.replaying import Difference, Replay, replay
from neuroctl.rollouts import record
from neuroctl.run import Run
from neuroctl.storage import sha256
from tests.neuroctl.toys import CART, POINT, LinearAgent, LinearConfig, PointConfig, preset

LANE = "neuroctl/LaneFollow-v0"


def alter(path: Path, number: int, change: Callable[[dict[str, NDArray[Any]]], None]) -> None:
    """Change an episode and put its new hash into the index, as somebody who falsifies a recording would."""
    file = path / "episodes" / f"{number:06d}.npz"
    with np.load(file) as archive:
        arrays = {key: archive[key] for key in archive.files}
    change(arrays)
    with file.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)
    index = path / "index.jsonl"
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    for line in lines:
        if line["episode"] == number:
            line["sha256"] = sha256(file)
    index.write_text("".join(json.dumps(line) + "\n" for line in lines))


def alter_dataset(path: Path, **changes: Any) -> None:
    file = path / "dataset.json"
    content = {**json.loads(file.read_text()), **changes}
    del content["sha256"]
    digest = sha256(json.dumps(content, sort_keys=True).encode())
    file.write_text(json.dumps({**content, "sha256": digest}))


def point(path: Path, episodes: int = 5, **options: Any) -> Recording:
    return record("random", path, episodes=episodes, seed=3, env_id=POINT, width=4, **options)


@pytest.mark.parametrize(
    ("env_id", "kwargs", "shifts"),
    [
        (POINT, {}, ()),
        (POINT, {"image": True, "min_steps": STATE_EVERY, "max_steps": 3 * STATE_EVERY}, ()),
        (POINT, {}, ("gaussian-noise:3", "action-noise:2", "observation-delay:4")),
        (CART, {}, ()),  # saves no state: replayed from its seed
        (CART, {}, ("gaussian-noise:3",)),
        (LANE, {"max_steps": 150}, ()),
        (LANE, {"max_steps": 50}, ("friction:3", "action-noise:3", "gaussian-noise:2")),
    ],
)
def test_a_recording_replays_bit_for_bit(tmp_path: Path, env_id: str, kwargs: Any, shifts: tuple[str, ...]) -> None:
    record("random", tmp_path, episodes=5, seed=3, env_id=env_id, env_kwargs=kwargs, shifts=shifts, width=4)
    assert replay(tmp_path) == Replay(exact=[0, 1, 2, 3, 4], differences=[], damaged=[], notes=[])
    assert replay(tmp_path, episodes=[4, 2]).exact == [4, 2]


def test_each_altered_value_is_found_at_its_step_in_its_field(tmp_path: Path) -> None:
    def bump(key: str, *place: int) -> Callable[[dict[str, NDArray[Any]]], None]:
        def change(arrays: dict[str, NDArray[Any]]) -> None:
            arrays[key][place] = np.nextafter(arrays[key][place], arrays[key].dtype.type(np.inf))

        return change

    point(tmp_path)
    length = len(Recording(tmp_path).episode(3))
    assert length >= 4
    alter(tmp_path, 0, bump("reward", 2))
    alter(tmp_path, 1, bump("obs", 1, 2))
    alter(tmp_path, 2, lambda arrays: arrays["action"].__setitem__((1, 0), 0.0))
    alter(tmp_path, 3, bump("obs", length, 0))  # the final observation
    result = replay(tmp_path)
    found = [(d.episode, d.step, d.field) for d in result.differences]
    # An altered action shows in what it leads to: the reward of its own step.
    assert found == [(0, 2, "reward"), (1, 1, "obs"), (2, 1, "reward"), (3, length, "obs")]
    assert result.exact == [4] and not result.ok and not result.damaged
    assert "element 2: recorded" in result.differences[1].detail
    assert str(result.differences[0]).startswith("episode 0 differs first at step 2 in reward: element 0: recorded ")


def test_an_altered_end_is_found(tmp_path: Path) -> None:
    point(tmp_path, 4, env_kwargs={"min_steps": 12})  # all are truncated

    def swap(arrays: dict[str, NDArray[Any]]) -> None:
        arrays["terminated"], arrays["truncated"] = arrays["truncated"], arrays["terminated"]

    def shorten(arrays: dict[str, NDArray[Any]]) -> None:
        for key in ("obs", "action", "reward"):
            arrays[key] = arrays[key][:-1]

    alter(tmp_path, 0, swap)
    alter(tmp_path, 1, shorten)
    found = [(d.episode, d.step, d.field) for d in replay(tmp_path).differences]
    assert found == [(0, 11, "terminated"), (1, 10, "truncated")]


def test_an_altered_state_is_found_at_its_snapshot(tmp_path: Path) -> None:
    point(tmp_path, 1, env_kwargs={"min_steps": 3 * STATE_EVERY, "max_steps": 3 * STATE_EVERY})
    alter(tmp_path, 0, lambda arrays: arrays["states/position"].__setitem__((2, 1), 0.5))
    difference = replay(tmp_path).differences[0]
    assert (difference.step, difference.field) == (2 * STATE_EVERY, "state/position")


def test_a_flipped_sign_of_zero_is_a_difference_and_shown_as_one(tmp_path: Path) -> None:
    point(tmp_path, 1)
    alter(tmp_path, 0, lambda arrays: arrays["obs"].__setitem__((0, 2), -0.0))  # it was 0.0
    detail = replay(tmp_path).differences[0].detail
    assert detail == "element 2: recorded np.float32(-0.0), replayed np.float32(0.0)"


def test_other_physics_are_found_at_the_first_step_and_the_model_is_named(tmp_path: Path) -> None:
    point(tmp_path)
    alter_dataset(tmp_path, env_kwargs={"friction": 1.001})
    result = replay(tmp_path)
    assert [(d.step, d.field) for d in result.differences] == [(0, "reward")] * 5
    assert len(result.notes) == 1 and result.notes[0].startswith("the model differs: recorded 000")


def test_other_friction_in_mujoco_is_found_and_the_model_is_named(tmp_path: Path) -> None:
    record("expert", tmp_path, episodes=2, env_id=LANE, env_kwargs={"max_steps": 40}, width=2)
    alter_dataset(tmp_path, env_kwargs={"max_steps": 40, "dynamics": {"friction": 0.5}})
    result = replay(tmp_path)
    assert [d.episode for d in result.differences] == [0, 1]
    assert all(d.step < 40 for d in result.differences)
    assert result.notes[0].startswith("the model differs: recorded ")


def test_a_damaged_episode_is_named_and_the_others_are_replayed(tmp_path: Path) -> None:
    point(tmp_path)
    (tmp_path / "episodes" / "000001.npz").write_bytes(b"")
    index = tmp_path / "index.jsonl"
    lines = index.read_text().splitlines()
    lines[lines.index(next(line for line in lines if '"episode": 2,' in line))] = "?"
    index.write_text("\n".join(lines) + "\n")
    result = replay(tmp_path)
    assert result.exact == [0, 3, 4] and not result.ok
    assert len(result.damaged) == 2 and "line" in result.damaged[0] and "episode 1" in result.damaged[1]


def test_other_software_is_noted(tmp_path: Path) -> None:
    point(tmp_path, 1)
    versions = json.loads((tmp_path / "dataset.json").read_text())["versions"]
    alter_dataset(tmp_path, versions={**versions, "mujoco": "1.2.3"})
    result = replay(tmp_path)
    assert result.ok and len(result.notes) == 1 and result.notes[0].startswith("mujoco 1.2.3 (here ")


# -- through the policy --------------------------------------------------------------------------------------------


def trained(path: Path, seed: int = 0, noise: float = 0.0) -> Path:
    """A run folder of the toy policy."""
    import dataclasses

    config = dataclasses.replace(preset(), seed=seed, agent=LinearConfig(noise=noise), env=PointConfig(image=True))
    run = Run.create(config, path)
    agent = LinearAgent(LinearConfig(noise=noise), None, seed=seed)  # type: ignore[arg-type]
    run.checkpoints.save(1, {"agent": agent.state_dict()})
    return path


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_policy_repeats_its_recorded_actions_also_when_it_samples(tmp_path: Path, noise: float) -> None:
    run = trained(tmp_path / "run", noise=noise)
    record(run, tmp_path / "r", episodes=10, seed=5, width=4)
    assert replay(tmp_path / "r") == Replay(list(range(10)), [], [], [])
    assert replay(tmp_path / "r", mode="policy") == Replay(list(range(10)), [], [], [])


def test_the_first_action_a_policy_would_not_take_is_named(tmp_path: Path) -> None:
    run = trained(tmp_path / "run")
    record(run, tmp_path / "r", episodes=3, width=4)
    alter(tmp_path / "r", 1, lambda arrays: arrays["action"].__setitem__((2, 1), 0.25))
    result = replay(tmp_path / "r", mode="policy")
    assert [(d.episode, d.step, d.field) for d in result.differences] == [(1, 2, "action")]
    assert "element 1: recorded np.float32(0.25), replayed" in result.differences[0].detail
    assert result.exact == [0, 2]


def test_another_policy_is_named_and_differs_at_the_first_step(tmp_path: Path) -> None:
    record(trained(tmp_path / "run"), tmp_path / "r", episodes=3, width=4)
    result = replay(tmp_path / "r", mode="policy", source=trained(tmp_path / "other", seed=1))
    assert result.notes[0].startswith("the policy differs: recorded ")
    assert [(d.step, d.field) for d in result.differences] == [(0, "action")] * 3


def test_what_cannot_be_replayed_is_said_in_one_line(tmp_path: Path) -> None:
    point(tmp_path / "r", 1)
    with pytest.raises(NeuroctlError, match="was recorded by 'random', which is no policy; use mode physics"):
        replay(tmp_path / "r", mode="policy")
    with pytest.raises(NeuroctlError, match="unknown replay mode 'phsics'; modes: physics, policy"):
        replay(tmp_path / "r", mode="phsics")
    with pytest.raises(NeuroctlError, match="no episodes are asked for"):
        replay(tmp_path / "r", episodes=[])
    for name in ("source", "checkpoint"):
        with pytest.raises(NeuroctlError, match=f"{name} has no effect in mode physics"):
            replay(tmp_path / "r", **{name: "latest"})  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match=r"no episode 7 in .*; episodes there: 0\.\.0"):
        replay(tmp_path / "r", episodes=[0, 7])
    with pytest.raises(NeuroctlError, match="no such folder"):
        replay(tmp_path / "nowhere")


def test_a_difference_reads_as_a_sentence() -> None:
    text = str(Difference(episode=7, step=12, field="obs/image", detail="element 0: recorded 1, replayed 2"))
    assert text == "episode 7 differs first at step 12 in obs/image: element 0: recorded 1, replayed 2"
