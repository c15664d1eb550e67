"""Experiments by name: `neuroctl train NAME`. A preset is a function that returns a `TrainConfig`."""

from typing import Literal

from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.agents.spore_config import SporeConfig
from neuroctl.config import DemonstrationsConfig, TrainConfig
from neuroctl.envs.config import (
    ArmReachConfig,
    AtariConfig,
    BallReachConfig,
    GymnasiumTaskConfig,
    LaneFollowConfig,
)

HELD_OUT = "track_seeds=(1000,1100)"
"""Random roads that no preset trains on."""


def _lane(preset: str, agent: ImitationConfig) -> TrainConfig:
    return TrainConfig(
        env=LaneFollowConfig(),
        agent=agent,
        preset=preset,
        demonstrations=DemonstrationsConfig(shifts=("action-noise:3",)),
        evaluation_options=(HELD_OUT,),
        steps=600,
        checkpoint_every=100,
    )


def lane_cfc() -> TrainConfig:
    """Low-rank sparse CfC: rank 8, half of the recurrent weights masked."""
    return _lane("lane-cfc", ImitationConfig(cell="cfc", rank=8, sparsity=0.5))


def lane_cfc_dense() -> TrainConfig:
    """Dense CfC."""
    return _lane("lane-cfc-dense", ImitationConfig(cell="cfc"))


def lane_lstm() -> TrainConfig:
    """LSTM."""
    return _lane("lane-lstm", ImitationConfig(cell="lstm"))


def lane_mlp() -> TrainConfig:
    """Feed-forward policy: sees one frame and remembers nothing."""
    return _lane("lane-mlp", ImitationConfig(cell="mlp"))


def arm_cfc() -> TrainConfig:
    """Delayed reaching with two joints: the target is shown, and gone before the arm may move.

    An episode is 130 steps; the cell begins with a memory of that length and learns slowly, or it would lose it.
    """
    agent = ImitationConfig(
        cell="cfc",
        rank=16,
        sparsity=0.5,
        memory_steps=130,
        sequence_length=130,
        learning_rate=3e-4,
        half_life=2000,
    )
    return TrainConfig(
        env=ArmReachConfig(task="delayed", command="velocity"),
        agent=agent,
        preset="arm-cfc",
        demonstrations=DemonstrationsConfig(episodes=2000, shifts=("action-noise:1",)),
        steps=4000,
        checkpoint_every=500,
    )


def ball_cfc() -> TrainConfig:
    """Reaching with a ball, seen from above."""
    return TrainConfig(
        env=BallReachConfig(observation="retina", max_steps=500),
        agent=ImitationConfig(cell="cfc", rank=8, sparsity=0.5),
        preset="ball-cfc",
        demonstrations=DemonstrationsConfig(shifts=("action-noise:3",)),
        steps=600,
        checkpoint_every=100,
    )


def halfcheetah_cfc() -> TrainConfig:
    """HalfCheetah without velocities, from an expert that sees them."""
    return TrainConfig(
        env=GymnasiumTaskConfig(id="neuroctl/HalfCheetah-v5", observe_velocity=False),
        agent=ImitationConfig(cell="cfc", rank=8, sparsity=0.5, half_life=1000),
        preset="halfcheetah-cfc",
        demonstrations=DemonstrationsConfig(shifts=("action-noise:2",), dagger_every=400),
        steps=2000,
        checkpoint_every=400,
    )


def _atari(preset: str, cell: str) -> TrainConfig:
    return TrainConfig(
        env=AtariConfig(id="neuroctl/Atari-Breakout-v0", frame_stack=1),
        agent=ImitationConfig(cell=cell, half_life=1000),
        preset=preset,
        demonstrations=DemonstrationsConfig(episodes=20, dagger_every=500, dagger_episodes=8),
        steps=2000,
        checkpoint_every=500,
    )


def atari_cfc() -> TrainConfig:
    """Breakout from single frames, dense CfC; another game with a scripted player by `--env.id`."""
    return _atari("atari-cfc", "cfc")


def atari_lstm() -> TrainConfig:
    """The same with an LSTM."""
    return _atari("atari-lstm", "lstm")


SIMULATED_HOUR = 180_000
"""Control steps of 20 ms."""
HALF_LIFE_S = 3466.0
"""Of a learning rate that sinks by 2e-4 of itself in a second."""


def _spore_ball(preset: str, image_code: Literal["pixels", "sums"], event_gain: float) -> TrainConfig:
    agent = SporeConfig(
        rule_options=("episode_length=300", "gradient_scale=0.1", "prior_precision=0.25", "initial=(1.0,0.5)"),
        learning_rate_schedule="exponential",
        learning_rate_half_life_s=HALF_LIFE_S,
        event_gain=event_gain,
        drive_mv=2.0,
        readout_ms=50.0,
        readout_gain=0.05,
    )
    return TrainConfig(
        env=BallReachConfig(
            observation="events", image_code=image_code, event_model="log", event_threshold=0.1, max_steps=30_000
        ),
        agent=agent,
        preset=preset,
        evaluation_options=("max_steps=6000",),
        steps=SIMULATED_HOUR,
        log_every=3000,
        checkpoint_every=SIMULATED_HOUR // 2,
    )


def spore_ball() -> TrainConfig:
    """SPORE learns to reach with a ball, from the 256 pixels of an event camera."""
    return _spore_ball("spore-ball", "pixels", 6.0)


def spore_ball_sums() -> TrainConfig:
    """SPORE learns to reach with a ball, from events summed over rows and columns."""
    return _spore_ball("spore-ball-sums", "sums", 1.5)


def spore_lane() -> TrainConfig:
    """SPORE learns to follow a lane on the loop, from an event camera, with five steering commands.

    Many spikes stand for an event, and small weights go with them: an input is as good as a group of neurons. Each also
    inhibits: what steers to the left can learn not to steer to the right. The learning rate sinks slowly: for as much
    change in five hours, an even rate sums up the noise of the gradient least.
    """
    agent = SporeConfig(
        rule_options=(
            "episode_length=500",
            "gradient_scale=0.2",
            "prior_precision=0.25",
            "parameter_mapping_offset=5.8",
            "initial=(0.5,0.5)",
        ),
        learning_rate_per_s=7e-5,
        learning_rate_schedule="exponential",
        learning_rate_half_life_s=10_800.0,
        inhibition=True,
        event_gain=0.25,
        input_limit_hz=800.0,
        drive_mv=1.8,
        readout_ms=50.0,
    )
    return TrainConfig(
        env=LaneFollowConfig(
            observation="events",
            track="loop",
            start="random",
            discrete_steering=True,
            max_steps=6000,
            crash_pause_s=1.0,
        ),
        agent=agent,
        preset="spore-lane",
        steps=SIMULATED_HOUR,
        log_every=3000,
        checkpoint_every=SIMULATED_HOUR // 2,
    )
