"""Every mistake in the options of an arm is named in one line."""

import numpy as np
import pytest

from neuroctl.envs.arm_reach import ArmReach
from neuroctl.errors import NeuroctlError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "planar3"}, "unknown arm 'planar3'; allowed: 'planar2', 'spatial7'"),
        ({"arm": ["planar2"]}, "unknown arm .'planar2'.; allowed"),
        ({"task": "hold"}, "unknown task 'hold'; allowed: 'reach', 'delayed'"),
        ({"command": "position"}, "unknown command 'position'; allowed: 'torque', 'velocity'"),
        ({"observe_velocity": "no"}, "unknown observe_velocity 'no'; allowed: True, False"),
        ({"target_set": "test"}, "unknown target_set 'test'; allowed: 'all', 'train', 'held-out'"),
        ({"perturbation": "wind"}, "unknown perturbation 'wind'; allowed: None, 'force-field', 'rotation'"),
        ({"target": (0.3, 0)}, r"target \(0.3, 0.0\) is out of reach: .* misses it by 0.09 m; .* up to 0.21 m"),
        ({"target": (0, 0)}, "misses it by 0.0179 m, its joints do not bend that far; .* that its joints allow"),
        ({"target": (0.225, 0)}, r"misses it by 0.015 m; allowed: points up to 0.21 m"),
        ({"target": (1e300, 0)}, r"target \(1e.300, 0.0\) is out of reach"),
        ({"target": (10**400, 0)}, "target is .*; allowed: 2 numbers in m"),
        ({"target": [0.1, [0.1]]}, "target is .*; allowed: 2 numbers in m"),
        ({"arm": np.zeros((2, 2))}, "unknown arm array"),
        ({"arm": "spatial7", "target": (0.9, 0, 0.4)}, "is out of reach: .* up to 0.85 m from its shoulder"),
        ({"target": (0.1, 0.1, 0.1)}, "target is .*; allowed: 2 numbers in m for arm='planar2'"),
        ({"arm": "spatial7", "target": (0.1, 0.1)}, "allowed: 3 numbers in m"),
        ({"target": (0.1, float("nan"))}, "target is .*; allowed: 2 numbers"),
        ({"target": "here"}, "target is 'here'; allowed: 2 numbers"),
        ({"target": (0.1, 0.1), "target_set": "train"}, "target and target_set='train' contradict each other"),
        ({"held_out_share": 0.5}, "held_out_share needs target_set='train'; found 'all'"),
        ({"held_out_share": 10**400, "target_set": "train"}, "held_out_share is 10"),
        ({"held_out_share": 1.5, "target_set": "train"}, "held_out_share is 1.5; allowed: a number from 0 to 1"),
        ({"perturbation_strength": 3.0}, "perturbation_strength needs a perturbation"),
        ({"perturbation": "rotation", "perturbation_strength": float("inf")}, "is inf; allowed: -360 to 360 degrees"),
        ({"perturbation": "rotation", "perturbation_strength": -1e300}, r"is -1e\+300; allowed: -360 to 360 degrees"),
        ({"perturbation": "rotation", "perturbation_strength": 360.1}, "is 360.1; allowed: -360 to 360 degrees"),
        ({"perturbation": "force-field", "perturbation_strength": "5"}, r"is '5'; allowed: -1e\+10 to 1e\+10 N s/m"),
        ({"perturbation": "force-field", "perturbation_strength": 1e11}, r"; allowed: -1e\+10 to 1e\+10 N s/m"),
        ({"perturbation": "rotation", "perturbation_strength": 10**400}, "is 10.*; allowed: -360 to 360 degrees"),
        ({"block_episodes": 5}, "block_episodes needs a perturbation"),
        ({"perturbation": "rotation", "block_episodes": 0}, "block_episodes must be an integer >= 1, got 0"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        ({"task": "delayed", "max_steps": 90}, "max_steps is 90; task='delayed' needs at least 105"),
        ({"render_mode": "human"}, "unknown render_mode 'human'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        ArmReach(**options)
    assert "\n" not in str(caught.value)
