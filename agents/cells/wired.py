"""Cells with the synapses of a wiring, such as neural circuit policies."""

from collections.abc import Callable
from typing import Any

from ..wiring import Wiring, checked_wiring
from .cell import Cell
from .ltc import LTC
from .stacked import Stacked


def wired(make: Callable[..., Cell], wiring: Wiring, **options: Any) -> Cell:
    """A cell that has the synapses of `wiring` and no others, and whose outputs are its motor neurons.

    As in ncps, the layers of a wiring (inter, command and motor neurons of an NCP) act one after the other within a
    step, so that a signal needs one step from the input to the motor neurons; each layer is a cell of its own, and
    they are `Stacked`. An LTC instead holds all neurons: its solver passes signals on between them within a step.

    Absent synapses are absent from every map of the cell, the time gates of a CfC included, and between the neurons
    of a layer; in ncps 1.0.1 they are not.

    Args:
        make: the kind of cell, called as `make(input_size, hidden_size, wiring=..., **options)`.
        wiring: the synapses.
        **options: further arguments of the cell; a CfC needs `backbone_units=0`.

    Raises:
        NeuroctlError: it is no wiring or cannot be split into layers, or an option does not fit.
    """
    wiring = checked_wiring(wiring)
    if make is LTC:
        return LTC(wiring.inputs, wiring.units, wiring=wiring, **options)
    cells = [make(part.inputs, part.units, wiring=part, **options) for part in wiring.split()]
    return cells[0] if len(cells) == 1 else Stacked(cells)
