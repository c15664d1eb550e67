from typing import Any

import numpy as np
import pytest

from neuroctl.envs.retina import LEVELS
from neuroctl.envs.scene_light import SceneLight
from neuroctl.errors import NeuroctlError


@pytest.mark.parametrize(("factor", "glare"), [(0.25, 0.0), (3.0, 0.0), (1.0, 0.3), (0.5, 0.125), (0.0, 0.1), (1, 1)])
def test_light_is_scaled_then_added_to_then_clipped(factor: float, glare: float) -> None:
    seen = SceneLight(factor, glare).on(LEVELS.reshape(16, 16)).ravel()
    expected = [min(factor * grey / 255 + glare, 1.0) for grey in range(256)]
    assert seen.dtype == np.float32 and seen.max() <= 1
    assert seen == pytest.approx(expected, abs=1e-7)


def test_images_are_not_written_to_and_not_quantised() -> None:
    images = LEVELS[None].copy()
    seen = SceneLight(0.1).on(images)
    assert np.array_equal(images[0], LEVELS)
    assert len(np.unique(seen)) == 256


def test_plain_light_shows_the_images_themselves() -> None:
    images = LEVELS[None]
    assert SceneLight().on(images) is images and SceneLight(1, 0).on(images) is images


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factor": -0.1}, "light of an event camera is -0.1; allowed: 0 to 100"),
        ({"factor": 101}, "light of an event camera is 101; allowed"),
        ({"factor": float("nan")}, "light of an event camera is nan; allowed"),
        ({"factor": "dark"}, "light of an event camera is 'dark'; allowed"),
        ({"factor": True}, "light of an event camera is True; allowed"),
        ({"glare": 1.5}, "glare of an event camera is 1.5; allowed: 0 to 1"),
        ({"glare": -0.01}, "glare of an event camera is -0.01; allowed"),
        ({"glare": np.zeros(2)}, "glare of an event camera is array"),
    ],
)
def test_impossible_light_is_named(options: Any, message: str) -> None:
    with pytest.raises(NeuroctlError, match=f"^{message}") as caught:
        SceneLight(**options)
    assert "\n" not in str(caught.value)
