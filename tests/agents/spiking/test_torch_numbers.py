from typing import Any

import numpy as np
import pytest
import torch

from neuroctl.agents.spiking.torch_numbers import TorchNumbers, as_array, torch_dtype
from neuroctl.errors import NeuroctlError
from tests.agents.spiking.torch_peer import DEVICES


@pytest.mark.parametrize("device", DEVICES)
def test_numbers_have_their_laws(device):
    """Means and variances within 5 standard errors: one false alarm in 3e5 runs of all six."""
    numbers, n = TorchNumbers(1, torch.device(device)), 40_000
    uniforms = numbers.uniforms(n).cpu().numpy()
    normals = numbers.normals(torch.Size((n,)), torch.float32).cpu().numpy()
    counts = numbers.counts(torch.full((n,), 0.3, device=device)).cpu().numpy()
    found: Any = uniforms.min() >= 0, uniforms.max() < 1, uniforms.dtype, normals.dtype
    assert found == (True, True, "f8", "f4")
    # mean, variance, and of the squared deviation the standard deviation
    for sample, mean, variance, spread in (
        (uniforms, 1 / 2, 1 / 12, (1 / 180) ** 0.5),
        (normals, 0, 1, 2**0.5),
        (counts, 0.3, 0.3, (0.3 + 2 * 0.09) ** 0.5),
    ):
        assert abs(sample.mean() - mean) < 5 * (variance / n) ** 0.5
        assert abs(((sample - mean) ** 2).mean() - variance) < 5 * spread / n**0.5


@pytest.mark.parametrize("device", DEVICES)
def test_a_state_goes_on_with_the_same_bits(device):
    one, other = (TorchNumbers(seed, torch.device(device)) for seed in (1, 2))
    one.uniforms(7)
    other.take(other.restored("it", {"generator": one.state()}))
    for draw in (lambda x: x.uniforms(5), lambda x: x.normals(torch.Size((3,)), torch.float64)):
        assert np.array_equal(draw(one).cpu(), draw(other).cpu())


def test_a_state_of_something_else_is_refused():
    numbers = TorchNumbers(1, torch.device("cpu"))
    before, state = numbers.state(), numbers.state()
    for wrong in ({}, {"generator": state[:-1]}, {"generator": state.astype(int)}, {"generator": None}):
        with pytest.raises(NeuroctlError, match="state of it has no generator of device cpu"):
            numbers.restored("it", wrong)
    with pytest.raises(NeuroctlError, match="the generator in the state of it is damaged"):
        numbers.restored("it", {"generator": np.full_like(state, 255)})
    assert np.array_equal(numbers.state(), before)


def test_arrays_are_copies():
    tensor = torch.arange(6.0).reshape(2, 3).T
    array = as_array(tensor)
    array += 1
    assert array.flags.c_contiguous and tensor[2, 1] == 5


def test_dtypes_are_those_of_numpy():
    assert [torch_dtype(np.dtype(kind)) for kind in ("f4", "f8")] == [torch.float32, torch.float64]
