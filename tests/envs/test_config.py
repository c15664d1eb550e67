"""A configuration hands its environment what it takes, and nothing that would do nothing."""

import dataclasses
from inspect import signature
from typing import Any

import pytest

from neuroctl import make_env
from neuroctl.envs.arm_reach import ArmReachVector
from neuroctl.envs.atari import AtariVector
from neuroctl.envs.ball_reach import BallReachVector
from neuroctl.envs.config import (
    ArmReachConfig,
    AtariConfig,
    BallReachConfig,
    LaneFollowConfig,
    ProcgenConfig,
    WaterMazeConfig,
)
from neuroctl.envs.procgen import ProcgenVector
from neuroctl.envs.water_maze import WaterMazeVector
from neuroctl.errors import NeuroctlError


@pytest.mark.parametrize(
    ("config", "environment"),
    [
        (ArmReachConfig, ArmReachVector),
        (AtariConfig, AtariVector),
        (BallReachConfig, BallReachVector),
        (ProcgenConfig, ProcgenVector),
        (WaterMazeConfig, WaterMazeVector),
    ],
)
def test_every_option_of_the_environment_has_a_typed_field_with_its_default(config: Any, environment: Any) -> None:
    options = dict(signature(environment.__init__).parameters)
    for name in ("self", "num_envs", "render_mode", "dynamics"):
        options.pop(name, None)
    assert {field.name: field.default for field in dataclasses.fields(config) if field.name != "id"} == {
        name: option.default for name, option in options.items()
    }
    made = config()
    make_env(made.id, 1, made.kwargs()).close()


def test_the_loop_has_no_seeds_of_roads():
    loop, roads = LaneFollowConfig(track="loop"), LaneFollowConfig()
    assert roads.kwargs()["track_seeds"] == roads.track_seeds
    make_env(loop.id, 1, loop.kwargs()).close()
    with pytest.raises(NeuroctlError, match="^track_seeds needs track='random'"):
        make_env(loop.id, 1, LaneFollowConfig(track="loop", track_seeds=(3, 5)).kwargs())
