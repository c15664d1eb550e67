"""Whether somebody's function can be called as it is going to be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any


def misfit(function: Callable[..., Any], *args: Any, **options: Any) -> str | None:
    """Why `function` cannot be called with these arguments, and what it takes; None where it can, or does not say.

    Of a `functools.partial`, the arguments that it holds count as well.
    """
    call = partial(function, *args, **options)  # one partial, also of partials
    try:
        signature = inspect.signature(call.func)
    except (TypeError, ValueError):  # of something compiled
        return None
    try:
        signature.bind(*call.args, **call.keywords)
    except TypeError as error:
        return f"{error}; it takes {', '.join(signature.parameters) or 'nothing'}"
    return None
