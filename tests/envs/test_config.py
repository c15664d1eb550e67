"""A configuration hands its environment what it takes, and nothing that would do nothing."""

import pytest

from neuroctl import make_env
from neuroctl.envs.config import LaneFollowConfig
from neuroctl.errors import NeuroctlError


def test_the_loop_has_no_seeds_of_roads():
    loop, roads = LaneFollowConfig(track="loop"), LaneFollowConfig()
    assert roads.kwargs()["track_seeds"] == roads.track_seeds
    make_env(loop.id, 1, loop.kwargs()).close()
    with pytest.raises(NeuroctlError, match="^track_seeds needs track='random'"):
        make_env(loop.id, 1, LaneFollowConfig(track="loop", track_seeds=(3, 5)).kwargs())
