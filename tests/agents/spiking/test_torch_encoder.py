import numpy as np
import pytest
import torch

from neuroctl.agents.spiking.torch_encoder import TorchPoissonEncoder
from neuroctl.errors import NeuroctlError, NonFiniteError
from tests.agents.spiking.torch_peer import DEVICES

RATES = np.array([[0.0, 5.0, 400.0], [50.0, 0.0, 3000.0]])


@pytest.mark.parametrize("device", DEVICES)
def test_counts_are_poisson_at_their_rates_in_every_step(device):
    """Mean and variance of each input within 5 standard errors, and the mean of each step: 1 false alarm in 5e4."""
    encoder = TorchPoissonEncoder(3, 10, batch_size=2, dt_ms=2.0, seed=4, device=device)
    spikes = torch.stack([encoder.encode(RATES) for _ in range(1000)])
    assert spikes.dtype == torch.uint8 and spikes.device.type == device
    counts, means = spikes.cpu().numpy().astype(float), RATES * 0.002
    n = 1000 * 10
    assert (np.abs(counts.mean(axis=(0, 1)) - means) <= 5 * np.sqrt(means / n)).all()
    assert (np.abs(counts.mean(axis=0) - means) <= 5 * np.sqrt(means / 1000)).all()
    squares = ((counts - means) ** 2).mean(axis=(0, 1))
    assert (np.abs(squares - means) <= 5 * np.sqrt((means + 2 * means**2) / n)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_it_goes_on_with_the_same_bits(device):
    one, other = (TorchPoissonEncoder(3, 20, batch_size=2, seed=seed, device=device) for seed in (1, 2))
    first = one.encode(RATES)
    other.load_state_dict(one.state_dict())
    second = one.encode(RATES)
    assert torch.equal(other.encode(RATES), second) and not torch.equal(first, second)
    assert torch.equal(TorchPoissonEncoder(3, 20, batch_size=2, seed=1, device=device).encode(RATES), first)


def test_wrong_rates_draw_nothing():
    encoder = TorchPoissonEncoder(3, 20, batch_size=2)
    before = encoder.state_dict()["generator"]
    for rates, error, message in (
        (RATES[:1], NeuroctlError, "rates_hz must be numbers of shape"),
        (RATES - 1, NeuroctlError, "rates_hz must be from 0 to 100000, got -1"),
        (RATES * 1e3, NeuroctlError, "rates_hz must be from 0 to 100000, got 0 to 3e.06"),
        (RATES * np.nan, NonFiniteError, "not finite"),
    ):
        with pytest.raises(error, match=message):
            encoder.encode(rates)
    assert np.array_equal(encoder.state_dict()["generator"], before)
    assert encoder.encode(np.full((2, 3), 1e5)).max() <= 255
