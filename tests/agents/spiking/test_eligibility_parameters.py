import numpy as np
import pytest

from neuroctl.agents.spiking import (
    NodePerturbationParameters,
    RewardModulatedSTDPParameters,
    SynapticSamplingParameters,
)
from neuroctl.agents.spiking.plasticity import checked_interval
from neuroctl.errors import NeuroctlError

BOTH = [NodePerturbationParameters, RewardModulatedSTDPParameters]
COMMON = [
    ("learning_rate", -1e-9, "a number >= 0"),
    ("learning_rate", True, "a number >= 0"),
    ("episode_length", 0.0, "a number > 0"),
    ("weight_update_interval", -1, "a number > 0"),
    ("min_weight", -np.inf, "a finite number"),
    ("max_weight", "high", "a finite number"),
]


@pytest.mark.parametrize(
    ("kind", "name", "wrong", "allowed"),
    [
        *((kind, *case) for kind in BOTH for case in COMMON),
        (NodePerturbationParameters, "psp_tau_rise", 0.0, "a number > 0"),
        (NodePerturbationParameters, "psp_tau_fall", np.nan, "a number > 0"),
        (RewardModulatedSTDPParameters, "a_plus", np.nan, "a finite number"),
        (RewardModulatedSTDPParameters, "a_minus", None, "a finite number"),
        (RewardModulatedSTDPParameters, "tau_plus", 0.0, "a number > 0"),
        (RewardModulatedSTDPParameters, "tau_minus", -2.0, "a number > 0"),
    ],
)
def test_values_out_of_range_are_refused(kind, name, wrong, allowed):
    with pytest.raises(NeuroctlError) as error:
        kind(**{name: wrong})
    assert str(error.value) == f"{name} must be {allowed}, got {wrong!r}"


@pytest.mark.parametrize("kind", BOTH)
def test_contradictions_are_refused(kind):
    with pytest.raises(NeuroctlError, match="min_weight must be <= max_weight -1, got 0"):
        kind(max_weight=-1)
    assert kind(min_weight=-2, max_weight=-2).max_weight == -2.0


def test_a_potential_needs_two_time_constants():
    with pytest.raises(NeuroctlError, match="psp_tau_rise must differ from psp_tau_fall, got 20 for both"):
        NodePerturbationParameters(psp_tau_rise=20)


@pytest.mark.parametrize("kind", BOTH)
def test_shared_names_have_the_values_of_synaptic_sampling(kind):
    mine, other = kind(), SynapticSamplingParameters()
    for name in ("episode_length", "weight_update_interval"):
        assert getattr(mine, name) == getattr(other, name)
    largest = other.weight_scale * np.exp(other.max_param - other.parameter_mapping_offset)
    assert mine.max_weight == pytest.approx(largest, abs=0.05)


def test_the_interval_is_a_number_of_steps():
    name, parameters = "weight_update_interval", NodePerturbationParameters(weight_update_interval=0.3)
    assert checked_interval(name, parameters.weight_update_interval, 0.1) == 3
    for dt_ms in (0.2, 1.0):
        with pytest.raises(NeuroctlError, match=f"weight_update_interval must be a multiple of dt_ms {dt_ms:g}, got"):
            checked_interval(name, parameters.weight_update_interval, dt_ms)
