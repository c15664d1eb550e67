"""Errors say in one line what was wrong and what is allowed."""

import pytest

import neuroctl
from neuroctl.errors import DamagedFileError, FormatVersionError, NeuroctlError, NonFiniteError, UnknownNameError


def test_an_unknown_name_lists_what_exists_and_the_nearest():
    error = UnknownNameError("shift", "gaussian-nois", {"friction", "gaussian-noise"})
    assert str(error) == (
        "unknown shift 'gaussian-nois'; did you mean 'gaussian-noise'? known: friction, gaussian-noise"
    )


def test_a_name_like_no_other_gets_no_guess():
    assert str(UnknownNameError("agent", "xyz", ["imitation"])) == "unknown agent 'xyz'; known: imitation"


def test_nothing_registered_is_said():
    assert str(UnknownNameError("agent", "a", [])) == "unknown agent 'a'; known: none"


@pytest.mark.parametrize("kind", [DamagedFileError, FormatVersionError, NonFiniteError, UnknownNameError])
def test_one_except_clause_catches_every_mistake_a_user_can_mend(kind):
    assert issubclass(kind, NeuroctlError) and issubclass(NeuroctlError, ValueError)
    assert getattr(neuroctl, kind.__name__) is kind
