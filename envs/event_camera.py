"""An event camera on top of any image: counts of events per window and control step, and their times on request.

    camera = EventCamera((32, 128), windows=(4, 16), model="log")
    MujocoTask(..., observation_space=camera.space, variables=camera.variables(), streams=camera.streams)
    # in the task's functions:
    reset:    camera.begin(row, image)
    advance:  camera.advance(batch, images)
    observe:  return camera.observe(batch)

All that it remembers is task variables, so that a restored state goes on exactly. Without a task, `start` and `step`
do the same with arrays, and `film` with a whole film. The models are in `event_pixels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from numba import njit
from numpy.typing import NDArray

from neuroctl.checks import is_number, shown
from neuroctl.errors import NeuroctlError
from neuroctl.streams import checked_seed, stream

from .event_kernels import crossing_frame, linear_frame
from .event_pixels import (
    EVENT,
    LEAST_DRAWN_THRESHOLD,
    TOLERANCE,
    brightness,
    event_levels,
    grey_curve,
    pixel_model,
)
from .event_shots import draw_ahead, shots_ahead
from .scene_light import SceneLight
from .vector_tools import array_of

if TYPE_CHECKING:
    from .mujoco_batch import Batch, Row

MOST_EVENTS = 2**24
"""float32 counts exactly up to here."""
MOST_PIXELS = 4096
"""Along each axis of a sensor."""
LEAST_DT_S, MOST_DT_S = 1e-6, 10.0
MOST_CLOCK_S = 1e7
"""Of an episode: with float64, leaks and refractory times are exact enough up to here."""
STREAM = "events"
"""Name of the random stream; task variables are called `events/...`."""

_NO_EVENTS = np.empty(0, EVENT)

Memory = dict[str, NDArray[Any]]
"""What the cameras of n rows remember: name -> array `[n, ...]`."""
Arrays = tuple[Any, ...]
"""Views of it, as the kernels need them."""
Generators = Sequence[np.random.Generator]
GeneratorOf = Callable[[int], np.random.Generator]
"""The random stream of a row, which is asked for only when the row draws."""


class EventSpace(gym.spaces.Box):
    """Event counts: a float32 Box from 0 to 2**24, up to where they are exact; by its class, shifts know them.

    Args:
        shape: of the counts.
        seed: of `sample`.
    """

    def __init__(self, shape: Sequence[int], seed: int | np.random.Generator | None = None) -> None:
        super().__init__(0.0, float(MOST_EVENTS), tuple(shape), np.float32, seed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventSpace) and super().__eq__(other)

    def __repr__(self) -> str:
        return f"EventSpace{self.shape}"


@batch_space.register(EventSpace)
def _batch_events(space: EventSpace, n: int = 1) -> EventSpace:
    return EventSpace((n, *space.shape), deepcopy(space.np_random))


class EventCamera:
    """Turns the images of n rows, one per control step, into events.

    Args:
        sensor_size: rows and columns of the images.
        windows: rows and columns of the areas whose events are counted together; they divide the sensor. One per pixel
            where None.
        model: `"linear"`, `"log"` or `"noisy"`, see `event_pixels`.
        threshold: C, in units of the intensity (linear) or of its logarithm; the model's own where None, as for all
            options that follow. Options that the model does not have are refused.
        polarity: count ON and OFF events apart.
        control_dt_s: time between two images, 1 us to 10 s.
        time_stamps: remember what `events` needs; without it, there are counts only.
        light, glare: in which it sees the images: factor, and what is added, see `SceneLight`.
        log_eps, refractory_s, threshold_spread, leak_hz, shot_hz: see `PixelModel`.

    Attributes:
        size: rows and columns of the images.
        pixels: the model with all its options.
        space: of the counts of one row: `[R, C]`, or `[R, C, 2]` (ON, OFF) with `polarity`.
        streams: names of the random streams that a task must provide.

    Raises:
        NeuroctlError: an impossible size, or an option that is out of range or foreign to the model.
    """

    def __init__(
        self,
        sensor_size: Sequence[int],
        windows: Sequence[int] | None = None,
        *,
        model: str = "linear",
        threshold: float | None = None,
        polarity: bool = False,
        control_dt_s: float = 0.02,
        time_stamps: bool = False,
        light: float = 1.0,
        glare: float = 0.0,
        log_eps: float | None = None,
        refractory_s: float | None = None,
        threshold_spread: float | None = None,
        leak_hz: float | None = None,
        shot_hz: float | None = None,
    ) -> None:
        self.size = _checked_pair("sensor_size", sensor_size)
        self._windows = self.size if windows is None else _checked_pair("windows", windows)
        if self.size[0] % self._windows[0] or self.size[1] % self._windows[1]:
            raise NeuroctlError(f"windows {self._windows} do not divide the sensor of {self.size} pixels")
        if not (is_number(control_dt_s) and LEAST_DT_S <= control_dt_s <= MOST_DT_S):
            raise NeuroctlError(
                f"control_dt_s is {shown(control_dt_s)}; allowed: seconds from {LEAST_DT_S:g} to {MOST_DT_S:g}"
            )
        for name, value in (("polarity", polarity), ("time_stamps", time_stamps)):
            if not isinstance(value, (bool, np.bool_)):
                raise NeuroctlError(f"{name} of an event camera is {shown(value)}; allowed: True, False")
        self.pixels = pixel_model(
            model,
            threshold=threshold,
            log_eps=log_eps,
            refractory_s=refractory_s,
            threshold_spread=threshold_spread,
            leak_hz=leak_hz,
            shot_hz=shot_hz,
        )
        self._dt_s, self._time_stamps = float(control_dt_s), time_stamps
        self._light = SceneLight(light, glare)
        self._require_countable()
        self._tables = grey_curve(self.pixels.log_eps), event_levels(self.pixels.log_eps)
        self._places = self._places_of_pixels()
        self.space = EventSpace((*self._windows, 2) if polarity else self._windows)
        self.streams: tuple[str, ...] = (STREAM,) if self.pixels.random else ()
        self._blank = self._blank_row()

    def _require_countable(self) -> None:
        height, width = self.size[0] // self._windows[0], self.size[1] // self._windows[1]
        if height * width * self.pixels.most_events(self._dt_s) > MOST_EVENTS:
            raise NeuroctlError(
                f"windows of {height} x {width} pixels with threshold {self.pixels.threshold:g} may have more than "
                f"{MOST_EVENTS} events in a control step, too many for float32; take smaller windows"
            )

    def _places_of_pixels(self) -> NDArray[np.uint32]:
        """Row, column and window of each pixel, `[3, H W]`."""
        row, column = np.indices(self.size, np.uint32)
        height, width = self.size[0] // self._windows[0], self.size[1] // self._windows[1]
        window = row // height * np.uint32(self._windows[1]) + column // width
        return np.stack([row, column, window], dtype=np.uint32).reshape(3, -1)

    def _blank_row(self) -> Memory:
        """Names, shapes and types of what one row remembers."""
        pixels, linear = self.pixels, self.pixels.model == "linear"
        row: Memory = {"reference": np.zeros(self.size, np.float32 if linear else np.float64)}
        if not linear and (pixels.refractory_s or pixels.shot_hz or self._time_stamps):
            row["image"] = np.zeros(self.size, np.float32)
        if pixels.refractory_s:
            row["event_s"] = np.zeros(self.size)
        if pixels.refractory_s or pixels.leak_hz or pixels.shot_hz:
            row["clock_s"] = np.zeros(())
        if self._time_stamps:
            row |= {f"before/{name}": value for name, value in row.items()}
        if pixels.shot_hz:
            row["shots"] = np.zeros((3, shots_ahead(pixels.shot_hz * self._dt_s * self._places.shape[1])))
        if not linear:
            row["levels"] = np.zeros((2, *self.size), np.uint8)
        if pixels.threshold_spread:
            row["thresholds"] = np.zeros((2, *self.size), np.float32)
        return {"counts": np.zeros(self.space.shape, np.float32)} | row

    # In a task

    def variables(self) -> dict[str, NDArray[Any]]:
        """The task variables, name -> value of one row."""
        return {f"{STREAM}/{name}": value.copy() for name, value in self._blank.items()}

    def begin(self, row: Row, image: NDArray[Any]) -> None:
        """Start an episode: the image `[H, W]`, intensities in [0, 1], becomes the reference; there are no events."""
        memory = self.start(np.asarray(image)[None], [row.stream(name) for name in self.streams])
        for name, value in memory.items():
            row[f"{STREAM}/{name}"] = value[0]

    def advance(self, batch: Batch, images: NDArray[Any]) -> None:
        """See the images `[n, H, W]`, intensities in [0, 1], at the end of a control step."""
        memory, arrays = batch.kept(self, self._bound)
        self._require_clock(memory)
        self._see(memory, arrays, images, lambda row: batch.stream(STREAM, row))
        if batch[f"{STREAM}/counts"] is not memory["counts"]:  # a batch of some of the rows gave copies
            for name, value in memory.items():
                batch[f"{STREAM}/{name}"] = value

    def observe(self, batch: Batch) -> NDArray[np.float32]:
        """Events in the last control step, float32 `[n, *space.shape]`."""
        counts: NDArray[np.float32] = batch[f"{STREAM}/counts"].copy()
        return counts

    def events(self, batch: Batch) -> list[NDArray[Any]]:
        """The events of the last control step of each row, as `recall` gives them."""
        return self.recall(self._memory(batch))

    def _memory(self, batch: Batch) -> Memory:
        return {name: batch[f"{STREAM}/{name}"] for name in self._blank}

    def _bound(self, batch: Batch) -> tuple[Memory, Arrays]:
        """The checked memory of these rows, and its arrays as the kernels need them."""
        memory = self._memory(batch)
        self._require_memory(memory)
        return memory, self._arrays(memory)

    # With arrays

    def start(self, images: NDArray[Any], generators: Generators = ()) -> Memory:
        """Begin with first images.

        Args:
            images: `[n, H, W]`, intensities in [0, 1]; taken as float32.
            generators: the random stream of each row, where `streams` is not empty.

        Raises:
            NeuroctlError: no images, or such as `step` refuses; or other generators.
        """
        images = self._light.on(self._checked_images(images))
        if not len(images):
            raise NeuroctlError("0 images given; an event camera begins with one for each row")
        memory = {name: np.repeat(value[None], len(images), axis=0) for name, value in self._blank.items()}
        self._require_generators(generators, len(images))
        if self.pixels.model == "linear":
            memory["reference"][:] = images
        else:
            brightness(images.reshape(-1), self.pixels.log_eps, self._tables[0], memory["reference"].reshape(-1))
        if "image" in memory:
            memory["image"][:] = images
        if self.pixels.refractory_s:
            memory["event_s"][:] = -self.pixels.refractory_s
        for row, generator in enumerate(generators):
            self._draw_pixels(memory, row, generator)
        self._keep(memory)
        return memory

    def _draw_pixels(self, memory: Memory, row: int, generator: np.random.Generator) -> None:
        on: NDArray[Any] | float = self.pixels.threshold
        if spread := self.pixels.threshold_spread:
            drawn = on + spread * generator.standard_normal((2, *self.size))
            memory["thresholds"][row] = np.maximum(drawn, min(on, LEAST_DRAWN_THRESHOLD))
            on = memory["thresholds"][row, 0].astype(np.float64)
        if self.pixels.leak_hz:
            # Each pixel begins somewhere on its way to the next leak event: they do not all come at once.
            memory["reference"][row] -= generator.random(self.size) * (on - 2 * TOLERANCE)
        if self.pixels.shot_hz:
            draw_ahead(generator, memory["shots"][row], 0.0, self.pixels.shot_hz, self._places.shape[1])

    def step(self, memory: Memory, images: NDArray[Any], generators: Generators = ()) -> None:
        """See the next images and bring `memory` up to date, in place; its `"counts"` are the events.

        Args:
            memory: what `start` returned.
            images: `[n, H, W]`, intensities in [0, 1]; taken as float32.
            generators: the random stream of each row, where `streams` is not empty.

        Raises:
            NeuroctlError: images of another shape, or not finite or out of [0, 1]; a memory or generators that are not
                this camera's; `memory` is as before.
        """
        self._require_memory(memory)
        self._require_generators(generators, len(memory["counts"]))
        self._see(memory, self._arrays(memory), images, generators.__getitem__)

    def recall(self, memory: Memory) -> list[NDArray[Any]]:
        """The events of each row in the last step, dtype `EVENT`, by time; none at the start.

        Raises:
            NeuroctlError: the camera was made without `time_stamps`, or the memory is not this camera's.
        """
        self._require_memory(memory)
        if not self._time_stamps:
            raise NeuroctlError("events have no times; make the event camera with time_stamps=True")
        return [self._replay(memory, row) for row in range(len(memory["counts"]))]

    def film(self, images: NDArray[Any], seed: int = 0) -> NDArray[Any]:
        """All events of a film, dtype `EVENT`, by time; `t_s` counts from the first image.

        Args:
            images: `[T, H, W]`, intensities in [0, 1], `control_dt_s` apart.
            seed: of the random numbers, where the model draws any.

        Raises:
            NeuroctlError: images that `start` refuses, a seed that is no integer in [0, 2**63), or no `time_stamps`.
        """
        images, seed = self._checked_images(images), checked_seed(seed)
        generators = [stream(seed, name) for name in self.streams]
        memory, parts = self.start(images[:1], generators), [np.empty(0, EVENT)]
        for k in range(1, len(images)):
            self.step(memory, images[k : k + 1], generators)
            events = self.recall(memory)[0]
            events["t_s"] += (k - 1) * self._dt_s
            parts.append(events)
        return np.concatenate(parts)

    def _see(self, memory: Memory, arrays: Arrays, images: NDArray[Any], generator: GeneratorOf) -> None:
        images = self._light.on(self._checked_images(images))
        if len(images) != len(memory["counts"]):
            raise NeuroctlError(f"{len(images)} images for {len(memory['counts'])} rows")
        if "shots" in memory:
            short = memory["shots"][:, 0, -1] <= memory["clock_s"] + self._dt_s
            for row in short.nonzero()[0].tolist():
                now_s, pixels = memory["clock_s"][row], self._places.shape[1]
                draw_ahead(generator(row), memory["shots"][row], now_s, self.pixels.shot_hz, pixels)
        self._keep(memory)
        self._run(arrays, images, _NO_EVENTS)

    def _replay(self, memory: Memory, row: int) -> NDArray[Any]:
        """Take the last step once more, from what was remembered before it."""
        out = np.empty(int(memory["counts"][row].sum(dtype=np.float64)), EVENT)
        if not len(out):
            return out
        one = {name: value[row : row + 1].copy() for name, value in memory.items()}
        # A linear pixel's reference is the new image where it had an event; elsewhere it is as before: no event again.
        images = one["reference" if self.pixels.model == "linear" else "image"]
        for name in [name for name in one if f"before/{name}" in one]:
            one[name] = one[f"before/{name}"]
        if "levels" in one:
            one["levels"][:] = 0  # those from before the step are not kept; this lets every pixel have an event
        self._run(self._arrays(one), images, out)
        return out[np.argsort(out["t_s"], kind="stable")]

    def _keep(self, memory: Memory) -> None:
        """Remember what is now, so that the step to come can be taken again."""
        for name, value in memory.items():
            if f"before/{name}" in memory:
                memory[f"before/{name}"][:] = value

    def _arrays(self, memory: Memory) -> Arrays:
        """Views of a memory, as the kernels need them."""
        n, m, kinds = len(memory["counts"]), self._places.shape[1], len(self.space.shape) - 1
        if self.pixels.model == "linear":
            return memory["reference"], memory["counts"].reshape(n, *self._windows, kinds)
        counts = memory["counts"].reshape(n, self._windows[0] * self._windows[1], kinds)
        ahead = memory["shots"] if self.pixels.shot_hz else np.empty((n, 3, 0))
        # Without pixels, an array is none to the kernel; without a clock, nothing depends on the time.
        state = (
            memory["reference"].reshape(n, m),
            memory["image"].reshape(n, m) if "image" in memory else np.empty((n, 0), np.float32),
            memory["event_s"].reshape(n, m) if "event_s" in memory else np.empty((n, 0)),
            memory["clock_s"] if "clock_s" in memory else np.zeros(n),
            memory["levels"].reshape(n, 2, m),
            memory["thresholds"].reshape(n, 2, m) if "thresholds" in memory else np.empty((n, 2, 0), np.float32),
        )
        return ahead, state, counts

    def _run(self, arrays: Arrays, images: NDArray[np.float32], out: NDArray[Any]) -> None:
        pixels = self.pixels
        if pixels.model == "linear":
            reference, areas = arrays
            linear_frame(images, pixels.threshold, self._dt_s, reference, areas, out)
            return
        ahead, state, counts = arrays
        constants = pixels.threshold, pixels.leak_hz, pixels.refractory_s, self._dt_s, pixels.log_eps
        frames = images.reshape(len(images), self._places.shape[1])
        crossing_frame(frames, constants, self._tables, ahead, state, self._places, counts, out)

    def _checked_images(self, images: Any) -> NDArray[np.float32]:
        given = array_of(images)
        if given is None or given.ndim != 3 or given.shape[1:] != self.size or given.dtype.kind not in "fiub":
            found = "no array" if given is None else f"{given.dtype} of shape {given.shape}"
            raise NeuroctlError(
                f"images for an event camera are {found}; expected numbers (n, {self.size[0]}, {self.size[1]})"
            )
        if given.dtype != np.float32:
            with np.errstate(over="ignore"):
                given = given.astype(np.float32)
        frames = np.ascontiguousarray(given)
        if not _are_intensities(frames):
            wrong = frames[~((frames >= 0) & (frames <= 1))]
            raise NeuroctlError(f"images for an event camera hold {wrong[0]:g}; allowed: intensities from 0 to 1")
        return frames

    def _require_memory(self, memory: Any) -> None:
        expected = "expected what its start() returned"
        if not isinstance(memory, dict):
            raise NeuroctlError(f"memory of an event camera is {shown(memory)}; {expected}")
        if memory.keys() != self._blank.keys():
            name = min(memory.keys() ^ self._blank.keys(), key=str)
            what = "is missing" if name in self._blank else "is none of its own"
            raise NeuroctlError(f"memory {shown(name)} of an event camera {what}; {expected}")
        rows = getattr(memory["counts"], "shape", ())[:1]
        for name, blank in self._blank.items():
            value, dtype, shape = memory[name], blank.dtype, rows + blank.shape
            if not isinstance(value, np.ndarray) or value.dtype != dtype or value.shape != shape:
                found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else shown(value)
                raise NeuroctlError(f"memory {name!r} of an event camera is {found}; expected {dtype} {shape}")
            if not value.flags.carray:
                raise NeuroctlError(f"memory {name!r} of an event camera is read-only or strided; hand in a copy")
        self._require_clock(memory)

    @staticmethod
    def _require_clock(memory: Memory) -> None:
        for time_s in memory["clock_s"].tolist() if "clock_s" in memory else ():
            if not 0 <= time_s <= MOST_CLOCK_S:
                raise NeuroctlError(
                    f"memory 'clock_s' of an event camera holds {time_s:g}; allowed: seconds from 0 to {MOST_CLOCK_S:g}"
                )

    def _require_generators(self, generators: Generators, rows: int) -> None:
        if not isinstance(generators, Sequence) or not all(isinstance(one, np.random.Generator) for one in generators):
            raise NeuroctlError(
                f"generators are {shown(generators)}; allowed: a list of random generators, see neuroctl.streams"
            )
        if len(generators) != (rows if self.streams else 0):
            expected = f"one generator for each of the {rows} rows" if self.streams else "no generators"
            raise NeuroctlError(f"{len(generators)} generators given; this event camera needs {expected}")


@njit(cache=True, nogil=True)
def _are_intensities(images):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Whether all numbers of `images` are from 0 to 1; NaN is not."""
    right = True
    for value in images.flat:
        right &= (value >= 0) & (value <= 1)
    return right


def _checked_pair(name: str, value: Any) -> tuple[int, int]:
    pair = array_of(value)
    if pair is None or pair.shape != (2,) or pair.dtype.kind not in "iu" or pair.min() < 1 or pair.max() > MOST_PIXELS:
        raise NeuroctlError(
            f"{name} is {shown(value)}; allowed: two whole numbers (rows, columns) from 1 to {MOST_PIXELS}"
        )
    return int(pair[0]), int(pair[1])
