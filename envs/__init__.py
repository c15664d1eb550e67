"""Robots, tasks and distribution shifts; this module only registers their names."""

import gymnasium as gym

from neuroctl.registry import held_out, shifts

from . import procgen_games
from .atari_games import GAMES, game_name

gym.register(
    id="neuroctl/LaneFollow-v0",
    entry_point="neuroctl.envs.lane_follow:LaneFollow",
    vector_entry_point="neuroctl.envs.lane_follow:LaneFollowVector",
)
gym.register(
    id="neuroctl/BallReach-v0",
    entry_point="neuroctl.envs.ball_reach:BallReach",
    vector_entry_point="neuroctl.envs.ball_reach:BallReachVector",
)
gym.register(
    id="neuroctl/ArmReach-v0",
    entry_point="neuroctl.envs.arm_reach:ArmReach",
    vector_entry_point="neuroctl.envs.arm_reach:ArmReachVector",
)
gym.register(
    id="neuroctl/WaterMaze-v0",
    entry_point="neuroctl.envs.water_maze:WaterMaze",
    vector_entry_point="neuroctl.envs.water_maze:WaterMazeVector",
)

for _name, _module, _class in (
    ("NonMatch-v0", "memory", "NonMatch"),
    ("TMaze-v0", "t_maze", "TMaze"),
    ("NParity-v0", "memory", "NParity"),
    ("Copy-v0", "memory", "Copy"),
    ("CartPole-v1", "classic_control", "CartPole"),
    ("Pendulum-v1", "classic_control", "Pendulum"),
):
    gym.register(
        id=f"neuroctl/{_name}",
        entry_point=f"neuroctl.envs.{_module}:{_class}",
        vector_entry_point=f"neuroctl.envs.{_module}:{_class}Vector",
    )

for _task in (
    *("HalfCheetah-v5", "Walker2d-v5", "Hopper-v5", "Swimmer-v5", "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5"),
    *("InvertedPendulum-v5", "InvertedDoublePendulum-v5", "Reacher-v5", "Pusher-v5"),
):
    gym.register(
        id=f"neuroctl/{_task}",
        entry_point=f"neuroctl.envs.gymnasium_tasks:{_task.removesuffix('-v5')}",
        vector_entry_point=f"neuroctl.envs.gymnasium_tasks:{_task.removesuffix('-v5')}Vector",
    )

for _game in map(game_name, GAMES):
    gym.register(
        id=f"neuroctl/Atari-{_game}-v0",
        entry_point=f"neuroctl.envs.atari:{_game}",
        vector_entry_point=f"neuroctl.envs.atari:{_game}Vector",
    )

for _game in procgen_games.GAMES:
    gym.register(
        id=f"neuroctl/Procgen-{_game}-v0",
        entry_point=f"neuroctl.envs.procgen:{_game}",
        vector_entry_point=f"neuroctl.envs.procgen:{_game}Vector",
    )

for _name, _target, _summary in (
    ("gaussian-noise", "shifts_observation:GaussianNoise", "white noise added to the observation"),
    ("observation-bias", "shifts_observation:ObservationBias", "sensors are off their zero"),
    ("observation-delay", "shifts_observation:ObservationDelay", "observations arrive some control steps late"),
    ("frame-drop", "shifts_observation:FrameDrop", "observations are lost, the last one shown is repeated"),
    ("brightness", "shifts_image:Brightness", "image, or what an event camera sees, made brighter"),
    ("contrast", "shifts_image:Contrast", "image contrast reduced"),
    ("saturation", "shifts_image:Saturation", "colours of the image fade"),
    ("hue", "shifts_image:Hue", "colours of the image turn into others"),
    ("pixel-dropout", "shifts_image:PixelDropout", "random pixels set to black"),
    ("salt-pepper", "shifts_image:SaltPepper", "random pixels set to black or white"),
    ("occlusion", "shifts_image:Occlusion", "a black rectangle hides a part of the image"),
    ("event-noise", "shifts_events:EventNoise", "events that nobody caused"),
    ("event-loss", "shifts_events:EventLoss", "events are lost"),
    ("action-noise", "shifts_robot:ActionNoise", "white noise added to the action"),
    ("action-bias", "shifts_robot:ActionBias", "actuators are off their zero"),
    ("action-delay", "shifts_robot:ActionDelay", "actions act some control steps late"),
    ("friction", "shifts_robot:Friction", "less tyre or contact friction"),
    ("damping", "shifts_robot:Damping", "joints resist more"),
    ("gain", "shifts_robot:Gain", "actuators respond more weakly"),
    ("mass", "shifts_robot:Mass", "the robot is heavier"),
    ("held-out", "held_out:HeldOut", "roads, targets, ... that training never saw"),
):
    shifts.register(_name, f"neuroctl.envs.{_target}", _summary)

held_out.register("neuroctl/LaneFollow-v0", "neuroctl.envs.held_out:lane_follow")
held_out.register("neuroctl/ArmReach-v0", "neuroctl.envs.arm_reach:held_out_targets")
for _game in procgen_games.GAMES:
    held_out.register(f"neuroctl/Procgen-{_game}-v0", "neuroctl.envs.held_out:procgen")
