"""Units that are silenced, or driven, while a trained agent acts.

On the command line `NAME:UNITS`, or `NAME:UNITS=AMOUNT` to drive them: `units:3,7`, `units:25%` (a share, drawn at
random and always the same), `motor:0=5.0`. The names are those of `Agent.activity`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import NeuroctlError, UnknownNameError
from .streams import stream

_FORM = re.compile(r"(?P<name>[^:=]+):(?P<units>\d+(,\d+)*|\d+(\.\d+)?%)(=(?P<amount>[-+0-9.eE]+))?")


@dataclass(frozen=True)
class Units:
    """Some units of a population.

    Attributes:
        name: of the population.
        numbers: which; None where a share of them is drawn.
        share: of them, from 0 to 1, where `numbers` is None.
        amount: that they are driven by; 0 where they are silenced.
    """

    name: str
    numbers: tuple[int, ...] | None
    share: float = 0.0
    amount: float = 0.0

    def of(self, size: int) -> NDArray[np.int64]:
        """Their numbers among `size`.

        Raises:
            NeuroctlError: there is no such unit.
        """
        if self.numbers is None:
            count = round(self.share * size)
            return np.sort(stream(0, f"units/{self.name}").permutation(size)[:count]).astype(np.int64)
        if max(self.numbers) >= size:
            raise NeuroctlError(f"{self.name!r} has units 0 to {size - 1}; {max(self.numbers)} is none of them")
        return np.array(sorted(set(self.numbers)), np.int64)


@dataclass(frozen=True)
class Intervention:
    """What is done to an agent.

    Attributes:
        silent: units whose activity is 0.
        driven: units to which an amount is added: to the activity of a cell's unit, to the potential of a neuron, mV.
    """

    silent: tuple[Units, ...] = ()
    driven: tuple[Units, ...] = ()

    def check_names(self, sizes: Mapping[str, int]) -> None:
        """Refuse populations and units that do not exist.

        Args:
            sizes: number of units of each population.
        """
        for units in (*self.silent, *self.driven):
            if units.name not in sizes:
                raise UnknownNameError("population", units.name, sizes)
            units.of(sizes[units.name])

    def masks(self, name: str, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of a population 0 where a unit is silent and 1 elsewhere, and what is added to it, each `[N]`."""
        keep, added = np.ones(size), np.zeros(size)
        for units in self.silent:
            if units.name == name:
                keep[units.of(size)] = 0.0
        for units in self.driven:
            if units.name == name:
                added[units.of(size)] += units.amount
        return keep, added


def intervention(lesions: Sequence[str], stimulations: Sequence[str]) -> Intervention | None:
    """What the command line asks for; None where it asks for nothing.

    Raises:
        NeuroctlError: not of the form `NAME:UNITS`, or `NAME:UNITS=AMOUNT` of stimulations.
    """
    if not lesions and not stimulations:
        return None
    return Intervention(tuple(_parsed(text, False) for text in lesions), tuple(_parsed(t, True) for t in stimulations))


def _parsed(text: str, driven: bool) -> Units:
    match = _FORM.fullmatch(text)
    if match is None or (match["amount"] is not None) != driven:
        form = "NAME:UNITS=AMOUNT, such as units:3,7=1.5" if driven else "NAME:UNITS, such as units:3,7 or units:25%"
        raise NeuroctlError(f"{text!r} does not name units; it must be {form}")
    try:
        amount = float(match["amount"] or 0.0)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise NeuroctlError(f"{text!r}: {match['amount']} is no finite number")
    if match["units"].endswith("%"):
        share = float(match["units"][:-1]) / 100
        if share > 1:
            raise NeuroctlError(f"{text!r}: a share must be from 0% to 100%")
        return Units(match["name"], None, share, amount)
    return Units(match["name"], tuple(map(int, match["units"].split(","))), 0.0, amount)
