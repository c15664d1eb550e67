"""Spiking networks that learn: synaptic sampling, node perturbation, reward-modulated STDP."""

from .controller import SpikingController
from .decoders import LeftRightRatio, LinearReadout, LowPass, PopulationVector
from .eligibility_parameters import NodePerturbationParameters, RewardModulatedSTDPParameters
from .encoders import PoissonEncoder
from .network import SpikingNetwork
from .neurons import NeuronParameters, PoissonDoubleExpNeurons
from .node_perturbation import NodePerturbation
from .plasticity import PlasticityRule
from .projections import Population, Projection
from .r_stdp import RewardModulatedSTDP
from .recorders import LoopRecorder, Recorder, load_samples
from .reward_filters import RewardFilter
from .schedules import Schedule
from .synaptic_parameters import SynapticSamplingParameters
from .synaptic_sampling import SynapticSampling

__all__ = [
    "LeftRightRatio",
    "LinearReadout",
    "LoopRecorder",
    "LowPass",
    "NeuronParameters",
    "NodePerturbation",
    "NodePerturbationParameters",
    "PlasticityRule",
    "PoissonDoubleExpNeurons",
    "PoissonEncoder",
    "Population",
    "PopulationVector",
    "Projection",
    "Recorder",
    "RewardFilter",
    "RewardModulatedSTDP",
    "RewardModulatedSTDPParameters",
    "Schedule",
    "SpikingController",
    "SpikingNetwork",
    "SynapticSampling",
    "SynapticSamplingParameters",
    "load_samples",
]
