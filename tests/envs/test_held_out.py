import json
import pickle
from typing import Any

import numpy as np
import pytest

from neuroctl import make_env, registry
from neuroctl.envs.held_out import HeldOut, lane_follow, procgen
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.envs.track import SEEDS
from neuroctl.errors import NeuroctlError

LANE, ARM = "neuroctl/LaneFollow-v0", "neuroctl/ArmReach-v0"
ROADS = {"track": "random", "track_seeds": (0, 100)}
COINRUN = "neuroctl/Procgen-CoinRun-v0"
NEEDS: dict[str, dict[str, Any]] = {LANE: ROADS, ARM: {"target_set": "train"}, COINRUN: {"num_levels": 50}}
"""Options that leave room for a held-out set; all games with generated levels have it in the same way."""


@pytest.mark.parametrize(
    ("severity", "seeds"), [(0, (0, 100)), (1, (20, 120)), (2, (40, 140)), (4, (80, 180)), (5, (100, 200))]
)
def test_that_share_of_the_roads_is_new(severity, seeds):
    options = HeldOut.options(LANE, ROADS, severity)
    assert options["track_seeds"] == seeds
    new = set(range(*seeds)) - set(range(100))
    assert len(new) / 100 == HeldOut.level(severity)
    assert ROADS["track_seeds"] == (0, 100), "what was given is not changed"


def test_every_severity_holds_something_out_of_few_roads():
    for severity in range(1, 6):
        seeds = HeldOut.options(LANE, {"track": "random", "track_seeds": (4, 6)}, severity)["track_seeds"]
        assert set(range(*seeds)) - {4, 5}
    assert HeldOut.options(LANE, {"track": "random", "track_seeds": (4, 6)}, 5)["track_seeds"] == (6, 8)


def test_without_a_range_it_counts_from_the_default_one():
    start, stop = SEEDS
    for options in ({"track": "random"}, {"track": "random", "track_seeds": None}):
        assert LaneFollowVector(1, **options)._track_seeds == SEEDS
        assert lane_follow(options, 1.0)["track_seeds"] == (stop, 2 * stop - start)


def test_levels_of_a_generated_game_move_on():
    few = {"start_level": 10, "num_levels": 200}
    assert [procgen(few, share)["start_level"] for share in (0.2, 1.0)] == [50, 210]
    assert procgen({"num_levels": 3}, 0.01) == {"num_levels": 3, "start_level": 1}
    env = make_env(COINRUN, 4, few, ["held-out:5"])
    _, info = env.reset(seed=0)
    assert (info["level"] >= 210).all() and (info["level"] < 410).all()
    env.close()
    for options, shifts, message in (
        ({}, ["held-out:1"], "it needs num_levels > 0"),
        (few, ["held-out:1", "held-out:2"], "it stands in the stack already"),
        ({"num_levels": "few"}, ["held-out:1"], "num_levels"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            make_env(COINRUN, 1, options, shifts)


def test_the_loop_has_no_other_road():
    with pytest.raises(
        NeuroctlError, match="held-out' does not fit .*LaneFollow-v0: it needs track='random'"
    ) as caught:
        make_env(LANE, 1, {}, ["held-out:1"])
    assert "held-out" not in str(caught.value).split("fitting:")[1]


def test_an_environment_that_declares_nothing_says_who_does():
    with pytest.raises(
        NeuroctlError, match="it declares no held-out set; declared by .*neuroctl/LaneFollow-v0"
    ) as caught:
        make_env("CartPole-v1", 1, {}, ["held-out:1"])
    assert caught.value.args[0].endswith("fitting: frame-drop, gaussian-noise, observation-bias, observation-delay")


def test_a_mistake_in_the_options_is_named_by_the_environment():
    huge, ragged = [(0, 1e400), (0, 10**400)], [[1, [1, 2]], np.zeros((2, 2))]
    for seeds in [(5, 5), (5, 6, 7), (0.5, 2.5), ("0", "2"), 5, *huge, *ragged]:
        for stack in ([], ["held-out:1"]):
            with pytest.raises(NeuroctlError, match="^track_seeds is .*; allowed: integers .start, stop.") as caught:
                make_env(LANE, 1, {"track": "random", "track_seeds": seeds}, stack)
            assert "\n" not in str(caught.value)
    for value in (["train"], np.array(["train", "train"])):
        with pytest.raises(NeuroctlError, match="unknown target_set .*; allowed: 'all', 'train', 'held-out'"):
            make_env(ARM, 1, {"target_set": value}, ["held-out:1"])


@pytest.mark.parametrize("env_id", NEEDS)
def test_whoever_declares_a_held_out_set_has_it(env_id):
    def first(stack):
        return make_env(env_id, 8, NEEDS[env_id], stack).reset(seed=0)[0]

    plain, held_out = first([]), first(["held-out:5"])
    assert first(["held-out:0"]).tobytes() == plain.tobytes()
    assert all(not np.array_equal(a, b) for a, b in zip(plain, held_out, strict=True))


@pytest.mark.parametrize("env_id", NEEDS)
def test_it_stands_in_a_stack_once(env_id):
    other = "hue:1" if env_id == COINRUN else "mass:1"
    for stack in (["held-out:2", "held-out:2"], ["held-out:1", other, "held-out:0"]):
        with pytest.raises(NeuroctlError, match=f"shift 'held-out' does not fit {env_id}: .* already"):
            make_env(env_id, 1, NEEDS[env_id], stack)


def test_all_who_declare_one_are_checked():
    assert {name for name in registry.held_out.names() if not name.startswith("neuroctl/Procgen-")} <= set(NEEDS)


def test_it_does_not_overrule_a_given_share():
    for share, message in (
        (0.3, "does not fit neuroctl/ArmReach-v0: held_out_share is 0.3 already"),
        (1, "does not fit neuroctl/ArmReach-v0: held_out_share is 1 already"),
        ("x", "held_out_share is 'x'; allowed: a number from 0 to 1"),
        (np.zeros(2), "held_out_share is array.*; allowed: a number from 0 to 1"),
    ):
        with pytest.raises(NeuroctlError, match=message):
            make_env(ARM, 1, {"target_set": "train", "held_out_share": share}, ["held-out:2"])
    env: Any = make_env(ARM, 1, {"target_set": "train", "held_out_share": 0.0}, ["held-out:2"])
    assert env.unwrapped._held_out_share == HeldOut.level(2)


def test_a_range_that_has_moved_is_an_ordinary_option():
    seeds = HeldOut.options(LANE, ROADS, 3)["track_seeds"]
    assert json.loads(json.dumps(seeds)) == [60, 160] and pickle.loads(pickle.dumps(seeds)) == (60, 160)
