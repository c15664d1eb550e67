from functools import partial
from typing import Any

import pytest

from neuroctl.agents.spiking.calls import misfit


class Rule:
    def __init__(self, size: int, *, start: float = 0.0) -> None:
        self.size, self.start = size, start


def anything(**options: Any) -> None:
    """Takes what it is given."""


def test_calls_that_fit() -> None:
    assert misfit(Rule, 3) is None
    assert misfit(partial(partial(Rule, start=1.0), 3)) is None
    assert misfit(partial(Rule, start=1.0), 3, start=2.0) is None
    assert misfit(anything, speed=1) is None
    assert misfit(max, wrong=1) is None  # does not say what it takes


MISTYPED: Any = {"strat": 0.5}


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (Rule, {"size": 3, "strat": 0.5}, "got an unexpected keyword argument 'strat'; it takes size, start"),
        (
            partial(Rule, **MISTYPED),
            {"size": 3},
            "got an unexpected keyword argument 'strat'; it takes size, start",
        ),
        (Rule, {}, "missing a required argument: 'size'; it takes size, start"),
        (lambda: None, {"size": 3}, "got an unexpected keyword argument 'size'; it takes nothing"),
    ],
)
def test_calls_that_do_not_fit(function: Any, options: Any, message: str) -> None:
    assert misfit(function, **options) == message
