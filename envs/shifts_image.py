"""Shifts of images, and of the light in which an event camera sees. Severity 1 is mild, 5 severe; 0 changes no bit.

Images are `[H, W]` or `[H, W, channels]`, float32 in [0, 1] or uint8. Shifted ones are quantised to k/255 again, as by
an 8-bit camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from neuroctl.checks import shown_space
from neuroctl.errors import NeuroctlError
from neuroctl.shift import Kind
from neuroctl.vector import make_env

from .retina import LEVELS
from .shift_wrapper import Leaves, ShiftWrapper, has_events, is_image, leaf_spaces, no_image

Images = NDArray[np.float32]
LUMINANCE = np.array([0.299, 0.587, 0.114])
"""Of red, green and blue (ITU-R BT.601)."""
OPTION = "event_glare"
"""Of an environment: what is added to the images that its event camera sees."""


class ImageShift(ShiftWrapper):
    """Perturbs the images of the observation and leaves the rest."""

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """An image is needed."""
        return no_image(observation_space)

    @staticmethod
    def shows(space: gym.Space[Any]) -> bool:
        """Whether a space holds what is perturbed."""
        return is_image(space)

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with perturbed images."""
        return {
            name: camera(self.perturb_image(light(value), rows), value.dtype)
            if self.shows(self._spaces[name])
            else value.copy()
            for name, value in obs.items()
        }

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """The perturbed images `[n, H, W, ...]` of light in [0, 1], to be clipped and quantised."""
        raise NotImplementedError

    def pixel_draws(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """A uniform number in [0, 1) for each pixel, `[n, H, W]` and 1 for each further axis."""
        height, width, *rest = image.shape[1:]
        draws = [self.rng(b).random((height, width), np.float32) for b in rows.tolist()]
        return np.stack(draws).reshape(len(rows), height, width, *[1] * len(rest))


class Brightness(ImageShift):
    """The level is added to images, and to those that an event camera sees: it is added to the option `event_glare`."""

    name = "brightness"
    levels = (0.0, 0.08, 0.16, 0.24, 0.32, 0.4)

    @classmethod
    def kind_for(cls, observation_space: gym.Space[Any]) -> Kind:
        """A wrapper where there is an image; what an event camera sees, no wrapper can reach."""
        return "options" if no_image(observation_space) and has_events(observation_space) else "wrapper"

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """An image or the counts of an event camera are needed."""
        if no_image(observation_space) is None or has_events(observation_space):
            return None
        found = shown_space(observation_space)
        return f"it needs an image (float32 in [0, 1] or uint8) or the counts of an event camera, not {found}"

    @classmethod
    def fits_options(cls, env_id: str, options: Mapping[str, Any]) -> str | None:
        """An environment with an event camera must have the option `event_glare`."""
        if _observes_events(env_id, options):
            try:
                _observes_events(env_id, {**options, OPTION: 0.0})
            except NeuroctlError:
                return f"it changes what the event camera sees, and this environment has no option {OPTION!r}"
        return None

    @classmethod
    def options(cls, env_id: str, options: Mapping[str, Any], severity: int) -> dict[str, Any]:
        """The environment's options, with more glare where it has an event camera."""
        level = cls.level(severity)
        if not (level and _observes_events(env_id, options)):
            return dict(options)
        return {**options, OPTION: min(options.get(OPTION, 0.0) + level, 1.0)}

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """Images `[n, ...]` made brighter."""
        return image + np.float32(self.value)


class Contrast(ImageShift):
    """Contrast about mid-grey is multiplied by the level."""

    name = "contrast"
    levels = (1.0, 0.8, 0.6, 0.45, 0.3, 0.15)

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """Images `[n, ...]` made flatter."""
        return (image - np.float32(0.5)) * np.float32(self.value) + np.float32(0.5)


class ColourShift(ImageShift):
    """Maps the colour of every pixel linearly; of several frames along the last axis, that of each.

    An image is in colour if its last axis has three entries for each frame. Three grey frames look the same to it.
    """

    @staticmethod
    def shows(space: gym.Space[Any]) -> bool:
        """Whether a space holds images in colour."""
        return is_image(space) and len(space.shape or ()) == 3 and (space.shape or ())[2] % 3 == 0

    @classmethod
    def fits(cls, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> str | None:
        """An image in colour is needed."""
        if any(map(cls.shows, leaf_spaces(observation_space).values())):
            return None
        return (
            f"it needs an image in colour ([H, W, 3], uint8 or float32 in [0, 1]), not {shown_space(observation_space)}"
        )

    def matrix(self) -> Images:
        """What red, green and blue `[3]` are multiplied by, `[3, 3]`."""
        raise NotImplementedError

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """Images `[n, H, W, 3 F]` in other colours."""
        frames = image.reshape(*image.shape[:3], -1, 3)
        mapped: Images = (frames @ self.matrix().T).reshape(image.shape)
        return mapped


class Saturation(ColourShift):
    """Colours fade: their difference from the grey of their luminance is multiplied by the level."""

    name = "saturation"
    levels = (1.0, 0.7, 0.45, 0.25, 0.1, 0.0)

    def matrix(self) -> Images:
        """Between the identity and the luminance (ITU-R BT.601) in every channel."""
        grey = np.tile(LUMINANCE, (3, 1))
        faded: Images = (self.value * np.eye(3) + (1 - self.value) * grey).astype(np.float32)
        return faded


class Hue(ColourShift):
    """Colours turn about the grey axis by the level, in degrees; red, green and blue become each other at 120."""

    name = "hue"
    levels = (0.0, 15.0, 30.0, 60.0, 120.0, 180.0)

    def matrix(self) -> Images:
        """A rotation about (1, 1, 1) (Rodrigues' formula)."""
        angle, third = np.deg2rad(self.value), 1 / 3
        turned = third * (1 - np.cos(angle)) + np.cos(angle) * np.eye(3)
        cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
        rotation: Images = (turned + np.sqrt(third) * np.sin(angle) * cross).astype(np.float32)
        return rotation


class PixelDropout(ImageShift):
    """Each pixel is black with a probability equal to the level, drawn anew each step."""

    name = "pixel-dropout"
    levels = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5)
    redraws = True

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """Images `[n, ...]` with black pixels."""
        return np.where(self.pixel_draws(image, rows) < self.value, np.float32(0), image)


class SaltPepper(ImageShift):
    """Each pixel is black or white, alike often, with a probability equal to the level, drawn anew each step."""

    name = "salt-pepper"
    levels = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35)
    redraws = True

    def perturb_image(self, image: Images, rows: NDArray[np.intp]) -> Images:
        """Images `[n, ...]` with black and white pixels."""
        draws = self.pixel_draws(image, rows)
        peppered = np.where(draws < self.value / 2, np.float32(0), image)
        return np.where(draws >= 1 - self.value / 2, np.float32(1), peppered)


class Occlusion(ImageShift):
    """A black rectangle, as dirt on the lens, hides a share of the image equal to the level (to whole pixels).

    Its place and proportions are drawn once per episode from the shift's stream and stay for the episode. The same
    draws at a higher severity give a larger rectangle.
    """

    name = "occlusion"
    levels = (0.0, 0.01, 0.02, 0.05, 0.12, 0.3)

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], severity: int) -> None:
        super().__init__(env, severity)
        self._rectangles = {
            name: np.zeros((self.num_envs, 4), np.int64) for name, space in self._spaces.items() if is_image(space)
        }

    def memory(self) -> Leaves:
        """First row, row after the last, first column and column after the last of each rectangle, `[B, 4]`."""
        return {f"rectangle/{name}": value for name, value in self._rectangles.items()} if self.severity else {}

    def clear(self, rows: NDArray[np.intp], obs: Leaves) -> None:
        """Draw new rectangles for `rows`."""
        for name, rectangles in self._rectangles.items():
            shape = obs[name].shape[1:3]
            rectangles[rows] = [draw_rectangle(self.rng(b), shape, self.value) for b in rows.tolist()]

    def perturb(self, obs: Leaves, rows: NDArray[np.intp]) -> Leaves:
        """Observations `[n, ...]` with a part hidden."""
        shown = {name: value.copy() for name, value in obs.items()}
        for name, rectangles in self._rectangles.items():
            for image, (top, bottom, left, right) in zip(shown[name], rectangles[rows].tolist(), strict=True):
                image[top:bottom, left:right] = 0
        return shown


def _observes_events(env_id: str, options: Mapping[str, Any]) -> bool:
    """Whether an environment made with these options observes events; it raises what is wrong with them."""
    # One row shows it, but without `dynamics`, which may have a value for each row.
    env = make_env(env_id, 1, {name: value for name, value in options.items() if name != "dynamics"})
    found = has_events(env.single_observation_space)
    env.close()
    return found


def draw_rectangle(rng: np.random.Generator, shape: tuple[int, ...], share: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a rectangle that covers `share` of an image `shape` = (rows, columns)."""
    elongation, vertical, horizontal = rng.random(3).tolist()
    exponent = 0.25 + 0.5 * elongation  # between wide and tall: height and width are share^exponent and the rest
    height = min(max(round(shape[0] * share**exponent), 1), shape[0])
    width = min(max(round(shape[0] * shape[1] * share / height), 1), shape[1])
    top, left = round(vertical * (shape[0] - height)), round(horizontal * (shape[1] - width))
    return top, top + height, left, left + width


def light(image: NDArray[Any]) -> Images:
    """Images with values in [0, 1]."""
    values: Images = LEVELS[image] if image.dtype == np.uint8 else image
    return values


def camera(image: Images, dtype: Any) -> NDArray[Any]:
    """Images of light as an 8-bit camera shows them: clipped to [0, 1] and rounded to k/255, or to k for uint8."""
    grey = (np.clip(image, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return grey if dtype == np.uint8 else LEVELS[grey]
