"""An agent that learns while it is recorded: its updates can be repeated, and a kill changes no bit."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuroctl.recording
from neuroctl.errors import NeuroctlError
from neuroctl.learning import repeat_learning
from neuroctl.recording import Recording
from neuroctl.replaying import replay
from neuroctl.rollouts import Shard, make_shards, record, shard_seed
from neuroctl.run import Run
from neuroctl.storage import atomic_create
from neuroctl.vector import make_env
from tests.neuroctl.toys import POINT, LinearAgent, LinearConfig, linear_player, preset, record_learning_points

Kill = Callable[..., None]


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def run_folder(path: Path) -> Path:
    """A run whose agent has learned in 4 rows."""
    run = Run.create(preset(), path)
    agent = LinearAgent(LinearConfig(noise=0.5), preset_spaces(), seed=1)
    agent.begin(4, 0)
    run.checkpoints.save(10, {"agent": agent.state_dict()})
    return path


def preset_spaces() -> Any:
    from neuroctl.run import environment_spaces

    return environment_spaces(preset())


def learn_by_hand(shards: list[Shard], kwargs: dict[str, Any]) -> list[tuple[np.ndarray[Any, Any], float]]:
    """Weights after, and return of, each episode; a loop written out, without the closed loop and recordings."""
    env, agent = make_env(POINT, 1, kwargs), linear_player(image=True).make(make_env(POINT, 1, kwargs))
    assert isinstance(agent, LinearAgent)
    learned: list[tuple[np.ndarray[Any, Any], float]] = []
    for number, shard in enumerate(shards):
        obs, _ = env.reset(seed=list(shard.seeds))  # type: ignore[arg-type]
        if number == 0:
            agent.begin(1, shard.seed)
        first, total = np.array([True]), 0.0
        while True:
            action = agent.act(obs, first)
            obs, reward, terminated, truncated, info = env.step(action)
            agent.observe(obs, reward, terminated, truncated, info)
            agent.update()
            total += float(reward[0])
            first = terminated | truncated
            if first[0]:
                break
        learned.append((agent.weights, total))
    return learned


def test_recorded_learning_is_that_of_a_plain_loop(tmp_path: Path) -> None:
    record_learning_points(tmp_path, 6)
    recording = Recording(tmp_path)
    kwargs = {"slow_s": 0.0, "image": True}
    by_hand = learn_by_hand(make_shards(POINT, kwargs, (), 6, 7, width=1), kwargs)
    for number, (weights, total) in enumerate(by_hand):
        assert np.array_equal(recording.learning_state(number + 1)["weights"], weights)
        assert recording.index[number]["return"] == total
    assert not np.array_equal(by_hand[0][0], by_hand[-1][0])


def test_every_update_is_repeated_from_the_recording_alone(tmp_path: Path) -> None:
    record_learning_points(tmp_path, 6)
    recording, agent = Recording(tmp_path), LinearAgent(LinearConfig(noise=0.5), preset_spaces(), seed=9)
    for number in reversed(recording.numbers()):
        episode = recording.episode(number)
        actions = repeat_learning(agent, episode, recording.learning_state(number), shard_seed(7, number))
        assert actions.tobytes() == episode.action.tobytes()
        after = recording.learning_state(number + 1)
        assert agent.weights.tobytes() == after["weights"].tobytes()


def test_replay_names_the_first_action_after_a_changed_learning_state(tmp_path: Path) -> None:
    source, path = run_folder(tmp_path / "run"), tmp_path / "r"
    record(source, path, episodes=5, seed=3, learn=True)
    assert replay(path, mode="policy").exact == [0, 1, 2, 3, 4]
    assert replay(path).exact == [0, 1, 2, 3, 4]
    recording = Recording(path)
    state = recording.learning_state(2)
    recording.add_learning_state(2, {**state, "weights": np.nextafter(state["weights"], np.float32(9))})
    result = replay(path, mode="policy")
    assert result.exact == [0, 1, 3, 4]
    assert result.differences[0].episode == 2 and result.differences[0].field == "action"


def test_a_damaged_learning_state_is_named_and_recorded_again(tmp_path: Path) -> None:
    source, path = run_folder(tmp_path / "run"), tmp_path / "r"
    record(source, path, episodes=4, seed=3, learn=True)
    sound = contents(path)
    for number, damage in ((2, "flip"), (0, "remove")):
        file = path / "learning" / f"{number:06d}" / "agent.safetensors"
        if damage == "flip":
            file.write_bytes(file.read_bytes()[:-1] + b"\x01")
        else:
            shutil.rmtree(file.parent)
        assert f"{number:06d}" in Recording(path).check()[0]
        assert len(replay(path, mode="policy").damaged) == 1
        record(source, path, episodes=4, seed=3, learn=True)
        assert contents(path) == sound


def test_each_learning_state_is_verified_once_when_a_recording_goes_on(tmp_path: Path, monkeypatch: Any) -> None:
    source, path = run_folder(tmp_path / "run"), tmp_path / "r"
    record(source, path, episodes=3, seed=3, learn=True)
    verified: list[int] = []
    has_state = Recording.has_learning_state

    def watched(recording: Recording, number: int) -> bool:
        verified.append(number)
        return has_state(recording, number)

    monkeypatch.setattr(Recording, "has_learning_state", watched)
    sound = contents(path)
    record(source, path, episodes=3, seed=3, learn=True)
    assert verified == [0, 1, 2, 3] and contents(path) == sound


def test_a_killed_recording_of_a_learner_is_completed_to_equal_bytes(tmp_path: Path, kill_at: Kill) -> None:
    folder = tmp_path / "r"
    for states in (1, 3, 8):
        started = lambda states=states: (folder / "learning" / f"{states:06d}").exists()  # noqa: E731
        kill_at(record_learning_points, folder, 60, 0.002, started=started, after_s=0.007)
    assert 8 <= len(Recording(folder)) < 60
    record_learning_points(folder, 20, 0.002)
    record_learning_points(tmp_path / "whole", 20, 0.002)
    whole = contents(tmp_path / "whole")
    assert {name: content for name, content in contents(folder).items() if name in whole} == whole


def test_who_does_not_learn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="the agent of 'expert' does not learn while it acts: record without learn"):
        record("expert", tmp_path / "r", episodes=1, env_id=POINT, learn=True)
    with pytest.raises(NeuroctlError, match="width is 4; an agent that learns is recorded in one row"):
        record("expert", tmp_path / "r", episodes=1, env_id=POINT, learn=True, width=4)
    assert not (tmp_path / "r").exists()


def test_two_processes_do_not_record_into_one_folder(tmp_path: Path) -> None:
    recording = record("random", tmp_path, episodes=2, env_id=POINT, width=2)
    with (
        recording.writing(),
        pytest.raises(NeuroctlError, match="is being recorded into by another process"),
    ):
        record("random", tmp_path, episodes=4, env_id=POINT, width=2)
    assert len(record("random", tmp_path, episodes=4, env_id=POINT, width=2)) == 4


def test_a_recorder_that_waited_sees_what_the_other_wrote(tmp_path: Path) -> None:
    stale = record("random", tmp_path, episodes=2, env_id=POINT, width=2)
    record("random", tmp_path, episodes=4, env_id=POINT, width=2)
    assert len(stale) == 2
    with stale.writing():
        assert len(stale) == 4


def test_of_two_that_start_a_recording_at_once_one_describes_it(tmp_path: Path, monkeypatch: Any) -> None:
    info = record("random", tmp_path / "a", episodes=1, seed=1, env_id=POINT, width=2).info
    other = dataclasses.replace(info, seed=2)
    create = atomic_create

    def late(path: Path, content: str) -> bool:
        monkeypatch.undo()
        Recording.create(tmp_path / "b", info)  # another process comes first
        return create(path, content)

    monkeypatch.setattr(neuroctl.recording, "atomic_create", late)
    with pytest.raises(NeuroctlError, match=r"other settings \(seed: 1 there, 2 asked\)"):
        Recording.create(tmp_path / "b", other)
    assert Recording(tmp_path / "b").info == info


def test_a_learner_is_replayed_from_its_own_checkpoint_only(tmp_path: Path) -> None:
    path = tmp_path / "r"
    record(run_folder(tmp_path / "run"), path, episodes=2, seed=3, learn=True)
    other = Run.create(preset(), tmp_path / "other")
    agent = LinearAgent(LinearConfig(noise=0.5), preset_spaces(), seed=2)
    other.checkpoints.save(10, {"agent": agent.state_dict()})
    with pytest.raises(NeuroctlError, match="is not the policy that was recorded"):
        replay(path, mode="policy", source=other.path)
    (path / "learning" / "000001" / "agent.json").unlink()
    notes = replay(path).notes
    assert notes == ["the learning state of episode 1 is missing or damaged: --policy cannot repeat it"]
