"""Errors that a user can mend. Each message is one line: the offending value and what is allowed."""

import difflib
from collections.abc import Iterable
from typing import Any

MOST_LISTED = 60
"""Known names that a message lists."""


class NeuroctlError(ValueError):
    """A mistake or damage that the user can mend; programs print it as one line and exit with code 2."""


def refuse_unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UnknownNameError` for the first of the names that is not known."""
    known = set(known)
    for name in names:
        if name not in known:
            raise UnknownNameError(kind, name, known)


class UnknownNameError(NeuroctlError):
    """A name that is not registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Describe the mistake.

        Args:
            kind: what was looked up, for example `"shift"`.
            name: the name that was not found.
            known: every name that exists.
        """
        names = sorted(set(known))
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = f"known: {', '.join(names) or 'none'}"
        if len(names) > MOST_LISTED:
            nearest = difflib.get_close_matches(str(name), names, n=5, cutoff=0)
            known = f"the nearest of {len(names)} that are known: {', '.join(nearest)}"
        super().__init__(f"unknown {kind} {name!r}; {hint}{known}")
        self._asked = kind, name, names

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._asked  # by default an error is rebuilt from its message, and could not leave a worker


class DamagedFileError(NeuroctlError):
    """A file of ours that is truncated, altered, missing, or of a kind that could run code."""


class InUseError(NeuroctlError):
    """Another process is writing there."""


class FormatVersionError(NeuroctlError):
    """A file written by a newer version of neuroctl."""


class NonFiniteError(NeuroctlError):
    """NaN or infinity from an environment, a policy or a loss."""
