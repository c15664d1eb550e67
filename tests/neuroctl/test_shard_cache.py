"""Results of shards are kept by content, and damaged ones are played again."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl import distributed, shard_cache
from neuroctl.guests import Guest
from neuroctl.rollouts import Player, make_shards, play_shard
from neuroctl.shard_cache import ShardCache
from neuroctl.versions import versions
from tests.neuroctl.toys import CART, POINT, LinearConfig, linear_player, preset


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The shards that are played from here on."""
    seen: list[Any] = []

    def counted(shard: Any, player: Any) -> Any:
        seen.append(shard)
        return play_shard(shard, player)

    monkeypatch.setattr(distributed, "play_shard", counted)
    return seen


def jobs(player: Player, env_id: str = POINT, shifts: tuple[str, ...] = (), seed: int = 1, episodes: int = 20) -> Any:
    return [(shard, player) for shard in make_shards(env_id, {}, shifts, episodes, seed)]


def bits(results: Any) -> Any:
    return [
        [r.returns.tobytes(), r.lengths.tobytes(), *((k, v.tobytes()) for k, v in sorted(r.final.items()))]
        for r in results
    ]


def test_what_was_played_is_not_played_again_and_has_the_same_bits(tmp_path: Path, played: list[Any]) -> None:
    for asked in (jobs(linear_player()), jobs(Player("random"), CART)):  # a cart says of some episodes alone: NaN
        first = bits(ShardCache(tmp_path).play(asked))
        count = len(played)
        assert bits(ShardCache(tmp_path).play(asked)) == first
        assert len(played) == count
    assert len(played) == 4


def test_anything_that_decides_the_result_is_part_of_its_name(tmp_path: Path, played: list[Any]) -> None:
    cache, player = ShardCache(tmp_path), linear_player()
    other = dataclasses.replace(player, state={**player.state, "weights": player.state["weights"] + 1})
    quiet = dataclasses.replace(player, config=dataclasses.replace(preset(), agent=LinearConfig(noise=0.125)))
    asked = [
        jobs(player),
        jobs(other),
        jobs(quiet),
        jobs(player, shifts=("action-noise:1",)),
        jobs(player, shifts=("action-noise:2",)),
        jobs(player, seed=2),
        jobs(Player("random")),
    ]
    paths = {cache.path(*job) for one in asked for job in one}
    assert len(paths) == 2 * len(asked)
    renamed = dataclasses.replace(player, name="elsewhere/run")
    assert cache.path(*jobs(renamed)[0]) == cache.path(*jobs(player)[0])


def test_another_version_is_another_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job, *_) = jobs(Player("zero"))
    before = ShardCache(tmp_path).path(*job)
    here = versions()
    monkeypatch.setattr(shard_cache, "versions", lambda: {**here, "mujoco": "0.1"})
    assert ShardCache(tmp_path).path(*job) != before


def test_more_episodes_play_only_what_is_new(tmp_path: Path, played: list[Any]) -> None:
    cache = ShardCache(tmp_path)
    few = list(cache.play(jobs(linear_player(), episodes=2)))
    assert len(played) == 1 and few[0].returns.shape == (2,)
    more = list(cache.play(jobs(linear_player(), episodes=20)))
    assert len(played) == 2  # the second shard alone: all rows of the first were played and kept
    whole = [play_shard(*job) for job in jobs(linear_player(), episodes=20)]
    assert bits(more) == bits(whole)
    assert few[0].returns.tobytes() == whole[0].returns[:2].tobytes()


def test_python_code_of_other_people_is_played_anew(tmp_path: Path, played: list[Any]) -> None:
    for size, name in ((0.0, "f"), (1.0, "f"), (0.5, "zero")):

        def f(obs: Any, size: float = size) -> Any:
            return np.full((len(obs), 2), size, np.float32)

        asked = jobs(Guest(name, controller=f), episodes=3)
        first = bits(ShardCache(tmp_path).play(asked))
        assert bits(ShardCache(tmp_path).play(asked)) == first
    assert len(played) == 6 and not list(tmp_path.rglob("*.json"))
    scripted = list(ShardCache(tmp_path).play(jobs(Player("zero"), episodes=3)))
    assert bits(scripted) != first


def test_other_code_is_another_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job, *_) = jobs(Player("zero"))
    before = ShardCache(tmp_path).path(*job)
    monkeypatch.setattr(shard_cache, "_code_hash", lambda: "0")
    assert ShardCache(tmp_path).path(*job) != before


def test_options_may_be_arrays(tmp_path: Path, played: list[Any]) -> None:
    shards = make_shards("neuroctl/BallReach-v0", {"goal_m": np.array([0.1, 0.1]), "max_steps": 3}, (), 2, 0)
    asked = [(shard, Player("zero")) for shard in shards]
    assert bits(ShardCache(tmp_path).play(asked)) == bits(ShardCache(tmp_path).play(asked))
    assert len(played) == 1


@pytest.mark.parametrize("damage", ["cut", "digit", "form", "other", "part"])
def test_a_damaged_result_is_named_and_played_again(tmp_path: Path, played: list[Any], damage: str) -> None:
    cache, asked = ShardCache(tmp_path), jobs(linear_player(), episodes=5)
    right = bits(cache.play(asked))
    path = cache.path(*asked[0])
    text = path.read_text()
    changed = json.loads(text)
    changed["result"]["returns"][0] += 1.0
    other, part = json.loads(text), json.loads(text)
    other["request"]["seed"] += 1
    del part["result"]["returns"]
    part["sha256"] = shard_cache._digest(part["result"])
    written = {"cut": text[:-20], "digit": json.dumps(changed), "form": "[]"}
    written |= {"other": json.dumps(other), "part": json.dumps(part)}
    path.write_text(written[damage])
    with pytest.warns(UserWarning, match=f"{path.name} is damaged: .*; it is played again"):
        assert bits(cache.play(asked)) == right
    assert len(played) == 2
    assert bits(cache.play(asked)) == right and len(played) == 2


def test_what_came_before_an_interruption_is_kept(tmp_path: Path, played: list[Any]) -> None:
    asked = jobs(linear_player(), episodes=48)
    results = ShardCache(tmp_path).play(asked)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.rglob("*.json"))) == 1
    whole = list(ShardCache(tmp_path).play(asked))
    assert len(played) == 3
    assert np.concatenate([result.returns for result in whole]).shape == (48,)
