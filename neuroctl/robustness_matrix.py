"""What policies did under distribution shifts, and the figures that say how robust they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .statistics import Interval, stratified_bootstrap

Floats = NDArray[np.float64]
CLEAN = "clean"


class Worst(NamedTuple):
    """An episode that went worse than all others.

    Attributes:
        condition: under which.
        unit: who played, see `Matrix.units`.
        episode: its number: of a recording with the matrix's root seed too.
        seed: with which the environment was reset.
        score: what it came to.
    """

    condition: str
    unit: str
    episode: int
    seed: int
    score: float


class Cell(NamedTuple):
    """What a policy did under one condition: U units (runs, members, or one) of E episodes each.

    Attributes:
        returns: `[U, E]`.
        lengths: control steps, `[U, E]`.
        success: 0, 1 or NaN, `[U, E]`; None where the task defines none.
    """

    returns: Floats
    lengths: NDArray[np.int64]
    success: Floats | None


@dataclass(frozen=True)
class Matrix:
    """Every policy under every shift and severity.

    Attributes:
        env_id: where.
        env_kwargs: its options.
        shifts: those that fit.
        unfit: why others of those that were asked for do not.
        severities: sorted, without 0.
        seeds: seed of each episode, `[E]`; the same for all policies and conditions.
        cells: by policy and condition (`"clean"`, `"gain:3"`).
        units: of each policy, what its units are: runs that differ in their seed, members of a population, or the one.
        scale: returns of doing nothing and of the expert, clean; None without an expert, whose scores are returns.
    """

    env_id: str
    env_kwargs: Mapping[str, Any]
    shifts: tuple[str, ...]
    unfit: Mapping[str, str]
    severities: tuple[int, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str], Cell]
    units: Mapping[str, tuple[str, ...]]
    scale: tuple[float, float] | None

    @property
    def policies(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(self.units)

    @property
    def shifted(self) -> list[str]:
        """All conditions but the clean one."""
        return conditions_of(self.shifts, self.severities)[1:]

    def scores(self, policy: str, condition: str) -> Floats:
        """Returns `[U, E]`, where the environment has an expert on a scale from doing nothing (0) to the expert (1)."""
        low, high = self.scale or (0.0, 1.0)
        scores: Floats = (self.cells[policy, condition].returns - low) / (high - low)
        return scores

    def curve(self, policy: str, shift: str) -> Floats:
        """Scores against severity `[S + 1, U, E]`, the clean ones first."""
        return np.stack([self.scores(policy, c) for c in conditions_of([shift], self.severities)])

    def area(self, policy: str, shift: str) -> Floats:
        """Mean score between severity 0 and the greatest, by the trapezoid rule, `[U, E]`."""
        severities = np.array((0, *self.severities), np.float64)
        widths = np.diff(severities)[:, None, None]
        curve = self.curve(policy, shift)
        area: Floats = ((curve[1:] + curve[:-1]) / 2 * widths).sum(axis=0) / severities[-1]
        return area

    def sampled(self, values: Floats) -> Floats:
        """What an interval is taken over of values `[U, E]`: means of units where there are several, or episodes."""
        chosen: Floats = values.mean(axis=1) if len(values) > 1 else values[0]
        return chosen

    def headline(self, policy: str) -> Interval:
        """The mean area over all shifts, with its 95 % bootstrap interval over units or episodes."""
        areas = np.mean([self.area(policy, shift) for shift in self.shifts], axis=0)
        return mean_interval(self.sampled(areas))

    def improvement(self, policy: str, other: str) -> float:
        """Probability that a policy's area is greater than another's in a shift drawn at random; a tie counts half.

        Of policies with one unit each, their episodes are compared, which are the same for both; else the mean of each
        unit with that of each unit of the other.
        """
        single = len(self.units[policy]) == len(self.units[other]) == 1
        wins = []
        for shift in self.shifts:
            ones, others = (self.area(name, shift) for name in (policy, other))
            difference = ones[0] - others[0] if single else ones.mean(axis=1)[:, None] - others.mean(axis=1)[None, :]
            wins.append(np.mean((difference > 0) + 0.5 * (difference == 0)))
        return float(np.mean(wins))

    def worst(self, policy: str) -> Worst:
        """The policy's worst episode under a shift."""
        scores = np.stack([self.scores(policy, condition) for condition in self.shifted])
        condition, unit, episode = (int(k) for k in np.unravel_index(np.argmin(scores), scores.shape))
        name = self.units[policy][unit]
        return Worst(self.shifted[condition], name, episode, self.seeds[episode], float(scores.min()))


def conditions_of(shifts: Sequence[str], severities: Sequence[int]) -> list[str]:
    """The clean condition, then every shift at every severity."""
    return [CLEAN, *(f"{shift}:{severity}" for shift in shifts for severity in severities)]


def mean_interval(values: Floats) -> Interval:
    """The mean and its 95 % bootstrap interval."""
    return stratified_bootstrap(values, lambda sample: float(sample.mean()))
