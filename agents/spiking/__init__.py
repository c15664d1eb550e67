"""Spiking networks that learn by synaptic sampling."""

from .network import SpikingNetwork
from .neurons import NeuronParameters, PoissonDoubleExpNeurons
from .plasticity import PlasticityRule
from .projections import Population, Projection
from .synaptic_parameters import SynapticSamplingParameters
from .synaptic_sampling import SynapticSampling

__all__ = [
    "NeuronParameters",
    "PlasticityRule",
    "PoissonDoubleExpNeurons",
    "Population",
    "Projection",
    "SpikingNetwork",
    "SynapticSampling",
    "SynapticSamplingParameters",
]
