"""A check of what stale sensitivities cost a gradient rule."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from neuroctl.errors import NeuroctlError

from ..cells.cell import State
from .carrying_rules import Carrying
from .gradient_rule import GradientRule, detached


class Recomputed(GradientRule):
    """A rule that carries as if parameters had always been those of now: a check of what stale sensitivities cost.

    All chunks are kept, and for each gradient what is carried is formed anew from the first of them, states included.
    So time and memory grow with the steps taken.

    Args:
        rule: the rule to check, which has seen nothing.
    """

    def __init__(self, rule: Carrying) -> None:
        super().__init__(rule.cell, rule.batch_size)
        self._rule, self._kept = rule, list[Any]()

    def prepare(self, x: Tensor, state: State, first: Tensor | None = None) -> None:
        """See `GradientRule.prepare`."""
        self._now = (x.detach(), detached(state), first)
        self._rule.prepare(x, state, first)

    def unroll(
        self, x: Tensor, state: State, first: Tensor | None = None, rows: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See `GradientRule.unroll`."""
        if rows is None:
            self._now = (x.detach(), detached(state), first)
        return self._rule.unroll(x, state, first, rows)

    def add_carried(self) -> None:
        """See `GradientRule.add_carried`."""
        fresh = self._rule.fresh()
        state = self._kept[0][1] if self._kept else None
        with torch.no_grad():
            for x, _, first in self._kept:
                _, state = fresh.unroll(x, state, first)
                fresh.advance()
        self._rule.sensitivity = fresh.sensitivity
        self._rule.add_carried()

    def advance(self) -> None:
        """See `GradientRule.advance`."""
        self._rule.advance()
        self._kept.append(self._now)

    def state_dict(self) -> dict[str, Any]:
        """See `GradientRule.state_dict`."""
        raise NeuroctlError("recompute=True is a check that is not saved")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `GradientRule.load_state_dict`."""
        raise NeuroctlError("recompute=True is a check that is not saved")
