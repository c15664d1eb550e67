"""What a spiking network is made of: populations of neurons, and projections between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from neuroctl.checks import checked_integer, shown, whole_steps
from neuroctl.errors import NeuroctlError
from neuroctl.streams import stream

from .calls import misfit
from .neurons import NeuronParameters
from .plasticity import PlasticityRule, as_array, checked_real

RECEPTORS = ("exc", "inh")
MOST_DELAY_MS = 10_000.0
"""What is on its way is kept for each neuron and step."""
MOST_WEIGHT_MV = 1e9
"""Sums of more would leave single precision."""


class RuleFactory(Protocol):
    """Makes the synapses of one projection: `SynapticSampling`, or a `functools.partial` of it with its settings."""

    def __call__(
        self,
        num_pre: int,
        num_post: int,
        *,
        batch_size: int,
        dt_ms: float,
        seed: int,
        dtype: DTypeLike,
        synapses_per_pair: int,
        exists: NDArray[np.bool_] | None,
    ) -> PlasticityRule:
        """The rule of `batch_size` agents; `exists` is `[B, num_pre, num_post]`, `[..., K]` where K > 1, or all."""


Weights = float | NDArray[np.floating] | Callable[[np.random.Generator, tuple[int, int]], NDArray[np.floating]]
"""A number, an array `[num_pre, num_post]` or `[B, num_pre, num_post]`, or what draws the array of one agent."""


@dataclass(frozen=True)
class Population:
    """`size` neurons with the same parameters.

    Raises:
        NeuroctlError: no positive size, or other parameters.
    """

    size: int
    parameters: NeuronParameters = field(default_factory=NeuronParameters)

    def __post_init__(self) -> None:
        """Check both."""
        checked_integer("size of a population", self.size, 1)
        if not isinstance(self.parameters, NeuronParameters):
            raise NeuroctlError(f"parameters of a population must be NeuronParameters, got {shown(self.parameters)}")


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from a group of inputs or a population to a population, static (`weight`) or plastic (`rule`).

    Raises:
        NeuroctlError: neither or both of weight and rule, or a value out of range.
    """

    source: str
    """Name of a group of inputs or of a population."""
    target: str
    """Name of a population; with that of the source, the projection is recurrent."""
    weight: Weights | None = None
    """Of static synapses, in mV."""
    rule: RuleFactory | None = None
    """Of plastic synapses."""
    delay_ms: float = 1.0
    """From a spike to its arrival: a multiple of the network's step, at least one."""
    probability: float = 1.0
    """With which each synapse exists, drawn once for each agent."""
    receptor: str = "exc"
    """`"exc"` or `"inh"`: which time constants apply. No weight of `"inh"` is positive: of a rule there,
    `PlasticityRule.greatest_weight` is at most 0, as that of `SynapticSampling` with a negative `weight_scale`."""
    synapses_per_pair: int = 1
    """Parallel plastic synapses for each pair of neurons."""
    autapses: bool = False
    """Whether a neuron of a recurrent projection may have synapses onto itself."""

    def __post_init__(self) -> None:
        """Check what can be checked without the network."""
        if (self.weight is None) == (self.rule is None):
            given = "neither" if self.rule is None else "both"
            raise self.mistake(f"needs weight or rule, got {given}")
        if self.rule is not None and not callable(self.rule):
            raise self.mistake(f"rule must be what makes its synapses, got {shown(self.rule)}")
        if self.receptor not in RECEPTORS:
            raise self.mistake(f"receptor must be 'exc' or 'inh', got {shown(self.receptor)}")
        probability = checked_real("probability", self.probability, 0.0)
        if probability > 1:
            raise self.mistake(f"probability must be from 0 to 1, got {probability:g}")
        if checked_integer("synapses_per_pair", self.synapses_per_pair, 1) > 1 and self.rule is None:
            raise self.mistake("synapses_per_pair is for plastic synapses; static ones are summed in their weight")
        if checked_real("delay_ms", self.delay_ms, 0.0, above=True) > MOST_DELAY_MS:
            raise self.mistake(f"delay_ms must be at most {MOST_DELAY_MS:g}, got {self.delay_ms:g}")

    @property
    def name(self) -> str:
        """`source->target`."""
        return f"{self.source}->{self.target}"

    def mistake(self, what: str) -> NeuroctlError:
        """The error that says so of this projection."""
        return NeuroctlError(f"projection {self.name}: {what}")

    def delay_steps(self, dt_ms: float) -> int:
        """The delay in steps.

        Raises:
            NeuroctlError: it is no multiple of `dt_ms`, or less than one.
        """
        steps = whole_steps(self.delay_ms, dt_ms)
        if not steps:
            raise self.mistake(f"delay_ms must be a multiple of the step of {dt_ms:g} ms, got {self.delay_ms:g}")
        return steps


def draw_synapses(
    projection: Projection, key: str, sizes: tuple[int, int], batch_size: int, seed: int
) -> NDArray[np.bool_] | None:
    """Which synapses exist, `[B, num_pre, num_post]` or `[B, num_pre, num_post, K]` with K > 1; None if all do.

    Agent b draws from the stream (seed, "wiring/<key>", b).
    """
    recurrent = projection.source == projection.target and not projection.autapses
    if projection.probability == 1 and not recurrent:
        return None
    shape = sizes if projection.synapses_per_pair == 1 else (*sizes, projection.synapses_per_pair)
    draws = [stream(seed, f"wiring/{key}", b).random(shape) for b in range(batch_size)]
    exists: NDArray[np.bool_] = np.stack(draws) < projection.probability
    if recurrent:
        exists[:, np.arange(sizes[0]), np.arange(sizes[0])] = False
    return exists


def make_rule(projection: Projection, sizes: tuple[int, int], **options: Any) -> PlasticityRule:
    """The synapses of a plastic projection, of the options of a `RuleFactory`.

    Raises:
        NeuroctlError: its rule does not take these options, makes something else, or weights of another shape, or its
            weights may become positive although they are inhibitory.
    """
    factory: Any = projection.rule
    wrong = misfit(factory, *sizes, **options)
    if wrong is not None:
        raise projection.mistake(f"its rule cannot be called: {wrong}")
    rule = factory(*sizes, **options)
    if not isinstance(rule, PlasticityRule):
        raise projection.mistake(f"its rule must make a PlasticityRule, got {shown(rule)}")
    shape, weight = (options["batch_size"], *sizes), np.asarray(rule.weight)
    if weight.shape != shape or weight.dtype.kind != "f":
        found = f"{weight.shape} of {weight.dtype}"
        raise projection.mistake(f"weights of its rule must be floats of shape {shape}, got {found}")
    if projection.receptor == "inh" and rule.greatest_weight > 0:
        raise projection.mistake(
            f"weights of receptor 'inh' must be <= 0, greatest_weight of its rule is {rule.greatest_weight:g}"
        )
    return rule


def draw_weights(
    projection: Projection, key: str, sizes: tuple[int, int], batch_size: int, seed: int
) -> NDArray[np.floating]:
    """The weights of a static projection, `[B, num_pre, num_post]`.

    A function draws those of agent b from the stream (seed, "weights/<key>", b).

    Raises:
        NeuroctlError: another shape, a value that is not finite, or a positive one of inhibition.
    """
    given: Any = projection.weight
    if callable(given):
        drawn = [
            as_array(f"weight of {projection.name}", given(stream(seed, f"weights/{key}", b), sizes))
            for b in range(batch_size)
        ]
        wrong = [array.shape for array in drawn if array.shape != sizes]
        if wrong:
            raise projection.mistake(f"weights must have shape {sizes}, got {wrong[0]}")
        given = np.stack(drawn)
    weights = as_array(f"weight of {projection.name}", given)
    shape = (batch_size, *sizes)
    if weights.dtype.kind not in "iuf" or weights.shape not in ((), sizes, shape):
        raise projection.mistake(f"weight must be a number or have shape {sizes} or {shape}, got {shown(given)}")
    if not (np.abs(weights) <= MOST_WEIGHT_MV).all():
        raise projection.mistake(f"weights must be finite, and at most {MOST_WEIGHT_MV:g} mV on either side of 0")
    if projection.receptor == "inh" and (weights > 0).any():
        raise projection.mistake(f"weights of receptor 'inh' must be <= 0, got {weights.max():g}")
    return np.broadcast_to(weights, shape).astype(np.float64)
