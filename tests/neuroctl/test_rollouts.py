"""An episode depends on its number and the root seed, not on how many are asked for or who plays beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.errors import NeuroctlError
from neuroctl.recording import Recording
from neuroctl.rollouts import (
    Player,
    Shard,
    find_player,
    make_shards,
    one_thread,
    play_shard,
    record,
    record_player,
)
from neuroctl.run import Run, tree_hash
from neuroctl.streams import episode_seed
from neuroctl.vector import make_env
from tests.neuroctl.toys import CART, POINT, LinearAgent, LinearConfig, linear_player, preset


def returns(player: Player, episodes: int, seed: int = 3, width: int = 4, **options: Any) -> list[float]:
    env_id = options.pop("env_id", POINT)
    shards = make_shards(env_id, options, (), episodes, seed, width)
    return [r for shard in shards for r in play_shard(shard, player).returns.tolist()]


def test_shards_have_one_width_and_count_every_episode_once() -> None:
    shards = make_shards(POINT, {"friction": 2.0}, ["gain:1"], 10, 3, width=4)
    assert [s.count for s in shards] == [4, 4, 2] and {len(s.seeds) for s in shards} == {4}
    seeds = [seed for s in shards for seed in s.seeds]
    assert seeds == [episode_seed(3, i) for i in range(12)]
    assert len({s.seed for s in shards}) == 3, "the agent's streams differ from shard to shard"
    assert shards[0].env_kwargs == {"friction": 2.0} and shards[0].shifts == ("gain:1",)
    for episodes in (0, -1):
        with pytest.raises(NeuroctlError, match=f"episodes must be an integer >= 1, got {episodes}"):
            make_shards(POINT, {}, (), episodes, 0)


@pytest.mark.parametrize(
    "player", [Player("expert"), Player("random"), Player("zero"), linear_player()], ids=lambda p: p.name
)
def test_an_episode_does_not_depend_on_how_many_are_asked_for(player: Player) -> None:
    everything = returns(player, 11)
    for episodes in (1, 3, 4, 5, 8):
        assert returns(player, episodes) == everything[:episodes]


def test_an_episode_does_not_depend_on_its_neighbours() -> None:
    def play(seeds: tuple[int, ...]) -> Any:
        return play_shard(Shard(POINT, {}, ("action-noise:3",), seeds, 4, 9), linear_player())

    first, second = play((1, 2, 3, 4)), play((9, 2, 8, 7))
    assert first.returns[1] == second.returns[1] and first.lengths[1] == second.lengths[1]
    assert {key: value[1] for key, value in first.final.items()} == {k: v[1] for k, v in second.final.items()}
    assert (first.returns[[0, 2, 3]] != second.returns[[0, 2, 3]]).all()


def test_what_is_said_of_an_episode_does_not_depend_on_its_neighbours() -> None:
    # The cart says `crash` only when it falls over. Beside a row that ends at the same step, nothing is no zero.
    whole = play_shard(Shard(CART, {"max_steps": 4}, (), tuple(range(40)), 40, 0), Player("random"))
    crash = whole.final["crash"]
    assert 5 < np.isnan(crash).sum() < 35 and set(crash[~np.isnan(crash)]) == {1.0}
    late = np.flatnonzero((whole.lengths == 4) & np.isnan(crash))
    assert len(late) and (whole.lengths[~np.isnan(crash)] == 4).any(), "both kinds of end fall on one step"
    alone = play_shard(Shard(CART, {"max_steps": 4}, (), (int(late[0]),), 1, 0), Player("zero"))
    assert np.isnan(alone.final.get("crash", np.full(1, np.nan))).all()


def test_a_row_counts_its_first_episode_only() -> None:
    shard = make_shards(POINT, {"min_steps": 2, "max_steps": 40}, (), 8, 1, width=8)[0]
    result = play_shard(shard, Player("zero"))
    assert len(set(result.lengths.tolist())) > 3
    for row, seed in enumerate(shard.seeds):
        env = make_env(POINT, 1, {"min_steps": 2, "max_steps": 40})
        env.reset(seed=[seed])  # type: ignore[arg-type]
        total, length, done = 0.0, 0, False
        while not done:
            _, reward, terminated, truncated, info = env.step(np.zeros((1, 2), np.float32))
            total, length, done = total + reward[0], length + 1, bool(terminated[0] or truncated[0])
        assert (result.returns[row], result.lengths[row]) == (total, length)
        assert result.final["success"][row] == info["final_info"]["success"][0]


def test_padding_is_played_but_not_reported() -> None:
    result = play_shard(make_shards(POINT, {}, (), 5, 0, width=4)[1], Player("zero"))
    assert result.returns.shape == result.lengths.shape == (1,)
    assert all(value.shape == (1,) for value in result.final.values())


def test_a_shard_is_played_with_one_thread_whatever_was_set() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_environment_is_closed_also_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.neuroctl.toys import Point

    closed: list[bool] = []
    monkeypatch.setattr(Point, "close", lambda self, **_: closed.append(True))
    with pytest.raises(RuntimeError, match="a bug"):
        play_shard(make_shards(POINT, {"fail": "bug"}, (), 1, 0)[0], Player("zero"))
    assert closed == [True]


def test_the_agents_state_is_not_carried_from_shard_to_shard(tmp_path: Path) -> None:
    recorded = record_player(linear_player(), tmp_path, POINT, {}, (), episodes=8, seed=3, width=4)
    assert [recorded.index[n]["return"] for n in recorded.numbers()] == returns(linear_player(), 8)


def test_recording_and_evaluation_play_the_same_episodes(tmp_path: Path) -> None:
    from neuroctl.evaluation import evaluate

    recording = record("random", tmp_path, episodes=20, seed=3, env_id=POINT)
    result = evaluate("random", episodes=20, seed=3, env_id=POINT)
    for number in recording.numbers():
        entry = recording.index[number]
        assert (entry["return"], entry["length"]) == (result.returns[number], result.lengths[number])
        assert entry["seed"] == result.seeds[number]
        assert entry["final/success"] == result.final["success"][number]


def test_labels_are_the_experts_actions_for_each_observation(tmp_path: Path) -> None:
    recording = record_player(linear_player(), tmp_path, POINT, {}, (), episodes=5, seed=3, width=4, label=True)
    for number in recording.numbers():
        episode = recording.episode(number)
        position = episode.states["position"][0]
        assert np.array_equal(episode.label[0], np.clip(-position, -1, 1).astype(np.float32))
        assert np.allclose(episode.label, np.clip(-episode.obs[:-1, :2], -1, 1), atol=1e-6)
        assert not np.array_equal(episode.label, episode.action)


def test_progress_counts_every_episode_also_those_already_recorded(tmp_path: Path) -> None:
    class Count:
        total = 0

        def advance(self, amount: int = 1, note: str = "") -> None:
            self.total += amount

        skip = advance

    for episodes in (3, 10):
        count = Count()
        record("zero", tmp_path, episodes=episodes, env_id=POINT, width=4, progress=count)
        assert count.total == episodes


def test_a_run_is_found_with_the_checkpoint_asked_for(tmp_path: Path) -> None:
    run = Run.create(preset(), tmp_path / "run")
    for step in (1, 2):
        agent = LinearAgent(LinearConfig(), None, seed=step)  # type: ignore[arg-type]
        run.checkpoints.save(step, {"agent": agent.state_dict()}, best=step == 1)
    hashes = {}
    for which in ("latest", "best", "1", "2"):
        player, found = find_player(tmp_path / "run", which)
        assert found is not None and player.config == preset()
        hashes[which] = player.policy_hash()
        assert hashes[which] == tree_hash(player.state)
    assert hashes["latest"] == hashes["2"] != hashes["best"] == hashes["1"]
    assert find_player("expert") == (Player("expert"), None)
    recording = record(tmp_path / "run", tmp_path / "r", episodes=1, checkpoint="best")
    assert Recording(tmp_path / "r").info.policy_hash == hashes["best"]
    assert recording.info.env_id == POINT and recording.info.env_kwargs == preset().env.kwargs()


def test_who_or_where_is_unknown_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(NeuroctlError, match="'exprt' is neither a run folder nor one of expert, random, zero"):
        record("exprt", tmp_path / "r", episodes=1, env_id=POINT)
    with pytest.raises(NeuroctlError, match="a scripted agent needs an environment"):
        record("expert", tmp_path / "r", episodes=1)
    with pytest.raises(NeuroctlError, match="has no scripted expert"):
        record("expert", tmp_path / "r", episodes=1, env_id=CART)
    with pytest.raises(NeuroctlError, match="episodes must be an integer >= 1, got 0"):
        record("zero", tmp_path / "s", episodes=0, env_id=POINT)
    for width in (0, -4, 2.5):
        with pytest.raises(NeuroctlError, match=f"width must be an integer >= 1, got {width}"):
            record("zero", tmp_path / "s", episodes=1, env_id=POINT, width=width)  # type: ignore[arg-type]
    with pytest.raises(NeuroctlError, match="checkpoint 0 has no effect: 'zero' is a scripted agent"):
        record("zero", tmp_path / "s", episodes=1, env_id=POINT, checkpoint=0)
    assert list(tmp_path.iterdir()) == [], "a mistake left a recording without episodes behind"


def test_a_mistake_that_shows_late_does_not_cost_what_was_recorded(tmp_path: Path) -> None:
    before = record("zero", tmp_path / "r", episodes=2, env_id=POINT, width=2)
    with pytest.raises(NeuroctlError, match="the robot is on fire"):
        record("zero", tmp_path / "s", episodes=1, env_id=POINT, env_kwargs={"fail": "NeuroctlError"})
    alter = {"env_id": POINT, "width": 2, "episodes": 4}
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch, pytest.raises(NeuroctlError, match="no more"):
        patch.setattr("neuroctl.rollouts.ClosedLoop.run_episodes", _refuse)
        record("zero", tmp_path / "r", **alter)  # type: ignore[arg-type]
    assert Recording(tmp_path / "r").index == before.index
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def _refuse(*arguments: Any) -> None:
    raise NeuroctlError("no more")


def test_damaged_and_missing_episodes_are_recorded_again(tmp_path: Path) -> None:
    def again() -> Recording:
        return record("random", tmp_path / "r", episodes=5, seed=3, env_id=POINT, width=4)

    files = sorted((again().path / "episodes").glob("*.npz"))
    sound = [file.read_bytes() for file in files]
    files[1].write_bytes(sound[1][:-7])
    files[4].unlink()
    assert len(again().check()) == 0
    assert [file.read_bytes() for file in files] == sound
