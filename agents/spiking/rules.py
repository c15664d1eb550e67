"""The learning rules that come with the package, made from options by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from neuroctl.errors import UnknownNameError

from .node_perturbation import NodePerturbation
from .projections import RuleFactory
from .r_stdp import RewardModulatedSTDP
from .synaptic_sampling import SynapticSampling

START = "initial"
"""The option of every rule that is no parameter: mean and standard deviation at the start."""


def synaptic_sampling(**options: Any) -> RuleFactory:
    """`SynapticSampling` with the parameters of `SynapticSamplingParameters`, and `initial`."""
    return _factory("synaptic-sampling", SynapticSampling, options)


def r_stdp(**options: Any) -> RuleFactory:
    """`RewardModulatedSTDP` with the parameters of `RewardModulatedSTDPParameters`, and `initial`."""
    return _factory("r-stdp", RewardModulatedSTDP, options)


def node_perturbation(**options: Any) -> RuleFactory:
    """`NodePerturbation` with the parameters of `NodePerturbationParameters`, and `initial`."""
    return _factory("node-perturbation", NodePerturbation, options)


def _factory(name: str, rule: Any, options: Mapping[str, Any]) -> RuleFactory:
    names = [field.name for field in fields(rule.parameters_type)]
    for option in options:
        if option not in (START, *names):
            raise UnknownNameError(f"option of rule {name}", option, (START, *names))
    start = {START: options[START]} if START in options else {}
    parameters = rule.parameters_type(**{key: value for key, value in options.items() if key != START})
    return partial(rule, parameters=parameters, **start)
