"""Encoders: observations of any leading shape to features, images in bytes or floats alike."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from neuroctl.agents.encoders import ImageEncoder, StateEncoder, make_encoder
from neuroctl.errors import NeuroctlError

STATE = spaces.Box(-5, 5, (12,), np.float32, seed=0)
GREY = spaces.Box(0, 1, (16, 20), np.float32, seed=0)
COLOUR = spaces.Box(0, 255, (16, 20, 3), np.uint8, seed=0)


@pytest.mark.parametrize("space", [STATE, GREY, COLOUR, spaces.Box(-1, 1, (3,), np.float64, seed=0)], ids=str)
def test_features_keep_every_leading_dimension(space):
    encoder = make_encoder(space, 6)
    one = torch.as_tensor(space.sample())
    features = encoder(one.expand(4, 3, *space.shape))
    assert features.shape == (4, 3, 6) and features.dtype == torch.float32
    torch.testing.assert_close(features[2, 1], encoder(one))


@pytest.mark.parametrize("space", [STATE, GREY, COLOUR], ids=str)
def test_rows_do_not_mix(space):
    encoder = make_encoder(space, 6)
    batch = torch.stack([torch.as_tensor(space.sample()) for _ in range(5)])
    together = encoder(batch)
    assert len({tuple(row.tolist()) for row in together}) == 5
    changed = batch.clone()
    changed[3] = 0
    torch.testing.assert_close(encoder(changed)[[0, 1, 2, 4]], together[[0, 1, 2, 4]])


def test_bytes_and_floats_of_the_same_picture_are_the_same_features():
    encoder = make_encoder(COLOUR, 6)
    as_float = make_encoder(spaces.Box(0, 1, COLOUR.shape, np.float32), 6)
    as_float.load_state_dict(encoder.state_dict())
    image = torch.as_tensor(COLOUR.sample())
    torch.testing.assert_close(encoder(image), as_float(image / 255))


def test_a_grey_image_is_an_image_of_one_channel():
    grey, colour = ImageEncoder((16, 20), 6), ImageEncoder((16, 20, 1), 6)
    colour.load_state_dict(grey.state_dict())
    image = torch.rand(2, 16, 20)
    torch.testing.assert_close(grey(image), colour(image[..., None]))


def test_rows_and_columns_and_channels_are_where_they_belong():
    encoder, image = ImageEncoder((16, 20, 3), 6), torch.rand(16, 20, 3)
    features = encoder(image)
    for other in (image.flip(0), image.flip(1), image.flip(2)):
        assert not torch.allclose(encoder(other), features, atol=1e-5)
    plain = encoder.linear(encoder.convolutions(image.permute(2, 0, 1)[None])).relu()[0]
    torch.testing.assert_close(features, plain)


def test_states_are_standardised_by_fixed_numbers_that_are_saved_with_the_parameters():
    encoder = StateEncoder(3, 4)
    encoder.normaliser.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    encoder.normaliser.variance.copy_(torch.tensor([0.25, 4.0, 100.0]))
    x = torch.randn(7, 3)
    expected = torch.tanh(encoder.linear((x - torch.tensor([1.0, 2.0, 3.0])) / torch.tensor([0.5, 2.0, 10.0])))
    torch.testing.assert_close(encoder(x), expected)
    assert {"normaliser.mean", "normaliser.variance"} <= set(encoder.state_dict())
    assert {name for name, _ in encoder.named_parameters()} == {"linear.weight", "linear.bias"}


def test_without_features_a_state_goes_through_as_it_is():
    encoder = make_encoder(STATE, 0)
    x = torch.randn(4, 5, *STATE.shape, dtype=torch.float64)
    assert torch.equal(encoder.double()(x), x)
    assert encoder.float()(x).dtype == torch.float32
    assert not list(encoder.parameters())
    with pytest.raises(NeuroctlError, match="features is 0: only a Box of 1 dimension goes unencoded, not Box"):
        make_encoder(GREY, 0)


@pytest.mark.parametrize("space", [STATE, GREY], ids=str)
def test_float64_is_accepted_everywhere(space):
    encoder = make_encoder(space, 6).double()
    features = encoder(torch.as_tensor(space.sample()).double())
    assert features.dtype == torch.float64
    assert encoder(torch.as_tensor(space.sample())).dtype == torch.float64


@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(3), spaces.Dict({"a": STATE}), spaces.Box(0, 1, (), np.float32), spaces.Box(0, 1, (2, 2, 2, 2))],
    ids=str,
)
def test_a_space_without_an_encoder_is_refused_with_those_that_have_one(space):
    with pytest.raises(NeuroctlError, match="no encoder for observations of .* have one"):
        make_encoder(space, 6)


def test_an_image_too_small_for_the_convolutions_is_refused():
    with pytest.raises(NeuroctlError, match="at least 4 rows and columns, got 3 x 9"):
        make_encoder(spaces.Box(0, 1, (3, 9), np.float32), 6)
