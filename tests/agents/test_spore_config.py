from dataclasses import replace
from typing import Any

import pytest

import neuroctl  # noqa: F401 - fills the registries
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.errors import NeuroctlError

CONFIG = SporeConfig()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "hebb"}, "unknown learning rule 'hebb'; .*synaptic-sampling"),
        ({"rule_options": ("learning_rate=1",)}, "cannot set learning_rate; set agent.learning_rate_per_s"),
        ({"rule_options": ("temperature=1",)}, "cannot set temperature; set agent.temperature"),
        ({"rule_options": ("initial",)}, "not of the form name=value"),
        ({"learning_rate_per_s": -1.0}, "agent.learning_rate_per_s must be a number >= 0, got -1.0"),
        ({"drive_mv": float("nan")}, "agent.drive_mv must be a finite number, got nan"),
        ({"readout_ms": 0.0}, "agent.readout_ms must be a number >= 1, got 0.0"),
        ({"readout_ms": "fast"}, "agent.readout_ms must be a number >= 1, got 'fast'"),
        ({"motors": 1}, "agent.motors must be an integer from 2 to 10000, got 1"),
        ({"synapses_per_pair": 0}, "agent.synapses_per_pair must be an integer >= 1, got 0"),
        ({"encoding": "place", "place_cells": 1}, "agent.place_cells must be an integer >= 2, got 1"),
        ({"encoding": "sound"}, "unknown agent.encoding 'sound'"),
        ({"reward_filter": "mean"}, "unknown agent.reward_filter 'mean'"),
        ({"learning_rate_schedule": "linear"}, "unknown agent.learning_rate_schedule 'linear'"),
        ({"temperature_schedule": "step"}, "agent.temperature_half_life_s is needed with temperature_schedule 'step'"),
        ({"learning_rate_half_life_s": 5.0}, "learning_rate_half_life_s has no effect with .*schedule 'constant'"),
        ({"encoding": "image", "event_gain": 2.0}, "agent.event_gain has no effect with encoding 'image'"),
        ({"place_cells": 4}, "agent.place_cells has no effect with encoding 'events'"),
        ({"exploration_mv": 4.0}, "agent.exploration_mv has no effect with exploration_hz 0"),
        ({"exploration_inhibition": 4.0}, "agent.exploration_inhibition has no effect with exploration_hz 0"),
        ({"reward_filter": "raw", "reward_mean_s": 4.0}, "agent.reward_mean_s has no effect with reward_filter 'raw'"),
        ({"adaptation_mv": 0.2}, "agent.adaptation_mv has no effect with target_rate_hz None; set it to None"),
        ({"target_rate_hz": 5.0, "adaptation_mv": 0.0}, "agent.adaptation_mv must be a number > 0, got 0.0"),
        ({"reward_delay_s": 1e12}, "agent.reward_delay_s must be from 0 to 3600, got 1000000000000.0"),
        ({"target_rate_hz": 0.0}, "agent.target_rate_hz must be a number > 0, got 0.0"),
        ({"target_rate_hz": 170.0}, "agent.target_rate_hz must be < 166.667 with dead_time_ms 5.0, got 170.0"),
    ],
)
def test_mistakes_are_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(NeuroctlError, match=message) as error:
        replace(CONFIG, **options)
    assert "\n" not in str(error.value)


def test_options_that_go_together_are_accepted() -> None:
    options: list[dict[str, Any]] = [
        {"encoding": "place", "place_cells": 4},
        {"exploration_hz": 10.0, "exploration_mv": 1.0, "exploration_inhibition": 0.0},
        {"learning_rate_schedule": "step", "learning_rate_half_life_s": 60.0},
        {"reward_filter": "zscore", "reward_mean_s": 10.0},
        {"target_rate_hz": 160.0},
        {"reward_delay_s": 3600.0},
        {"target_rate_hz": 5.0, "adaptation_mv": 0.5},
        {"target_rate_hz": 2000.0, "dead_time_ms": 0.0},
    ]
    for chosen in options:
        assert replace(CONFIG, **chosen) != CONFIG
