"""How a spiking agent senses and commands: rates of its inputs from observations, actions from its motor neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown, shown_space
from neuroctl.contracts import Observation
from neuroctl.errors import NeuroctlError

from .spiking.controller import Decoder
from .spiking.decoders import LeftRightRatio, PopulationVector
from .spiking.input_rates import event_rates, image_rates, place_rates
from .spore_config import SporeConfig

COMMANDS = 5
"""Steering commands of a left-right ratio."""
Rates = NDArray[np.float64]


def make_sense(
    config: SporeConfig, space: gym.Space[Any], control_dt_s: float
) -> tuple[int, Callable[[Observation], Rates]]:
    """The number of inputs, and what turns observations `[B, ...]` into their rates in Hz `[B, N]`.

    Raises:
        NeuroctlError: the encoding does not fit the observations.
    """
    if not isinstance(space, gym.spaces.Box) or not space.shape:
        raise NeuroctlError(f"spiking agents observe arrays; the environment gives {shown_space(space)}")
    low, high, count = float(space.low.min()), float(space.high.max()), int(np.prod(space.shape))
    limit = config.input_limit_hz
    if config.encoding == "events":
        if low < 0:
            raise NeuroctlError(f"encoding 'events' needs counts >= 0; the environment gives {shown_space(space)}")
        gain = 1.0 if config.event_gain is None else config.event_gain
        return count, lambda obs: event_rates(obs, gain=gain, control_dt_s=control_dt_s, limit_hz=limit)
    if config.encoding == "image":
        if space.dtype != np.uint8 and (low < 0 or high > 1):
            raise NeuroctlError(
                f"encoding 'image' needs values from 0 to 1; the environment gives {shown_space(space)}"
            )
        return count, lambda obs: image_rates(obs, limit)
    if not np.isfinite([low, high]).all():
        raise NeuroctlError(f"encoding 'place' needs finite bounds; the environment gives {shown_space(space)}")
    cells = 8 if config.place_cells is None else config.place_cells
    lows, highs = space.low.reshape(-1), space.high.reshape(-1)
    return count * cells, lambda obs: place_rates(
        np.reshape(obs, (len(obs), -1)), lows, highs, cells=cells, max_rate_hz=limit
    )


def make_decoder(config: SporeConfig, space: gym.Space[Any]) -> Decoder:
    """What turns rates of motor neurons into actions: a vector in the plane, or one of five steering commands.

    Raises:
        NeuroctlError: another action space, or an option that has no effect on it.
    """
    is_plane = _is_plane(space)
    is_steering = isinstance(space, gym.spaces.Discrete) and space.n == COMMANDS and space.start == 0
    if not is_plane and not is_steering:
        raise NeuroctlError(
            f"motor neurons command Discrete({COMMANDS}), or a Box(2,) of floats with finite bounds below and above 0; "
            f"the environment takes {shown_space(space)}"
        )
    _check_motors(config, is_plane)
    unused = "ratio_scale" if is_plane else "readout_gain"
    if getattr(config, unused) is not None:
        raise NeuroctlError(f"agent.{unused} {shown(getattr(config, unused))} has no effect on {shown_space(space)}")
    if is_plane:
        assert isinstance(space, gym.spaces.Box)
        limit = float(min(space.high.min(), -space.low.max()))
        gain = 0.05 if config.readout_gain is None else config.readout_gain
        return PopulationVector(config.motors, gain, limit)
    return LeftRightRatio(config.motors, 20.0 if config.ratio_scale is None else config.ratio_scale)


def _is_plane(space: gym.Space[Any]) -> bool:
    """Whether actions are vectors around 0."""
    if not isinstance(space, gym.spaces.Box) or space.shape != (2,) or not np.issubdtype(space.dtype, np.floating):
        return False
    bounds = np.array([space.low, space.high])
    return bool(np.isfinite(bounds).all() and (space.low < 0).all() and (space.high > 0).all())


def _check_motors(config: SporeConfig, is_plane: bool) -> None:
    """Refuse a number of motor neurons, or a scale, that cannot give all commands."""
    if is_plane and config.motors < 3:
        raise NeuroctlError(f"agent.motors must be an integer >= 3 for a command in the plane, got {config.motors}")
    if not is_plane and config.motors % 2:
        raise NeuroctlError(f"agent.motors must be even, half for each side, got {config.motors}")
    least = LeftRightRatio.boundaries[-1] if LeftRightRatio.boundaries else 0.0
    if not is_plane and config.ratio_scale is not None and config.ratio_scale <= least:
        raise NeuroctlError(f"agent.ratio_scale must be > {least:g}, the last boundary, got {config.ratio_scale:g}")
