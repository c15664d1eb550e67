"""Running statistics are those of everything that was seen, and survive a checkpoint."""

import numpy as np
import pytest
import torch
from gymnasium.wrappers.utils import RunningMeanStd

from neuroctl.checkpoint import read_checkpoint, write_checkpoint
from neuroctl.errors import NeuroctlError, NonFiniteError
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


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((-1,), r"a size in shape must be an integer >= 1, got -1"),
        ((0, 2), r"a size in shape must be an integer >= 1, got 0"),
        ((2.5,), r"got 2.5"),
        ((True,), r"got True"),
        ((float("nan"),), r"got nan"),
        (3, r"shape must be that of one observation, such as \(12,\), got 3"),
        (None, r"got None"),
        ((10**400,), r"do not fit in memory"),
        ((2**40, 2**40), r"observations of shape \[1099511627776, 1099511627776\] do not fit in memory"),
    ],
    ids=str,
)
def test_a_shape_that_no_observation_has_is_one_line(shape, message):
    with pytest.raises(NeuroctlError, match=message) as caught:
        Normaliser(shape)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 3, 2), (3, 1), (), (6,)])
def test_observations_of_another_shape_are_refused_where_they_could_be_folded_or_repeated(shape):
    normaliser = Normaliser((3,))
    for use in (normaliser.update, normaliser):
        with pytest.raises(NeuroctlError, match=r"observations have shape \[.*\]; expected \[..., 3\]"):
            use(torch.zeros(shape))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e200])
def test_one_value_that_is_not_finite_does_not_spoil_the_statistics(value):
    normaliser = Normaliser((3,))
    normaliser.update(data(10))
    before = {name: buffer.clone() for name, buffer in normaliser.state_dict().items()}
    bad = data(5).double()
    bad[2, 1] = value
    with pytest.raises(NonFiniteError, match="are not finite, or too large to be squared"):
        normaliser.update(bad)
    assert all(torch.equal(buffer, before[name]) for name, buffer in normaliser.state_dict().items())


def test_integers_are_not_standardised_as_integers():
    with pytest.raises(NeuroctlError, match="must be floats, got torch.int64"):
        Normaliser((3,))(torch.ones((2, 3), dtype=torch.int64))
