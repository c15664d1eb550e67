from typing import Any

import numpy as np
import pytest

from neuroctl import make_env, registry
from neuroctl.envs.held_out import HeldOut, lane_follow
from neuroctl.envs.lane_follow import LaneFollowVector
from neuroctl.errors import NeuroctlError

LANE = "neuroctl/LaneFollow-v0"
ROADS = {"track": "random", "track_seeds": (0, 100)}


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
    default: Any = LaneFollowVector.__init__.__kwdefaults__
    assert default["track"] == "loop"
    start, stop = default["track_seeds"]
    moved = lane_follow({"track": "random"}, 1.0)["track_seeds"]
    assert moved == (stop, 2 * stop - start)


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
    assert caught.value.args[0].endswith("fitting: frame-drop, gaussian-noise, observation-delay")


def test_a_mistake_in_the_options_is_named_by_the_environment():
    for seeds, message in (((5, 5), r"track_seeds is \(5, 5\)"), ((5, 6, 7), r"track_seeds is \(5, 6, 7\)")):
        with pytest.raises(NeuroctlError, match=message):
            make_env(LANE, 1, {"track": "random", "track_seeds": seeds}, ["held-out:1"])


@pytest.mark.parametrize("env_id", registry.held_out.names())
def test_whoever_declares_a_held_out_set_has_it(env_id):
    needs: dict[str, dict[str, Any]] = {LANE: ROADS, "neuroctl/ArmReach-v0": {"target_set": "train"}}
    options = needs[env_id]

    def first(stack):
        return make_env(env_id, 8, options, stack).reset(seed=0)[0]

    plain, held_out = first([]), first(["held-out:5"])
    assert first(["held-out:0"]).tobytes() == plain.tobytes()
    assert all(not np.array_equal(a, b) for a, b in zip(plain, held_out, strict=True))
