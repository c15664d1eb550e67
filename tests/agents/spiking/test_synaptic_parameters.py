from dataclasses import FrozenInstanceError, asdict
from typing import Any

import numpy as np
import pytest

from neuroctl.agents.spiking import SynapticSamplingParameters
from neuroctl.errors import NeuroctlError


def test_defaults_are_those_of_the_nest_module():
    assert asdict(SynapticSamplingParameters()) == {
        "learning_rate": 5e-8,
        "temperature": 0.1,
        "gradient_noise": 0.0,
        "psp_tau_rise": 2.0,
        "psp_tau_fall": 20.0,
        "psp_cutoff_amplitude": 1e-4,
        "episode_length": 1000.0,
        "integration_time": 50_000.0,
        "weight_update_interval": 100.0,
        "parameter_mapping_offset": 3.0,
        "weight_scale": 1.0,
        "gradient_scale": 1.0,
        "direct_gradient_rate": 0.0,
        "max_param": 5.0,
        "min_param": -2.0,
        "max_param_change": 40.0,
        "prior_mean": 0.0,
        "prior_precision": 1.0,
        "simulate_retracted_synapses": False,
    }


@pytest.mark.parametrize(
    ("name", "wrong", "allowed"),
    [
        *((name, -1e-9, "a number >= 0") for name in ("learning_rate", "temperature", "gradient_noise")),
        *((name, -1.0, "a number >= 0") for name in ("psp_cutoff_amplitude", "max_param_change", "prior_precision")),
        ("direct_gradient_rate", -1.0, "a number >= 0"),
        *((name, 0.0, "a number > 0") for name in ("psp_tau_rise", "psp_tau_fall", "episode_length")),
        *((name, 0, "a number > 0") for name in ("integration_time", "weight_update_interval")),
        *((name, np.nan, "a finite number") for name in ("parameter_mapping_offset", "weight_scale", "max_param")),
        *((name, -np.inf, "a finite number") for name in ("gradient_scale", "min_param", "prior_mean")),
        ("temperature", "hot", "a number >= 0"),
        ("learning_rate", np.inf, "a number >= 0"),
        ("learning_rate", True, "a number >= 0"),
        ("simulate_retracted_synapses", 1, "True or False"),
    ],
)
def test_values_out_of_range_are_refused(name, wrong, allowed):
    with pytest.raises(NeuroctlError) as error:
        SynapticSamplingParameters(**{name: wrong})
    assert str(error.value) == f"{name} must be {allowed}, got {wrong!r}"


def test_contradictions_are_refused():
    with pytest.raises(NeuroctlError, match="min_param must be <= max_param 1, got 2"):
        SynapticSamplingParameters(min_param=2, max_param=1)
    with pytest.raises(NeuroctlError, match="psp_tau_rise must differ from psp_tau_fall, got 20 for both"):
        SynapticSamplingParameters(psp_tau_rise=20)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("prior_precision", np.array([[1.0, -2.0]]), "every prior_precision must be >= 0, got -2.0"),
        ("prior_mean", np.array([[1.0, np.nan]]), "every prior_mean must be finite, got nan"),
        ("prior_mean", np.zeros(3), r"prior_mean must be a number or an array \[num_pre, num_post\]"),
        ("prior_mean", np.array([["a"]]), "prior_mean must be a number or an array"),
    ],
)
def test_a_wrong_prior_per_synapse_is_refused(name, wrong, message):
    with pytest.raises(NeuroctlError, match=message):
        SynapticSamplingParameters(**{name: wrong})


def test_parameters_cannot_be_changed():
    mean = np.zeros((2, 3))
    parameters: Any = SynapticSamplingParameters(prior_mean=mean)
    mean[:] = 7
    assert not parameters.prior_mean.any()
    with pytest.raises(ValueError, match="read-only"):
        parameters.prior_mean[0] = 1
    with pytest.raises(FrozenInstanceError):
        parameters.temperature = 1.0


def test_equality_is_that_of_the_values():
    def make(value):
        return SynapticSamplingParameters(prior_mean=np.full((2, 2), value))

    assert make(1.0) == make(1.0)
    assert make(1.0) != make(2.0)
    assert make(1.0) != SynapticSamplingParameters(prior_mean=1.0)
    assert SynapticSamplingParameters(temperature=0) == SynapticSamplingParameters(temperature=0.0)
    assert SynapticSamplingParameters() != 3
