"""Gradient rules by name: how far back the gradient of a recurrent cell sees."""

from collections.abc import Callable

from neuroctl.checks import checked_integer
from neuroctl.errors import NeuroctlError, UnknownNameError

from ..cells.cell import Cell
from .carrying_rules import Carrying, Layerwise, rtrl, snap1
from .gradient_rule import GradientRule, Immediate, Truncated
from .recomputed import Recomputed

RULES: dict[str, Callable[[Cell, int], GradientRule]] = {
    "bptt": Truncated,
    "rtrl": rtrl,
    "layerwise": Layerwise,
    "snap1": snap1,
    "immediate": Immediate,
}
"""How to make a rule for a cell and a number of rows, by name."""


def make_rule(name: str, cell: Cell, batch_size: int, recompute: bool = False) -> GradientRule:
    """The rule of this name.

    Args:
        name: of `RULES`.
        cell: the recurrent cell.
        batch_size: B, rows with a past of their own.
        recompute: whether what is carried is formed anew for every gradient, see `Recomputed`; a check.

    Raises:
        NeuroctlError: an unknown name, a rule that is not defined for this cell, or nothing to recompute.
    """
    if not isinstance(name, str) or name not in RULES:
        raise UnknownNameError("gradient rule", str(name), RULES)
    refuse_other_cells(cell)
    checked_integer("batch_size", batch_size, 1)
    try:
        rule = RULES[name](cell, batch_size)
    except NeuroctlError as error:
        fitting = ", ".join(other for other in RULES if _fits(other, cell, batch_size))
        raise NeuroctlError(f"gradient rule {name!r}: {error}; rules for this cell: {fitting}") from None
    if not recompute:
        return rule
    if not isinstance(rule, Carrying):
        raise NeuroctlError(f"gradient rule {name!r} has nothing to recompute: take 'rtrl' or 'snap1'")
    return Recomputed(rule)


def refuse_other_cells(cell: Cell) -> None:
    """Raise `NeuroctlError` for what is no `Cell`."""
    if not isinstance(cell, Cell):
        raise NeuroctlError(f"a gradient rule takes a cell of ours; got {type(cell).__name__}")


def _fits(name: str, cell: Cell, batch_size: int) -> bool:
    try:
        RULES[name](cell, batch_size)
    except NeuroctlError:
        return False
    return True
