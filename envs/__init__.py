"""Robots, tasks and distribution shifts; this module only registers their names."""

import gymnasium as gym

from neuroctl.registry import shifts

gym.register(
    id="neuroctl/LaneFollow-v0",
    entry_point="neuroctl.envs.lane_follow:LaneFollow",
    vector_entry_point="neuroctl.envs.lane_follow:LaneFollowVector",
)

for _name, _class, _summary in (
    ("gaussian-noise", "GaussianNoise", "white noise added to the observation"),
    ("brightness", "Brightness", "image made brighter"),
    ("contrast", "Contrast", "image contrast reduced"),
    ("pixel-dropout", "PixelDropout", "random pixels set to black"),
    ("observation-delay", "ObservationDelay", "observations arrive some control steps late"),
    ("action-noise", "ActionNoise", "white noise added to the action"),
    ("friction", "Friction", "less tyre or contact friction"),
    ("gain", "Gain", "actuators respond more weakly"),
):
    shifts.register(_name, f"neuroctl.envs.shifts:{_class}", _summary)
