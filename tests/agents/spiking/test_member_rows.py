import numpy as np
import pytest

from neuroctl.agents.spiking.member_rows import member_rows
from neuroctl.errors import NeuroctlError

LIKE = {"w": np.zeros((2, 3)), "n": np.zeros(2, np.int64)}
STATE = {"w": np.arange(12.0).reshape(4, 3), "n": np.arange(4), "other": np.zeros(9)}


def test_rows_are_copies_of_those_of_the_members():
    rows = member_rows("a filter", STATE, LIKE, [3, 3])
    assert rows.keys() == LIKE.keys()
    assert rows["n"].tolist() == [3, 3]
    np.testing.assert_array_equal(rows["w"], STATE["w"][[3, 3]])
    rows["w"][:] = 0
    assert STATE["w"][3].tolist() == [9, 10, 11]


@pytest.mark.parametrize("members", [[0], [0, 1, 2], [0, 4], [-1, 0], [0.0, 1.0], [True, False], 1, None])
def test_members_that_do_not_exist_are_refused(members):
    with pytest.raises(NeuroctlError, match="members must be 2 integers from 0 to 3, got "):
        member_rows("a filter", STATE, LIKE, members)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": None}, "state of a filter has no array 'w'"),
        ({"w": np.zeros((4, 2))}, r"w in the state of a filter is float64 \(4, 2\); needed: float64 \(4, 3\)"),
        ({"n": np.zeros(3, np.int64)}, r"n in the state of a filter is int64 \(3,\); needed: int64 \(4,\)"),
        ({"n": np.zeros(4, np.int8)}, r"n in the state of a filter is int8 \(4,\); needed: int64 \(4,\)"),
    ],
)
def test_states_of_another_form_are_refused(change, message):
    with pytest.raises(NeuroctlError, match=message):
        member_rows("a filter", STATE | change, LIKE, [0, 1])
