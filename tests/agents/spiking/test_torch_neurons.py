from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.spiking.neurons import NeuronParameters, PoissonDoubleExpNeurons
from neuroctl.agents.spiking.torch_neurons import TorchNeurons
from neuroctl.errors import NeuroctlError
from tests.agents.spiking.torch_peer import DEVICES, CompiledNumbers

RESETTING = NeuronParameters(i_e_mv=10, dead_time_ms=3, input_conductance=1.2, target_adaptation_speed_mv=0.3)
LINEAR = NeuronParameters(c1_hz_per_mv=20, c2_hz=0, i_e_mv=-2, dead_time_ms=2, with_reset=False)
BOTH = NeuronParameters(c1_hz_per_mv=3, c2_hz=1, i_e_mv=4, dead_time_ms=1, with_reset=False)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("parameters", [RESETTING, LINEAR, BOTH])
def test_they_equal_the_compiled_neurons(parameters, device):
    compiled, begun = (PoissonDoubleExpNeurons(4, parameters, batch_size=3, dtype=np.float64, seed=2) for _ in range(2))
    neurons = TorchNeurons(begun, torch.device(device), seed=5)
    numbers: Any = CompiledNumbers(compiled.state_dict()["streams"], device)
    neurons.numbers = numbers
    rng = np.random.default_rng(0)
    for steps in (130, *[1] * 40, 130):
        exc, inh = (rng.normal(1, 3, (steps, 3, 4)).clip(min=0) * sign for sign in (1, -1))
        spikes, bap = neurons.advance(torch.from_numpy(np.stack([exc, inh], 2)).transpose(0, 1).to(device))
        right, trace = compiled.advance(exc, inh)
        assert np.array_equal(spikes.cpu(), right)
        assert bap.cpu().numpy() == pytest.approx(trace, abs=1e-11)
        for name in ("v_mv", "psp_mv", "threshold_mv", "refractory_steps"):
            assert getattr(neurons, name) == pytest.approx(getattr(compiled, name), abs=1e-11), name
    assert right.any()


def test_thresholds_may_be_set_and_the_rest_stays():
    neurons = TorchNeurons(PoissonDoubleExpNeurons(2, RESETTING, batch_size=1), torch.device("cpu"), seed=1)
    neurons.advance(torch.ones(1, 9, 2, 2))
    before = neurons.psp_mv
    neurons.threshold_mv = [[1.0, -2.0]]
    assert neurons.threshold_mv.tolist() == [[1.0, -2.0]]
    assert np.array_equal(neurons.psp_mv, before) and before.any()
    with pytest.raises(NeuroctlError, match="threshold_mv must be numbers of shape"):
        neurons.threshold_mv = [1.0]


def test_neurons_without_dead_time_are_refused():
    endless = PoissonDoubleExpNeurons(2, NeuronParameters(dead_time_ms=0))
    with pytest.raises(NeuroctlError, match="neurons 'neurons' on a torch device need dead_time_ms > 0, got 0"):
        TorchNeurons(endless, torch.device("cpu"), seed=1)
