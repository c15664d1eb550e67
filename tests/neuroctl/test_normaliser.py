"""Running statistics are those of everything that was seen, and survive a checkpoint."""

import numpy as np
import pytest
import torch
from gymnasium.wrappers.utils import RunningMeanStd

from neuroctl.checkpoint import read_checkpoint, write_checkpoint
from neuroctl.normaliser import Normaliser


def data(size, dims=3):
    generator = torch.Generator().manual_seed(size)
    scale = torch.tensor([1e-3, 1.0, 1e3])[:dims]
    return torch.randn(size, dims, generator=generator) * scale + torch.tensor([5.0, -1.0, 1e4])[:dims]


@pytest.mark.parametrize("sizes", [(1000,), (1, 999), (3, 500, 1, 0, 496), (1,) * 40])
def test_statistics_do_not_depend_on_how_the_data_came(sizes):
    values = data(sum(sizes))
    normaliser = Normaliser((3,))
    for part in values.split(sizes):
        normaliser.update(part)
    assert normaliser.count.item() == len(values)
    np.testing.assert_allclose(normaliser.mean.numpy(), values.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(normaliser.variance.numpy(), values.double().numpy().var(0), rtol=1e-7)


def test_statistics_agree_with_those_of_gymnasium():
    ours, theirs = Normaliser((3,)), RunningMeanStd(epsilon=0, shape=(3,), dtype=np.float64)
    for size in (7, 64, 1, 200):
        ours.update(data(size))
        theirs.update(data(size).double().numpy())
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean, rtol=1e-12)
    np.testing.assert_allclose(ours.variance.numpy(), theirs.var, rtol=1e-9)


def test_what_was_seen_comes_out_with_mean_0_and_deviation_1():
    values = data(5000)
    normaliser = Normaliser((3,))
    normaliser.update(values.reshape(50, 100, 3))
    out = normaliser(values)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=5e-3, rtol=0)
    torch.testing.assert_close(out.std(0), torch.ones(3), atol=2e-2, rtol=0)


def test_nothing_is_changed_before_anything_was_seen_but_extremes():
    values = torch.tensor([[0.3, -4.0, 9.99], [11.0, -50.0, 0.0]])
    torch.testing.assert_close(Normaliser((3,))(values), torch.tensor([[0.3, -4.0, 9.99], [10.0, -10.0, 0.0]]))


def test_acting_does_not_change_the_statistics():
    normaliser = Normaliser((3,))
    normaliser.update(data(10))
    before = {name: value.clone() for name, value in normaliser.state_dict().items()}
    normaliser(data(500))
    assert all(torch.equal(value, before[name]) for name, value in normaliser.state_dict().items())
    assert not list(normaliser.parameters())


def test_an_entry_that_never_varied_stays_finite():
    normaliser = Normaliser((2,))
    normaliser.update(torch.tensor([[1.0, 7.0], [2.0, 7.0]]))
    out = normaliser(torch.tensor([[1.5, 7.0], [1.5, 7.5]]))
    assert out[:, 1].tolist() == [0.0, 10.0]


def test_a_checkpoint_holds_every_bit(tmp_path):
    normaliser, restored = Normaliser((3,)), Normaliser((3,))
    normaliser.update(data(33))
    write_checkpoint(tmp_path / "000000001", 1, {"agent": {"normaliser": normaliser.state_dict()}})
    restored.load_state_dict(read_checkpoint(tmp_path / "000000001")[1]["agent"]["normaliser"])
    for one in (normaliser, restored):
        one.update(data(64))
    assert all(torch.equal(a, b) for a, b in zip(normaliser.buffers(), restored.buffers(), strict=True))
