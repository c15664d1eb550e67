"""Experiments by name: `neuroctl train NAME`. A preset is a function that returns a `TrainConfig`."""

from neuroctl.agents.imitation_config import ImitationConfig
from neuroctl.config import DemonstrationsConfig, TrainConfig
from neuroctl.envs.config import ArmReachConfig, BallReachConfig, LaneFollowConfig

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
