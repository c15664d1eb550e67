"""From rates, or from events with their times, to the spikes of input neurons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError
from neuroctl.streams import checked_seed

from .coding_kernels import all_within, poisson_spikes
from .neuron_kernels import MOST_EXPECTED, MOST_SPIKES
from .neurons import check_arrays, checked_signal
from .plasticity import State, as_array, checked_real
from .random_numbers import checked_streams, make_streams

EVENT_FIELDS = ("t_s", "row", "column", "polarity")
_ROUNDING = 1e-6


class PoissonEncoder:
    """B agents with N inputs that fire at given rates, as independent Poisson processes.

    The inputs of an agent together are one Poisson process (superposition). Its spikes are drawn one by one, with
    exponential gaps, and the place of each on the line on which the expected numbers of all inputs lie end to end tells
    its input and its step (mapping; both theorems in Kingman 1993, Poisson Processes, chapter 2). The law is exact,
    steps with several spikes of one input included, and the work grows with the number of spikes.

    Random numbers of agent b come from the stream (seed, "encoder", b).

    Args:
        num_inputs: N.
        num_steps: T, steps in one control step.
        batch_size: B.
        dt_ms: length of a step.
        seed: root of the random streams.

    Raises:
        NeuroctlError: a value out of range.

    Attributes:
        limit_hz: highest rate: 100 expected spikes in a step. A count of more than 255, which then has a probability
            below 1e-30, would be cut to 255.
    """

    def __init__(
        self, num_inputs: int, num_steps: int, *, batch_size: int = 1, dt_ms: float = 1.0, seed: int = 0
    ) -> None:
        self.num_inputs = checked_integer("num_inputs", num_inputs, 1)
        self.num_steps = checked_integer("num_steps", num_steps, 1)
        self.batch_size = checked_integer("batch_size", batch_size, 1)
        self.dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
        self.limit_hz = 1000 * MOST_EXPECTED / self.dt_ms
        self._streams = make_streams(checked_seed(seed), "encoder", self.batch_size)

    def encode(self, rates_hz: ArrayLike) -> NDArray[np.uint8]:
        """Number of spikes `[T, B, N]` in the T steps of a control step, at rates `[B, N]`.

        Raises:
            NeuroctlError: another shape, or rates from outside 0 to `limit_hz`; nothing was drawn.
            NonFiniteError: NaN or infinity; nothing was drawn.
        """
        rates = as_array("rates_hz", rates_hz)
        if rates.dtype != np.float64 or rates.shape != (self.batch_size, self.num_inputs):
            rates = checked_signal("rates_hz", rates_hz, (self.batch_size, self.num_inputs), np.float64)
        if not all_within(rates, self.limit_hz):
            self._refuse(rates)
        spikes = np.zeros((self.num_steps, self.batch_size, self.num_inputs), np.uint8)
        poisson_spikes(self._streams, rates, self.num_steps * self.dt_ms / 1000, spikes)
        return spikes

    def _refuse(self, rates: NDArray[np.float64]) -> None:
        checked_signal("rates_hz", rates, rates.shape, np.float64)
        least, most = rates.min(), rates.max()
        raise NeuroctlError(
            f"rates_hz must be from 0 to {self.limit_hz:g}, {MOST_EXPECTED:g} spikes in a step of {self.dt_ms:g} "
            f"ms, got {least if least < 0 else most:g}"
        )

    def state_dict(self) -> State:
        """The complete state: the random streams."""
        return {"streams": self._streams.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises:
            NeuroctlError: it is of another number of agents, or damaged; nothing has changed.
        """
        check_arrays("an encoder", state, {"streams": self._streams})
        self._streams = checked_streams("an encoder", state["streams"], self.batch_size)


def stamped_spikes(
    events: NDArray[Any],
    shape: Sequence[int],
    num_steps: int,
    dt_ms: float,
    *,
    windows: Sequence[int] | None = None,
    polarity: bool = False,
) -> NDArray[np.uint8]:
    """One spike for each event of one agent, in the step of the event.

    Step k holds the times from k dt (without) to (k + 1) dt (with it); time 0 is in the first.

    Args:
        events: of one control step, a structured array with the fields `t_s` (time since the step began), `row`,
            `column` and `polarity` (1 or -1).
        shape: rows and columns of the sensor.
        num_steps: T.
        dt_ms: dt.
        windows: rows and columns of the areas that have one input each; they divide the sensor. One for each pixel
            where None.
        polarity: whether each area has two inputs, ON and OFF, beside each other.

    Returns:
        Number of spikes `[T, N]`. N counts areas row by row, as the flattened counts of an event camera do. A number
        of more than 255 is cut to 255, since an area may have any number of events at once.

    Raises:
        NeuroctlError: other fields, windows that do not divide the sensor, or an event out of its place or time.
    """
    size = _checked_pair("shape", shape)
    areas = size if windows is None else _checked_pair("windows", windows)
    if size[0] % areas[0] or size[1] % areas[1]:
        raise NeuroctlError(f"windows {areas} do not divide the sensor of {size} pixels")
    num_steps = checked_integer("num_steps", num_steps, 1)
    dt_ms = checked_real("dt_ms", dt_ms, 0.0, above=True)
    step = _steps_of_events(events, num_steps, dt_ms)
    row, column = (_checked_pixels(events, name, limit) for name, limit in zip(EVENT_FIELDS[1:3], size, strict=True))
    place = row // (size[0] // areas[0]) * areas[1] + column // (size[1] // areas[1])
    num_inputs = areas[0] * areas[1]
    if polarity:
        place, num_inputs = 2 * place + _is_off(events), 2 * num_inputs
    counts = np.bincount(step * num_inputs + place, minlength=num_steps * num_inputs)
    return np.minimum(counts, MOST_SPIKES).astype(np.uint8).reshape(num_steps, num_inputs)


def _steps_of_events(events: NDArray[Any], num_steps: int, dt_ms: float) -> NDArray[np.int64]:
    """The step of each event, after a check of the fields and times."""
    names = getattr(getattr(events, "dtype", None), "names", None) or ()
    if np.ndim(events) != 1 or any(name not in names for name in EVENT_FIELDS):
        raise NeuroctlError(f"events must be a structured array with fields {', '.join(EVENT_FIELDS)}, got {names}")
    place = events["t_s"] * (1000 / dt_ms)
    right = (place >= 0) & (place <= num_steps + _ROUNDING)
    if not right.all():
        wrong = events["t_s"][~right][0]
        raise NeuroctlError(f"times t_s must be from 0 to {num_steps * dt_ms / 1000:g} s, got {wrong:g}")
    return np.clip(np.ceil(place - _ROUNDING).astype(np.int64) - 1, 0, num_steps - 1)


def _checked_pixels(events: NDArray[Any], name: str, limit: int) -> NDArray[np.int64]:
    pixels = events[name]
    right = (pixels >= 0) & (pixels < limit)
    if not right.all():
        raise NeuroctlError(f"every {name} of events must be from 0 to {limit - 1}, got {pixels[~right][0]}")
    return pixels.astype(np.int64)


def _is_off(events: NDArray[Any]) -> NDArray[np.bool_]:
    sign = events["polarity"]
    wrong = (sign != 1) & (sign != -1)
    if wrong.any():
        raise NeuroctlError(f"every polarity of events must be 1 or -1, got {sign[wrong][0]}")
    off: NDArray[np.bool_] = sign == -1
    return off


def _checked_pair(name: str, value: Sequence[int]) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise NeuroctlError(f"{name} must be rows and columns, got {shown(value)}")
    return checked_integer(f"rows of {name}", value[0], 1), checked_integer(f"columns of {name}", value[1], 1)
