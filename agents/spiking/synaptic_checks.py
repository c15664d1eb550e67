"""What synapses refuse: arrays of other shapes, weights that their numbers do not hold, states of other synapses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import checked_integer, is_number
from neuroctl.errors import NeuroctlError

from .member_rows import check_mapping
from .plasticity import State, as_array, checked_real
from .synaptic_parameters import SynapticSamplingParameters


def check_weights(p: SynapticSamplingParameters, dtype: np.dtype[Any]) -> None:
    """Refuse a smallest weight of an active synapse that rounds to zero, or overflows.

    Raises:
        NeuroctlError: that is so.
    """
    limits = np.finfo(dtype)
    log = -math.inf if p.weight_scale == 0 else math.log(abs(p.weight_scale)) - p.parameter_mapping_offset
    if not math.log(limits.tiny) < log < math.log(limits.max):
        raise NeuroctlError(
            f"weight_scale {p.weight_scale:g} and parameter_mapping_offset {p.parameter_mapping_offset:g} give a least "
            f"weight of exp({log:.4g}), which {dtype} does not hold"
        )


def checked_exists(exists: NDArray[np.bool_] | None, shape: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which synapses there are as an array of this shape `[B, P, K, Q]`; all where None is given.

    Raises:
        NeuroctlError: no booleans, or of a shape that does not fit.
    """
    B, P, K, Q = shape
    if exists is None:
        return np.ones(shape, np.bool_)
    mask = as_array("exists", exists)
    fitting = {(P, Q): (1, P, 1, Q), (B, P, Q): (B, P, 1, Q), (B, P, Q, K): None}
    if mask.dtype != np.bool_ or mask.shape not in fitting:
        raise NeuroctlError(f"exists must be bool of shape {(P, Q)} or {(B, P, Q)}, got {mask.dtype} {mask.shape}")
    view = fitting[mask.shape]
    mask = np.moveaxis(mask, 3, 2) if view is None else mask.reshape(view)
    return np.ascontiguousarray(np.broadcast_to(mask, shape))


def checked_prior(name: str, value: float | NDArray[np.float64], num_pre: int, num_post: int) -> NDArray[np.float64]:
    """`[P, Q]`, or one row `[1, Q]` for a number.

    Raises:
        NeuroctlError: another shape.
    """
    if not isinstance(value, np.ndarray):
        return np.full((1, num_post), value)
    if value.shape != (num_pre, num_post):
        raise NeuroctlError(f"{name} must be a number or {num_pre} x {num_post}, got {value.shape}")
    return value.copy()


def checked_state(state: Mapping[str, Any], own: State, agents: int, interval: int) -> dict[str, Any]:
    """What a state of so many agents holds, with the form of `own` and `interval` steps per update; arrays are copies.

    Raises:
        NeuroctlError: it has another form, or is damaged.
    """
    check_mapping("the synapses", state)
    missing = sorted(own.keys() - state.keys())
    if missing:
        raise NeuroctlError(f"the state of the synapses lacks {missing[0]!r}")
    topology = as_array("topology of the state", state["topology"])
    needed = np.array([agents, *own["topology"][1:]])
    if not np.array_equal(topology, needed):
        raise NeuroctlError(
            "the state is of other synapses; agents, presynaptic, parallel, postsynaptic, steps per update, dt_ms, "
            f"compat, bytes: {topology.tolist()} there, {needed.tolist()} here"
        )
    settled = checked_integer("settled in the state of the synapses", state["settled"], 0)
    waiting = len(np.atleast_1d(as_array("steps/spikes of the state", state["steps/spikes"])))
    if settled + waiting >= interval:
        raise NeuroctlError(f"the state of the synapses has {settled} + {waiting} steps of {interval}")
    checked: dict[str, Any] = {"settled": settled}
    for name, mine in own.items():
        if not isinstance(mine, np.ndarray):
            continue
        given = as_array(f"{name} of the state", state[name])
        shape = (agents, *mine.shape[1:]) if mine.ndim > 1 else mine.shape
        if name.startswith("steps/"):
            shape = (waiting, agents, *mine.shape[2:])
        if given.shape != shape or given.dtype != mine.dtype or not np.isfinite(given).all():
            raise NeuroctlError(f"{name!r} of the state of the synapses is not {mine.dtype} {shape}, or not finite")
        checked[name] = np.array(given)
    for name in ("learning_rate", "temperature"):
        checked_real(f"{name} of the state", checked[name].item(), 0.0)
    return checked


def agents_of(topology: Any) -> int:
    """The number of agents in a state; 0 where it does not say, which a check of all of it then names."""
    first = topology.flat[0] if isinstance(topology, np.ndarray) and topology.size else 0
    return int(first) if is_number(first) else 0
