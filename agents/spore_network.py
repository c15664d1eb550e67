"""The network of a spiking agent: one layer of plastic synapses from its senses to motor neurons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neuroctl import registry
from neuroctl.checks import is_number, shown
from neuroctl.config import parse_options
from neuroctl.errors import NeuroctlError

from .spiking.calls import misfit
from .spiking.controller import Network
from .spiking.neurons import NeuronParameters
from .spiking.projections import Population, Projection, RuleFactory
from .spore_config import DT_MS, SporeConfig

SYNAPSES = "senses->motor"
"""Name of the synapses that excite; those that inhibit, if there are any, have `#2` behind it."""


def make_network(
    config: SporeConfig, num_senses: int, form: Callable[..., Network], *, batch_size: int, seed: int
) -> Network:
    """B agents with inputs `senses` and, where the options say so, `explore`; population `motor`.

    Args:
        config: options.
        num_senses: inputs.
        form: what makes a network.
        batch_size: B.
        seed: root of all random streams.

    Raises:
        NeuroctlError: options of the learning rule that do not fit it.
    """
    synapses = [
        Projection("senses", "motor", rule=rule, synapses_per_pair=config.synapses_per_pair)
        for rule in _rules_of(config)
    ]
    inputs = {"senses": num_senses}
    if config.exploration_hz > 0:
        inputs["explore"] = 1
        weight = 2.0 if config.exploration_mv is None else config.exploration_mv
        synapses.append(Projection("explore", "motor", weight=weight))
    neurons = NeuronParameters(
        dead_time_ms=config.dead_time_ms,
        with_reset=False,
        i_e_mv=config.drive_mv,
        c1_hz_per_mv=0.0,
        c2_hz=1.0,
        c3_per_mv=1.0,
        **_homeostasis(config),
    )
    return form(
        inputs=inputs,
        populations={"motor": Population(config.motors, neurons)},
        projections=synapses,
        output="motor",
        batch_size=batch_size,
        dt_ms=DT_MS,
        seed=seed,
    )


def _rules_of(config: SporeConfig) -> list[RuleFactory]:
    """What makes the synapses, and those of inhibition where there are any."""
    options = parse_options(config.rule_options)
    scale = options.get("weight_scale", 1.0)
    opposite = {**options, "weight_scale": -scale if is_number(scale) else scale}
    return [_rule_of(config, chosen) for chosen in ([options, opposite] if config.inhibition else [options])]


def _rule_of(config: SporeConfig, options: dict[str, Any]) -> RuleFactory:
    """What makes synapses, of the name of the rule and these options."""
    make = registry.rules.load(config.rule)
    wrong = misfit(make, **options)
    if wrong is not None:
        raise NeuroctlError(f"agent.rule_options do not fit rule {config.rule!r}: {wrong}")
    factory: RuleFactory = make(**options)
    if not callable(factory):
        raise NeuroctlError(f"rule {config.rule!r} must return what makes synapses, got {shown(factory)}")
    return factory


def _homeostasis(config: SporeConfig) -> dict[str, float]:
    """Parameters of the adaptive thresholds; none where they stay at 0."""
    if config.target_rate_hz is None:
        return {}
    speed = 0.1 if config.adaptation_mv is None else config.adaptation_mv
    return {"target_rate_hz": config.target_rate_hz, "target_adaptation_speed_mv": speed}
