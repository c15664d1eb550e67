"""From observations to the rates of input neurons.

Rates are float64 `[B, N]`, one row for each agent; whatever axes an observation `[B, ...]` has beside the first are
flattened in their order, a last axis of polarities (ON, OFF) included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroctl.checks import checked_integer, shown
from neuroctl.errors import NeuroctlError, NonFiniteError

from .coding_kernels import add_exploration, all_within, gaussian_bumps, limited
from .plasticity import checked_real

MOST_EVENTS = 1e100
"""Of an area in a control step; more are not numbers of events."""
MOST_CELLS = 2**16
"""Input neurons of one place code."""

Rates = NDArray[np.float64]


def event_rates(counts: ArrayLike, *, gain: float, control_dt_s: float, limit_hz: float) -> Rates:
    """Rates for the next control step: min(gain counts / dt, limit) Hz.

    Args:
        counts: events of the last control step `[B, ...]`.
        gain: expected spikes for each event, below the limit.
        control_dt_s: dt, length of a control step.
        limit_hz: highest rate.

    Raises:
        NeuroctlError: a value out of range, or a negative count.
        NonFiniteError: a count that is NaN or infinite.
    """
    per_event_hz = checked_real("gain", gain, 0.0) / checked_real("control_dt_s", control_dt_s, 0.0, above=True)
    events = _rows("event counts", counts)
    if not all_within(events, MOST_EVENTS):
        raise NeuroctlError(f"event counts must be from 0 to {MOST_EVENTS:g}, got {_first_outside(events):g}")
    rates = np.empty(events.shape)
    limited(events, per_event_hz, checked_real("limit_hz", limit_hz, 0.0), rates)
    return rates


def image_rates(image: ArrayLike, max_rate_hz: float) -> Rates:
    """Rates in proportion to intensity, `max_rate_hz` for white.

    Args:
        image: `[B, ...]`, floats from 0 to 1, or uint8 from 0 to 255.
        max_rate_hz: of intensity 1.

    Raises:
        NeuroctlError: another kind of image, an intensity or a rate out of range.
        NonFiniteError: an intensity that is NaN or infinite.
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 and pixels.dtype.kind != "f":
        raise NeuroctlError(f"an image must be floats from 0 to 1, or uint8, got {pixels.dtype}")
    intensity = _finite_rows("an image", pixels)
    if pixels.dtype == np.uint8:
        intensity = intensity / 255
    elif not ((intensity >= 0) & (intensity <= 1)).all():
        raise NeuroctlError(f"intensities must be from 0 to 1, got {intensity.min():g} to {intensity.max():g}")
    return intensity * checked_real("max_rate_hz", max_rate_hz, 0.0)


def place_rates(
    values: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    cells: int,
    max_rate_hz: float,
    width: float = 1.0,
    grid: bool = False,
) -> Rates:
    """Rates of a Gaussian place code: each cell fires most where a value is at the centre of its own.

    The centres c of the cells of a dimension are evenly spaced from `low` to `high`, by s; a cell fires at
    max_rate exp(-(x - c)^2 / (2 (width s)^2)) Hz. Values beyond the bounds count as the bounds.

    Args:
        values: x `[B, D]`.
        low: least values, a number or `[D]`.
        high: greatest values, likewise.
        cells: for each dimension, at least 2.
        max_rate_hz: of a cell whose centre is met.
        width: standard deviation in units of s, > 0.
        grid: whether there is a cell for each place of all dimensions, whose bump is the product of theirs: N =
            cells^D; otherwise every dimension has its own, N = D cells.

    Returns:
        `[B, N]`, the last dimension changing fastest in a grid.

    Raises:
        NeuroctlError: a value out of range, bounds that are no bounds, or more than 2^16 cells.
        NonFiniteError: a value that is NaN or infinite.
    """
    if np.ndim(values) != 2:
        raise NeuroctlError(f"values of a place code must have shape [B, D], got {np.shape(values)}")
    x = _finite_rows("values of a place code", values)
    dimensions = x.shape[1]
    least, greatest = (_bounds(name, bound, dimensions) for name, bound in (("low", low), ("high", high)))
    if not (least < greatest).all():
        raise NeuroctlError(f"low must be < high in every dimension, got {shown(low)} and {shown(high)}")
    cells = checked_integer("cells", cells, 2, MOST_CELLS)
    if (cells**dimensions if grid else cells * dimensions) > MOST_CELLS:
        raise NeuroctlError(f"{cells} cells in {dimensions} dimensions are more than {MOST_CELLS}; take fewer")
    bumps = np.empty((len(x), dimensions, cells))
    places = (np.clip(x, least, greatest) - least) / (greatest - least) * (cells - 1)
    gaussian_bumps(places, checked_real("width", width, 0.0, above=True), bumps)
    bumps[:, 0] *= checked_real("max_rate_hz", max_rate_hz, 0.0)
    if not grid:
        bumps[:, 1:] *= max_rate_hz
        return bumps.reshape(len(x), -1)
    rates = bumps[:, 0]
    for d in range(1, dimensions):
        rates = (rates[:, :, None] * bumps[:, d, None, :]).reshape(len(x), -1)
    return rates


def with_exploration(rates_hz: ArrayLike, *, rest_hz: float, inhibition: float) -> Rates:
    """The rates, and as the last that of an input which drives a network when nothing else does.

    Its rate is max(0, rest - inhibition x sum of the others) Hz.

    Args:
        rates_hz: of all other inputs `[B, ...]`.
        rest_hz: rate when they are silent, >= 0.
        inhibition: by how much it sinks for each Hz of theirs, >= 0.

    Returns:
        `[B, N + 1]`.

    Raises:
        NeuroctlError: a value out of range.
        NonFiniteError: a rate that is NaN or infinite.
    """
    rest, inhibition = checked_real("rest_hz", rest_hz, 0.0), checked_real("inhibition", inhibition, 0.0)
    rates = _rows("rates_hz", rates_hz)
    if not all_within(rates, MOST_EVENTS):
        raise NeuroctlError(f"rates_hz must be from 0 to {MOST_EVENTS:g}, got {_first_outside(rates):g}")
    together = np.empty((len(rates), rates.shape[1] + 1))
    add_exploration(rates, rest, inhibition, together)
    return together


def _first_outside(values: NDArray[np.floating]) -> float:
    """The first that is not from 0 to `MOST_EVENTS`.

    Raises:
        NonFiniteError: it is NaN or infinite.
    """
    wrong = float(values[~((values >= 0) & (values <= MOST_EVENTS))].flat[0])
    if not np.isfinite(wrong):
        raise NonFiniteError(f"numbers of events and rates must be finite, got {wrong}")
    return wrong


def _rows(name: str, value: ArrayLike) -> NDArray[np.floating]:
    """`value` `[B, ...]` as floats `[B, N]`, perhaps the same memory."""
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        raise NeuroctlError(f"{name} must be numbers, got an array of {array.dtype}")
    if array.ndim < 2 or array.size == 0:
        raise NeuroctlError(f"{name} must have shape [B, ...] with a row for each agent, got {array.shape}")
    rows = array.reshape(len(array), -1)
    return rows if rows.dtype in (np.float32, np.float64) else rows.astype(np.float64)


def _finite_rows(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """A copy of `value` `[B, ...]` in float64 as `[B, N]`."""
    rows = _rows(name, value)
    if not np.isfinite(rows).all():
        raise NonFiniteError(f"{name} must be finite, got {rows[~np.isfinite(rows)].flat[0]}")
    return rows.astype(np.float64)


def _bounds(name: str, value: ArrayLike, dimensions: int) -> NDArray[np.float64]:
    bound = np.asarray(value)
    if bound.shape not in ((), (dimensions,)) or bound.dtype.kind not in "iuf" or not np.isfinite(bound).all():
        raise NeuroctlError(f"{name} must be a finite number, or one for each of {dimensions}, got {shown(value)}")
    return np.broadcast_to(bound, dimensions).astype(np.float64)
